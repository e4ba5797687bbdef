//! Where commands are worked on: what is decided before the broker hears of one, and what happens to it afterwards.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::dispatch::Setup;
use super::envelope::{self, Claims, EnvelopeFault};
use super::handlers::{Call, Handler, Outcome, Post};
use super::id::CommandId;
use super::journal::{Entry, Journal, JournalError, Reply};
use super::judge::{Arrival, Deadline, Unfit, judge};
use super::limiter::Limiter;
use super::response::{Response, State, Trouble};
use super::tray::{Care, Posted, Tray, Waiting};
use crate::uplink::desk::{Answer, JSON, Message};

/// Commands at work side by side; others wait for their turn.
const AT_ONCE: usize = 4;
/// Commands begun or waiting for their turn.
const MOST_OPEN: usize = 32;
/// Longest result, bytes of JSON.
const LARGEST_RESULT: usize = 64 * 1024;
/// Longest correlation data that is echoed, bytes.
const LONGEST_CORRELATION: usize = 256;
/// Pause after the journal could not be written.
pub(super) const STORE_AGAIN: Duration = Duration::from_secs(5);

/// What both ends of a dispatcher share.
pub(super) struct Bench {
    pub(super) setup: Setup,
    pub(super) handlers: BTreeMap<&'static str, Arc<dyn Handler>>,
    journal: Mutex<Journal>,
    limiter: Mutex<Limiter>,
    pub(super) tray: Tray,
    turns: Semaphore,
    open: Arc<Semaphore>,
}

/// A command that is durable and waits for its turn.
pub(super) struct Begun {
    pub(super) entry: Entry,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) args: Map<String, Value>,
    pub(super) deadline: Option<Deadline>,
    /// Its place among the open ones.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

impl Bench {
    pub(super) fn new(setup: Setup, journal: Journal) -> Self {
        let handlers = setup.handlers.iter().map(|h| (h.name(), Arc::clone(h)));
        Self {
            handlers: handlers.collect(),
            setup,
            journal: Mutex::new(journal),
            limiter: Mutex::default(),
            tray: Tray::default(),
            turns: Semaphore::new(AT_ONCE),
            open: Arc::new(Semaphore::new(MOST_OPEN)),
        }
    }

    /// Everything up to the moment at which the broker may forget the message. Blocks.
    pub(super) fn receive(&self, message: &Message, arrival: Arrival) -> io::Result<Option<Begun>> {
        self.setup.counters.received.add(1);
        let signed = match envelope::open(&message.payload, &self.setup.keys) {
            Ok(signed) => signed,
            Err(refused) => {
                self.setup.counters.forged.add(1);
                let trouble = Trouble::rejected(refused.fault.code(), refused.fault.to_string());
                let vouched = matches!(refused.fault, EnvelopeFault::Claims(_));
                self.brush_off(refused.id.as_ref(), None, &trouble, message, vouched);
                return Ok(None);
            }
        };
        let claims = &signed.claims;
        let reply = self.reply(&claims.id, message);
        let known = self.journal().get(&claims.id)?;
        if let Some(entry) = known {
            self.setup.counters.repeated.add(1);
            if entry.state.is_final() {
                self.answer(&entry, &reply, false);
            }
            return Ok(None);
        }
        let floor = self.journal().floor();
        let verdict = match self.journal().may_have_forgotten(claims.exp) {
            true => Err(Unfit::Expired),
            false => judge(claims, &self.setup.identity, arrival, floor),
        };
        let deadline = match verdict {
            Ok(deadline) => deadline,
            Err(unfit) => {
                self.setup.counters.unfit.add(1);
                let trouble = Trouble::rejected(unfit.code(), unfit.to_string());
                self.brush_off(Some(&claims.id), Some(claims), &trouble, message, true);
                return Ok(None);
            }
        };
        let mut entry = Entry {
            id: claims.id.clone(),
            kid: signed.kid,
            name: claims.name.clone(),
            exp: claims.exp,
            seq: claims.seq,
            state: State::Accepted,
            time: self.time(),
            accepted: arrival.at.synced.then(|| arrival.at.wall.as_second()),
            args: None,
            reply,
            result: None,
            error: None,
            answered: false,
        };
        let admitted = self.admit(&entry);
        let nature = match &admitted {
            Ok((handler, _)) => {
                let nature = handler.nature();
                entry.args = nature.idempotent.then(|| claims.args.clone());
                nature.ordered
            }
            Err(trouble) => {
                self.end(&mut entry, Err(trouble.clone()));
                false
            }
        };
        let added = self.journal().add(&entry, nature, arrival.at);
        match added {
            Ok(()) => {}
            Err(JournalError::Io(why)) => return Err(why),
            Err(full @ JournalError::Full) => {
                self.setup.counters.rejected.add(1);
                let trouble = Trouble::rejected("journal_full", full.to_string());
                self.brush_off(Some(&entry.id), Some(claims), &trouble, message, true);
                return Ok(None);
            }
        }
        let Ok((handler, place)) = admitted else {
            self.answer(&entry, &entry.reply, true);
            return Ok(None);
        };
        self.setup.counters.accepted.add(1);
        info!(id = %entry.id, name = entry.name, kid = entry.kid, "a command is accepted");
        Ok(Some(Begun {
            entry,
            handler,
            args: signed.claims.args,
            deadline: Some(deadline),
            place: Some(place),
        }))
    }

