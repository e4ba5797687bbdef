//! Bilinear resize of an RGB picture straight into a model's planes.
//!
//! Half-pixel centres, no antialiasing, in the fixed-point steps of OpenCV's 8-bit `resize`: the models
//! were trained and published on its pixels, and small detectors feel a difference of one grey level.
//! Nothing is allocated after [`Bilinear::new`].

use wide::{i16x8, i32x8, u8x16, u16x8};

/// Weights are fractions of 2048.
const ONE: i16 = 2048;

/// One output position: the two source positions around it, the same one twice beyond an edge.
#[derive(Clone, Copy, Debug)]
struct Tap {
    first: usize,
    second: usize,
    /// Of `second`, 0..=[`ONE`]; the rest is that of `first`.
    weight: i16,
}

/// So many output pixels of a row are worked on at once.
const BLOCK: usize = 16;

/// The source's part in one output column.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// Of the left one of two neighbouring pixels, bytes from the row's beginning.
    start: usize,
    /// Weights of the left and the right one, four times.
    weights: [i16; 8],
}

/// [`BLOCK`] pixels of one row, resized horizontally: each vector has red, green, blue and nothing of pixel `i`, and
/// the same of pixel `i + 8`; values times 128. In this order a transposition makes planes of them.
type Block = [[u16; 8]; BLOCK / 2];

/// A source row, resized horizontally.
#[derive(Clone, Debug)]
struct Line {
    row: Option<usize>,
    blocks: Vec<Block>,
}

/// Where the result goes: the planes of a tensor, one value per pixel and plane.
pub struct Target<'a> {
    pub tensor: &'a mut [f32],
    /// Values from one row to the next.
    pub stride: usize,
    /// Where red, green and blue begin.
    pub start: [usize; 3],
    /// Factor and offset for red, green and blue: value = grey level · factor + offset.
    pub affine: [(f32, f32); 3],
}

/// A resize from one fixed size to another.
#[derive(Clone, Debug)]
pub struct Bilinear {
    source_width: usize,
    width: usize,
    /// As many as fill whole blocks; those too many are never written.
    columns: Vec<[Column; BLOCK]>,
    rows: Vec<Tap>,
    above: Line,
    below: Line,
}

impl Bilinear {
    /// Sizes are width and height in pixels; none is 0.
    #[must_use]
    pub fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        let columns = columns(from.0, to.0);
        let line = Line {
            row: None,
            blocks: vec![Block::default(); columns.len()],
        };
        Self {
            source_width: from.0 as usize,
            width: to.0 as usize,
            columns,
            rows: taps(from.1, to.1),
            above: line.clone(),
            below: line,
        }
    }

    /// Resizes `rgb` (interleaved, as large as `from` said) into `target`. What does not fit there is
    /// left out.
    pub fn resize(&mut self, rgb: &[u8], target: &mut Target<'_>) {
        let bytes = self.source_width * 3;
        let source = |row: usize| rgb.get(row * bytes..(row + 1) * bytes).unwrap_or(&[]);
        (self.above.row, self.below.row) = (None, None);
        for (y, tap) in self.rows.iter().enumerate() {
            // Going down, the lower line of one step is often the upper one of the next.
            if self.below.row == Some(tap.first) {
                std::mem::swap(&mut self.above, &mut self.below);
            }
            self.above.fill(tap.first, source(tap.first), &self.columns);
            self.below
                .fill(tap.second, source(tap.second), &self.columns);
            let places = target
                .start
                .map(|start| start + y * target.stride)
                .map(|begin| begin..begin + self.width);
            let Ok([red, green, blue]) = target.tensor.get_disjoint_mut(places) else {
                continue;
            };
            let outs = red
                .chunks_mut(BLOCK)
                .zip(green.chunks_mut(BLOCK))
                .zip(blue.chunks_mut(BLOCK));
            let blocks = self.above.blocks.iter().zip(&self.below.blocks);
            for ((above, below), ((red, green), blue)) in blocks.zip(outs) {
                let [
                    low_red,
                    low_green,
                    low_blue,
                    _,
                    high_red,
                    high_green,
                    high_blue,
                    _,
                ] = blend(above, below, tap.weight);
                write(low_red, high_red, target.affine[0], red);
                write(low_green, high_green, target.affine[1], green);
                write(low_blue, high_blue, target.affine[2], blue);
            }
        }
    }
}

