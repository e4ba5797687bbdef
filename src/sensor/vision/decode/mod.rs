//! From a model's output tensor to boxes on the model's input, one file per family of detectors.
//!
//! Pure: numbers in, boxes out. What is not a finite number is dropped here and goes no further.

mod fastestdet;
mod yolox;

use serde::Deserialize;

use super::{Detection, Rect};

/// The family a model belongs to: how its output is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoder {
    /// 1 × N × (5 + classes), raw offsets over the strides 8, 16 and 32.
    Yolox,
    /// 1 × (5 + classes) × H × W, one grid.
    Fastestdet,
}

/// A decoder that fits one model: its grid and its number of classes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    decoder: Decoder,
    /// Input size in pixels.
    input: (u32, u32),
    /// Cells of the output's grid, columns and rows; unused where the strides give it.
    grid: (usize, usize),
    /// Classes the model tells apart.
    classes: usize,
}

impl Head {
    /// Fits `decoder` to a model with `input` pixels (width, height) and an output of shape `output`.
    ///
    /// # Errors
    /// The shape the decoder expected, in words.
    pub fn fit(decoder: Decoder, input: (u32, u32), output: &[i64]) -> Result<Self, String> {
        let dimensions: Vec<usize> = output
            .iter()
            .map(|&n| usize::try_from(n).unwrap_or(0))
            .collect();
        let (grid, classes) = match (decoder, dimensions.as_slice()) {
            (Decoder::Yolox, &[1, cells, values]) if cells == yolox::cells(input) && values > 5 => {
                ((0, 0), values - 5)
            }
            (Decoder::Fastestdet, &[1, values, rows, columns])
                if values > 5 && rows > 0 && columns > 0 =>
            {
                ((columns, rows), values - 5)
            }
            (Decoder::Yolox, _) => {
                return Err(format!("1×{}×(5 + classes)", yolox::cells(input)));
            }
            (Decoder::Fastestdet, _) => return Err("1×(5 + classes)×rows×columns".to_owned()),
        };
        Ok(Self {
            decoder,
            input,
            grid,
            classes,
        })
    }

    /// Classes the model tells apart.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Appends to `out` the boxes of the `wanted` classes with a score of at least `floor`, in pixels of
    /// the model's input, unclipped, in the order of the output. A cell belongs to its likeliest class.
    pub fn decode(&self, output: &[f32], floor: f32, wanted: &[u16], out: &mut Vec<Detection>) {
        let sieve = Sieve { floor, wanted };
        match self.decoder {
            Decoder::Yolox => yolox::decode(self.input, self.classes, output, &sieve, out),
            Decoder::Fastestdet => {
                fastestdet::decode(self.input, self.grid, self.classes, output, &sieve, out);
            }
        }
    }
}

/// What a caller wants to see of a model's output.
struct Sieve<'a> {
    floor: f32,
    wanted: &'a [u16],
}

impl Sieve<'_> {
    /// False for weak and for unknown (NaN) scores.
    fn lets_through(&self, score: f32) -> bool {
        score >= self.floor
    }

    /// Keeps a box given by centre and size if its class is wanted and all of it is finite.
    fn push(
        &self,
        class: usize,
        score: f32,
        centre: (f32, f32),
        size: (f32, f32),
        out: &mut Vec<Detection>,
    ) {
        let Ok(class) = u16::try_from(class) else {
            return;
        };
        let (half_width, half_height) = (size.0 / 2.0, size.1 / 2.0);
        let rect = Rect {
            x0: centre.0 - half_width,
            y0: centre.1 - half_height,
            x1: centre.0 + half_width,
            y1: centre.1 + half_height,
        };
        let finite = [score, rect.x0, rect.y0, rect.x1, rect.y1]
            .iter()
            .all(|value| value.is_finite());
        if finite && self.lets_through(score) && self.wanted.contains(&class) {
            out.push(Detection {
                rect,
                score: score.min(1.0),
                class,
            });
        }
    }
}

/// The likeliest class and its score; the first one on a tie, none if no score is a number.
fn likeliest(scores: impl Iterator<Item = f32>) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (class, score) in scores.enumerate() {
        if !score.is_nan() && best.is_none_or(|(_, top)| score > top) {
            best = Some((class, score));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_fits_only_an_output_of_its_familys_shape() {
        let fit = |decoder, output: &[i64]| Head::fit(decoder, (416, 416), output);
        assert_eq!(fit(Decoder::Yolox, &[1, 3549, 85]).unwrap().classes(), 80);
        assert_eq!(
            fit(Decoder::Fastestdet, &[1, 6, 26, 26]).unwrap().classes(),
            1
        );
        assert_eq!(
            fit(Decoder::Yolox, &[1, 3548, 85]).unwrap_err(),
            "1×3549×(5 + classes)"
        );
        for wrong in [
            &[1, 3549, 5][..],
            &[2, 3549, 85],
            &[1, 85, 22, 22],
            &[],
            &[-1, 3549, 85],
        ] {
            assert!(fit(Decoder::Yolox, wrong).is_err(), "{wrong:?}");
        }
        for wrong in [
            &[1, 85, 22][..],
            &[1, 5, 22, 22],
            &[1, 85, 0, 22],
            &[1, 3549, 85],
        ] {
            assert!(fit(Decoder::Fastestdet, wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_numbers_a_model_puts_out_only_finite_wanted_boxes_come_of_it(
            yolox in prop::collection::vec(any::<f32>(), 84 * 7),
            fastestdet in prop::collection::vec(any::<f32>(), 7 * 4 * 4),
        ) {
            let cases = [
                (Head::fit(Decoder::Yolox, (64, 64), &[1, 84, 7]).unwrap(), &yolox),
                (Head::fit(Decoder::Fastestdet, (64, 64), &[1, 7, 4, 4]).unwrap(), &fastestdet),
            ];
            for (head, output) in cases {
                let mut out = Vec::new();
                head.decode(output, 0.1, &[1], &mut out);
                for found in out {
                    prop_assert!((0.1..=1.0).contains(&found.score));
                    prop_assert_eq!(found.class, 1);
                    let Rect { x0, y0, x1, y1 } = found.rect;
                    prop_assert!([x0, y0, x1, y1].iter().all(|v| v.is_finite()));
                }
            }
        }
    }
}
