//! `{base}/config/desired`: the config the cloud wants, as one signed document that the broker keeps; and
//! `{base}/config/reported`: what became of it.
//!
//! The document is a command's envelope with the name `config.desired`; its arguments are all that shall be changed of the
//! owner's file. It is put into force as `config.patch` is: validated, on probation, committed or rolled back. Its order is
//! its `seq`, so an older one can never come back; the same one again changes nothing.
//!
//! ```text
//! config-desired.json   the last document that was taken: CRC-32C in hex, a line end, JSON
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::configure::{ChangeFault, Configurator, Wish, outcome};
use super::envelope::{self, Claims};
use super::id::CommandId;
use super::journal;
use super::judge::{self, Unfit};
use super::key::Keys;
use super::limiter::Limiter;
use super::response::{State, Trouble};
use crate::clock::SharedClock;
use crate::event::Identity;
use crate::uplink::LinkStatus;
use crate::uplink::desk::{Answer, JSON};

/// The name in the claims.
pub const NAME: &str = "config.desired";
/// Longest time between `iat` and `exp`, seconds: a wish may stand for long.
pub const LONGEST_LIFE_S: i64 = 366 * 86_400;
const FILE: &str = "config-desired.json";
/// How often it is tried again while another change is on probation.
const BUSY_PAUSE: Duration = Duration::from_secs(2);

/// What it works with.
pub struct Setup {
    pub keys: Keys,
    pub identity: Identity,
    pub clock: SharedClock,
    pub config: Arc<dyn Configurator>,
    /// SHA-256 of the config in force.
    pub config_sha256: watch::Receiver<String>,
    /// The newest message on `{base}/config/desired`.
    pub inbox: watch::Receiver<Option<Arc<[u8]>>>,
    /// The way to the broker: with every new connection it is reported again.
    pub link: watch::Receiver<LinkStatus>,
    /// `{base}/config/reported`
    pub topic: String,
    pub publish: Box<dyn Fn(Answer) + Send + Sync>,
    /// The data directory.
    pub dir: PathBuf,
}

/// See the module.
pub struct Desired {
    setup: Setup,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    /// The last document that was taken.
    taken: Option<Record>,
    /// Why the newest document is not obeyed, where it is another one.
    refused: Option<Trouble>,
    /// What was reported last, without its time.
    reported: String,
    limiter: Limiter,
}

/// What is remembered of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: CommandId,
    kid: String,
    seq: u64,
    /// SHA-256 of the envelope, hex.
    envelope_sha256: String,
    state: State,
    /// When the state was reached, RFC 3339.
    time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Trouble>,
}

impl Record {
    /// Whether nothing has come of it because a restart cut it off.
    fn is_undone(&self) -> bool {
        let interrupted = |trouble: &Trouble| trouble.code == "interrupted";
        !self.state.is_final() || self.error.as_ref().is_some_and(interrupted)
    }
}