impl Line {
    /// Resizes a source row horizontally, unless it is already here.
    fn fill(&mut self, row: usize, source: &[u8], columns: &[[Column; BLOCK]]) {
        if self.row == Some(row) {
            return;
        }
        self.row = Some(row);
        // A picture of one column: its neighbour is like it.
        let twice: [u8; 6] = std::array::from_fn(|at| source.get(at % 3).copied().unwrap_or(0));
        let source = if source.len() == 3 { &twice } else { source };
        for (block, columns) in self.blocks.iter_mut().zip(columns) {
            let (left, right) = columns.split_at(BLOCK / 2);
            for ((out, left), right) in block.iter_mut().zip(left).zip(right) {
                let (Some(left), Some(right)) = (left.mix(source), right.mix(source)) else {
                    return;
                };
                let [a, b, c, d] = left;
                let [e, f, g, h] = right;
                let both =
                    i16x8::from_i32x8_saturate(i32x8::new([a, b, c, d, e, f, g, h]) >> 4_i32);
                *out = both.to_array().map(i16::cast_unsigned);
            }
        }
    }
}

impl Column {
    /// Red, green and blue here, times 2048, and a number that means nothing.
    #[inline]
    fn mix(&self, source: &[u8]) -> Option<[i32; 4]> {
        let two: &[u8; 6] = source.get(self.start..)?.first_chunk()?;
        // Two reads of four bytes: the second begins with the left one's blue.
        let left = u32::from_le_bytes(*two.first_chunk()?);
        let right = u32::from_le_bytes(*two.last_chunk()?) >> 8;
        let bytes = |pixel: u32| u8x16::new(u128::from(pixel).to_le_bytes());
        let pairs = i16x8::from_u8x16_low(u8x16::unpack_low(bytes(left), bytes(right)));
        Some(pairs.dot(i16x8::new(self.weights)).to_array())
    }
}

/// Mixes two lines vertically and rounds to whole grey levels: red, green, blue and nothing of the first eight pixels,
/// then of the other eight.
#[inline]
fn blend(above: &Block, below: &Block, weight: i16) -> [u16x8; 8] {
    let (upper, lower) = ((ONE - weight).cast_unsigned(), weight.cast_unsigned());
    let (upper, lower) = (u16x8::splat(upper), u16x8::splat(lower));
    // The upper 16 bits of each product are four times the grey level.
    let mixed = std::array::from_fn(|at| {
        let above = u16x8::new(above[at]).mul_keep_high(upper);
        let below = u16x8::new(below[at]).mul_keep_high(lower);
        (above + below + u16x8::splat(2)) >> 2_u32
    });
    u16x8::transpose(mixed)
}

/// Normalises a block of one plane; `out` may be shorter than it.
#[inline]
fn write(low: u16x8, high: u16x8, (factor, offset): (f32, f32), out: &mut [f32]) {
    let normal = |grey: u16| f32::from(grey) * factor + offset;
    let (low, high) = (low.to_array().map(normal), high.to_array().map(normal));
    if let Some(out) = out.first_chunk_mut::<BLOCK>() {
        out[..8].copy_from_slice(&low);
        out[8..].copy_from_slice(&high);
    } else {
        for (out, value) in out.iter_mut().zip(low.into_iter().chain(high)) {
            *out = value;
        }
    }
}

fn columns(from: u32, to: u32) -> Vec<[Column; BLOCK]> {
    let taps = taps(from, to);
    // Where both are the same pixel, at the edges, its neighbour weighs nothing or all.
    let column = |tap: &Tap| {
        let left = tap.first.min((from as usize).saturating_sub(2));
        let weight = if tap.first == tap.second {
            if left == tap.first { 0 } else { ONE }
        } else {
            tap.weight
        };
        let pair = [ONE - weight, weight];
        Column {
            start: left * 3,
            weights: std::array::from_fn(|at| pair[at % 2]),
        }
    };
    let block = |taps: &[Tap]| std::array::from_fn(|at| column(&taps[at.min(taps.len() - 1)]));
    taps.chunks(BLOCK).map(block).collect()
}

