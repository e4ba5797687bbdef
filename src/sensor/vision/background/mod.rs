//! What moves on a camera's picture: a background that is learned, and everything that is not it.
//!
//! ```text
//!  Frame ─ shrink ─► Small ─ mixture ─► Mask ─┬─ blobs ─► moving areas
//!                             ▲               └─ recent ─► is anything on the move?
//!                           tone (exposure)
//! ```
//!
//! Pure: pictures and their times in, a mask out. All rates are per millisecond of the pictures' own time, so that the
//! same scene is learned alike at 5 and at 25 pictures a second.

mod blobs;
mod mask;
mod mixture;
mod recent;
mod shrink;
mod tone;

use std::time::Duration;

pub use blobs::Blob;
pub use mask::Mask;
pub use shrink::Small;

use mixture::Mixture;
use recent::Recent;

use super::Rect;
use crate::sensor::camera::Frame;

/// How long a background is learned before anything is said to move, and again after the light was switched.
const LEARN_FOR: Duration = Duration::from_secs(2);
/// A hole in the pictures that is longer than this says nothing about rates.
const LONGEST_STEP: Duration = Duration::from_secs(2);

/// The light is switched when so much of the picture changes at once, in every part of it ...
const LIGHT_SHARE: f32 = 0.75;
const LIGHT_SHARE_OF_PART: f32 = 0.4;
/// ... within this time after it was calm. People fill a picture little by little.
const LIGHT_WITHIN: Duration = Duration::from_millis(500);
/// Less than this has changed on a calm picture.
const CALM_SHARE: f32 = 0.35;
/// A picture that was not calm for so long has become another one.
const ANOTHER_AFTER: Duration = Duration::from_secs(15);

/// What one picture showed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    /// Moving pixels, as a share of the picture; shadows are left out.
    pub share: f32,
    /// Pixels of the small picture that are on the move: neither background nor as they were a moment ago.
    pub changing: u32,
    /// The background is being learned: the camera has just begun, or the light was switched. Nothing is said to move
    /// meanwhile, and anything may.
    pub learning: bool,
    /// The whole picture has just changed at once.
    pub light_switched: bool,
}

/// Learns a camera's background and says what is not it.
#[derive(Clone, Debug, Default)]
pub struct Background {
    small: Small,
    mixture: Mixture,
    recent: Recent,
    mask: Mask,
    /// Time of the latest picture.
    now: Option<Duration>,
    learning_until: Duration,
    /// Latest time at which little of the picture had changed.
    calm_at: Duration,
}

impl Background {
    /// Takes the next picture. One of another size, or one that is not later than the one before, begins anew.
    pub fn look(&mut self, frame: &Frame) -> Motion {
        let another_size = !self.small.fits(frame);
        let learning = Motion {
            learning: true,
            ..Motion::default()
        };
        if !self.small.shrink(frame) {
            self.mask.clear(0, 0);
            self.now = None;
            return learning;
        }
        let (width, height) = self.small.size();
        self.mask.clear(width, height);
        let before = self.now.replace(frame.at).filter(|_| !another_size);
        let step = before.and_then(|before| frame.at.checked_sub(before));
        let Some(step) = step.map(|step| step.min(LONGEST_STEP)) else {
            self.begin(frame.at);
            return learning;
        };
        self.mixture.learn(&self.small, step, &mut self.mask);
        let changed = self.mask.changed_share();
        if changed < CALM_SHARE {
            self.calm_at = frame.at;
        }
        let restless = frame.at.saturating_sub(self.calm_at);
        let at_once = changed > LIGHT_SHARE
            && restless <= LIGHT_WITHIN.max(step)
            && self.mask.least_changed_part() > LIGHT_SHARE_OF_PART;
        let light_switched =
            frame.at >= self.learning_until && (at_once || restless > ANOTHER_AFTER);
        if light_switched {
            self.begin(frame.at);
        }
        if frame.at < self.learning_until {
            self.mask.clear(width, height);
            self.recent.begin(&self.small);
            return Motion {
                light_switched,
                ..learning
            };
        }
        self.mask.tidy();
        Motion {
            share: self.mask.share(),
            changing: self
                .recent
                .learn(&self.small, step, &self.mask, &self.mixture),
            learning: false,
            light_switched: false,
        }
    }

    fn begin(&mut self, at: Duration) {
        self.mixture.begin(&self.small);
        self.recent.begin(&self.small);
        self.learning_until = at + LEARN_FOR;
        self.calm_at = at;
    }

    /// What moves on the latest picture.
    #[must_use]
    pub const fn mask(&self) -> &Mask {
        &self.mask
    }

    /// The latest picture, shrunk.
    #[must_use]
    pub const fn small(&self) -> &Small {
        &self.small
    }

    /// Share of a box of the picture that moves, 0..=1; of its part inside the picture.
    #[must_use]
    pub fn moving_share(&self, rect: &Rect) -> f32 {
        self.mask.share_of(&scaled(rect, 1.0 / self.small.factor()))
    }

    /// Connected moving areas of at least `min_share` of the picture, in its pixels, largest first.
    pub fn blobs(&mut self, min_share: f32, out: &mut Vec<Blob>) {
        let (width, height) = self.small.size();
        let least = (min_share * (width * height) as f32).max(1.0) as u32;
        self.mask.blobs(least, out);
        let factor = self.small.factor();
        for blob in out {
            blob.rect = scaled(&blob.rect, factor);
        }
    }
}

fn scaled(rect: &Rect, by: f32) -> Rect {
    Rect {
        x0: rect.x0 * by,
        y0: rect.y0 * by,
        x1: rect.x1 * by,
        y1: rect.y1 * by,
    }
}

#[cfg(test)]
mod tests;
