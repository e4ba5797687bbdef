use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::*;
use crate::clock::FakeClock;
use crate::command::configure::{Change, Progress};
use crate::command::envelope::seal;
use crate::command::key::PrivateKey;

const NOW: i64 = 1_800_000_000;

/// Puts everything into force but what has `wrong` in it; remembers what it was asked.
#[derive(Default)]
struct Fake {
    asked: Mutex<Vec<Map<String, Value>>>,
    /// How often it is busy first.
    busy: Mutex<u32>,
    cut_off: Option<Result<String, ChangeFault>>,
}

impl Configurator for Fake {
    fn change<'a>(&'a self, _: &'a CommandId, wish: Wish, _: Progress<'a>) -> Change<'a> {
        Box::pin(async move {
            let mut busy = self.busy.lock().unwrap();
            if *busy > 0 {
                *busy -= 1;
                return Err(ChangeFault::Busy);
            }
            let Wish::Whole(args) = wish else { panic!() };
            let wrong = args.contains_key("wrong");
            self.asked.lock().unwrap().push(args);
            match wrong {
                true => Err(ChangeFault::Invalid(vec!["wrong: it is".into()])),
                false => Ok("c0ffee".into()),
            }
        })
    }

    fn cut_off(&self, _: &CommandId) -> Option<Result<String, ChangeFault>> {
        self.cut_off.clone()
    }
}

struct Rig {
    dir: tempfile::TempDir,
    key: PrivateKey,
    clock: Arc<FakeClock>,
    config: Arc<Fake>,
}

struct Life {
    inbox: watch::Sender<Option<Arc<[u8]>>>,
    _sha256: watch::Sender<String>,
    link: watch::Sender<LinkStatus>,
    reports: tokio::sync::mpsc::UnboundedReceiver<Value>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            key: PrivateKey::generate(Some("ops")).unwrap(),
            clock: Arc::new(FakeClock::at(Timestamp::from_second(NOW).unwrap())),
            config: Arc::default(),
        }
    }

    fn start(&self) -> Life {
        let identity = Identity {
            tenant: "t".into(),
            store: "s".into(),
            box_id: "b".into(),
            boot_id: String::new(),
            zone: TimeZone::UTC,
        };
        let (inbox, incoming) = watch::channel(None);
        let (sha256, config_sha256) = watch::channel("owner".to_owned());
        let (link, links) = watch::channel(LinkStatus::off(Timestamp::UNIX_EPOCH));
        #[allow(clippy::disallowed_methods)] // as many as the test makes
        let (tx, reports) = tokio::sync::mpsc::unbounded_channel();
        let desired = Desired::open(Setup {
            keys: [self.key.public().clone()].into_iter().collect(),
            identity,
            clock: Arc::clone(&self.clock) as SharedClock,
            config: Arc::clone(&self.config) as Arc<dyn Configurator>,
            config_sha256,
            inbox: incoming,
            link: links,
            topic: "reported".into(),
            publish: Box::new(move |answer| {
                assert!(answer.retain && answer.topic == "reported");
                let _ = tx.send(serde_json::from_slice(&answer.payload).unwrap());
            }),
            dir: self.dir.path().to_owned(),
        })
        .unwrap();
        let (stop, stopped) = watch::channel(false);
        Life {
            inbox,
            _sha256: sha256,
            link,
            reports,
            stop,
            task: tokio::spawn(desired.run(stopped)),
        }
    }

    fn document(&self, seq: u64, args: Value) -> Vec<u8> {
        self.document_with(seq, args, |_| {})
    }

    fn document_with(&self, seq: u64, args: Value, change: impl Fn(&mut Claims)) -> Vec<u8> {
        let Value::Object(args) = args else { panic!() };
        let mut claims = Claims {
            id: CommandId::from_random([u8::try_from(seq).unwrap(); 16]),
            addressee: "b".into(),
            name: NAME.into(),
            args,
            iat: NOW,
            exp: NOW + 90 * 86_400,
            seq,
        };
        change(&mut claims);
        seal(&self.key, &claims).into_bytes()
    }

    fn asked(&self) -> usize {
        self.config.asked.lock().unwrap().len()
    }
}

impl Life {
    fn retained(&self, document: &[u8]) {
        self.inbox.send_replace(Some(document.into()));
    }

