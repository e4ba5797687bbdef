//! `footfall model bench`: what a model costs on this machine, what the box can hold of it, and how large it sees people.
//!
//! Each model has a process of its own, so that memory is the model's and nobody else's.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::verdict::{self, Cost, Holds, Sizes};
use super::{Args, grey_frame, open};
use crate::app;
use crate::cli::exit::{self, Failure};
use crate::cli::replay;
use crate::clock::{Clock, SharedClock, SystemClock, process_cpu};
use crate::config;
use crate::metric::Counter;
use crate::sensor::camera::{self, FileSpec, Frame, FrameSource, Next};
use crate::sensor::vision::letterbox::Placement;
use crate::sensor::vision::manifest::{self, Manifest};
use crate::sensor::vision::session::OnnxDetector;
use crate::sensor::vision::{Detection, Detector};
use crate::stop::Stop;
use crate::system;

/// Pictures before the measurement; the first find cold caches and unmade buffers.
const WARM_UP: u32 = 5;

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// Models' names, or paths of their manifests; all whose weights are there if none is named
    #[arg(value_name = "MODEL")]
    names: Vec<String>,
    /// A recording of the camera that the model is for: how large it sees people, and what decoding costs
    #[arg(long, value_name = "FILE")]
    clip: Option<PathBuf>,
    /// The camera itself, by its id in the config: how large the model sees people who walk through its picture meanwhile
    #[arg(long, value_name = "ID", conflicts_with = "clip")]
    camera: Option<String>,
    /// The config that has the camera
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/footfall/footfall.toml"
    )]
    config: PathBuf,
    /// Pictures to measure, spread over the recording
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    frames: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl BenchArgs {
    /// Whether the pictures are of a place where people may be.
    const fn sees_people(&self) -> bool {
        self.clip.is_some() || self.camera.is_some()
    }
}

/// One model on this machine.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    model: String,
    threads: u8,
    cores: usize,
    frames: u32,
    /// Of the pictures, pixels.
    width: u32,
    height: u32,
    #[serde(flatten)]
    cost: Cost,
    /// Memory of a process with nothing else in it, MB.
    memory_mb: Option<u64>,
    holds: Vec<Holds>,
    /// With a recording in which somebody was found.
    people: Option<Sizes>,
}

