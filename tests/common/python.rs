//! The Python of the comparisons, and the pictures that it leaves behind.

#![allow(dead_code)] // each test file uses its own part

use std::path::{Path, PathBuf};

use footfall::sensor::camera::Frame;

/// `FOOTFALL_PYTHON`, the one that `make setup` made, or the system's.
pub fn python() -> PathBuf {
    named_or_made("FOOTFALL_PYTHON", "target/py/bin/python")
}

/// The interpreter that `variable` names, else the one at `made`, else the system's.
pub fn named_or_made(variable: &str, made: &str) -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join(made);
    match std::env::var_os(variable) {
        Some(named) => named.into(),
        None if made.exists() => made,
        None => "python3".into(),
    }
}

pub fn read_frame(path: &Path) -> Frame {
    let picture = image::open(path).unwrap().into_rgb8();
    Frame {
        width: picture.width(),
        height: picture.height(),
        rgb: picture.into_raw(),
        ..Frame::default()
    }
}
