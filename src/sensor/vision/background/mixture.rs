//! A mixture of Gaussians for every pixel: what was there often enough is background.
//!
//! - The model: Stauffer & Grimson, "Adaptive background mixture models for real-time tracking", CVPR 1999.
//! - How weights, means and variances are learned, and how many Gaussians a pixel needs: Zivkovic, "Improved adaptive
//!   Gaussian mixture model for background subtraction", ICPR 2004, equations 4 to 6 and 9 (with its c_T).
//! - Shadows: a pixel that is a darker version of the background in the same colour (Horprasert, Harwood & Davis, "A
//!   statistical approach for real-time robust background subtraction and shadow detection", ICCV Frame-Rate Workshop
//!   1999, brightness and chromaticity distortion; Cucchiara et al., PAMI 2003, for the range of the darkening).
//!
//! Here the learning rate follows from the time between two pictures: alpha = 1 - exp(-dt / [`MEMORY`]). Means and
//! variances learn at least as fast as [`LIGHT_MEMORY`] says, whatever their weight.
//!
//! Nearly every pixel of a quiet scene is explained by its heaviest Gaussian. That case is one pass without branches
//! over flat arrays, which the compiler turns into SIMD; only what is left is looked at one by one.

use std::time::Duration;

use super::mask::{FOREGROUND, Mask, SHADOW};
use super::shrink::Small;
use super::tone;

/// Gaussians of one pixel.
const GAUSSIANS: usize = 3;
/// Time constant of the weights. What stands still is taken for background after `-MEMORY * ln(1 - NEW_SHARE)`: 30 s.
const MEMORY: Duration = Duration::from_secs(285);
/// Time constant of means and variances, which follow the light of the day. Right after the start it is as long as what
/// has been seen, so that one noisy picture is soon averaged with others.
const LIGHT_MEMORY: Duration = Duration::from_secs(15);
const SHORTEST_LIGHT_MEMORY: Duration = Duration::from_millis(500);
/// What has been there for less than this share of the memory is no background (Zivkovic's c_f).
const NEW_SHARE: f32 = 0.1;
/// Share of the memory that a Gaussian must be supported by, or it is dropped (Zivkovic's c_T).
const SUPPORT: f32 = 0.02;
/// Squared Mahalanobis distance within which a pixel belongs to a Gaussian: 4 standard deviations, over three channels.
const NEAR: f32 = 16.0;
/// Variance of a new Gaussian, and what a learned one is kept within: grey levels squared, per channel.
const FIRST_VARIANCE: f32 = 16.0;
const LEAST_VARIANCE: f32 = 5.0;
const MOST_VARIANCE: f32 = 60.0;
/// A shadow leaves at least this share of the brightness.
const DARKEST_SHADOW: f32 = 0.5;

/// A smaller shift of the exposure is left to the means' own learning, grey levels.
const LEAST_SHIFT: f32 = 0.7;

/// One Gaussian of every pixel.
#[derive(Clone, Debug, Default)]
struct Layer {
    weight: Vec<f32>,
    mean: [Vec<f32>; 3],
    variance: Vec<f32>,
}

impl Layer {
    fn new(pixels: usize) -> Self {
        Self {
            weight: vec![0.0; pixels],
            mean: std::array::from_fn(|_| vec![0.0; pixels]),
            variance: vec![FIRST_VARIANCE; pixels],
        }
    }
}

/// How much of the latest picture is learned, 0..=1.
#[derive(Clone, Copy)]
struct Rates {
    weight: f32,
    /// Least rate of means and variances.
    light: f32,
}

/// The Gaussians of every pixel, heaviest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Mixture {
    layers: [Layer; GAUSSIANS],
    age: Duration,
}

/// One Gaussian of one pixel.
#[derive(Clone, Copy, Default)]
struct Gaussian {
    weight: f32,
    mean: [f32; 3],
    variance: f32,
}

impl Gaussian {
    fn distance(&self, pixel: [f32; 3]) -> f32 {
        let [r, g, b] = [0, 1, 2].map(|c| pixel[c] - self.mean[c]);
        r * r + g * g + b * b
    }

