//! Lengths of stays: how many, their mean, median and longest.

use std::time::Duration;

use crate::event::StayLengths;

/// Lengths kept for the median; further ones are in the other numbers only.
const MOST: usize = 2048;

/// Collects the stays that ended in one interval.
#[derive(Debug, Default)]
pub struct Stays {
    lengths: Vec<f64>,
    count: u64,
    sum: f64,
    longest: f64,
}

impl Stays {
    pub fn add(&mut self, stay: Duration) {
        let seconds = stay.as_secs_f64();
        if self.lengths.len() < MOST {
            self.lengths.push(seconds);
        }
        self.count += 1;
        self.sum += seconds;
        self.longest = self.longest.max(seconds);
    }

    /// The numbers since the last call; `None` when no stay ended.
    pub fn take(&mut self) -> Option<StayLengths> {
        let mut all = std::mem::take(self);
        all.lengths.sort_by(f64::total_cmp);
        let (upper, lower) = (
            all.lengths.len() / 2,
            all.lengths.len().saturating_sub(1) / 2,
        );
        let median = (all.lengths.get(lower)? + all.lengths.get(upper)?) / 2.0;
        let tenth = |seconds: f64| (seconds * 10.0).round() / 10.0;
        Some(StayLengths {
            mean_s: tenth(all.sum / all.count as f64),
            median_s: tenth(median),
            max_s: tenth(all.longest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stay_moves_the_mean_and_not_the_median() {
        let mut stays = Stays::default();
        assert_eq!(stays.take(), None);
        for seconds in [4, 2, 3, 91] {
            stays.add(Duration::from_secs(seconds));
        }
        let lengths = stays.take().unwrap();
        assert_eq!(
            (lengths.mean_s, lengths.median_s, lengths.max_s),
            (25.0, 3.5, 91.0)
        );
        assert_eq!(stays.take(), None);
    }

    #[test]
    fn more_stays_than_are_kept_still_count() {
        let mut stays = Stays::default();
        for _ in 0..10_000 {
            stays.add(Duration::from_secs(1));
        }
        stays.add(Duration::from_secs(600));
        assert!(stays.lengths.len() == MOST && stays.take().unwrap().max_s == 600.0);
    }
}
