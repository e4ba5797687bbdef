//! From the config to cameras that count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::clock::SharedClock;
use crate::config::schema::{self, Config, DetectorKind, Gate};
use crate::hours::Hours;
use crate::metric::Counter;
use crate::sensor::camera::live::Paced;
use crate::sensor::camera::preview::{PreviewCell, PreviewLine};
use crate::sensor::camera::rtsp::{self, Rtsp, RtspSpec};
use crate::sensor::camera::v4l2::{Device, DeviceSpec};
use crate::sensor::camera::{self, CameraError, FileSpec};
use crate::sensor::counting::{
    CountingCamera, Delivery, LineNames, Live, Opener, Periods, Subjects, ZoneLive, ZoneNames,
};
use crate::sensor::vision::count::line::LineSettings;
use crate::sensor::vision::count::scene::SceneSettings;
use crate::sensor::vision::count::zone::ZoneSettings;
use crate::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use crate::sensor::vision::runtime;
use crate::sensor::vision::session::OnnxDetector;
use crate::sensor::vision::view::{LEAST_FPS, ViewSettings};
use crate::sensor::vision::{Detector, VisionError, manifest};
use crate::sensor::{Fitted, HealthCell, House};

/// A camera whose picture stays the same to the last bit for so long is frozen.
const FROZEN_AFTER: Duration = Duration::from_secs(10);
/// Asked of a V4L2 camera whose config names no `fps`: enough to count, and gentle to the bus.
const DEVICE_FPS: f64 = 15.0;
/// Score from which a moving area may start a track; all of them score more.
const MOTION_THRESHOLD: f32 = 0.5;
/// Length of the interval events of lines, zones and queues.
const INTERVAL: Duration = Duration::from_secs(60);

/// Detector, tracker and counters of one camera, and the threshold that is in force.
///
/// # Errors
/// [`VisionError`]: the model is missing, damaged or does not fit.
pub fn pipeline(
    config: &Config,
    camera: &schema::Camera,
    first_track: u64,
) -> Result<(Pipeline, f32), VisionError> {
    let (detector, usual, anchor): (Option<Box<dyn Detector>>, _, _) = match camera.detector {
        DetectorKind::Model => {
            let runtime = runtime::load(config.vision.onnxruntime.as_deref())?;
            let mut manifest = manifest::find(&camera.model, &config.vision.models)?;
            manifest.keep_classes(&camera.classes)?;
            let threads = config.vision.threads.unwrap_or(1);
            let detector = OnnxDetector::load(&manifest, threads, &runtime)?;
            let usual = manifest.threshold;
            (Some(Box::new(detector)), usual, manifest.view.anchor())
        }
        DetectorKind::Motion => (None, MOTION_THRESHOLD, schema::Anchor::default()),
    };
    let threshold = camera.threshold.map_or(usual, |threshold| threshold as f32);
    let settings = PipelineSettings {
        threshold,
        first_track,
        view: view_settings(camera),
        scene: SceneSettings {
            anchor: camera.anchor.unwrap_or(anchor),
            lines: camera.line.iter().map(line_settings).collect(),
            zones: camera.zone.iter().map(zone_settings).collect(),
        },
    };
    Ok((Pipeline::new(detector, settings), threshold))
}

/// How the camera's pictures are looked at.
fn view_settings(camera: &schema::Camera) -> ViewSettings {
    ViewSettings {
        gate: camera.gate == Gate::Motion,
        min_moving_share: camera.min_moving_share as f32,
        min_area: camera.min_area as f32,
        masks: camera
            .mask
            .iter()
            .map(|mask| fractions(&mask.points))
            .collect(),
        // A rate that was asked for is no fault.
        least_fps: [camera.fps, camera.idle_fps]
            .into_iter()
            .flatten()
            .fold(LEAST_FPS, |least, fps| least.min(0.6 * fps as f32)),
    }
}

