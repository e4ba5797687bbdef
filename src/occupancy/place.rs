//! One place: who is inside at the moment, and what today and the days before counted.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::PlaceSettings;
use super::drift::{Day, Past};

/// People inside at most; more is no count but a fault.
const MOST: f64 = 1e6;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    /// People; fractions come from the correction of drift.
    inside: f64,
    /// The day it is; none while no time source has said.
    day: Option<Date>,
    today: Day,
    past: Past,
}

impl Place {
    /// Somebody came in or went out on `day` (`None`: nobody knows when). Returns how many had to be added because more
    /// left than were inside.
    pub(super) fn cross(
        &mut self,
        inward: bool,
        day: Option<Date>,
        settings: &PlaceSettings,
    ) -> f64 {
        if let (Some(today), Some(day)) = (self.day, day)
            && today
                .checked_sub(1.day())
                .is_ok_and(|yesterday| yesterday == day)
        {
            // Read late: the place was emptied since.
            return 0.0;
        }
        if let Some(day) = day {
            self.turn_to(day, settings);
        }
        let root = if settings.learn {
            self.past.ratio().sqrt()
        } else {
            1.0
        };
        if inward {
            self.today.inward += 1;
            self.inside = (self.inside + 1.0 / root).min(MOST);
            return 0.0;
        }
        self.today.outward += 1;
        let left = self.inside - root;
        self.inside = left.max(0.0);
        // Whoever leaves was inside: somebody's coming was missed.
        (-left).max(0.0)
    }

    /// A day ends when another begins: what it counted is learned from, and the place is empty.
    pub(super) fn turn_to(&mut self, day: Date, settings: &PlaceSettings) {
        match self.day {
            Some(today) if today == day => return,
            // The first time anybody knows which day it is: the people inside came today.
            None => {
                self.day = Some(day);
                return;
            }
            // Also when the day is earlier: the clock was wrong before.
            Some(_) => {}
        }
        self.past.add(std::mem::take(&mut self.today));
        self.day = Some(day);
        if settings.reset.is_some() {
            self.inside = 0.0;
        }
    }

    /// If it is `wrong`, nobody knows what day it is until the next one is heard of, which is the same.
    pub(super) fn forget_day(&mut self, wrong: Option<Date>) {
        if self.day == wrong {
            self.day = None;
        }
    }

    /// From now on so many are inside.
    pub(super) fn set(&mut self, people: u64, day: Option<Date>) {
        self.inside = (people as f64).min(MOST);
        self.day = self.day.or(day);
    }

    /// People inside, whole ones.
    pub(super) fn people(&self) -> u64 {
        self.inside.round() as u64
    }

    /// How many were counted in for each counted out on past days.
    pub(super) fn drift(&self) -> f64 {
        self.past.ratio()
    }
}
