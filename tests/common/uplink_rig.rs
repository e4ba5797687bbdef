//! An uplink with an outbox (mostly one in memory), and a subscriber in the place of the cloud.

#![allow(dead_code)] // each test file uses its own part

use std::sync::Arc;
use std::time::Duration;

use footfall::clock::{SharedClock, SystemClock};
use footfall::config::schema;
use footfall::event::Identity;
use footfall::outbox::Queue;
use footfall::uplink::desk::Desk;
use footfall::uplink::subscriber::{Seen, Subscriber, Subscription};
use footfall::uplink::{Birth, LinkStatus, QueueClosed, Settings, Uplink};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::memory_queue::MemoryQueue;

pub const NAMES: [&str; 3] = ["acme", "shop-7", "box-0042"];
pub const BASE: &str = "footfall/v1/acme/shop-7/box-0042";
/// Far more than any of it takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// With an outbox in memory.
pub type Rig = Link<MemoryQueue>;

pub struct Link<Q> {
    pub queue: Arc<Q>,
    pub status: watch::Receiver<LinkStatus>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), QueueClosed>>,
}

impl<Q: Queue + 'static> Link<Q> {
    pub fn start(config: &schema::Uplink, queue: Arc<Q>) -> Self {
        let clock = Arc::new(SystemClock::new(true));
        Self::start_with(config, queue, clock, Duration::from_secs(30))
    }

    pub fn start_with(
        config: &schema::Uplink,
        queue: Arc<Q>,
        clock: SharedClock,
        grace: Duration,
    ) -> Self {
        Self::start_full(config, queue, clock, grace, NAMES, None)
    }

    /// With other names of tenant, store and box, and with somebody who takes commands.
    pub fn start_as(
        config: &schema::Uplink,
        queue: Arc<Q>,
        names: [&str; 3],
        desk: Option<Arc<dyn Desk>>,
    ) -> Self {
        let clock = Arc::new(SystemClock::new(true));
        Self::start_full(config, queue, clock, Duration::from_secs(30), names, desk)
    }

    fn start_full(
        config: &schema::Uplink,
        queue: Arc<Q>,
        clock: SharedClock,
        grace: Duration,
        [tenant, store, box_id]: [&str; 3],
        desk: Option<Arc<dyn Desk>>,
    ) -> Self {
        let identity = Identity {
            tenant: tenant.into(),
            store: store.into(),
            box_id: box_id.into(),
            boot_id: "5f0c".into(),
            zone: TimeZone::UTC,
        };
        let (stop, stopped) = watch::channel(false);
        let (status_tx, status) = watch::channel(LinkStatus::off(Timestamp::UNIX_EPOCH));
        let uplink = Uplink {
            settings: Settings::from_config(config, &identity).unwrap().unwrap(),
            queue: queue.clone(),
            clock,
            status: status_tx,
            birth: Birth {
                version: "0.1.0".into(),
                config_sha256: watch::channel("c0ffee".to_owned()).1,
                capabilities: vec!["vision".into()],
            },
            desk,
            grace,
        };
        Self {
            queue,
            status,
            stop,
            task: tokio::spawn(uplink.run(stopped)),
        }
    }

    /// Waits until the link's state is as wanted, and gives it.
    pub async fn until(
        &mut self,
        what: &str,
        wanted: impl FnMut(&LinkStatus) -> bool,
    ) -> LinkStatus {
        until(&mut self.status, what, wanted).await
    }

    /// Ends as a power cut would: without a goodbye.
    pub fn vanish(self) {
        self.task.abort();
    }

    /// Waits for a connection, then stops in order.
    pub async fn stop_once_connected(mut self) -> LinkStatus {
        self.until("connected", |status| status.counters.connections > 0)
            .await;
        self.stop().await
    }

    /// Stops in order, and gives the last state.
    pub async fn stop(self) -> LinkStatus {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the uplink stops").unwrap().unwrap();
        self.status.borrow().clone()
    }
}

impl Rig {
    /// Waits until the outbox has nothing left.
    pub async fn until_delivered(&self) {
        let mut acks = self.queue.acks();
        until(&mut acks, "everything is acknowledged", |_| {
            self.queue.pending() == 0
        })
        .await;
    }
}

pub fn plain(url: String) -> schema::Uplink {
    schema::Uplink {
        broker: Some(url),
        batch_events: 10,
        ..schema::Uplink::default()
    }
}

/// A subscriber whose subscription is in place.
pub async fn subscriber(port: u16, credentials: Option<(&str, &str)>) -> Subscriber {
    subscribed(Subscriber::start(subscription(port, credentials))).await
}

/// The same, and it keeps the events.
pub async fn keeping_subscriber(port: u16) -> Subscriber {
    subscribed(Subscriber::start_keeping(subscription(port, None))).await
}

fn subscription(port: u16, credentials: Option<(&str, &str)>) -> Subscription {
    Subscription {
        host: "127.0.0.1".into(),
        port,
        base: BASE.into(),
        client_id: "cloud".into(),
        credentials: credentials.map(|(user, password)| (user.into(), password.into())),
    }
}

async fn subscribed(subscriber: Subscriber) -> Subscriber {
    until(&mut subscriber.watch(), "subscribed", |seen| {
        seen.subscribed
    })
    .await;
    subscriber
}

/// Waits until all events of the queue have reached the subscriber.
pub async fn until_received(subscriber: &Subscriber, events: u64) -> Seen {
    let wanted = |seen: &Seen| seen.report.received() >= events && seen.report.is_complete();
    until(&mut subscriber.watch(), "everything has arrived", wanted).await
}

pub async fn until<T: Clone + std::fmt::Debug>(
    watched: &mut watch::Receiver<T>,
    what: &str,
    wanted: impl FnMut(&T) -> bool,
) -> T {
    let found = tokio::time::timeout(PATIENCE, watched.wait_for(wanted)).await;
    match found.map(|found| found.map(|value| value.clone())) {
        Ok(Ok(value)) => value,
        Ok(Err(_)) => panic!("gave up before: {what}; last {:?}", watched.borrow()),
        Err(_) => panic!(
            "not within {PATIENCE:?}: {what}; last {:?}",
            watched.borrow()
        ),
    }
}
