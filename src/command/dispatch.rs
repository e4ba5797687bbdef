//! Takes commands from the uplink, begins them once, and puts their answers where the uplink finds them.
//!
//! A message is taken in this order: signature, known id (the stored answer again), box and expiry, name and order, room;
//! then it is durable, and only then the broker hears of it. What nobody vouches for, or what is not for this box and
//! this moment, leaves no trace on the disk; it is counted, and answered within the limiter's bounds if its id can
//! be read and is unknown, so that nobody can answer in the place of a real command.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::bench::{Begun, Bench, STORE_AGAIN, halt};
use super::counters::Counters;
use super::envelope;
use super::handlers::{Handler, interrupted};
use super::journal::{Entry, Journal};
use super::judge::Arrival;
use super::key::Keys;
use super::response::{State, Trouble};
use super::tray::{Care, Posted, Waiting};
use crate::clock::SharedClock;
use crate::event::Identity;
use crate::uplink::desk::{Answer, COMMANDS_HELD, Desk, Inlet, Message};
use crate::uplink::topics::Topics;

/// What a dispatcher works with.
pub struct Setup {
    pub keys: Keys,
    pub identity: Identity,
    pub topics: Topics,
    pub clock: SharedClock,
    pub handlers: Vec<Arc<dyn Handler>>,
    /// Where it counts.
    pub counters: Counters,
}

/// See the module. What the uplink holds.
pub struct Dispatcher {
    inbox: mpsc::Sender<Delivery>,
    /// The newest desired config.
    desired: watch::Sender<Option<Arc<[u8]>>>,
    bench: Arc<Bench>,
}

/// The other end of a dispatcher: works until it is stopped.
pub struct Worker {
    inbox: mpsc::Receiver<Delivery>,
    bench: Arc<Bench>,
    open: Vec<Entry>,
}

struct Delivery {
    message: Message,
    arrival: Arrival,
    durable: oneshot::Sender<()>,
}

impl Dispatcher {
    /// Reads the journal in `dir`.
    ///
    /// # Errors
    /// The journal cannot be read or made.
    pub fn open(setup: Setup, dir: &Path) -> io::Result<(Arc<Self>, Worker)> {
        let (journal, open) = Journal::open(dir)?;
        let (tx, inbox) = mpsc::channel(COMMANDS_HELD);
        let bench = Arc::new(Bench::new(setup, journal));
        let dispatcher = Self {
            inbox: tx,
            desired: watch::channel(None).0,
            bench: Arc::clone(&bench),
        };
        Ok((Arc::new(dispatcher), Worker { inbox, bench, open }))
    }

    /// What came in on `{base}/config/desired`: the newest message only.
    #[must_use]
    pub fn desired(&self) -> watch::Receiver<Option<Arc<[u8]>>> {
        self.desired.subscribe()
    }

    /// Publishes what belongs to no command; a later one to the same topic takes the place of one that still waits.
    pub fn publish(&self, answer: Answer) {
        self.bench.tray.put(Waiting {
            id: None,
            care: Care::Nobody,
            answer,
        });
    }
}

impl Desk for Dispatcher {
    fn deliver(&self, mut message: Message) -> Option<oneshot::Receiver<()>> {
        // One byte too many is as wrong as a megabyte, and needs less room.
        message.payload.truncate(envelope::LONGEST + 1);
        message.payload.shrink_to_fit();
        let (durable, receipt) = oneshot::channel();
        if message.inlet == Inlet::Desired {
            // Nothing to make durable: the broker brings it again with every connection.
            self.desired.send_replace(Some(message.payload.into()));
            let _ = durable.send(());
            return Some(receipt);
        }
        let arrival = Arrival {
            at: self.bench.setup.clock.now(),
            expires_in: message.expires_in,
        };
        let delivery = Delivery {
            message,
            arrival,
            durable,
        };
        self.inbox.try_send(delivery).ok().map(|()| receipt)
    }

    fn answer_after(&self, ticket: u64) -> Option<(u64, Answer)> {
        self.bench.tray.after(ticket)
    }

    fn last_ticket(&self) -> u64 {
        self.bench.tray.last()
    }

