//! What the broker does not want: a second box of one name, a password, a version, a topic.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use footfall::config::schema::{self, Protocol};
use footfall::event::Stream;
use footfall::outbox::Queue;
use footfall::uplink::LinkState;

use crate::broker::{At, Kind, PASSWORD, Wishes};
use crate::memory_queue::MemoryQueue;
use crate::mosquitto::put;
use crate::observer::Observer;
use crate::uplink_rig::{BASE, Rig};

pub async fn duplicate_client_id(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let queue = Arc::new(MemoryQueue::default());
    let mut first = Rig::start(&broker.config(), queue.clone());
    first
        .until("connected", |status| status.state == LinkState::Connected)
        .await;
    let mut second = Rig::start(&broker.config(), Arc::default());
    second
        .until("in its place", |status| status.counters.connections == 1)
        .await;
    let thrown_out = first
        .until("thrown out", |status| status.state != LinkState::Connected)
        .await;
    // MQTT 5 has a reason for it (0x8E), which the box understands.
    at.gap("the one that is thrown out is not told why");
    assert_eq!(thrown_out.state, LinkState::Disconnected);
    second.stop().await;
    queue.produce(Stream::Count, 30, 30);
    first.until_delivered().await;
    first.stop().await;
}

pub async fn wrong_password(at: At) {
    let wishes = Wishes {
        password: true,
        ..Wishes::default()
    };
    let Some(broker) = at.broker(&wishes) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    put(&file, "wrong\n");
    let config = schema::Uplink {
        username: Some("box".into()),
        password_file: Some(file.clone()),
        ..broker.config()
    };
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Count, 5, 10);
    let mut rig = Rig::start(&config, queue.clone());
    let status = rig
        .until("turned away", |status| status.counters.failed_attempts > 1)
        .await;
    match at.kind {
        Kind::Mosquitto => assert_eq!(status.state, LinkState::Refused),
        Kind::Rumqttd => {
            at.gap("it closes the connection without a word");
            assert_eq!(status.state, LinkState::Disconnected);
        }
    }
    assert!(
        status.message.en.contains("password"),
        "{}",
        status.message.en
    );
    rig.stop().await;
    assert_eq!(queue.pending(), 5);
    put(&file, &format!("{PASSWORD}\n"));
    let rig = Rig::start(&config, queue);
    rig.until_delivered().await;
    rig.stop().await;
}

pub async fn wrong_version(at: At) {
    let Some(broker) = at.broker(&Wishes::default()) else {
        return;
    };
    let other = match at.protocol {
        Protocol::V5 => Protocol::V311,
        Protocol::V311 => Protocol::V5,
    };
    let port = match at.kind {
        // Each of its ports speaks one version.
        Kind::Rumqttd => broker.port_for(other),
        Kind::Mosquitto => {
            at.gap("it speaks both on each port; a scripted broker answers as the standards say");
            speaks_only(other)
        }
    };
    let (not, but) = match at.protocol {
        Protocol::V5 => ("MQTT 5", "uplink.protocol = \"3.1.1\""),
        Protocol::V311 => ("MQTT 3.1.1", "uplink.protocol = \"5\""),
    };
    let mut rig = Rig::start(&at.config(port), Arc::default());
    let status = rig
        .until("turned away", |status| status.counters.failed_attempts > 0)
        .await;
    if at.is(Kind::Rumqttd, Protocol::V311) {
        at.gap("its port for MQTT 5 closes the connection without a word");
        assert_eq!(status.state, LinkState::Disconnected);
        assert!(
            status.message.en.contains("uplink.protocol"),
            "{}",
            status.message.en
        );
    } else {
        assert_eq!(status.state, LinkState::Refused);
        assert!(
            status.message.en.contains(not) && status.message.en.contains(but),
            "{}",
            status.message.en
        );
    }
    rig.stop().await;
}

/// A broker that accepts one version and refuses the other as the standards say: 3.1.1, 3.1.2.2 and MQTT 5, 3.1.2.2.
fn speaks_only(version: Protocol) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (level, accepted, refused): (u8, &[u8], &[u8]) = match version {
        Protocol::V311 => (4, &[0x20, 2, 0, 0], &[0x20, 2, 0, 1]),
        Protocol::V5 => (5, &[0x20, 3, 0, 0, 0], &[0x20, 3, 0, 0x84, 0]),
    };
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut packet) = (client.unwrap(), [0; 4096]);
            let count = client.read(&mut packet).unwrap_or(0);
            let name = packet[..count].windows(4).position(|word| word == b"MQTT");
            let fits = name.is_some_and(|at| packet[at + 4] == level);
            let _ = client.write_all(if fits { accepted } else { refused });
            while fits && client.read(&mut packet).is_ok_and(|count| count > 0) {}
        }
    });
    port
}

pub async fn topic_that_is_not_allowed(at: At) {
    let rules = tempfile::tempdir().unwrap();
    let file = rules.path().join("rules");
    let topics = ["state", "event/alarm", "backfill/alarm"];
    let topics = topics.map(|topic| format!("topic write {BASE}/{topic}\n"));
    put(&file, &format!("{}topic read #\n", topics.concat()));
    let wishes = Wishes {
        lines: format!("acl_file {}\n", file.display()),
        ..Wishes::default()
    };
    let Some(broker) = at.broker(&wishes) else {
        return;
    };
    let observer = Observer::connect(broker.cloud_port()).await;
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Alarm, 10, 10);
    queue.produce(Stream::Count, 10, 10);
    let mut rig = Rig::start(&broker.config(), queue.clone());
    match (at.kind, at.protocol) {
        (Kind::Mosquitto, Protocol::V5) => {
            let status = rig
                .until("refused, and the rest delivered", |status| {
                    status.refusals[Stream::Count.index()].is_some()
                        && status.counters.events_acked == 10
                })
                .await;
            assert_eq!(status.counters.connections_lost, 0);
            assert_eq!(
                queue.stat(Stream::Count).pending,
                10,
                "nothing passed for delivered"
            );
        }
        (Kind::Mosquitto, Protocol::V311) => {
            at.gap("a PUBACK has no reason: what may not be published is acknowledged, and thrown away by the broker");
            rig.until_delivered().await;
            observer.until("the alarms", |all| all.len() >= 2).await;
        }
        (Kind::Rumqttd, _) => {
            at.gap("it has no access rules");
            rig.until_delivered().await;
        }
    }
    rig.stop().await;
    observer.until_online(false).await;
    let counts = observer.batches("backfill", Stream::Count);
    assert_eq!(counts.is_empty(), at.kind == Kind::Mosquitto);
    assert!(!observer.batches("backfill", Stream::Alarm).is_empty());
}
