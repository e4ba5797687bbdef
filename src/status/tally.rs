//! Today's crossings per camera line and quarter of an hour, visits per zone, and who is inside, added up from the events
//! that are durable. Pure; survives a restart through a checkpoint that remembers up to which event it counted.
//!
//! What "today" is when the wall clock was wrong: the crossings of this boot are placed by their time since boot and the
//! wall clock as it is now, not by their stamp. So when the clock is set, the sums are made anew ([`Tally::is_outdated`])
//! and are those of the true day. Before that, a clock that nobody has set does not turn the day back: a box without a
//! real-time clock goes on with the day it knew when it was switched off. Nobody comes or goes because a clock is set: who is
//! inside is never made anew.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
pub use crate::event::InOut;
use crate::event::{Identity, LineCrossed, ZoneEntered, local_time};
use crate::occupancy::Places;
use crate::outbox::Stored;

/// Lines, and zones, that are told apart; a config cannot sensibly have more.
const MAX_LINES: usize = 256;
/// Quarters of an hour in a day. When a day has an hour twice, both are the same four quarters.
pub const QUARTERS: u8 = 96;

/// The sums are made anew when the wall clock was set by so much or more, milliseconds.
const MOVED_MS: i64 = 1000;

/// Where the events of this boot are placed, and what day it is.
pub struct Placing<'a> {
    boot: &'a str,
    zone: &'a TimeZone,
    now: Stamp,
}

impl<'a> Placing<'a> {
    /// By the clock as it is `now`. Read the events first: none of them may be younger.
    #[must_use]
    pub fn new(identity: &'a Identity, now: Stamp) -> Self {
        Self {
            boot: &identity.boot_id,
            zone: &identity.zone,
            now,
        }
    }

    fn booted_at(&self) -> Timestamp {
        self.now.booted_at()
    }

    /// The local day by the clock, `YYYY-MM-DD`.
    fn day(&self) -> String {
        day_of(&local_time(self.now.wall, self.zone)).to_owned()
    }

    /// The event's local time, RFC 3339, and whether it can be believed.
    fn place(&self, event: &Counted) -> (String, bool) {
        let since_boot = event.boottime.parse::<f64>().ok();
        let since_boot =
            since_boot.map(|s| SignedDuration::from_millis((s * 1000.0).round() as i64));
        let placed = since_boot.and_then(|since| self.booted_at().checked_add(since).ok());
        match placed {
            Some(time) if event.bootid == self.boot => {
                (local_time(time, self.zone), self.now.synced)
            }
            _ => (event.time.clone(), event.clock == "synced"),
        }
    }
}

/// One line's day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineDay {
    #[serde(flatten)]
    pub sum: InOut,
    /// By quarter of an hour since local midnight, 0..=95; those without a crossing are left out.
    #[serde(default)]
    pub quarters: BTreeMap<u8, InOut>,
}

/// The sums of one day, and who is inside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Local date, `YYYY-MM-DD`; empty before the first event.
    day: String,
    /// By `camera/line`.
    lines: BTreeMap<String, LineDay>,
    /// Visits by `camera/zone`.
    #[serde(default)]
    zones: BTreeMap<String, u64>,
    /// Everything in the count stream up to here is in the sums.
    sequence: u64,
    /// Their days are not the tally's.
    #[serde(default)]
    places: Places,
    /// The boot whose events are placed by `booted_at`.
    #[serde(default)]
    boot: Option<String>,
    /// [`Stamp::booted_at`] when the sums were begun, milliseconds since 1970.
    #[serde(default)]
    booted_at_ms: i64,
}

/// The part of an event that is counted.
#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "type")]
    kind: String,
    time: String,
    #[serde(default)]
    clock: String,
    #[serde(default)]
    bootid: String,
    #[serde(default)]
    boottime: String,
    source: String,
    data: serde_json::Value,
}

impl Tally {
    /// Takes these events of the count stream.
    pub fn take_all(&mut self, events: &[Stored], placing: &Placing<'_>) {
        self.place_by(placing);
        for event in events {
            self.take(event.sequence, &event.bytes, placing);
        }
    }

    /// Takes one event of the count stream; events that are counted already, or are not counted, change nothing.
    pub fn take(&mut self, sequence: u64, event: &[u8], placing: &Placing<'_>) {
        if sequence <= self.sequence {
            return;
        }
        self.sequence = sequence;
        let Ok(event) = serde_json::from_slice::<Counted>(event) else {
            return;
        };
        match event.kind.as_str() {
            "footfall.line.crossed.v1" => self.cross(event, placing),
            "footfall.zone.entered.v1" => self.visit(event, placing),
            _ => {}
        }
    }

    fn cross(&mut self, event: Counted, placing: &Placing<'_>) {
        let (time, known) = placing.place(&event);
        let Ok(crossed) = serde_json::from_value::<LineCrossed>(event.data) else {
            return;
        };
        let key = format!("{}/{}", camera_of(&event.source), crossed.line);
        if let Ok(at) = time.parse::<Timestamp>() {
            self.places
                .cross(&key, crossed.direction, at, known, placing.zone);
        }
        if !self.is_of_today(&time, known, placing)
            || (!self.lines.contains_key(&key) && self.lines.len() >= MAX_LINES)
        {
            return;
        }
        let line = self.lines.entry(key).or_default();
        line.sum.add(crossed.direction);
        // Nobody knows at what time of that day it was where the clock was behind.
        if let Some(quarter) = quarter_of(&time).filter(|_| day_of(&time) == self.day) {
            let quarter = line.quarters.entry(quarter).or_default();
            quarter.add(crossed.direction);
        }
    }

