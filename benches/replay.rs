//! How much of the bare inference speed the whole path keeps: frame → tensor → inference → boxes, held
//! against `session.run` alone on the same tensors. Single thread, both turns interleaved frame by frame,
//! so that a noisy neighbour hits both; CPU time is the number to trust.
//!
//! `cargo bench --bench replay [-- MODEL...]`. Frames come from FOOTFALL_DATA's clips through ffmpeg,
//! or are noise where either is missing.

#![allow(clippy::disallowed_methods)] // a benchmark measures real time
#![allow(clippy::print_stdout, clippy::expect_used)] // and talks to whoever started it

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use footfall::sensor::camera::Frame;
use footfall::sensor::vision::manifest::{self, Manifest};
use footfall::sensor::vision::session::OnnxDetector;
use footfall::sensor::vision::{Detector, runtime};
use rustix::time::{ClockId, clock_gettime};

const CLIP: &str = "clips/one-by-one-person-detection.mp4";
const SIZE: (u32, u32) = (768, 432);
const FRAMES: usize = 150;
/// Passes over the frames; the first one warms up and is not counted.
const PASSES: usize = 4;
const MODELS: [&str; 2] = ["fastestdet-352", "yolox-nano-416"];

fn main() {
    let data = std::env::var_os("FOOTFALL_DATA").map(std::path::PathBuf::from);
    let frames = data
        .as_ref()
        .and_then(|data| frames_of(&data.join(CLIP)))
        .unwrap_or_else(noise);
    let runtime = match runtime::load(None) {
        Ok(runtime) => runtime,
        Err(error) => return println!("*** SKIPPED: nothing was measured: {error} ***"),
    };
    let mut names: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    if names.is_empty() {
        names = MODELS.map(str::to_owned).to_vec();
    }
    let dirs: Vec<_> = data.into_iter().map(|data| data.join("models")).collect();
    for name in names {
        let detector = manifest::find(&name, &dirs)
            .and_then(|manifest| Ok((OnnxDetector::load(&manifest, 1, &runtime)?, manifest)));
        match detector {
            Ok((detector, manifest)) => measure(detector, &manifest, &frames),
            Err(error) => println!("*** SKIPPED: {error} ***"),
        }
    }
}

fn measure(mut detector: OnnxDetector, manifest: &Manifest, frames: &[Frame]) {
    let (mut whole, mut bare) = (Spent::default(), Spent::default());
    let mut found = Vec::new();
    let mut people = 0;
    for pass in 0..PASSES {
        for frame in frames {
            let path = timed(|| detector.detect(frame, &mut found).expect("detection"));
            people += found
                .iter()
                .filter(|d| d.score >= manifest.threshold)
                .count();
            let run = timed(|| detector.infer_again().expect("inference"));
            if pass > 0 {
                whole.add(path);
                bare.add(run);
            }
        }
    }
    let count = (PASSES - 1) * frames.len();
    println!(
        "{}: {} frames, {} people seen",
        manifest.name,
        count,
        people / PASSES
    );
    whole.print("frame in memory to boxes", count);
    bare.print("session.run alone", count);
    println!(
        "  ratio of frames/s      CPU {:.3}   wall {:.3}",
        bare.cpu.as_secs_f64() / whole.cpu.as_secs_f64(),
        bare.wall.as_secs_f64() / whole.wall.as_secs_f64()
    );
}

/// Time of one kind of work, added up.
#[derive(Clone, Copy, Default)]
struct Spent {
    cpu: Duration,
    wall: Duration,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.wall += other.wall;
    }

    fn print(&self, what: &str, count: usize) {
        let each = |total: Duration| total.as_secs_f64() / count as f64;
        println!(
            "  {what:<26} CPU {:.3} ms ({:.1} frames/s)   wall {:.3} ms ({:.1} frames/s)",
            each(self.cpu) * 1e3,
            each(self.cpu).recip(),
            each(self.wall) * 1e3,
            each(self.wall).recip()
        );
    }
}

fn timed(work: impl FnOnce()) -> Spent {
    let (cpu, wall) = (cpu_time(), Instant::now());
    work();
    Spent {
        cpu: cpu_time() - cpu,
        wall: wall.elapsed(),
    }
}

/// Of the whole process, in case the library starts a thread after all.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// The clip's first frames as raw pixels, through ffmpeg.
fn frames_of(clip: &Path) -> Option<Vec<Frame>> {
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(clip)
        .args([
            "-frames:v",
            &FRAMES.to_string(),
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ])
        .output()
        .ok()?;
    let bytes = SIZE.0 as usize * SIZE.1 as usize * 3;
    let frames: Vec<Frame> = ran.stdout.chunks_exact(bytes).map(frame).collect();
    (frames.len() == FRAMES).then_some(frames)
}

fn noise() -> Vec<Frame> {
    println!("no clip or no ffmpeg: the frames are noise");
    let mut random = fastrand::Rng::with_seed(1);
    let mut rgb = vec![0; SIZE.0 as usize * SIZE.1 as usize * 3];
    let mut next = || {
        random.fill(&mut rgb);
        frame(&rgb)
    };
    (0..20).map(|_| next()).collect()
}

fn frame(rgb: &[u8]) -> Frame {
    Frame {
        width: SIZE.0,
        height: SIZE.1,
        rgb: rgb.to_vec(),
        ..Frame::default()
    }
}
