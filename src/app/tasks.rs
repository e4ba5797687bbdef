//! The box's own small tasks: the page, today's sums, alarms, health.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::clock::{ClockWatch, SharedClock, Stamp};
use crate::event::{Body, ClockSynced, DeviceHealth, Draft};
use crate::outbox::{Outbox, Queue};
use crate::sensor::gpio::{Mood, MoodCell};
use crate::sensor::{Roster, State};
use crate::supervise::Restarts;
use crate::uplink::LinkState;
use crate::{status, system, uplink};

/// How often `device.health` is stored and today's sums are saved.
const HEALTH_EVERY: Duration = Duration::from_secs(300);
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// How often somebody looks whether the wall clock was set.
const CLOCK_EVERY: Duration = Duration::from_secs(1);
/// How soon the status LED follows.
const MOOD_EVERY: Duration = Duration::from_secs(1);

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
    site: Arc<status::Site>,
    mut stop: watch::Receiver<bool>,
) {
    if listen.is_empty() {
        return;
    }
    loop {
        match tokio::net::TcpListener::bind(&listen).await {
            Ok(listener) => {
                info!(page = format!("http://{listen}/"), "status page");
                if let Err(why) = Arc::clone(&site).serve(listener).await {
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

/// Tells the cloud when the wall clock can be believed and when it was set anew, so that it can place what came before.
pub(super) async fn watch_clock(outbox: Outbox, clock: SharedClock, started: Stamp) {
    let mut watch = ClockWatch::new(started);
    loop {
        tokio::time::sleep(CLOCK_EVERY).await;
        if let Some(set) = watch.look(clock.now()) {
            let event = ClockSynced::new(clock.boot_id(), set);
            info!(step_s = event.step, "the wall clock is synced");
            submit(&outbox, &clock, Body::ClockSynced(event)).await;
        }
    }
}

/// Tells the status LED how the whole box is doing.
pub(super) async fn show_mood(
    mood: MoodCell,
    roster: Roster,
    outbox: Outbox,
    link: watch::Receiver<uplink::LinkStatus>,
) {
    loop {
        let states: Vec<_> = roster
            .faces()
            .iter()
            .map(|face| face.health.get().state)
            .collect();
        let cloud = matches!(link.borrow().state, LinkState::Off | LinkState::Connected);
        mood.set(mood_of(&states, outbox.store_error().is_none(), cloud));
        tokio::time::sleep(MOOD_EVERY).await;
    }
}

/// The worst of what the sensors, the outbox and the way to the cloud say.
fn mood_of(sensors: &[State], stores: bool, cloud: bool) -> Mood {
    if !stores || sensors.contains(&State::Trouble) {
        Mood::Trouble
    } else if sensors.is_empty() || sensors.contains(&State::Starting) {
        Mood::Starting
    } else if !cloud {
        Mood::NoCloud
    } else {
        Mood::Ok
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mood_is_the_worst_of_sensors_outbox_and_cloud() {
        let fine = [State::Ok, State::Ok];
        assert_eq!(mood_of(&fine, true, true), Mood::Ok);
        assert_eq!(mood_of(&fine, true, false), Mood::NoCloud);
        assert_eq!(mood_of(&fine, false, false), Mood::Trouble);
        assert_eq!(
            mood_of(&[State::Ok, State::Starting], true, false),
            Mood::Starting
        );
        assert_eq!(
            mood_of(&[State::Starting, State::Trouble], true, true),
            Mood::Trouble
        );
        assert_eq!(mood_of(&[], true, true), Mood::Starting);
    }
}
