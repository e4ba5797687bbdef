//! The way in: commands, and what the real daemon does with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use footfall::config::schema::Protocol;
use footfall::uplink::desk::{Answer, Desk, Message};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rustix::process::Signal;
use serde_json::json;
use tokio::sync::{oneshot, watch};

use crate::broker::{At, Broker, Kind, Wishes};
use crate::gate::Gate;
use crate::mosquitto::put;
use crate::observer::Observer;
use crate::operator::{self, BASE, Operator};
use crate::shop::{Shop, online};
use crate::uplink_rig::{self, NAMES, Rig, until};

fn shop(at: At, broker: &Broker) -> Shop {
    let shop = Shop::new(
        &format!("mqtt://127.0.0.1:{}", broker.port()),
        "trusted",
        "",
    );
    let protocol = match at.protocol {
        Protocol::V5 => "5",
        Protocol::V311 => "3.1.1",
    };
    let config = std::fs::read_to_string(shop.path("footfall.toml")).unwrap();
    let uplink = format!("[uplink]\nprotocol = \"{protocol}\"\n");
    put(
        &shop.path("footfall.toml"),
        &config.replace("[uplink]\n", &uplink),
    );
    shop
}

pub async fn clean_offline_on_sigterm(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let mut shop = shop(at, &broker);
    let mut operator = Operator::connect(broker.cloud_port()).await;
    shop.start();
    online(&mut operator, 1).await;
    shop.end(Signal::TERM);
    let offline =
        |said: &operator::Said| said.topic == "state" && said.json() == json!({"online": false});
    operator.hears_nth("offline", 1, offline).await;
    assert!(
        shop.log().trim_end().ends_with("good bye"),
        "{}",
        shop.log()
    );
}

pub async fn command_in_response_out(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let mut shop = shop(at, &broker);
    let mut operator = Operator::connect(broker.cloud_port()).await;
    shop.start();
    online(&mut operator, 1).await;
    let (id, text) = shop.sign("ops", "ping", &[]);
    // As long and as odd as a box accepts: 512 bytes.
    let start = format!("{BASE}/response/商店/🛒/");
    let topic = format!("{start}{}", "x".repeat(512 - start.len()));
    let (expected, correlation) = match at.protocol {
        Protocol::V5 => (topic.clone(), Some(vec![0, 1, 255])),
        Protocol::V311 => {
            at.gap("a command has neither response topic nor correlation data; the answer goes to response/{id}");
            (format!("{BASE}/response/{id}"), None)
        }
    };
    let mut properties = PublishProperties {
        response_topic: Some(topic),
        correlation_data: Some(vec![0, 1, 255].into()),
        message_expiry_interval: Some(60),
        ..PublishProperties::default()
    };
    if at.is(Kind::Rumqttd, Protocol::V311) {
        at.gap("its port for 3.1.1 panics over a message with properties, for all its clients: the command has none");
        properties = PublishProperties::default();
    }
    operator.publish_with(text.clone(), properties).await;
    let answers = |said: &operator::Said| format!("{BASE}/{}", said.topic) == expected;
    let answer = operator.hears_nth("the answer", 1, answers).await;
    assert_eq!(answer.correlation, correlation);
    assert_eq!(
        (&answer.json()["id"], &answer.json()["state"]),
        (&json!(id), &json!("succeeded"))
    );
    // The same command again is answered again, and not obeyed again.
    operator.publish(text).await;
    let nth = 1 + usize::from(at.protocol == Protocol::V311);
    let again = operator.nth_answer(&id, nth).await;
    assert_eq!(again.payload, answer.payload);

    // Garbage harms nobody.
    let connections = async |operator: &mut Operator| {
        let report = shop.ask(operator, "status", &json!({})).await;
        report["result"]["uplink"]["counters"]["connections"].clone()
    };
    for size in [0, 1, 100_000] {
        operator.publish(vec![b'A'; size]).await;
    }
    assert_eq!(connections(&mut operator).await, 1);
    // In MQTT 5 the broker keeps back what is longer than the box announced; in 3.1.1 the box takes its start.
    operator.publish(vec![b'A'; 1_000_000]).await;
    let mut expected = 1;
    if at.is(Kind::Rumqttd, Protocol::V5) {
        at.gap("it sends packets above the box's maximum: they cost a connection, and the session's other messages");
        online(&mut operator, 2).await;
        expected = 2;
    }
    assert_eq!(connections(&mut operator).await, expected);
    shop.end(Signal::TERM);
}

/// Takes every message, and says that it is durable only when it is told to.
struct SlowDesk {
    taken: watch::Sender<Vec<String>>,
    durable: AtomicBool,
    /// Receipts that never come.
    held: std::sync::Mutex<Vec<oneshot::Sender<()>>>,
    changes: watch::Sender<u64>,
}

impl SlowDesk {
    fn new(durable: bool) -> Arc<Self> {
        Arc::new(Self {
            taken: watch::channel(Vec::new()).0,
            durable: AtomicBool::new(durable),
            held: std::sync::Mutex::default(),
            changes: watch::channel(0).0,
        })
    }
}

