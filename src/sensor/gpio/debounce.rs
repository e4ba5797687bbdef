//! When a contact that bounces has changed. Pure.

use std::time::Duration;

/// A line is active or not from a moment on, beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub active: bool,
    /// Since when: the last edge before the level stayed.
    pub at: Duration,
}

/// A level counts once it has stayed for the settling time. All times are since boot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Debounce {
    settle: Duration,
    stable: bool,
    raw: bool,
    since: Duration,
}

impl Debounce {
    /// `active` is taken for settled.
    pub fn new(settle: Duration, active: bool, at: Duration) -> Self {
        Self {
            settle,
            stable: active,
            raw: active,
            since: at,
        }
    }

    /// The settled level.
    pub fn active(&self) -> bool {
        self.stable
    }

    /// The level as it was last seen, and since when.
    pub fn raw(&self) -> (bool, Duration) {
        (self.raw, self.since)
    }

    /// Time went on to `now` without an edge.
    pub fn step(&mut self, now: Duration) -> Option<Change> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        self.stable = self.raw;
        Some(Change {
            active: self.stable,
            at: self.since,
        })
    }

    /// The line changed at `at`. Answers what had settled before that.
    pub fn edge(&mut self, active: bool, at: Duration) -> Option<Change> {
        // Two edges the same way: the one between was missed, so the level has not stayed either.
        let settled = self.step(at);
        self.raw = active;
        self.since = self.since.max(at);
        settled
    }

    /// When a change that is under way will have settled.
    pub fn due(&self) -> Option<Duration> {
        (self.raw != self.stable).then(|| self.since + self.settle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_level_counts_when_it_has_stayed_exactly_so_long_and_from_its_last_edge_on() {
        let mut line = Debounce::new(ms(50), false, ms(0));
        for (at, active) in [
            (100, true),
            (103, false),
            (104, true),
            (120, false),
            (130, true),
        ] {
            assert_eq!(line.edge(active, ms(at)), None);
        }
        assert_eq!(line.due(), Some(ms(180)));
        assert_eq!(line.step(ms(180) - Duration::from_nanos(1)), None);
        let change = Change {
            active: true,
            at: ms(130),
        };
        assert_eq!(line.step(ms(180)), Some(change));
        assert_eq!(
            (line.active(), line.due(), line.step(ms(500))),
            (true, None, None)
        );
    }

    #[test]
    fn edges_that_are_read_late_give_the_same_changes() {
        // Opened at 100, closed at 200; both edges are read at 1000.
        let mut line = Debounce::new(ms(50), false, ms(0));
        assert_eq!(line.edge(true, ms(100)), None);
        let opened = line.edge(false, ms(200)).unwrap();
        assert_eq!((opened.active, opened.at), (true, ms(100)));
        let closed = line.step(ms(1000)).unwrap();
        assert_eq!((closed.active, closed.at), (false, ms(200)));
    }

    #[test]
    fn a_spike_shorter_than_the_settling_time_is_nothing() {
        let mut line = Debounce::new(ms(8), false, ms(0));
        assert_eq!(line.edge(true, ms(10)), None);
        assert_eq!(line.edge(false, ms(17)), None);
        assert_eq!((line.step(ms(100)), line.due()), (None, None));
        // Stays for exactly 8 ms: counts, although it is over when it is read.
        assert_eq!(line.edge(true, ms(200)), None);
        assert!(line.edge(false, ms(208)).unwrap().active);
    }

    #[test]
    fn time_that_seems_to_run_backwards_does_no_harm() {
        let mut line = Debounce::new(ms(8), false, ms(100));
        assert_eq!(line.edge(true, ms(50)), None);
        assert_eq!(line.due(), Some(ms(108)));
    }
}
