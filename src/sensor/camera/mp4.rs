//! MP4 and MOV with H.264: samples are read from the file one at a time and decoded in this process.

mod boxes;
mod fragments;
mod index;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::index::{Codec, Fault, Index, Sample};
use super::h264::{Config, H264, planes};
use super::yuv::to_rgb;
use super::{CameraError, ClipInfo, Frame, FrameSource, Next};

/// Largest coded picture, bytes; a key frame of 4K video has about 1 MB.
const MAX_SAMPLE: u32 = 16 << 20;
/// What to do about a damaged recording.
pub(super) const RECORD_AGAIN: &str = "copy or record it again";

/// Why this reader does not play a file.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody can play it.
    Broken(CameraError),
    /// `ffmpeg` may: why this reader does not.
    NotForUs(String),
}

/// A recording being played.
pub(super) struct Mp4 {
    path: PathBuf,
    file: File,
    length: u64,
    index: Index,
    h264: H264,
    /// Position of the next sample to decode.
    next: usize,
    /// Reused: the bytes of one sample.
    sample: Vec<u8>,
    /// Times of the samples that the decoder has taken and not yet given back. It gives pictures in
    /// the order in which they are shown, so the next one has the earliest of these.
    inside: BinaryHeap<Reverse<i64>>,
    stage: Stage,
    /// Pictures given back by the decoder.
    decoded: usize,
    /// Frames of the shown part so far.
    shown: u64,
    /// Of the first picture; all are alike.
    size: Option<(u32, u32)>,
    /// Why decoding stopped before the last sample.
    fault: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Decoding,
    /// All samples are in; the decoder still holds pictures.
    Flushing,
    Over,
}

impl Mp4 {
    /// Opens a recording; the first picture is decoded to see whether the decoder can.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn open(path: &Path, file: File) -> Result<Self, Refusal> {
        let (length, index) = read_index(path, &file)?;
        let config = config(&index)?;
        let mut mp4 = Self {
            path: path.to_owned(),
            file,
            length,
            h264: H264::new(config.clone()).map_err(Refusal::NotForUs)?,
            next: 0,
            sample: Vec::new(),
            inside: BinaryHeap::new(),
            stage: Stage::Decoding,
            decoded: 0,
            shown: 0,
            size: None,
            fault: None,
            index,
        };
        if let Some(first) = mp4.index.samples.first().copied()
            && mp4.read_sample(first).is_ok()
        {
            mp4.h264.decode(&mp4.sample).map_err(Refusal::NotForUs)?;
            mp4.h264 = H264::new(config).map_err(Refusal::NotForUs)?;
        }
        Ok(mp4)
    }

    fn read_sample(&mut self, sample: Sample) -> Result<(), String> {
        if sample.end() > self.length {
            return Err("the file ends here".to_owned());
        }
        if sample.size > MAX_SAMPLE {
            return Err("a picture is larger than 16 MB".to_owned());
        }
        self.sample.resize(sample.size as usize, 0);
        self.file
            .read_exact_at(&mut self.sample, sample.offset)
            .map_err(|error| format!("the file cannot be read ({error})"))
    }

    /// Reads the next sample into `self.sample`; `false` when there is none or it cannot be read.
    fn advance(&mut self) -> bool {
        let Some(sample) = self.index.samples.get(self.next).copied() else {
            return false;
        };
        if let Err(why) = self.read_sample(sample) {
            self.fault = Some(why);
            return false;
        }
        self.next += 1;
        self.inside.push(Reverse(sample.pts));
        true
    }

    /// The decoder refused the last sample.
    fn stop_at_last_sample(&mut self, why: String) {
        self.fault = Some(why);
        if let Some(last) = self
            .next
            .checked_sub(1)
            .and_then(|n| self.index.samples.get(n))
        {
            let refused = last.pts;
            self.inside.retain(|Reverse(pts)| *pts != refused);
        }
        self.stage = Stage::Flushing;
    }

    /// The end, or why the recording ends too early.
    fn finish(&mut self) -> Result<Next, CameraError> {
        self.stage = Stage::Over;
        let why = if let Some(why) = self.fault.take() {
            why
        } else if self.decoded < self.index.samples.len() {
            let (good, all) = (self.decoded, self.index.samples.len());
            format!("only {good} of {all} pictures could be decoded")
        } else if self.index.cut {
            "the file ends here".to_owned()
        } else {
            return Ok(Next::End);
        };
        Err(CameraError::bad_data(
            &self.path,
            format!("damaged after {} good frames: {why}", self.shown),
            RECORD_AGAIN,
        ))
    }
}

