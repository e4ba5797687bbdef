//! FastestDet's output: 1 × (5 + classes) × H × W, one grid, planes one after another.
//!
//! Planes: objectness, centre offset (2, through tanh, in cells), size (2, through the logistic function,
//! as a fraction of the picture), class scores. The score is objectness^0.6 · class^0.4, as the export's
//! owner weighs them.

use super::{Decode, Detection, Sieve, likeliest};

pub(super) const EXPECTED: &str = "an output of 1×(5 + classes)×rows×columns";

/// One model's output.
pub(super) struct FastestDet {
    /// Input size in pixels.
    input: (u32, u32),
    columns: usize,
    rows: usize,
    classes: usize,
}

impl FastestDet {
    pub(super) fn fit(input: (u32, u32), shape: &[usize]) -> Option<Self> {
        match *shape {
            [1, values, rows, columns] if values > 5 && rows > 0 && columns > 0 => Some(Self {
                input,
                columns,
                rows,
                classes: values - 5,
            }),
            _ => None,
        }
    }
}

impl Decode for FastestDet {
    fn classes(&self) -> usize {
        self.classes
    }

    fn decode(&self, outputs: &[&[f32]], sieve: &Sieve<'_>, out: &mut Vec<Detection>) {
        let output = outputs.first().copied().unwrap_or_default();
        let cells = self.columns * self.rows;
        let (width, height) = (self.input.0 as f32, self.input.1 as f32);
        let (cell_width, cell_height) = (width / self.columns as f32, height / self.rows as f32);
        for cell in 0..cells {
            // A value beyond a short output reads as NaN, which no box survives.
            let value = |plane: usize| {
                let place = plane * cells + cell;
                output.get(place).copied().unwrap_or(f32::NAN)
            };
            let object = value(0).powf(0.6);
            // A class score is at most 1: most cells are done here.
            if !sieve.lets_through(object) {
                continue;
            }
            let scores = (0..self.classes).map(|class| value(5 + class));
            let Some((class, score)) = likeliest(scores) else {
                continue;
            };
            let column = (cell % self.columns) as f32;
            let row = (cell / self.columns) as f32;
            let centre = (
                (column + value(1).tanh()) * cell_width,
                (row + value(2).tanh()) * cell_height,
            );
            let size = (logistic(value(3)) * width, logistic(value(4)) * height);
            sieve.push(class, object * score.powf(0.4), centre, size, out);
        }
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::super::tests::{boxes, head};
    use crate::sensor::vision::Rect;

    /// An empty output of 4×3 cells and 2 classes, with one cell set.
    fn output_with(cell: usize, values: [f32; 7]) -> Vec<f32> {
        let mut output = vec![0.0; 7 * 12];
        for (plane, value) in values.into_iter().enumerate() {
            output[plane * 12 + cell] = value;
        }
        output
    }

    fn decode(output: &[f32], wanted: &[u16]) -> Vec<crate::sensor::vision::Detection> {
        let head = head(Decoder::Fastestdet, (64, 48), &[&[1, 7, 3, 4]]).unwrap();
        boxes(&head, &[output], wanted)
    }

    #[test]
    fn a_cell_gives_a_box_around_its_shifted_corner() {
        // Row 1, column 2 of 16×16 pixels; no shift to the right, half a cell down, size 1/2 by 1/4.
        let output = output_with(
            6,
            [0.5, 0.0, 0.5f32.atanh(), 0.0, -(3.0f32.ln()), 0.25, 0.1],
        );
        let found = decode(&output, &[0]);
        assert_eq!(found.len(), 1);
        assert!((found[0].score - 0.5f32.powf(0.6) * 0.25f32.powf(0.4)).abs() < 1e-6);
        let Rect { x0, y0, x1, y1 } = found[0].rect;
        for (is, should) in [(x0, 16.0), (x1, 48.0), (y0, 18.0), (y1, 30.0)] {
            assert!((is - should).abs() < 1e-4, "{:?}", found[0].rect);
        }
    }

    #[test]
    fn a_cell_whose_likeliest_class_is_not_wanted_is_no_box() {
        let output = output_with(0, [0.9, 0.0, 0.0, 0.0, 0.0, 0.6, 0.7]);
        assert!(decode(&output, &[0]).is_empty());
        assert_eq!(decode(&output, &[1]).len(), 1);
    }

    #[test]
    fn values_that_are_not_finite_and_a_short_output_are_dropped() {
        for broken in [
            [f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0],
            [f32::INFINITY, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0],
            [0.9, f32::NAN, 0.0, 0.0, 0.0, 0.9, 0.0],
            [0.9, 0.0, 0.0, f32::NAN, 0.0, 0.9, 0.0],
            [-0.9, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0],
        ] {
            assert!(
                decode(&output_with(5, broken), &[0, 1]).is_empty(),
                "{broken:?}"
            );
        }
        let whole = output_with(6, [0.5, 0.0, 0.0, 0.0, 0.0, 0.25, 0.1]);
        assert!(decode(&whole[..20], &[0]).is_empty());
    }
}