    fn answered(&self, ticket: u64) {
        let Some(waiting) = self.bench.tray.take(ticket) else {
            return;
        };
        match (waiting.care, waiting.id) {
            (Care::Journal, Some(id)) => {
                let bench = Arc::clone(&self.bench);
                // Not waited for: should it be lost, the answer is published once more.
                tokio::spawn(async move {
                    halt("answered").await;
                    spawn_blocking(move || bench.note_answered(&id)).await
                });
            }
            (Care::Sender(sender), _) => {
                let _ = sender.send(Posted::Delivered);
            }
            _ => {}
        }
    }

    fn refused(&self, ticket: u64) -> Option<String> {
        self.bench.tray.refuse(ticket)
    }

    fn too_large(&self, ticket: u64, most: usize) {
        let Some(mut waiting) = self.bench.tray.take(ticket) else {
            return;
        };
        let id = match (waiting.care, waiting.id.take()) {
            (Care::Sender(sender), _) => {
                let _ = sender.send(Posted::TooLarge(most));
                return;
            }
            (_, None) => return,
            (care, Some(id)) => {
                waiting.care = care;
                id
            }
        };
        let trouble = Trouble::failed(
            "too_large",
            format!(
                "the answer has {} bytes and the broker takes {most}: raise its maximum packet size, then ask again with the same id",
                waiting.answer.payload.len()
            ),
        );
        let payload = self.bench.encode(&id, None, State::Failed, Err(&trouble));
        if payload.len() <= most {
            waiting.id = Some(id);
            waiting.answer.payload = payload;
            self.bench.tray.put(waiting);
        }
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.bench.tray.changes()
    }
}

impl Worker {
    /// Ends or begins again what a restart cut off, then takes commands until `stop` turns true (or its sender is
    /// dropped). What is at work then goes on for as long as the daemon does.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        for entry in std::mem::take(&mut self.open) {
            self.resume(entry).await;
        }
        loop {
            let delivery = tokio::select! {
                delivery = self.inbox.recv() => delivery,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Some(delivery) = delivery else { return };
            tokio::select! {
                () = self.take(delivery) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn resume(&self, mut entry: Entry) {
        let bench = &self.bench;
        if entry.state.is_final() {
            bench.answer(&entry, &entry.reply, true);
            return;
        }
        let again = bench.handlers.get(entry.name.as_str()).filter(|handler| {
            let nature = handler.nature();
            let latest = bench.journal().last_seq(&entry.name) == Some(entry.seq);
            let now = bench.setup.clock.now();
            // A key that was withdrawn meanwhile begins nothing any more.
            let trusted = bench.setup.keys.find(&entry.kid).is_some();
            trusted
                && nature.idempotent
                && (latest || !nature.ordered)
                && now.synced
                && now.wall.as_second() < entry.exp
        });
        if let (Some(handler), Some(args)) = (again.cloned(), entry.args.clone()) {
            info!(id = %entry.id, name = entry.name, "a command that a restart cut off begins again");
            tokio::spawn(Arc::clone(bench).work(Begun {
                entry,
                handler,
                args,
                deadline: None,
                place: None,
            }));
            return;
        }
        warn!(id = %entry.id, name = entry.name, "a restart cut a command off");
        let handler = bench.handlers.get(entry.name.as_str());
        let outcome = handler.map_or_else(interrupted, |handler| handler.after_restart(&entry.id));
        bench.end(&mut entry, outcome);
        let bench = Arc::clone(bench);
        bench.keep(entry).await;
    }

    async fn take(&self, delivery: Delivery) {
        let Delivery {
            message,
            arrival,
            durable,
        } = delivery;
        let message = Arc::new(message);
        // Whoever delivered it is gone: the broker brings it again.
        while !durable.is_closed() {
            let (bench, given) = (Arc::clone(&self.bench), Arc::clone(&message));
            match spawn_blocking(move || bench.receive(&given, arrival)).await {
                Ok(Ok(begun)) => {
                    halt("accepted").await;
                    let _ = durable.send(());
                    if let Some(begun) = begun {
                        tokio::spawn(Arc::clone(&self.bench).work(begun));
                    }
                    return;
                }
                Ok(Err(why)) => {
                    error!(%why, "a command cannot be stored; trying again");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
                Err(why) => {
                    error!(%why, "taking a command panicked; it is not acknowledged");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