/// A line of the config as the counter wants it.
#[must_use]
pub fn line_settings(line: &schema::Line) -> LineSettings {
    LineSettings {
        points: fractions(&line.points),
        mode: line.mode,
        half_band: line.half_band as f32,
    }
}

fn zone_settings(zone: &schema::Zone) -> ZoneSettings {
    ZoneSettings {
        points: fractions(&zone.points),
        half_band: zone.half_band as f32,
        dwell: dwell(zone),
        longest: Duration::from_secs(zone.longest_s.into()),
    }
}

/// The config's validation has seen to the range.
fn dwell(zone: &schema::Zone) -> Duration {
    Duration::try_from_secs_f64(zone.dwell_s).unwrap_or_default()
}

fn fractions(points: &[[f64; 2]]) -> Vec<[f32; 2]> {
    let point = |point: &[f64; 2]| point.map(|share| share as f32);
    points.iter().map(point).collect()
}

/// Where cameras are put together: what they share, and the detectors that were built to see whether they can be.
pub(super) struct CameraShop {
    ready: Mutex<BTreeMap<String, Pipeline>>,
}

impl CameraShop {
    /// Loads the ONNX Runtime, where one of them needs it, and every camera's model once. A camera that cannot be set up
    /// is tried again later.
    ///
    /// # Errors
    /// The library is missing, or not one of the cameras can be set up.
    pub(super) fn open(config: &Config, clock: &SharedClock) -> anyhow::Result<Self> {
        if config.camera.is_empty() {
            warn!("no camera is set up; nobody will be counted");
        }
        let mut faults = Vec::new();
        let mut ready = BTreeMap::new();
        for camera in &config.camera {
            match pipeline(config, camera, first_track(clock)) {
                Ok((pipeline, _)) => drop(ready.insert(camera.id.clone(), pipeline)),
                Err(why) => faults.push(why),
            }
        }
        if ready.is_empty()
            && let Some(first) = faults.into_iter().next()
        {
            return Err(first.into());
        }
        Ok(Self {
            ready: Mutex::new(ready),
        })
    }

    /// The config's cameras.
    pub(super) fn fit(&self, config: &Config, house: &House) -> Vec<Fitted> {
        let fit = |camera| self.fit_one(config, camera, house);
        config.camera.iter().map(fit).collect()
    }

    fn fit_one(&self, config: &Config, camera: &schema::Camera, house: &House) -> Fitted {
        let ready = self
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&camera.id);
        let settings = format!(
            "{:?} {:?} {:?} {camera:?}",
            config.vision, config.ffmpeg, config.hours
        );
        let context = (config.clone(), camera.clone(), Arc::clone(&house.clock));
        let ready = Mutex::new(ready);
        let make = move || {
            // The one that was built to see whether it can be is used; after a panic a fresh one.
            if let Some(ready) = ready.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Ok(ready);
            }
            let (config, camera, clock) = &context;
            pipeline(config, camera, first_track(clock)).map(|(pipeline, _)| pipeline)
        };
        let live = Live::default();
        let camera = CountingCamera {
            id: camera.id.clone(),
            subjects: subjects(config, camera, house),
            house: house.clone(),
            open: opener(config, camera, &house.clock, &live.damaged),
            pipeline: Box::new(make),
            max_fps: camera.fps,
            idle_fps: camera.idle_fps,
            delivery: Delivery::Newest,
            frozen_after: camera.file.is_none().then_some(FROZEN_AFTER),
            periods: Periods {
                sums: INTERVAL,
                maps: Duration::from_secs(u64::from(camera.maps_min) * 60),
            },
            health: HealthCell::starting(house.clock.now()),
            live,
            preview: PreviewCell::new(
                camera.line.iter().map(preview_line).collect(),
                camera
                    .zone
                    .iter()
                    .map(|zone| fractions(&zone.points))
                    .collect(),
            ),
        };
        Fitted {
            face: camera.face(),
            settings,
            sensor: Box::new(camera),
        }
    }
}

