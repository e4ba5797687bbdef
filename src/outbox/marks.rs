//! The last number of each stream that is durable, written beside the database after every commit but not
//! synced: it costs no fsync and survives a killed process exactly. At the next start it is the witness
//! that tells a damaged tail from one that was never written. Old, it says less, never wrong. It is synced once at each
//! start, so that it is damaged only where something damaged it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::frame::{self, Reader};
use super::ranges::PerStream;

const TAG: [u8; 4] = *b"FfM1";

/// The open file.
#[derive(Debug)]
pub struct Marks(File);

impl Marks {
    /// Opens or creates `path` and reads it; `None` when it is missing or damaged.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn open(path: &Path) -> io::Result<(Self, Option<PerStream<u64>>)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut bytes = [0; 64];
        let length = file.read_at(&mut bytes, 0)?;
        let last = decode(bytes.get(..length).unwrap_or_default());
        Ok((Self(file), last))
    }

    /// Replaces the content so that it survives a power cut.
    ///
    /// # Errors
    /// Those of [`Marks::store`].
    pub fn begin(&self, last: &PerStream<u64>) -> io::Result<()> {
        self.store(last)?;
        self.0.sync_all()
    }

    /// Replaces the content.
    ///
    /// # Errors
    /// Any I/O error; nothing that was promised depends on it.
    pub fn store(&self, last: &PerStream<u64>) -> io::Result<()> {
        let content: Vec<u8> = last.0.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.0.write_all_at(&frame::wrap(TAG, &content), 0)
    }
}

/// The marks in a file's bytes; `None` when they are damaged.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<PerStream<u64>> {
    let mut at = Reader(frame::unwrap(TAG, bytes)?);
    Some(PerStream([at.u64()?, at.u64()?, at.u64()?, at.u64()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_and_torn_ones_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        let (marks, none) = Marks::open(&path).unwrap();
        assert_eq!(none, None);
        marks.store(&PerStream([1, 2, 3, u64::MAX])).unwrap();
        assert_eq!(
            Marks::open(&path).unwrap().1,
            Some(PerStream([1, 2, 3, u64::MAX]))
        );
        marks.0.write_all_at(&[0xff], 20).unwrap();
        assert_eq!(Marks::open(&path).unwrap().1, None);
    }
}
