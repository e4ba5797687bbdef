//! Tells which parts have stopped making progress. Pure: whoever asks brings the numbers and the time.

use std::collections::BTreeMap;
use std::time::Duration;

/// Remembers when each part was last seen alive.
pub struct Watchdog {
    patience: Duration,
    /// By part: the number it showed last, and when that number was new (time since boot).
    seen: BTreeMap<String, (u64, Duration)>,
}

impl Watchdog {
    /// A part whose number stands still for longer than `patience` counts as stuck.
    #[must_use]
    pub const fn new(patience: Duration) -> Self {
        Self {
            patience,
            seen: BTreeMap::new(),
        }
    }

    /// The parts that are stuck. `signs`: every part that should be alive, with a number that grows while it is; parts
    /// that are no longer named are forgotten. `now`: time since boot.
    pub fn stuck(&mut self, signs: Vec<(String, u64)>, now: Duration) -> Vec<String> {
        let before = std::mem::take(&mut self.seen);
        let mut stuck = Vec::new();
        for (part, number) in signs {
            let since = match before.get(&part) {
                Some((known, since)) if *known == number => *since,
                _ => now,
            };
            if now.saturating_sub(since) > self.patience {
                stuck.push(part.clone());
            }
            self.seen.insert(part, (number, since));
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn signs(camera: u64, outbox: u64) -> Vec<(String, u64)> {
        vec![("camera/door".into(), camera), ("outbox".into(), outbox)]
    }

    #[test]
    fn a_part_is_stuck_when_its_number_stood_still_for_too_long_and_alive_again_when_it_moves() {
        let mut watchdog = Watchdog::new(at(10));
        assert!(watchdog.stuck(signs(1, 1), at(100)).is_empty());
        assert!(watchdog.stuck(signs(1, 2), at(110)).is_empty());
        assert_eq!(watchdog.stuck(signs(1, 3), at(111)), ["camera/door"]);
        assert!(watchdog.stuck(signs(2, 4), at(112)).is_empty());
    }

    #[test]
    fn a_part_that_left_and_comes_back_is_not_blamed_for_its_absence() {
        let mut watchdog = Watchdog::new(at(10));
        watchdog.stuck(signs(1, 1), at(0));
        watchdog.stuck(vec![("outbox".into(), 2)], at(30));
        assert!(watchdog.stuck(signs(1, 3), at(60)).is_empty());
    }
}
