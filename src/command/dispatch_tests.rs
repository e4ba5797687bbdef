use std::collections::BTreeSet;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::*;
use crate::clock::FakeClock;
use crate::command::envelope::{Claims, seal};
use crate::command::handlers::{Call, Nature, Outcome, Work};
use crate::command::id::CommandId;
use crate::command::key::PrivateKey;

const NOW: i64 = 1_800_000_000;

/// Counts how often it is begun; never ends when told so.
struct Probe {
    name: &'static str,
    nature: Nature,
    begun: Arc<AtomicU64>,
    hangs: bool,
}

impl Handler for Probe {
    fn name(&self) -> &'static str {
        self.name
    }

    fn nature(&self) -> Nature {
        self.nature
    }

    fn run(&self, call: Call) -> Work<'_> {
        let count = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        (call.progress)("on it");
        let work: Pin<Box<dyn Future<Output = Outcome> + Send>> = if self.hangs {
            Box::pin(pending())
        } else {
            Box::pin(async move { Ok(json!({"count": count, "args": call.args})) })
        };
        work
    }
}

/// A box that can be restarted: what survives is in `dir`.
struct Rig {
    dir: tempfile::TempDir,
    key: PrivateKey,
    clock: Arc<FakeClock>,
    begun: Arc<AtomicU64>,
    next: u8,
}

/// One life of the daemon.
struct Life {
    desk: Arc<Dispatcher>,
    counters: Counters,
    stop: watch::Sender<bool>,
    heard: u64,
}

const REPEATABLE: Nature = Nature {
    idempotent: true,
    ordered: false,
};
const ONCE: Nature = Nature {
    idempotent: false,
    ordered: false,
};
const IN_ORDER: Nature = Nature {
    idempotent: true,
    ordered: true,
};

impl Rig {
    fn new() -> Self {
        let wall = Timestamp::from_second(NOW).unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            key: PrivateKey::generate(Some("ops")).unwrap(),
            clock: Arc::new(FakeClock::at(wall)),
            begun: Arc::default(),
            next: 0,
        }
    }

    fn start(&self, hangs: bool) -> Life {
        let identity = Identity {
            tenant: "t".into(),
            store: "s".into(),
            box_id: "b".into(),
            boot_id: String::new(),
            zone: TimeZone::UTC,
        };
        let probe = |name, nature| -> Arc<dyn Handler> {
            Arc::new(Probe {
                name,
                nature,
                begun: Arc::clone(&self.begun),
                hangs,
            })
        };
        let counters = Counters::default();
        let setup = Setup {
            keys: [self.key.public().clone()].into_iter().collect(),
            topics: Topics::new(&identity).unwrap(),
            identity,
            clock: Arc::clone(&self.clock) as SharedClock,
            handlers: vec![
                probe("repeatable", REPEATABLE),
                probe("once", ONCE),
                probe("in.order", IN_ORDER),
            ],
            counters: counters.clone(),
        };
        let (desk, worker) = Dispatcher::open(setup, self.dir.path()).unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(worker.run(stopped));
        Life {
            desk,
            counters,
            stop,
            heard: 0,
        }
    }

    fn command(&mut self, name: &str, seq: u64) -> (CommandId, Message) {
        self.next += 1;
        let id = CommandId::from_random([self.next; 16]);
        let claims = Claims {
            id: id.clone(),
            addressee: "b".into(),
            name: name.into(),
            args: Map::from_iter([("n".to_owned(), json!(seq))]),
            iat: NOW,
            exp: NOW + 600,
            seq,
        };
        let message = Message {
            inlet: Inlet::Command,
            payload: seal(&self.key, &claims).into_bytes(),
            response_topic: None,
            correlation: None,
            expires_in: None,
        };
        (id, message)
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }
}

impl Life {
    /// Delivers, and waits until the broker may forget it.
    async fn take(&self, message: &Message) {
        self.desk.deliver(message.clone()).unwrap().await.unwrap();
    }

    /// The next final answer, which the broker then has.
    async fn answer(&mut self) -> Value {
        loop {
            let answer = self.any_answer().await;
            if answer["state"] != "executing" {
                return answer;
            }
        }
    }