impl Desk for SlowDesk {
    fn deliver(&self, message: Message) -> Option<oneshot::Receiver<()>> {
        let (tx, receipt) = oneshot::channel();
        if self.durable.load(Ordering::SeqCst) {
            let _ = tx.send(());
        } else {
            self.held.lock().unwrap().push(tx);
        }
        let text = String::from_utf8(message.payload).unwrap();
        self.taken.send_modify(|taken| taken.push(text));
        Some(receipt)
    }

    fn answer_after(&self, _: u64) -> Option<(u64, Answer)> {
        None
    }

    fn last_ticket(&self) -> u64 {
        0
    }

    fn answered(&self, _: u64) {}

    fn refused(&self, _: u64) -> Option<String> {
        None
    }

    fn too_large(&self, _: u64, _: usize) {}

    fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

pub async fn command_comes_again_until_it_is_acknowledged(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let gate = Gate::before(broker.port()).await;
    let observer = Observer::connect(broker.cloud_port()).await;
    let say = |text: &'static str| {
        let topic = format!("{}/command", uplink_rig::BASE);
        observer
            .client
            .publish(topic, QoS::AtLeastOnce, false, text)
    };
    let desk = SlowDesk::new(false);
    let mut taken = desk.taken.subscribe();
    let config = at.config(gate.port);
    let mut rig = Rig::start_as(&config, Arc::default(), NAMES, Some(desk.clone()));
    let connections = async |rig: &mut Rig, count: u64| {
        rig.until("connected", |status| status.counters.connections == count)
            .await;
    };
    connections(&mut rig, 1).await;
    say("first").await.unwrap();
    until(&mut taken, "the first", |taken| *taken == ["first"]).await;

    // Not acknowledged, and cut: it comes again, with what was said while the box was away.
    gate.set_open(false);
    gate.cut();
    rig.until("cut", |status| status.counters.connections_lost == 1)
        .await;
    say("second").await.unwrap();
    let said = |all: &[crate::observer::Heard]| all.iter().any(|heard| heard.payload == b"second");
    observer.until("the broker has the second", said).await;
    desk.durable.store(true, Ordering::SeqCst);
    gate.set_open(true);
    connections(&mut rig, 2).await;
    until(&mut taken, "both", |taken| {
        *taken == ["first", "first", "second"]
    })
    .await;

    // Acknowledged, and cut: only what is new comes. The first cuts may be faster than the acknowledgement.
    let times = |taken: &Vec<String>, text: &str| taken.iter().filter(|said| *said == text).count();
    let mut over = false;
    for count in 3..10 {
        let before = taken.borrow().clone();
        gate.cut();
        connections(&mut rig, count).await;
        say("third").await.unwrap();
        let thirds = times(&before, "third");
        let after = until(&mut taken, "a third", |taken| {
            times(taken, "third") > thirds
        })
        .await;
        // Older ones would have come first.
        over = times(&after, "first") == times(&before, "first");
        if over {
            break;
        }
    }
    assert!(over, "{:?}", taken.borrow());

    // A stop in order, and a start: still the same session.
    rig.stop().await;
    say("fourth").await.unwrap();
    let rig = Rig::start_as(&config, Arc::default(), NAMES, Some(desk.clone()));
    until(&mut taken, "the fourth", |taken| {
        taken.last().is_some_and(|text| text == "fourth")
    })
    .await;
    rig.stop().await;
    if at.kind == Kind::Rumqttd {
        at.gap("a session lasts as long as the broker's process");
    }
}

pub async fn packet_above_every_limit_costs_no_later_command(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let gate = Gate::before(broker.port()).await;
    let observer = Observer::connect(broker.cloud_port()).await;
    let say = |payload: Vec<u8>| {
        let topic = format!("{}/command", uplink_rig::BASE);
        let client = observer.client.clone();
        async move {
            let said = client.publish(topic, QoS::AtLeastOnce, false, payload);
            said.await.unwrap();
        }
    };
    let desk = SlowDesk::new(true);
    let mut taken = desk.taken.subscribe();
    let mut rig = Rig::start_as(
        &at.config(gate.port),
        Arc::default(),
        NAMES,
        Some(desk.clone()),
    );
    rig.until("connected", |status| status.counters.connections == 1)
        .await;
    say(vec![b'A'; 2 << 20]).await;
    if at.is(Kind::Mosquitto, Protocol::V5) {
        say(b"next".to_vec()).await;
        until(&mut taken, "what comes next", |taken| *taken == ["next"]).await;
        assert_eq!(
            rig.stop().await.counters.connections,
            1,
            "the broker keeps it back"
        );
        return;
    }
    at.gap("the packet is sent, and the box cannot read it: it asks for a fresh session, which is kept from then on");
    rig.until("a fresh session", |status| status.counters.connections == 2)
        .await;
    gate.set_open(false);
    gate.cut();
    rig.until("away", |status| status.counters.connections_lost == 2)
        .await;
    say(b"later".to_vec()).await;
    let said = |all: &[crate::observer::Heard]| all.iter().any(|heard| heard.payload == b"later");
    observer.until("the broker has it", said).await;
    gate.set_open(true);
    until(&mut taken, "what waited", |taken| *taken == ["later"]).await;
    rig.stop().await;
}
