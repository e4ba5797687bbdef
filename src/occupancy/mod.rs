//! How many people are inside places, from the crossings of the lines that lead into them. Pure; part of the checkpoint
//! that remembers up to which event crossings were taken, so that a restart neither loses nor doubles one.
//!
//! A count of who is inside drifts: every crossing that is missed stays in it. Three things hold it down: it is never
//! less than nobody, it begins anew once a day when the place is known to be empty, and the [`drift`] that past days
//! had in common is taken out.

mod drift;
mod place;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::event::{Body, CameraState, Direction, Identity, OccupancyInterval};
use crate::hours::Hours;
use crate::sensor::vision::count::interval::{Interval, IntervalMeter};
use crate::sensor::vision::count::level::Level;

use self::place::Place;

/// The one place there is when none is set up: every line leads into it.
pub const SHOP: &str = "shop";
/// Length of `occupancy.interval`.
const INTERVAL: Duration = Duration::from_secs(60);

/// A place of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceSettings {
    pub id: String,
    /// `camera/line` of the lines whose `in` leads into it; `None`: all lines.
    pub lines: Option<Vec<String>>,
    /// `camera/line` of the lines whose `in` leads out of it.
    pub reversed: Vec<String>,
    /// When it is known to be empty, local time; `None`: never.
    pub reset: Option<Time>,
    /// Whether the drift of past days is taken out.
    pub learn: bool,
    /// Most people who may be inside.
    pub capacity: Option<u64>,
}

impl PlaceSettings {
    /// All lines lead into the shop; it is empty at four in the morning.
    #[must_use]
    pub fn shop() -> Self {
        Self {
            id: SHOP.to_owned(),
            lines: None,
            reversed: Vec::new(),
            reset: Some(Time::constant(4, 0, 0, 0)),
            learn: true,
            capacity: None,
        }
    }

    /// Whether a crossing leads into this place (`true`), out of it (`false`) or is none of its business.
    fn leads(&self, line: &str, direction: Direction) -> Option<bool> {
        let inward = direction == Direction::In;
        if self.reversed.iter().any(|one| one == line) {
            return Some(!inward);
        }
        let ours = self
            .lines
            .as_ref()
            .is_none_or(|all| all.iter().any(|one| one == line));
        ours.then_some(inward)
    }

    /// The day a moment belongs to: it begins at the reset, or at midnight where there is none.
    fn day(&self, at: Timestamp, zone: &TimeZone) -> Option<Date> {
        let local = at.to_zoned(zone.clone()).datetime();
        let begins = self.reset.unwrap_or(Time::midnight());
        if local.time() >= begins {
            Some(local.date())
        } else {
            local.date().checked_sub(1.day()).ok()
        }
    }
}

/// One place, for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    pub place: String,
    /// People inside.
    pub inside: u64,
    pub capacity: Option<u64>,
}

/// Every place. What is serialised is what a restart needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Places {
    states: BTreeMap<String, Place>,
    #[serde(skip, default = "only_the_shop")]
    settings: Vec<PlaceSettings>,
    /// The interval that is open, and each place's level and how many were added in it; from the first tick on.
    #[serde(skip)]
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    meter: IntervalMeter,
    levels: Vec<(Level, f64)>,
}

fn only_the_shop() -> Vec<PlaceSettings> {
    vec![PlaceSettings::shop()]
}

impl Default for Places {
    fn default() -> Self {
        Self {
            states: BTreeMap::new(),
            settings: only_the_shop(),
            open: None,
        }
    }
}

impl PartialEq for Places {
    fn eq(&self, other: &Self) -> bool {
        self.states == other.states
    }
}

impl Places {
    /// From now on these are the places; no settings: the shop. What is known of places that are still there stays.
    pub fn set(&mut self, settings: Vec<PlaceSettings>) {
        let settings = if settings.is_empty() {
            only_the_shop()
        } else {
            settings
        };
        if settings == self.settings {
            return;
        }
        self.states
            .retain(|id, _| settings.iter().any(|one| one.id == *id));
        self.settings = settings;
        self.open = None;
    }

    /// The wall clock was set, and would show `wall` now otherwise. Places whose day is the one of `wall` have it from the
    /// wrong clock: they go on with the right one, and nobody leaves because of it. Others were left on a day that was
    /// right, which ends as usual.
    pub fn forget_day_of(&mut self, wall: Timestamp, zone: &TimeZone) {
        for settings in &self.settings {
            if let Some(place) = self.states.get_mut(&settings.id) {
                place.forget_day(settings.day(wall, zone));
            }
        }
    }

