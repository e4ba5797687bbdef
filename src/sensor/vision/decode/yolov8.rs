//! The output of YOLOv8 and its successors with the same head: 1 × (4 + classes) × N, or the same transposed.
//!
//! Per cell: centre and size in pixels of the input, then one score for each class, through the logistic function
//! already. Formulas: Ultralytics' ONNX export without suppression of overlaps (`nms=False`).

use super::{Decode, Detection, Sieve, grid, likeliest};

/// The strides of the family's members: the usual ones, and those for small and for large pictures.
const STRIDES: [&[u32]; 3] = [&[8, 16, 32], &[4, 8, 16, 32], &[8, 16, 32, 64]];

/// One model's output.
pub(super) struct Yolov8 {
    cells: usize,
    classes: usize,
    /// A cell's values follow one another (1 × N × (4 + classes)).
    by_cell: bool,
}

fn cells(input: (u32, u32)) -> [usize; 3] {
    STRIDES.map(|strides| {
        let cells = |&stride: &u32| {
            let (columns, rows) = grid(input, stride);
            columns * rows
        };
        strides.iter().map(cells).sum()
    })
}

pub(super) fn expected(input: (u32, u32)) -> String {
    let [cells, ..] = cells(input);
    format!("an output of 1×(4 + classes)×{cells} or 1×{cells}×(4 + classes)")
}

impl Yolov8 {
    /// Where both orders fit, the export's own (the first) counts.
    pub(super) fn fit(input: (u32, u32), shape: &[usize]) -> Option<Self> {
        let known = cells(input);
        let (values, cells, by_cell) = match *shape {
            [1, values, cells] if known.contains(&cells) => (values, cells, false),
            [1, cells, values] if known.contains(&cells) => (values, cells, true),
            _ => return None,
        };
        (values > 4).then(|| Self {
            cells,
            classes: values - 4,
            by_cell,
        })
    }
}

impl Decode for Yolov8 {
    fn classes(&self) -> usize {
        self.classes
    }

    fn decode(&self, outputs: &[&[f32]], sieve: &Sieve<'_>, out: &mut Vec<Detection>) {
        let output = outputs.first().copied().unwrap_or_default();
        let values = 4 + self.classes;
        for cell in 0..self.cells {
            // A value beyond a short output reads as NaN, which no box survives.
            let value = |which: usize| {
                let place = if self.by_cell {
                    cell * values + which
                } else {
                    which * self.cells + cell
                };
                output.get(place).copied().unwrap_or(f32::NAN)
            };
            if !sieve.hopes(|class| (class < self.classes).then(|| value(4 + class))) {
                continue;
            }
            let scores = (0..self.classes).map(|class| value(4 + class));
            if let Some((class, score)) = likeliest(scores) {
                let (centre, size) = ((value(0), value(1)), (value(2), value(3)));
                sieve.push(class, score, centre, size, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{boxes, head};
    use super::super::{Decoder, Detection};
    use crate::sensor::vision::Rect;

    /// 64×32 pixels have 42 cells; one of them is set. Both orders.
    fn both(cell: usize, values: [f32; 6]) -> [(Vec<i64>, Vec<f32>); 2] {
        let (mut planes, mut rows) = (vec![0.0; 6 * 42], vec![0.0; 6 * 42]);
        for (which, value) in values.into_iter().enumerate() {
            planes[which * 42 + cell] = value;
            rows[cell * 6 + which] = value;
        }
        [(vec![1, 6, 42], planes), (vec![1, 42, 6], rows)]
    }

    fn decode(shape: &[i64], output: &[f32], wanted: &[u16]) -> Vec<Detection> {
        let head = head(Decoder::Yolov8, (64, 32), &[shape]).unwrap();
        boxes(&head, &[output], wanted)
    }

    #[test]
    fn both_orders_of_the_values_give_the_same_box() {
        for (shape, output) in both(40, [20.0, 16.0, 10.0, 30.0, 0.2, 0.7]) {
            let found = decode(&shape, &output, &[1]);
            let [Detection { rect, score, class }] = found[..] else {
                panic!("{shape:?}: {found:?}");
            };
            assert_eq!((score, class), (0.7, 1));
            let Rect { x0, y0, x1, y1 } = rect;
            assert_eq!([x0, y0, x1, y1], [15.0, 1.0, 25.0, 31.0]);
        }
    }

    #[test]
    fn a_cell_whose_likeliest_class_is_not_wanted_is_no_box() {
        for (shape, output) in both(0, [9.0, 9.0, 4.0, 4.0, 0.6, 0.7]) {
            assert!(decode(&shape, &output, &[0]).is_empty());
            assert_eq!(decode(&shape, &output, &[1]).len(), 1);
        }
    }

    #[test]
    fn values_that_are_not_finite_and_a_short_output_are_dropped() {
        for broken in [
            [f32::NAN, 9.0, 4.0, 4.0, 0.6, 0.0],
            [9.0, 9.0, f32::INFINITY, 4.0, 0.6, 0.0],
            [9.0, 9.0, 4.0, 4.0, f32::NAN, 0.0],
            [9.0, 9.0, 4.0, 4.0, f32::INFINITY, 0.0],
        ] {
            for (shape, output) in both(7, broken) {
                assert!(decode(&shape, &output, &[0, 1]).is_empty(), "{broken:?}");
            }
        }
        for (shape, output) in both(41, [9.0, 9.0, 4.0, 4.0, 0.6, 0.0]) {
            assert!(decode(&shape, &output[..200], &[0]).is_empty());
        }
    }
}
