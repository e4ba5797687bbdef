//! NanoDet's outputs: class scores and distributions of distances, apart for each stride or together.
//!
//! Per cell: one score for each class, through the logistic function already, and for each of the four sides (left,
//! top, right, bottom) a distribution over `bins` distances of 0, 1, 2, … strides from the cell's centre; a distance
//! is the mean of its distribution, whose values go through softmax first. Formulas: "Generalized Focal Loss" (Li et
//! al., 2020), section 3.2. NanoDet lays a cell's centre in its middle; NanoDet-Plus, which has a fourth stride, in
//! its upper left corner.

use super::{Decode, Detection, Sieve, grid, likeliest};
use crate::sensor::vision::Rect;

const STRIDES: [u32; 3] = [8, 16, 32];
const STRIDES_PLUS: [u32; 4] = [8, 16, 32, 64];

/// One model's outputs.
pub(super) struct NanoDet {
    levels: Vec<Level>,
    /// Where a cell's centre lies in it, in strides.
    middle: f32,
    classes: usize,
    bins: usize,
    /// One output with both, or the scores of all levels and then the distances of all levels.
    together: bool,
}

/// The cells of one stride.
#[derive(Clone, Copy)]
struct Level {
    stride: u32,
    columns: usize,
    cells: usize,
}

fn levels(input: (u32, u32), strides: &[u32]) -> Vec<Level> {
    let level = |&stride: &u32| {
        let (columns, rows) = grid(input, stride);
        Level {
            stride,
            columns,
            cells: columns * rows,
        }
    };
    strides.iter().map(level).collect()
}

fn cells(levels: &[Level]) -> usize {
    levels.iter().map(|level| level.cells).sum()
}

pub(super) fn expected(input: (u32, u32), bins: usize) -> String {
    let levels = levels(input, &STRIDES);
    let sides = 4 * bins;
    let pairs: Vec<String> = levels
        .iter()
        .map(|Level { cells, .. }| format!("1×{cells}×classes with 1×{cells}×{sides}"))
        .collect();
    format!(
        "an output of 1×{}×(classes + {sides}), or apart (the same numbers in all, named in `outputs` if there is a \
         choice, scores first) {}",
        cells(&levels),
        pairs.join(", ")
    )
}

impl NanoDet {
    fn new(input: (u32, u32), bins: usize, plus: bool) -> Self {
        Self {
            levels: levels(input, if plus { &STRIDES_PLUS } else { &STRIDES }),
            middle: if plus { 0.0 } else { 0.5 },
            classes: 0,
            bins,
            together: true,
        }
    }

    /// A model with one output of 1 × N × (classes + 4 · bins).
    pub(super) fn together(input: (u32, u32), bins: usize, shape: &[usize]) -> Option<Self> {
        let &[1, rows, values] = shape else {
            return None;
        };
        let fits = |plus| {
            let model = Self::new(input, bins, plus);
            (cells(&model.levels) == rows && values > 4 * bins).then(|| Self {
                classes: values - 4 * bins,
                ..model
            })
        };
        fits(false).or_else(|| fits(true))
    }

    /// A model with two outputs for each stride: itself, and the places of its outputs, scores first. They are found
    /// by their shapes unless they are `ordered` already.
    pub(super) fn apart(
        input: (u32, u32),
        bins: usize,
        shapes: &[Vec<usize>],
        ordered: bool,
    ) -> Option<(Self, Vec<usize>)> {
        let values = |place: usize, cells: usize| match shapes.get(place).map(Vec::as_slice) {
            Some(&[1, rows, values]) if rows == cells => Some(values),
            _ => None,
        };
        let fits = |plus| {
            let model = Self::new(input, bins, plus);
            let count = model.levels.len();
            let (mut scores, mut sides, mut classes) = (Vec::new(), Vec::new(), None);
            for (number, level) in model.levels.iter().enumerate() {
                let (score, side) = if ordered {
                    (number, count + number)
                } else {
                    // Two outputs with as many cells, and only one of them with as many values as distances have.
                    let here = |place: &usize| values(*place, level.cells).is_some();
                    let here: Vec<usize> = (0..shapes.len()).filter(here).collect();
                    let distances = |place: usize| values(place, level.cells) == Some(4 * bins);
                    match here[..] {
                        [one, other] if distances(other) && !distances(one) => (one, other),
                        [one, other] if distances(one) && !distances(other) => (other, one),
                        _ => return None,
                    }
                };
                let known = *classes.get_or_insert(values(score, level.cells)?);
                if values(score, level.cells) != Some(known)
                    || values(side, level.cells) != Some(4 * bins)
                {
                    return None;
                }
                scores.push(score);
                sides.push(side);
            }
            let classes = classes.filter(|classes| *classes > 0)?;
            let model = Self {
                classes,
                together: false,
                ..model
            };
            Some((model, [scores, sides].concat()))
        };
        // Plus first: its strides contain the others.
        fits(true).or_else(|| fits(false))
    }

