//! Writes frames of synthetic shops and their true boxes, to look at and to train on.
//!
//! ```text
//! cargo run --release --example demo_frames -- DIR FIRST_SEED SEEDS FRAMES_PER_SEED [oblique|overhead [day|evening]]
//! ```
//!
//! `DIR/SSSSS-FFFFF.jpg` are the pictures; `DIR/labels.csv` has one row per person:
//! `file,x0,y0,x1,y1,visible` in pixels and as a share. `DIR/frames.csv` lists all pictures, the empty ones too.

#![allow(clippy::disallowed_methods)] // thousands of pictures that can be drawn again need not survive a power cut

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use footfall::demo::{Light, Place, SyntheticShop};
use footfall::durable;
use footfall::sensor::camera::{Frame, FrameSource, Next};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

/// Seconds of shop that the frames of one seed are spread over.
const SECONDS: f64 = 60.0;
/// Of the JPEGs, percent.
const QUALITY: u8 = 92;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, first, seeds, frames, seen @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: demo_frames DIR FIRST_SEED SEEDS FRAMES_PER_SEED [PLACE [LIGHT]]");
    };
    let place = seen.first().map(|name| Place::from_str(name, false));
    let light = seen.get(1).map(|name| Light::from_str(name, false));
    let place = place.unwrap_or(Ok(Place::default()));
    let light = light.unwrap_or(Ok(Light::default()));
    let (place, light) = (
        place.map_err(anyhow::Error::msg)?,
        light.map_err(anyhow::Error::msg)?,
    );
    let directory = Path::new(directory);
    std::fs::create_dir_all(directory)?;
    let (first, seeds): (u64, u64) = (first.parse()?, seeds.parse()?);
    let per_seed: u64 = frames.parse()?;
    let (mut labels, mut list) = (String::new(), String::new());
    let mut frame = Frame::default();
    for seed in first..first + seeds {
        let mut shop = SyntheticShop::seen(place, light, seed, SECONDS, 10.0);
        for part in 0..per_seed {
            shop.seek((part * 2 + 1) * shop.frames() / (per_seed * 2));
            if shop.next_frame(&mut frame)? == Next::End {
                break;
            }
            let name = format!("{seed:05}-{:05}.jpg", frame.index);
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode(
                &frame.rgb,
                frame.width,
                frame.height,
                ExtendedColorType::Rgb8,
            )?;
            std::fs::write(directory.join(&name), jpeg)
                .with_context(|| format!("writing {name}"))?;
            writeln!(list, "{name}")?;
            for person in shop.boxes() {
                let rect = person.rect;
                writeln!(
                    labels,
                    "{name},{:.1},{:.1},{:.1},{:.1},{:.3}",
                    rect.x0, rect.y0, rect.x1, rect.y1, person.visible
                )?;
            }
        }
    }
    durable::write(&directory.join("labels.csv"), labels.as_bytes())?;
    durable::write(&directory.join("frames.csv"), list.as_bytes())?;
    Ok(())
}
