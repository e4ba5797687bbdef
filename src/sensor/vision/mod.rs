//! From frames to crossings: view, detector, tracker, counting.

pub mod background;
pub mod bilinear;
pub mod count;
pub mod decode;
pub mod gate;
pub mod letterbox;
pub mod manifest;
pub mod nms;
pub mod pipeline;
pub mod privacy;
pub mod quality;
pub mod runtime;
pub mod session;
pub mod track;
pub mod view;

use crate::sensor::camera::Frame;

/// An axis-aligned box in pixels of the frame, `x0 <= x1`, `y0 <= y1`, origin top left.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x0: f32,
    pub y0: f32,
    pub x1: f32,
    pub y1: f32,
}

impl Rect {
    #[must_use]
    pub fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    #[must_use]
    pub fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    #[must_use]
    pub fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// Intersection over union, 0..=1.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let w = self.x1.min(other.x1) - self.x0.max(other.x0);
        let h = self.y1.min(other.y1) - self.y0.max(other.y0);
        if w <= 0.0 || h <= 0.0 {
            return 0.0;
        }
        let both = w * h;
        both / (self.area() + other.area() - both)
    }
}

/// One object on one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    pub rect: Rect,
    /// 0..=1.
    pub score: f32,
    /// Index into the model's classes.
    pub class: u16,
}

/// Finds people on a frame.
pub trait Detector: Send {
    /// Clears `out` and fills it with finite boxes, clipped to the frame, best score first; scores may lie
    /// below the threshold (the tracker uses weak ones to keep a track alive).
    ///
    /// # Errors
    /// [`VisionError`] when inference fails.
    fn detect(&mut self, frame: &Frame, out: &mut Vec<Detection>) -> Result<(), VisionError>;
}

/// What can go wrong between a frame and its detections. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// The ONNX Runtime library is missing or is not what it says.
    #[error("ONNX Runtime: {why}; {fix}")]
    Runtime { why: String, fix: String },
    /// The model's manifest or its weights are not there, or cannot be read.
    #[error("model {model}: {why}; {fix}")]
    Missing {
        model: String,
        why: String,
        fix: String,
    },
    /// The model is damaged, or does not fit its manifest or the config.
    #[error("model {model}: {why}; {fix}")]
    Model {
        model: String,
        why: String,
        fix: String,
    },
    /// One inference failed.
    #[error("inference: {0}")]
    Inference(String),
}
