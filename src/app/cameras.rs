//! From the config to cameras that count, and the threads they run on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::clock::SharedClock;
use crate::config::schema::{self, Config};
use crate::event::Identity;
use crate::outbox::Outbox;
use crate::sensor::HealthCell;
use crate::sensor::camera::live::Paced;
use crate::sensor::camera::{self, FileSpec};
use crate::sensor::counting::{CountingCamera, Delivery, LineNames, LiveCell, Opener};
use crate::sensor::vision::count::line::LineSettings;
use crate::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use crate::sensor::vision::runtime::{self, Runtime};
use crate::sensor::vision::session::OnnxDetector;
use crate::sensor::vision::{VisionError, manifest};
use crate::status;
use crate::supervise::{self, Ended, Restarts, Stop};

/// Length of `line.interval`.
const INTERVAL: Duration = Duration::from_secs(60);

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

/// Builds every camera. One that cannot be set up is reported and tried again later; when none can, that is an error.
pub(super) fn build(
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
pub(super) struct Sensors {
    stop: Arc<Stop>,
    /// The same wish, for loops that may not take a lock per frame.
    flag: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Sensors {
    pub(super) fn start(
        cameras: Vec<CountingCamera>,
        restarts: &Arc<Restarts>,
    ) -> std::io::Result<Self> {
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

    pub(super) async fn stop(self) {
        self.flag.store(true, Ordering::Relaxed);
        self.stop.ask();
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        super::join("sensors", joined, super::SENSORS_STOP_WITHIN).await;
    }
}
