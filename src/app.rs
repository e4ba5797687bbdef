//! Wires all of it, top to bottom; the one place that knows every room and spawns threads and tasks.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::clock::{Clock, SharedClock, SystemClock};
use crate::config::Loaded;
use crate::config::schema::{self, ClockTrust, Config};
use crate::event::{Body, DeviceHealth, DeviceStarted, Draft, Identity};
use crate::outbox::{self, Outbox, Queue};
use crate::sensor::HealthCell;
use crate::sensor::camera::live::Paced;
use crate::sensor::camera::{self, FileSpec};
use crate::sensor::counting::{CountingCamera, Delivery, LineNames, LiveCell, Opener};
use crate::sensor::vision::count::line::LineSettings;
use crate::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use crate::sensor::vision::runtime::{self, Runtime};
use crate::sensor::vision::session::OnnxDetector;
use crate::sensor::vision::{VisionError, manifest};
use crate::supervise::{self, Ended, Restarts, Stop};
use crate::uplink::{self, Uplink};
use crate::{status, system};

/// Length of `line.interval`.
const INTERVAL: Duration = Duration::from_secs(60);
/// How often `device.health` is stored and today's sums are saved.
const HEALTH_EVERY: Duration = Duration::from_secs(300);
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// systemd kills after 10 s; each step of the drain has its share of that.
const SENSORS_STOP_WITHIN: Duration = Duration::from_secs(4);
const OUTBOX_STORES_WITHIN: Duration = Duration::from_secs(1);
const UPLINK_STOPS_WITHIN: Duration = Duration::from_secs(4);

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

/// Detector, tracker and counters of one camera, and the threshold that is in force.
///
/// # Errors
/// [`VisionError`]: the model is missing, damaged or does not fit.
pub fn pipeline(
    config: &Config,
    camera: &schema::Camera,
    runtime: &Runtime,
    first_track: u64,
) -> Result<(Pipeline, f32), VisionError> {
    let mut manifest = manifest::find(&camera.model, &config.vision.models)?;
    manifest.keep_classes(&camera.classes)?;
    let detector = OnnxDetector::load(&manifest, config.vision.threads.unwrap_or(1), runtime)?;
    let threshold = camera
        .threshold
        .map_or(manifest.threshold, |threshold| threshold as f32);
    let lines = camera
        .line
        .iter()
        .map(|line| line_settings(line, camera.anchor))
        .collect();
    let settings = PipelineSettings {
        threshold,
        first_track,
        lines,
    };
    Ok((Pipeline::new(Box::new(detector), settings), threshold))
}

/// A line of the config as the counter wants it.
#[must_use]
pub fn line_settings(line: &schema::Line, anchor: schema::Anchor) -> LineSettings {
    let point = |index: usize| {
        line.points
            .get(index)
            .map_or([0.0; 2], |point| point.map(|share| share as f32))
    };
    LineSettings {
        from: point(0),
        to: point(1),
        anchor,
        mode: line.mode,
        half_band: line.half_band as f32,
    }
}

