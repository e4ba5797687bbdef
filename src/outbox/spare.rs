//! The segment that is made ahead of its turn.

use std::path::Path;
use std::thread::{self, JoinHandle};

use super::chain::Layout;
use super::layout::{self, Kind};
use super::segment::{Segment, SegmentError};

/// An empty segment that is made ahead, on a thread of its own, so that no event waits for it. It is not opened, and
/// it is removed at the next start unless it has become a segment.
pub struct Spare {
    ordinal: u64,
    thread: JoinHandle<Result<(), SegmentError>>,
}

impl Spare {
    /// Begins to make segment `ordinal`; `None` without a thread for it.
    pub fn begin(layout: &Layout, ordinal: u64) -> Option<Self> {
        let new = Kind::New.path(&layout.dir, ordinal);
        let cache_bytes = layout.cache_bytes;
        let thread = thread::Builder::new()
            .name("outbox-spare".to_owned())
            .spawn(move || make(&new, cache_bytes));
        let thread = thread.ok()?;
        Some(Self { ordinal, thread })
    }

    /// Waits until it is done; whether it is good for this number.
    pub fn made(self, ordinal: u64) -> bool {
        matches!(self.thread.join(), Ok(Ok(()))) && self.ordinal == ordinal
    }

    /// Waits until it is done, and removes it.
    pub fn discard(self, dir: &Path) {
        let _ = self.thread.join();
        let _ = layout::remove(&Kind::New.path(dir, self.ordinal));
    }
}

/// Makes an empty segment in a directory whose content, if any, gives way.
///
/// # Errors
/// [`SegmentError`]; nothing is left behind.
pub fn make(dir: &Path, cache_bytes: u64) -> Result<(), SegmentError> {
    layout::remove(dir)?;
    // What was begun must not take the room that may be missing.
    let made = Segment::create(dir, cache_bytes).inspect_err(|_| {
        let _ = layout::remove(dir);
    });
    made.map(drop)
}
