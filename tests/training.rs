//! How our own detectors are made (`models/training`): scenes come out the same again, training learns, what it
//! exports is what the daemon reads.
//!
//! The scenes need a Python with numpy and OpenCV (`FOOTFALL_PYTHON`, `target/py/bin/python` or `python3`); training
//! needs torch, onnx and ONNX Runtime too (`FOOTFALL_TRAINING_PYTHON`, or what `make -C models/training setup` made).

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/python.rs"]
mod python;

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn scenes_are_the_same_again_and_boxes_and_scores_are_right() {
    run(
        "test_scenes.py",
        python::python(),
        "import cv2, numpy",
        "scripts/setup --tests",
    );
}

#[test]
fn training_learns_goes_on_after_a_stop_and_exports_what_the_daemon_reads() {
    run(
        "test_training.py",
        python::named_or_made("FOOTFALL_TRAINING_PYTHON", "target/training/py/bin/python"),
        "import torch, cv2, onnx, onnxruntime",
        "make -C models/training setup",
    );
}

fn run(test: &str, python: PathBuf, imports: &str, remedy: &str) {
    let can = Command::new(&python).args(["-c", imports]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "SKIPPED: {test}; {} cannot {imports}; run: {remedy}",
            python.display()
        );
        return;
    }
    let output = Command::new(&python)
        .arg(test)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/training/tests"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{test} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
