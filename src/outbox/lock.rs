//! One footfall at a time in a data directory.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::OutboxError;
use super::layout::LOCK;

/// How long the lock of a footfall that is just stopping is waited for.
pub const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(100);

/// Takes the lock of the data directory.
///
/// # Errors
/// [`OutboxError::Locked`] when another process keeps it; [`OutboxError::Io`].
pub fn take(dir: &Path, tries: u32) -> Result<File, OutboxError> {
    let open = || {
        std::fs::read_dir(dir)?;
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK))
    };
    let file = open().map_err(|error| OutboxError::io(dir, "open", error))?;
    for attempt in 0.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < tries => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(OutboxError::Locked(dir.display().to_string()));
            }
            Err(TryLockError::Error(error)) => return Err(OutboxError::io(dir, "lock", error)),
        }
    }
    Ok(file)
}
