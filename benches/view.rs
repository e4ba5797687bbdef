//! What it costs to know what moves, and what the gate saves:
//!
//! - the view (background, gate, quality) for one picture of each recording
//! - the whole pipeline on a still room, with and without the gate: one picture of a recording with a sensor's noise
//!
//! CPU time of this thread is the number to trust. `cargo bench --bench view [-- MODEL...]`.

#![allow(clippy::print_stdout, clippy::expect_used)] // a benchmark talks to whoever started it

use std::path::{Path, PathBuf};
use std::time::Duration;

use footfall::clock::thread_cpu;
use footfall::sensor::camera::{self, FileSpec, Frame, FrameSource, Next};
use footfall::sensor::vision::manifest;
use footfall::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use footfall::sensor::vision::runtime;
use footfall::sensor::vision::session::OnnxDetector;
use footfall::sensor::vision::view::{View, ViewSettings};

const CLIPS: [&str; 4] = [
    "clips/pets09-s2l1-view1.mp4",
    "clips/one-by-one-person-detection.mp4",
    "clips/koba_bus.avi",
    "clips/intel_store-aisle-detection.gif",
];
const MODELS: [&str; 2] = ["fastestdet-352", "yolox-nano-416"];
const MOST: u32 = 400;
/// The still room: so many pictures, ten a second, from the moment the background is known.
const STILL: u64 = 300;
const KNOWN: u64 = 40;

fn main() {
    let Some(data) = std::env::var_os("FOOTFALL_DATA").map(PathBuf::from) else {
        return println!(
            "*** SKIPPED: FOOTFALL_DATA names no recordings; nothing was measured ***"
        );
    };
    for clip in CLIPS {
        view(clip, &data.join(clip));
    }
    let mut models: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    if models.is_empty() {
        models = MODELS.map(str::to_owned).to_vec();
    }
    let room = first(&data.join(CLIPS[1]));
    for model in models {
        let (gated, looked) = still(&model, &data, &room, true);
        let (whole, _) = still(&model, &data, &room, false);
        println!(
            "{model}, a still room, without decoding: gated {:.2} ms a picture ({looked} of {STILL} searched), \
             ungated {:.2} ms; ratio {:.3}",
            ms(gated, STILL),
            ms(whole, STILL),
            gated.as_secs_f64() / whole.as_secs_f64()
        );
    }
}

fn ms(total: Duration, pictures: u64) -> f64 {
    total.as_secs_f64() * 1e3 / pictures as f64
}

fn view(name: &str, path: &Path) {
    let (mut source, mut frame) = (open(path), Frame::default());
    let mut view = View::new(ViewSettings::default(), false);
    let (mut spent, mut frames) = (Duration::ZERO, 0);
    while frames < MOST && source.next_frame(&mut frame).expect("a frame") == Next::Frame {
        let before = thread_cpu();
        view.look(&mut frame, &[]);
        spent += thread_cpu() - before;
        frames += 1;
    }
    println!(
        "view, {name}, {}x{}: {:.2} ms a picture",
        frame.width,
        frame.height,
        ms(spent, frames.into())
    );
}

/// CPU time of the pipeline on the still room, and on how many of its pictures people were looked for.
fn still(model: &str, data: &Path, room: &Frame, gate: bool) -> (Duration, u64) {
    let runtime = runtime::load(None).expect("the ONNX Runtime");
    let manifest = manifest::find(model, &[data.join("models")]).expect("the model");
    let detector = OnnxDetector::load(&manifest, 1, &runtime).expect("the model");
    let settings = PipelineSettings {
        threshold: manifest.threshold,
        first_track: 1,
        scene: Default::default(),
        view: ViewSettings {
            gate,
            ..ViewSettings::default()
        },
    };
    let mut pipeline = Pipeline::new(Some(Box::new(detector)), settings);
    let mut random = fastrand::Rng::with_seed(1);
    let (mut spent, mut looked) = (Duration::ZERO, 0);
    for number in 0..KNOWN + STILL {
        let mut frame = room.clone();
        for level in &mut frame.rgb {
            *level = level.saturating_add(random.u8(0..4));
        }
        frame.at = Duration::from_millis(100 * number);
        let before = (thread_cpu(), pipeline.looked());
        pipeline.process(&mut frame).expect("a look");
        if number >= KNOWN {
            spent += thread_cpu() - before.0;
            looked += pipeline.looked() - before.1;
        }
    }
    (spent, looked)
}

fn open(path: &Path) -> Box<dyn FrameSource> {
    let spec = FileSpec {
        path: path.to_owned(),
        picture_fps: 10.0,
    };
    camera::open(&spec).expect("the recording")
}

fn first(path: &Path) -> Frame {
    let mut frame = Frame::default();
    open(path).next_frame(&mut frame).expect("a frame");
    frame
}
