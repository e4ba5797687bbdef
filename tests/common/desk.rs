//! A command dispatcher with a journal on a disk and a clock that stands still; messages of every kind for it.

#![allow(dead_code)] // each test file uses its own part

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use footfall::clock::{FakeClock, SharedClock};
use footfall::command::counters::Counters;
use footfall::command::dispatch::{Dispatcher, Setup, Worker};
use footfall::command::handlers::occupancy_set::OccupancySet;
use footfall::command::handlers::ping::Ping;
use footfall::command::handlers::{Call, Handler, Nature, Work};
use footfall::command::id::CommandId;
use footfall::command::key::PrivateKey;
use footfall::event::Identity;
use footfall::uplink::desk::{Answer, Desk, Inlet, Message};
use footfall::uplink::topics::Topics;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

pub const BASE: &str = "footfall/v1/t/s/b";
pub const NOW: i64 = 1_800_000_000;
pub const HEADER: &str = r#"{"alg":"EdDSA","kid":"ops"}"#;
/// Far more than any of it takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A box that can be restarted, and those who sign for it: `key` and `second` are trusted.
pub struct World {
    pub dir: tempfile::TempDir,
    pub key: PrivateKey,
    pub second: PrivateKey,
    pub stranger: PrivateKey,
    /// The file of the public half of `key`.
    pub public: PathBuf,
    pub clock: Arc<FakeClock>,
    begun: Arc<watch::Sender<u64>>,
    go: Arc<watch::Sender<bool>>,
}

/// One life of the daemon.
pub struct Life {
    desk: Arc<Dispatcher>,
    /// Kept where nobody works.
    _worker: Option<Worker>,
    pub counters: Counters,
    stop: watch::Sender<bool>,
    go: Arc<watch::Sender<bool>>,
    heard: AtomicU64,
}

/// Counts how often it is begun; `hold` waits until it is let go.
struct Probe {
    name: &'static str,
    ordered: bool,
    begun: Arc<watch::Sender<u64>>,
    go: Option<watch::Receiver<bool>>,
}

