//! What the link says about itself when something is wrong, each thing with a cause of its own. Wrong passwords, topics
//! that are not allowed and events that are too large: `uplink_refusals.rs`; certificates: `uplink_tls.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/clerk.rs"]
mod clerk;
#[path = "common/faulty_broker.rs"]
mod faulty_broker;
#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/name_server.rs"]
mod name_server;
#[path = "common/paused_rig.rs"]
mod paused_rig;
#[path = "common/uplink_rig.rs"]
mod uplink_rig;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use clerk::Clerk;
use faulty_broker::FaultyBroker;
use faulty_broker::plan::{CONNACK_REFUSALS, DISCONNECT_REASONS, Ending, Plan, Point};
use footfall::config::schema;
use footfall::event::Stream;
use footfall::outbox::Queue;
use footfall::uplink::cause::{Cause, Objection};
use footfall::uplink::{LinkState, LinkStatus};
use memory_queue::MemoryQueue;
use mosquitto::{Mosquitto, free_port};
use name_server::{NameServer, in_own_network};
use paused_rig::{BASE, Running, block_on};
use tokio::time::Instant;
use uplink_rig::{Rig, plain};

const KEEP_ALIVE: Duration = Duration::from_secs(30);

fn ending(point: Point, ending: Ending) -> Plan {
    Plan {
        wordy: true,
        end: Some((point, ending)),
        ..Plan::default()
    }
}

/// An uplink of its own clock to a broker with these plans; the queue is empty.
async fn paused(plans: Vec<Plan>) -> (FaultyBroker, Arc<MemoryQueue>, Running) {
    listening(plans, None).await
}

/// The same, and somebody takes commands.
async fn listening(
    plans: Vec<Plan>,
    clerk: Option<Arc<Clerk>>,
) -> (FaultyBroker, Arc<MemoryQueue>, Running) {
    let broker = FaultyBroker::start(BASE, plans).await;
    let queue = Arc::new(MemoryQueue::default());
    let config = schema::Uplink {
        keep_alive_s: KEEP_ALIVE.as_secs().try_into().unwrap(),
        ..plain(format!("mqtt://127.0.0.1:{}", broker.port))
    };
    let running = paused_rig::start(
        &config,
        queue.clone(),
        clerk.map(|clerk| clerk as _),
        Instant::now(),
    );
    (broker, queue, running)
}

fn is_up(status: &LinkStatus) -> bool {
    status.state == LinkState::Connected && status.in_flight == 0
}

#[test]
fn given_an_idle_line_that_died_without_a_word_it_is_noticed_within_twice_the_keep_alive() {
    block_on(async {
        let dead = ending(Point::Answered(1), Ending::Silence);
        let (_broker, _queue, mut running) = paused(vec![dead]).await;
        running.until("connected", is_up).await;
        let since = Instant::now();
        let status = running
            .until("noticed", |status| status.cause.is_some())
            .await;
        assert_eq!(
            (status.cause, status.state),
            (Some(Cause::Silent), LinkState::Disconnected)
        );
        assert!(since.elapsed() <= 2 * KEEP_ALIVE, "{:?}", since.elapsed());
        running.until("connected again", is_up).await;
    });
}

#[test]
fn given_a_busy_line_that_died_without_a_word_it_is_noticed_within_a_minute_and_nothing_is_missing()
{
    for end in [Ending::Silence, Ending::Stall] {
        block_on(async {
            let dead = ending(Point::Before(2), end);
            let (broker, queue, mut running) = paused(vec![dead]).await;
            running.until("connected", is_up).await;
            queue.produce(Stream::Count, 100, 20_000);
            let since = Instant::now();
            let status = running
                .until("noticed", |status| status.cause.is_some())
                .await;
            let cause = status.cause.unwrap();
            assert!(
                matches!(cause, Cause::NoAcknowledgement | Cause::Silent),
                "{status:?}"
            );
            assert!(
                since.elapsed() <= Duration::from_secs(61),
                "{:?}",
                since.elapsed()
            );
            let all = |status: &LinkStatus| is_up(status) && status.counters.events_acked == 100;
            running.until("all arrived", all).await;
            assert_eq!(broker.state().truth.taken.len(), 100);
        });
    }
}

#[test]
fn given_a_broker_that_never_answers_the_attempt_ends_and_the_state_says_so() {
    block_on(async {
        let dead = ending(Point::Connected, Ending::Silence);
        let (_broker, _queue, mut running) = paused(vec![dead]).await;
        let status = running
            .until("given up", |status| status.cause.is_some())
            .await;
        assert_eq!(status.cause, Some(Cause::NoAnswer));
        running.until("connected", is_up).await;
    });
}

