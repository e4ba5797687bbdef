//! The tracker alone on published detections, scored by `motmetrics` side by side with SORT.
//!
//! Needs `FOOTFALL_DATA` and a Python with motmetrics (`FOOTFALL_PYTHON`, or the one of `scripts/setup --tests`).
//! `cargo nextest run --test mot_scores --no-capture` prints the table.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/mot.rs"]
mod mot;
#[path = "common/program.rs"]
mod program;
#[path = "common/python.rs"]
mod python;

use std::path::Path;
use std::process::Command;

use mot::SEQUENCES;
use program::{data, skipped};
use serde_json::Value;

#[test]
fn the_tracker_keeps_people_apart_better_than_sort_and_misses_no_more() {
    let Some(data) = data() else { return };
    let home = tempfile::tempdir().unwrap();
    let scores = match scored(&data, home.path()) {
        Ok(scores) => scores,
        Err(why) => return skipped(&format!("the tracker was NOT scored: {why}")),
    };
    println!("sequence          MOTA  sort   IDF1  sort   switches  sort");
    let mut worse = Vec::new();
    for sequence in &SEQUENCES {
        let score = |whose: &str, what: &str| scores[sequence.name][whose][what].as_f64().unwrap();
        let both = |what| (score("footfall", what), score("sort", what));
        let ((mota, sort_mota), (idf1, sort_idf1)) = (both("mota"), both("idf1"));
        let (switches, sort_switches) = both("num_switches");
        println!(
            "{:<16} {:>5.1} {:>5.1}  {:>5.1} {:>5.1}  {switches:>9} {sort_switches:>5}",
            sequence.name,
            mota * 100.0,
            sort_mota * 100.0,
            idf1 * 100.0,
            sort_idf1 * 100.0
        );
        if idf1 <= sort_idf1 || mota < sort_mota {
            worse.push(sequence.name);
        }
    }
    assert!(worse.is_empty(), "worse than SORT on {worse:?}: {scores}");
}

/// What `mot_scores.py` says, or why it cannot say anything here.
fn scored(data: &Path, home: &Path) -> Result<Value, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = python::python();
    let mut command = Command::new(&python);
    command.arg(root.join("tests/mot_scores.py"));
    for sequence in &SEQUENCES {
        let (truth, detections) = (data.join(sequence.truth), data.join(sequence.detections));
        let tracks = home.join(sequence.name);
        footfall::durable::write(
            &tracks,
            mot::tracks(&mot::detections(&detections), sequence.fps).as_bytes(),
        )
        .unwrap();
        let [truth, detections, tracks] = [&truth, &detections, &tracks].map(|path| path.display());
        command.arg(format!("{}={truth},{detections},{tracks}", sequence.name));
    }
    let shown = python.display();
    let ran = command.output().map_err(|why| format!("{shown}: {why}"))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    if ran.status.code() == Some(77) {
        return Err(format!("{shown}: {said}"));
    }
    assert!(ran.status.success(), "{said}");
    Ok(serde_json::from_slice(&ran.stdout).unwrap())
}
