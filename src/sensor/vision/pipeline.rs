//! One camera's way from a frame to counted crossings: scene, detector, tracker, line counters. Synchronous and without
//! a clock, so that `run`, `replay` and the demo count alike.

use std::time::Duration;

use super::count::line::{Crossing, LineCounter, LineSettings};
use super::scene::{Scene, SceneSettings};
use super::track::{Settings, Tracker};
use super::{Detection, Detector, VisionError};
use crate::sensor::camera::Frame;

/// A crossing of line number `line`, in the order of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCrossing {
    pub line: usize,
    pub crossing: Crossing,
}

/// What to look for and where to count it.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// Score from which a detection may start a track.
    pub threshold: f32,
    /// Tracks are numbered from here; must not have been used since boot.
    pub first_track: u64,
    pub lines: Vec<LineSettings>,
    pub scene: SceneSettings,
}

/// Scene, detector, tracker and counters of one camera.
pub struct Pipeline {
    scene: Scene,
    /// `None`: what moves is a person.
    detector: Option<Box<dyn Detector>>,
    detections: Vec<Detection>,
    /// Frames on which people were looked for.
    looked: u64,
    tracker: Tracker,
    lines: Vec<LineCounter>,
    crossings: Vec<LineCrossing>,
    counted: Vec<Crossing>,
}

impl Pipeline {
    /// Without a detector everything that moves and is large enough is a person.
    #[must_use]
    pub fn new(detector: Option<Box<dyn Detector>>, settings: PipelineSettings) -> Self {
        Self {
            scene: Scene::new(settings.scene),
            detector,
            detections: Vec::new(),
            looked: 0,
            tracker: Tracker::new(
                Settings::with_threshold(settings.threshold),
                settings.first_track,
            ),
            lines: settings.lines.into_iter().map(LineCounter::new).collect(),
            crossings: Vec::new(),
            counted: Vec::new(),
        }
    }

    /// Takes one frame; returns what it let cross. Frames must come in the order of their time.
    ///
    /// A frame on which nothing moves is passed over: tracks and counters stay as they are until the next look, which
    /// takes the time between into account.
    ///
    /// # Errors
    /// [`VisionError`] when inference fails; the frame is then as if it had not been seen.
    pub fn process(&mut self, frame: &mut Frame) -> Result<&[LineCrossing], VisionError> {
        self.crossings.clear();
        if !self.scene.look(frame, self.tracker.tracks()) {
            return Ok(&self.crossings);
        }
        self.looked += 1;
        match &mut self.detector {
            Some(detector) => detector.detect(frame, &mut self.detections)?,
            None => self.scene.movers(&mut self.detections),
        }
        let may_begin = |found: &Detection| self.scene.moves(&found.rect);
        self.tracker
            .step_where(frame.at, &self.detections, may_begin);
        Ok(self.count(frame.at, (frame.width, frame.height)))
    }

    /// Ends all tracks: the recording is over, or the camera was lost.
    pub fn finish(&mut self, at: Duration) -> &[LineCrossing] {
        self.tracker.finish();
        // Nobody walks any more; only what is counted on leaving is still due, and that needs no picture.
        self.count(at, (1, 1))
    }

    fn count(&mut self, at: Duration, size: (u32, u32)) -> &[LineCrossing] {
        self.crossings.clear();
        for (line, counter) in self.lines.iter_mut().enumerate() {
            self.counted.clear();
            counter.step(
                at,
                self.tracker.tracks(),
                self.tracker.ended(),
                size,
                &mut self.counted,
            );
            let crossings = self
                .counted
                .iter()
                .map(|&crossing| LineCrossing { line, crossing });
            self.crossings.extend(crossings);
        }
        &self.crossings
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

    /// The scene, to look at.
    #[must_use]
    pub const fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Whether anything moves or anybody is followed: then every frame is wanted.
    #[must_use]
    pub fn lively(&self, at: Duration) -> bool {
        self.scene.lively(at) || !self.tracker.tracks().is_empty()
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
