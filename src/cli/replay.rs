//! `footfall replay`: what a camera's settings count on a recording. The same input gives the same output, always.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::exit::{self, Failure};
use crate::config::schema::{Camera, DetectorKind, Line, Zone};
use crate::event::{CameraState, Direction, LeftReason, Quality, StayLengths};
use crate::sensor::camera::decimate::{Decimator, Idle};
use crate::sensor::camera::{self, FileSpec, Frame, Next};
use crate::sensor::vision::count::scene::Counted;
use crate::sensor::vision::count::stays::Stays;
use crate::sensor::vision::count::zone::VisitChange;
use crate::sensor::vision::pipeline::Pipeline;
use crate::status::tally::InOut;
use crate::{app, config};

#[derive(clap::Args)]
pub struct Args {
    /// The config file whose camera settings are used
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Which of its cameras; needed when there are several
    #[arg(long, value_name = "ID")]
    pub(super) camera: Option<String>,
    /// Another model than the config's: a name or the path of a manifest
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    /// Write every frame's boxes to FILE, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(super) boxes: Option<PathBuf>,
    /// The recording: a video, a GIF, or a folder of pictures
    pub(super) clip: PathBuf,
}

/// What a recording came to.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Frames analysed.
    frames: u64,
    /// Frames among them on which people were looked for: those on which something moved, and now and then another.
    looked: u64,
    /// Length of the recording.
    pub(super) seconds: f64,
    /// Frames analysed per second of the recording.
    fps: f64,
    pub(super) lines: BTreeMap<String, InOut>,
    /// Every crossing, in the order of time.
    pub(super) crossings: Vec<Crossed>,
    zones: BTreeMap<String, ZoneSummary>,
    /// Tracks that were started, confirmed or not.
    tracks: u64,
    quality: Quality,
}

/// The visits to one zone.
#[derive(Debug, Default, Serialize)]
struct ZoneSummary {
    entered: u64,
    left: u64,
    /// Visits that reached the zone's `dwell_s`.
    dwelled: u64,
    /// Lengths of the visits that ended, those cut off by `longest_s` left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    dwell: Option<StayLengths>,
}

/// One crossing.
#[derive(Debug, Serialize)]
pub(super) struct Crossed {
    /// Seconds since the recording's start.
    pub(super) at: f64,
    pub(super) line: String,
    pub(super) direction: Direction,
    track: u64,
    /// What the detector took them for; absent where the camera counts one class only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<String>,
}

/// The boxes of one frame, for `--boxes`.
#[derive(Serialize)]
struct FrameBoxes {
    frame: u64,
    /// `[x0, y0, x1, y1, score]` in pixels, at or above the threshold.
    boxes: Vec<[f32; 5]>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let summary = summary(args)?;
    if args.json {
        super::print_json(&summary)?
    } else {
        print_plain(&summary)?
    }
    Ok(ExitCode::SUCCESS)
}

/// Plays the recording and adds up.
///
/// # Errors
/// The config, the model or the recording is not there or is not what it should be.
pub(super) fn summary(args: &Args) -> anyhow::Result<Summary> {
    let loaded = config::load(&args.config)?;
    let mut chosen = choose(&loaded.config.camera, args.camera.as_deref())?.clone();
    if let Some(model) = &args.model {
        chosen.model.clone_from(model);
        chosen.detector = DetectorKind::Model;
    }
    let spec = FileSpec {
        path: args.clip.clone(),
        picture_fps: chosen.picture_fps,
    };
    // The recording first: its faults are found in no time, a model takes a moment to load.
    let mut source = camera::open(&spec)?;
    let total = camera::probe(&spec).ok().and_then(|info| info.frames);
    let (mut pipeline, threshold) = app::pipeline(&loaded.config, &chosen, 1)?;
    let mut boxes = match &args.boxes {
        Some(path) => Some(BufWriter::new(File::create(path).with_context(|| {
            format!(
                "--boxes {} cannot be written; name a file in a folder that exists",
                path.display()
            )
        })?)),
        None => None,
    };

    let bar = progress(total);
    let mut tally = Tally::new(&chosen, app::classes(&loaded.config, &chosen));
    let mut decimator = Decimator::new(chosen.fps);
    let lively = Arc::new(AtomicBool::new(false));
    let mut idle = Idle::new(chosen.idle_fps, &lively);
    let mut status = CameraState::Ok;
    let (mut frame, mut frames, mut last) = (Frame::default(), 0u64, Duration::ZERO);
    let mut all_frames = 0u64;
    loop {
        let next = source.next_kept(&mut frame, &mut |at| {
            bar.inc(1);
            all_frames += 1;
            last = at;
            decimator.keep(at) && idle.keep(at)
        })?;
        if next == Next::End {
            break;
        }
        frames += 1;
        tally.take(frame.at, pipeline.process(&mut frame)?);
        lively.store(pipeline.lively(frame.at), Ordering::Relaxed);
        // The first fault stays: nobody watches a recording to its end.
        if status == CameraState::Ok {
            status = pipeline.view().state();
        }
        if let Some(out) = &mut boxes {
            write_boxes(out, &pipeline, &frame, threshold)?;
        }
    }
    tally.take(last, pipeline.finish(last));
    bar.finish_and_clear();
    if let Some(mut out) = boxes {
        out.flush()?;
    }

    // The last frame is shown as long as the others: the time between first and last misses one frame's share.
    let step = if all_frames > 1 {
        last.as_secs_f64() / (all_frames - 1) as f64
    } else {
        0.0
    };
    let seconds = round(last.as_secs_f64() + step, 1000.0);
    let fps = if seconds > 0.0 {
        round(frames as f64 / seconds, 100.0)
    } else {
        0.0
    };
    Ok(Summary {
        frames,
        looked: pipeline.looked(),
        seconds,
        fps,
        zones: tally.zones(),
        lines: tally.lines,
        crossings: tally.crossings,
        tracks: pipeline.tracker().started(),
        quality: Quality {
            status,
            fps,
            frames,
            dropped: 0,
            uptime_ratio: 1.0,
        },
    })
}