impl Handler for Probe {
    fn name(&self) -> &'static str {
        self.name
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: true,
            ordered: self.ordered,
        }
    }

    fn run(&self, call: Call) -> Work<'_> {
        self.begun.send_modify(|begun| *begun += 1);
        let nth = *self.begun.borrow();
        Box::pin(async move {
            if let Some(mut go) = self.go.clone() {
                let _ = go.wait_for(|go| *go).await;
            }
            Ok(json!({"nth": nth, "args": call.args}))
        })
    }
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = |kid| PrivateKey::generate(Some(kid)).unwrap();
        let ops = key("ops");
        let (_, public) = ops.save(dir.path()).unwrap();
        Self {
            key: ops,
            second: key("second"),
            stranger: key("stranger"),
            public,
            clock: Arc::new(FakeClock::at(Timestamp::from_second(NOW).unwrap())),
            begun: Arc::new(watch::channel(0).0),
            go: Arc::new(watch::channel(false).0),
            dir,
        }
    }

    pub fn start(&self) -> Life {
        self.trusting(&[&self.key, &self.second])
    }

    pub fn trusting(&self, keys: &[&PrivateKey]) -> Life {
        self.life(keys, true)
    }

    /// A life in which nothing is taken out of the inbox.
    pub fn stopped(&self) -> Life {
        self.life(&[&self.key], false)
    }

    fn life(&self, keys: &[&PrivateKey], works: bool) -> Life {
        let identity = Identity {
            tenant: "t".into(),
            store: "s".into(),
            box_id: "b".into(),
            boot_id: String::new(),
            zone: TimeZone::UTC,
        };
        let clock = Arc::clone(&self.clock) as SharedClock;
        let probe = |name, ordered, holds: bool| -> Arc<dyn Handler> {
            Arc::new(Probe {
                name,
                ordered,
                begun: Arc::clone(&self.begun),
                go: holds.then(|| self.go.subscribe()),
            })
        };
        let counters = Counters::default();
        let setup = Setup {
            keys: keys.iter().map(|key| key.public().clone()).collect(),
            topics: Topics::new(&identity).unwrap(),
            handlers: vec![
                Arc::new(Ping {
                    identity: identity.clone(),
                    clock: Arc::clone(&clock),
                }),
                Arc::new(OccupancySet {
                    set: Arc::new(|_, _| Ok(true)),
                }),
                probe("echo", false, false),
                probe("hold", false, true),
                probe("ordered", true, false),
            ],
            identity,
            clock,
            counters: counters.clone(),
        };
        let (desk, worker) = Dispatcher::open(setup, self.dir.path()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let worker = match works {
            true => {
                tokio::spawn(worker.run(stopped));
                None
            }
            false => Some(worker),
        };
        Life {
            desk,
            _worker: worker,
            counters,
            stop,
            go: Arc::clone(&self.go),
            heard: AtomicU64::new(0),
        }
    }

    /// How often a probe was begun.
    pub fn begun(&self) -> u64 {
        *self.begun.borrow()
    }

    pub async fn until_begun(&self, times: u64) {
        let mut begun = self.begun.subscribe();
        let enough = tokio::time::timeout(PATIENCE, begun.wait_for(|begun| *begun >= times));
        enough.await.expect("it is begun").unwrap();
    }

    /// The claims of a good `ping`.
    pub fn claims() -> String {
        Self::claims_of(&CommandId::from_random([7; 16]), "ping", &json!({})).to_string()
    }

    pub fn claims_of(id: &CommandId, name: &str, args: &Value) -> Value {
        json!({"id": id, "box": "b", "name": name, "args": args, "iat": NOW, "exp": NOW + 600, "seq": 1})
    }

    /// A good command, the only one of its message.
    pub fn command(&self, name: &str, args: Value) -> Message {
        self.named(7, name, args)
    }

    /// A good command whose id has this number.
    pub fn named(&self, number: u8, name: &str, args: Value) -> Message {
        let id = CommandId::from_random([number; 16]);
        self.sealed(&Self::claims_of(&id, name, &args).to_string())
    }

    /// A good command whose id is made of these 16 bytes.
    pub fn id(&self, sixteen: &str, name: &str, args: Value) -> Message {
        let id = CommandId::from_random(sixteen.as_bytes().try_into().unwrap());
        self.sealed(&Self::claims_of(&id, name, &args).to_string())
    }

    /// A good command that is signed now.
    pub fn now(&self, number: u8, name: &str, args: Value) -> Message {
        use footfall::clock::Clock;
        let now = self.clock.now().wall.as_second();
        let mut claims = Self::claims_of(&CommandId::from_random([number; 16]), name, &args);
        (claims["iat"], claims["exp"]) = (json!(now), json!(now + 600));
        self.sealed(&claims.to_string())
    }

    pub fn sequenced(&self, number: u8, name: &str, seq: u64) -> Message {
        let mut claims = Self::claims_of(&CommandId::from_random([number; 16]), name, &json!({}));
        claims["seq"] = json!(seq);
        self.sealed(&claims.to_string())
    }

    /// A good ping with one claim that says something else, or more.
    pub fn with(&self, claim: &str, value: Value) -> Message {
        let mut claims: Value = serde_json::from_str(&Self::claims()).unwrap();
        claims[claim] = value;
        self.sealed(&claims.to_string())
    }

    pub fn without(&self, claim: &str) -> Message {
        let mut claims: Value = serde_json::from_str(&Self::claims()).unwrap();
        claims.as_object_mut().unwrap().remove(claim).unwrap();
        self.sealed(&claims.to_string())
    }

    /// A good ping, signed `iat` and over `exp` seconds from now.
    pub fn timed(&self, iat: i64, exp: i64) -> Message {
        let mut claims: Value = serde_json::from_str(&Self::claims()).unwrap();
        (claims["iat"], claims["exp"]) = (json!(NOW + iat), json!(NOW + exp));
        self.sealed(&claims.to_string())
    }

    /// A good ping for a box whose clock is not set, with this message expiry interval.
    pub fn unsynced(&self, expires_in: Option<u64>) -> Message {
        self.clock
            .set_wall(Timestamp::from_second(60).unwrap(), false);
        Message {
            expires_in: expires_in.map(Duration::from_secs),
            ..self.command("ping", json!({}))
        }
    }

    /// A good ping under another header.
    pub fn headed(&self, header: &str) -> Message {
        self.sealed_by(&self.key, header, &Self::claims())
    }

    pub fn headed_by(&self, who: &str, header: &str) -> Message {
        self.sealed_by(self.signer(who), header, &Self::claims())
    }

    /// Signed by one, in the name of another.
    pub fn signed_by(&self, who: &str, kid: &str) -> Message {
        self.headed_by(who, &HEADER.replace("ops", kid))
    }

    fn signer(&self, who: &str) -> &PrivateKey {
        match who {
            "stranger" => &self.stranger,
            _ => &self.key,
        }
    }

    pub fn unsigned(&self, header: &str) -> Message {
        self.raw(
            format!(
                "{}.{}.",
                b64(header.as_bytes()),
                b64(Self::claims().as_bytes())
            )
            .into(),
        )
    }

    /// Properly signed, with exactly this payload.
    pub fn paid(&self, payload: &str) -> Message {
        self.sealed(payload)
    }

    pub fn sealed(&self, payload: &str) -> Message {
        self.sealed_by(&self.key, HEADER, payload)
    }

    pub fn sealed_by(&self, key: &PrivateKey, header: &str, payload: &str) -> Message {
        let text = format!("{}.{}", b64(header.as_bytes()), b64(payload.as_bytes()));
        let signature = b64(&key.sign(text.as_bytes()));
        self.raw(format!("{text}.{signature}").into_bytes())
    }

    /// A good ping with one of its three parts replaced.
    pub fn part(&self, number: usize, part: &str) -> Message {
        self.mangled(|text| {
            let mut parts: Vec<&str> = text.split('.').collect();
            parts[number] = part;
            parts.join(".")
        })
    }

    /// A good ping whose text was changed on the way.
    pub fn mangled(&self, mangle: impl Fn(&str) -> String) -> Message {
        let good = String::from_utf8(self.command("ping", json!({})).payload).unwrap();
        self.raw(mangle(&good).into_bytes())
    }

    pub fn raw(&self, payload: Vec<u8>) -> Message {
        Message {
            inlet: Inlet::Command,
            payload,
            response_topic: None,
            correlation: None,
            expires_in: None,
        }
    }
}