/// The taps of one axis: `from` positions onto `to`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)] // positions lie between 0 and `from`, weights between 0 and 2048
fn taps(from: u32, to: u32) -> Vec<Tap> {
    let step = f64::from(from) / f64::from(to);
    let last = (from as usize).saturating_sub(1);
    let tap = |position: u32| {
        let centre = ((f64::from(position) + 0.5) * step - 0.5) as f32;
        let share = centre - centre.floor();
        // Negative positions become 0 here.
        let inside = |position: f32| (position as usize).min(last);
        Tap {
            first: inside(centre.floor()),
            second: inside(centre.floor() + 1.0),
            weight: (share * f32::from(ONE)).round_ties_even() as i16,
        }
    };
    (0..to).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(from: (u32, u32), to: (u32, u32), rgb: &[u8]) -> Vec<f32> {
        let plane = to.0 as usize * to.1 as usize;
        let mut tensor = vec![f32::NAN; plane * 3];
        let mut target = Target {
            tensor: &mut tensor,
            stride: to.0 as usize,
            start: [0, plane, 2 * plane],
            affine: [(1.0, 0.0); 3],
        };
        Bilinear::new(from, to).resize(rgb, &mut target);
        tensor
    }

    fn pattern((width, height): (u32, u32)) -> Vec<u8> {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                rgb.extend([0, 59, 118].map(|c| (x * 37 + y * 101 + c + x * y * 13) as u8));
            }
        }
        rgb
    }

    /// Bilinear with half-pixel centres and the edge repeated, straight from its definition.
    fn exact(rgb: &[u8], from: (u32, u32), to: (u32, u32), channel: usize) -> Vec<f64> {
        let axis = |at: u32, out: u32, size: u32| {
            let centre = (f64::from(at) + 0.5) * f64::from(size) / f64::from(out) - 0.5;
            let low = centre.floor();
            let inside = |i: f64| i.clamp(0.0, f64::from(size - 1)) as usize;
            (inside(low), inside(low + 1.0), centre - low)
        };
        let value = |x: usize, y: usize| f64::from(rgb[(y * from.0 as usize + x) * 3 + channel]);
        let mut out = Vec::new();
        for y in 0..to.1 {
            let (y0, y1, fy) = axis(y, to.1, from.1);
            for x in 0..to.0 {
                let (x0, x1, fx) = axis(x, to.0, from.0);
                let top = value(x0, y0) * (1.0 - fx) + value(x1, y0) * fx;
                let bottom = value(x0, y1) * (1.0 - fx) + value(x1, y1) * fx;
                out.push(top * (1.0 - fy) + bottom * fy);
            }
        }
        out
    }

    #[test]
    fn it_is_bilinear_to_one_grey_level_whatever_the_sizes() {
        let seed = 7;
        let mut random = fastrand::Rng::with_seed(seed);
        for (from, to) in [
            ((768, 432), (352, 352)),
            ((61, 47), (96, 64)),
            ((480, 360), (416, 312)),
            ((1, 2), (33, 17)),
            ((300, 200), (1, 1)),
        ] {
            let mut rgb = vec![0; (from.0 * from.1 * 3) as usize];
            random.fill(&mut rgb);
            let planes = resized(from, to, &rgb);
            for (channel, plane) in planes.chunks_exact((to.0 * to.1) as usize).enumerate() {
                for (is, should) in plane.iter().zip(exact(&rgb, from, to, channel)) {
                    let difference = (f64::from(*is) - should).abs();
                    assert!(
                        difference <= 1.0,
                        "seed {seed}, {from:?} to {to:?}: {is}, {should}"
                    );
                }
            }
        }
    }

    #[test]
    fn it_agrees_with_opencv_to_the_bit() {
        // The red plane of cv2.resize(pattern, to, interpolation=cv2.INTER_LINEAR), OpenCV 5.0.
        #[rustfmt::skip]
        let cases: [(_, _, &[u8]); 2] = [
            ((9, 7), (6, 5), &[
                30, 89, 136, 157, 165, 71, 138, 109, 170, 65, 113, 200, 66, 180, 38, 152, 202, 124,
                186, 136, 136, 162, 124, 74, 140, 117, 132, 147, 59, 190,
            ]),
            ((5, 4), (8, 11), &[
                0, 16, 39, 62, 85, 109, 132, 148, 5, 21, 44, 68, 91, 115, 132, 143,
                41, 60, 86, 113, 139, 165, 133, 106, 78, 98, 128, 157, 187, 216, 134, 68,
                115, 122, 135, 167, 199, 232, 140, 66, 152, 120, 83, 119, 154, 189, 153, 122,
                188, 118, 32, 70, 109, 147, 165, 177, 167, 109, 39, 80, 103, 108, 146, 175,
                110, 95, 81, 125, 122, 71, 106, 137, 54, 82, 122, 170, 140, 35, 66, 99,
                47, 80, 128, 175, 143, 30, 62, 95,
            ]),
        ];
        for (from, to, red) in cases {
            let planes = resized(from, to, &pattern(from));
            let red: Vec<f32> = red.iter().map(|grey| f32::from(*grey)).collect();
            assert_eq!(planes[..red.len()], red, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let rgb = pattern((13, 9));
        let planes = resized((13, 9), (13, 9), &rgb);
        for (i, pixel) in rgb.chunks_exact(3).enumerate() {
            assert_eq!(
                [planes[i], planes[117 + i], planes[234 + i]],
                [0, 1, 2].map(|c| f32::from(pixel[c]))
            );
        }
    }

    #[test]
    fn a_picture_that_is_too_short_leaves_the_rest_alone() {
        let rgb = pattern((8, 8));
        let planes = resized((8, 8), (4, 4), &rgb[..50]);
        assert_eq!(planes.len(), 48);
    }
}
