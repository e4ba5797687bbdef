//! Wires all of it, top to bottom; the one place that knows every room and spawns threads and tasks.

mod cameras;
mod cloud;
mod commands;
mod diagnostics;
mod fleet;
mod live;
mod places;
mod sensors;
mod tasks;
mod watchdog;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

pub use cameras::{classes, line_names, line_settings, opener, pipeline, preview_line};
pub use fleet::Fleet;

use self::cloud::Ways;
use self::commands::InForce;
use self::diagnostics::Collector;
use self::live::LiveConfig;
use crate::clock::{Clock, SharedClock, SystemClock};
use crate::command::counters::Counters;
use crate::command::key::Keys;
use crate::config::Loaded;
use crate::config::schema::{self, ClockTrust};
use crate::event::{Body, DeviceStarted, Identity};
use crate::outbox::{self, Outbox};
use crate::sensor::gpio::MoodCell;
use crate::sensor::{House, Roster};
use crate::status;
use crate::supervise::Restarts;
use crate::uplink;

/// systemd kills after 10 s; each step of the drain has its share of that.
const SENSORS_STOP_WITHIN: Duration = Duration::from_secs(4);
const OUTBOX_STORES_WITHIN: Duration = Duration::from_secs(1);

/// The box's identity for events.
#[must_use]
pub fn identity(device: &schema::Device, clock: &dyn Clock) -> Identity {
    Identity {
        tenant: device.tenant.clone(),
        store: device.store.clone(),
        box_id: device.box_id.clone(),
        boot_id: clock.boot_id().to_owned(),
        // The config's validation has looked the zone up already.
        zone: TimeZone::get(&device.timezone).unwrap_or(TimeZone::UTC),
    }
}

