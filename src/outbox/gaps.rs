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

    /// Whether the next one goes on where this one ends and fares as it does.
    fn takes(&self, next: &Self) -> bool {
        (self.stream, self.reason, self.report.is_some())
            == (next.stream, next.reason, next.report.is_some())
            && next.first <= self.last + 1
    }
}

/// Losses kept of those whose report the cloud has, at most. They are a second witness only: the first is the ack file.
const SETTLED: usize = 500;
/// Reports of one stream that wait for the cloud before further losses for lack of room wait themselves.
const ON_THEIR_WAY: usize = 2;

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

    /// Forgets the reports under these numbers of the alarm stream: they are made again.
    pub fn unreport(&mut self, alarms: &RangeSet) {
        for gap in &mut self.0 {
            gap.report = gap.report.filter(|report| !alarms.contains(*report));
        }
    }

    /// Makes one loss of those that touch and have no report yet, and of those that touch and are settled: the cloud has
    /// their reports. `acked` is what it has of the alarm stream.
    pub fn join(&mut self, acked: &RangeSet) {
        let (mut free, in_flight): (Vec<Gap>, Vec<Gap>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|gap| gap.report.is_none_or(|report| acked.contains(report)));
        free.sort_by_key(|gap| (gap.report.is_none(), gap.stream.index(), gap.first));
        for gap in free {
            match self.0.last_mut() {
                Some(last) if last.takes(&gap) => {
                    last.last = last.last.max(gap.last);
                    last.report = last.report.max(gap.report);
                }
                _ => self.0.push(gap),
            }
        }
        self.0.extend(in_flight);
    }

    /// Forgets the oldest settled losses where there are many; true when there were. The ack file must know them.
    pub fn trim(&mut self, acked: &RangeSet) -> bool {
        let settled = self.0.iter().filter_map(|gap| gap.report);
        let mut settled: Vec<u64> = settled.filter(|n| acked.contains(*n)).collect();
        let Some(excess) = settled.len().checked_sub(SETTLED).filter(|n| *n > 0) else {
            return false;
        };
        settled.sort_unstable();
        let oldest_kept = settled.get(excess).copied().unwrap_or(u64::MAX);
        self.0.retain(|gap| {
            gap.report
                .is_none_or(|n| n >= oldest_kept || !acked.contains(n))
        });
        true
    }

    /// The missing numbers, per stream.
    #[must_use]
    pub fn missing(&self) -> PerStream<RangeSet> {
        self.numbers(|_| true)
    }

    /// Of the missing numbers those that had to make room.
    #[must_use]
    pub fn given_up(&self) -> PerStream<RangeSet> {
        self.numbers(|gap| gap.reason == GapReason::Quota)
    }

    fn numbers(&self, which: impl Fn(&Gap) -> bool) -> PerStream<RangeSet> {
        let mut numbers = PerStream::<RangeSet>::default();
        for gap in self.0.iter().filter(|gap| which(gap)) {
            numbers[gap.stream].insert(gap.first..=gap.last);
        }
        numbers
    }

    /// Plans the report of every loss that has none, from number `next` of the alarm stream, and returns
    /// those losses in the order of their reports. `acked` is what the cloud has of the alarm stream: losses for lack of
    /// room wait as long as [`ON_THEIR_WAY`] of their stream are on their way there, and grow together meanwhile. So weeks
    /// of a full disk without the cloud are a few reports, not one for each step.
    pub fn plan(&mut self, next: u64, acked: &RangeSet) -> Vec<Gap> {
        let mut on_their_way = PerStream::<usize>::default();
        let in_flight = |gap: &&Gap| gap.report.is_some_and(|report| !acked.contains(report));
        for gap in self.0.iter().filter(in_flight) {
            on_their_way[gap.stream] += 1;
        }
        let mut planned = Vec::new();
        for gap in self.0.iter_mut().filter(|gap| gap.report.is_none()) {
            if gap.reason == GapReason::Quota && on_their_way[gap.stream] >= ON_THEIR_WAY {
                continue;
            }
            on_their_way[gap.stream] += 1;
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
        let none = RangeSet::default();
        assert_eq!(gaps.plan(5, &none), [gap(7, Some(5)), gap(9, Some(6))]);
        assert_eq!(gaps.plan(7, &none), []);
        gaps.store(&path).unwrap();
        assert_eq!(Gaps::load(&path).unwrap(), gaps);
        assert_eq!(gaps.missing()[Stream::Count].total(), 6);
    }

    #[test]
    fn losses_that_touch_are_reported_as_one_and_lost_reports_are_made_again() {
        let gap = |stream, first, last, report| Gap {
            stream,
            first,
            last,
            reason: GapReason::Quota,
            report,
        };
        let (count, alarm) = (Stream::Count, Stream::Alarm);
        let mut gaps = Gaps(vec![
            gap(count, 1, 10, Some(7)),
            gap(count, 11, 20, Some(8)),
            gap(count, 31, 40, Some(30)),
            gap(alarm, 5, 9, None),
            gap(count, 21, 25, None),
            gap(count, 26, 30, Some(29)),
            gap(count, 41, 50, Some(31)),
        ]);
        gaps.unreport(&RangeSet::from_iter([5..=9]));
        // The cloud has reports 29 and 30, and 31 is on its way.
        gaps.join(&RangeSet::from_iter([20..=30]));
        let expected = [
            gap(count, 26, 40, Some(30)),
            gap(alarm, 5, 9, None),
            gap(count, 1, 25, None),
            gap(count, 41, 50, Some(31)),
        ];
        assert_eq!(gaps.0, expected);
    }

    #[test]
    fn losses_wait_while_one_of_their_stream_is_on_its_way_and_the_file_stays_small() {
        let mut gaps = Gaps::default();
        let mut acked = RangeSet::default();
        let (mut reports, mut told) = (0, RangeSet::default());
        let mut longest = 0;
        // Steps of a full disk; the cloud is there for one in five and has the newest count event then.
        for step in 0..3_000u64 {
            let lost =
                RangeSet::from_iter([step * 10 + 1..=step * 10 + 10 - u64::from(step % 5 == 0)]);
            gaps.add(Stream::Count, &lost, GapReason::Quota);
            gaps.join(&acked);
            for gap in gaps.plan(reports + 1, &acked) {
                reports += 1;
                for number in gap.first..=gap.last {
                    assert!(!told.contains(number), "{number} is reported twice");
                }
                told.insert(gap.first..=gap.last);
            }
            if step % 5 == 0 {
                acked.insert(1..=reports);
            }
            gaps.trim(&acked);
            longest = longest.max(gaps.0.len());
        }
        assert!(longest <= SETTLED + 10, "{longest}");
        assert!(reports < 2000, "{reports}");
        acked.insert(1..=reports);
        for gap in gaps.plan(reports + 1, &acked) {
            told.insert(gap.first..=gap.last);
        }
        assert_eq!(told.total(), 30_000 - 600);
    }
}
