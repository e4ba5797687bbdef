//! A desk that answers every command at once with the command itself, and counts on nothing.

#![allow(dead_code)] // each test file uses its own part

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use footfall::uplink::desk::{Answer, Desk, JSON, Message};
use tokio::sync::{oneshot, watch};

const BASE: &str = "footfall/v1/acme/shop-7/box-0042";

pub struct Clerk {
    /// The last ticket, and the answers nobody has yet.
    answers: Mutex<(u64, BTreeMap<u64, Answer>)>,
    changed: watch::Sender<u64>,
}

impl Default for Clerk {
    fn default() -> Self {
        Self {
            answers: Mutex::default(),
            changed: watch::channel(0).0,
        }
    }
}

impl Clerk {
    /// Waits until no answer waits any more and `done` says so, too.
    pub async fn until_all_is_answered(&self, done: impl Fn() -> bool) {
        while self.last_ticket() > 0 || !done() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Desk for Clerk {
    fn deliver(&self, message: Message) -> Option<oneshot::Receiver<()>> {
        let (durable, receipt) = oneshot::channel();
        let ticket = {
            let (last, answers) = &mut *self.answers.lock().unwrap();
            *last += 1;
            let command = String::from_utf8(message.payload).unwrap();
            let answer = Answer {
                topic: format!("{BASE}/response/{command}"),
                content_type: JSON,
                correlation: message.correlation,
                retain: false,
                payload: command.into_bytes(),
            };
            answers.insert(*last, answer);
            *last
        };
        self.changed.send_replace(ticket);
        let _ = durable.send(());
        Some(receipt)
    }

    fn answer_after(&self, ticket: u64) -> Option<(u64, Answer)> {
        let (_, answers) = &*self.answers.lock().unwrap();
        let (ticket, answer) = answers.range(ticket + 1..).next()?;
        Some((*ticket, answer.clone()))
    }

    fn last_ticket(&self) -> u64 {
        let (_, answers) = &*self.answers.lock().unwrap();
        answers.last_key_value().map_or(0, |(ticket, _)| *ticket)
    }

    fn answered(&self, ticket: u64) {
        self.answers.lock().unwrap().1.remove(&ticket);
    }

    /// Stays for a later try.
    fn refused(&self, ticket: u64) -> Option<String> {
        let (_, answers) = &*self.answers.lock().unwrap();
        answers.get(&ticket).map(|answer| answer.topic.clone())
    }

    fn too_large(&self, ticket: u64, _most: usize) {
        self.answered(ticket);
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
