//! Today's crossings per camera line and quarter of an hour, visits per zone, and who is inside, added up from the events
//! that are durable. Pure; survives a restart through a checkpoint that remembers up to which event it counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use crate::event::InOut;
use crate::event::{LineCrossed, ZoneEntered};
use crate::occupancy::Places;

/// Lines, and zones, that are told apart; a config cannot sensibly have more.
const MAX_LINES: usize = 256;
/// Quarters of an hour in a day. When a day has an hour twice, both are the same four quarters.
pub const QUARTERS: u8 = 96;

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
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
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
}

/// The part of an event that is counted.
#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "type")]
    kind: String,
    time: String,
    #[serde(default)]
    clock: String,
    source: String,
    data: serde_json::Value,
}

impl Tally {
    /// Takes one event of the count stream; events that are counted already, or are not counted, change nothing.
    /// `zone`: the shop's.
    pub fn take(&mut self, sequence: u64, event: &[u8], zone: &TimeZone) {
        if sequence <= self.sequence {
            return;
        }
        self.sequence = sequence;
        let Ok(event) = serde_json::from_slice::<Counted>(event) else {
            return;
        };
        let camera = event
            .source
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        match event.kind.as_str() {
            "footfall.line.crossed.v1" => self.cross(&camera, event, zone),
            "footfall.zone.entered.v1" => self.visit(&camera, event),
            _ => {}
        }
    }

    fn cross(&mut self, camera: &str, event: Counted, zone: &TimeZone) {
        let Ok(crossed) = serde_json::from_value::<LineCrossed>(event.data) else {
            return;
        };
        let key = format!("{camera}/{}", crossed.line);
        if let Ok(at) = event.time.parse::<Timestamp>() {
            let synced = event.clock != "unsynced";
            self.places.cross(&key, crossed.direction, at, synced, zone);
        }
        if !self.is_of_today(&event.time) {
            return;
        }
        if !self.lines.contains_key(&key) && self.lines.len() >= MAX_LINES {
            return;
        }
        let line = self.lines.entry(key).or_default();
        line.sum.add(crossed.direction);
        if let Some(quarter) = quarter_of(&event.time) {
            let quarter = line.quarters.entry(quarter).or_default();
            quarter.add(crossed.direction);
        }
    }

    fn visit(&mut self, camera: &str, event: Counted) {
        let Ok(entered) = serde_json::from_value::<ZoneEntered>(event.data) else {
            return;
        };
        let key = format!("{camera}/{}", entered.zone);
        let room = self.zones.contains_key(&key) || self.zones.len() < MAX_LINES;
        if room && self.is_of_today(&event.time) {
            *self.zones.entry(key).or_default() += 1;
        }
    }

    /// Turns to the day of that local time; false when it is over already.
    fn is_of_today(&mut self, time: &str) -> bool {
        let day = time.get(..10).unwrap_or_default();
        let today = day >= self.day.as_str();
        if today {
            self.turn_to(day);
        }
        today
    }