    /// One cell after the other, row by row: its scores and its distributions.
    fn level<'a>(
        &self,
        level: Level,
        cells: impl Iterator<Item = (&'a [f32], &'a [f32])>,
        sieve: &Sieve<'_>,
        out: &mut Vec<Detection>,
    ) {
        for (cell, (scores, sides)) in cells.take(level.cells).enumerate() {
            if !sieve.hopes(|class| scores.get(class).copied()) {
                continue;
            }
            let Some((class, score)) = likeliest(scores.iter().copied()) else {
                continue;
            };
            let stride = level.stride as f32;
            let centre = |cell: usize| (cell as f32 + self.middle) * stride;
            let (x, y) = (centre(cell % level.columns), centre(cell / level.columns));
            let mut sides = sides.chunks_exact(self.bins).map(mean);
            let mut side = || sides.next().unwrap_or(f32::NAN) * stride;
            let (left, top, right, bottom) = (side(), side(), side(), side());
            let rect = Rect {
                x0: x - left,
                y0: y - top,
                x1: x + right,
                y1: y + bottom,
            };
            sieve.push_rect(class, score, rect, out);
        }
    }
}

/// The mean of the distribution over 0, 1, 2, … whose logarithms, but for a constant, are `values`.
fn mean(values: &[f32]) -> f32 {
    let top = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut total, mut sum) = (0.0, 0.0);
    for (distance, value) in values.iter().enumerate() {
        let share = (value - top).exp();
        total += share;
        sum += share * distance as f32;
    }
    sum / total
}

impl Decode for NanoDet {
    fn classes(&self) -> usize {
        self.classes
    }

