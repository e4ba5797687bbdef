//! Which losses have been found and under which number of the alarm stream each is reported, so that a
//! loss is reported once. The plan is stored before the report is; the report then either has its number
//! in the alarm stream or is made again.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::frame;
use super::ranges::{PerStream, RangeSet};
use crate::durable;
use crate::event::{GapReason, OutboxGap, Stream};

const TAG: [u8; 4] = *b"FfG1";

/// One loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub stream: Stream,
    pub first: u64,
    pub last: u64,
    pub reason: GapReason,
    /// Number of its `outbox.gap` event in the alarm stream, once planned.
    pub report: Option<u64>,
}

impl Gap {
    /// The event's content.
    #[must_use]
    pub const fn event(&self) -> OutboxGap {
        OutboxGap {
            stream: self.stream,
            first: self.first,
            last: self.last,
            count: self.last - self.first + 1,
            reason: self.reason,
        }
    }
}

/// All losses whose surroundings are still stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gaps(pub Vec<Gap>);

impl Gaps {
    /// Reads the file; nothing when it is missing or damaged (the losses are then found and reported anew).
    ///
    /// # Errors
    /// Any I/O error but a missing file.
    pub fn load(path: &Path) -> io::Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let gaps: Option<Self> =
            frame::unwrap(TAG, &bytes).and_then(|json| serde_json::from_slice(json).ok());
        let mut gaps = gaps.unwrap_or_default();
        gaps.0.retain(|gap| 0 < gap.first && gap.first <= gap.last);
        Ok(gaps)
    }

    /// Stores the file so that it survives a power cut.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        durable::write(path, &frame::wrap(TAG, &serde_json::to_vec(self)?))
    }

    /// Notes losses of one stream; they have no report yet.
    pub fn add(&mut self, stream: Stream, lost: &RangeSet, reason: GapReason) {
        self.0.extend(lost.iter().map(|range| Gap {
            stream,
            first: *range.start(),
            last: *range.end(),
            reason,
            report: None,
        }));
    }

    /// The missing numbers, per stream.
    #[must_use]
    pub fn missing(&self) -> PerStream<RangeSet> {
        let mut missing = PerStream::<RangeSet>::default();
        for gap in &self.0 {
            missing[gap.stream].insert(gap.first..=gap.last);
        }
        missing
    }

    /// Plans the report of every loss that has none, from number `next` of the alarm stream, and returns
    /// those losses in the order of their reports.
    pub fn plan(&mut self, next: u64) -> Vec<Gap> {
        let mut planned = Vec::new();
        for gap in self.0.iter_mut().filter(|gap| gap.report.is_none()) {
            gap.report = Some(next + planned.len() as u64);
            planned.push(*gap);
        }
        planned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_planned_once_and_survive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gaps");
        assert_eq!(Gaps::load(&path).unwrap(), Gaps::default());
        let gap = |first, report| Gap {
            stream: Stream::Count,
            first,
            last: first + 1,
            reason: GapReason::Corruption,
            report,
        };
        let mut gaps = Gaps(vec![gap(1, Some(4)), gap(7, None), gap(9, None)]);
        assert_eq!(gaps.plan(5), [gap(7, Some(5)), gap(9, Some(6))]);
        assert_eq!(gaps.plan(7), []);
        gaps.store(&path).unwrap();
        assert_eq!(Gaps::load(&path).unwrap(), gaps);
        assert_eq!(gaps.missing()[Stream::Count].total(), 6);
    }
}
