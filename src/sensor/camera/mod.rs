//! Where frames come from.

use std::time::Duration;

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
    /// Position of the frame in its source, from 0.
    pub index: u64,
}

/// What [`FrameSource::next_frame`] found.
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
}

/// A camera, or something that behaves like one.
pub trait FrameSource: Send {
    /// Waits for the next frame and fills `frame`, reusing its buffer.
    ///
    /// # Errors
    /// [`CameraError`] in plain words.
    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, CameraError>;
}
