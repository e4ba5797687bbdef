//! A detector that runs an ONNX model: frame → tensor → inference → boxes on the frame.

mod feed;
mod outcome;

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::decode::Head;
use super::letterbox::Letterbox;
use super::manifest::Manifest;
use super::nms;
use super::runtime::Runtime;
use super::{Detection, Detector, VisionError};
use crate::sensor::camera::Frame;
use feed::Feed;
use outcome::Outcome;

/// One model, ready to run. Its tensors and buffers are made once.
pub struct OnnxDetector {
    session: Session,
    letterbox: Letterbox,
    feed: Feed,
    outcome: Outcome,
    head: Head,
    /// Indices of the classes worth having.
    wanted: Vec<u16>,
    floor: f32,
    limits: nms::Limits,
}

impl OnnxDetector {
    /// Loads the manifest's weights, to run on `threads` threads (1..=8).
    ///
    /// # Errors
    /// [`VisionError::Missing`] when the weights are not there, [`VisionError::Model`] when they are damaged or do not
    /// fit the manifest.
    pub fn load(manifest: &Manifest, threads: u8, runtime: &Runtime) -> Result<Self, VisionError> {
        let weights = manifest.read_weights()?;
        Self::build(manifest, &weights, threads, runtime)
    }

    /// The same from weights in memory, which are held against the manifest's sha256 too.
    ///
    /// # Errors
    /// [`VisionError::Model`] when the weights are damaged or do not fit the manifest.
    pub fn from_bytes(
        manifest: &Manifest,
        weights: &[u8],
        threads: u8,
        runtime: &Runtime,
    ) -> Result<Self, VisionError> {
        manifest.verify(weights, "the weights in memory")?;
        Self::build(manifest, weights, threads, runtime)
    }

    fn build(
        manifest: &Manifest,
        weights: &[u8],
        threads: u8,
        runtime: &Runtime,
    ) -> Result<Self, VisionError> {
        let unfit = |why: String| {
            manifest.error(
                why,
                format!(
                    "correct the manifest {} or get the weights it was written for",
                    manifest.path.display()
                ),
            )
        };
        let mut session = builder(runtime, threads)
            .and_then(|mut builder| builder.commit_from_memory(weights))
            .map_err(|error| unfit(format!("ONNX Runtime refuses the weights: {error}")))?;
        let letterbox = Letterbox::new(manifest.input);
        let feed = Feed::fit(&manifest.input, session.inputs()).map_err(unfit)?;

        // One inference on nothing but zeros: it gives the outputs' true shapes, and what is broken shows now.
        let outputs = session
            .run(ort::inputs![feed.tensor()])
            .map(|outputs| outcome::offered(&outputs))
            .map_err(|error| unfit(format!("the first inference fails: {error}")))?;
        let head =
            Head::fit(&manifest.wish(), &outputs).map_err(|misfit| unfit(misfit.to_string()))?;
        let classes = head.classes();
        let beyond = |(_, class): &(&String, &u16)| usize::from(**class) >= classes;
        if let Some((name, class)) = manifest.classes.iter().find(beyond) {
            return Err(unfit(format!(
                "classes.{name}: {class}, the model tells {classes} classes apart, from 0"
            )));
        }
        Ok(Self {
            session,
            letterbox,
            feed,
            outcome: Outcome::new(head.used(), &outputs),
            head,
            wanted: manifest.classes.values().copied().collect(),
            floor: manifest.floor,
            limits: nms::Limits {
                iou: manifest.nms_iou,
                inside: manifest.nms_inside,
            },
        })
    }

    /// One inference on the tensor that the last frame left behind, without anything around it: what
    /// the whole of [`Detector::detect`] is measured against.
    ///
    /// # Errors
    /// [`VisionError::Inference`].
    pub fn infer_again(&mut self) -> Result<(), VisionError> {
        let run = self.session.run(ort::inputs![self.feed.tensor()]);
        run.map(drop)
            .map_err(|error| VisionError::Inference(error.to_string()))
    }
}

impl Detector for OnnxDetector {
    fn detect(&mut self, frame: &Frame, out: &mut Vec<Detection>) -> Result<(), VisionError> {
        out.clear();
        let placement = self
            .feed
            .fill(&mut self.letterbox, frame)
            .map_err(VisionError::Inference)?;
        let outputs = self
            .session
            .run(ort::inputs![self.feed.tensor()])
            .map_err(|error| VisionError::Inference(error.to_string()))?;
        let (head, floor, wanted) = (&self.head, self.floor, &self.wanted);
        self.outcome
            .read(&outputs, |values| head.decode(values, floor, wanted, out))
            .map_err(VisionError::Inference)?;
        // Before clipping: two people cut by the frame's edge overlap more than they do in the shop.
        nms::suppress(out, self.limits);
        out.retain_mut(|found| match placement.to_frame(found.rect) {
            Some(rect) => {
                found.rect = rect;
                true
            }
            None => false,
        });
        Ok(())
    }
}

/// Session options, each measured on small detectors: spinning threads cost seven times the CPU between
/// frames, lower optimisation levels are half as fast, the memory pattern costs 6 MB and saves no time.
fn builder(runtime: &Runtime, threads: u8) -> ort::Result<SessionBuilder> {
    Ok(Session::builder(&runtime.environment)?
        .with_intra_threads(usize::from(threads.clamp(1, 8)))?
        .with_intra_op_spinning(false)?
        .with_inter_threads(1)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_memory_pattern(false)?)
}

#[cfg(test)]
mod tests;
