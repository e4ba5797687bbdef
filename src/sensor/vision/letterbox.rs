//! From a frame to a model's input tensor: resize, place, reorder, normalise, in one pass.

use super::Rect;
use super::bilinear::{Bilinear, Target};
use super::manifest::{Align, Colour, Input, Resize};
use crate::sensor::camera::Frame;

/// Where a frame lies on the model's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Size of the frame, pixels.
    frame: (u32, u32),
    /// Size of the resized frame, pixels of the input.
    size: (u32, u32),
    /// Top left corner of the resized frame, pixels of the input.
    corner: (u32, u32),
    /// Pixels of the input per pixel of the frame.
    scale: (f32, f32),
}

impl Placement {
    /// Where a frame of a size (width, height; neither is 0) lies.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // sizes are far below 2^24 and the results lie between 1 and the input's size
    pub fn new(input: &Input, frame: (u32, u32)) -> Self {
        let (width, height) = (input.width, input.height);
        let scale = (
            width as f32 / frame.0 as f32,
            height as f32 / frame.1 as f32,
        );
        if input.resize == Resize::Stretch {
            return Self {
                frame,
                size: (width, height),
                corner: (0, 0),
                scale,
            };
        }
        // In f64 and truncated, as YOLOX's own preparation does it.
        let ratio =
            (f64::from(width) / f64::from(frame.0)).min(f64::from(height) / f64::from(frame.1));
        let fitted = |side: u32, limit: u32| ((f64::from(side) * ratio) as u32).clamp(1, limit);
        let size = (fitted(frame.0, width), fitted(frame.1, height));
        let corner = match input.align {
            Align::TopLeft => (0, 0),
            Align::Center => ((width - size.0) / 2, (height - size.1) / 2),
        };
        Self {
            frame,
            size,
            corner,
            scale: (ratio as f32, ratio as f32),
        }
    }

    /// Pixels of the input per pixel of the frame, horizontally and vertically.
    #[must_use]
    pub const fn scale(&self) -> (f32, f32) {
        self.scale
    }

    /// A box of the input on the frame, clipped to it; `None` if nothing of it is left.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // sizes are far below 2^24
    pub fn to_frame(&self, rect: Rect) -> Option<Rect> {
        let x =
            |x: f32| ((x - self.corner.0 as f32) / self.scale.0).clamp(0.0, self.frame.0 as f32);
        let y =
            |y: f32| ((y - self.corner.1 as f32) / self.scale.1).clamp(0.0, self.frame.1 as f32);
        let clipped = Rect {
            x0: x(rect.x0),
            y0: y(rect.y0),
            x1: x(rect.x1),
            y1: y(rect.y1),
        };
        (clipped.area() > 0.0).then_some(clipped)
    }
}

/// Fills input tensors; keeps what it worked out for the last frame's size.
pub struct Letterbox {
    input: Input,
    placed: Option<(Placement, Bilinear)>,
}

impl Letterbox {
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self {
            input,
            placed: None,
        }
    }

    /// Values of the tensor: 3 · height · width.
    #[must_use]
    pub fn tensor_len(&self) -> usize {
        3 * self.input.width as usize * self.input.height as usize
    }

    /// Fills `tensor` (3 planes, [`Self::tensor_len`] values) from `frame`. Must be the same tensor
    /// every time: the border is painted only when the frame's size changes.
    ///
    /// # Errors
    /// What is wrong with the frame or the tensor, in words.
    pub fn fill(&mut self, frame: &Frame, tensor: &mut [f32]) -> Result<Placement, String> {
        if tensor.len() != self.tensor_len() {
            return Err(format!(
                "a tensor of {} values instead of {}",
                tensor.len(),
                self.tensor_len()
            ));
        }
        let size = (frame.width, frame.height);
        let bytes = u64::from(size.0) * u64::from(size.1) * 3;
        if bytes == 0 || frame.rgb.len() as u64 != bytes {
            return Err(format!(
                "a frame of {}×{} pixels with {} bytes instead of width × height × 3",
                size.0,
                size.1,
                frame.rgb.len()
            ));
        }
        let current = self
            .placed
            .take()
            .filter(|(placed, _)| placed.frame == size);
        let (placement, resize) = self
            .placed
            .insert(current.unwrap_or_else(|| self.input.place(size, tensor)));
        let stride = self.input.width as usize;
        let plane = stride * self.input.height as usize;
        let corner = placement.corner.1 as usize * stride + placement.corner.0 as usize;
        let channels = self.input.channels();
        let mut target = Target {
            tensor,
            stride,
            start: channels.map(|channel| channel * plane + corner),
            affine: channels.map(|channel| self.input.affine(channel)),
        };
        resize.resize(&frame.rgb, &mut target);
        Ok(*placement)
    }
}

impl Input {
    /// Prepares for frames of `size` and paints the border.
    fn place(&self, size: (u32, u32), tensor: &mut [f32]) -> (Placement, Bilinear) {
        let plane = self.width as usize * self.height as usize;
        for (channel, values) in tensor.chunks_exact_mut(plane).enumerate() {
            let (factor, offset) = self.affine(channel);
            values.fill(f32::from(self.pad) * factor + offset);
        }
        let placement = Placement::new(self, size);
        (placement, Bilinear::new(size, placement.size))
    }

    /// The tensor's channel of red, green and blue.
    fn channels(&self) -> [usize; 3] {
        match self.colour {
            Colour::Rgb => [0, 1, 2],
            Colour::Bgr => [2, 1, 0],
        }
    }
}

#[cfg(test)]
mod tests;