impl Life {
    pub fn try_deliver(&self, message: &Message) -> bool {
        self.desk.deliver(message.clone()).is_some()
    }

    pub fn deliver(&self, message: &Message) -> oneshot::Receiver<()> {
        self.desk.deliver(message.clone()).unwrap()
    }

    /// Delivers, and waits until the broker may forget it.
    pub async fn take(&self, message: &Message) {
        self.deliver(message).await.unwrap();
    }

    /// Lets go what holds.
    pub fn release(&self) {
        self.go.send_replace(true);
    }

    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// The next final answer, which the broker then has.
    pub async fn whole(&mut self) -> Answer {
        let mut changes = self.desk.changed();
        loop {
            let after = self.heard.load(Ordering::SeqCst);
            if let Some((ticket, answer)) = self.desk.answer_after(after) {
                self.heard.store(ticket, Ordering::SeqCst);
                self.desk.answered(ticket);
                return answer;
            }
            let change = tokio::time::timeout(PATIENCE, changes.changed()).await;
            change.expect("an answer comes").unwrap();
        }
    }

    pub async fn bytes(&mut self) -> Vec<u8> {
        self.whole().await.payload
    }

    pub async fn answer(&mut self) -> Value {
        serde_json::from_slice(&self.bytes().await).unwrap()
    }

    /// The next answer to the command of this number. After a restart older ones may come again first.
    pub async fn answer_to(&mut self, number: u8) -> Value {
        let id = json!(CommandId::from_random([number; 16]));
        loop {
            let answer = self.answer().await;
            if answer["id"] == id {
                return answer;
            }
        }
    }

    /// No answer is left: the next command's answer is the next.
    pub async fn is_quiet(&mut self, world: &World) {
        let last = world.named(254, "ping", json!({}));
        self.take(&last).await;
        let answer = self.answer().await;
        assert_eq!(
            answer["id"],
            json!(CommandId::from_random([254; 16])),
            "{answer}"
        );
    }
}