/// Track numbers begin at the milliseconds since boot: after a restart none is used twice within that boot.
fn first_track(clock: &SharedClock) -> u64 {
    u64::try_from(clock.now().boot.as_millis())
        .unwrap_or(1)
        .max(1)
}

/// What a camera's events are about.
fn subjects(config: &Config, camera: &schema::Camera, house: &House) -> Subjects {
    let zone = |zone: &schema::Zone| ZoneNames {
        id: zone.id.clone(),
        queue: zone.kind == schema::ZoneKind::Queue,
        dwell: dwell(zone),
        live: ZoneLive::default(),
    };
    Subjects {
        lines: camera.line.iter().map(line_names).collect(),
        zones: camera.zone.iter().map(zone).collect(),
        classes: classes(config, camera),
        heatmap: camera.heatmap,
        hours: hours(config, house),
    }
}

/// The classes that are told apart; none where there is only one. A manifest that cannot be read is the detector's to
/// complain about.
#[must_use]
pub fn classes(config: &Config, camera: &schema::Camera) -> BTreeMap<u16, String> {
    if camera.classes.len() < 2 {
        return BTreeMap::new();
    }
    let manifest = manifest::find(&camera.model, &config.vision.models);
    let known = manifest
        .map(|manifest| manifest.classes)
        .unwrap_or_default();
    let known = known
        .into_iter()
        .filter(|(name, _)| camera.classes.contains(name));
    known.map(|(name, class)| (class, name)).collect()
}

/// When the shop is open; `None` where the config does not say.
fn hours(config: &Config, house: &House) -> Option<Arc<Hours>> {
    let hours = config.hours.as_ref();
    hours.map(|hours| Arc::new(Hours::new(hours, house.identity.zone.clone())))
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

/// A line of the config as the preview shows it.
#[must_use]
pub fn preview_line(line: &schema::Line) -> PreviewLine {
    PreviewLine {
        id: line.id.clone(),
        left: line.left.clone(),
        right: line.right.clone(),
        points: fractions(&line.points),
    }
}

/// Opens what the config names; nothing is touched before the first frame is wanted. `damaged` counts pictures that cannot
/// be read.
pub fn opener(
    config: &Config,
    camera: &schema::Camera,
    clock: &SharedClock,
    damaged: &Counter,
) -> Opener {
    let (camera, clock, damaged) = (camera.clone(), Arc::clone(clock), damaged.clone());
    let ffmpeg = config.ffmpeg_of(&camera);
    Box::new(move |stop| {
        let (clock, damaged) = (Arc::clone(&clock), damaged.clone());
        if let Some(path) = &camera.device {
            let spec = DeviceSpec {
                path: path.clone(),
                size: camera.size,
                format: camera.format,
                fps: camera.fps.unwrap_or(DEVICE_FPS).ceil() as u32,
            };
            return Ok(Box::new(Device::new(spec, clock, stop, damaged)));
        }
        if let Some(text) = &camera.rtsp {
            let spec = RtspSpec {
                // The config's validation has read the address already.
                url: rtsp::address(text).map_err(|why| CameraError::Unavailable {
                    what: "rtsp".into(),
                    why: why.into(),
                    fix: "correct the config".into(),
                })?,
                username: camera.username.clone(),
                password_file: camera.password_file.clone(),
                transport: camera.transport,
                decoder: camera.decoder,
                ffmpeg: ffmpeg.clone(),
            };
            return Ok(Box::new(Rtsp::new(spec, clock, stop, damaged)));
        }
        let spec = FileSpec {
            path: camera.file.clone().unwrap_or_default(),
            picture_fps: camera.picture_fps,
        };
        let reopen = Box::new(move || camera::open(&spec));
        Ok(Box::new(Paced::new(reopen, camera.repeat, clock, stop)))
    })
}
