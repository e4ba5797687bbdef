//! The demo: the synthetic shop through the real detector, tracker, counting, outbox, uplink and a real broker, with a
//! subscriber that checks what arrives.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use serde::Deserialize;
use tokio::sync::watch;

use super::broker::Broker;
use super::outcome::{Moment, Outcome};
use super::source::DrivingShop;
use super::{DEFAULT_FPS, SyntheticShop};
use crate::app;
use crate::clock::{Clock, FakeClock, SharedClock, SystemClock};
use crate::config::schema;
use crate::event::{Body, DeviceStarted, Draft, Identity, LineCrossed, Stream};
use crate::outbox::{self, Outbox, Queue};
use crate::sensor::counting::{CountingCamera, Delivery, Live};
use crate::sensor::vision::VisionError;
use crate::sensor::vision::manifest::Manifest;
use crate::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use crate::sensor::vision::runtime::{self, Runtime};
use crate::sensor::vision::session::OnnxDetector;
use crate::sensor::{HealthCell, House, Roster, Sensor};
use crate::status;
use crate::stop::Stop;
use crate::supervise::Restarts;
use crate::uplink::subscriber::{Subscriber, Subscription};
use crate::uplink::{self, Uplink};

/// Our own weights for this one scene, part of the program; see `models/demo-shop.md`.
const WEIGHTS: &[u8] = include_bytes!("../../models/demo-shop.onnx");
const MANIFEST: &str = include_str!("../../models/demo-shop.toml");
const CAMERA: &str = "entrance";
/// The subscriber and the last batches get this long; loopback needs a blink of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to show.
#[derive(Clone, Debug)]
pub struct Options {
    pub seconds: f64,
    pub seed: u64,
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
    let subscriber = Subscriber::start(Subscription {
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
    let birth = uplink::Birth {
        version: env!("CARGO_PKG_VERSION").into(),
        config_sha256: String::new(),
        capabilities: Vec::new(),
    };
    let uplink = tokio::spawn(
        Uplink {
            settings,
            queue: Arc::new(outbox.clone()),
            clock: Arc::clone(&clock),
            status: link_status,
            birth,
            grace: PATIENCE,
        }
        .run(stopped),
    );

    let shop = SyntheticShop::new(options.seed, options.seconds, DEFAULT_FPS);
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
    let camera = camera(
        options,
        shop.line(),
        &runtime,
        &identity,
        &shop_clock,
        &outbox,
    );
    let page = open_page(&camera, &identity, &shop_clock, &outbox, link_watch, &data).await?;
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
    let at = shop_clock.now();
    let started = Draft {
        source: String::new(),
        at,
        body: Body::DeviceStarted(started),
    };
    outbox.append(started).await?;
    watch_the_shop(camera, frames).await?;

    let counted = stored_crossings(&outbox, opens.wall)?;
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
        counted,
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
    options: &Options,
    line: schema::Line,
    runtime: &Arc<Runtime>,
    identity: &Identity,
    clock: &Arc<FakeClock>,
    outbox: &Outbox,
) -> CountingCamera {
    let names = vec![app::line_names(&line)];
    let (seed, seconds) = (options.seed, options.seconds);
    let runtime = Arc::clone(runtime);
    let source_clock = Arc::clone(clock);
    CountingCamera {
        id: CAMERA.into(),
        lines: names,
        house: House {
            identity: identity.clone(),
            clock: Arc::clone(clock) as SharedClock,
            sink: Arc::new(outbox.clone()),
        },
        open: Box::new(move |_| {
            let shop = SyntheticShop::new(seed, seconds, DEFAULT_FPS);
            Ok(Box::new(DrivingShop::new(shop, Arc::clone(&source_clock))))
        }),
        pipeline: Box::new(move || pipeline(&line, &runtime)),
        max_fps: None,
        delivery: Delivery::Each,
        frozen_after: None,
        interval: Duration::from_secs(60),
        health: HealthCell::starting(clock.now()),
        live: Live::default(),
    }
}

fn pipeline(line: &schema::Line, runtime: &Runtime) -> Result<Pipeline, VisionError> {
    let manifest = Manifest::parse(MANIFEST, "models/demo-shop.toml")?;
    let detector = OnnxDetector::from_bytes(&manifest, WEIGHTS, 1, runtime)?;
    let settings = PipelineSettings {
        threshold: manifest.threshold,
        first_track: 1,
        lines: vec![app::line_settings(line, schema::Anchor::BottomCenter)],
    };
    Ok(Pipeline::new(Box::new(detector), settings))
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

/// The crossings in the outbox, as seconds since `opens`.
fn stored_crossings(outbox: &Outbox, opens: jiff::Timestamp) -> anyhow::Result<Vec<Moment>> {
    #[derive(Deserialize)]
    struct Event {
        time: String,
        data: LineCrossed,
    }
    let (mut crossings, mut after) = (Vec::new(), 0);
    loop {
        let events = outbox.read(Stream::Count, after, 1000, 1 << 20)?;
        let Some(last) = events.last() else {
            return Ok(crossings);
        };
        after = last.sequence;
        for event in &events {
            let event: Event = serde_json::from_slice(&event.bytes)?;
            let time: jiff::Timestamp = event.time.parse()?;
            let at = time.duration_since(opens).as_secs_f64();
            crossings.push(Moment {
                at,
                direction: event.data.direction,
            });
        }
    }
}

/// The status page, on any free port; `None` when there is none.
async fn open_page(
    camera: &CountingCamera,
    identity: &Identity,
    clock: &Arc<FakeClock>,
    outbox: &Outbox,
    link: watch::Receiver<uplink::LinkStatus>,
    data: &Path,
) -> anyhow::Result<Option<String>> {
    let roster = Roster::default();
    roster.set(vec![camera.face()]);
    let today = Arc::new(status::Today::open(data));
    let sources = Arc::new(status::Sources {
        identity: identity.clone(),
        clock: Arc::clone(clock) as SharedClock,
        started: clock.now(),
        config_sha256: "(demo)".into(),
        data_dir: data.to_owned(),
        outbox: outbox.clone(),
        link,
        today: Arc::clone(&today),
        restarts: Arc::new(Restarts::default()),
        sensors: roster,
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
    tokio::spawn(async move { axum::serve(listener, status::routes(sources)).await });
    Ok(Some(format!("http://{address}/")))
}

fn eprintln_line(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
