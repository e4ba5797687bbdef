//! What the broker took and acknowledged: the truth about what the cloud has, and whether the box kept to MQTT's rules.

use std::collections::{BTreeMap, BTreeSet};

use footfall::event::Stream;
use footfall::uplink::route::{Lane, Route};
use footfall::uplink::topics::route_of;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::Publish;

/// An event by its stream and sequence number.
pub type Key = (Stream, u64);

#[derive(Debug, Default)]
pub struct Truth {
    /// Events the broker took, with their bytes.
    pub taken: BTreeMap<Key, String>,
    /// Events in a publish that a success was written for.
    pub acked: BTreeSet<Key>,
    /// Events in a publish that was not taken, and that an error is for.
    pub refused: BTreeSet<Key>,
    /// First deliveries, lane by lane, in their order.
    pub order: BTreeMap<(usize, bool), Vec<u64>>,
    /// Events that came again.
    pub duplicates: u64,
    /// Commands whose answer was taken.
    pub answered: BTreeSet<String>,
    /// Latest state that was taken.
    pub state: Option<String>,
    /// What the box did that MQTT or its own contract forbids.
    pub broken_rules: Vec<String>,
    pub connections: u64,
    pub publishes: u64,
    /// What became of the plans, by kind.
    pub happened: BTreeMap<String, u64>,
    /// Connections that were left in order.
    pub goodbyes: u64,
}

#[derive(Deserialize)]
struct Envelope {
    stream: String,
    sequence: String,
}

impl Truth {
    pub fn happened(&mut self, what: impl Into<String>) {
        *self.happened.entry(what.into()).or_default() += 1;
    }

    pub fn broken(&mut self, rule: impl Into<String>) {
        if self.broken_rules.len() < 20 {
            self.broken_rules.push(rule.into());
        }
    }

    /// The cloud has it from now on.
    pub fn take(&mut self, base: &str, publish: &Publish) {
        match publish.topic.strip_prefix(base) {
            Some("/state") => {
                self.state = Some(String::from_utf8_lossy(&publish.payload).into_owned());
            }
            Some(topic) if topic.starts_with("/response/") => {
                let command = topic.trim_start_matches("/response/").to_owned();
                self.answered.insert(command);
            }
            _ => {
                for (route, sequence, text) in self.events(base, publish) {
                    self.arrived(route, sequence, text);
                }
            }
        }
    }

    /// A success for it is about to be written.
    pub fn ack(&mut self, base: &str, publish: &Publish) {
        let events = self.events(base, publish);
        let keys = events
            .into_iter()
            .map(|(route, number, _)| (route.stream, number));
        self.acked.extend(keys);
    }

    /// The cloud does not get it.
    pub fn refuse(&mut self, base: &str, publish: &Publish) {
        let events = self.events(base, publish);
        let keys = events
            .into_iter()
            .map(|(route, number, _)| (route.stream, number));
        self.refused.extend(keys);
    }

    fn arrived(&mut self, route: Route, sequence: u64, text: String) {
        let key = (route.stream, sequence);
        match self.taken.get(&key) {
            Some(first) => {
                self.duplicates += 1;
                if *first != text {
                    self.broken(format!("{key:?} came again with other bytes"));
                }
            }
            None => {
                self.taken.insert(key, text);
                let lane = (route.stream.index(), route.lane == Lane::Live);
                self.order.entry(lane).or_default().push(sequence);
            }
        }
    }

    fn events(&mut self, base: &str, publish: &Publish) -> Vec<(Route, u64, String)> {
        let Some(route) = route_of(base, &publish.topic) else {
            if !["/state", "/response/"]
                .iter()
                .any(|known| publish.topic.contains(known))
            {
                self.broken(format!("a publish to {}", publish.topic));
            }
            return Vec::new();
        };
        let Ok(batch) = serde_json::from_slice::<Vec<&RawValue>>(&publish.payload) else {
            self.broken(format!("no batch on {}", publish.topic));
            return Vec::new();
        };
        let mut events = Vec::new();
        for text in batch.into_iter().map(RawValue::get) {
            let envelope: Envelope = serde_json::from_str(text).unwrap();
            if envelope.stream != route.stream.name() {
                self.broken(format!(
                    "an event of {} on {}",
                    envelope.stream, publish.topic
                ));
            }
            events.push((route, envelope.sequence.parse().unwrap(), text.to_owned()));
        }
        events
    }
}