/// The camera with that id, or the only one.
pub(super) fn choose<'c>(cameras: &'c [Camera], id: Option<&str>) -> anyhow::Result<&'c Camera> {
    let known = || {
        cameras
            .iter()
            .map(|camera| camera.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (id, cameras) {
        (Some(id), _) => cameras
            .iter()
            .find(|camera| camera.id == id)
            .ok_or_else(|| {
                Failure::new(
                    exit::USAGE,
                    format!("no camera {id:?} in the config; it has: {}", known()),
                )
                .into()
            }),
        (None, [only]) => Ok(only),
        (None, []) => {
            Err(Failure::new(exit::CONFIG, "the config has no camera; add a [[camera]]").into())
        }
        (None, _) => Err(Failure::new(
            exit::USAGE,
            format!(
                "the config has several cameras; choose one with --camera: {}",
                known()
            ),
        )
        .into()),
    }
}

/// What the recording comes to.
struct Tally<'c> {
    camera: &'c Camera,
    /// Names of the classes that are told apart.
    classes: BTreeMap<u16, String>,
    lines: BTreeMap<String, InOut>,
    crossings: Vec<Crossed>,
    zones: Vec<(ZoneSummary, Stays)>,
}

impl<'c> Tally<'c> {
    fn new(camera: &'c Camera, classes: BTreeMap<u16, String>) -> Self {
        let line = |line: &Line| (line.id.clone(), InOut::default());
        Self {
            camera,
            classes,
            lines: camera.line.iter().map(line).collect(),
            crossings: Vec::new(),
            zones: camera.zone.iter().map(|_| Default::default()).collect(),
        }
    }

    fn take(&mut self, at: Duration, counted: &Counted) {
        for found in &counted.crossings {
            let Some(line) = self.camera.line.get(found.line) else {
                continue;
            };
            let (direction, track) = (found.crossing.direction, found.crossing.track);
            self.lines
                .entry(line.id.clone())
                .or_default()
                .add(direction);
            self.crossings.push(Crossed {
                at: at.as_secs_f64(),
                line: line.id.clone(),
                direction,
                track,
                class: self.classes.get(&found.crossing.class).cloned(),
            });
        }
        for found in &counted.visits {
            let Some((summary, stays)) = self.zones.get_mut(found.zone) else {
                continue;
            };
            match found.visit.what {
                VisitChange::Entered => summary.entered += 1,
                VisitChange::Dwelled { .. } => summary.dwelled += 1,
                VisitChange::Left { stayed, reason } => {
                    summary.left += 1;
                    if reason != LeftReason::Timeout {
                        stays.add(stayed);
                    }
                }
            }
        }
    }

    fn zones(&mut self) -> BTreeMap<String, ZoneSummary> {
        let zones = self.camera.zone.iter().zip(&mut self.zones);
        let summary = |(zone, (summary, stays)): (&Zone, &mut (ZoneSummary, Stays))| {
            let dwell = stays.take();
            let summary = ZoneSummary {
                dwell,
                ..std::mem::take(summary)
            };
            (zone.id.clone(), summary)
        };
        zones.map(summary).collect()
    }
}

fn write_boxes(
    out: &mut impl Write,
    pipeline: &Pipeline,
    frame: &Frame,
    threshold: f32,
) -> anyhow::Result<()> {
    let strong = pipeline
        .detections()
        .iter()
        .filter(|detection| detection.score >= threshold);
    let boxes = strong
        .map(|d| [d.rect.x0, d.rect.y0, d.rect.x1, d.rect.y1, d.score])
        .collect();
    serde_json::to_writer(
        &mut *out,
        &FrameBoxes {
            frame: frame.index,
            boxes,
        },
    )?;
    out.write_all(b"\n")?;
    Ok(())
}

/// A bar on a terminal, nothing elsewhere.
fn progress(total: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let style = "{bar:40} {pos}/{len} frames, {per_sec}, {eta} left";
    bar.with_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

fn print_plain(summary: &Summary) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} frames, {:.1} s, {} tracks",
        summary.frames, summary.seconds, summary.tracks
    )?;
    for (id, sums) in &summary.lines {
        writeln!(out, "line {id}: in {}, out {}", sums.inward, sums.outward)?;
    }
    for (id, sums) in &summary.zones {
        write!(
            out,
            "zone {id}: {} visits, {} stayed",
            sums.entered, sums.dwelled
        )?;
        match &sums.dwell {
            Some(dwell) => writeln!(
                out,
                ", {} s in the median, {} s at most",
                dwell.median_s, dwell.max_s
            )?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
