//! Keeps today's tally up to date with the outbox, and on disk.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::tally::{LineDay, Tally};
use crate::durable;
use crate::event::Stream;
use crate::outbox::{OutboxError, Queue};

/// Events read from the outbox at once.
const AT_ONCE: usize = 500;
const AT_ONCE_BYTES: usize = 256 * 1024;

/// Today's sums, shared by the page and whoever feeds them.
pub struct Today {
    tally: Mutex<Tally>,
    path: PathBuf,
}

impl Today {
    /// Starts from the checkpoint in `dir`. A missing or damaged one means counting from what the outbox still holds.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        let path = dir.join("today.json");
        let tally = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            tally: Mutex::new(tally),
            path,
        }
    }

    /// Takes every durable event that is not in the sums yet.
    ///
    /// # Errors
    /// The outbox cannot be read; nothing is lost, the next call goes on from there.
    pub fn catch_up(&self, queue: &dyn Queue) -> Result<(), OutboxError> {
        loop {
            let after = self.lock().sequence();
            let events = queue.read(Stream::Count, after, AT_ONCE, AT_ONCE_BYTES)?;
            if events.is_empty() {
                return Ok(());
            }
            let mut tally = self.lock();
            for event in &events {
                tally.take(event.sequence, &event.bytes);
            }
        }
    }

    /// Writes the checkpoint.
    ///
    /// # Errors
    /// I/O; the older checkpoint stays.
    pub fn checkpoint(&self) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(&*self.lock())?;
        durable::write(&self.path, &bytes)
    }

    /// The day's crossings of one line; zero when the day has turned since the last crossing.
    #[must_use]
    pub fn line(&self, day: &str, camera: &str, line: &str) -> LineDay {
        let tally = self.lock();
        if tally.day() == day {
            tally.line(camera, line)
        } else {
            LineDay::default()
        }
    }

    /// What was set by hand today, people; 0 when the day has turned since.
    #[must_use]
    pub fn offset(&self, day: &str) -> i64 {
        let tally = self.lock();
        if tally.day() == day {
            tally.offset()
        } else {
            0
        }
    }

    /// From now on and until the day turns, so many people more are inside than in minus out says. Durable.
    ///
    /// # Errors
    /// I/O; it then holds until a restart.
    pub fn set_offset(&self, day: &str, offset: i64) -> std::io::Result<()> {
        self.lock().set_offset(day, offset);
        self.checkpoint()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
