//! Notices that the wall clock was set: for the first time since boot, or anew later. Pure: whoever looks brings the time.
//!
//! Slewing is no setting: NTP steers `CLOCK_BOOTTIME` and the wall clock together, so their difference stands still
//! until somebody steps the wall clock (or the kernel inserts a leap second).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Stamp;

/// A smaller step is not worth telling: two readings of the two clocks are not taken in one instant, and no interval or
/// visit changes its place by it.
const SMALLEST_STEP: SignedDuration = SignedDuration::from_secs(1);
/// How long the wall clock must have run evenly before it is told. Services that set it often do so in several steps,
/// and a process that was held up between reading the two clocks sees a jump that is none.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// What counts as running evenly.
const EVEN: SignedDuration = SignedDuration::from_millis(250);

/// The wall clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSet {
    /// The wall clock's time at time since boot zero, by the clock as it is now.
    pub booted_at: Timestamp,
    /// How far the wall clock has jumped since it was told last, or since the watch began; positive: forward.
    pub step: SignedDuration,
}

/// See the module.
#[derive(Debug)]
pub struct ClockWatch {
    /// [`Stamp::booted_at`] as last told, or as it was at the beginning.
    known: Timestamp,
    /// Whether it was told at all.
    told: bool,
    /// A change that is not told yet, and since when it has stood (time since boot).
    news: Option<(Timestamp, Duration)>,
}

impl ClockWatch {
    /// Begins to watch.
    #[must_use]
    pub fn new(now: Stamp) -> Self {
        Self {
            known: now.booted_at(),
            told: false,
            news: None,
        }
    }

    /// Call it about once a second. Gives what is to be told: once after the clock is synced, and after each later step.
    /// While the clock is not synced nothing is told: a step from one wrong time to another places no event.
    pub fn look(&mut self, now: Stamp) -> Option<ClockSet> {
        let booted_at = now.booted_at();
        let step = booted_at.duration_since(self.known);
        if !now.synced || (self.told && step.abs() < SMALLEST_STEP) {
            self.news = None;
            return None;
        }
        match self.news {
            Some((seen, since)) if booted_at.duration_since(seen).abs() < EVEN => {
                if now.boot.saturating_sub(since) < SETTLED_AFTER {
                    return None;
                }
            }
            _ => {
                self.news = Some((booted_at, now.boot));
                return None;
            }
        }
        self.news = None;
        self.told = true;
        self.known = booted_at;
        Some(ClockSet { booted_at, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, FakeClock};

    const NOW: &str = "2026-11-21T10:00:00Z";

    fn wall(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// What is told within the next `seconds`, and after how many of them.
    fn told(watch: &mut ClockWatch, clock: &FakeClock, seconds: u64) -> Vec<(u64, ClockSet)> {
        (1..=seconds)
            .filter_map(|second| {
                clock.advance(Duration::from_secs(1));
                Some((second, watch.look(clock.now())?))
            })
            .collect()
    }

    fn steps(told: &[(u64, ClockSet)]) -> Vec<i64> {
        told.iter().map(|(_, set)| set.step.as_secs()).collect()
    }

    #[test]
    fn a_clock_that_is_synced_from_the_start_is_told_once_and_did_not_jump() {
        let clock = FakeClock::at(wall(NOW));
        clock.advance(Duration::from_secs(90));
        let mut watch = ClockWatch::new(clock.now());
        let told = told(&mut watch, &clock, 3600);
        assert_eq!(steps(&told), [0]);
        assert_eq!(told[0].1.booted_at, wall(NOW));
    }

    #[test]
    fn from_1970_to_now_is_told_when_the_time_source_says_so_with_the_whole_jump() {
        let clock = FakeClock::at(wall("1970-01-01T00:00:00Z"));
        clock.set_wall(wall("1970-01-01T00:00:30Z"), false);
        let mut watch = ClockWatch::new(clock.now());
        assert_eq!(told(&mut watch, &clock, 600), []);
        // The clock jumps before the mark of the time source appears.
        clock.set_wall(wall(NOW), false);
        assert_eq!(told(&mut watch, &clock, 60), []);
        clock.set_wall(clock.now().wall, true);
        let told = told(&mut watch, &clock, 60);
        assert_eq!(told.len(), 1);
        let set = told[0].1;
        // 600 s after boot it was NOW.
        assert_eq!(set.booted_at, wall("2026-11-21T09:50:00Z"));
        assert_eq!(
            set.step,
            set.booted_at.duration_since(wall("1970-01-01T00:00:30Z"))
        );
    }

    #[test]
    fn later_steps_are_told_in_both_directions_but_none_below_a_second() {
        let clock = FakeClock::at(wall(NOW));
        let mut watch = ClockWatch::new(clock.now());
        told(&mut watch, &clock, 60);
        for (step, expected) in [
            (3600, vec![3600]),
            (-7200, vec![-7200]),
            (-1, vec![-1]),
            (0, vec![]),
        ] {
            clock.set_wall(clock.now().wall + SignedDuration::from_secs(step), true);
            assert_eq!(steps(&told(&mut watch, &clock, 60)), expected, "{step}");
        }
        clock.set_wall(clock.now().wall + SignedDuration::from_millis(900), true);
        assert_eq!(told(&mut watch, &clock, 60), []);
        // Small ones add up: the cloud's picture is never more than a second off.
        clock.set_wall(clock.now().wall + SignedDuration::from_millis(900), true);
        assert_eq!(told(&mut watch, &clock, 60).len(), 1);
    }

    #[test]
    fn several_steps_in_a_row_and_a_jump_back_and_forth_are_one_and_none() {
        let clock = FakeClock::at(wall(NOW));
        let mut watch = ClockWatch::new(clock.now());
        told(&mut watch, &clock, 60);
        for _ in 0..4 {
            clock.set_wall(clock.now().wall + SignedDuration::from_secs(10), true);
            assert_eq!(told(&mut watch, &clock, 3), []);
        }
        assert_eq!(steps(&told(&mut watch, &clock, 60)), [40]);
        // What a process sees that was held up between reading the two clocks.
        let true_time = clock.now().wall;
        clock.set_wall(true_time + SignedDuration::from_secs(3), true);
        assert_eq!(watch.look(clock.now()), None);
        clock.set_wall(true_time, true);
        assert_eq!(told(&mut watch, &clock, 60), []);
    }
}
