//! An uplink on tokio's paused clock: whenever everybody waits, time jumps to the next timer. For one thread only.

#![allow(dead_code)] // each test file uses its own part

use std::sync::Arc;
use std::time::Duration;

use footfall::clock::{Clock, Stamp};
use footfall::config::schema;
use footfall::event::Identity;
use footfall::outbox::Queue;
use footfall::uplink::desk::Desk;
use footfall::uplink::{Birth, LinkStatus, Settings, Uplink};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

pub const BASE: &str = "footfall/v1/acme/shop-7/box-0042";
/// Far more than anything takes on this clock.
pub const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Runs a test on a paused clock.
pub fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

/// Tokio's clock, which the test's runtime has paused.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Stamp {
        let boot = self.0.elapsed();
        Stamp {
            wall: Timestamp::UNIX_EPOCH + boot,
            boot,
            synced: true,
        }
    }

    fn boot_id(&self) -> &str {
        "5f0c"
    }
}

/// A running uplink.
pub struct Running {
    pub status: watch::Receiver<LinkStatus>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// `started`: where its clock begins.
pub fn start(
    config: &schema::Uplink,
    queue: Arc<dyn Queue>,
    desk: Option<Arc<dyn Desk>>,
    started: Instant,
) -> Running {
    let identity = Identity {
        tenant: "acme".into(),
        store: "shop-7".into(),
        box_id: "box-0042".into(),
        boot_id: "5f0c".into(),
        zone: TimeZone::UTC,
    };
    let (stop, stopped) = watch::channel(false);
    let (status_tx, status) = watch::channel(LinkStatus::off(Timestamp::UNIX_EPOCH));
    let uplink = Uplink {
        settings: Settings::from_config(config, &identity).unwrap().unwrap(),
        queue,
        clock: Arc::new(TokioClock(started)),
        status: status_tx,
        birth: Birth {
            version: "0.1.0".into(),
            config_sha256: watch::channel("c0ffee".to_owned()).1,
            capabilities: Vec::new(),
        },
        desk,
        grace: Duration::from_secs(30),
    };
    let task = tokio::spawn(async move { uplink.run(stopped).await.unwrap() });
    Running { status, stop, task }
}

impl Running {
    /// Waits until the link's state is as wanted.
    pub async fn until(
        &mut self,
        what: &str,
        wanted: impl FnMut(&LinkStatus) -> bool,
    ) -> LinkStatus {
        let found = timeout(PATIENCE, self.status.wait_for(wanted)).await;
        match found.map(|found| found.map(|status| status.clone())) {
            Ok(Ok(status)) => status,
            other => panic!("never: {what}: {other:?}"),
        }
    }

    /// Stops in order, and gives the last state.
    pub async fn stop(self) -> LinkStatus {
        self.stop.send_replace(true);
        timeout(PATIENCE, self.task).await.expect("a stop").unwrap();
        self.status.borrow().clone()
    }

    /// As when the daemon dies.
    pub async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
