//! Room on disk: what the outbox takes, what is free, and the reserve, a file that is really there and is
//! removed when the disk is full, so that sled can still open, commit and write a segment anew.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::layout::{self, Kind, RESERVE};
use super::segment::bytes;
use crate::durable;

const MB: u64 = 1 << 20;
/// The quota where none is set: at most this, and at most a quarter of the file system.
const QUOTA: u64 = 1024 * MB;
/// The reserve: this, or a quarter of a small quota.
const RESERVED: u64 = 8 * MB;
/// Below this nothing can be said about a database that does not open: it may be for lack of room.
const NO_ROOM: u64 = MB;

/// How much the outbox may take, and its reserve.
#[derive(Clone, Debug)]
pub struct Space {
    dir: PathBuf,
    /// All that the outbox may take, the reserve included.
    pub quota: u64,
    reserve: u64,
}

impl Space {
    /// In this directory, with this quota, or with one that suits the file system.
    ///
    /// # Errors
    /// The file system does not say how big it is.
    pub fn new(dir: &Path, quota: Option<u64>) -> io::Result<Self> {
        let quota = match quota {
            Some(quota) => quota,
            None => {
                let system = statvfs(dir)?;
                QUOTA.min(system.f_blocks.saturating_mul(system.f_frsize) / 4)
            }
        };
        Ok(Self {
            dir: dir.to_owned(),
            quota,
            reserve: RESERVED.min(quota / 4),
        })
    }

    /// What the outbox needs at hand to commit, to begin a segment and to write one anew, bytes.
    const fn headroom(&self) -> u64 {
        self.reserve / 2
    }

    /// What all files take, the reserve included, bytes. `sealed` says it of segments that do not change any more:
    /// thousands of them are not looked at again and again.
    #[must_use]
    pub fn used(&self, sealed: &BTreeMap<u64, u64>) -> u64 {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return 0;
        };
        let of = |entry: fs::DirEntry| {
            let known = match layout::parse(&entry.file_name()) {
                Some((Kind::Segment, ordinal)) => sealed.get(&ordinal).copied(),
                _ => None,
            };
            known.unwrap_or_else(|| bytes(&entry))
        };
        entries.flatten().map(of).sum()
    }

    fn path(&self) -> PathBuf {
        self.dir.join(RESERVE)
    }

    /// Whether the reserve is there.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.path().exists()
    }

    /// Gives the reserve up; false when there was none.
    pub fn release(&self) -> bool {
        let released = fs::remove_file(self.path()).is_ok();
        if released {
            tracing::warn!(
                bytes = self.reserve,
                "the disk is full; using up the reserve"
            );
        }
        released
    }

    /// Gives the reserve up when nothing else is left to open with.
    pub fn prepare(&self) {
        if free(&self.dir) < self.headroom() {
            self.release();
        }
    }

    /// Whether files that take `used` bytes are too much. The reserve's place is kept free while it is not there.
    #[must_use]
    pub fn is_over(&self, used: u64) -> bool {
        let reserve = match self.is_reserved() {
            true => 0,
            false => self.reserve,
        };
        used + reserve > self.quota
    }

    /// Whether so little is left that room must be made before the next write fails.
    #[must_use]
    pub fn is_low(&self) -> bool {
        !self.is_reserved() && free(&self.dir) < self.headroom()
    }

    /// Whether a write can have failed for lack of room.
    #[must_use]
    pub fn is_short(&self) -> bool {
        free(&self.dir) < self.headroom().max(NO_ROOM)
    }

    /// Takes the reserve again when that leaves enough to work with.
    pub fn restore(&self) {
        if self.reserve == 0
            || self.is_reserved()
            || free(&self.dir) < self.reserve + self.headroom()
        {
            return;
        }
        match allocate(&self.path(), self.reserve) {
            Ok(()) => tracing::info!(bytes = self.reserve, "a reserve is set aside"),
            Err(error) => {
                tracing::debug!(%error, "no reserve can be set aside");
                let _ = fs::remove_file(self.path());
            }
        }
    }
}

/// Makes a file that really takes so many bytes.
fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        // Not every file system can.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(&mut file, bytes)?,
        Err(error) => return Err(error.into()),
    }
    file.sync_all()?;
    durable::sync_dir(durable::parent(path))
}

fn fill(file: &mut File, bytes: u64) -> io::Result<()> {
    let block = vec![0x5a; 64 * 1024];
    for _ in 0..bytes.div_ceil(block.len() as u64) {
        file.write_all(&block)?;
    }
    Ok(())
}

/// Free bytes of the file system; plenty when it does not say.
fn free(dir: &Path) -> u64 {
    statvfs(dir).map_or(u64::MAX, |system| {
        system.f_bavail.saturating_mul(system.f_frsize)
    })
}

/// Whether an error is about room and not about the bytes.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether the file system of this directory is full.
#[must_use]
pub fn no_room(dir: &Path) -> bool {
    free(dir) < NO_ROOM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_really_takes_its_bytes_and_comes_back() {
        let tmp = tempfile::tempdir().unwrap();
        let space = Space::new(tmp.path(), Some(8 * MB)).unwrap();
        let empty = space.used(&BTreeMap::new());
        space.restore();
        assert!(space.is_reserved() && !space.is_low());
        assert!(
            space.used(&BTreeMap::new()) >= empty + 2 * MB,
            "{}",
            space.used(&BTreeMap::new())
        );
        assert!(space.release() && !space.release());
        assert!(space.used(&BTreeMap::new()) < empty + MB);
        fill(&mut File::create(tmp.path().join("filled")).unwrap(), MB).unwrap();
        assert!(space.used(&BTreeMap::new()) >= empty + MB);
    }

    #[test]
    fn an_unset_quota_is_at_most_a_quarter_of_the_file_system() {
        let tmp = tempfile::tempdir().unwrap();
        let space = Space::new(tmp.path(), None).unwrap();
        let system = statvfs(tmp.path()).unwrap();
        assert!(space.quota <= QUOTA && space.quota <= system.f_blocks * system.f_frsize / 4);
    }
}
