//! What is known of a picture before anybody is looked for on it: what moves, and whether a look is worth it.

use super::background::{Background, Blob, Motion};
use super::gate::Gate;
use super::track::Track;
use super::{Detection, Rect};
use crate::sensor::camera::Frame;

/// How a scene is looked at.
#[derive(Clone, Debug)]
pub struct SceneSettings {
    /// Whether pictures on which nothing moves are passed over.
    pub gate: bool,
    /// Share of a box that must move for a track to begin there, 0..=1; 0: none.
    pub min_moving_share: f32,
    /// Smallest moving area that is a person where movement is all there is to go by, as a share of the picture.
    pub min_area: f32,
}

impl Default for SceneSettings {
    fn default() -> Self {
        Self {
            gate: true,
            min_moving_share: 0.0,
            min_area: 0.02,
        }
    }
}

/// The scene in front of one camera.
pub struct Scene {
    settings: SceneSettings,
    background: Background,
    motion: Motion,
    gate: Gate,
    blobs: Vec<Blob>,
}

/// A moving area is a person for certain, as far as movement tells.
const SCORE: f32 = 0.9;

impl Scene {
    #[must_use]
    pub fn new(settings: SceneSettings) -> Self {
        Self {
            settings,
            background: Background::default(),
            motion: Motion::default(),
            gate: Gate::default(),
            blobs: Vec::new(),
        }
    }

    /// Takes the next picture; returns whether people should be looked for on it.
    pub fn look(&mut self, frame: &Frame, tracks: &[Track]) -> bool {
        self.motion = self.background.look(frame);
        let opens = self.gate.opens(frame.at, &self.motion, tracks);
        opens || !self.settings.gate
    }

    /// What moved on the latest picture.
    #[must_use]
    pub const fn motion(&self) -> &Motion {
        &self.motion
    }

    /// Whether enough of the box moves for a track to begin there.
    #[must_use]
    pub fn moves(&self, rect: &Rect) -> bool {
        // While the background is being learned nobody knows; better a post than nobody.
        let least = self.settings.min_moving_share;
        least <= 0.0 || self.motion.learning || self.background.moving_share(rect) >= least
    }

    /// The moving areas as detections of class 0, largest first.
    pub fn movers(&mut self, out: &mut Vec<Detection>) {
        self.background
            .blobs(self.settings.min_area, &mut self.blobs);
        out.clear();
        out.extend(self.blobs.iter().map(|blob| Detection {
            rect: blob.rect,
            score: SCORE,
            class: 0,
        }));
    }
}
