//! What every broker must do for a box that only sends.

use std::sync::Arc;

use footfall::config::schema::{self, Compression, Protocol};
use footfall::event::Stream;
use footfall::outbox::Queue;
use footfall::uplink::LinkState;
use footfall::uplink::encoding::Encoding;
use footfall::uplink::subscriber::Report;
use serde_json::Value;

use crate::broker::{At, Kind, Wishes};
use crate::certificates;
use crate::gate::Gate;
use crate::memory_queue::MemoryQueue;
use crate::observer::{Heard, Observer};
use crate::uplink_rig::{Rig, subscriber, until, until_received};

fn produce_everywhere(queue: &MemoryQueue, count: u64) {
    for stream in Stream::ALL {
        queue.produce(stream, count, 50);
    }
}

fn connected(status: &footfall::uplink::LinkStatus) -> bool {
    status.state == LinkState::Connected
}

fn repeated(report: &Report) -> u64 {
    report
        .streams
        .iter()
        .map(|s| s.duplicates + s.conflicts)
        .sum()
}

pub async fn connect(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let mut rig = Rig::start(&broker.config(), Arc::default());
    let status = rig.until("connected", connected).await;
    assert_eq!(status.message.en, "");
    let last = rig.stop().await.counters;
    let failed = last.failed_attempts + last.connections_lost;
    assert_eq!((last.connections, failed), (1, 0));
}

pub async fn birth_and_will(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let observer = Observer::connect(broker.cloud_port()).await;
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Count, 7, 10);
    let rig = Rig::start(&broker.config(), queue);
    let birth = observer.until("a birth", |all| !all.is_empty()).await;
    let birth: Value = serde_json::from_slice(&birth[0].payload).unwrap();
    assert_eq!(
        (&birth["online"], &birth["bootid"]),
        (&true.into(), &"5f0c".into())
    );
    assert_eq!(birth["pending"], 7);
    rig.until_delivered().await;
    rig.vanish();
    let will = observer.until_online(false).await;
    assert_eq!(will.payload, br#"{"online":false}"#);
}

pub async fn retained_state(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let mut rig = Rig::start(&broker.config(), Arc::default());
    rig.until("connected", connected).await;
    let first = Observer::connect(broker.cloud_port()).await;
    first.until_online(true).await;
    // Whoever comes later learns the same from the broker's memory.
    let second = Observer::connect(broker.cloud_port()).await;
    assert!(second.until_online(true).await.retain);
    rig.stop().await;
    first.until_online(false).await;
    let third = Observer::connect(broker.cloud_port()).await;
    assert!(third.until_online(false).await.retain);
    assert_eq!(third.all().len(), 1, "only the latest state is kept");
}

pub async fn clean_offline_on_stop(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let observer = Observer::connect(broker.cloud_port()).await;
    let queue = Arc::new(MemoryQueue::default());
    let mut rig = Rig::start(&broker.config(), queue.clone());
    rig.until("connected", connected).await;
    observer.until_online(true).await;
    produce_everywhere(&queue, 200);
    let last = rig.stop().await;
    assert_eq!(
        (last.state, last.in_flight, queue.pending()),
        (LinkState::Stopped, 0, 0)
    );
    observer.until_online(false).await;
    // The same client id comes and goes once more: a will that was still to come would be there by its offline.
    Rig::start(&broker.config(), queue)
        .stop_once_connected()
        .await;
    let words = "online and offline again";
    let births = |all: &[Heard]| {
        all.iter()
            .filter(|heard| heard.online() == Some(true))
            .count()
    };
    let over = |all: &[Heard]| births(all) == 2 && all.last().unwrap().online() == Some(false);
    let states = observer.until(words, over).await;
    let mut states: Vec<bool> = states.iter().filter_map(|heard| heard.online()).collect();
    if at.kind == Kind::Rumqttd {
        at.gap("whoever comes back quickly under the same client id may set off a will of that name: offline once more");
        states.dedup();
    }
    assert_eq!(
        states,
        [true, false, true, false],
        "no will after a goodbye"
    );
}

