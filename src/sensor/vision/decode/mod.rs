//! From a model's output tensors to boxes on the model's input, one file per family of detectors.
//!
//! Pure: numbers in, boxes out. What is not a finite number is dropped here and goes no further. A family is a
//! [`Decode`] and a line in [`Head::fit`]; which of a model's outputs it reads is settled in `outputs`.

mod fastestdet;
mod nanodet;
mod outputs;
mod yolov8;
mod yolox;

use serde::Deserialize;

use super::{Detection, Rect};
pub use outputs::{Misfit, Output, times};

/// Outputs that one model may be read from.
pub const MAX_OUTPUTS: usize = 8;

/// The family a model belongs to: how its outputs are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoder {
    /// 1 × N × (5 + classes), raw offsets over the strides 8, 16 and 32.
    Yolox,
    /// 1 × (5 + classes) × H × W, one grid.
    Fastestdet,
    /// Scores and distributions of distances, apart for each stride or together.
    Nanodet,
    /// 1 × (4 + classes) × N or the same transposed, boxes in pixels.
    Yolov8,
}

impl Decoder {
    /// Its name in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yolox => "yolox",
            Self::Fastestdet => "fastestdet",
            Self::Nanodet => "nanodet",
            Self::Yolov8 => "yolov8",
        }
    }
}

/// What a manifest says about a model's outputs.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub decoder: Decoder,
    /// Input size in pixels, width and height.
    pub input: (u32, u32),
    /// Values of each distance's distribution; only NanoDet has them.
    pub bins: usize,
    /// The outputs to read, in the decoder's order; empty when their shapes say which.
    pub names: &'a [String],
}

/// One family's way of reading the outputs of one model: its grid and its number of classes are known.
trait Decode: Send + Sync {
    /// Classes the model tells apart.
    fn classes(&self) -> usize;

    /// Appends the boxes that pass the sieve, in pixels of the model's input, unclipped, in the order of the
    /// outputs. A cell belongs to its likeliest class. Outputs that are too short give fewer boxes.
    fn decode(&self, outputs: &[&[f32]], sieve: &Sieve<'_>, out: &mut Vec<Detection>);
}

/// A decoder that fits one model.
pub struct Head {
    decode: Box<dyn Decode>,
    used: Vec<usize>,
}

impl Head {
    /// Fits a decoder to a model with `outputs`.
    ///
    /// # Errors
    /// [`Misfit`]: the manifest's key that is wrong, and what the model has instead.
    pub fn fit(wish: &Wish<'_>, outputs: &[Output]) -> Result<Self, Misfit> {
        let input = wish.input;
        let (decode, used) = match wish.decoder {
            Decoder::Yolox => outputs::single(wish, outputs, |shape| {
                yolox::Yolox::fit(input, shape).map(boxed)
            }),
            Decoder::Fastestdet => outputs::single(wish, outputs, |shape| {
                fastestdet::FastestDet::fit(input, shape).map(boxed)
            }),
            Decoder::Yolov8 => outputs::single(wish, outputs, |shape| {
                yolov8::Yolov8::fit(input, shape).map(boxed)
            }),
            Decoder::Nanodet => outputs::single(wish, outputs, |shape| {
                nanodet::NanoDet::together(input, wish.bins, shape).map(boxed)
            })
            .or_else(|misfit| {
                let apart = outputs::several(wish, outputs, |shapes, ordered| {
                    nanodet::NanoDet::apart(input, wish.bins, shapes, ordered)
                        .map(|(decode, places)| (boxed(decode), places))
                })?;
                apart.ok_or(misfit)
            }),
        }?;
        Ok(Self { decode, used })
    }

    /// Classes the model tells apart.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.decode.classes()
    }

    /// Which of the model's outputs [`Self::decode`] reads, in its order; at most [`MAX_OUTPUTS`].
    #[must_use]
    pub fn used(&self) -> &[usize] {
        &self.used
    }

    /// Appends to `out` the boxes of the `wanted` classes with a score of at least `floor`, in pixels of
    /// the model's input, unclipped, in the order of the outputs. A cell belongs to its likeliest class.
    /// `outputs` are those of [`Self::used`].
    pub fn decode(&self, outputs: &[&[f32]], floor: f32, wanted: &[u16], out: &mut Vec<Detection>) {
        self.decode.decode(outputs, &Sieve { floor, wanted }, out);
    }
}

fn boxed(decode: impl Decode + 'static) -> Box<dyn Decode> {
    Box::new(decode)
}

/// What the decoder reads, for an error.
fn expected(wish: &Wish<'_>) -> String {
    let (input, bins) = (wish.input, wish.bins);
    match wish.decoder {
        Decoder::Yolox => yolox::expected(input),
        Decoder::Fastestdet => fastestdet::EXPECTED.to_owned(),
        Decoder::Nanodet => nanodet::expected(input, bins),
        Decoder::Yolov8 => yolov8::expected(input),
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

    /// Whether a wanted class has a score worth a closer look; most cells are done here.
    fn hopes(&self, score_of: impl Fn(usize) -> Option<f32>) -> bool {
        self.wanted
            .iter()
            .any(|&class| score_of(class.into()).is_some_and(|score| self.lets_through(score)))
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
        let (half_width, half_height) = (size.0 / 2.0, size.1 / 2.0);
        let rect = Rect {
            x0: centre.0 - half_width,
            y0: centre.1 - half_height,
            x1: centre.0 + half_width,
            y1: centre.1 + half_height,
        };
        self.push_rect(class, score, rect, out);
    }

    /// Keeps a box if its class is wanted and all of it is finite.
    fn push_rect(&self, class: usize, score: f32, rect: Rect, out: &mut Vec<Detection>) {
        let Ok(class) = u16::try_from(class) else {
            return;
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

/// Columns and rows of the grid of `stride` over an input of `(width, height)` pixels, as padded convolutions
/// leave it: the last cell may be a partial one.
fn grid((width, height): (u32, u32), stride: u32) -> (usize, usize) {
    let side = |pixels: u32| pixels.div_ceil(stride) as usize;
    (side(width), side(height))
}

#[cfg(test)]
mod tests;
