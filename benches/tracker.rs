//! How fast the tracker alone is: published detections of PETS09-S2L1, about five people a frame, on one core.
//!
//! `cargo bench --bench tracker`. Far more than any camera delivers: what is left over belongs to the detector.

#![allow(clippy::disallowed_methods)] // a benchmark measures real time
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used
)] // and talks to whoever started it

#[path = "../tests/common/mot.rs"]
mod mot;

use std::path::PathBuf;
use std::time::{Duration, Instant};

const TURNS: usize = 7;
/// How long one turn measures.
const TURN: Duration = Duration::from_millis(500);

fn main() {
    let Some(data) = std::env::var_os("FOOTFALL_DATA").map(PathBuf::from) else {
        println!(
            "*** SKIPPED: FOOTFALL_DATA names no detections; the tracker was NOT measured ***"
        );
        return;
    };
    for sequence in &mot::SEQUENCES {
        let frames = mot::detections(&data.join(sequence.detections));
        let mut rates: Vec<f64> = (0..TURNS).map(|_| turn(&frames, sequence.fps)).collect();
        rates.sort_by(f64::total_cmp);
        println!(
            "{}: {:.0} frames/s in the median of {TURNS} turns ({:.0} to {:.0})",
            sequence.name,
            rates[TURNS / 2],
            rates[0],
            rates[TURNS - 1]
        );
    }
}

/// Frames a second over one turn.
fn turn(frames: &[Vec<footfall::sensor::vision::Detection>], fps: f64) -> f64 {
    let (start, mut followed) = (Instant::now(), 0u64);
    while start.elapsed() < TURN {
        mot::follow(frames, fps, |_, tracker| {
            std::hint::black_box(tracker.tracks());
            followed += 1;
        });
    }
    followed as f64 / start.elapsed().as_secs_f64()
}
