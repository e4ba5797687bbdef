//! The cloud of the soak: takes events, sends commands, and remembers no more than a day of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use footfall::command::envelope::{Claims, seal};
use footfall::command::id::CommandId;
use footfall::command::key::PrivateKey;
use footfall::event::Stream;
use footfall::outbox::{Outbox, PerStream, Queue};
use jiff::Timestamp;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::house::{House, KEY};
use super::{BASE, until};

/// A day: commands may wait for the end of an outage.
const COMMAND_LIFE_S: i64 = 86_400;

#[derive(Default)]
struct Book {
    subscribed: bool,
    /// What arrived after `checked`, by number: a hash of its bytes.
    events: PerStream<BTreeMap<u64, u64>>,
    /// Up to here everything was compared with what the box had stored.
    checked: PerStream<u64>,
    received: u64,
    /// Commands sent, and those of them that nobody has answered yet.
    sent: u64,
    unanswered: BTreeMap<String, ()>,
    fault: Option<String>,
}

pub struct Cloud {
    book: Arc<Mutex<Book>>,
    client: AsyncClient,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Deserialize)]
struct Head {
    sequence: String,
    stream: Stream,
}

impl Book {
    fn take(&mut self, publish: &Publish) {
        let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
        let below = topic.strip_prefix(BASE).unwrap().trim_start_matches('/');
        if let Some(id) = below.strip_prefix("response/") {
            let answer: serde_json::Value = serde_json::from_slice(&publish.payload).unwrap();
            match answer["state"].as_str() {
                Some("succeeded") => drop(self.unanswered.remove(id)),
                Some("accepted" | "executing") => {}
                _ => self.fault = Some(format!("a command was not obeyed: {answer}")),
            }
            return;
        }
        let batch: Vec<&RawValue> = serde_json::from_slice(&publish.payload).unwrap();
        for event in batch {
            let head: Head = serde_json::from_str(event.get()).unwrap();
            let (stream, number) = (head.stream, head.sequence.parse().unwrap());
            if number <= self.checked[stream] {
                continue; // once more; it was compared when it came first
            }
            let hash = hash(event.get().as_bytes());
            match self.events[stream].insert(number, hash) {
                None => self.received += 1,
                Some(before) if before == hash => {}
                Some(_) => self.fault = Some(format!("{stream}/{number} came with other bytes")),
            }
        }
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl Cloud {
    /// Must be called inside a tokio runtime, from outside its tasks.
    pub fn connect(broker: u16) -> Self {
        let mut options = MqttOptions::new("cloud", "127.0.0.1", broker);
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(3600))
            .set_max_packet_size(Some(4 << 20));
        let (client, mut events) = AsyncClient::new(options, 1024);
        let filters = ["event/+", "backfill/+", "response/+"];
        let filters = filters.map(|below| Filter::new(format!("{BASE}/{below}"), QoS::AtLeastOnce));
        client.try_subscribe_many(filters).unwrap();
        let book = Arc::<Mutex<Book>>::default();
        let writer = Arc::clone(&book);
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        writer.lock().unwrap().take(&publish)
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        writer.lock().unwrap().subscribed = true
                    }
                    Ok(_) => {}
                    Err(why) => {
                        writer.lock().unwrap().fault =
                            Some(format!("the cloud lost its broker: {why}"));
                        return;
                    }
                }
            }
        });
        let cloud = Self { book, client, task };
        until("the cloud listens", || {
            cloud.book.lock().unwrap().subscribed
        });
        cloud
    }

    /// Sends a command that must be obeyed exactly once.
    pub fn command(&self, now: Timestamp) {
        let mut book = self.book.lock().unwrap();
        book.sent += 1;
        let mut random = [0; 16];
        random[..8].copy_from_slice(&book.sent.to_be_bytes());
        let id = CommandId::from_random(random);
        book.unanswered.insert(id.to_string(), ());
        let claims = Claims {
            id,
            addressee: "box-0042".into(),
            name: "count".into(),
            args: serde_json::Map::new(),
            iat: now.as_second(),
            exp: now.as_second() + COMMAND_LIFE_S,
            seq: book.sent,
        };
        let key: &PrivateKey = &KEY;
        let payload = seal(key, &claims);
        self.client
            .try_publish(format!("{BASE}/command"), QoS::AtLeastOnce, false, payload)
            .unwrap();
    }

    pub fn has_everything(&self, last: &PerStream<u64>) -> bool {
        let book = self.book.lock().unwrap();
        assert_eq!(book.fault, None);
        let complete = Stream::ALL.iter().all(|&stream| {
            let new = last[stream] - book.checked[stream];
            book.events[stream].len() as u64 == new
        });
        complete && book.unanswered.is_empty()
    }

    /// Compares what arrived since the last time with what the box has stored, byte for byte, number for number.
    pub fn check_the_day(&self, house: &House) {
        let mut book = self.book.lock().unwrap();
        for stream in Stream::ALL {
            let events = std::mem::take(&mut book.events[stream]);
            let mut number = book.checked[stream];
            while let Some(stored) = next(house.outbox(), stream, number) {
                for one in stored {
                    number += 1;
                    assert_eq!(one.sequence, number, "{stream}: the outbox has a hole");
                    assert_eq!(
                        events.get(&number),
                        Some(&hash(&one.bytes)),
                        "{stream}/{number}"
                    );
                }
            }
            assert_eq!(
                events.len() as u64,
                number - book.checked[stream],
                "{stream}"
            );
            book.checked[stream] = number;
        }
        assert_eq!(house.obeyed(), book.sent, "each command once");
    }

    pub fn received(&self) -> u64 {
        self.book.lock().unwrap().received
    }
}

fn next(outbox: &Outbox, stream: Stream, after: u64) -> Option<Vec<footfall::outbox::Stored>> {
    let events = outbox.read(stream, after, 500, 1 << 20).unwrap();
    (!events.is_empty()).then_some(events)
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.task.abort();
    }
}
