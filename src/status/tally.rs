//! Today's crossings per camera line and quarter of an hour, added up from the events that are durable. Pure; survives a
//! restart through a checkpoint that remembers up to which event it counted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Direction, LineCrossed};

/// Lines that are told apart; a config cannot sensibly have more.
const MAX_LINES: usize = 256;
/// Quarters of an hour in a day. When a day has an hour twice, both are the same four quarters.
pub const QUARTERS: u8 = 96;

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
}

/// The part of an event that is counted.
#[derive(Deserialize)]
struct Crossing {
    #[serde(rename = "type")]
    kind: String,
    time: String,
    source: String,
    data: serde_json::Value,
}

impl Tally {
    /// Takes one event of the count stream; events that are counted already, or are no crossings, change nothing.
    pub fn take(&mut self, sequence: u64, event: &[u8]) {
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
        let Ok(crossed) = serde_json::from_value::<LineCrossed>(event.data) else {
            return;
        };
        let day = event.time.get(..10).unwrap_or_default();
        if day < self.day.as_str() {
            return;
        }
        self.turn_to(day);
        let camera = event.source.rsplit('/').next().unwrap_or_default();
        let key = format!("{camera}/{}", crossed.line);
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
            tally.take(sequence, &crossing("2026-11-21T23:59:00.000+08:00", "in"));
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
        tally.take(1, &crossing("2026-11-21T23:59:00.000+08:00", "in"));
        tally.take(2, &crossing("2026-11-22T00:00:01.000+08:00", "out"));
        tally.take(3, &crossing("2026-11-21T23:59:59.000+08:00", "in"));
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
    fn what_was_set_by_hand_holds_until_the_day_turns_and_survives_a_restart() {
        let mut tally = Tally::default();
        tally.take(1, &crossing("2026-11-21T12:00:00.000+08:00", "in"));
        tally.set_offset("2026-11-21", -3);
        tally.take(2, &crossing("2026-11-21T13:00:00.000+08:00", "in"));
        let text = serde_json::to_vec(&tally).unwrap();
        let mut tally: Tally = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            (tally.offset(), tally.line("door", "main").sum.inward),
            (-3, 2)
        );
        tally.take(3, &crossing("2026-11-22T00:00:00.000+08:00", "in"));
        assert_eq!(tally.offset(), 0);
    }

    #[test]
    fn a_checkpoint_brings_back_the_same_sums() {
        let mut tally = Tally::default();
        tally.take(1, &crossing("2026-11-21T12:00:00.000+08:00", "out"));
        tally.take(2, b"not json at all");
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
            tally.take(sequence, &crossing(&time, "in"));
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
