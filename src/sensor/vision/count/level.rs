//! A number that changes in steps, over an interval: its mean over time, its least and its most.

use std::time::Duration;

/// Follows a level. Times are those of one clock that never runs backwards.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    value: f64,
    began: Duration,
    since: Duration,
    /// Value times seconds up to `since`.
    area: f64,
    least: f64,
    most: f64,
}

/// What a level was over an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// At the end.
    pub last: f64,
    /// Over time.
    pub mean: f64,
    pub least: f64,
    pub most: f64,
}

impl Level {
    /// A level that is `value` from `now` on.
    #[must_use]
    pub const fn new(value: f64, now: Duration) -> Self {
        Self {
            value,
            began: now,
            since: now,
            area: 0.0,
            least: value,
            most: value,
        }
    }

    /// From `now` on it is `value`.
    pub fn set(&mut self, value: f64, now: Duration) {
        self.area += self.value * now.saturating_sub(self.since).as_secs_f64();
        self.since = self.since.max(now);
        self.value = value;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    /// What it was since the last call (or the beginning); the next interval begins at `now`.
    pub fn take(&mut self, now: Duration) -> Spread {
        self.set(self.value, now);
        let seconds = self.since.saturating_sub(self.began).as_secs_f64();
        let spread = Spread {
            last: self.value,
            mean: if seconds > 0.0 {
                self.area / seconds
            } else {
                self.value
            },
            least: self.least,
            most: self.most,
        };
        *self = Self::new(self.value, self.since);
        spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_time_and_the_next_interval_begins_where_this_one_ended() {
        let second = Duration::from_secs;
        let mut level = Level::new(0.0, second(10));
        level.set(4.0, second(20));
        level.set(1.0, second(30));
        let first = level.take(second(40));
        assert_eq!(
            first,
            Spread {
                last: 1.0,
                mean: 5.0 / 3.0,
                least: 0.0,
                most: 4.0
            }
        );
        let next = level.take(second(50));
        assert_eq!(
            next,
            Spread {
                last: 1.0,
                mean: 1.0,
                least: 1.0,
                most: 1.0
            }
        );
        assert_eq!(
            level.take(second(50)).mean,
            1.0,
            "an interval without length"
        );
    }
}
