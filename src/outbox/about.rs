//! What a segment says about itself, in a small file beside its database: where it starts, how much it may
//! hold and, once it is sealed, exactly what is in it.
//!
//! The start and the limit bound which numbers a lost segment can have given out.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ranges::{PerStream, RangeSet};
use super::{frame, layout};
use crate::durable;
use crate::event::Stream;

const TAG: [u8; 4] = *b"FfS1";
const NAME: &str = "about";

/// The facts of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Number of the segment it belongs to: a file that strayed is not believed.
    #[serde(default)]
    pub ordinal: Option<u64>,
    /// First number this segment may give, per stream.
    pub start: [u64; 4],
    /// Events it may hold, over all streams.
    pub limit: u64,
    /// Wall-clock second of its creation.
    pub created: i64,
    /// Each start of the outbox that wrote to it: its epoch and the first number it could give, per stream.
    /// A record of an earlier epoch from there on is a torn leftover.
    pub epochs: Vec<(u32, [u64; 4])>,
    /// What it holds; absent while it is still written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

/// What a sealed segment holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Size on disk, bytes.
    pub bytes: u64,
    /// The numbers stored, per stream, as first and last of each range.
    pub present: [Vec<(u64, u64)>; 4],
}

impl Sealed {
    /// From what is in the segment.
    #[must_use]
    pub fn new(bytes: u64, present: &PerStream<RangeSet>) -> Self {
        let ranges = |set: &RangeSet| {
            set.iter()
                .map(std::ops::RangeInclusive::into_inner)
                .collect()
        };
        Self {
            bytes,
            present: present.0.each_ref().map(ranges),
        }
    }

    /// The numbers stored.
    #[must_use]
    pub fn present(&self) -> PerStream<RangeSet> {
        let set = |ranges: &Vec<(u64, u64)>| ranges.iter().map(|&(a, b)| a..=b).collect();
        PerStream(self.present.each_ref().map(set))
    }
}

impl About {
    /// Stands in for facts that were lost: begins with the first number there.
    #[must_use]
    pub fn unknown(present: &PerStream<RangeSet>) -> Self {
        Self {
            ordinal: None,
            start: present.0.each_ref().map(|set| set.first().unwrap_or(1)),
            limit: 0,
            created: 0,
            epochs: Vec::new(),
            sealed: None,
        }
    }

    /// Reads a segment's facts; `None` when they are missing or damaged.
    ///
    /// # Errors
    /// Any I/O error but a missing file.
    pub fn load(segment: &Path) -> io::Result<Option<Self>> {
        let bytes = match std::fs::read(segment.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let strayed = |about: &Self| about.ordinal != layout::ordinal(segment);
        Ok(Self::decode(&bytes).filter(|about| !strayed(about)))
    }

    /// Stores a segment's facts so that they survive a power cut.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn store(&self, segment: &Path) -> io::Result<()> {
        let about = Self {
            ordinal: layout::ordinal(segment),
            ..self.clone()
        };
        durable::write(&segment.join(NAME), &about.encode()?)
    }

    /// The lowest epoch whose record of that number is no leftover.
    #[must_use]
    pub fn epoch_of(&self, stream: Stream, sequence: u64) -> u32 {
        let begun = |begin: &[u64; 4]| begin[stream.index()] <= sequence;
        let epochs = self.epochs.iter().filter(|(_, begin)| begun(begin));
        epochs.map(|&(epoch, _)| epoch).max().unwrap_or(0)
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        Ok(frame::wrap(TAG, &serde_json::to_vec(self)?))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let about: Self = serde_json::from_slice(frame::unwrap(TAG, bytes)?).ok()?;
        let ranges = about
            .sealed
            .iter()
            .flat_map(|sealed| sealed.present.iter().flatten());
        let sane = ranges.fold(true, |sane, &(first, last)| {
            sane && 0 < first && first <= last
        });
        sane.then_some(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_facts_survive_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(About::load(dir.path()).unwrap(), None);
        let mut present = PerStream::<RangeSet>::default();
        present[Stream::Count].insert(5..=9);
        present[Stream::Count].insert(12..=12);
        let about = About {
            ordinal: None,
            start: [1, 5, 1, 1],
            limit: 50_000,
            created: -7,
            epochs: vec![(3, [1, 5, 1, 1]), (4, [1, 9, 1, 1])],
            sealed: Some(Sealed::new(77, &present)),
        };
        about.store(dir.path()).unwrap();
        assert_eq!(About::load(dir.path()).unwrap(), Some(about.clone()));
        assert_eq!(about.epoch_of(Stream::Count, 8), 3);
        assert_eq!(about.epoch_of(Stream::Count, 9), 4);
        assert_eq!(about.sealed.as_ref().unwrap().present(), present);
        let other = dir.path().join("seg-00000007");
        std::fs::create_dir(&other).unwrap();
        about.store(&other).unwrap();
        assert_eq!(About::load(&other).unwrap().unwrap().ordinal, Some(7));
        std::fs::rename(other.join(NAME), dir.path().join(NAME)).unwrap();
        assert_eq!(About::load(dir.path()).unwrap(), None);
        let mut bytes = about.encode().unwrap();
        bytes[40] ^= 4;
        assert_eq!(About::decode(&bytes), None);
    }
}