    /// Whether a command may be begun: its handler, and its place among the open ones.
    fn admit(&self, entry: &Entry) -> Result<(Arc<dyn Handler>, OwnedSemaphorePermit), Trouble> {
        let handler = self.handlers.get(entry.name.as_str()).ok_or_else(|| {
            let known: Vec<&str> = self.handlers.keys().copied().collect();
            let message = format!("this box knows no such command, but {}", known.join(", "));
            Trouble::rejected("unknown_name", message)
        })?;
        let last = self.journal().last_seq(&entry.name);
        if let Some(last) = last
            && handler.nature().ordered
            && entry.seq <= last
        {
            let message = format!(
                "seq is {}, but a {} with seq {last} came before: a later one must not be undone by an earlier one; sign it again",
                entry.seq, entry.name
            );
            return Err(Trouble::rejected("out_of_order", message));
        }
        let place = Arc::clone(&self.open).try_acquire_owned().map_err(|_| {
            let message = format!(
                "{MOST_OPEN} commands are at work already; send it again later with a new id"
            );
            Trouble::rejected("busy", message)
        })?;
        Ok((Arc::clone(handler), place))
    }

    /// Runs a command when its turn comes, stores its result, and answers.
    pub(super) async fn work(self: Arc<Self>, begun: Begun) {
        let Begun {
            mut entry,
            handler,
            args,
            deadline,
            place: _place,
        } = begun;
        halt("acked").await;
        let turn = self.turns.acquire().await;
        let now = self.setup.clock.now();
        if deadline.is_some_and(|deadline| deadline.is_over(now)) {
            let expired = Unfit::Expired;
            let trouble = Trouble::rejected(expired.code(), expired.to_string());
            self.end(&mut entry, Err(trouble));
        } else {
            let call = Call {
                id: entry.id.clone(),
                args,
                progress: self.progress(&entry),
                post: self.post(&entry.id),
            };
            let begun = Arc::clone(&handler);
            let outcome = tokio::spawn(async move { begun.run(call).await }).await;
            let outcome = outcome.unwrap_or_else(|_| {
                let message = "a fault of footfall itself; see the box's log";
                Err(Trouble::failed("internal", message))
            });
            halt("executed").await;
            self.end(&mut entry, outcome);
        }
        drop(turn);
        let state = entry.state;
        self.keep(entry).await;
        handler.settled(state);
    }

    /// Tells the reader of `entry` how far it is.
    fn progress(self: &Arc<Self>, entry: &Entry) -> Box<dyn Fn(&str) + Send + Sync> {
        let (bench, entry) = (Arc::clone(self), entry.clone());
        Box::new(move |progress| {
            let payload = Response {
                id: &entry.id,
                box_id: &bench.setup.identity.box_id,
                name: Some(&entry.name),
                state: State::Executing,
                time: &bench.time(),
                progress: Some(progress),
                result: None,
                error: None,
            };
            bench.put(&entry.id, &entry.reply, payload.encode(), Care::Nobody);
        })
    }

    /// Publishes what belongs to a command besides its answer.
    fn post(self: &Arc<Self>, id: &CommandId) -> Post {
        let (bench, id) = (Arc::clone(self), id.clone());
        Box::new(move |answer| {
            let (sender, heard) = oneshot::channel::<Posted>();
            bench.tray.put(Waiting {
                id: Some(id.clone()),
                care: Care::Sender(sender),
                answer,
            });
            heard
        })
    }

    /// What became of a command.
    pub(super) fn end(&self, entry: &mut Entry, outcome: Outcome) {
        let outcome = outcome.and_then(|result| {
            let bytes = result.to_string().len();
            let message = format!("the result has {bytes} bytes; {LARGEST_RESULT} are allowed");
            if bytes > LARGEST_RESULT {
                return Err(Trouble::failed("too_large", message));
            }
            Ok(result)
        });
        entry.args = None;
        entry.time = self.time();
        match outcome {
            Ok(result) => {
                entry.state = State::Succeeded;
                entry.result = Some(result);
                self.setup.counters.succeeded.add(1);
            }
            Err(trouble) => {
                entry.state = state_of(&trouble);
                match entry.state {
                    State::Failed => self.setup.counters.failed.add(1),
                    _ => self.setup.counters.rejected.add(1),
                }
                entry.error = Some(trouble);
            }
        }
        let code = entry.error.as_ref().map(|trouble| trouble.code.as_str());
        info!(id = %entry.id, name = entry.name, state = ?entry.state, code, "a command has ended");
    }

