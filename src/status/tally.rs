//! Today's crossings per camera line and quarter of an hour, added up from the events that are durable. Pure; survives a
//! restart through a checkpoint that remembers up to which event it counted.
//!
//! What "today" is when the wall clock was wrong: the crossings of this boot are placed by their time since boot and the
//! wall clock as it is now, not by their stamp. So when the clock is set, the sums are made anew ([`Tally::is_outdated`])
//! and are those of the true day. Before that, a clock that nobody has set does not turn the day back: a box without a
//! real-time clock goes on with the day it knew when it was switched off.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;
use crate::event::{Direction, Identity, LineCrossed, local_time};
use crate::outbox::Stored;

/// Lines that are told apart; a config cannot sensibly have more.
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
    fn place(&self, event: &Crossing) -> (String, bool) {
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

/// Crossings of one line on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InOut {
    #[serde(rename = "in")]
    pub inward: u64,
    #[serde(rename = "out")]
    pub outward: u64,
}

impl InOut {
    /// One more crossing.
    pub fn add(&mut self, direction: Direction) {
        match direction {
            Direction::In => self.inward += 1,
            Direction::Out => self.outward += 1,
        }
    }
}

impl std::ops::AddAssign for InOut {
    fn add_assign(&mut self, more: Self) {
        self.inward += more.inward;
        self.outward += more.outward;
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

/// The sums of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Local date, `YYYY-MM-DD`; empty before the first event.
    day: String,
    /// By `camera/line`.
    lines: BTreeMap<String, LineDay>,
    /// Everything in the count stream up to here is in the sums.
    sequence: u64,
    /// People inside beyond what in minus out says; set by hand.
    #[serde(default)]
    offset: i64,
    /// The boot whose events are placed by `booted_at`.
    #[serde(default)]
    boot: Option<String>,
    /// [`Stamp::booted_at`] when the sums were begun, milliseconds since 1970.
    #[serde(default)]
    booted_at_ms: i64,
}

/// The part of an event that is counted.
#[derive(Deserialize)]
struct Crossing {
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

    /// Takes one event of the count stream; events that are counted already, or are no crossings, change nothing.
    pub fn take(&mut self, sequence: u64, event: &[u8], placing: &Placing<'_>) {
        if sequence <= self.sequence {
            return;
        }
        self.sequence = sequence;
        let Ok(event) = serde_json::from_slice::<Crossing>(event) else {
            return;
        };
        if event.kind != "footfall.line.crossed.v1" {
            return;
        }
        let (time, known) = placing.place(&event);
        let Ok(crossed) = serde_json::from_value::<LineCrossed>(event.data) else {
            return;
        };
        let day = day_of(&time);
        let ahead = placing.now.synced && *day > *placing.day();
        // Stamped before midnight and stored after it; or by a clock that was ahead in an earlier boot.
        if known && (day < self.day.as_str() || ahead) {
            return;
        }
        if day > self.day.as_str() && !ahead {
            self.turn_to(day);
        }
        let camera = event.source.rsplit('/').next().unwrap_or_default();
        let key = format!("{camera}/{}", crossed.line);
        if !self.lines.contains_key(&key) && self.lines.len() >= MAX_LINES {
            return;
        }
        let line = self.lines.entry(key).or_default();
        line.sum.add(crossed.direction);
        // Nobody knows at what time of that day it was where the clock was behind.
        if let Some(quarter) = quarter_of(&time).filter(|_| day == self.day) {
            let quarter = line.quarters.entry(quarter).or_default();
            quarter.add(crossed.direction);
        }
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

    /// Takes the place of `before`, whose clock was wrong. A number of people that was set by hand stays what it was.
    pub fn succeed(&mut self, before: &Self, placing: &Placing<'_>) {
        let day_before = Timestamp::from_millisecond(before.booted_at_ms)
            .and_then(|booted_at| booted_at.checked_add(placing.now.boot))
            .map(|wall| local_time(wall, placing.zone));
        let was_today = day_before.is_ok_and(|time| day_of(&time) == before.day);
        let today = self.today(placing);
        if before.offset == 0 || (before.day != today && !was_today) {
            return;
        }
        self.turn_to(&today);
        self.offset = if before.day == today {
            before.offset
        } else {
            let people = before.balance().saturating_add(before.offset);
            people.saturating_sub(self.balance())
        };
    }

    /// In minus out of all lines.
    fn balance(&self) -> i64 {
        let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let lines = self.lines.values();
        lines
            .map(|day| signed(day.sum.inward) - signed(day.sum.outward))
            .sum()
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
            self.offset = 0;
        }
    }

    /// From now on and until the day turns, so many people more are inside than in minus out says.
    pub fn set_offset(&mut self, day: &str, offset: i64) {
        self.turn_to(day);
        self.offset = offset;
    }

    /// What [`Tally::set_offset`] said today.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        self.offset
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