/// The daemon: runs until SIGTERM or SIGINT, then drains sensors, outbox and uplink in that order.
///
/// # Errors
/// What makes starting pointless: the outbox cannot be opened, the uplink's files are wrong, or no camera at all can
/// be set up. Everything that fails later is reported, retried and survived.
pub async fn run(loaded: Loaded) -> anyhow::Result<()> {
    let Loaded {
        config,
        path,
        sha256,
    } = loaded;
    let clock: SharedClock = Arc::new(SystemClock::new(config.device.clock == ClockTrust::Trusted));
    let started = clock.now();
    let identity = identity(&config.device, clock.as_ref());
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "footfall starts");
    let link = uplink::Settings::from_config(&config.uplink, &identity)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    // Blocks for seconds while another process holds it.
    let outbox = tokio::task::block_in_place(|| open_outbox(&config.outbox, &identity, &clock))?;
    let restarts = Arc::new(Restarts::default());
    let cameras = cameras(&config, &identity, &clock, &outbox)?;

    let (stop_io, io_stopped) = watch::channel(false);
    let (link_status, link_watch) = watch::channel(uplink::LinkStatus::off(started.wall));
    let uplink_task = link.map(|settings| {
        let birth = uplink::Birth {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_sha256: sha256.clone(),
            capabilities: Vec::new(),
        };
        let queue: Arc<dyn Queue> = Arc::new(outbox.clone());
        let (clock, restarts) = (Arc::clone(&clock), Arc::clone(&restarts));
        let io_stopped = io_stopped.clone();
        tokio::spawn(async move {
            supervise::task("uplink", &restarts, || {
                let uplink = Uplink {
                    settings: settings.clone(),
                    queue: Arc::clone(&queue),
                    clock: Arc::clone(&clock),
                    status: link_status.clone(),
                    birth: birth.clone(),
                    grace: UPLINK_STOPS_WITHIN,
                };
                let stopped = io_stopped.clone();
                async move {
                    if let Err(why) = uplink.run(stopped).await {
                        error!(%why, "uplink");
                    }
                }
            })
            .await;
        })
    });

    let today = Arc::new(status::Today::open(&config.outbox.dir));
    let sources = Arc::new(status::Sources {
        identity: identity.clone(),
        clock: Arc::clone(&clock),
        started,
        config_sha256: sha256.clone(),
        data_dir: config.outbox.dir.clone(),
        outbox: outbox.clone(),
        link: link_watch.clone(),
        today: Arc::clone(&today),
        restarts: Arc::clone(&restarts),
        cameras: cameras.iter().map(camera_source).collect(),
    });
    let page = tokio::spawn(serve(
        config.status.listen.clone(),
        sources,
        io_stopped.clone(),
    ));
    let tally = tokio::spawn(keep_tally(
        Arc::clone(&today),
        outbox.clone(),
        io_stopped.clone(),
    ));
    let alarms = tokio::spawn(raise_alarms(outbox.clone(), Arc::clone(&clock), link_watch));
    let health = tokio::spawn(report_health(
        outbox.clone(),
        Arc::clone(&clock),
        Arc::clone(&restarts),
        config.outbox.dir.clone(),
    ));

    let begun = Body::DeviceStarted(DeviceStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_sha256: sha256,
    });
    submit(&outbox, &clock, begun).await;
    let sensors = Sensors::start(cameras, &restarts)?;

    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: draining"),
        _ = interrupt.recv() => info!("SIGINT: draining"),
    }
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        error!("second signal: leaving now; what is stored is safe");
        std::process::exit(1);
    });

    sensors.stop().await;
    health.abort();
    // The outbox stores in order: once this event is durable, so is everything the sensors handed over.
    let last = health_event(&clock, &restarts, &config.outbox.dir, started);
    let stored = tokio::time::timeout(OUTBOX_STORES_WITHIN, submit(&outbox, &clock, last)).await;
    if stored.is_err() {
        warn!("the outbox is slow; it goes on storing while the uplink drains");
    }
    let _ = stop_io.send(true);
    if let Some(task) = uplink_task {
        join(
            "uplink",
            task,
            UPLINK_STOPS_WITHIN + Duration::from_millis(500),
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

/// Builds every camera. One that cannot be set up is reported and tried again later; when none can, that is an error.
fn cameras(
    config: &Config,
    identity: &Identity,
    clock: &SharedClock,
    outbox: &Outbox,
) -> anyhow::Result<Vec<CountingCamera>> {
    if config.camera.is_empty() {
        warn!("no camera is set up; nothing will be counted");
        return Ok(Vec::new());
    }
    let runtime = Arc::new(runtime::load(config.vision.onnxruntime.as_deref())?);
    let mut faults = Vec::new();
    let mut cameras = Vec::new();
    for camera in &config.camera {
        let ready = pipeline(config, camera, &runtime, first_track(clock));
        let ready = ready
            .map_err(|why| faults.push(why))
            .ok()
            .map(|(pipeline, _)| pipeline);
        let context = (
            config.clone(),
            camera.clone(),
            Arc::clone(&runtime),
            Arc::clone(clock),
        );
        let ready = Mutex::new(ready);
        let make = move || {
            // The one that was built to see whether it can be is used; after a panic a fresh one.
            if let Some(ready) = ready.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Ok(ready);
            }
            let (config, camera, runtime, clock) = &context;
            pipeline(config, camera, runtime, first_track(clock)).map(|(pipeline, _)| pipeline)
        };
        cameras.push(CountingCamera {
            id: camera.id.clone(),
            lines: camera.line.iter().map(line_names).collect(),
            identity: identity.clone(),
            clock: Arc::clone(clock),
            sink: Arc::new(outbox.clone()),
            open: opener(camera, clock),
            pipeline: Box::new(make),
            max_fps: camera.fps,
            delivery: Delivery::Newest,
            interval: INTERVAL,
            health: HealthCell::starting(clock.now()),
            live: LiveCell::default(),
        });
    }
    if faults.len() == config.camera.len()
        && let Some(first) = faults.into_iter().next()
    {
        return Err(first.into());
    }
    Ok(cameras)
}

/// Track numbers begin at the milliseconds since boot: after a restart none is used twice within that boot.
fn first_track(clock: &SharedClock) -> u64 {
    u64::try_from(clock.now().boot.as_millis())
        .unwrap_or(1)
        .max(1)
}

/// The names of a line for events.
#[must_use]
pub fn line_names(line: &schema::Line) -> LineNames {
    LineNames {
        id: line.id.clone(),
        left: line.left.clone(),
        right: line.right.clone(),
    }
}

fn opener(camera: &schema::Camera, clock: &SharedClock) -> Opener {
    let spec = FileSpec {
        path: camera.file.clone().unwrap_or_default(),
        picture_fps: camera.picture_fps,
    };
    let (repeat, clock) = (camera.repeat, Arc::clone(clock));
    Box::new(move |stop| {
        let spec = spec.clone();
        let reopen = Box::new(move || camera::open(&spec));
        Ok(Box::new(Paced::new(
            reopen,
            repeat,
            Arc::clone(&clock),
            stop,
        )))
    })
}

/// A camera as the status page sees it.
#[must_use]
pub fn camera_source(camera: &CountingCamera) -> status::CameraSource {
    status::CameraSource {
        id: camera.id.clone(),
        lines: camera.lines.iter().map(|line| line.id.clone()).collect(),
        health: camera.health.clone(),
        live: camera.live.clone(),
    }
}

/// The threads that watch.
struct Sensors {
    stop: Arc<Stop>,
    /// The same wish, for loops that may not take a lock per frame.
    flag: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Sensors {
    fn start(cameras: Vec<CountingCamera>, restarts: &Arc<Restarts>) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let flag = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for camera in cameras {
            let flag = Arc::clone(&flag);
            let name = format!("camera/{}", camera.id);
            let part = move |_: &Stop| match camera.run(&flag) {
                Ok(()) => Ended::Done,
                Err(why) => Ended::Failed(why),
            };
            threads.push(supervise::thread(
                &name,
                Arc::clone(&stop),
                Arc::clone(restarts),
                part,
            )?);
        }
        Ok(Self {
            stop,
            flag,
            threads,
        })
    }

    async fn stop(self) {
        self.flag.store(true, Ordering::Relaxed);
        self.stop.ask();
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        join("sensors", joined, SENSORS_STOP_WITHIN).await;
    }
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

/// Stores one event of the box itself and waits until it is durable.
async fn submit(outbox: &Outbox, clock: &SharedClock, body: Body) {
    let draft = Draft {
        source: String::new(),
        at: clock.now(),
        body,
    };
    if outbox.append(draft).await.is_err() {
        warn!("the outbox is closed; an event of the box itself is not stored");
    }
}

async fn serve(listen: String, sources: Arc<status::Sources>, mut stop: watch::Receiver<bool>) {
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
async fn keep_tally(today: Arc<status::Today>, outbox: Outbox, mut stop: watch::Receiver<bool>) {
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
async fn raise_alarms(
    outbox: Outbox,
    clock: SharedClock,
    mut link: watch::Receiver<uplink::LinkStatus>,
) {
    let mut before = link.borrow().clone();
    while link.changed().await.is_ok() {
        let now = link.borrow_and_update().clone();
        for alarm in now.alarms_since(&before) {
            submit(&outbox, &clock, Body::DeviceAlarm(alarm)).await;
        }
        before = now;
    }
}

async fn report_health(
    outbox: Outbox,
    clock: SharedClock,
    restarts: Arc<Restarts>,
    dir: std::path::PathBuf,
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

fn health_event(
    clock: &SharedClock,
    restarts: &Restarts,
    dir: &Path,
    started: crate::clock::Stamp,
) -> Body {
    Body::DeviceHealth(DeviceHealth {
        rss_bytes: system::rss_bytes(),
        disk_free_bytes: system::disk_free_bytes(dir),
        uptime_s: clock.now().boot.saturating_sub(started.boot).as_secs(),
        restarts: restarts.count(),
    })
}
