//! The demo: the synthetic shop through the real detector, tracker, counting, outbox, uplink and a real broker, with a
//! subscriber that checks what arrives.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use tokio::sync::watch;

use super::around::Around;
use super::broker::Broker;
use super::devices::Devices;
use super::outcome::{Moment, Outcome};
use super::received::Received;
use super::scene::{Light, Place};
use super::source::DrivingShop;
use super::{DEFAULT_FPS, SyntheticShop, detector};
use crate::app::{self, Fleet};
use crate::clock::{Clock, FakeClock, SharedClock, SystemClock};
use crate::config::schema;
use crate::event::{Body, DeviceHealth, DeviceStarted, Draft, Identity, Stream};
use crate::outbox::{self, Outbox, Queue};
use crate::sensor::camera::CameraError;
use crate::sensor::camera::preview::PreviewCell;
use crate::sensor::counting::{CountingCamera, Delivery, Live, Periods, Subjects};
use crate::sensor::vision::runtime::{self, Runtime};
use crate::sensor::{HealthCell, House, Roster, Sensor};
use crate::status;
use crate::stop::Stop;
use crate::supervise::Restarts;
use crate::system;
use crate::uplink::subscriber::{Subscriber, Subscription};
use crate::uplink::{self, Uplink};

const CAMERA: &str = "entrance";
/// The subscriber and the last batches get this long; loopback needs a blink of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to show.
#[derive(Clone, Debug)]
pub struct Options {
    pub seconds: f64,
    pub seed: u64,
    pub place: Place,
    pub light: Light,
    /// Keep the page open afterwards until Ctrl-C.
    pub keep_open: bool,
}

/// Runs the demo; progress goes to standard error.
///
/// # Errors
/// A part cannot be set up (no ONNX Runtime, no broker, no space). A wrong count is no error but an [`Outcome`] with
/// faults.
pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let runtime = Arc::new(runtime::load(None)?);
    let dir = tempfile::Builder::new()
        .prefix("footfall-demo-")
        .tempdir()?;
    let broker = Broker::start(dir.path())?;
    let clock: SharedClock = Arc::new(SystemClock::new(true));
    let identity = Identity {
        tenant: "demo".into(),
        store: "synthetic".into(),
        box_id: "demo-box".into(),
        boot_id: clock.boot_id().to_owned(),
        zone: TimeZone::UTC,
    };
    let link = schema::Uplink {
        broker: Some(format!("mqtt://127.0.0.1:{}", broker.port)),
        ..schema::Uplink::default()
    };
    let settings =
        uplink::Settings::from_config(&link, &identity)?.context("the demo has a broker")?;
    let subscriber = Subscriber::start_keeping(Subscription {
        host: "127.0.0.1".into(),
        port: broker.port,
        base: settings.topics().base().to_owned(),
        client_id: "footfall-demo-subscriber".into(),
        credentials: None,
    });
    let mut seen = subscriber.watch();
    tokio::time::timeout(PATIENCE, seen.wait_for(|seen| seen.subscribed))
        .await
        .context("the subscriber gets no answer from the broker")??;

    let data = dir.path().join("outbox");
    std::fs::create_dir(&data)?;
    let (outbox, _) = Outbox::open(
        outbox::Options::new(data.clone()),
        identity.clone(),
        Arc::clone(&clock),
    )?;
    let (link_status, link_watch) = watch::channel(uplink::LinkStatus::off(clock.now().wall));
    let (stop, stopped) = watch::channel(false);
    let page_stopped = stopped.clone();
    let birth = uplink::Birth {
        version: env!("CARGO_PKG_VERSION").into(),
        config_sha256: watch::channel(String::new()).1,
        capabilities: Vec::new(),
    };
    let uplink = tokio::spawn(
        Uplink {
            settings,
            queue: Arc::new(outbox.clone()),
            clock: Arc::clone(&clock),
            status: link_status,
            birth,
            desk: None,
            grace: PATIENCE,
        }
        .run(stopped),
    );

    let shop = SyntheticShop::seen(
        options.place,
        options.light,
        options.seed,
        options.seconds,
        DEFAULT_FPS,
    );
    let truth: Vec<Moment> = shop
        .truth()
        .crossings
        .iter()
        .map(|crossing| Moment {
            at: crossing.at.as_secs_f64(),
            direction: crossing.direction,
        })
        .collect();
    let frames = shop.frames();
    let opens = clock.now();
    let shop_clock = Arc::new(FakeClock::at(opens.wall));
    let house = House {
        identity: identity.clone(),
        clock: Arc::clone(&shop_clock) as SharedClock,
        sink: Arc::new(outbox.clone()),
    };
    let around = Around::new(options.seed, shop.script(), options.seconds);
    let (devices, fitted) = Devices::new(around.clone(), &house)?;
    // They stay until their sensors have stopped: nothing is unplugged at the end of a day.
    let devices = Arc::new(Mutex::new(devices));
    let camera = camera(shop, Arc::clone(&devices), &runtime, &house, &shop_clock);
    let roster = Roster::default();
    let fleet = Fleet::new(&Arc::new(Restarts::default()), &roster);
    fleet.set(fitted).await;
    let others = roster.faces();
    roster.set([vec![camera.face()], others].concat());
    let page = open_page(
        roster,
        &identity,
        &shop_clock,
        &outbox,
        link_watch,
        &data,
        page_stopped,
    )
    .await?;
    eprintln_line(&format!(
        "{:.0} seconds of a synthetic shop (seed {}), through {}; page: {}",
        options.seconds,
        options.seed,
        broker.name,
        page.as_deref().unwrap_or("none")
    ));
    let started = DeviceStarted {
        version: env!("CARGO_PKG_VERSION").into(),
        config_sha256: String::new(),
    };
    let of_the_box = |body| Draft {
        source: String::new(),
        at: shop_clock.now(),
        body,
    };
    outbox
        .append(of_the_box(Body::DeviceStarted(started)))
        .await?;
    watch_the_shop(camera, frames).await?;
    fleet.stop().await;
    drop(devices);
    // Stored in order: once this one is durable, so is everything the sensors handed over.
    let last = DeviceHealth {
        rss_bytes: system::rss_bytes(),
        disk_free_bytes: system::disk_free_bytes(&data),
        uptime_s: options.seconds as u64,
        restarts: 0,
    };
    outbox.append(of_the_box(Body::DeviceHealth(last))).await?;

    let stored = Stream::ALL.map(|stream| outbox.stat(stream).last);
    let all: u64 = stored.iter().sum();
    // Not an error: the table then shows what is missing.
    let _ = tokio::time::timeout(
        PATIENCE,
        seen.wait_for(|seen| seen.report.received() >= all),
    )
    .await;
    let outcome = Outcome {
        truth,
        around,
        opens: opens.wall,
        counted: Received::of(&subscriber.events(), opens.wall),
        stored,
        received: subscriber.report(),
        page,
    };
    if options.keep_open {
        eprintln_line("the page stays open; Ctrl-C ends the demo");
        tokio::signal::ctrl_c().await?;
    }
    let _ = stop.send(true);
    let _ = tokio::time::timeout(PATIENCE, uplink).await;
    tokio::task::spawn_blocking(move || outbox.close()).await??;
    drop(broker);
    Ok(outcome)
}

