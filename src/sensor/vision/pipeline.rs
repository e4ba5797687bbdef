//! One camera's way from a frame to counted crossings and visits: view, detector, tracker, counters. Synchronous and
//! without a clock, so that `run`, `replay` and the demo count alike.

use std::time::Duration;

use super::count::scene::{Counted, Scene, SceneSettings};
use super::track::{Settings, Tracker};
use super::view::{View, ViewSettings};
use super::{Detection, Detector, VisionError};
use crate::sensor::camera::Frame;

/// What to look for and where to count it.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// Score from which a detection may start a track.
    pub threshold: f32,
    /// Tracks are numbered from here; must not have been used since boot.
    pub first_track: u64,
    pub view: ViewSettings,
    pub scene: SceneSettings,
}

/// View, detector, tracker and counters of one camera.
pub struct Pipeline {
    view: View,
    /// `None`: what moves is a person.
    detector: Option<Box<dyn Detector>>,
    detections: Vec<Detection>,
    /// Frames on which people were looked for.
    looked: u64,
    tracker: Tracker,
    scene: Scene,
}

impl Pipeline {
    /// Without a detector everything that moves and is large enough is a person.
    #[must_use]
    pub fn new(detector: Option<Box<dyn Detector>>, settings: PipelineSettings) -> Self {
        Self {
            view: View::new(settings.view, detector.is_none()),
            detector,
            detections: Vec::new(),
            looked: 0,
            tracker: Tracker::new(
                Settings::with_threshold(settings.threshold),
                settings.first_track,
            ),
            scene: Scene::new(settings.scene),
        }
    }

    /// Takes one frame; returns what it came to. Frames must come in the order of their time.
    ///
    /// A frame on which nothing moves is passed over: tracks and counters stay as they are until the next look, which
    /// takes the time between into account.
    ///
    /// # Errors
    /// [`VisionError`] when inference fails; the frame is then as if it had not been seen.
    pub fn process(&mut self, frame: &mut Frame) -> Result<&Counted, VisionError> {
        let size = (frame.width, frame.height);
        if !self.view.look(frame, self.tracker.tracks()) {
            return Ok(self.scene.passed_over());
        }
        self.looked += 1;
        match &mut self.detector {
            Some(detector) => detector.detect(frame, &mut self.detections)?,
            None => self.view.movers(&mut self.detections),
        }
        let may_begin = |found: &Detection| self.view.moves(&found.rect);
        self.tracker
            .step_where(frame.at, &self.detections, may_begin);
        Ok(self.scene.step(frame.at, &self.tracker, size))
    }

    /// Ends all tracks: the recording is over, or the camera was lost.
    pub fn finish(&mut self, at: Duration) -> &Counted {
        self.tracker.finish();
        // Nobody walks any more; only what is counted on leaving is still due, and that needs no picture.
        self.scene.step(at, &self.tracker, (1, 1))
    }

    /// The counters.
    pub const fn scene(&mut self) -> &mut Scene {
        &mut self.scene
    }

    /// The detections of the latest frame that was looked at, weak ones included.
    #[must_use]
    pub fn detections(&self) -> &[Detection] {
        &self.detections
    }

    /// The tracker, to look at.
    #[must_use]
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// What the camera sees, to look at.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Whether anything moves or anybody is followed: then every frame is wanted.
    #[must_use]
    pub fn lively(&self, at: Duration) -> bool {
        self.view.lively(at) || !self.tracker.tracks().is_empty()
    }

    /// Whether movement is all there is to go by.
    #[must_use]
    pub const fn by_motion(&self) -> bool {
        self.detector.is_none()
    }

    /// Frames so far on which people were looked for; the others were passed over.
    #[must_use]
    pub const fn looked(&self) -> u64 {
        self.looked
    }
}

#[cfg(test)]
mod tests;
