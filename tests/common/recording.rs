//! A recording of the synthetic shop, for tests that need people to walk.

use std::path::Path;

use footfall::demo::SyntheticShop;
use footfall::sensor::camera::{Frame, FrameSource, Next};

/// Twenty seconds of shop as a folder of pictures.
pub fn record(dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    let mut shop = SyntheticShop::new(3, 20.0, 10.0);
    let mut frame = Frame::default();
    while shop.next_frame(&mut frame).unwrap() == Next::Frame {
        let path = dir.join(format!("{:04}.jpg", frame.index));
        image::save_buffer(
            path,
            &frame.rgb,
            frame.width,
            frame.height,
            image::ColorType::Rgb8,
        )
        .unwrap();
    }
}
