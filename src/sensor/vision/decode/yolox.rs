//! YOLOX's raw output: 1 × N × (5 + classes), the cells of the strides 8, 16 and 32 one after another.
//!
//! Per cell: centre offset in cells (2), log of the size in cells (2), objectness, class scores.
//! Formulas: "YOLOX: Exceeding YOLO Series in 2021" (Ge et al.), export with `decode_in_inference` off.

use super::{Decode, Detection, Sieve, likeliest};

const STRIDES: [u32; 3] = [8, 16, 32];

/// One model's output.
pub(super) struct Yolox {
    /// Input size in pixels.
    input: (u32, u32),
    classes: usize,
}

/// Cells of all strides for an input of `(width, height)` pixels.
fn cells((width, height): (u32, u32)) -> usize {
    STRIDES
        .iter()
        .map(|stride| (width / stride) as usize * (height / stride) as usize)
        .sum()
}

pub(super) fn expected(input: (u32, u32)) -> String {
    format!("an output of 1×{}×(5 + classes)", cells(input))
}

impl Yolox {
    pub(super) fn fit(input: (u32, u32), shape: &[usize]) -> Option<Self> {
        match *shape {
            [1, rows, values] if rows == cells(input) && values > 5 => Some(Self {
                input,
                classes: values - 5,
            }),
            _ => None,
        }
    }
}

impl Decode for Yolox {
    fn classes(&self) -> usize {
        self.classes
    }

    fn decode(&self, outputs: &[&[f32]], sieve: &Sieve<'_>, out: &mut Vec<Detection>) {
        let output = outputs.first().copied().unwrap_or_default();
        let (width, height) = self.input;
        let mut cells = output.chunks_exact(5 + self.classes);
        for stride in STRIDES {
            let pixels = stride as f32;
            for row in 0..height / stride {
                for column in 0..width / stride {
                    let Some(&[dx, dy, log_width, log_height, object, ref scores @ ..]) =
                        cells.next()
                    else {
                        return;
                    };
                    // A class score is at most 1: most cells are done here.
                    if !sieve.lets_through(object) {
                        continue;
                    }
                    let Some((class, score)) = likeliest(scores.iter().copied()) else {
                        continue;
                    };
                    let centre = ((column as f32 + dx) * pixels, (row as f32 + dy) * pixels);
                    let size = (log_width.exp() * pixels, log_height.exp() * pixels);
                    sieve.push(class, object * score, centre, size, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::super::tests::{boxes, head};
    use crate::sensor::vision::Rect;

    /// An empty output for 64×32 pixels (8×4, 4×2 and 2×1 cells) and 2 classes, with one cell set.
    fn output_with(cell: usize, values: [f32; 7]) -> Vec<f32> {
        let mut output = vec![0.0; 42 * 7];
        output[cell * 7..][..7].copy_from_slice(&values);
        output
    }

    fn decode(output: &[f32], wanted: &[u16]) -> Vec<crate::sensor::vision::Detection> {
        let head = head(Decoder::Yolox, (64, 32), &[&[1, 42, 7]]).unwrap();
        boxes(&head, &[output], wanted)
    }

    #[test]
    fn a_cell_of_the_second_stride_lies_where_its_grid_says() {
        // 32 cells of stride 8 come first; cell 5 of stride 16 is row 1, column 1.
        let output = output_with(32 + 5, [0.5, 0.25, 0.0, 2.0f32.ln(), 0.8, 0.5, 0.1]);
        let found = decode(&output, &[0, 1]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].class, found[0].score), (0, 0.4));
        let Rect { x0, y0, x1, y1 } = found[0].rect;
        assert_eq!((x0, x1), (16.0, 32.0));
        assert!((y0 - 4.0).abs() < 1e-4 && (y1 - 36.0).abs() < 1e-4);
    }

    #[test]
    fn a_cell_whose_likeliest_class_is_not_wanted_is_no_box() {
        let output = output_with(0, [0.0, 0.0, 0.0, 0.0, 0.9, 0.6, 0.7]);
        assert!(decode(&output, &[0]).is_empty());
        assert_eq!(decode(&output, &[1]).len(), 1);
    }

    #[test]
    fn values_that_are_not_finite_are_dropped() {
        for broken in [
            [f32::NAN, 0.0, 0.0, 0.0, 0.9, 0.9, 0.0],
            [0.0, 0.0, 1e6, 0.0, 0.9, 0.9, 0.0],
            [0.0, 0.0, 0.0, 0.0, f32::NAN, 0.9, 0.0],
            [0.0, 0.0, 0.0, 0.0, f32::INFINITY, 0.9, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.9, f32::NAN, f32::NAN],
        ] {
            assert!(
                decode(&output_with(3, broken), &[0, 1]).is_empty(),
                "{broken:?}"
            );
        }
    }
}