    /// Whether the pixel is this background in a shadow.
    fn shades(&self, pixel: [f32; 3]) -> bool {
        let dot = |a: [f32; 3], b: [f32; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
        let brightness = dot(pixel, self.mean) / dot(self.mean, self.mean).max(1.0);
        if !(DARKEST_SHADOW..1.0).contains(&brightness) {
            return false;
        }
        let [r, g, b] = [0, 1, 2].map(|c| pixel[c] - brightness * self.mean[c]);
        r * r + g * g + b * b < NEAR * self.variance * brightness * brightness
    }
}

impl Mixture {
    /// Forgets everything: this picture is the background.
    pub(super) fn begin(&mut self, picture: &Small) {
        let (width, height) = picture.size();
        let pixels = width * height;
        self.layers = std::array::from_fn(|_| Layer::new(pixels));
        self.age = Duration::ZERO;
        let [first, ..] = &mut self.layers;
        first.weight.fill(1.0);
        for (mean, plane) in first.mean.iter_mut().zip(&picture.planes) {
            mean.copy_from_slice(plane);
        }
    }

    /// Learns a picture that came `dt` after the one before, and marks in `mask` (all background) what is not
    /// background.
    pub(super) fn learn(&mut self, picture: &Small, dt: Duration, mask: &mut Mask) {
        self.age = (self.age + dt).min(LIGHT_MEMORY);
        let over = |memory: Duration| 1.0 - (-dt.as_secs_f32() / memory.as_secs_f32()).exp();
        let rates = Rates {
            weight: over(MEMORY),
            light: over(self.age.max(SHORTEST_LIGHT_MEMORY)),
        };
        self.follow_exposure(picture);
        self.learn_heaviest(picture, rates, &mut mask.pixels);
        let left = mask.pixels.iter_mut().enumerate();
        for (at, verdict) in left.filter(|(_, verdict)| **verdict != 0) {
            let pixel = [0, 1, 2].map(|c: usize| picture.planes[c][at]);
            *verdict = self.learn_pixel(at, pixel, rates);
        }
    }

    /// Variance of a pixel's heaviest Gaussian: its noise, grey levels squared, per channel.
    pub(super) fn noise(&self) -> &[f32] {
        &self.layers[0].variance
    }

    /// Whether values this far from each other (squared, over three channels) are more than that noise.
    pub(super) fn differs(distance: f32, noise: f32) -> bool {
        distance > NEAR * noise
    }

    /// Shifts all means to the camera's present exposure.
    fn follow_exposure(&mut self, picture: &Small) {
        let [first, ..] = &self.layers;
        let tones = tone::estimate(picture, &first.mean);
        if tones.iter().all(|tone| tone.shift() < LEAST_SHIFT) {
            return;
        }
        let tables = tones.map(|tone| tone.table());
        for layer in &mut self.layers {
            for (mean, table) in layer.mean.iter_mut().zip(&tables) {
                // Hardly any pixel has more than its heaviest Gaussian.
                let there = mean.iter_mut().zip(&layer.weight);
                for (mean, _) in there.filter(|(_, weight)| **weight > 0.0) {
                    *mean += table[usize::from(*mean as u8)];
                }
            }
        }
    }

