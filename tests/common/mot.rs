//! The MOT15 benchmark's text files: published detections in, tracks out, one box a line.
//!
//! Columns of both: frame (from 1), id (-1 for a detection), left, top, width, height, score, and three that are not
//! used here.

#![allow(dead_code)] // each user has its own part

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use footfall::sensor::vision::track::{Settings, Tracker};
use footfall::sensor::vision::{Detection, Rect};

/// The score from which a published detection may start a track. They were cut off already by who published them.
const THRESHOLD: f32 = 0.5;

/// One sequence of the benchmark.
pub struct Sequence {
    pub name: &'static str,
    /// File of the published detections, below the test data.
    pub detections: &'static str,
    /// File of the truth.
    pub truth: &'static str,
    /// Pictures a second, as the benchmark says.
    pub fps: f64,
}

pub const SEQUENCES: [Sequence; 3] = [
    Sequence {
        name: "PETS09-S2L1",
        detections: "mot/sort_PETS09-S2L1_det.txt",
        truth: "mot/PETS09-S2L1_gt_raw.txt",
        fps: 7.0,
    },
    Sequence {
        name: "TUD-Campus",
        detections: "mot/sort_TUD-Campus_det.txt",
        truth: "mot/mmtracking_TUD-Campus_gt.txt",
        fps: 25.0,
    },
    Sequence {
        name: "TUD-Stadtmitte",
        detections: "mot/sort_TUD-Stadtmitte_det.txt",
        truth: "mot/mmtracking_TUD-Stadtmitte_gt.txt",
        fps: 25.0,
    },
];

/// The detections of each frame, the first frame first.
pub fn detections(file: &Path) -> Vec<Vec<Detection>> {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let mut frames: Vec<Vec<Detection>> = Vec::new();
    for line in text.lines() {
        let numbers: Vec<f32> = line
            .split(',')
            .map(|number| number.parse().unwrap())
            .collect();
        let [frame, _, x0, y0, width, height, score, ..] = numbers[..] else {
            panic!("{}: {line}", file.display());
        };
        let frame = frame as usize;
        if frames.len() < frame {
            frames.resize_with(frame, Vec::new);
        }
        frames[frame - 1].push(Detection {
            rect: Rect {
                x0,
                y0,
                x1: x0 + width,
                y1: y0 + height,
            },
            score,
            class: 0,
        });
    }
    frames
}

/// Runs the tracker over a sequence; `each` sees it after every frame (numbered from 1).
pub fn follow(frames: &[Vec<Detection>], fps: f64, mut each: impl FnMut(usize, &Tracker)) {
    let mut tracker = Tracker::new(Settings::with_threshold(THRESHOLD), 1);
    for (frame, found) in frames.iter().enumerate() {
        tracker.step(Duration::from_secs_f64(frame as f64 / fps), found);
        each(frame + 1, &tracker);
    }
}

/// The people that the tracker sees on each frame, told at that frame and never corrected afterwards.
pub fn tracks(frames: &[Vec<Detection>], fps: f64) -> String {
    let mut out = String::new();
    follow(frames, fps, |frame, tracker| {
        for track in tracker
            .tracks()
            .iter()
            .filter(|track| track.confirmed && track.seen)
        {
            let (id, rect) = (track.id, track.rect);
            let (width, height) = (rect.width(), rect.height());
            writeln!(
                out,
                "{frame},{id},{},{},{width},{height},1,-1,-1,-1",
                rect.x0, rect.y0
            )
            .unwrap();
        }
    });
    out
}
