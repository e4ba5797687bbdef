//! How much of the bare inference speed the whole path keeps, held against `session.run` alone on the same tensors:
//!
//! - including video decode: recording → frame → tensor → inference → boxes → tracks → counts, as `footfall replay`
//!   does it
//! - excluding video decode: the same from frames in memory
//!
//! Single thread, both turns interleaved frame by frame, so that a noisy neighbour hits both; CPU time is the number
//! to trust. `cargo bench --bench replay [-- MODEL...]`. The recordings are FOOTFALL_DATA's; without them the frames
//! are noise, and nothing is decoded.

#![allow(clippy::disallowed_methods)] // a benchmark measures real time
#![allow(clippy::print_stdout, clippy::expect_used)] // and talks to whoever started it

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use footfall::clock::process_cpu;
use footfall::sensor::camera::{self, FileSpec, Frame, FrameSource, Next};
use footfall::sensor::vision::count::line::{CountMode, LineSettings};
use footfall::sensor::vision::count::scene::SceneSettings;
use footfall::sensor::vision::manifest::{self, Manifest};
use footfall::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use footfall::sensor::vision::runtime::{self, Runtime};
use footfall::sensor::vision::session::OnnxDetector;
use footfall::sensor::vision::view::ViewSettings;
use footfall::sensor::vision::{Detection, Detector, VisionError};

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

/// The detector of a pipeline, which can be run without the rest too.
#[derive(Clone)]
struct Shared(Arc<Mutex<OnnxDetector>>);

impl Detector for Shared {
    fn detect(&mut self, frame: &Frame, out: &mut Vec<Detection>) -> Result<(), VisionError> {
        self.0.lock().expect("one thread").detect(frame, out)
    }
}

struct Bench {
    manifest: Manifest,
    detector: Shared,
}

impl Bench {
    fn new(manifest: Manifest, runtime: &Runtime) -> Result<Self, VisionError> {
        let detector = OnnxDetector::load(&manifest, 1, runtime)?;
        let detector = Shared(Arc::new(Mutex::new(detector)));
        Ok(Self { manifest, detector })
    }

    fn run(self, data: Option<&Path>) {
        let Some(data) = data else {
            println!(
                "*** SKIPPED: FOOTFALL_DATA names no recordings; video decode was NOT measured ***"
            );
            return self.excluding_decode("noise", &mut noise());
        };
        for clip in CLIPS {
            let path = data.join(clip);
            self.including_decode(clip, &path);
            self.excluding_decode(clip, &mut first_frames(&path));
        }
    }

    fn excluding_decode(&self, clip: &str, frames: &mut [Frame]) {
        let count = frames.len();
        self.measure("excluding video decode", clip, |number, pipeline| {
            let frame = &mut frames[number % count];
            // Shown over and over, and time goes on.
            frame.at = Duration::from_millis(100 * number as u64);
            pipeline.process(frame).expect("detection").crossings.len()
        });
    }

    fn including_decode(&self, clip: &str, path: &Path) {
        let (mut source, mut frame) = (open(path), Frame::default());
        self.measure("including video decode", clip, |_, pipeline| {
            let next = source.next_frame(&mut frame).expect("a frame");
            assert_eq!(next, Next::Frame, "the recording is too short");
            pipeline
                .process(&mut frame)
                .expect("detection")
                .crossings
                .len()
        });
    }

    /// `path` is the whole way of one frame, up to the crossings that it came to.
    fn measure(&self, what: &str, clip: &str, mut path: impl FnMut(usize, &mut Pipeline) -> usize) {
        let mut pipeline = self.pipeline();
        let (mut whole, mut bare) = (Spent::default(), Spent::default());
        let (mut people, mut crossings) = (0, 0);
        for number in 0..WARM_UP + FRAMES {
            let one = timed(|| crossings += path(number, &mut pipeline));
            let run = timed(|| {
                let mut detector = self.detector.0.lock().expect("one thread");
                detector.infer_again().expect("inference");
            });
            if number >= WARM_UP {
                whole.add(one);
                bare.add(run);
                let strong = |found: &&Detection| found.score >= self.manifest.threshold;
                people += pipeline.detections().iter().filter(strong).count();
            }
        }
        println!(
            "{}, {what}, {clip}: {FRAMES} frames, {people} people seen, {crossings} crossings",
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

    /// With a line across the picture and one down its middle.
    fn pipeline(&self) -> Pipeline {
        let line = |points: [[f32; 2]; 2]| LineSettings {
            points: points.to_vec(),
            mode: CountMode::default(),
            half_band: 0.15,
        };
        let settings = PipelineSettings {
            threshold: self.manifest.threshold,
            first_track: 1,
            // People are looked for on every frame, which is what it is compared with.
            view: ViewSettings {
                gate: false,
                ..ViewSettings::default()
            },
            scene: SceneSettings {
                lines: vec![
                    line([[0.5, 1.0], [0.5, 0.0]]),
                    line([[0.0, 0.5], [1.0, 0.5]]),
                ],
                ..SceneSettings::default()
            },
        };
        Pipeline::new(Some(Box::new(self.detector.clone())), settings)
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

/// CPU of the whole process: a thread that the decoder or the library starts counts too.
fn timed(work: impl FnOnce()) -> Spent {
    let (cpu, wall) = (process_cpu(), Instant::now());
    work();
    Spent {
        cpu: process_cpu() - cpu,
        wall: wall.elapsed(),
    }
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
