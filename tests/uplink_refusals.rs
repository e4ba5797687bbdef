//! What a real broker refuses: the box, a topic, a packet's size.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/uplink_rig.rs"]
mod uplink_rig;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use footfall::clock::FakeClock;
use footfall::config::schema;
use footfall::event::Stream;
use footfall::outbox::Queue;
use footfall::uplink::LinkState;
use footfall::uplink::cause::{Cause, Objection};
use footfall::uplink::subscriber::Seen;
use jiff::Timestamp;
use memory_queue::MemoryQueue;
use mosquitto::{Mosquitto, put};
use uplink_rig::{Rig, plain, subscriber, until, until_received};

fn passwords(dir: &Path) -> String {
    let file = dir.join("passwords");
    put(&file, "box:open-sesame\ncloud:cloudy\n");
    let hashed = Command::new("mosquitto_passwd")
        .arg("-U")
        .arg(&file)
        .status()
        .unwrap();
    assert!(hashed.success());
    format!("allow_anonymous false\npassword_file {}\n", file.display())
}

fn as_box(broker: &Mosquitto, password: &str) -> schema::Uplink {
    let file = broker.dir().join("box-password");
    put(&file, &format!("{password}\n"));
    schema::Uplink {
        username: Some("box".into()),
        password_file: Some(file),
        ..plain(broker.url())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_wrong_password_the_state_says_what_to_do_and_the_right_one_connects() {
    let Some(broker) = Mosquitto::start_with(passwords) else {
        return;
    };
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Count, 5, 10);
    let mut rig = Rig::start(&as_box(&broker, "wrong"), queue.clone());
    let status = rig
        .until("refused", |status| status.state == LinkState::Refused)
        .await;
    assert_eq!(status.cause, Some(Cause::WrongCredentials));
    assert!(
        status.message.en.contains("uplink.password_file"),
        "{}",
        status.message.en
    );
    rig.stop().await;
    assert_eq!(queue.pending(), 5);
    let rig = Rig::start(&as_box(&broker, "open-sesame"), queue);
    rig.until_delivered().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_topic_that_is_not_allowed_its_events_stay_and_the_other_streams_go_on() {
    refuse_one_stream("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_broker_that_cuts_the_connection_at_a_refusal_the_other_streams_still_get_through()
{
    // What mosquitto 2.0.11 does with this setting.
    refuse_one_stream("max_queued_messages 0\n").await;
}

/// The box may write to these topics, and to its state.
fn allow(dir: &Path, topics: impl Iterator<Item = String>) {
    let mut text = "user cloud\ntopic read #\nuser box\n".to_owned();
    for topic in topics.chain(["state".to_owned()]) {
        text.push_str(&format!("topic write {}/{topic}\n", uplink_rig::BASE));
    }
    put(&dir.join("rules"), &text);
}

async fn refuse_one_stream(more: &str) {
    let rules = |dir: &Path, streams: &[&str]| {
        let topics =
            ["event", "backfill"].map(|lane| streams.iter().map(move |s| format!("{lane}/{s}")));
        allow(dir, topics.into_iter().flatten());
    };
    let some = ["alarm", "interval", "diagnostic"];
    let Some(mut broker) = Mosquitto::start_with(|dir| {
        rules(dir, &some);
        format!("{}acl_file {}/rules\n{more}", passwords(dir), dir.display())
    }) else {
        return;
    };
    let cloud = subscriber(broker.port(), Some(("cloud", "cloudy"))).await;
    let queue = Arc::new(MemoryQueue::default());
    for stream in Stream::ALL {
        queue.produce(stream, 45, 10);
    }
    let mut rig = Rig::start(&as_box(&broker, "open-sesame"), queue.clone());
    let before = rig.status.borrow().clone();
    let status = rig
        .until("refused and the rest delivered", |status| {
            status.refusals[Stream::Count.index()].is_some() && status.counters.events_acked == 135
        })
        .await;
    if more.is_empty() {
        assert_eq!(status.counters.connections_lost, 0);
    }
    assert!(status.counters.batches_refused >= 1);
    let refusal = status.refusals[Stream::Count.index()].as_ref().unwrap();
    assert_eq!(refusal.objection, Objection::NotAuthorised);
    let alarms = status.alarms_since(&before);
    assert_eq!(alarms.len(), 1);
    assert!(
        alarms[0].message.contains("backfill/count: not authorised"),
        "{alarms:?}"
    );
    assert_eq!(
        queue.stat(Stream::Count).pending,
        45,
        "nothing passed for delivered"
    );
    assert_eq!(cloud.report().streams[Stream::Count.index()].received, 0);
    // Once it is allowed everything arrives, and the refusal is over.
    rules(broker.dir(), &["+"]);
    broker.stop();
    broker.run();
    rig.until_delivered().await;
    until_received(&cloud, 180).await;
    rig.until("no refusal", |status| {
        status.refusals.iter().all(Option::is_none)
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_only_live_topics_are_refused_the_events_get_through_as_backfill() {
    let Some(broker) = Mosquitto::start_with(|dir| {
        allow(dir, ["backfill/+".to_owned()].into_iter());
        format!("{}acl_file {}/rules\n", passwords(dir), dir.display())
    }) else {
        return;
    };
    let cloud = subscriber(broker.port(), Some(("cloud", "cloudy"))).await;
    let queue = Arc::new(MemoryQueue::default());
    let clock = Arc::new(FakeClock::at(Timestamp::UNIX_EPOCH));
    let config = as_box(&broker, "open-sesame");
    let mut rig = Rig::start_with(
        &config,
        queue.clone(),
        clock.clone(),
        Duration::from_secs(30),
    );
    rig.until("connected", |status| status.state == LinkState::Connected)
        .await;
    queue.produce(Stream::Count, 45, 10);
    let count = Stream::Count.index();
    let status = rig
        .until("refused", |status| {
            status.refusals[count].is_some() && status.in_flight == 0
        })
        .await;
    let message = &status.refusals[count].as_ref().unwrap().message.en;
    assert!(message.contains("event/count: not authorised"), "{message}");
    assert_eq!(queue.pending(), 45, "nothing passed for delivered");
    clock.advance(Duration::from_secs(6));
    queue.produce(Stream::Count, 1, 10); // the session looks at its clock again
    rig.until_delivered().await;
    let seen = until_received(&cloud, 46).await;
    assert_eq!(seen.report.streams[count].live, 0);
    let status = rig.stop().await;
    assert!(status.refusals[count].is_some(), "of live events, still");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_an_event_larger_than_the_broker_takes_it_alone_stays_behind() {
    let Some(broker) = Mosquitto::start("max_packet_size 2000\n") else {
        return;
    };
    let cloud = subscriber(broker.port(), None).await;
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Count, 20, 300);
    queue.produce(Stream::Count, 1, 3000);
    queue.produce(Stream::Count, 20, 300);
    let rig = Rig::start(&plain(broker.url()), queue.clone());
    let before = rig.status.borrow().clone();
    let mut acks = queue.acks();
    until(&mut acks, "all but one are acknowledged", |_| {
        queue.pending() == 1
    })
    .await;
    let status = rig.status.borrow().clone();
    assert_eq!(status.counters.events_oversized, 1);
    assert_eq!(status.oversized.unwrap().sequence, 21);
    assert_eq!(status.alarms_since(&before).len(), 1);
    let stat = queue.stat(Stream::Count);
    assert_eq!((stat.pending, stat.acked), (1, 20));
    assert!(!queue.is_acked(Stream::Count, 21));
    let wanted = |seen: &Seen| seen.report.received() == 40;
    let seen = until(&mut cloud.watch(), "40 have arrived", wanted).await;
    let count = &seen.report.streams[Stream::Count.index()];
    assert_eq!(count.first_gap, Some(21));
    let last = rig.stop().await;
    assert_eq!(
        (last.counters.connections, last.counters.connections_lost),
        (1, 0)
    );
}