    /// The first report that fits.
    async fn reports(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let report = self.reports.recv().await.unwrap();
                if fits(&report) {
                    return report;
                }
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(60), found).await;
        found.unwrap_or_else(|_| panic!("never reported: {what}"))
    }

    async fn ends(&mut self, state: &str) -> Value {
        self.reports(state, |report| report["desired"]["state"] == state)
            .await
    }

    async fn refuses(&mut self, code: &str) -> Value {
        self.reports(code, |report| report["refused"]["code"] == code)
            .await
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn a_desired_config_is_put_into_force_once_however_often_the_broker_brings_it() {
    let rig = Rig::new();
    let mut life = rig.start();
    let document = rig.document(1, json!({"camera": {"door": {"fps": 5}}}));
    life.retained(&document);
    let report = life.ends("succeeded").await;
    assert_eq!(report["refused"], Value::Null);
    assert_eq!(report["config_sha256"], "owner", "the fake changes nothing");
    // Connected again, and again after a restart, when its time is long over.
    life.retained(&document);
    life.link.send_modify(|link| link.counters.connections += 1);
    life.ends("succeeded").await;
    life.stop().await;
    rig.clock.advance(Duration::from_secs(200 * 86_400));
    let mut life = rig.start();
    life.retained(&document);
    life.link.send_modify(|link| link.counters.connections += 1);
    let report = life.ends("succeeded").await;
    assert_eq!((rig.asked(), &report["desired"]["seq"]), (1, &json!(1)));
}

#[tokio::test]
async fn an_older_document_or_the_same_id_never_comes_back_and_a_newer_one_does() {
    let rig = Rig::new();
    let mut life = rig.start();
    let (first, second) = (rig.document(1, json!({})), rig.document(2, json!({})));
    life.retained(&second);
    life.ends("succeeded").await;
    life.retained(&first);
    let report = life.refuses("out_of_order").await;
    assert_eq!(report["desired"]["seq"], 2, "that one is still in force");
    // The right one again: all is well.
    life.retained(&second);
    life.reports("no refusal", |report| report["refused"].is_null())
        .await;
    let same_id = rig.document_with(3, json!({}), |claims| {
        claims.id = CommandId::from_random([2; 16]);
    });
    life.retained(&same_id);
    life.refuses("out_of_order").await;
    life.retained(&rig.document(4, json!({"wrong": 1})));
    let report = life.ends("rejected").await;
    assert_eq!(report["desired"]["error"]["code"], "invalid_config");
    assert_eq!(
        report["desired"]["error"]["faults"],
        json!(["wrong: it is"])
    );
    assert_eq!(rig.asked(), 2);
}

#[tokio::test]
async fn what_is_not_signed_or_not_for_this_box_and_time_is_not_obeyed() {
    let rig = Rig::new();
    let mut life = rig.start();
    let stranger = PrivateKey::generate(Some("ops")).unwrap();
    let forged = Rig {
        key: stranger,
        ..Rig::new()
    }
    .document(1, json!({}));
    for (document, code) in [
        (br#"{"camera":{"door":{"fps":5}}}"#.to_vec(), "malformed"),
        (forged, "signature"),
        (
            rig.document_with(1, json!({}), |c| c.name = "config.patch".into()),
            "unknown_name",
        ),
        (
            rig.document_with(1, json!({}), |c| c.addressee = "c".into()),
            "foreign",
        ),
        (
            rig.document_with(1, json!({}), |c| c.exp = NOW + 367 * 86_400),
            "long_lived",
        ),
        (
            rig.document_with(1, json!({}), |c| c.iat = NOW + 301),
            "from_the_future",
        ),
        (
            rig.document_with(1, json!({}), |c| (c.iat, c.exp) = (NOW - 9, NOW)),
            "expired",
        ),
    ] {
        life.retained(&document);
        let report = life.refuses(code).await;
        assert_eq!(report["desired"], Value::Null, "{report}");
    }
    // Nothing desired: nothing changes.
    life.retained(b"");
    life.reports("no refusal", |report| report["refused"].is_null())
        .await;
    assert_eq!(rig.asked(), 0);
}

#[tokio::test]
async fn without_a_set_clock_the_order_alone_decides() {
    let rig = Rig::new();
    let long_ago = Timestamp::from_second(1_000).unwrap();
    rig.clock.set_wall(long_ago, false);
    let mut life = rig.start();
    life.retained(&rig.document(1, json!({})));
    life.ends("succeeded").await;
    assert_eq!(rig.asked(), 1);
}

#[tokio::test]
async fn one_that_a_restart_cut_off_is_tried_again_unless_it_was_rolled_back() {
    for (cut_off, again) in [
        (None, 1),
        (Some(Ok("c0ffee".to_owned())), 0),
        (Some(Err(ChangeFault::RolledBack("it broke".into()))), 0),
    ] {
        let mut rig = Rig::new();
        let document = rig.document(1, json!({}));
        rig.config = Arc::new(Fake {
            cut_off: cut_off.clone(),
            ..Fake::default()
        });
        let record = Record {
            id: CommandId::from_random([1; 16]),
            kid: "ops".into(),
            seq: 1,
            envelope_sha256: sha256(&document),
            state: State::Executing,
            time: String::new(),
            error: None,
        };
        journal::write(&rig.dir.path().join(FILE), &record).unwrap();
        let mut life = rig.start();
        life.retained(&document);
        life.link.send_modify(|link| link.counters.connections += 1);
        let state = match &cut_off {
            Some(Err(_)) => "failed",
            _ => "succeeded",
        };
        life.ends(state).await;
        assert_eq!(rig.asked(), again, "{cut_off:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_a_change_on_probation_unless_a_newer_one_comes() {
    let rig = Rig::new();
    *rig.config.busy.lock().unwrap() = 2;
    let mut life = rig.start();
    life.retained(&rig.document(1, json!({"n": 1})));
    life.ends("succeeded").await;
    *rig.config.busy.lock().unwrap() = 1;
    life.retained(&rig.document(2, json!({"n": 2})));
    life.ends("executing").await;
    life.retained(&rig.document(3, json!({"n": 3})));
    life.reports("the newest", |report| {
        report["desired"]["seq"] == 3 && report["desired"]["state"] == "succeeded"
    })
    .await;
    let asked = rig.config.asked.lock().unwrap();
    let last = asked.last().unwrap();
    assert_eq!(last["n"], 3);
}

#[tokio::test]
async fn a_flood_of_forgeries_does_not_make_the_box_shout() {
    let rig = Rig::new();
    let mut life = rig.start();
    for turn in 0..100 {
        let forged = if turn % 2 == 0 {
            &b"x"[..]
        } else {
            &b"e30.e30.e30"[..]
        };
        life.retained(forged);
        tokio::task::yield_now().await;
    }
    life.retained(&rig.document(1, json!({})));
    let mut reports = 0;
    while life.reports.recv().await.unwrap()["desired"]["state"] != "succeeded" {
        reports += 1;
    }
    assert!(reports <= 12, "{reports}");
}
