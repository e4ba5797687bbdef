//! Our boxes against those of the models' owners' own steps, run in Python on the very same pixels.
//!
//! Needs the test clips and weights (`FOOTFALL_DATA`), the ONNX Runtime library, and a Python with
//! onnxruntime, opencv and numpy (`FOOTFALL_PYTHON`, `target/py/bin/python` or `python3`).

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/python.rs"]
mod python;

use std::path::{Path, PathBuf};
use std::process::Command;

use footfall::sensor::vision::manifest::{self, Manifest};
use footfall::sensor::vision::session::OnnxDetector;
use footfall::sensor::vision::{Detection, Detector, Rect, runtime};
use python::{python, read_frame};

const FRAMES: usize = 20;
const CLIPS: [&str; 2] = [
    "clips/one-by-one-person-detection.mp4",
    "clips/pets09-s2l1-view1.mp4",
];

#[derive(serde::Deserialize)]
struct Reference {
    frame: String,
    /// x0, y0, x1, y1, score.
    boxes: Vec<[f32; 5]>,
}

#[test]
fn yolox_finds_the_same_people_as_its_owners_code() {
    compare("yolox-nano-416", "yolox");
}

#[test]
fn the_small_yolox_finds_the_same_people_as_its_owners_code() {
    compare("yolox-person-192", "yolox");
}

#[test]
fn fastestdet_finds_the_same_people_as_its_owners_code() {
    compare("fastestdet-352", "fastestdet");
}

#[test]
fn nanodet_finds_the_same_people_as_its_owners_code() {
    compare("nanodet-m-320", "nanodet");
}

fn compare(model: &str, decoder: &str) {
    let Some(data) = std::env::var_os("FOOTFALL_DATA").map(PathBuf::from) else {
        return skipped("FOOTFALL_DATA names no directory with clips and models");
    };
    let manifest = manifest::find(
        &format!("{}/models/{model}.toml", env!("CARGO_MANIFEST_DIR")),
        &[data.join("models")],
    )
    .unwrap();
    let runtime = match runtime::load(None) {
        Ok(runtime) => runtime,
        Err(error) => return skipped(&error.to_string()),
    };
    let mut detector = OnnxDetector::load(&manifest, 1, &runtime).unwrap();
    let mut boxes = 0;
    for clip in CLIPS {
        let dir = tempfile::tempdir().unwrap();
        if let Err(why) = run_reference(&data.join(clip), &manifest, decoder, dir.path()) {
            return skipped(&why);
        }
        let text = std::fs::read_to_string(dir.path().join("boxes.json")).unwrap();
        let references: Vec<Reference> = serde_json::from_str(&text).unwrap();
        assert_eq!(references.len(), FRAMES, "{clip}");
        for reference in references {
            let shown = format!("{model}, {clip}, {}", reference.frame);
            let frame = read_frame(&dir.path().join(&reference.frame));
            let mut found = Vec::new();
            detector.detect(&frame, &mut found).unwrap();
            found.retain(|detection| detection.score >= manifest.threshold);
            assert_same(&reference.boxes, &found, &shown);
            boxes += found.len();
        }
    }
    // A test that compares nothing with nothing would pass too.
    assert!(
        boxes >= 50,
        "only {boxes} boxes on {} frames",
        FRAMES * CLIPS.len()
    );
}

fn run_reference(
    clip: &Path,
    manifest: &Manifest,
    decoder: &str,
    out: &Path,
) -> Result<(), String> {
    let python = python();
    let ran = Command::new(&python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference_boxes.py"))
        .args([clip, &manifest.weights().unwrap()])
        .arg(decoder)
        .args([manifest.threshold, manifest.nms_iou].map(|number| number.to_string()))
        .arg(FRAMES.to_string())
        .arg(out)
        .output()
        .map_err(|error| format!("{}: {error}", python.display()))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    match ran.status.code() {
        Some(77) => Err(format!("{}: {said}", python.display())),
        _ => {
            assert!(ran.status.success(), "{said}");
            Ok(())
        }
    }
}

/// Same count; each reference box has its own partner with nearly the same place and score.
fn assert_same(reference: &[[f32; 5]], found: &[Detection], shown: &str) {
    assert_eq!(
        reference.len(),
        found.len(),
        "{shown}: {reference:?} against {found:?}"
    );
    let mut free: Vec<&Detection> = found.iter().collect();
    for &[x0, y0, x1, y1, score] in reference {
        let rect = Rect { x0, y0, x1, y1 };
        let (best, partner) = free
            .iter()
            .enumerate()
            .max_by(|(_, a), (_, b)| a.rect.iou(&rect).total_cmp(&b.rect.iou(&rect)))
            .unwrap();
        let iou = partner.rect.iou(&rect);
        assert!(
            iou >= 0.95,
            "{shown}: IoU {iou} of {rect:?} and {partner:?}"
        );
        let difference = (partner.score - score).abs();
        assert!(
            difference < 0.03,
            "{shown}: score {score} against {}",
            partner.score
        );
        free.remove(best);
    }
}

fn skipped(why: &str) {
    eprintln!("\n*** SKIPPED: reference boxes were NOT compared: {why} ***\n");
}
