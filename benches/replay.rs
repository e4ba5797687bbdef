//! How much of the bare inference speed the whole path keeps, held against `session.run` alone on the same tensors:
//!
//! - excluding video decode: frame in memory → tensor → inference → boxes
//! - including video decode: recording → frame → tensor → inference → boxes, as `footfall replay` does it
//!
//! Single thread, both turns interleaved frame by frame, so that a noisy neighbour hits both; CPU time is the number
//! to trust. `cargo bench --bench replay [-- MODEL...]`. The recordings are FOOTFALL_DATA's; without them the frames
//! are noise, and nothing is decoded.

#![allow(clippy::disallowed_methods)] // a benchmark measures real time
#![allow(clippy::print_stdout, clippy::expect_used)] // and talks to whoever started it

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use footfall::sensor::camera::{self, FileSpec, Frame, FrameSource, Next};
use footfall::sensor::vision::manifest::{self, Manifest};
use footfall::sensor::vision::runtime::{self, Runtime};
use footfall::sensor::vision::session::OnnxDetector;
use footfall::sensor::vision::{Detection, Detector};
use rustix::time::{ClockId, clock_gettime};

const CLIPS: [&str; 2] = [
    "clips/pets09-s2l1-view1.mp4",
    "clips/one-by-one-person-detection.mp4",
];
const MODELS: [&str; 2] = ["fastestdet-352", "yolox-nano-416"];
/// Frames that are measured, after the first ones, which find cold caches.
const FRAMES: usize = 300;
const WARM_UP: usize = 30;
/// Frames kept in memory, 1 MB each, shown over and over.
const IN_MEMORY: usize = 100;

fn main() {
    let data = std::env::var_os("FOOTFALL_DATA").map(PathBuf::from);
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
    let dirs: Vec<_> = data.iter().map(|data| data.join("models")).collect();
    for name in names {
        match manifest::find(&name, &dirs).and_then(|found| Bench::new(found, &runtime)) {
            Ok(bench) => bench.run(data.as_deref()),
            Err(error) => println!("*** SKIPPED: {error} ***"),
        }
    }
}

struct Bench {
    manifest: Manifest,
    detector: OnnxDetector,
}

impl Bench {
    fn new(
        manifest: Manifest,
        runtime: &Runtime,
    ) -> Result<Self, footfall::sensor::vision::VisionError> {
        let detector = OnnxDetector::load(&manifest, 1, runtime)?;
        Ok(Self { manifest, detector })
    }

    fn run(mut self, data: Option<&Path>) {
        let Some(data) = data else {
            println!(
                "*** SKIPPED: FOOTFALL_DATA names no recordings; video decode was NOT measured ***"
            );
            return self.excluding_decode("noise", &noise());
        };
        for clip in CLIPS {
            let path = data.join(clip);
            self.excluding_decode(clip, &first_frames(&path));
            self.including_decode(clip, &path);
        }
    }

    fn excluding_decode(&mut self, clip: &str, frames: &[Frame]) {
        let mut endless = frames.iter().cycle();
        self.measure("excluding video decode", clip, |detector, found| {
            let frame = endless.next().expect("a frame");
            detector.detect(frame, found).expect("detection");
        });
    }

    fn including_decode(&mut self, clip: &str, path: &Path) {
        let (mut source, mut frame) = (open(path), Frame::default());
        self.measure("including video decode", clip, |detector, found| {
            let next = source.next_frame(&mut frame).expect("a frame");
            assert_eq!(next, Next::Frame, "the recording is too short");
            detector.detect(&frame, found).expect("detection");
        });
    }

    /// `path` is the whole way of one frame, up to its boxes.
    fn measure(
        &mut self,
        what: &str,
        clip: &str,
        mut path: impl FnMut(&mut OnnxDetector, &mut Vec<Detection>),
    ) {
        let (mut whole, mut bare) = (Spent::default(), Spent::default());
        let (mut found, mut people) = (Vec::new(), 0);
        for number in 0..WARM_UP + FRAMES {
            let one = timed(|| path(&mut self.detector, &mut found));
            let run = timed(|| self.detector.infer_again().expect("inference"));
            if number >= WARM_UP {
                whole.add(one);
                bare.add(run);
                let strong = |found: &&Detection| found.score >= self.manifest.threshold;
                people += found.iter().filter(strong).count();
            }
        }
        println!(
            "{}, {what}, {clip}: {FRAMES} frames, {people} people seen",
            self.manifest.name
        );
        whole.print("whole path");
        bare.print("session.run alone");
        println!(
            "  ratio of frames/s   CPU {:.3}   wall {:.3}",
            bare.cpu.as_secs_f64() / whole.cpu.as_secs_f64(),
            bare.wall.as_secs_f64() / whole.wall.as_secs_f64()
        );
    }
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

    fn print(&self, what: &str) {
        let each = |total: Duration| total.as_secs_f64() / FRAMES as f64;
        println!(
            "  {what:<19} CPU {:.3} ms ({:.1} frames/s)   wall {:.3} ms ({:.1} frames/s)",
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

/// Of the whole process: a thread that the decoder or the library starts counts too.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

fn open(path: &Path) -> Box<dyn FrameSource> {
    let spec = FileSpec {
        path: path.to_owned(),
        picture_fps: 10.0,
    };
    camera::open(&spec).expect("the recording")
}

fn first_frames(path: &Path) -> Vec<Frame> {
    let mut source = open(path);
    let mut next = || {
        let mut frame = Frame::default();
        source.next_frame(&mut frame).expect("a frame");
        frame
    };
    (0..IN_MEMORY).map(|_| next()).collect()
}

fn noise() -> Vec<Frame> {
    let (width, height) = (768, 432);
    let mut random = fastrand::Rng::with_seed(1);
    let mut next = || {
        let mut rgb = vec![0; width as usize * height as usize * 3];
        random.fill(&mut rgb);
        Frame {
            width,
            height,
            rgb,
            ..Frame::default()
        }
    };
    (0..20).map(|_| next()).collect()
}
