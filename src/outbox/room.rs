//! What to give up when room is needed: lowest stream first, oldest first, acknowledged events before all others. Pure.
//!
//! A segment cannot shrink, it can only be written anew without something, and even an almost empty one takes
//! half a megabyte. So a step takes a run of neighbouring segments, leaves something out and writes the rest
//! as one. A step that frees next to nothing is not taken: one diagnostic event in a thousand counts stays as
//! long as its segment does.

use super::ranges::PerStream;
use crate::event::Stream;

/// What the smallest segment takes on disk, bytes: sled writes half a megabyte at a time.
const SMALLEST: u64 = 544 * 1024;
/// What an event takes in a segment that is written in one go, bytes, at most, unless the segment was smaller before.
const EVENT: u64 = 1024;
/// What a step must free to be worth it, bytes.
const WORTH: u64 = 256 * 1024;
/// Segments in one step, at most: bounds the time it takes.
const RUN: usize = 16;

/// One sealed segment.
#[derive(Clone, Debug)]
pub struct Held {
    pub ordinal: u64,
    /// Size on disk.
    pub bytes: u64,
    /// Events in it.
    pub total: u64,
    /// Of these, not acknowledged.
    pub pending: PerStream<u64>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Neighbouring segments, oldest first; what stays of them becomes one.
    pub ordinals: Vec<u64>,
    /// Unacknowledged events of this stream and of all lower ones are given up; `None`: of no stream.
    pub give_up: Option<Stream>,
    /// Events that stay and must be written anew; 0 when the segments just go.
    pub kept: u64,
}

/// Whether a stream goes when `give_up` does.
#[must_use]
pub fn goes(stream: Stream, give_up: Option<Stream>) -> bool {
    give_up.is_some_and(|lowest_kept| stream.index() >= lowest_kept.index())
}

/// The next step that frees room, for sealed segments in their order; `None` when there is nothing to gain.
/// A segment written anew holds at most `limit` events. Where there is no room to write (`may_write` is
/// false), segments can only go whole, and none that holds a pending alarm does.
#[must_use]
pub fn next_step(held: &[Held], limit: u64, may_write: bool) -> Option<Step> {
    // Nothing is lost by these, so the smallest comes first.
    let free = (1..=RUN).find_map(|length| {
        let mut runs = held.windows(length);
        runs.find_map(|run| step(run, None, limit, may_write))
    });
    let lowest_first = Stream::ALL.into_iter().rev();
    let mut levels = lowest_first.filter(|level| may_write || *level != Stream::Alarm);
    free.or_else(|| levels.find_map(|level| oldest(held, level, limit, may_write)))
}

/// The oldest run that is worth it when a stream and all lower ones are given up there.
fn oldest(held: &[Held], give_up: Stream, limit: u64, may_write: bool) -> Option<Step> {
    (0..held.len()).find_map(|begin| {
        let rest = held.get(begin..)?;
        let first = rest.first()?;
        if stays(first, Some(give_up)) == first.total {
            return None;
        }
        let mut runs = (1..=RUN).filter_map(|length| rest.get(..length));
        runs.find_map(|run| step(run, Some(give_up), limit, may_write))
    })
}

/// Events of a segment that must be kept.
fn stays(one: &Held, give_up: Option<Stream>) -> u64 {
    let kept = one.pending.iter().filter(|(s, _)| !goes(*s, give_up));
    kept.map(|(_, count)| count).sum()
}

