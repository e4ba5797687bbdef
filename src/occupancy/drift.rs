//! How much a place's lines count too many in, or too many out, learned from past days.
//!
//! Over a day that begins and ends with nobody inside, as many people leave as enter. So with I counted in and O counted
//! out over the last days, each entering person stands for `1 / sqrt(r)` people and each leaving one for `sqrt(r)`, where
//!
//! ```text
//! r = (I + k) / (O + k)     k = 100, r between 0.8 and 1.25
//! ```
//!
//! Then I / sqrt(r) equals O * sqrt(r), as it must. The correction is put on both directions because nobody knows which
//! one is wrong. `k` is the usual additive smoothing (Laplace's rule of succession): few counts move r little. The bounds
//! keep a day on which a door was blocked or a camera was turned from doing harm; such errors want a technician.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Days that are remembered.
const DAYS: usize = 14;
/// Days with fewer people in one direction teach nothing.
const FEWEST: u64 = 20;
/// Days on which one direction had more than this many times the other are no drift but a fault.
const MOST_APART: f64 = 1.5;
const SMOOTHING: f64 = 100.0;
const LEAST: f64 = 0.8;
const MOST: f64 = 1.25;

/// What was counted in a day, uncorrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Day {
    #[serde(rename = "in")]
    pub(super) inward: u64,
    #[serde(rename = "out")]
    pub(super) outward: u64,
}

/// The latest days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Past(VecDeque<Day>);

impl Past {
    /// A day is over.
    pub(super) fn add(&mut self, day: Day) {
        let (least, most) = (day.inward.min(day.outward), day.inward.max(day.outward));
        if least < FEWEST || most as f64 > least as f64 * MOST_APART {
            return;
        }
        while self.0.len() >= DAYS {
            self.0.pop_front();
        }
        self.0.push_back(day);
    }

    /// `r`: how many were counted in for each counted out; 1 when nothing is known.
    pub(super) fn ratio(&self) -> f64 {
        let inward: u64 = self.0.iter().map(|day| day.inward).sum();
        let outward: u64 = self.0.iter().map(|day| day.outward).sum();
        ((inward as f64 + SMOOTHING) / (outward as f64 + SMOOTHING)).clamp(LEAST, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(inward: u64, outward: u64) -> Day {
        Day { inward, outward }
    }

    #[test]
    fn days_that_agree_move_the_ratio_and_few_people_move_it_little() {
        let mut past = Past::default();
        assert_eq!(past.ratio(), 1.0);
        past.add(day(22, 20));
        assert!((past.ratio() - 1.0167).abs() < 1e-3, "{}", past.ratio());
        for _ in 0..14 {
            past.add(day(1100, 1000));
        }
        assert!((past.ratio() - 1.1).abs() < 0.002, "{}", past.ratio());
        assert_eq!(past.0.len(), DAYS);
    }

    #[test]
    fn a_day_that_is_no_drift_teaches_nothing_and_the_ratio_has_bounds() {
        let mut past = Past::default();
        past.add(day(500, 100));
        past.add(day(10, 10));
        past.add(day(0, 0));
        assert_eq!(past, Past::default());
        for _ in 0..20 {
            past.add(day(10_000, 7_000));
        }
        assert_eq!(past.ratio(), MOST);
    }
}
