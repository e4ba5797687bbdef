//! A picture made small by averaging whole blocks of pixels: what noise there is averages out, too.

use crate::sensor::camera::Frame;

/// So many pixels are left, 320 x 240, or a few more.
const PIXELS: f64 = 76_800.0;
const A_FEW_MORE: f64 = 0.05;

/// A small picture: three planes of 0..=255, rows top to bottom.
#[derive(Clone, Debug, Default)]
pub struct Small {
    width: usize,
    height: usize,
    /// Side of a block, pixels of the large picture.
    block: usize,
    /// Size of the large picture.
    of: (u32, u32),
    pub(super) planes: [Vec<f32>; 3],
    /// Of the columns of one row of blocks; 257 rows fit, and a picture with larger blocks has five thousand megapixels.
    sums: Vec<u16>,
}

impl Small {
    /// Width and height, pixels.
    #[must_use]
    pub const fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Pixels of the large picture along the side of one of the small.
    #[must_use]
    pub const fn factor(&self) -> f32 {
        if self.block == 0 {
            1.0
        } else {
            self.block as f32
        }
    }

    /// Whether the frame has the size of the one before.
    pub(super) fn fits(&self, frame: &Frame) -> bool {
        self.of == (frame.width, frame.height)
    }

    /// Replaces the picture; `false` when the frame is no picture, and then nothing is in here.
    pub fn shrink(&mut self, frame: &Frame) -> bool {
        let (width, height) = (frame.width as usize, frame.height as usize);
        if width == 0 || height == 0 || frame.rgb.len() != width * height * 3 {
            *self = Self::default();
            return false;
        }
        if !self.fits(frame) {
            self.of = (frame.width, frame.height);
            let factor = ((width * height) as f64 / PIXELS).sqrt() - A_FEW_MORE;
            self.block = (factor.ceil() as usize).clamp(1, width.min(height));
            (self.width, self.height) = (width / self.block, height / self.block);
            self.planes = std::array::from_fn(|_| vec![0.0; self.width * self.height]);
            self.sums = vec![0; width * 3];
        }
        // What does not fill a block at the right and lower edge is left out.
        let bands = frame.rgb.chunks_exact(width * 3 * self.block);
        let [red, green, blue] = &mut self.planes;
        let out = red
            .chunks_exact_mut(self.width)
            .zip(green.chunks_exact_mut(self.width))
            .zip(blue.chunks_exact_mut(self.width));
        for (band, ((red, green), blue)) in bands.zip(out) {
            self.sums.fill(0);
            for row in band.chunks_exact(width * 3) {
                for (sum, value) in self.sums.iter_mut().zip(row) {
                    *sum = sum.saturating_add(u16::from(*value));
                }
            }
            let out = [red, green, blue];
            match self.block {
                // The usual sizes, as numbers that the compiler knows.
                1 => average(&self.sums, 1, out),
                2 => average(&self.sums, 2, out),
                3 => average(&self.sums, 3, out),
                block => average(&self.sums, block, out),
            }
        }
        true
    }

    /// Brightness of every pixel, 0..=255 (ITU-R BT.601), into `out`.
    pub fn luma(&self, out: &mut Vec<f32>) {
        let [red, green, blue] = &self.planes;
        out.clear();
        let pixels = red.iter().zip(green).zip(blue);
        out.extend(pixels.map(|((r, g), b)| 0.299 * r + 0.587 * g + 0.114 * b));
    }
}

/// The means of the blocks of one row, given the sums of its columns.
#[inline(always)]
fn average(sums: &[u16], block: usize, [red, green, blue]: [&mut [f32]; 3]) {
    let scale = 1.0 / (block * block) as f32;
    let cells = red.iter_mut().zip(green).zip(blue);
    for (((red, green), blue), columns) in cells.zip(sums.chunks_exact(block * 3)) {
        let mut all = [0; 3];
        for column in columns.chunks_exact(3) {
            for (sum, part) in all.iter_mut().zip(column) {
                *sum += i32::from(*part);
            }
        }
        [*red, *green, *blue] = all.map(|sum| sum as f32 * scale);
    }
}
