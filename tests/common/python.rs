//! The Python of the comparisons, and the pictures that it leaves behind.

use std::path::{Path, PathBuf};

use footfall::sensor::camera::Frame;

/// `FOOTFALL_PYTHON`, the one that `make setup` made, or the system's.
pub fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/py/bin/python");
    std::env::var_os("FOOTFALL_PYTHON").map_or_else(
        || if own.exists() { own } else { "python3".into() },
        PathBuf::from,
    )
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
