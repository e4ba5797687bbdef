//! What it costs to keep an event: the outbox's durable append held against the plainest thing that is durable, a file
//! to which the same events are appended with one fdatasync for each group.
//!
//! Both turns interleaved, so that a noisy neighbour hits both; each on the same file system (TMPDIR decides which;
//! one in memory says nothing about fsync). `cargo bench --bench outbox`.

#![allow(clippy::disallowed_methods)] // a benchmark measures real time
#![allow(clippy::print_stdout, clippy::expect_used, clippy::unwrap_used)] // and talks to whoever started it

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use footfall::clock::{Clock, SystemClock};
use footfall::event::{Body, DeviceAlarm, Draft, Identity, Sink};
use footfall::outbox::{Options, Outbox};
use footfall::system::rss_bytes;
use jiff::tz::TimeZone;

/// Events in a group: the writer's own limit.
const GROUP: usize = 100;
/// Groups in one turn of each, and turns that are measured after the first.
const GROUPS: usize = 50;
const TURNS: usize = 10;
/// Size of one event as it is stored, bytes.
const SIZE: usize = 300;

fn main() {
    give_big_buffers_back();
    let dir = tempfile::tempdir().expect("a directory");
    let identity = Identity {
        tenant: "t".into(),
        store: "s".into(),
        box_id: "b".into(),
        boot_id: "5f0c".into(),
        zone: TimeZone::UTC,
    };
    let clock = Arc::new(SystemClock::new(true));
    let empty = draft(&clock, 0).encode(&identity, 100_000).unwrap().len();
    let draft = draft(&clock, SIZE.saturating_sub(empty));
    let event = draft.encode(&identity, 100_000).unwrap();
    println!(
        "events of {} bytes in groups of {GROUP}, each group durable before the next, {}",
        event.len(),
        dir.path().display()
    );
    let options = Options::new(dir.path());
    let (outbox, _) = Outbox::open(options, identity, clock).expect("an outbox");
    println!("  RSS {} MB when the outbox is open", rss_bytes() >> 20);
    let mut log = File::create(dir.path().join("log")).expect("a file");
    let (mut kept, mut plain) = (Turn::default(), Turn::default());
    for turn in 0..=TURNS {
        let one = measured(|| {
            for _ in 0..GROUPS {
                let group: Vec<_> = (0..GROUP)
                    .map(|_| outbox.submit(draft.clone()).expect("room"))
                    .collect();
                // The last one first: when it has come, so have all.
                for receipt in group.into_iter().rev() {
                    receipt.blocking_recv().expect("a receipt");
                }
            }
        });
        let other = measured(|| {
            for _ in 0..GROUPS {
                let group: Vec<u8> = event.repeat(GROUP);
                log.write_all(&group).expect("room");
                log.sync_data().expect("a sync");
            }
        });
        if turn > 0 {
            kept.add(one);
            plain.add(other);
        }
    }
    kept.print("outbox");
    plain.print("append + fdatasync");
    println!(
        "  outbox against append + fdatasync: ratio of events/s {:.2}",
        plain.wall.as_secs_f64() / kept.wall.as_secs_f64()
    );
    println!(
        "  RSS {} MB; files of the outbox {:.2} KB an event",
        rss_bytes() >> 20,
        (disk_bytes(dir.path()) - log.metadata().expect("the log").len()) as f64
            / ((TURNS + 1) * GROUPS * GROUP) as f64
            / 1e3
    );
    outbox.close().expect("closed");
}

/// Starts this again with the setting that the program gives itself, for the memory's sake.
fn give_big_buffers_back() {
    use std::os::unix::process::CommandExt;
    const LIMIT: &str = "MALLOC_MMAP_THRESHOLD_";
    if std::env::var_os(LIMIT).is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
        // Returns only when it failed.
        let _ = again
            .args(std::env::args_os().skip(1))
            .env(LIMIT, "131072")
            .exec();
    }
}

fn draft(clock: &SystemClock, size: usize) -> Draft {
    Draft {
        source: String::new(),
        at: clock.now(),
        body: Body::DeviceAlarm(DeviceAlarm {
            part: String::new(),
            message: "x".repeat(size),
        }),
    }
}

/// What one side took, added up.
#[derive(Default)]
struct Turn {
    wall: Duration,
    written: u64,
}

impl Turn {
    fn add(&mut self, other: Self) {
        self.wall += other.wall;
        self.written += other.written;
    }

    fn print(&self, what: &str) {
        let events = (TURNS * GROUPS * GROUP) as f64;
        println!(
            "  {what:<20} {:>8.0} events/s   {:.2} ms a group   {:.2} KB written an event",
            events / self.wall.as_secs_f64(),
            self.wall.as_secs_f64() * 1e3 / (TURNS * GROUPS) as f64,
            self.written as f64 / events / 1e3
        );
    }
}

fn measured(work: impl FnOnce()) -> Turn {
    let (before, begin) = (Io::now(), Instant::now());
    work();
    Turn {
        wall: begin.elapsed(),
        written: Io::now().written - before.written,
    }
}

/// What the kernel counted for this process.
struct Io {
    /// Bytes that were sent towards the disk, those of files removed before they got there not counted.
    written: u64,
}

impl Io {
    fn now() -> Self {
        let io = std::fs::read_to_string("/proc/self/io").expect("/proc/self/io");
        let field = |name: &str| -> u64 {
            let value = io.lines().find_map(|line| line.strip_prefix(name));
            value
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(0)
        };
        Self {
            written: field("write_bytes:").saturating_sub(field("cancelled_write_bytes:")),
        }
    }
}

fn disk_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).expect("a directory");
    entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                disk_bytes(&path)
            } else {
                path.metadata().expect("a file").blocks() * 512
            }
        })
        .sum()
}