    /// Somebody crossed `camera/line` at that moment. `synced`: whether the moment can be believed.
    pub fn cross(
        &mut self,
        line: &str,
        direction: Direction,
        at: Timestamp,
        synced: bool,
        zone: &TimeZone,
    ) {
        for (index, settings) in self.settings.iter().enumerate() {
            let Some(inward) = settings.leads(line, direction) else {
                continue;
            };
            let place = self.states.entry(settings.id.clone()).or_default();
            let day = synced.then(|| settings.day(at, zone)).flatten();
            let added = place.cross(inward, day, settings);
            let open = self
                .open
                .as_mut()
                .and_then(|open| open.levels.get_mut(index));
            if let Some((_, sum)) = open {
                *sum += added;
            }
        }
    }

    /// From now on so many people are inside the place called `id`; `None`: inside the first. False when there is no such
    /// place.
    pub fn set_inside(
        &mut self,
        id: Option<&str>,
        people: u64,
        at: Timestamp,
        zone: &TimeZone,
    ) -> bool {
        let wanted = |one: &&PlaceSettings| id.is_none_or(|id| one.id == id);
        let Some(settings) = self.settings.iter().find(wanted) else {
            return false;
        };
        let place = self.states.entry(settings.id.clone()).or_default();
        place.set(people, settings.day(at, zone));
        true
    }

    /// The places in the order of the config.
    #[must_use]
    pub fn inside(&self) -> Vec<Inside> {
        let inside = |settings: &PlaceSettings| Inside {
            place: settings.id.clone(),
            inside: self.states.get(&settings.id).map_or(0, Place::people),
            capacity: settings.capacity,
        };
        self.settings.iter().map(inside).collect()
    }

    /// Empties places whose hour has come, follows the levels, and returns the intervals that are over: place and event.
    /// Call it about once a second.
    pub fn tick(
        &mut self,
        now: Stamp,
        identity: &Identity,
        hours: Option<&Arc<Hours>>,
    ) -> Vec<(String, Body)> {
        for settings in &self.settings {
            let day = now
                .synced
                .then(|| settings.day(now.wall, &identity.zone))
                .flatten();
            if let (Some(day), Some(place)) = (day, self.states.get_mut(&settings.id)) {
                place.turn_to(day, settings);
            }
        }
        let people: Vec<u64> = self.inside().iter().map(|place| place.inside).collect();
        let open = self.open.get_or_insert_with(|| Open {
            meter: IntervalMeter::new(INTERVAL, now),
            levels: people
                .iter()
                .map(|&people| (Level::new(people as f64, now.boot), 0.0))
                .collect(),
        });
        for ((level, _), people) in open.levels.iter_mut().zip(people) {
            level.set(people as f64, now.boot);
        }
        // Whether cameras work is told by their own intervals; here only the time matters.
        match open.meter.tick(now, CameraState::Ok) {
            Some(interval) => self.tell(&interval, now, identity, hours),
            None => Vec::new(),
        }
    }

    /// Ends the open interval: the daemon leaves.
    pub fn close(
        &mut self,
        now: Stamp,
        identity: &Identity,
        hours: Option<&Arc<Hours>>,
    ) -> Vec<(String, Body)> {
        let Some(open) = self.open.as_mut() else {
            return Vec::new();
        };
        let interval = open.meter.close(now, CameraState::Ok);
        self.tell(&interval, now, identity, hours)
    }

    fn tell(
        &mut self,
        interval: &Interval,
        now: Stamp,
        identity: &Identity,
        hours: Option<&Arc<Hours>>,
    ) -> Vec<(String, Body)> {
        let levels = self.open.iter_mut().flat_map(|open| &mut open.levels);
        let hundredth = |value: f64| (value * 100.0).round() / 100.0;
        let event = |(settings, (level, added)): (&PlaceSettings, &mut (Level, f64))| {
            let spread = level.take(now.boot);
            let drift = match self.states.get(&settings.id) {
                Some(place) if settings.learn => place.drift(),
                _ => 1.0,
            };
            let body = Body::OccupancyInterval(OccupancyInterval {
                place: settings.id.clone(),
                from: identity.local_time(interval.from),
                to: identity.local_time(interval.to),
                open: hours.map(|hours| hours.open_at(interval.from)),
                inside: spread.last as u64,
                inside_mean: hundredth(spread.mean),
                inside_min: spread.least as u64,
                inside_max: spread.most as u64,
                capacity: settings.capacity,
                added: hundredth(std::mem::take(added)),
                drift: (drift * 1000.0).round() / 1000.0,
            });
            (settings.id.clone(), body)
        };
        self.settings.iter().zip(levels).map(event).collect()
    }
}

#[cfg(test)]
mod tests;
