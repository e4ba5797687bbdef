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
    sums: Vec<u32>,
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
            self.sums = vec![0; self.width * 3];
        }
        let scale = 1.0 / (self.block * self.block) as f32;
        // What does not fill a block at the right and lower edge is left out.
        let rows = frame.rgb.chunks_exact(width * 3);
        for (y, row) in rows.take(self.height * self.block).enumerate() {
            add_row(&mut self.sums, row, self.block);
            if (y + 1) % self.block == 0 {
                let start = y / self.block * self.width;
                let [red, green, blue] = &mut self.planes;
                let cells = start..start + self.width;
                let targets = red[cells.clone()]
                    .iter_mut()
                    .zip(&mut green[cells.clone()])
                    .zip(&mut blue[cells]);
                for (((r, g), b), sum) in targets.zip(self.sums.chunks_exact(3)) {
                    *r = sum[0] as f32 * scale;
                    *g = sum[1] as f32 * scale;
                    *b = sum[2] as f32 * scale;
                }
                self.sums.fill(0);
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

/// Adds one row of pixels to the sums of its blocks.
fn add_row(sums: &mut [u32], row: &[u8], block: usize) {
    let blocks = row.chunks_exact(block * 3);
    match block {
        // The usual sizes, with a loop that the compiler can unroll.
        1 => add_blocks::<3>(sums, row),
        2 => add_blocks::<6>(sums, row),
        3 => add_blocks::<9>(sums, row),
        _ => {
            for (sum, pixels) in sums.chunks_exact_mut(3).zip(blocks) {
                for pixel in pixels.chunks_exact(3) {
                    sum[0] += u32::from(pixel[0]);
                    sum[1] += u32::from(pixel[1]);
                    sum[2] += u32::from(pixel[2]);
                }
            }
        }
    }
}

fn add_blocks<const BYTES: usize>(sums: &mut [u32], row: &[u8]) {
    let (blocks, _) = row.as_chunks::<BYTES>();
    for (sum, pixels) in sums.chunks_exact_mut(3).zip(blocks) {
        let mut add = [0u32; 3];
        for (at, value) in pixels.iter().enumerate() {
            add[at % 3] += u32::from(*value);
        }
        sum[0] += add[0];
        sum[1] += add[1];
        sum[2] += add[2];
    }
}
