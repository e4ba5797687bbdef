//! Today's crossings per camera line, added up from the events that are durable. Pure; survives a restart through a
//! checkpoint that remembers up to which event it counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Direction, LineCrossed};

/// Lines that are told apart; a config cannot sensibly have more.
const MAX_LINES: usize = 1024;

/// Crossings of one line on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The sums of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Local date, `YYYY-MM-DD`; empty before the first event.
    day: String,
    /// By `camera/line`.
    lines: BTreeMap<String, InOut>,
    /// Everything in the count stream up to here is in the sums.
    sequence: u64,
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
        self.lines.entry(key).or_default().add(crossed.direction);
    }

    /// Starts a new day when it is one.
    pub fn turn_to(&mut self, day: &str) {
        if self.day != day {
            day.clone_into(&mut self.day);
            self.lines.clear();
        }
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
    pub fn line(&self, camera: &str, line: &str) -> InOut {
        self.lines
            .get(&format!("{camera}/{line}"))
            .copied()
            .unwrap_or_default()
    }
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
            tally.line("door", "main"),
            InOut {
                inward: 3,
                outward: 0
            }
        );
        assert_eq!(tally.line("door", "other"), InOut::default());
    }

    #[test]
    fn a_new_day_begins_at_zero_and_an_old_event_does_not_bring_yesterday_back() {
        let mut tally = Tally::default();
        tally.take(1, &crossing("2026-11-21T23:59:00.000+08:00", "in"));
        tally.take(2, &crossing("2026-11-22T00:00:01.000+08:00", "out"));
        tally.take(3, &crossing("2026-11-21T23:59:59.000+08:00", "in"));
        assert_eq!(tally.day(), "2026-11-22");
        assert_eq!(
            tally.line("door", "main"),
            InOut {
                inward: 0,
                outward: 1
            }
        );
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
}