    fn decode(&self, outputs: &[&[f32]], sieve: &Sieve<'_>, out: &mut Vec<Detection>) {
        let sides = 4 * self.bins;
        if self.together {
            let output = outputs.first().copied().unwrap_or_default();
            let mut rows = output.chunks_exact(self.classes + sides);
            for level in &self.levels {
                let cells = rows.by_ref().map(|row| row.split_at(self.classes));
                self.level(*level, cells.take(level.cells), sieve, out);
            }
            return;
        }
        let Some((scores, distances)) = outputs.split_at_checked(self.levels.len()) else {
            return;
        };
        for ((level, scores), distances) in self.levels.iter().zip(scores).zip(distances) {
            let scores = scores.chunks_exact(self.classes);
            self.level(
                *level,
                scores.zip(distances.chunks_exact(sides)),
                sieve,
                out,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{boxes, head};
    use super::super::{Decoder, Detection};
    use crate::sensor::vision::Rect;

    const BINS: usize = 8;
    /// 64×32 pixels: cells of the strides 8, 16, 32.
    const CELLS: [usize; 3] = [32, 8, 2];
    const CLASSES: usize = 3;

    /// The distribution that is all at `distance`.
    fn sure(distance: usize) -> [f32; BINS] {
        let mut values = [-200.0; BINS];
        values[distance] = 0.0;
        values
    }

    /// Scores and distances of every level, with one cell set: left, top, right, bottom in strides.
    fn outputs(
        level: usize,
        cell: usize,
        scores: [f32; CLASSES],
        sides: [usize; 4],
    ) -> Vec<(Vec<i64>, Vec<f32>)> {
        let empty = |values: usize| {
            CELLS.map(|cells| {
                (
                    vec![1, cells as i64, values as i64],
                    vec![0.0; cells * values],
                )
            })
        };
        let (mut all, mut distances) = (empty(CLASSES), empty(4 * BINS));
        all[level].1[cell * CLASSES..][..CLASSES].copy_from_slice(&scores);
        let values = sides.map(sure).concat();
        distances[level].1[cell * 4 * BINS..][..4 * BINS].copy_from_slice(&values);
        [all, distances].concat()
    }

    /// The same in one output.
    fn together(apart: &[(Vec<i64>, Vec<f32>)]) -> Vec<f32> {
        let (scores, distances) = apart.split_at(3);
        let mut rows = Vec::new();
        for ((_, scores), (_, distances)) in scores.iter().zip(distances) {
            for (scores, distances) in (scores.chunks(CLASSES)).zip(distances.chunks(4 * BINS)) {
                rows.extend_from_slice(scores);
                rows.extend_from_slice(distances);
            }
        }
        rows
    }

    fn decode(apart: &[(Vec<i64>, Vec<f32>)], wanted: &[u16]) -> Vec<Detection> {
        let shapes: Vec<&[i64]> = apart.iter().map(|(shape, _)| shape.as_slice()).collect();
        let fitted = head(Decoder::Nanodet, (64, 32), &shapes).unwrap();
        let values: Vec<&[f32]> = (fitted.used().iter())
            .map(|&index| apart[index].1.as_slice())
            .collect();
        let found = boxes(&fitted, &values, wanted);
        let one = head(
            Decoder::Nanodet,
            (64, 32),
            &[&[1, 42, (CLASSES + 4 * BINS) as i64]],
        );
        let mut ordered = apart.to_vec();
        ordered.sort_by_key(|(shape, _)| (shape[2], -shape[1]));
        assert_eq!(boxes(&one.unwrap(), &[&together(&ordered)], wanted), found);
        found
    }

    #[test]
    fn a_cell_of_the_second_stride_reaches_from_its_middle_to_all_four_sides() {
        // Row 1, column 2 of 16×16 pixels: the middle is at 40, 24.
        let mut outputs = outputs(1, 6, [0.1, 0.8, 0.3], [1, 1, 0, 2]);
        for _ in 0..2 {
            let found = decode(&outputs, &[0, 1]);
            let [Detection { rect, score, class }] = found[..] else {
                panic!("{found:?}");
            };
            assert_eq!((class, score), (1, 0.8));
            let Rect { x0, y0, x1, y1 } = rect;
            assert_eq!([x0, y0, x1, y1], [24.0, 8.0, 40.0, 56.0]);
            // Found by their shapes, whatever their order.
            outputs.reverse();
        }
    }

    #[test]
    fn a_distance_is_the_mean_of_its_distribution() {
        let even = super::mean(&[3.0; BINS]);
        assert!((even - 3.5).abs() < 1e-6, "{even}");
        let two = super::mean(&[0.0, 3.0f32.ln(), -90.0, -90.0]);
        assert!((two - 0.75).abs() < 1e-6, "{two}");
    }

    #[test]
    fn a_cell_whose_likeliest_class_is_not_wanted_is_no_box() {
        let outputs = outputs(0, 0, [0.6, 0.7, 0.0], [1; 4]);
        assert!(decode(&outputs, &[0]).is_empty());
        assert_eq!(decode(&outputs, &[1]).len(), 1);
    }

    #[test]
    fn plus_has_a_fourth_stride_and_counts_from_the_cells_corner() {
        // One cell of stride 64 more than 42.
        let mut output = vec![0.0; 43 * (1 + 4 * BINS)];
        let last = 42 * (1 + 4 * BINS);
        output[last] = 0.9;
        output[last + 1..].copy_from_slice(&[0, 0, 1, 1].map(sure).concat());
        let plus = head(Decoder::Nanodet, (64, 32), &[&[1, 43, 33]]).unwrap();
        let found = boxes(&plus, &[&output], &[0]);
        let Rect { x0, y0, x1, y1 } = found[0].rect;
        assert_eq!([x0, y0, x1, y1], [0.0, 0.0, 64.0, 64.0]);
    }

    #[test]
    fn values_that_are_not_finite_and_short_outputs_are_dropped() {
        for (broken, value) in [
            (0, f32::NAN),
            (0, f32::INFINITY),
            (3, f32::NAN),
            (3, f32::INFINITY),
        ] {
            let mut outputs = outputs(0, 0, [0.6, 0.0, 0.0], [1; 4]);
            outputs[broken].1[0] = value;
            assert!(decode(&outputs, &[0, 1, 2]).is_empty(), "{broken} {value}");
        }
        let apart = outputs(2, 1, [0.6, 0.0, 0.0], [1; 4]);
        let shapes: Vec<&[i64]> = apart.iter().map(|(shape, _)| shape.as_slice()).collect();
        let fitted = head(Decoder::Nanodet, (64, 32), &shapes).unwrap();
        let mut values: Vec<&[f32]> = apart.iter().map(|(_, values)| values.as_slice()).collect();
        values[5] = &values[5][..40];
        assert!(boxes(&fitted, &values, &[0]).is_empty());
        assert!(boxes(&fitted, &values[..2], &[0]).is_empty());
    }
}
