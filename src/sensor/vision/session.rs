//! A detector that runs an ONNX model: frame → tensor → inference → boxes on the frame.

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use super::decode::Head;
use super::letterbox::Letterbox;
use super::manifest::Manifest;
use super::nms;
use super::runtime::Runtime;
use super::{Detection, Detector, VisionError};
use crate::sensor::camera::Frame;

/// One model, ready to run. Its tensors and buffers are made once.
pub struct OnnxDetector {
    session: Session,
    tensor: Tensor<f32>,
    letterbox: Letterbox,
    head: Head,
    /// Shape of the output, as the first inference gave it.
    output: Vec<i64>,
    /// Indices of the classes worth having.
    wanted: Vec<u16>,
    floor: f32,
    nms_iou: f32,
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
        let input = &manifest.input;
        let shape = [1, 3, i64::from(input.height), i64::from(input.width)];
        check_input(session.inputs(), &shape).map_err(unfit)?;

        let letterbox = Letterbox::new(*input);
        let zeros = vec![0.0; letterbox.tensor_len()];
        let tensor = Tensor::from_array((shape, zeros))
            .map_err(|error| unfit(format!("no tensor of shape {}: {error}", times(&shape))))?;

        // One inference on black: it gives the output's true shape, and what is broken shows now.
        let output = infer(&mut session, &tensor, |shape, _| shape.to_vec())
            .map_err(|error| unfit(format!("the first inference fails: {error}")))?;
        let head = Head::fit(manifest.decoder, (input.width, input.height), &output).map_err(
            |expected| {
                unfit(format!(
                    "its output is {}, the decoder {} expects {expected}",
                    times(&output),
                    format!("{:?}", manifest.decoder).to_lowercase()
                ))
            },
        )?;
        let wanted: Vec<u16> = manifest.classes.values().copied().collect();
        if let Some(class) = wanted
            .iter()
            .find(|&&class| usize::from(class) >= head.classes())
        {
            return Err(unfit(format!(
                "the manifest names class {class}, the model tells {} classes apart, from 0",
                head.classes()
            )));
        }
        Ok(Self {
            session,
            tensor,
            letterbox,
            head,
            output,
            wanted,
            floor: manifest.floor,
            nms_iou: manifest.nms_iou,
        })
    }

    /// One inference on the tensor that the last frame left behind, without anything around it: what
    /// the whole of [`Detector::detect`] is measured against.
    ///
    /// # Errors
    /// [`VisionError::Inference`].
    pub fn infer_again(&mut self) -> Result<(), VisionError> {
        infer(&mut self.session, &self.tensor, |_, _| ()).map_err(VisionError::Inference)
    }
}

impl Detector for OnnxDetector {
    fn detect(&mut self, frame: &Frame, out: &mut Vec<Detection>) -> Result<(), VisionError> {
        out.clear();
        let (_, values) = self
            .tensor
            .try_extract_tensor_mut()
            .map_err(|error| VisionError::Inference(error.to_string()))?;
        let placement = self
            .letterbox
            .fill(frame, values)
            .map_err(VisionError::Inference)?;
        let shape_at_load = &self.output;
        infer(&mut self.session, &self.tensor, |shape, output| {
            if shape != shape_at_load.as_slice() {
                let (is, was) = (times(shape), times(shape_at_load));
                return Err(format!("the output changed its shape from {was} to {is}"));
            }
            self.head.decode(output, self.floor, &self.wanted, out);
            Ok(())
        })
        .flatten()
        .map_err(VisionError::Inference)?;
        // Before clipping: two people cut by the frame's edge overlap more than they do in the shop.
        nms::suppress(out, self.nms_iou);
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

/// Runs the model and hands the output's shape and values to `read`.
fn infer<T>(
    session: &mut Session,
    tensor: &Tensor<f32>,
    read: impl FnOnce(&[i64], &[f32]) -> T,
) -> Result<T, String> {
    let outputs = session
        .run(ort::inputs![tensor])
        .map_err(|error| error.to_string())?;
    if outputs.len() != 1 {
        return Err(format!("{} outputs instead of one", outputs.len()));
    }
    let (_, output) = outputs.iter().next().ok_or("no output")?;
    let (shape, values) = output
        .try_extract_tensor::<f32>()
        .map_err(|error| error.to_string())?;
    Ok(read(shape, values))
}

/// Holds the model's input against the manifest's. A dimension the model leaves open fits everything.
fn check_input(inputs: &[Outlet], expected: &[i64]) -> Result<(), String> {
    let [input] = inputs else {
        return Err(format!("{} inputs instead of one", inputs.len()));
    };
    match input.dtype() {
        ValueType::Tensor { ty, shape, .. } if *ty == TensorElementType::Float32 => {
            let fits = shape.len() == expected.len()
                && shape
                    .iter()
                    .zip(expected)
                    .all(|(is, want)| *is < 0 || is == want);
            fits.then_some(()).ok_or_else(|| {
                let (is, want) = (times(shape), times(expected));
                format!("its input is {is}, the manifest says {want}")
            })
        }
        other => Err(format!(
            "its input is {other}, not a tensor of 32-bit floats"
        )),
    }
}

/// A shape in words, such as 1×3×416×416.
fn times(shape: &[i64]) -> String {
    let sides: Vec<String> = shape.iter().map(i64::to_string).collect();
    sides.join("×")
}

#[cfg(test)]
mod tests;
