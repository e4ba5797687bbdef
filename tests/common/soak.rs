//! The parts of the soak: the shop's time and disk, and what the box costs.

#![allow(dead_code)] // each test file uses its own part

#[path = "soak/cloud.rs"]
pub mod cloud;
#[path = "soak/house.rs"]
pub mod house;
#[path = "soak/line.rs"]
pub mod line;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use footfall::clock::{FakeClock, SharedClock};
use footfall::event::Identity;
use footfall::system;
use jiff::tz::TimeZone;
use tempfile::TempDir;

pub const BASE: &str = "footfall/v1/acme/shop-7/box-0042";
/// Midnight in the shop.
const BEGIN: &str = "2026-11-01T16:00:00Z";
/// Patience for a condition: two minutes, far more than any of it takes.
const TRIES: u32 = 24_000;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

pub fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..TRIES {
        if condition() {
            return;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    panic!("never: {what}");
}

/// The shop: its time and the box's disk.
pub struct Shop {
    pub clock: Arc<FakeClock>,
    dir: TempDir,
}

impl Shop {
    pub fn open() -> Self {
        Self {
            clock: Arc::new(FakeClock::at(BEGIN.parse().unwrap())),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn shared(&self) -> SharedClock {
        Arc::clone(&self.clock) as SharedClock
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

pub fn identity() -> Identity {
    Identity {
        tenant: "acme".into(),
        store: "shop-7".into(),
        box_id: "box-0042".into(),
        boot_id: "soak".into(),
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
    }
}

/// What the box costs at one moment, in a quiet night.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    rss: u64,
    files_open: usize,
    threads: usize,
    disk: u64,
    files: usize,
}

impl Footprint {
    pub fn take(shop: &Shop) -> Self {
        let count = |dir: &str| std::fs::read_dir(dir).unwrap().count();
        let (mut disk, mut files) = (0, 0);
        measure(&shop.data(), &mut disk, &mut files);
        Self {
            rss: system::rss_bytes(),
            files_open: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            disk,
            files,
        }
    }

    /// What any box can afford, with the test's own cloud in the same process.
    pub fn assert_bounded(&self) {
        assert!(self.rss < 100 << 20, "{self}");
        assert!(self.files_open < 100 && self.threads < 60, "{self}");
        assert!(self.disk < 150 << 20 && self.files < 1000, "{self}");
    }

    /// The tolerance: for memory 8 MiB, what the heaps of a dozen threads tear; for files and threads one database more
    /// or less; for the disk one step of a database's file (512 KiB) in each segment that is kept, as events grow longer
    /// with their numbers.
    pub fn assert_flat_since(&self, settled: &Self) {
        let what = format!("then {settled}; now {self}");
        assert!(self.rss <= settled.rss + (8 << 20), "memory: {what}");
        assert!(self.disk <= settled.disk + (51 << 19), "disk: {what}");
        assert!(self.files <= settled.files + 4, "files: {what}");
        assert!(
            self.files_open <= settled.files_open + 4,
            "open files: {what}"
        );
        assert!(self.threads <= settled.threads + 10, "threads: {what}");
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "RSS {:.1} MiB, disk {:.1} MiB in {} files, {} files open, {} threads",
            mib(self.rss),
            mib(self.disk),
            self.files,
            self.files_open,
            self.threads
        )
    }
}

/// A file may go away while one looks.
fn measure(path: &Path, bytes: &mut u64, files: &mut usize) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => measure(&entry.path(), bytes, files),
            Ok(meta) => {
                *bytes += meta.len();
                *files += 1;
            }
            Err(_) => {}
        }
    }
}