pub async fn live_delivery_of_all_four_streams(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let cloud = subscriber(broker.cloud_port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    let mut rig = Rig::start(&broker.config(), queue.clone());
    rig.until("connected", connected).await;
    for _ in 0..20 {
        produce_everywhere(&queue, 25);
    }
    let seen = until_received(&cloud, 2000).await;
    assert!(seen.report.streams.iter().all(|stream| stream.live == 500));
    assert_eq!(repeated(&seen.report), 0);
    rig.until_delivered().await;
    let last = rig.stop().await.counters;
    assert_eq!(
        (last.events_acked, last.events_resent, last.connections),
        (2000, 0, 1)
    );
}

pub async fn backlog_after_a_broker_restart(at: At) {
    let Some(mut broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let gate = Gate::before(broker.port()).await;
    let cloud = subscriber(broker.cloud_port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    let mut rig = Rig::start(&at.config(gate.port), queue.clone());
    produce_everywhere(&queue, 200);
    rig.until_delivered().await;
    until_received(&cloud, 800).await;
    if at.kind == Kind::Rumqttd {
        at.gap("sessions and messages are in memory only: who subscribes again after a restart misses what came before");
    }
    // The box must not be back before the cloud is, for that reason.
    gate.set_open(false);
    broker.stop();
    rig.until("disconnected", |status| !connected(status)).await;
    produce_everywhere(&queue, 300);
    let mut seen = cloud.watch();
    until(&mut seen, "the cloud is gone", |seen| !seen.subscribed).await;
    broker.run();
    until(&mut seen, "the cloud is back", |seen| seen.subscribed).await;
    gate.set_open(true);
    rig.until_delivered().await;
    // More than once is possible: the broker may have stopped with the cloud's acknowledgements still unread.
    until_received(&cloud, 2000).await;
    let last = rig.stop().await.counters;
    assert_eq!((last.events_resent, last.connections), (0, 2));
}

pub async fn order(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let observer = Observer::connect(broker.cloud_port()).await;
    let queue = Arc::new(MemoryQueue::default());
    produce_everywhere(&queue, 300);
    let mut rig = Rig::start(&broker.config(), queue.clone());
    rig.until("connected", connected).await;
    for _ in 0..10 {
        produce_everywhere(&queue, 30);
        tokio::task::yield_now().await;
    }
    rig.until_delivered().await;
    rig.stop().await;
    observer.until_online(false).await;
    for stream in Stream::ALL {
        let mut all = Vec::new();
        for lane in ["backfill", "event"] {
            let mut numbers = Vec::new();
            for heard in observer.batches(lane, stream) {
                let batch: Vec<Value> = serde_json::from_slice(&heard.payload).unwrap();
                let sequence = |event: &Value| event["sequence"].as_str()?.parse::<u64>().ok();
                numbers.extend(batch.iter().map(|event| sequence(event).unwrap()));
                let expected = (at.protocol == Protocol::V5)
                    .then(|| "application/cloudevents-batch+json".to_owned());
                assert_eq!(heard.content_type, expected);
                assert!(!heard.retain);
            }
            assert!(
                numbers.is_sorted_by(|a, b| a < b),
                "{lane}/{stream}: {numbers:?}"
            );
            all.extend(numbers);
        }
        assert_eq!(all, (1..=600).collect::<Vec<_>>(), "{stream}");
    }
}

pub async fn compressed_batches(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let cloud = subscriber(broker.cloud_port(), None).await;
    let observer = Observer::connect(broker.cloud_port()).await;
    let queue = Arc::new(MemoryQueue::default());
    for stream in Stream::ALL {
        queue.produce(stream, 500, 300);
    }
    let config = schema::Uplink {
        compression: Compression::Zstd,
        ..broker.config()
    };
    let rig = Rig::start(&config, queue);
    rig.until_delivered().await;
    let seen = until_received(&cloud, 2000).await;
    assert_eq!(
        (seen.report.first_problem, seen.report.streams[0].conflicts),
        (None, 0)
    );
    rig.stop().await;
    observer.until_online(false).await;
    let mut bytes = 0;
    for stream in Stream::ALL {
        for heard in observer.batches("backfill", stream) {
            bytes += heard.payload.len();
            assert_eq!(Encoding::of(&heard.payload), Encoding::Zstd);
            // In 3.1.1 there is no place for it: the first bytes must do.
            let expected = (at.protocol == Protocol::V5).then_some(Encoding::Zstd);
            assert_eq!(Encoding::named_in(&heard.user_properties), expected);
        }
    }
    assert!(bytes < 2000 * 300 / 4, "{bytes} bytes");
}

pub async fn unicode_and_the_longest_names(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    // The longest names the config allows; topics of 65,535 bytes do not arise.
    let names = ["t", "s", "b"].map(|name| name.repeat(64));
    let base = format!("footfall/v1/{}", names.join("/"));
    let observer = Observer::connect_to(broker.cloud_port(), &format!("{base}/#")).await;
    let queue = Arc::new(MemoryQueue::default());
    let texts = [
        "Lädchen, 商店, магазин, متجر, 🛒👩🏽‍🚀",
        r#"\u0000 \" \\ \n \ud83d\uded2"#,
        "\u{FEFF}\u{202E}e\u{301}\u{10FFFF}",
    ];
    for text in texts {
        queue.produce_text(Stream::Alarm, text);
    }
    let [tenant, store, name] = &names;
    let rig = Rig::start_as(&broker.config(), queue.clone(), [tenant, store, name], None);
    rig.until_delivered().await;
    rig.stop().await;
    let heard = observer
        .until("the batch", |all| {
            all.iter().any(|heard| heard.topic.ends_with("/alarm"))
        })
        .await;
    let stored = queue.read(Stream::Alarm, 0, 10, usize::MAX).unwrap();
    let stored: Vec<&[u8]> = stored.iter().map(|event| &event.bytes[..]).collect();
    let expected = [&b"["[..], &stored.join(&b","[..]), &b"]"[..]].concat();
    let batch = heard
        .iter()
        .find(|heard| heard.topic.ends_with("/alarm"))
        .unwrap();
    assert_eq!(batch.topic, format!("{base}/backfill/alarm"));
    assert_eq!(batch.payload, expected, "byte for byte");
}

pub async fn keep_alive_on_an_idle_link(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let gate = Gate::before(broker.port()).await;
    let queue = Arc::new(MemoryQueue::default());
    let config = schema::Uplink {
        keep_alive_s: 5,
        ..at.config(gate.port)
    };
    let rig = Rig::start(&config, queue.clone());
    // With the second one the broker has heard nothing else for longer than it may (one and a half times 5 s).
    until(&mut gate.pings(), "two answered pings", |pings| *pings == 2).await;
    queue.produce(Stream::Count, 5, 10);
    rig.until_delivered().await;
    let last = rig.stop().await.counters;
    assert_eq!((last.connections, last.connections_lost), (1, 0));
}

pub async fn nothing_is_done_without_a_puback(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let gate = Gate::before(broker.port()).await;
    let cloud = subscriber(broker.cloud_port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    let mut rig = Rig::start(&at.config(gate.port), queue.clone());
    rig.until("connected and idle", |status| {
        connected(status) && status.in_flight == 0
    })
    .await;
    gate.set_mute(true);
    queue.produce(Stream::Count, 50, 50);
    until_received(&cloud, 50).await;
    assert_eq!(
        queue.pending(),
        50,
        "the broker has them, and the box was not told"
    );
    gate.set_open(false);
    gate.cut();
    rig.until("cut", |status| !connected(status)).await;
    assert_eq!(queue.pending(), 50);
    gate.set_mute(false);
    gate.set_open(true);
    rig.until_delivered().await;
    let wanted = |report: &Report| report.streams[Stream::Count.index()].duplicates == 50;
    let seen = until(&mut cloud.watch(), "all again", |seen| wanted(&seen.report)).await;
    assert_eq!(
        seen.report.streams[Stream::Count.index()].conflicts,
        0,
        "the same bytes"
    );
    assert_eq!(rig.stop().await.counters.events_acked, 50);
}

pub async fn tls(at: At) {
    let Some(files) = certificates::certificates() else {
        return;
    };
    let file = |name: &str| files.path().join(name);
    let dir = files.path().display();
    let lines = format!(
        "cafile {dir}/ca.pem\ncertfile {dir}/server.pem\nkeyfile {dir}/server.key\nrequire_certificate true\n"
    );
    let wishes = Wishes {
        lines,
        ..Wishes::default()
    };
    let Some(broker) = at.broker(&wishes) else {
        return;
    };
    let mut gate = None;
    let port = match at.kind {
        Kind::Mosquitto => broker.port(),
        Kind::Rumqttd => {
            at.gap("built here without TLS, which would bring an older rustls: a relay ends TLS before it");
            let tls =
                certificates::server(&file("server.pem"), &file("server.key"), &file("ca.pem"));
            gate.insert(Gate::with_tls(broker.port(), tls).await).port
        }
    };
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Count, 300, 100);
    let mut config = schema::Uplink {
        broker: Some(format!("mqtts://localhost:{port}")),
        ca_file: Some(file("ca.pem")),
        ..broker.config()
    };
    // The box must show a certificate of its own.
    let mut rig = Rig::start(&config, queue.clone());
    let status = rig
        .until("a TLS error", |status| status.state == LinkState::TlsError)
        .await;
    assert!(
        status.message.en.contains("uplink.cert_file"),
        "{}",
        status.message.en
    );
    rig.stop().await;
    config.cert_file = Some(file("client.pem"));
    config.key_file = Some(file("client.key"));
    let rig = Rig::start(&config, queue);
    rig.until_delivered().await;
    let last = rig.stop().await.counters;
    assert_eq!((last.connections, last.connections_lost), (1, 0));
    drop(gate);
}