/// The daemon: runs until SIGTERM or SIGINT, then drains sensors, outbox and uplink in that order.
///
/// # Errors
/// What makes starting pointless: the outbox cannot be opened, the uplink's or the commands' key files are wrong, or no
/// camera at all can be set up. Everything that fails later is reported, retried and survived.
pub async fn run(owner: Loaded) -> anyhow::Result<()> {
    let InForce {
        loaded,
        kept,
        cut_off,
        news,
    } = commands::in_force(&owner);
    let Loaded {
        config,
        path,
        sha256,
        ..
    } = loaded;
    let clock: SharedClock = Arc::new(SystemClock::new(config.device.clock == ClockTrust::Trusted));
    let started = clock.now();
    let identity = identity(&config.device, clock.as_ref());
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "footfall starts");
    let link = uplink::Settings::from_config(&config.uplink, &identity)?;
    let keys = Keys::load(&config.command.keys)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    // Blocks for seconds while another process holds it.
    let outbox = tokio::task::block_in_place(|| open_outbox(&config.outbox, &identity, &clock))?;
    let restarts = Arc::new(Restarts::default());
    let cameras = cameras::CameraShop::open(&config, &clock)?;
    let house = House {
        identity: identity.clone(),
        clock: Arc::clone(&clock),
        sink: Arc::new(outbox.clone()),
    };
    let roster = Roster::default();

    let (stop_io, io_stopped) = watch::channel(false);
    let (link_status, link_watch) = watch::channel(uplink::LinkStatus::off(started.wall));
    let (config_hash, _) = watch::channel(sha256.clone());
    let today = Arc::new(status::Today::open(
        &config.outbox.dir,
        identity.clone(),
        Arc::clone(&clock),
    ));
    places::set(&today, &config, &identity);
    let sources = Arc::new(status::Sources {
        identity: identity.clone(),
        clock: Arc::clone(&clock),
        started,
        config_sha256: config_hash.subscribe(),
        data_dir: config.outbox.dir.clone(),
        outbox: outbox.clone(),
        link: link_watch.clone(),
        today: Arc::clone(&today),
        restarts: Arc::clone(&restarts),
        sensors: roster.clone(),
        commands: Counters::default(),
    });
    let fleet = Arc::new(Fleet::new(&restarts, &roster));
    let mood = MoodCell::default();
    let live = Arc::new(LiveConfig {
        owner,
        kept: kept.into(),
        cut_off,
        sha256: config_hash.clone(),
        house,
        cameras,
        mood: mood.clone(),
        fleet: Arc::clone(&fleet),
        roster: roster.clone(),
        link: link_watch.clone(),
        outbox: outbox.clone(),
        today: Arc::clone(&today),
    });
    let collector = Arc::new(Collector {
        owner: live.owner.clone(),
        sources: Arc::clone(&sources),
    });
    let leave = Arc::new(Notify::new());
    let (stop_commands, commands_stopped) = watch::channel(false);
    let ways = Ways {
        link,
        keys,
        status: link_status,
        leave: Arc::clone(&leave),
        stop: io_stopped.clone(),
    };
    let cloud = tokio::task::block_in_place(|| cloud::connect(ways, &live, &collector));

    let access = status::Access::from(&config.status);
    let page = tokio::spawn(tasks::serve(
        config.status.listen.clone(),
        status::Site::new(
            Arc::clone(&sources),
            access,
            Some(Arc::new(move || collector.collect())),
            io_stopped.clone(),
        ),
        io_stopped.clone(),
    ));
    let tally = tokio::spawn(tasks::keep_tally(
        Arc::clone(&today),
        outbox.clone(),
        io_stopped.clone(),
    ));
    let occupancy = tokio::spawn(places::report(
        Arc::clone(&today),
        outbox.clone(),
        Arc::clone(&clock),
    ));
    let mood_task = tokio::spawn(tasks::show_mood(
        mood.clone(),
        roster.clone(),
        outbox.clone(),
        link_watch.clone(),
    ));
    let alarms = tokio::spawn(tasks::raise_alarms(
        outbox.clone(),
        Arc::clone(&clock),
        link_watch,
    ));
    let health = tokio::spawn(tasks::report_health(
        outbox.clone(),
        Arc::clone(&clock),
        Arc::clone(&restarts),
        config.outbox.dir.clone(),
    ));
    let clock_watch = tokio::spawn(tasks::watch_clock(
        outbox.clone(),
        Arc::clone(&clock),
        started,
    ));

    let begun = Body::DeviceStarted(DeviceStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_sha256: sha256,
    });
    tasks::submit(&outbox, &clock, begun).await;
    for body in news {
        tasks::submit(&outbox, &clock, body).await;
    }
    live.set(&config).await;
    // Only now: a command must not meet half a crew.
    if let Some(hands) = cloud.hands {
        tokio::spawn(hands.worker.run(commands_stopped.clone()));
        tokio::spawn(hands.desired.run(commands_stopped));
    }
    let feeding = tokio::spawn(watchdog::feed(
        Arc::clone(&fleet),
        outbox.clone(),
        Arc::clone(&clock),
    ));
    watchdog::tell(&[NotifyState::Ready]);

    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: draining"),
        _ = interrupt.recv() => info!("SIGINT: draining"),
        () = leave.notified() => info!("restart by command: draining"),
    }
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        error!("second signal: leaving now; what is stored is safe");
        std::process::exit(1);
    });

    feeding.abort();
    watchdog::tell(&[NotifyState::Stopping]);
    mood_task.abort();
    let _ = stop_commands.send(true);
    fleet.stop().await;
    health.abort();
    clock_watch.abort();
    occupancy.abort();
    places::last_report(&today, &outbox, &clock);
    // The outbox stores in order: once this event is durable, so is everything the sensors handed over.
    let last = tasks::health_event(&clock, &restarts, &config.outbox.dir, started);
    let stored =
        tokio::time::timeout(OUTBOX_STORES_WITHIN, tasks::submit(&outbox, &clock, last)).await;
    if stored.is_err() {
        warn!("the outbox is slow; it goes on storing while the uplink drains");
    }
    let _ = stop_io.send(true);
    if let Some(task) = cloud.uplink {
        join(
            "uplink",
            task,
            cloud::STOPS_WITHIN + Duration::from_millis(500),
        )
        .await;
    }
    alarms.abort();
    join("page", page, Duration::from_millis(500)).await;
    join("tally", tally, Duration::from_millis(500)).await;
    tokio::task::spawn_blocking(move || outbox.close()).await??;
    info!("everything is stored; good bye");
    Ok(())
}

/// The fault of a data directory that is not there and cannot be made.
#[must_use]
pub fn no_outbox_dir(dir: &Path, source: std::io::Error) -> outbox::OutboxError {
    outbox::OutboxError::Io {
        what: format!(
            "the outbox's directory {} cannot be made; create it and give it to footfall's user, or change outbox.dir",
            dir.display()
        ),
        source,
    }
}

fn open_outbox(
    config: &schema::Outbox,
    identity: &Identity,
    clock: &SharedClock,
) -> anyhow::Result<Outbox> {
    std::fs::create_dir_all(&config.dir).map_err(|source| no_outbox_dir(&config.dir, source))?;
    let options = outbox::Options {
        cache_bytes: u64::from(config.cache_mb) << 20,
        quota_bytes: config.quota_mb.map(|mb| u64::from(mb) << 20),
        ..outbox::Options::new(config.dir.clone())
    };
    let (outbox, recovery) = Outbox::open(options, identity.clone(), Arc::clone(clock))?;
    if !recovery.gaps.is_empty() || !recovery.quarantined.is_empty() {
        warn!(
            ?recovery,
            "the outbox was damaged; what is missing is reported as outbox.gap"
        );
    }
    Ok(outbox)
}

async fn join(part: &str, handle: JoinHandle<()>, within: Duration) {
    let aborter = handle.abort_handle();
    if tokio::time::timeout(within, handle).await.is_err() {
        warn!(
            part,
            within_s = within.as_secs_f32(),
            "part did not stop in time; left behind"
        );
        aborter.abort();
    }
}
