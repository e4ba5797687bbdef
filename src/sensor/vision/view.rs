//! What is known of a picture before anybody is looked for on it: what must not be seen, what moves, whether a look is
//! worth it, and whether the camera still sees its scene.

use std::time::Duration;

use super::background::{Background, Blob, Motion};
use super::gate::Gate;
use super::privacy::{Polygon, PrivacyMask};
use super::quality::Monitor;
use super::track::Track;
use super::{Detection, Rect};
use crate::event::CameraState;
use crate::sensor::camera::Frame;

/// How a camera's pictures are looked at.
#[derive(Clone, Debug)]
pub struct ViewSettings {
    /// Whether pictures on which nothing moves are passed over.
    pub gate: bool,
    /// Share of a box that must move for a track to begin there, 0..=1; 0: none.
    pub min_moving_share: f32,
    /// Smallest moving area that is a person where movement is all there is to go by, as a share of the picture.
    pub min_area: f32,
    /// Painted over before anything looks at the picture.
    pub masks: Vec<Polygon>,
    /// Fewer frames a second are too few to follow people.
    pub least_fps: f32,
}

/// People are counted well from five frames a second on; below this they are not followed any more.
pub const LEAST_FPS: f32 = 3.0;

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            gate: true,
            min_moving_share: 0.0,
            min_area: 0.02,
            masks: Vec::new(),
            least_fps: LEAST_FPS,
        }
    }
}

/// What one camera sees.
pub struct View {
    settings: ViewSettings,
    background: Background,
    motion: Motion,
    gate: Gate,
    privacy: PrivacyMask,
    monitor: Monitor,
    state: CameraState,
    blobs: Vec<Blob>,
    /// Whether somebody asks of every picture what moves on it.
    every_picture: bool,
    /// Time of the latest picture that was held against the background.
    compared_at: Option<Duration>,
}

/// A moving area is a person for certain, as far as movement tells.
const SCORE: f32 = 0.9;

/// While something moves anyway, and where nothing is passed over, the background is compared and learned this often; the
/// gate closes that much later at most. Behind a closed gate every picture is compared.
const COMPARE_EVERY: Duration = Duration::from_millis(900);

impl View {
    /// `by_motion`: people are what moves ([`View::movers`]).
    #[must_use]
    pub fn new(mut settings: ViewSettings, by_motion: bool) -> Self {
        Self {
            every_picture: by_motion || settings.min_moving_share > 0.0,
            compared_at: None,
            background: Background::default(),
            motion: Motion::default(),
            gate: Gate::default(),
            privacy: PrivacyMask::new(std::mem::take(&mut settings.masks)),
            monitor: Monitor::new(settings.least_fps),
            state: CameraState::Ok,
            blobs: Vec::new(),
            settings,
        }
    }

    /// Takes the next picture and paints over what must not be seen; returns whether people should be looked for on it.
    pub fn look(&mut self, frame: &mut Frame, tracks: &[Track]) -> bool {
        self.privacy.paint(frame);
        let compare = self.must_compare(frame.at);
        if compare {
            self.motion = self.background.look(frame);
            self.compared_at = Some(frame.at);
        }
        let small = compare.then(|| self.background.small());
        self.state = self.monitor.look(frame.at, small);
        let opens = self.gate.opens(frame.at, &self.motion, tracks);
        opens || !self.settings.gate
    }

    fn must_compare(&self, at: Duration) -> bool {
        let since = self.compared_at.and_then(|then| at.checked_sub(then));
        self.every_picture
            || self.motion.learning
            || self.settings.gate && !self.gate.lively(at)
            || since.is_none_or(|since| since >= COMPARE_EVERY)
    }

    /// How the camera is doing, as far as its pictures tell.
    #[must_use]
    pub const fn state(&self) -> CameraState {
        self.state
    }

    /// What moved on the latest picture that was compared.
    #[must_use]
    pub const fn motion(&self) -> &Motion {
        &self.motion
    }

    /// Whether anything moved within the latest moments before `at`.
    #[must_use]
    pub fn lively(&self, at: Duration) -> bool {
        self.gate.lively(at)
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