    /// Stores an ended command, then answers.
    pub(super) async fn keep(self: Arc<Self>, entry: Entry) {
        let entry = Arc::new(entry);
        loop {
            let (bench, given) = (Arc::clone(&self), Arc::clone(&entry));
            match spawn_blocking(move || bench.journal().update(&given)).await {
                Ok(Ok(())) => break,
                Ok(Err(why)) => {
                    error!(%why, "a command's result cannot be stored; trying again");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
                Err(_) => return,
            }
        }
        halt("stored").await;
        self.answer(&entry, &entry.reply, true);
    }

    pub(super) fn note_answered(&self, id: &CommandId) {
        let mut journal = self.journal();
        let noted = journal.get(id).and_then(|entry| match entry {
            Some(entry) if !entry.answered => journal.update(&Entry {
                answered: true,
                ..entry
            }),
            _ => Ok(()),
        });
        if let Err(why) = noted {
            warn!(%why, %id, "an answer will be published again after a restart");
        }
    }

    /// Refuses a message that leaves no trace. `vouched`: its signature holds.
    fn brush_off(
        &self,
        id: Option<&CommandId>,
        claims: Option<&Claims>,
        trouble: &Trouble,
        message: &Message,
        vouched: bool,
    ) {
        let now = self.setup.clock.now().boot;
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        if !limiter.allows(now) {
            return;
        }
        warn!(
            id = id.map(CommandId::as_str),
            code = trouble.code,
            vouched,
            "a command is refused"
        );
        let Some(id) = id.filter(|id| !self.journal().knows(id)) else {
            return;
        };
        let name = claims.map(|claims| claims.name.as_str());
        let payload = self.encode(id, name, state_of(trouble), Err(trouble));
        self.put(id, &self.reply(id, message), payload, Care::Nobody);
    }

    pub(super) fn answer(&self, entry: &Entry, reply: &Reply, stored: bool) {
        let payload = Response {
            id: &entry.id,
            box_id: &self.setup.identity.box_id,
            name: Some(&entry.name),
            state: entry.state,
            time: &entry.time,
            progress: None,
            result: entry.result.as_ref(),
            error: entry.error.as_ref(),
        };
        let care = match stored {
            true => Care::Journal,
            false => Care::Nobody,
        };
        self.put(&entry.id, reply, payload.encode(), care);
    }

    pub(super) fn encode(
        &self,
        id: &CommandId,
        name: Option<&str>,
        state: State,
        outcome: Result<&Value, &Trouble>,
    ) -> Vec<u8> {
        Response {
            id,
            box_id: &self.setup.identity.box_id,
            name,
            state,
            time: &self.time(),
            progress: None,
            result: outcome.ok(),
            error: outcome.err(),
        }
        .encode()
    }

    fn put(&self, id: &CommandId, reply: &Reply, payload: Vec<u8>, care: Care) {
        self.tray.put(Waiting {
            id: Some(id.clone()),
            care,
            answer: Answer {
                topic: reply.topic.clone(),
                content_type: JSON,
                correlation: reply.correlation.clone(),
                retain: false,
                payload,
            },
        });
    }

    /// Where the sender wants the answer, as far as this box writes there.
    fn reply(&self, id: &CommandId, message: &Message) -> Reply {
        let topics = &self.setup.topics;
        let asked = message.response_topic.as_ref();
        Reply {
            topic: asked
                .filter(|topic| topics.is_response(topic))
                .cloned()
                .unwrap_or_else(|| topics.response(id.as_str())),
            correlation: message
                .correlation
                .clone()
                .filter(|data| data.len() <= LONGEST_CORRELATION),
        }
    }

    fn time(&self) -> String {
        let now = self.setup.clock.now().wall;
        self.setup.identity.local_time(now)
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a test stops a debug build for good, to kill it at exactly that point: `FOOTFALL_HALT_AT=executed`.
pub(super) async fn halt(point: &str) {
    if cfg!(debug_assertions) && std::env::var("FOOTFALL_HALT_AT").is_ok_and(|at| at == point) {
        warn!(point, "halted for a test");
        std::future::pending().await
    }
}

/// Too late is a state of its own.
fn state_of(trouble: &Trouble) -> State {
    if trouble.rejected && trouble.code == Unfit::Expired.code() {
        State::Expired
    } else {
        trouble.state()
    }
}