    async fn any_answer(&mut self) -> Value {
        let mut changes = self.desk.changed();
        loop {
            if let Some((ticket, answer)) = self.desk.answer_after(self.heard) {
                self.heard = ticket;
                self.desk.answered(ticket);
                return serde_json::from_slice(&answer.payload).unwrap();
            }
            changes.changed().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_command_is_begun_once_however_often_it_comes_and_the_answer_stays_the_same() {
    let mut rig = Rig::new();
    let (_, message) = rig.command("once", 1);
    let mut life = rig.start(false);
    life.take(&message).await;
    let first = life.answer().await;
    assert_eq!(
        (&first["state"], &first["result"]["count"]),
        (&json!("succeeded"), &json!(1))
    );
    life.take(&message).await;
    assert_eq!(life.answer().await, first);
    drop(life);
    // Much later, and in another life, it is still the same.
    rig.clock.advance(std::time::Duration::from_secs(3000));
    let mut life = rig.start(false);
    life.take(&message).await;
    assert_eq!(life.answer().await, first);
    assert_eq!(rig.begun(), 1);
    assert_eq!(life.counters.read().repeated, 1);
}

#[tokio::test]
async fn a_restart_interrupts_what_must_not_be_done_twice_and_does_the_rest_again() {
    let mut rig = Rig::new();
    let (once, first) = rig.command("once", 1);
    let (repeatable, second) = rig.command("repeatable", 2);
    let mut life = rig.start(true);
    for message in [&first, &second] {
        life.take(message).await;
        assert_eq!(life.any_answer().await["state"], "executing");
    }
    life.stop.send_replace(true);
    drop(life);
    let mut life = rig.start(false);
    let mut answers = [life.answer().await, life.answer().await];
    answers.sort_by_key(|answer| answer["name"].to_string());
    assert_eq!(answers[0]["id"], once.as_str());
    assert_eq!(answers[0]["error"]["code"], "interrupted");
    assert_eq!(
        (&answers[1]["id"], &answers[1]["state"]),
        (&json!(repeatable), &json!("succeeded"))
    );
    assert_eq!(
        answers[1]["result"]["args"],
        json!({"n": 2}),
        "with its own arguments"
    );
    assert_eq!(rig.begun(), 3);
    // The broker brings both again, as after a lost acknowledgement: nothing is begun.
    for message in [&first, &second] {
        life.take(message).await;
        let again = life.answer().await;
        assert!(answers.contains(&again), "{again}");
    }
    assert_eq!(rig.begun(), 3);
}

#[tokio::test]
async fn an_answer_that_nobody_got_comes_after_the_restart() {
    let mut rig = Rig::new();
    let (_, message) = rig.command("once", 1);
    let life = rig.start(false);
    let mut changes = life.desk.changed();
    life.take(&message).await;
    let done = |life: &Life| {
        let (_, answer) = life.desk.answer_after(0)?;
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        (answer["state"] == "succeeded").then_some(answer)
    };
    while done(&life).is_none() {
        changes.changed().await.unwrap();
    }
    let unheard = done(&life).unwrap();
    drop(life);
    let mut life = rig.start(false);
    assert_eq!(life.answer().await, unheard);
}

#[tokio::test]
async fn an_interrupted_command_whose_time_is_over_or_that_was_overtaken_is_not_done_again() {
    let mut rig = Rig::new();
    let (old, first) = rig.command("in.order", 1);
    let (new, second) = rig.command("in.order", 2);
    let (late, third) = rig.command("repeatable", 3);
    let mut life = rig.start(true);
    for message in [&first, &second, &third] {
        life.take(message).await;
        life.any_answer().await;
    }
    drop(life);
    let mut life = rig.start(true);
    // The overtaken one is interrupted; the other two are at it again, and are cut off once more.
    assert_eq!(life.answer().await["id"], old.as_str());
    life.stop.send_replace(true);
    drop(life);
    rig.clock.advance(std::time::Duration::from_secs(600));
    let mut life = rig.start(false);
    let mut interrupted = BTreeSet::new();
    // That the first answer was heard may have been forgotten: then it comes again.
    while interrupted.len() < 2 {
        let answer = life.answer().await;
        assert_eq!(answer["error"]["code"], "interrupted");
        if answer["id"] != old.as_str() {
            interrupted.insert(answer["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(interrupted, [new, late].map(String::from).into());
}

#[tokio::test]
async fn a_command_that_hangs_holds_up_no_other_until_the_box_is_busy() {
    let mut rig = Rig::new();
    let hanging = rig.start(true);
    // Four at work and twenty-eight in the queue: the next one is told so at once.
    for seq in 1..=32 {
        let (_, message) = rig.command("once", seq);
        hanging.take(&message).await;
    }
    let (id, message) = rig.command("once", 33);
    hanging.take(&message).await;
    let mut life = hanging;
    let answer = life.answer().await;
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(id), &json!("busy"))
    );
}

#[tokio::test]
async fn order_is_asked_only_of_commands_that_need_it() {
    let mut rig = Rig::new();
    let mut life = rig.start(false);
    for (name, seq, state) in [
        ("in.order", 5, "succeeded"),
        ("in.order", 5, "rejected"),
        ("in.order", 4, "rejected"),
        ("repeatable", 1, "succeeded"),
        ("in.order", 6, "succeeded"),
    ] {
        let (_, message) = rig.command(name, seq);
        life.take(&message).await;
        let answer = life.answer().await;
        assert_eq!(answer["state"], state, "{name} {seq}: {answer}");
    }
}

#[tokio::test]
async fn a_forgery_with_the_id_of_a_real_command_gets_no_answer() {
    let mut rig = Rig::new();
    let mut life = rig.start(false);
    let (id, message) = rig.command("once", 1);
    life.take(&message).await;
    life.answer().await;
    let mut forged = message.clone();
    forged.payload.truncate(message.payload.len() - 4);
    forged.payload.extend(b"AAAA");
    life.take(&forged).await;
    assert_eq!(life.desk.last_ticket(), 0);
    assert_eq!(life.counters.read().forged, 1);
    // With an id that nobody knows it is told why.
    let (unknown, mut message) = rig.command("once", 2);
    message.payload.truncate(message.payload.len() - 4);
    message.payload.extend(b"AAAA");
    life.take(&message).await;
    let answer = life.answer().await;
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(unknown), &json!("signature"))
    );
    assert!(answer.get("name").is_none(), "nothing unsigned is repeated");
    assert_ne!(id, unknown);
}

#[tokio::test]
async fn an_answer_too_large_for_the_broker_is_replaced_by_one_that_says_so() {
    let mut rig = Rig::new();
    let mut life = rig.start(false);
    let (id, message) = rig.command("once", 1);
    life.take(&message).await;
    let mut changes = life.desk.changed();
    while life.counters.read().succeeded == 0 || life.desk.last_ticket() < 2 {
        changes.changed().await.unwrap();
    }
    let (ticket, _) = life.desk.answer_after(0).unwrap();
    life.desk.too_large(ticket, 4000);
    let answer = life.answer().await;
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!(id), &json!("too_large"))
    );
    // One that fits nowhere is dropped, not tried for ever.
    life.take(&message).await;
    let (ticket, _) = life.desk.answer_after(0).unwrap();
    life.desk.too_large(ticket, 10);
    assert_eq!(life.desk.last_ticket(), 0);
}