impl FrameSource for Mp4 {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        loop {
            if self.stage == Stage::Decoding && !self.advance() {
                self.stage = Stage::Flushing;
            }
            let matrix = self.h264.matrix();
            let picture = match self.stage {
                Stage::Over => return Ok(Next::End),
                Stage::Decoding => match self.h264.decode(&self.sample) {
                    Ok(picture) => picture,
                    Err(why) => {
                        self.stop_at_last_sample(why);
                        continue;
                    }
                },
                Stage::Flushing => match self.h264.flush() {
                    Ok(Some(picture)) => Some(picture),
                    Ok(None) | Err(_) => return self.finish(),
                },
            };
            let Some(picture) = picture else { continue };
            self.decoded += 1;
            let Some(Reverse(pts)) = self.inside.pop() else {
                self.fault = Some("there are more pictures than its index lists".to_owned());
                return self.finish();
            };
            if !self.index.shown.contains(&pts) {
                continue;
            }
            let planes = planes(&picture);
            let size = (planes.width, planes.height);
            if *self.size.get_or_insert(size) != size {
                self.fault = Some("the size of its pictures changes here".to_owned());
                return self.finish();
            }
            let at = time(pts.saturating_sub(self.index.origin), self.index.timescale);
            frame.index = self.shown;
            self.shown += 1;
            if keep(at) {
                frame.at = at;
                to_rgb(&planes, matrix, frame);
                return Ok(Next::Frame);
            }
        }
    }
}

/// What a recording says about itself; its pictures are not decoded.
///
/// # Errors
/// [`Refusal`].
pub(super) fn probe(path: &Path, file: &File) -> Result<ClipInfo, Refusal> {
    let (length, index) = read_index(path, file)?;
    let sps = config(&index)?.sps;
    if index.cut || index.samples.iter().any(|sample| sample.end() > length) {
        return Err(broken(path, "the file ends before its last picture"));
    }
    let shown = || {
        index
            .samples
            .iter()
            .filter(|s| index.shown.contains(&s.pts))
    };
    let frames = shown().count() as u64;
    let last = shown().map(|sample| sample.pts).max().unwrap_or(0);
    let seconds = time(last.saturating_sub(index.origin), index.timescale).as_secs_f64();
    Ok(ClipInfo {
        width: sps.width,
        height: sps.height,
        frames: Some(frames),
        fps: if seconds > 0.0 {
            (frames - 1) as f64 / seconds
        } else {
            0.0
        },
        codec: "h264".to_owned(),
    })
}

fn read_index(path: &Path, file: &File) -> Result<(u64, Index), Refusal> {
    let length = file
        .metadata()
        .map_err(|error| broken(path, format!("cannot be read ({error})")))?
        .len();
    let index = index::read(file, length).map_err(|fault| match fault {
        Fault::Damaged(why) => broken(path, why),
        Fault::Unsupported(why) => Refusal::NotForUs(why),
    })?;
    Ok((length, index))
}

fn broken(path: &Path, why: impl Into<String>) -> Refusal {
    Refusal::Broken(CameraError::bad_data(path, why, RECORD_AGAIN))
}

fn config(index: &Index) -> Result<Config, Refusal> {
    match &index.codec {
        Codec::Avc(avcc) => Config::parse(avcc).map_err(Refusal::NotForUs),
        Codec::Other(name) => Err(Refusal::NotForUs(format!("its video is coded as {name}"))),
    }
}

/// Time since the start of a recording.
fn time(units: i64, timescale: u32) -> Duration {
    let nanos = u128::from(units.unsigned_abs()) * 1_000_000_000 / u128::from(timescale.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