/// The step that makes one of these segments, if it is worth it.
fn step(run: &[Held], give_up: Option<Stream>, limit: u64, may_write: bool) -> Option<Step> {
    let (mut now, mut rest, mut kept, mut total) = (0, 0, 0, 0);
    for one in run {
        let stays = stays(one, give_up);
        let share = u128::from(one.bytes) * u128::from(stays) / u128::from(one.total.max(1));
        rest += u64::try_from(share).unwrap_or(u64::MAX).min(stays * EVENT);
        now += one.bytes;
        kept += stays;
        total += one.total;
    }
    let possible = kept == 0 || (may_write && kept <= limit);
    let after = if kept == 0 { 0 } else { rest.max(SMALLEST) };
    let shrinks = run.len() > 1 || kept < total || total == 0;
    (possible && shrinks && now >= after + WORTH).then(|| Step {
        ordinals: run.iter().map(|one| one.ordinal).collect(),
        give_up,
        kept,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MB: u64 = 1 << 20;

    /// Pending alarms, counts, intervals, diagnostics; and as many acknowledged events.
    fn held(ordinal: u64, bytes: u64, pending: [u64; 4], acked: u64) -> Held {
        Held {
            ordinal,
            bytes,
            total: pending.iter().sum::<u64>() + acked,
            pending: PerStream(pending),
        }
    }

    fn step(held: &[Held]) -> Option<(Vec<u64>, Option<Stream>, u64)> {
        next_step(held, 1000, true).map(|step| (step.ordinals, step.give_up, step.kept))
    }

    #[test]
    fn what_is_acknowledged_goes_first_wherever_it_is() {
        let chain = [
            held(1, 2 * MB, [0, 500, 0, 500], 0),
            held(2, 2 * MB, [0, 0, 0, 0], 1000),
            held(3, 2 * MB, [0, 500, 0, 500], 0),
        ];
        assert_eq!(step(&chain), Some((vec![2], None, 0)));
        let half = [
            held(1, 2 * MB, [1, 900, 0, 99], 0),
            held(2, 2 * MB, [0, 300, 0, 0], 700),
        ];
        assert_eq!(step(&half), Some((vec![2], None, 300)));
    }

    #[test]
    fn the_lowest_stream_goes_before_any_higher_one_and_the_oldest_of_it_first() {
        let mut chain = vec![
            held(1, 2 * MB, [1, 999, 0, 0], 0),
            held(2, 2 * MB, [1, 599, 0, 400], 0),
            held(3, 2 * MB, [1, 499, 300, 200], 0),
            held(4, 2 * MB, [1, 599, 0, 400], 0),
        ];
        let mut given = Vec::new();
        // Carries out each step as the chain would.
        while let Some(step) = next_step(&chain, 1000, true) {
            given.push((step.ordinals.clone(), step.give_up));
            let mut merged = held(step.ordinals[0], 0, [0; 4], 0);
            for one in chain
                .iter()
                .filter(|one| step.ordinals.contains(&one.ordinal))
            {
                for (stream, count) in one.pending.iter() {
                    if !goes(stream, step.give_up) {
                        merged.pending[stream] += count;
                    }
                }
            }
            merged.total = merged.pending.0.iter().sum();
            assert_eq!(merged.total, step.kept);
            merged.bytes = (merged.total * EVENT).max(SMALLEST);
            chain.retain(|one| {
                one.ordinal == merged.ordinal || !step.ordinals.contains(&one.ordinal)
            });
            let at = chain
                .iter()
                .position(|one| one.ordinal == merged.ordinal)
                .unwrap();
            chain.remove(at);
            if step.kept > 0 {
                chain.insert(at, merged);
            }
        }
        let levels: Vec<_> = given
            .iter()
            .map(|(_, level)| level.map_or(4, Stream::index))
            .collect();
        let first = [
            (vec![2], Some(Stream::Diagnostic)),
            (vec![3], Some(Stream::Diagnostic)),
            (vec![4], Some(Stream::Diagnostic)),
        ];
        assert_eq!(given[..3], first);
        // Merging what is left costs nothing and may come between; losses only ever rise in priority.
        let losses: Vec<_> = levels.iter().filter(|level| **level < 4).collect();
        assert!(losses.is_sorted_by(|a, b| a >= b), "{given:?}");
        assert_eq!(given.last().unwrap().1, Some(Stream::Alarm));
        assert!(chain.is_empty());
    }

    #[test]
    fn what_frees_next_to_nothing_is_not_given_up() {
        // One diagnostic event among a thousand: there is something to gain only together with the counts around it.
        let dense = [
            held(1, MB, [1, 998, 0, 1], 0),
            held(2, MB, [1, 998, 0, 1], 0),
        ];
        assert_eq!(step(&dense), Some((vec![1], Some(Stream::Count), 1)));
    }

    #[test]
    fn small_leftovers_are_written_together_without_a_loss() {
        let chain = [
            held(1, SMALLEST, [3, 0, 0, 0], 0),
            held(2, SMALLEST, [2, 0, 0, 0], 0),
            held(3, MB, [0, 900, 0, 100], 0),
        ];
        assert_eq!(step(&chain), Some((vec![1, 2], None, 5)));
        assert_eq!(step(&chain[1..2]), Some((vec![2], Some(Stream::Alarm), 0)));
    }

    #[test]
    fn without_room_to_write_segments_go_whole_but_none_with_an_alarm() {
        let chain = [
            held(1, 2 * MB, [1, 500, 0, 499], 0),
            held(2, 2 * MB, [0, 500, 0, 500], 0),
            held(3, 2 * MB, [0, 0, 0, 900], 0),
        ];
        let next = |chain: &[Held]| next_step(chain, 1000, false).map(|step| step.ordinals);
        assert_eq!(next(&chain), Some(vec![3]));
        assert_eq!(next(&chain[..2]), Some(vec![2]));
        assert_eq!(next(&chain[..1]), None);
        assert_eq!(next_step(&[], 1000, true), None);
    }

    proptest! {
        #[test]
        fn every_step_takes_neighbours_and_leaves_less(
            segments in prop::collection::vec((0u64..3 * MB, [0u64..400, 0u64..400, 0u64..400, 0u64..400], 0u64..400), 0..30),
            may_write: bool,
        ) {
            let chain: Vec<_> = (1u64..).zip(segments).map(|(n, (bytes, pending, acked))| held(n, bytes, pending, acked)).collect();
            if let Some(step) = next_step(&chain, 1000, may_write) {
                let taken: Vec<_> = chain.iter().filter(|one| step.ordinals.contains(&one.ordinal)).collect();
                prop_assert_eq!(taken.len(), step.ordinals.len());
                prop_assert!(step.ordinals.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                let total: u64 = taken.iter().map(|one| one.total).sum();
                prop_assert!(step.kept <= 1000 && (taken.len() > 1 || step.kept < total || total == 0));
                prop_assert!(may_write || step.kept == 0);
            }
        }
    }
}