#[test]
fn given_a_quota_is_exceeded_the_state_says_so_wherever_the_broker_says_it_and_ends_with_it() {
    let quota = 0x97;
    let connack = Plan {
        connack: quota,
        ..Plan::default()
    };
    for plan in [
        connack,
        ending(Point::Answered(1), Ending::Disconnect(quota)),
    ] {
        block_on(async {
            let (_broker, _queue, mut running) = paused(vec![plan]).await;
            let status = running
                .until("refused", |status| status.state == LinkState::Refused)
                .await;
            assert_eq!(status.cause, Some(Cause::QuotaExceeded));
            let status = running.until("connected", is_up).await;
            assert_eq!((status.cause, status.message.en.as_str()), (None, ""));
        });
    }
    block_on(async {
        let plan = Plan {
            refusals: vec![(2, quota)],
            ..Plan::default()
        };
        let (_broker, queue, mut running) = paused(vec![plan]).await;
        running.until("connected", is_up).await;
        queue.produce(Stream::Count, 3, 10);
        let count = Stream::Count.index();
        let status = running
            .until("refused", |status| status.refusals[count].is_some())
            .await;
        let refusal = status.refusals[count].clone().unwrap();
        assert_eq!(refusal.objection, Objection::QuotaExceeded);
        assert!(refusal.message.zh.contains("配额"), "{refusal:?}");
        let delivered = |status: &LinkStatus| status.counters.events_acked == 3;
        running.until("tried again and taken", delivered).await;
        assert_eq!(queue.pending(), 0);
    });
}

#[test]
fn every_reason_a_broker_can_give_has_a_cause_and_words_in_both_languages() {
    let refusals = CONNACK_REFUSALS.map(|connack| Plan {
        connack,
        ..Plan::default()
    });
    let thrown_out =
        DISCONNECT_REASONS.map(|reason| ending(Point::Answered(1), Ending::Disconnect(reason)));
    for plan in refusals.into_iter().chain(thrown_out) {
        let reason = format!("{:#x} {:?}", plan.connack, plan.end);
        block_on(async {
            let (_broker, _queue, mut running) = paused(vec![plan]).await;
            let status = running
                .until("an end", |status| status.cause.is_some())
                .await;
            let cause = status.cause.unwrap();
            println!("{reason}: {cause:?}");
            assert_eq!(status.state, cause.state(), "{reason}");
            for cause_of_our_own in [Cause::Cut, Cause::ClosedEarly, Cause::Garbled] {
                assert_ne!(cause, cause_of_our_own, "{reason}");
            }
            assert!(!status.message.en.is_empty() && status.message.zh != status.message.en);
            running.until("connected", is_up).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_two_boxes_with_one_name_the_one_thrown_out_says_so() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut first = Rig::start(&plain(broker.url()), Arc::new(MemoryQueue::default()));
    first
        .until("connected", |status| status.state == LinkState::Connected)
        .await;
    let second = Rig::start(&plain(broker.url()), Arc::new(MemoryQueue::default()));
    let status = first
        .until("thrown out", |status| status.state == LinkState::Refused)
        .await;
    // Mosquitto says so in the short form, which the library does not read.
    let taken = matches!(status.cause, Some(Cause::ClientIdTaken | Cause::ThrownOut));
    assert!(taken, "{status:?}");
    assert!(
        status.message.en.contains("same client id"),
        "{:?}",
        status.message
    );
    first.stop().await;
    second.stop().await;
}

#[test]
fn given_a_broker_that_does_not_let_the_box_listen_the_state_says_so_and_events_flow() {
    block_on(async {
        let plan = Plan {
            suback: Some(0x87),
            ..Plan::default()
        };
        let clerk = Arc::<Clerk>::default();
        let (_broker, queue, mut running) = listening(vec![plan], Some(clerk)).await;
        let status = running.until("connected", is_up).await;
        let deaf = status.deaf.unwrap();
        assert_eq!(deaf.topic, format!("{BASE}/command"));
        assert!(deaf.message.zh.contains("命令"), "{deaf:?}");
        queue.produce(Stream::Count, 5, 10);
        let all = |status: &LinkStatus| status.counters.events_acked == 5;
        running.until("all arrived", all).await;
    });
}

/// In a network of its own, where port 53 and the resolver's configuration are the test's.
#[test]
fn given_a_name_that_is_unknown_and_then_moves_each_connection_asks_anew() {
    let name = "given_a_name_that_is_unknown_and_then_moves_each_connection_asks_anew";
    if !in_own_network(name) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let names = NameServer::start();
        let port = free_port();
        let (here, there) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
        let queue = Arc::new(MemoryQueue::default());
        let config = plain(format!("mqtt://broker.example:{port}"));
        let mut rig = Rig::start(&config, queue.clone());
        let status = rig
            .until("an unknown name", |status| status.cause.is_some())
            .await;
        assert_eq!(
            status.cause,
            Some(Cause::NameNotFound),
            "{:?}",
            status.message
        );
        let first = FaultyBroker::start_at((here, port), BASE, Vec::new()).await;
        names.set(Some(here));
        rig.until("connected", |status| status.state == LinkState::Connected)
            .await;
        queue.produce(Stream::Count, 5, 10);
        rig.until_delivered().await;
        // The broker moves, and its name with it.
        let second = FaultyBroker::start_at((there, port), BASE, Vec::new()).await;
        names.set(Some(there));
        let taken = first.state().truth.taken.len();
        first.stop().await;
        queue.produce(Stream::Count, 7, 10);
        rig.until_delivered().await;
        assert_eq!((taken, second.state().truth.taken.len()), (5, 7));
        assert_eq!(queue.stat(Stream::Count).acked, 12);
        rig.stop().await;
    });
}