    fn visit(&mut self, event: Counted, placing: &Placing<'_>) {
        let (time, known) = placing.place(&event);
        let Ok(entered) = serde_json::from_value::<ZoneEntered>(event.data) else {
            return;
        };
        let key = format!("{}/{}", camera_of(&event.source), entered.zone);
        let room = self.zones.contains_key(&key) || self.zones.len() < MAX_LINES;
        if room && self.is_of_today(&time, known, placing) {
            *self.zones.entry(key).or_default() += 1;
        }
    }

    /// Turns to the day of that local time; false when it is over already, or not yet there.
    fn is_of_today(&mut self, time: &str, known: bool, placing: &Placing<'_>) -> bool {
        let day = day_of(time);
        let ahead = placing.now.synced && *day > *placing.day();
        // Stamped before midnight and stored after it; or by a clock that was ahead in an earlier boot.
        if known && (day < self.day.as_str() || ahead) {
            return false;
        }
        if day > self.day.as_str() && !ahead {
            self.turn_to(day);
        }
        true
    }

    /// Notes by which clock the sums are made, when another boot begins.
    pub fn place_by(&mut self, placing: &Placing<'_>) {
        if self.boot.as_deref() != Some(placing.boot) {
            self.boot = Some(placing.boot.to_owned());
            self.booted_at_ms = placing.booted_at().as_millisecond();
        }
    }

    /// Whether the wall clock was set since the sums were begun, or says that their day is still to come. Then they must be
    /// made anew from the events; see [`Tally::succeed`].
    #[must_use]
    pub fn is_outdated(&self, placing: &Placing<'_>) -> bool {
        let step = placing.booted_at().as_millisecond() - self.booted_at_ms;
        let moved = self.boot.as_deref() == Some(placing.boot) && step.abs() >= MOVED_MS;
        moved || (placing.now.synced && self.day > placing.day())
    }

    /// Takes the place of `before`, whose clock was wrong. Who was inside still is.
    pub fn succeed(&mut self, before: &mut Self, placing: &Placing<'_>) {
        before.set_places_right(placing);
        self.places = std::mem::take(&mut before.places);
    }

    /// Makes the places forget a day that only the clock before it was set knew. Changes nothing when it was not.
    pub fn set_places_right(&mut self, placing: &Placing<'_>) {
        if !self.is_outdated(placing) || self.boot.as_deref() != Some(placing.boot) {
            return;
        }
        let wall = Timestamp::from_millisecond(self.booted_at_ms)
            .and_then(|booted_at| booted_at.checked_add(placing.now.boot));
        if let Ok(wall) = wall {
            self.places.forget_day_of(wall, placing.zone);
        }
    }

    /// What day it is, `YYYY-MM-DD`: the clock's, but a clock that nobody has set does not turn the day back.
    #[must_use]
    pub fn today(&self, placing: &Placing<'_>) -> String {
        let day = placing.day();
        if placing.now.synced || day > self.day {
            day
        } else {
            self.day.clone()
        }
    }

    /// Starts a new day when it is one.
    pub fn turn_to(&mut self, day: &str) {
        if self.day != day {
            day.clone_into(&mut self.day);
            self.lines.clear();
            self.zones.clear();
        }
    }

    /// Who is inside.
    #[must_use]
    pub const fn places(&self) -> &Places {
        &self.places
    }

    /// Who is inside, to follow the time, or to say so.
    pub const fn places_mut(&mut self) -> &mut Places {
        &mut self.places
    }

    /// Up to which event of the count stream the sums reach.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The day of the sums, `YYYY-MM-DD`.
    #[must_use]
    pub fn day(&self) -> &str {
        &self.day
    }

    /// The day's crossings of one line.
    #[must_use]
    pub fn line(&self, camera: &str, line: &str) -> LineDay {
        self.lines
            .get(&format!("{camera}/{line}"))
            .cloned()
            .unwrap_or_default()
    }

    /// The day's visits to one zone.
    #[must_use]
    pub fn zone(&self, camera: &str, zone: &str) -> u64 {
        let visits = self.zones.get(&format!("{camera}/{zone}"));
        visits.copied().unwrap_or(0)
    }
}

/// The camera of an event: the last part of its source.
fn camera_of(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or_default()
}

/// The day of a local time in RFC 3339, `YYYY-MM-DD`.
fn day_of(time: &str) -> &str {
    time.get(..10).unwrap_or_default()
}

/// The quarter of an hour since midnight, 0..=95, of a local time in RFC 3339.
#[must_use]
pub fn quarter_of(time: &str) -> Option<u8> {
    let hour: u8 = time.get(11..13)?.parse().ok()?;
    let minute: u8 = time.get(14..16)?.parse().ok()?;
    (hour < 24 && minute < 60).then(|| hour * 4 + minute / 15)
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