    /// Starts a new day when it is one.
    fn turn_to(&mut self, day: &str) {
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

/// The quarter of an hour since midnight, 0..=95, of a local time in RFC 3339.
#[must_use]
pub fn quarter_of(time: &str) -> Option<u8> {
    let hour: u8 = time.get(11..13)?.parse().ok()?;
    let minute: u8 = time.get(14..16)?.parse().ok()?;
    (hour < 24 && minute < 60).then(|| hour * 4 + minute / 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossing(time: &str, direction: &str) -> Vec<u8> {
        format!(
            r#"{{"type":"footfall.line.crossed.v1","time":"{time}","source":"/a/s/b/camera/door","data":{{"line":"main","direction":"{direction}","track":1,"from":"x","to":"y"}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn an_event_counts_once_however_often_it_is_read() {
        let mut tally = Tally::default();
        for sequence in [1, 2, 2, 1, 3] {
            tally.take(
                sequence,
                &crossing("2026-11-21T23:59:00.000+08:00", "in"),
                &TimeZone::UTC,
            );
        }
        assert_eq!(
            tally.line("door", "main").sum,
            InOut {
                inward: 3,
                outward: 0
            }
        );
        assert_eq!(tally.line("door", "other"), LineDay::default());
    }

    #[test]
    fn a_new_day_begins_at_zero_and_an_old_event_does_not_bring_yesterday_back() {
        let mut tally = Tally::default();
        tally.take(
            1,
            &crossing("2026-11-21T23:59:00.000+08:00", "in"),
            &TimeZone::UTC,
        );
        tally.take(
            2,
            &crossing("2026-11-22T00:00:01.000+08:00", "out"),
            &TimeZone::UTC,
        );
        tally.take(
            3,
            &crossing("2026-11-21T23:59:59.000+08:00", "in"),
            &TimeZone::UTC,
        );
        assert_eq!(tally.day(), "2026-11-22");
        assert_eq!(
            tally.line("door", "main").sum,
            InOut {
                inward: 0,
                outward: 1
            }
        );
    }

    #[test]
    fn who_is_inside_outlives_midnight_and_a_restart() {
        let (zone, mut tally) = (TimeZone::get("Asia/Shanghai").unwrap(), Tally::default());
        tally.take(1, &crossing("2026-11-21T23:50:00.000+08:00", "in"), &zone);
        tally.take(2, &crossing("2026-11-21T23:55:00.000+08:00", "in"), &zone);
        let text = serde_json::to_vec(&tally).unwrap();
        let mut tally: Tally = serde_json::from_slice(&text).unwrap();
        tally.take(2, &crossing("2026-11-21T23:55:00.000+08:00", "in"), &zone);
        tally.take(3, &crossing("2026-11-22T00:10:00.000+08:00", "out"), &zone);
        assert_eq!(tally.line("door", "main").sum.outward, 1);
        assert_eq!(tally.line("door", "main").sum.inward, 0);
        assert_eq!(tally.places().inside()[0].inside, 1);
    }

    #[test]
    fn visits_are_counted_by_zone() {
        let entered = |zone: &str| {
            format!(
                r#"{{"type":"footfall.zone.entered.v1","time":"2026-11-21T10:00:00.000+08:00","source":"/a/s/b/camera/door","data":{{"zone":"{zone}","track":1}}}}"#
            )
            .into_bytes()
        };
        let mut tally = Tally::default();
        for (sequence, zone) in [(1, "till"), (2, "till"), (2, "till"), (3, "shelf")] {
            tally.take(sequence, &entered(zone), &TimeZone::UTC);
        }
        assert_eq!(
            (tally.zone("door", "till"), tally.zone("door", "shelf")),
            (2, 1)
        );
    }

    #[test]
    fn a_checkpoint_brings_back_the_same_sums() {
        let mut tally = Tally::default();
        tally.take(
            1,
            &crossing("2026-11-21T12:00:00.000+08:00", "out"),
            &TimeZone::UTC,
        );
        tally.take(2, b"not json at all", &TimeZone::UTC);
        let text = serde_json::to_vec(&tally).unwrap();
        let again: Tally = serde_json::from_slice(&text).unwrap();
        assert_eq!(again, tally);
        assert_eq!(again.sequence(), 2);
    }

    #[test]
    fn crossings_fall_into_the_quarter_of_their_local_time() {
        let mut tally = Tally::default();
        let moments = ["00:00:00", "00:14:59", "00:15:00", "10:59:59", "23:45:00"];
        for (sequence, moment) in (1..).zip(moments) {
            let time = format!("2026-11-21T{moment}.000+08:00");
            tally.take(sequence, &crossing(&time, "in"), &TimeZone::UTC);
        }
        let quarters = tally.line("door", "main").quarters;
        let counted: Vec<_> = quarters.iter().map(|(at, sum)| (*at, sum.inward)).collect();
        assert_eq!(counted, [(0, 2), (1, 1), (43, 1), (95, 1)]);
        for odd in ["", "2026-11-21", "2026-11-21T24:00:00Z", "2026-11-21T10:6"] {
            assert_eq!(quarter_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_checkpoint_from_before_there_were_quarters_is_still_read() {
        let old = r#"{"day":"2026-11-21","lines":{"door/main":{"in":3,"out":1}},"sequence":4}"#;
        let tally: Tally = serde_json::from_str(old).unwrap();
        let line = tally.line("door", "main");
        assert_eq!((line.sum.inward, line.sum.outward), (3, 1));
        assert!(line.quarters.is_empty());
    }
}