fn camera(
    shop: SyntheticShop,
    devices: Arc<Mutex<Devices>>,
    runtime: &Arc<Runtime>,
    house: &House,
    clock: &Arc<FakeClock>,
) -> CountingCamera {
    let (line, place) = (shop.line(), shop.place());
    let names = vec![app::line_names(&line)];
    let preview = app::preview_line(&line);
    let runtime = Arc::clone(runtime);
    // A shop opens once.
    let shop = Mutex::new(Some(DrivingShop::new(shop, Arc::clone(clock), devices)));
    CountingCamera {
        id: CAMERA.into(),
        subjects: Subjects {
            lines: names,
            ..Subjects::default()
        },
        house: house.clone(),
        open: Box::new(move |_| {
            let mut shop = shop.lock().unwrap_or_else(PoisonError::into_inner);
            let shop = shop.take().ok_or_else(|| CameraError::Unavailable {
                what: "the synthetic shop".to_owned(),
                why: "it has closed".to_owned(),
                fix: "run the demo again".to_owned(),
            })?;
            Ok(Box::new(shop))
        }),
        pipeline: Box::new(move || detector::pipeline(place, &line, &runtime)),
        max_fps: None,
        idle_fps: None,
        delivery: Delivery::Each,
        frozen_after: None,
        periods: Periods {
            sums: Duration::from_secs(60),
            maps: Duration::from_secs(900),
        },
        health: HealthCell::starting(house.clock.now()),
        live: Live::default(),
        preview: PreviewCell::new(vec![preview], Vec::new()),
    }
}

/// Runs the camera on a thread of its own and shows how far it is.
async fn watch_the_shop(mut camera: CountingCamera, frames: u64) -> anyhow::Result<()> {
    let live = camera.live.clone();
    let health = camera.health.clone();
    let mut watching =
        tokio::task::spawn_blocking(move || camera.run(&Stop::default()).map(|()| camera));
    let bar = ProgressBar::new(frames).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} frames, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let result = loop {
        tokio::select! {
            result = &mut watching => break result?,
            () = tokio::time::sleep(Duration::from_millis(200)) => bar.set_position(live.frames.get()),
        }
    };
    bar.finish_and_clear();
    let camera = result.map_err(|why| anyhow::anyhow!("the camera stopped: {why}"))?;
    if live.frames.get() < frames || live.failed.get() > 0 {
        bail!("camera {}: {}", camera.id, health.get().words.en);
    }
    Ok(())
}

/// The status page, on any free port; `None` when there is none.
async fn open_page(
    sensors: Roster,
    identity: &Identity,
    clock: &Arc<FakeClock>,
    outbox: &Outbox,
    link: watch::Receiver<uplink::LinkStatus>,
    data: &Path,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<Option<String>> {
    let shared = Arc::clone(clock) as SharedClock;
    let today = Arc::new(status::Today::open(data, identity.clone(), shared));
    let sources = Arc::new(status::Sources {
        identity: identity.clone(),
        clock: Arc::clone(clock) as SharedClock,
        started: clock.now(),
        config_sha256: watch::channel("(demo)".to_owned()).1,
        data_dir: data.to_owned(),
        outbox: outbox.clone(),
        link,
        today: Arc::clone(&today),
        restarts: Arc::new(Restarts::default()),
        commands: Default::default(),
        sensors,
    });
    let mut changed = outbox.changed();
    let outbox = outbox.clone();
    tokio::spawn(async move {
        while changed.changed().await.is_ok() {
            let (today, outbox) = (Arc::clone(&today), outbox.clone());
            let _ = tokio::task::spawn_blocking(move || today.catch_up(&outbox)).await;
        }
    });
    let Ok(listener) = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await else {
        return Ok(None);
    };
    let address = listener.local_addr()?;
    // On loopback only, and gone with the process.
    let site = status::Site::new(sources, status::Access::default(), None, stopped);
    tokio::spawn(site.serve(listener));
    Ok(Some(format!("http://{address}/")))
}

fn eprintln_line(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
