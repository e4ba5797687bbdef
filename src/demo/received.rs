//! What the subscriber got, in the words of the truth. Pure.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::outcome::Moment;
use crate::event::{CodeScanned, LineCrossed, WifiInterval};

/// Everything that was counted, read from the events that arrived.
#[derive(Debug, Default)]
pub struct Received {
    pub crossings: Vec<Moment>,
    pub scans: Vec<CodeScanned>,
    pub opened: u64,
    pub closed: u64,
    pub wifi: Vec<WifiInterval>,
    /// Events that cannot be read.
    pub unreadable: u64,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    time: String,
    data: Value,
}

impl Received {
    /// `events`: in the order of each stream. `opens`: when the shop opened.
    #[must_use]
    pub fn of(events: &[String], opens: Timestamp) -> Self {
        let mut received = Self::default();
        for event in events {
            if received.take(event, opens).is_err() {
                received.unreadable += 1;
            }
        }
        received
    }

    fn take(&mut self, event: &str, opens: Timestamp) -> anyhow::Result<()> {
        let Event { kind, time, data } = serde_json::from_str(event)?;
        match kind.as_str() {
            "footfall.line.crossed.v1" => {
                let LineCrossed { direction, .. } = serde_json::from_value(data)?;
                let time: Timestamp = time.parse()?;
                let at = time.duration_since(opens).as_secs_f64();
                self.crossings.push(Moment { at, direction });
            }
            "footfall.code.scanned.v1" => self.scans.push(serde_json::from_value(data)?),
            "footfall.door.opened.v1" => self.opened += 1,
            "footfall.door.closed.v1" => self.closed += 1,
            "footfall.wifi.interval.v1" => self.wifi.push(serde_json::from_value(data)?),
            _ => {}
        }
        Ok(())
    }
}
