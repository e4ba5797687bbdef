//! One camera's way from a frame to counted crossings and visits: detector, tracker, counters. Synchronous and without a
//! clock, so that `run`, `replay` and the demo count alike.

use std::time::Duration;

use super::count::scene::{Counted, Scene, SceneSettings};
use super::track::{Settings, Tracker};
use super::{Detection, Detector, VisionError};
use crate::sensor::camera::Frame;

/// What to look for and where to count it.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// Score from which a detection may start a track.
    pub threshold: f32,
    /// Tracks are numbered from here; must not have been used since boot.
    pub first_track: u64,
    pub scene: SceneSettings,
}

/// Detector, tracker and counters of one camera.
pub struct Pipeline {
    detector: Box<dyn Detector>,
    detections: Vec<Detection>,
    tracker: Tracker,
    scene: Scene,
}

impl Pipeline {
    #[must_use]
    pub fn new(detector: Box<dyn Detector>, settings: PipelineSettings) -> Self {
        Self {
            detector,
            detections: Vec::new(),
            tracker: Tracker::new(
                Settings::with_threshold(settings.threshold),
                settings.first_track,
            ),
            scene: Scene::new(settings.scene),
        }
    }

    /// Takes one frame; returns what it came to. Frames must come in the order of their time.
    ///
    /// # Errors
    /// [`VisionError`] when inference fails; the frame is then as if it had not been seen.
    pub fn process(&mut self, frame: &Frame) -> Result<&Counted, VisionError> {
        self.detector.detect(frame, &mut self.detections)?;
        self.tracker.step(frame.at, &self.detections);
        let size = (frame.width, frame.height);
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

    /// The detections of the latest frame, weak ones included.
    #[must_use]
    pub fn detections(&self) -> &[Detection] {
        &self.detections
    }

    /// The tracker, to look at.
    #[must_use]
    pub const fn tracker(&self) -> &Tracker {
        &self.tracker
    }
}
