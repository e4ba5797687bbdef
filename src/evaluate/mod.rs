//! How wrong the counts are: crossings that a person labelled by hand, held against those that were counted. Pure: takes
//! texts and values, returns values and texts.
//!
//! ```text
//!  truth (CSV) ──────┐
//!                    ├─► matching ─► score ◄─ confidence ─► words, report
//!  counted, events ──┘
//! ```

pub mod confidence;
pub mod events;
mod matching;
pub mod report;
mod score;
pub mod truth;
pub mod words;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::event::Direction;

pub use score::{Bucket, Evaluation, Finding, LineScores, Outcome, Score, Settings, evaluate};

/// One person over one line, labelled or counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Milliseconds on the evaluation's [`Clock`].
    pub at: i64,
    /// Which of several recordings; empty where there is one, or none.
    pub recording: String,
    pub line: String,
    pub direction: Direction,
    /// What crossed, where anybody says so.
    pub class: Option<String>,
}

/// What was watched: nothing outside of it is held against anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// As in [`Crossing::recording`].
    pub recording: String,
    /// Milliseconds.
    pub from: i64,
    /// Milliseconds.
    pub to: i64,
}

/// What times mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Milliseconds since the recording began.
    Recording,
    /// Milliseconds since 1970, shown in this zone.
    Wall(TimeZone),
}

impl Clock {
    /// A moment as people read it: `1:02.5` of a recording, or RFC 3339.
    #[must_use]
    pub fn show(&self, at: i64) -> String {
        match self {
            Self::Recording => {
                let tenths = (at.max(0) + 50) / 100;
                let (minutes, rest) = (tenths / 600, tenths % 600);
                format!("{minutes}:{:02}.{}", rest / 10, rest % 10)
            }
            Self::Wall(zone) => match jiff::Timestamp::from_millisecond(at) {
                Ok(wall) => crate::event::local_time(wall, zone),
                Err(_) => format!("{at} ms"),
            },
        }
    }

    /// The same without what every mark of a chart has in common: the day and the zone.
    #[must_use]
    pub fn show_short(&self, at: i64) -> String {
        match (self, jiff::Timestamp::from_millisecond(at)) {
            (Self::Wall(zone), Ok(wall)) => {
                wall.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
            }
            _ => {
                let seconds = at.max(0) / 1000;
                format!("{}:{:02}", seconds / 60, seconds % 60)
            }
        }
    }
}

/// `in` or `out`.
#[must_use]
pub const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

/// What the program prints for other programs.
#[derive(Serialize)]
pub struct Document<'e> {
    /// Most seconds between a label and its count.
    window_s: f64,
    /// What was watched.
    watched: Vec<Watched>,
    #[serde(flatten)]
    evaluation: &'e Evaluation,
    /// Every crossing that was labelled or counted.
    crossings: Vec<Told<'e>>,
    /// What the numbers can and cannot say.
    sentence: String,
    notes: &'e [String],
}

#[derive(Serialize)]
struct Watched {
    #[serde(skip_serializing_if = "String::is_empty")]
    recording: String,
    from: serde_json::Value,
    to: serde_json::Value,
}

#[derive(Serialize)]
struct Told<'e> {
    what: Outcome,
    #[serde(skip_serializing_if = "str::is_empty")]
    recording: &'e str,
    line: &'e str,
    direction: Direction,
    at: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted_at: Option<serde_json::Value>,
}

impl<'e> Document<'e> {
    #[must_use]
    pub fn new(
        evaluation: &'e Evaluation,
        clock: &Clock,
        spans: &[Span],
        settings: &Settings,
        notes: &'e [String],
    ) -> Self {
        let at = |at: i64| match clock {
            Clock::Recording => (at as f64 / 1000.0).into(),
            Clock::Wall(_) => clock.show(at).into(),
        };
        let watched = |span: &Span| Watched {
            recording: span.recording.clone(),
            from: at(span.from),
            to: at(span.to),
        };
        let told = |finding: &'e Finding| Told {
            what: finding.what,
            recording: &finding.recording,
            line: &finding.line,
            direction: finding.direction,
            at: at(finding.at),
            counted_at: finding.counted_at.map(at),
        };
        Self {
            window_s: settings.window as f64 / 1000.0,
            watched: spans.iter().map(watched).collect(),
            crossings: evaluation.findings.iter().map(told).collect(),
            sentence: words::sentence(&evaluation.total),
            evaluation,
            notes,
        }
    }
}

#[cfg(test)]
mod tests;