/// Measures and prints.
///
/// # Errors
/// What is wrong with a model, the recording, or standard output.
pub(super) fn run(args: &Args, bench: &BenchArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let mut failed = None;
    let all = match bench.names.as_slice() {
        [only] => vec![measure(args, bench, only)?],
        named => {
            let names = if named.is_empty() {
                available(args)?
            } else {
                named.to_vec()
            };
            let mut all = Vec::new();
            for name in names {
                match apart(args, bench, &name) {
                    Ok(measured) => all.extend(measured),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            all
        }
    };
    if bench.json {
        serde_json::to_writer(&mut *out, &all)?;
        writeln!(out)?;
    } else {
        for measured in &all {
            print(measured, bench.sees_people(), out)?;
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Every model whose weights are there; the others are named.
fn available(args: &Args) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for (path, manifest) in manifest::available(&args.models) {
        match manifest.and_then(|manifest| manifest.weights()) {
            Ok(_) => names.push(path.display().to_string()),
            Err(error) => writeln!(std::io::stderr(), "left out: {error}")?,
        }
    }
    if names.is_empty() {
        let message = "no model whose weights are there; see `footfall model list`";
        return Err(Failure::new(exit::UNAVAILABLE, message).into());
    }
    Ok(names)
}

/// Measures one model in a process of its own, which says on standard error what is wrong.
fn apart(args: &Args, bench: &BenchArgs, name: &str) -> anyhow::Result<Vec<Measured>> {
    let mut command =
        Command::new(std::env::current_exe().context("the program cannot find itself")?);
    command.args(["model", "bench", "--json", name]);
    command.arg("--frames").arg(bench.frames.to_string());
    command.arg("--threads").arg(args.threads.to_string());
    if let Some(clip) = &bench.clip {
        command.arg("--clip").arg(clip);
    }
    if let Some(camera) = &bench.camera {
        command.arg("--camera").arg(camera);
        command.arg("--config").arg(&bench.config);
    }
    for dir in &args.models {
        command.arg("--models").arg(dir);
    }
    if let Some(library) = &args.onnxruntime {
        command.arg("--onnxruntime").arg(library);
    }
    let ended = command
        .stderr(Stdio::inherit())
        .output()
        .context("the measurement does not start")?;
    if !ended.status.success() {
        let code = ended.status.code().and_then(|code| u8::try_from(code).ok());
        let message = format!("{name} could not be measured");
        return Err(Failure::new(code.unwrap_or(exit::SOFTWARE), message).into());
    }
    Ok(serde_json::from_slice(&ended.stdout)?)
}

fn measure(args: &Args, bench: &BenchArgs, model: &str) -> anyhow::Result<Measured> {
    // The pictures first: their faults are found in no time, a model takes a moment to load.
    let mut pictures = match (&bench.clip, &bench.camera) {
        (Some(clip), _) => Pictures::clip(clip, bench.frames)?,
        (None, Some(camera)) => Pictures::camera(&bench.config, camera)?,
        (None, None) => Pictures::grey(),
    };
    let (manifest, mut detector) = open(args, model)?;
    let mut meter = Meter::new(&manifest);
    while meter.times.len() < bench.frames as usize && pictures.next()? {
        if meter.times.is_empty() {
            for _ in 0..WARM_UP {
                detector.detect(&pictures.frame, &mut meter.found)?;
            }
        }
        meter.take(&mut detector, &pictures.frame)?;
    }
    let cost = meter.cost(&pictures);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Measured {
        model: manifest.name.clone(),
        threads: args.threads,
        cores,
        frames: u32::try_from(meter.times.len()).unwrap_or(u32::MAX),
        width: pictures.frame.width,
        height: pictures.frame.height,
        cost,
        memory_mb: Some(system::rss_bytes() >> 20).filter(|mb| *mb > 0),
        holds: cost.holds(cores),
        people: Sizes::of(meter.lengths).filter(|_| bench.sees_people()),
    })
}

/// What is shown to the model.
struct Pictures {
    frame: Frame,
    source: Option<Box<dyn FrameSource>>,
    /// Every how manieth picture of the recording is shown.
    step: u64,
    /// Pictures of the recording so far, and the CPU time they took.
    decoded: u64,
    spent: Duration,
}

impl Pictures {
    fn grey() -> Self {
        Self {
            frame: grey_frame(),
            source: None,
            step: 1,
            decoded: 0,
            spent: Duration::ZERO,
        }
    }

    fn clip(path: &Path, frames: u32) -> anyhow::Result<Self> {
        let spec = FileSpec {
            path: path.to_owned(),
            picture_fps: 10.0,
        };
        let source = camera::open(&spec)?;
        let total = camera::probe(&spec).ok().and_then(|info| info.frames);
        Ok(Self {
            frame: Frame::default(),
            source: Some(source),
            step: (total.unwrap_or(0) / u64::from(frames)).max(1),
            ..Self::grey()
        })
    }

    /// The pictures of a camera of the config, as they come.
    fn camera(config: &Path, id: &str) -> anyhow::Result<Self> {
        let config = config::load(config)?.config;
        let camera = replay::choose(&config.camera, Some(id))?;
        let clock: SharedClock = Arc::new(SystemClock::new(false));
        let open = app::opener(&config, camera, &clock, &Counter::default());
        Ok(Self {
            frame: Frame::default(),
            source: Some(open(Arc::new(Stop::default()))?),
            ..Self::grey()
        })
    }

    /// False when the recording is over.
    fn next(&mut self) -> anyhow::Result<bool> {
        let Some(source) = &mut self.source else {
            return Ok(true);
        };
        let start = process_cpu();
        let (step, decoded) = (self.step, &mut self.decoded);
        let next = source.next_kept(&mut self.frame, &mut |_| {
            *decoded += 1;
            (*decoded - 1).is_multiple_of(step)
        })?;
        self.spent += process_cpu().saturating_sub(start);
        Ok(next == Next::Frame)
    }
}

/// Runs a model and takes its time.
struct Meter<'m> {
    manifest: &'m Manifest,
    clock: SystemClock,
    found: Vec<Detection>,
    times: Vec<Duration>,
    cpu: Duration,
    /// How long people are on the model's input.
    lengths: Vec<f32>,
}

impl<'m> Meter<'m> {
    fn new(manifest: &'m Manifest) -> Self {
        Self {
            manifest,
            clock: SystemClock::new(false),
            found: Vec::new(),
            times: Vec::new(),
            cpu: Duration::ZERO,
            lengths: Vec::new(),
        }
    }

    fn take(&mut self, detector: &mut OnnxDetector, frame: &Frame) -> anyhow::Result<()> {
        let (start, cpu) = (self.clock.now().boot, process_cpu());
        detector.detect(frame, &mut self.found)?;
        self.cpu += process_cpu().saturating_sub(cpu);
        self.times.push(self.clock.now().boot.saturating_sub(start));
        let size = (frame.width, frame.height);
        let (x, y) = Placement::new(&self.manifest.input, size).scale();
        let strong = |found: &&Detection| found.score >= self.manifest.threshold;
        let people = self.found.iter().filter(strong).map(|found| found.rect);
        self.lengths
            .extend(people.map(|rect| (rect.width() * x).max(rect.height() * y)));
        Ok(())
    }

    fn cost(&mut self, pictures: &Pictures) -> Cost {
        self.times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let last = self.times.len().saturating_sub(1);
        let at = |share: usize| self.times.get(last * share / 100).copied();
        let decoded = (pictures.decoded > 0).then(|| ms(pictures.spent) / pictures.decoded as f64);
        Cost {
            median_ms: ms(at(50).unwrap_or_default()),
            p95_ms: ms(at(95).unwrap_or_default()),
            cpu_ms: ms(self.cpu) / self.times.len().max(1) as f64,
            decode_cpu_ms: decoded,
        }
    }
}

fn print(measured: &Measured, clip: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let Measured {
        model,
        threads,
        cores,
        frames,
        width,
        height,
        cost,
        memory_mb,
        people,
        ..
    } = measured;
    writeln!(
        out,
        "{model}: {frames} pictures of {width}×{height} on {threads} thread(s)"
    )?;
    writeln!(
        out,
        "  time       median {:.2} ms, 95 % within {:.2} ms",
        cost.median_ms, cost.p95_ms
    )?;
    write!(out, "  CPU        {:.2} ms a picture", cost.cpu_ms)?;
    match cost.decode_cpu_ms {
        Some(decode) => writeln!(out, ", and {decode:.2} ms to decode it")?,
        None => writeln!(out)?,
    }
    match memory_mb {
        Some(memory) => writeln!(out, "  memory     {memory} MB")?,
        None => writeln!(out, "  memory     unknown (no /proc/self/status)")?,
    }
    writeln!(out, "  {}", cost.sentence(*cores))?;
    if clip {
        let said = people.map_or_else(verdict::nobody, |people| people.sentence());
        writeln!(out, "  {said}")?;
    }
    Ok(())
}
