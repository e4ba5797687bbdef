//! Answers that nobody has yet, in the order in which they are published. In memory: what must survive is in the journal.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};
use tracing::warn;

use super::id::CommandId;
use crate::uplink::desk::Answer;

/// Answers that wait at most; beyond that the oldest is dropped (the journal gives it to whoever asks again).
const CAPACITY: usize = 128;

/// Something to publish, and the command it belongs to.
#[derive(Debug)]
pub struct Waiting {
    /// `None` for what belongs to no command.
    pub id: Option<CommandId>,
    pub care: Care,
    pub answer: Answer,
}

/// Who wants to know what became of it.
#[derive(Debug)]
pub enum Care {
    Nobody,
    /// The journal, when the broker has it.
    Journal,
    /// Whoever sent it. Once they do not wait any more it is not published.
    Sender(oneshot::Sender<Posted>),
}

/// What became of something to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The broker has it.
    Delivered,
    /// The broker does not want it.
    Refused,
    /// The broker takes no payload larger than this, bytes.
    TooLarge(usize),
}

impl Waiting {
    fn is_abandoned(&self) -> bool {
        matches!(&self.care, Care::Sender(sender) if sender.is_closed())
    }
}

/// See the module.
pub struct Tray {
    waiting: Mutex<Queue>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Queue {
    last: u64,
    by_ticket: BTreeMap<u64, Waiting>,
}

impl Default for Tray {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            changes: watch::channel(0).0,
        }
    }
}

impl Tray {
    /// One more answer; one to the same command for the same reader that still waits gives way.
    pub fn put(&self, waiting: Waiting) {
        let ticket = {
            let mut queue = self.lock();
            queue.by_ticket.retain(|_, older| {
                let same_reader = older.answer.topic == waiting.answer.topic
                    && older.answer.correlation == waiting.answer.correlation;
                older.id != waiting.id || !same_reader
            });
            if queue.by_ticket.len() >= CAPACITY
                && let Some((_, dropped)) = queue.by_ticket.pop_first()
            {
                let id = dropped.id.as_ref().map(CommandId::as_str);
                warn!(
                    id,
                    topic = dropped.answer.topic,
                    "too many answers wait; the oldest is dropped"
                );
            }
            queue.last += 1;
            let ticket = queue.last;
            queue.by_ticket.insert(ticket, waiting);
            ticket
        };
        self.changes.send_replace(ticket);
    }

    /// Takes an answer out.
    pub fn take(&self, ticket: u64) -> Option<Waiting> {
        self.lock().by_ticket.remove(&ticket)
    }

    /// Tells the sender of an answer that the broker refused it, where there is one: then it is taken out. Gives its topic.
    pub fn refuse(&self, ticket: u64) -> Option<String> {
        let mut queue = self.lock();
        let topic = queue.by_ticket.get(&ticket)?.answer.topic.clone();
        let told = |waiting: &mut Waiting| matches!(waiting.care, Care::Sender(_));
        if queue.by_ticket.get_mut(&ticket).is_some_and(told)
            && let Some(Waiting { care, .. }) = queue.by_ticket.remove(&ticket)
            && let Care::Sender(sender) = care
        {
            let _ = sender.send(Posted::Refused);
        }
        Some(topic)
    }

    /// The first answer after `ticket`.
    #[must_use]
    pub fn after(&self, ticket: u64) -> Option<(u64, Answer)> {
        let mut queue = self.lock();
        queue.by_ticket.retain(|_, waiting| !waiting.is_abandoned());
        let (ticket, waiting) = queue.by_ticket.range(ticket.saturating_add(1)..).next()?;
        Some((*ticket, waiting.answer.clone()))
    }

    /// The highest ticket that waits; 0 when none does.
    #[must_use]
    pub fn last(&self) -> u64 {
        let queue = self.lock();
        let last = queue.by_ticket.last_key_value();
        last.map_or(0, |(ticket, _)| *ticket)
    }

    /// Changes with every new answer.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::desk::JSON;

    fn waiting(id: u8, topic: &str, text: &str) -> Waiting {
        Waiting {
            id: Some(CommandId::from_random([id; 16])),
            care: Care::Journal,
            answer: Answer {
                topic: topic.into(),
                content_type: JSON,
                correlation: None,
                retain: false,
                payload: text.into(),
            },
        }
    }

    #[test]
    fn answers_come_in_order_and_a_later_one_replaces_an_earlier_one_for_the_same_reader() {
        let tray = Tray::default();
        tray.put(waiting(1, "a", "executing"));
        tray.put(waiting(2, "b", "done"));
        tray.put(waiting(1, "a", "succeeded"));
        tray.put(waiting(1, "elsewhere", "succeeded"));
        let (first, answer) = tray.after(0).unwrap();
        assert_eq!((first, answer.payload), (2, b"done".to_vec()));
        let (second, answer) = tray.after(first).unwrap();
        assert_eq!((second, answer.payload), (3, b"succeeded".to_vec()));
        assert_eq!(tray.last(), 4);
        assert!(tray.take(1).is_none());
        assert!(tray.take(4).is_some());
        assert_eq!((tray.last(), tray.after(3)), (3, None));
    }

    #[test]
    fn a_sender_hears_what_became_of_its_parcel_and_one_who_left_is_not_served() {
        let tray = Tray::default();
        let parcel = |topic: &str| {
            let (sender, heard) = oneshot::channel();
            let care = Care::Sender(sender);
            tray.put(Waiting {
                care,
                ..waiting(1, topic, "")
            });
            (tray.last(), heard)
        };
        let (refused, mut heard) = parcel("a");
        assert_eq!(tray.refuse(refused).as_deref(), Some("a"));
        assert_eq!(heard.try_recv(), Ok(Posted::Refused));
        assert_eq!((tray.refuse(refused), tray.after(0)), (None, None));
        let (_, heard) = parcel("b");
        drop(heard);
        assert_eq!(tray.after(0), None);
        // An answer stays for a later try.
        tray.put(waiting(2, "c", ""));
        assert_eq!(tray.refuse(tray.last()).as_deref(), Some("c"));
        assert!(tray.after(0).is_some());
    }

    #[test]
    fn a_tray_that_nobody_empties_stays_small() {
        let tray = Tray::default();
        for number in 0..1000 {
            tray.put(waiting(1, &format!("topic {number}"), ""));
        }
        assert_eq!(tray.lock().by_ticket.len(), CAPACITY);
        assert_eq!(tray.last(), 1000);
    }
}