impl Desired {
    /// Reads what is remembered. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn open(setup: Setup) -> io::Result<Self> {
        let taken: Option<Record> = journal::read(&setup.dir.join(FILE))?;
        let desired = Self {
            setup,
            facts: Mutex::default(),
        };
        let taken = taken.map(|record| match record.state.is_final() {
            true => record,
            false => {
                let cut_off = desired.setup.config.cut_off(&record.id);
                let ended = cut_off.map_or_else(super::handlers::interrupted, outcome);
                desired.ended(record, ended.map(|_| ()))
            }
        });
        desired.facts().taken = taken;
        Ok(desired)
    }

    /// Obeys what comes in, and reports, until `stop` turns true (or its sender is dropped).
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut inbox = self.setup.inbox.clone();
        let mut sha256 = self.setup.config_sha256.clone();
        let mut link = self.setup.link.clone();
        let mut connections = 0;
        inbox.mark_changed();
        link.mark_changed();
        // An uplink or a config that changes no more is one of a daemon that goes down.
        let work = async {
            while inbox.changed().await.is_ok() {
                let newest = inbox.borrow_and_update().clone();
                if let Some(message) = newest {
                    self.take(&message, &inbox).await;
                }
            }
        };
        let report = async {
            loop {
                tokio::select! {
                    Ok(()) = sha256.changed() => self.report(false),
                    Ok(()) = link.changed() => {
                        let now = link.borrow_and_update().counters.connections;
                        if now != connections {
                            connections = now;
                            self.report(true);
                        }
                    }
                    else => return,
                }
            }
        };
        tokio::select! {
            () = async { tokio::join!(work, report); } => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn take(&self, message: &[u8], inbox: &watch::Receiver<Option<Arc<[u8]>>>) {
        if message.is_empty() {
            info!("the cloud desires no config any more; the one in force stays");
            self.facts().refused = None;
            self.report(false);
            return;
        }
        match self.accept(message) {
            Ok(None) => self.facts().refused = None,
            Ok(Some((record, claims))) => {
                self.facts().refused = None;
                self.fulfil(record, claims, inbox).await;
            }
            Err(trouble) => {
                let mut facts = self.facts();
                let news = facts.refused.as_ref() != Some(&trouble);
                // Nobody can make a box shout.
                if !news || !facts.limiter.allows(self.setup.clock.now().boot) {
                    return;
                }
                warn!(code = trouble.code, "a desired config is refused");
                facts.refused = Some(trouble);
            }
        }
        self.report(false);
    }

    /// Whether a document is to be obeyed; `None`: it was taken before.
    fn accept(&self, message: &[u8]) -> Result<Option<(Record, Claims)>, Trouble> {
        let Setup {
            keys,
            identity,
            clock,
            ..
        } = &self.setup;
        let signed = envelope::open(message, keys).map_err(|refused| {
            Trouble::rejected(refused.fault.code(), refused.fault.to_string())
        })?;
        let claims = signed.claims;
        if claims.name != NAME {
            let message = format!(
                "the name is {:?}; on this topic only {NAME} is obeyed",
                claims.name
            );
            return Err(Trouble::rejected("unknown_name", message));
        }
        let unfit = |why: Unfit| Trouble::rejected(why.code(), why.to_string());
        if !judge::is_for(&claims, identity) {
            return Err(unfit(Unfit::Foreign));
        }
        let digest = sha256(message);
        if let Some(taken) = &self.facts().taken {
            if taken.envelope_sha256 == digest {
                if !taken.is_undone() {
                    return Ok(None);
                }
            } else if claims.seq <= taken.seq || claims.id == taken.id {
                let message = format!(
                    "seq is {} and its id {}, but seq {} came before, with id {}: an older config must not come back; sign it again",
                    claims.seq, claims.id, taken.seq, taken.id
                );
                return Err(Trouble::rejected("out_of_order", message));
            }
        }
        if claims.exp - claims.iat > LONGEST_LIFE_S {
            let message = "exp is more than 366 days after iat";
            return Err(Trouble::rejected("long_lived", message));
        }
        let now = clock.now();
        // Without a clock its order alone decides: it is what keeps an older one away in any case.
        if now.synced {
            judge::is_of_now(&claims, now).map_err(unfit)?;
        }
        let record = Record {
            id: claims.id.clone(),
            kid: signed.kid,
            seq: claims.seq,
            envelope_sha256: digest,
            state: State::Executing,
            time: identity.local_time(now.wall),
            error: None,
        };
        Ok(Some((record, claims)))
    }

    async fn fulfil(
        &self,
        record: Record,
        claims: Claims,
        inbox: &watch::Receiver<Option<Arc<[u8]>>>,
    ) {
        info!(id = %record.id, kid = record.kid, "a desired config is taken");
        if let Err(why) = self.remember(record.clone()).await {
            warn!(%why, "a desired config cannot be noted; it is tried with the next connection");
            return;
        }
        self.report(false);
        let changed = loop {
            let wish = Wish::Whole(claims.args.clone());
            let changed = self.setup.config.change(&record.id, wish, &|_| {}).await;
            if changed != Err(ChangeFault::Busy) {
                break outcome(changed).map(|_| ());
            }
            if inbox.has_changed().unwrap_or(true) {
                let message = "a newer one came while another change was on probation";
                break Err(Trouble::rejected("superseded", message));
            }
            tokio::time::sleep(BUSY_PAUSE).await;
        };
        let record = self.ended(record, changed);
        info!(id = %record.id, state = ?record.state, "a desired config has ended");
        if let Err(why) = self.remember(record).await {
            warn!(%why, "what became of a desired config cannot be noted");
        }
    }

    fn ended(&self, record: Record, ended: Result<(), Trouble>) -> Record {
        let now = self.setup.clock.now().wall;
        Record {
            state: ended
                .as_ref()
                .map_or_else(Trouble::state, |()| State::Succeeded),
            time: self.setup.identity.local_time(now),
            error: ended.err(),
            ..record
        }
    }

    async fn remember(&self, record: Record) -> io::Result<()> {
        self.facts().taken = Some(record.clone());
        let path = self.setup.dir.join(FILE);
        let written = spawn_blocking(move || journal::write(&path, &record)).await;
        written.unwrap_or_else(|why| Err(io::Error::other(why)))
    }

    /// Publishes how things are, if that has changed or has to be said `again`.
    fn report(&self, again: bool) {
        let mut facts = self.facts();
        let desired = facts.taken.as_ref().map(|record| {
            json!({
                "id": record.id,
                "kid": record.kid,
                "seq": record.seq,
                "state": record.state,
                "time": record.time,
                "error": record.error,
            })
        });
        let mut report = json!({
            "config_sha256": *self.setup.config_sha256.borrow(),
            "desired": desired,
            "refused": facts.refused,
        });
        let text = report.to_string();
        if !again && facts.reported == text {
            return;
        }
        facts.reported = text;
        drop(facts);
        let now = self.setup.clock.now().wall;
        if let Some(report) = report.as_object_mut() {
            let time = self.setup.identity.local_time(now);
            report.insert("time".to_owned(), time.into());
        }
        (self.setup.publish)(Answer {
            topic: self.setup.topic.clone(),
            content_type: JSON,
            correlation: None,
            retain: true,
            payload: report.to_string().into_bytes(),
        });
    }

    fn facts(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
