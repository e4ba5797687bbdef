//! Animated GIF: one frame at a time, each shown for its own delay.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, MemoryLimit};

use super::mp4::RECORD_AGAIN;
use super::{CameraError, ClipInfo, Frame, FrameSource, MAX_PIXELS, Next, SHRINK, size_fault};

/// How long a frame without a delay is shown; browsers and ffmpeg do the same.
const NO_DELAY: Duration = Duration::from_millis(100);

/// An animation being played.
pub(super) struct Gif {
    path: PathBuf,
    /// `None` once it is over.
    decoder: Option<Decoder<BufReader<File>>>,
    /// What has been drawn so far, RGB.
    canvas: Vec<u8>,
    width: u32,
    height: u32,
    /// Reused: the newest piece, RGBA.
    piece: Vec<u8>,
    /// What to do with the newest piece before the next is drawn.
    dispose: DisposalMethod,
    area: Area,
    /// The canvas below a piece that is to vanish again.
    below: Vec<u8>,
    at: Duration,
    shown: u64,
}

/// The part of the canvas that a piece covers, pixels.
#[derive(Clone, Copy, Default)]
struct Area {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Gif {
    /// # Errors
    /// The head of the file is damaged or announces pictures that are too large.
    pub(super) fn open(path: &Path, mut file: File) -> Result<Self, CameraError> {
        file.rewind().map_err(|error| {
            CameraError::unavailable(path, format!("cannot be read ({error})"), "check the disk")
        })?;
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        if let Some(limit) = std::num::NonZeroU64::new(MAX_PIXELS * 4) {
            options.set_memory_limit(MemoryLimit::Bytes(limit));
        }
        let input = BufReader::new(file);
        let decoder = guarded(|| options.read_info(input).map_err(in_words))
            .map_err(|why| damaged(path, 0, &why))?;
        let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
        if let Some(fault) = size_fault(width, height) {
            return Err(CameraError::bad_data(path, fault, SHRINK));
        }
        Ok(Self {
            path: path.to_owned(),
            decoder: Some(decoder),
            canvas: vec![0; width as usize * height as usize * 3],
            width,
            height,
            piece: Vec::new(),
            dispose: DisposalMethod::Keep,
            area: Area::default(),
            below: Vec::new(),
            at: Duration::ZERO,
            shown: 0,
        })
    }

    /// Draws the next piece onto the canvas; returns how long it is shown, `None` at the end.
    fn draw(&mut self) -> Result<Option<Duration>, String> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(None);
        };
        let piece = &mut self.piece;
        let info = guarded(|| {
            let Some(info) = decoder.next_frame_info().map_err(in_words)? else {
                return Ok(None);
            };
            let area = Area {
                left: info.left.into(),
                top: info.top.into(),
                width: info.width.into(),
                height: info.height.into(),
            };
            let (delay, dispose) = (info.delay, info.dispose);
            if size_fault(info.width.into(), info.height.into()).is_some() {
                return Err("a piece has an impossible size".to_owned());
            }
            piece.resize(area.width * area.height * 4, 0);
            decoder.read_into_buffer(piece).map_err(in_words)?;
            Ok(Some((area, delay, dispose)))
        })?;
        let Some((area, delay, dispose)) = info else {
            return Ok(None);
        };
        match self.dispose {
            DisposalMethod::Background => {
                rows(&mut self.canvas, self.width, self.area).for_each(|row| row.fill(0));
            }
            DisposalMethod::Previous => self.canvas.clone_from(&self.below),
            DisposalMethod::Any | DisposalMethod::Keep => {}
        }
        if dispose == DisposalMethod::Previous {
            self.below.clone_from(&self.canvas);
        }
        (self.area, self.dispose) = (area, dispose);
        let piece_rows = self.piece.chunks_exact((area.width * 4).max(1));
        for (row, piece) in rows(&mut self.canvas, self.width, area).zip(piece_rows) {
            let pixels = row.as_chunks_mut::<3>().0.iter_mut();
            for (pixel, [r, g, b, alpha]) in pixels.zip(piece.as_chunks::<4>().0) {
                if *alpha != 0 {
                    *pixel = [*r, *g, *b];
                }
            }
        }
        let delay = Duration::from_millis(u64::from(delay) * 10);
        Ok(Some(if delay.is_zero() { NO_DELAY } else { delay }))
    }
}

/// The rows of an RGB canvas inside `area`; what lies outside the canvas is cut off.
fn rows(canvas: &mut [u8], width: u32, area: Area) -> impl Iterator<Item = &mut [u8]> {
    let width = width as usize;
    let from = area.left.min(width) * 3;
    let to = (area.left + area.width).min(width) * 3;
    canvas
        .chunks_exact_mut(width * 3)
        .skip(area.top)
        .take(area.height)
        .filter_map(move |row| row.get_mut(from..to))
}

impl FrameSource for Gif {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        loop {
            let why = match self.draw() {
                Ok(Some(delay)) => {
                    let (at, index) = (self.at, self.shown);
                    self.at += delay;
                    self.shown += 1;
                    if !keep(at) {
                        continue;
                    }
                    (frame.width, frame.height) = (self.width, self.height);
                    frame.rgb.clone_from(&self.canvas);
                    (frame.at, frame.index) = (at, index);
                    return Ok(Next::Frame);
                }
                Ok(None) if self.decoder.is_none() || self.shown > 0 => {
                    self.decoder = None;
                    return Ok(Next::End);
                }
                Ok(None) => "there is no picture in it".to_owned(),
                Err(why) => why,
            };
            self.decoder = None;
            return Err(damaged(&self.path, self.shown, &why));
        }
    }
}

/// What an animation says about itself: its first delay stands for all.
///
/// # Errors
/// As [`Gif::open`]; also a damaged first frame.
pub(super) fn probe(path: &Path, file: File) -> Result<ClipInfo, CameraError> {
    let mut gif = Gif::open(path, file)?;
    gif.next_frame(&mut Frame::default())?;
    Ok(ClipInfo {
        width: gif.width,
        height: gif.height,
        frames: None,
        fps: gif.at.as_secs_f64().recip(),
        codec: "gif".to_owned(),
    })
}

/// Runs the decoder, which is third-party code on damaged input: a panic is a fault of the file.
fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("its decoder failed".to_owned()))
}

fn in_words(error: gif::DecodingError) -> String {
    match error {
        gif::DecodingError::UnexpectedEof => "the file ends here".to_owned(),
        other => other.to_string(),
    }
}

fn damaged(path: &Path, good: u64, why: &str) -> CameraError {
    CameraError::bad_data(
        path,
        format!("damaged after {good} good frames: {why}"),
        RECORD_AGAIN,
    )
}

#[cfg(test)]
mod tests;
