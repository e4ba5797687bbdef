//! What the cloud has acknowledged, in a file of two slots written in turn: a torn write costs the newer
//! slot, never both. The content may be older than the truth; that means duplicates, never loss.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use super::frame::{self, Reader};
use super::ranges::{PerStream, RangeSet};
use crate::durable;
use crate::event::Stream;

/// Size of one slot, bytes.
pub const SLOT: u64 = 64 * 1024;
/// Ranges of one stream that fit: a frame, the generation, four marks and counts, 16 bytes a range.
const RANGES: usize = 1000;
const TAG: [u8; 4] = *b"FfA1";

/// What one slot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acks {
    /// No number above it has been given out: the writer raises it, durably, ahead of the numbers.
    pub reserved: PerStream<u64>,
    /// Acknowledged, or reported as gone.
    pub acked: PerStream<RangeSet>,
}

/// One slot's bytes. Of more than [`RANGES`] ranges in a stream the lowest are kept: the rest is sent again.
#[must_use]
pub fn encode(generation: u64, acks: &Acks) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&generation.to_le_bytes());
    for (stream, set) in acks.acked.iter() {
        out.extend_from_slice(&acks.reserved[stream].to_le_bytes());
        let count = set.iter().take(RANGES).count();
        out.extend_from_slice(&(count as u32).to_le_bytes());
        for range in set.iter().take(RANGES) {
            out.extend_from_slice(&range.start().to_le_bytes());
            out.extend_from_slice(&range.end().to_le_bytes());
        }
    }
    frame::wrap(TAG, &out)
}

/// A slot's generation and content; `None` when it is damaged or was never written.
#[must_use]
pub fn decode(slot: &[u8]) -> Option<(u64, Acks)> {
    let mut at = Reader(frame::unwrap(TAG, slot)?);
    let generation = at.u64()?;
    let mut acks = Acks::default();
    for stream in Stream::ALL {
        acks.reserved[stream] = at.u64()?;
        for _ in 0..at.u32()? {
            let (first, last) = (at.u64()?, at.u64()?);
            if first == 0 || first > last {
                return None;
            }
            acks.acked[stream].insert(first..=last);
        }
    }
    at.0.is_empty().then_some((generation, acks))
}

/// The open file.
#[derive(Debug)]
pub struct AckFile {
    file: File,
    generation: u64,
}

impl AckFile {
    /// Opens or creates `path` and reads the newest whole slot; `None` where there is none.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn open(path: &Path) -> io::Result<(Self, Option<Acks>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        // Its room is taken at once: acknowledgements are what makes room on a full disk. Not every file system can.
        let _ = fallocate(&file, FallocateFlags::empty(), 0, 2 * SLOT);
        durable::sync_dir(durable::parent(path))?;
        let mut bytes = Vec::new();
        file.by_ref().take(2 * SLOT).read_to_end(&mut bytes)?;
        let newest = newest(&bytes);
        let generation = newest.as_ref().map_or(0, |(generation, _)| *generation);
        let opened = Self { file, generation };
        Ok((opened, newest.map(|(_, acks)| acks)))
    }

    /// Writes the older slot and syncs it.
    ///
    /// # Errors
    /// Any I/O error; the other slot still holds what was stored before.
    pub fn store(&mut self, acks: &Acks) -> io::Result<()> {
        let generation = self.generation + 1;
        let bytes = encode(generation, acks);
        debug_assert!(bytes.len() as u64 <= SLOT);
        self.file.write_all_at(&bytes, generation % 2 * SLOT)?;
        self.file.sync_data()?;
        self.generation = generation;
        Ok(())
    }
}

/// The newest whole slot of a file's bytes.
#[must_use]
pub fn newest(file: &[u8]) -> Option<(u64, Acks)> {
    let second = file.get(SLOT as usize..).unwrap_or_default();
    [file, second]
        .into_iter()
        .filter_map(decode)
        .max_by_key(|(generation, _)| *generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn some_acks() -> impl Strategy<Value = Acks> {
        let set = prop::collection::vec((1u64..1000, 0u64..9), 0..6);
        (any::<[u64; 4]>(), prop::array::uniform4(set)).prop_map(|(reserved, sets)| Acks {
            reserved: PerStream(reserved),
            acked: PerStream(sets.map(|set| set.into_iter().map(|(a, n)| a..=a + n).collect())),
        })
    }

    #[test]
    fn a_full_slot_keeps_the_lowest_ranges_and_fits() {
        let mut acks = Acks::default();
        for stream in Stream::ALL {
            acks.acked[stream] = (1..3000u64).map(|n| 2 * n..=2 * n).collect();
        }
        let bytes = encode(u64::MAX, &acks);
        assert!(bytes.len() as u64 <= SLOT);
        let (_, read) = decode(&bytes).unwrap();
        assert_eq!(read.acked[Stream::Alarm].total(), RANGES as u64);
        assert_eq!(read.acked[Stream::Alarm].last(), Some(2 * RANGES as u64));
    }

    #[test]
    fn a_damaged_slot_gives_way_to_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acks");
        let (mut file, none) = AckFile::open(&path).unwrap();
        assert_eq!(none, None);
        let mut acks = Acks::default();
        for last in 1..=3 {
            acks.acked[Stream::Count].insert(1..=last);
            file.store(&acks).unwrap();
        }
        drop(file);
        let stored = || AckFile::open(&path).unwrap().1;
        assert_eq!(stored().unwrap().acked[Stream::Count].prefix(), 3);
        let mut bytes = fs::read(&path).unwrap();
        bytes[SLOT as usize + 30] ^= 1;
        #[allow(clippy::disallowed_methods)] // damage on purpose
        fs::write(&path, &bytes).unwrap();
        assert_eq!(stored().unwrap().acked[Stream::Count].prefix(), 2);
        // The next write replaces the damaged slot, not the good one.
        let (mut file, acks) = AckFile::open(&path).unwrap();
        file.store(&acks.unwrap()).unwrap();
        assert_eq!(stored().unwrap().acked[Stream::Count].prefix(), 2);
        bytes[30] ^= 1;
        #[allow(clippy::disallowed_methods)]
        fs::write(&path, &bytes).unwrap();
        assert_eq!(stored(), None);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(generation: u64, acks in some_acks()) {
            prop_assert_eq!(decode(&encode(generation, &acks)), Some((generation, acks)));
        }

        #[test]
        fn a_damaged_slot_is_refused(
            acks in some_acks(), at: prop::sample::Index, bit in 0u8..8,
        ) {
            let mut bytes = encode(7, &acks);
            let at = at.index(bytes.len());
            prop_assert_eq!(decode(&bytes[..at]), None);
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(decode(&bytes), None);
        }

        #[test]
        fn any_content_in_a_whole_frame_is_refused_or_read_without_a_panic(
            content in prop::collection::vec(any::<u8>(), 0..99),
        ) {
            let _ = decode(&frame::wrap(TAG, &content));
        }
    }
}