    /// Updates every pixel that its heaviest Gaussian explains; marks the others.
    fn learn_heaviest(&mut self, picture: &Small, rates: Rates, left: &mut [u8]) {
        let rate = rates.weight;
        let pixels = left.len();
        let [first, second, third] = &mut self.layers;
        let [red, green, blue] = &picture.planes;
        let [mean_r, mean_g, mean_b] = &mut first.mean;
        // One length for all: then the loop needs no checks and becomes SIMD.
        let (red, green, blue) = (&red[..pixels], &green[..pixels], &blue[..pixels]);
        let (mean_r, mean_g) = (&mut mean_r[..pixels], &mut mean_g[..pixels]);
        let mean_b = &mut mean_b[..pixels];
        let weight = &mut first.weight[..pixels];
        let variance = &mut first.variance[..pixels];
        let (second, third) = (&mut second.weight[..pixels], &mut third.weight[..pixels]);
        let loss = rate * SUPPORT;
        for at in 0..pixels {
            let (r, g, b) = (
                red[at] - mean_r[at],
                green[at] - mean_g[at],
                blue[at] - mean_b[at],
            );
            let distance = r * r + g * g + b * b;
            let near = distance < NEAR * variance[at];
            let near_or_nothing = if near { 1.0 } else { 0.0 };
            let heavier = weight[at] + rate * (1.0 - weight[at]) - loss;
            let share = near_or_nothing * (rate / heavier.max(rate)).max(rates.light);
            mean_r[at] += share * r;
            mean_g[at] += share * g;
            mean_b[at] += share * b;
            let spread = variance[at] + share * (distance / 3.0 - variance[at]);
            variance[at] = spread.clamp(LEAST_VARIANCE, MOST_VARIANCE);
            weight[at] += near_or_nothing * (heavier - weight[at]);
            second[at] = (second[at] - near_or_nothing * (rate * second[at] + loss)).max(0.0);
            third[at] = (third[at] - near_or_nothing * (rate * third[at] + loss)).max(0.0);
            left[at] = if near { 0 } else { FOREGROUND };
        }
    }

    /// A pixel that its heaviest Gaussian does not explain.
    fn learn_pixel(&mut self, at: usize, pixel: [f32; 3], rates: Rates) -> u8 {
        let rate = rates.weight;
        let mut all: [Gaussian; GAUSSIANS] = std::array::from_fn(|k| self.read(k, at));
        // Which one explains it, and whether those before it leave room for it to be background.
        let mut verdict = FOREGROUND;
        let (mut before, mut found) = (0.0, None);
        for (k, one) in all.iter().enumerate() {
            if one.weight <= 0.0 {
                break;
            }
            if k > 0 && one.distance(pixel) < NEAR * one.variance {
                found = Some(k);
                if before < 1.0 - NEW_SHARE {
                    verdict = 0;
                }
                break;
            }
            before += one.weight;
        }
        if verdict == FOREGROUND {
            let mut before = 0.0;
            for one in all.iter().take_while(|one| one.weight > 0.0) {
                if before >= 1.0 - NEW_SHARE {
                    break;
                }
                if one.shades(pixel) {
                    verdict = SHADOW;
                    break;
                }
                before += one.weight;
            }
        }
        for (k, one) in all.iter_mut().enumerate() {
            let own = if found == Some(k) { 1.0 } else { 0.0 };
            one.weight = (one.weight + rate * (own - one.weight) - rate * SUPPORT).max(0.0);
        }
        let changed = match found {
            Some(k) => {
                let one = &mut all[k];
                let distance = one.distance(pixel);
                let share = (rate / one.weight.max(rate)).clamp(rates.light, 1.0);
                for (mean, value) in one.mean.iter_mut().zip(pixel) {
                    *mean += share * (value - *mean);
                }
                let spread = one.variance + share * (distance / 3.0 - one.variance);
                one.variance = spread.clamp(LEAST_VARIANCE, MOST_VARIANCE);
                k
            }
            None => {
                let last = GAUSSIANS - 1;
                all[last] = Gaussian {
                    weight: rate,
                    mean: pixel,
                    variance: FIRST_VARIANCE,
                };
                last
            }
        };
        let mut k = changed;
        while k > 0 && all[k].weight > all[k - 1].weight {
            all.swap(k, k - 1);
            k -= 1;
        }
        let sum: f32 = all.iter().map(|one| one.weight).sum();
        for (k, one) in all.iter().enumerate() {
            self.write(k, at, one, 1.0 / sum.max(rate));
        }
        verdict
    }

    fn read(&self, k: usize, at: usize) -> Gaussian {
        let layer = &self.layers[k];
        Gaussian {
            weight: layer.weight[at],
            mean: [0, 1, 2].map(|c: usize| layer.mean[c][at]),
            variance: layer.variance[at],
        }
    }

    fn write(&mut self, k: usize, at: usize, one: &Gaussian, scale: f32) {
        let layer = &mut self.layers[k];
        layer.weight[at] = one.weight * scale;
        for (mean, value) in layer.mean.iter_mut().zip(one.mean) {
            mean[at] = value;
        }
        layer.variance[at] = one.variance;
    }
}
