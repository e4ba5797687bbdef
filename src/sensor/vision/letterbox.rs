//! From a frame to a model's input tensor: resize, place, reorder, normalise.
//!
//! The resize is bilinear with half-pixel centres and without antialiasing, as the models were trained
//! with. All buffers live as long as the [`Letterbox`].

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::Rect;
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
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // sizes are far below 2^24 and the results lie between 1 and the input's size
    fn new(input: &Input, frame: (u32, u32)) -> Self {
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

/// Fills input tensors; keeps its buffers and the placement of the last frame.
pub struct Letterbox {
    input: Input,
    resizer: Resizer,
    options: ResizeOptions,
    /// The resized frame, RGB.
    resized: Vec<u8>,
    placement: Option<Placement>,
}

impl Letterbox {
    #[must_use]
    pub fn new(input: Input) -> Self {
        Self {
            input,
            resizer: Resizer::new(),
            options: ResizeOptions::new()
                .resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear))
                .use_alpha(false),
            resized: Vec::new(),
            placement: None,
        }
    }

    /// Values of the tensor: 3 · height · width.
    #[must_use]
    pub fn tensor_len(&self) -> usize {
        3 * self.plane_len()
    }

    fn plane_len(&self) -> usize {
        self.input.width as usize * self.input.height as usize
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
        let pixels = u64::from(frame.width) * u64::from(frame.height);
        if pixels == 0 || frame.rgb.len() as u64 != pixels * 3 {
            return Err(format!(
                "a frame of {}×{} pixels with {} bytes instead of width × height × 3",
                frame.width,
                frame.height,
                frame.rgb.len()
            ));
        }
        let placement = self.place((frame.width, frame.height), tensor);
        self.resize(frame, &placement)?;
        self.write(&placement, tensor);
        Ok(placement)
    }

    fn place(&mut self, frame: (u32, u32), tensor: &mut [f32]) -> Placement {
        if let Some(placement) = self.placement.filter(|placed| placed.frame == frame) {
            return placement;
        }
        let placement = Placement::new(&self.input, frame);
        self.resized
            .resize(placement.size.0 as usize * placement.size.1 as usize * 3, 0);
        for (channel, plane) in tensor.chunks_exact_mut(self.plane_len()).enumerate() {
            let (factor, offset) = self.input.affine(channel);
            plane.fill(f32::from(self.input.pad) * factor + offset);
        }
        self.placement = Some(placement);
        placement
    }

    fn resize(&mut self, frame: &Frame, placement: &Placement) -> Result<(), String> {
        let (width, height) = placement.size;
        let source = ImageRef::new(frame.width, frame.height, &frame.rgb, PixelType::U8x3)
            .map_err(|error| error.to_string())?;
        let mut target = Image::from_slice_u8(width, height, &mut self.resized, PixelType::U8x3)
            .map_err(|error| error.to_string())?;
        self.resizer
            .resize(&source, &mut target, &self.options)
            .map_err(|error| error.to_string())
    }

    /// One pass over the resized frame, into the three planes.
    fn write(&self, placement: &Placement, tensor: &mut [f32]) {
        let stride = self.input.width as usize;
        let (width, left) = (placement.size.0 as usize, placement.corner.0 as usize);
        let first = placement.corner.1 as usize * stride;
        let (plane0, rest) = tensor.split_at_mut(self.plane_len());
        let (plane1, plane2) = rest.split_at_mut(self.plane_len());
        let (red, green, blue) = match self.input.colour {
            Colour::Rgb => (plane0, plane1, plane2),
            Colour::Bgr => (plane2, plane1, plane0),
        };
        let [red_by, green_by, blue_by] = match self.input.colour {
            Colour::Rgb => [0, 1, 2],
            Colour::Bgr => [2, 1, 0],
        }
        .map(|channel| self.input.affine(channel));
        let rows = self.resized.chunks_exact(width * 3);
        let reds = red[first..].chunks_exact_mut(stride);
        let greens = green[first..].chunks_exact_mut(stride);
        let blues = blue[first..].chunks_exact_mut(stride);
        for (((row, red), green), blue) in rows.zip(reds).zip(greens).zip(blues) {
            let (pixels, _) = row.as_chunks::<3>();
            let targets = red[left..]
                .iter_mut()
                .zip(&mut green[left..])
                .zip(&mut blue[left..]);
            for (pixel, ((red, green), blue)) in pixels.iter().zip(targets) {
                *red = f32::from(pixel[0]) * red_by.0 + red_by.1;
                *green = f32::from(pixel[1]) * green_by.0 + green_by.1;
                *blue = f32::from(pixel[2]) * blue_by.0 + blue_by.1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
