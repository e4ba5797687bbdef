//! The box's own small tasks: the page, today's sums, alarms, health.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::clock::{SharedClock, Stamp};
use crate::event::{Body, DeviceHealth, Draft};
use crate::outbox::{Outbox, Queue};
use crate::supervise::Restarts;
use crate::{status, system, uplink};

/// How often `device.health` is stored and today's sums are saved.
const HEALTH_EVERY: Duration = Duration::from_secs(300);
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// Stores one event of the box itself and waits until it is durable.
pub(super) async fn submit(outbox: &Outbox, clock: &SharedClock, body: Body) {
    let draft = Draft {
        source: String::new(),
        at: clock.now(),
        body,
    };
    if outbox.append(draft).await.is_err() {
        warn!("the outbox is closed; an event of the box itself is not stored");
    }
}

/// The status page, for as long as the daemon runs; an address that cannot be used costs the page, not the counting.
pub(super) async fn serve(
    listen: String,
    sources: Arc<status::Sources>,
    mut stop: watch::Receiver<bool>,
) {
    if listen.is_empty() {
        return;
    }
    let routes = status::routes(sources);
    loop {
        match tokio::net::TcpListener::bind(&listen).await {
            Ok(listener) => {
                info!(page = format!("http://{listen}/"), "status page");
                let mut stop = stop.clone();
                let until_stop = async move { drop(stop.wait_for(|stop| *stop).await) };
                let served =
                    axum::serve(listener, routes.clone()).with_graceful_shutdown(until_stop);
                if let Err(why) = served.await {
                    error!(%why, "the status page stopped");
                }
            }
            Err(why) => error!(
                listen,
                %why,
                "no status page: the address cannot be used; free it or change status.listen; counting goes on"
            ),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(Duration::from_secs(15)) => {}
        }
    }
}

/// Adds what becomes durable to today's sums, and saves them now and then.
pub(super) async fn keep_tally(
    today: Arc<status::Today>,
    outbox: Outbox,
    mut stop: watch::Receiver<bool>,
) {
    let mut changed = outbox.changed();
    let mut save = tokio::time::interval(SAVE_EVERY);
    let mut stopping = false;
    while !stopping {
        let save_now = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => { stopping = true; true }
            _ = save.tick() => true,
            more = changed.changed() => { stopping = more.is_err(); false }
        };
        let (today, outbox) = (Arc::clone(&today), outbox.clone());
        let done = tokio::task::spawn_blocking(move || {
            if let Err(why) = today.catch_up(&outbox) {
                warn!(%why, "today's sums lag behind");
            }
            if save_now && let Err(why) = today.checkpoint() {
                warn!(%why, "today's sums cannot be saved");
            }
        });
        let _ = done.await;
    }
}

/// Turns what the link reports into alarms.
pub(super) async fn raise_alarms(
    outbox: Outbox,
    clock: SharedClock,
    mut link: watch::Receiver<uplink::LinkStatus>,
) {
    // Not what it is now: a refusal may have been faster than this task.
    let mut before = uplink::LinkStatus::off(clock.now().wall);
    while link.changed().await.is_ok() {
        let now = link.borrow_and_update().clone();
        for alarm in now.alarms_since(&before) {
            submit(&outbox, &clock, Body::DeviceAlarm(alarm)).await;
        }
        before = now;
    }
}

/// Stores `device.health` now and then.
pub(super) async fn report_health(
    outbox: Outbox,
    clock: SharedClock,
    restarts: Arc<Restarts>,
    dir: PathBuf,
) {
    let started = clock.now();
    loop {
        tokio::time::sleep(HEALTH_EVERY).await;
        submit(
            &outbox,
            &clock,
            health_event(&clock, &restarts, &dir, started),
        )
        .await;
    }
}

/// How the process and the disk are doing.
pub(super) fn health_event(
    clock: &SharedClock,
    restarts: &Restarts,
    dir: &Path,
    started: Stamp,
) -> Body {
    Body::DeviceHealth(DeviceHealth {
        rss_bytes: system::rss_bytes(),
        disk_free_bytes: system::disk_free_bytes(dir),
        uptime_s: clock.now().boot.saturating_sub(started.boot).as_secs(),
        restarts: restarts.count(),
    })
}
