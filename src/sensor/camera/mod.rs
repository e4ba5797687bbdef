//! Where frames come from.
//!
//! ```text
//!  open ─┬─ mp4 ─ h264 ─┬─ yuv ─► Frame ─► live::Paced ─► live::capture_loop ─► live::Slot ─► vision
//!        ├─ ffmpeg ─────┤            └────────────────────────── replay ──────────────────► vision
//!        ├─ gif         │
//!        └─ pictures    │
//!  rtsp ─┬─ h264 ───────┤
//!        └─ external ───┤
//!  v4l2 ────────────────┘
//! ```
//!
//! - [`v4l2`]: USB and built-in cameras
//! - [`rtsp`]: network cameras
//! - [`external`]: their pictures decoded by a supervised `ffmpeg` (`child`), raw through a pipe (`y4m`)
//! - [`frozen`]: whether the picture still changes
//!
//! - [`open`]: looks at a file's first bytes and picks the reader
//! - `mp4`, `h264`: MP4 and MOV with H.264, decoded in this process
//! - `gif`, `pictures`: animated GIF; a folder of pictures
//! - `ffmpeg`: everything else, through an installed `ffmpeg`
//! - `yuv`: what video decoders give, to RGB
//! - [`decimate`]: fewer frames per second, by their timestamps
//! - [`preview`]: what the technician sees of a camera, with people made unrecognisable
//! - [`live`]: a recording at its own speed, and the slot that keeps only the newest frame

use std::path::Path;
use std::time::Duration;

use crate::words::Words;

mod child;
pub mod decimate;
pub mod external;
mod ffmpeg;
pub mod frozen;
mod gif;
mod h264;
pub mod live;
mod matroska;
mod mp4;
mod open;
mod pictures;
pub mod preview;
pub mod rtsp;
#[cfg(test)]
mod testing;
pub mod v4l2;
mod y4m;
mod yuv;

pub use open::{ClipInfo, FileSpec, open, probe};

/// Largest width or height of a picture, pixels.
pub(crate) const MAX_SIDE: u32 = 8192;
/// Largest picture, pixels: 4K with its rows rounded up. One RGB frame is then 28 MB.
pub(crate) const MAX_PIXELS: u64 = 4096 * 2304;

/// One picture in memory. The buffer is reused: a source overwrites it for every frame.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// RGB, 8 bits each, interleaved, rows top to bottom without padding: `width * height * 3` bytes.
    pub rgb: Vec<u8>,
    /// Time of the picture: of a recording since its start, of a live camera since boot.
    pub at: Duration,
    /// Position of the frame in its source, from 0; frames passed over are counted.
    pub index: u64,
}

/// What [`FrameSource::next_kept`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The frame was filled.
    Frame,
    /// The recording is over.
    End,
}

/// Why there is no frame. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// The file or device is missing or unreadable.
    #[error("{what}: {why}; {fix}")]
    Unavailable {
        what: String,
        why: String,
        fix: String,
    },
    /// The content is not what it should be.
    #[error("{what}: {why}; {fix}")]
    BadData {
        what: String,
        why: String,
        fix: String,
    },
    /// A camera at work in a shop: what and why and what to do, in both languages.
    #[error("{}", .0.en)]
    Live(Words),
}

impl CameraError {
    /// For the page.
    #[must_use]
    pub fn words(&self) -> Words {
        let zh = match self {
            Self::Live(words) => return words.clone(),
            Self::Unavailable { what, why, .. } => {
                format!("无法打开 {what}（{why}）；请检查配置中的路径和权限")
            }
            Self::BadData { what, why, .. } => {
                format!("{what} 的内容有误（{why}）；请更换或重新录制")
            }
        };
        Words::new(self.to_string(), zh)
    }

    fn unavailable(path: &Path, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Unavailable {
            what: path.display().to_string(),
            why: why.into(),
            fix: fix.into(),
        }
    }

    fn bad_data(path: &Path, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::BadData {
            what: path.display().to_string(),
            why: why.into(),
            fix: fix.into(),
        }
    }
}

/// A camera, or something that behaves like one.
///
/// After [`Next::End`] or an error a source has nothing more to give and answers [`Next::End`].
pub trait FrameSource: Send {
    /// Waits for the next frame whose time `keep` accepts and fills `frame`, reusing its buffer. `keep` is asked once
    /// for every frame, in their order; the others need not be converted.
    ///
    /// # Errors
    /// [`CameraError`] in plain words.
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError>;

    /// The next frame, whatever its time.
    ///
    /// # Errors
    /// Those of [`FrameSource::next_kept`].
    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, CameraError> {
        self.next_kept(frame, &mut |_| true)
    }
}

/// Why a picture of this size cannot be used; `None` when it can.
fn size_fault(width: u32, height: u32) -> Option<String> {
    if width == 0 || height == 0 {
        return Some("its pictures have no size".to_owned());
    }
    let pixels = u64::from(width) * u64::from(height);
    (width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS).then(|| {
        format!("its pictures are {width}x{height}, more than 4096x2304 pixels in all or {MAX_SIDE} along a side")
    })
}

/// What to do about pictures that are too large.
const SHRINK: &str = "shrink it first: ffmpeg -i FILE -vf scale=1280:-2 smaller.mp4";
