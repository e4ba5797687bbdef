//! The synthetic shop as a camera: frames as fast as they are pulled, and the truth beside them.

use std::time::Duration;

use super::render::{Renderer, TrueBox};
use super::scene::{self, Light, Place};
use super::script::{Crossing, Script};
use crate::config::schema::Line;
use crate::sensor::camera::{CameraError, Frame, FrameSource, Next};

/// The seed of the shop that `footfall demo` shows.
pub const DEFAULT_SEED: u64 = 7;
/// Seconds of shop that `footfall demo` shows.
pub const DEFAULT_SECONDS: f64 = 90.0;
/// Frames per second that `footfall demo` shows.
pub const DEFAULT_FPS: f64 = 10.0;

/// What truly happens in a synthetic shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// In the order of time.
    pub crossings: Vec<Crossing>,
    /// Crossings from the street into the shop.
    pub inward: u64,
    /// Crossings from the shop to the street.
    pub outward: u64,
}

/// A shop that exists only as a seed. The same seed gives the same frames and the same truth.
#[derive(Debug)]
pub struct SyntheticShop {
    place: Place,
    script: Script,
    renderer: Renderer,
    fps: f64,
    frames: u64,
    next: u64,
}

impl SyntheticShop {
    /// [`SyntheticShop::seen`] by day from the wall.
    #[must_use]
    pub fn new(seed: u64, seconds: f64, fps: f64) -> Self {
        Self::seen(Place::default(), Light::default(), seed, seconds, fps)
    }

    /// `seconds` of shop, held to 0..=86,400, at `fps` frames per second, held to 1..=60.
    #[must_use]
    pub fn seen(place: Place, light: Light, seed: u64, seconds: f64, fps: f64) -> Self {
        let (seconds, fps) = (held(seconds, 0.0, 86_400.0), held(fps, 1.0, 60.0));
        let script = Script::new(seed, seconds as f32, place);
        Self {
            renderer: Renderer::new(seed, &script, place, light),
            place,
            script,
            fps,
            frames: (seconds * fps) as u64,
            next: 0,
        }
    }

    /// The true crossings and their totals.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let (inward, outward) = self.script.totals();
        Truth {
            crossings: self.script.crossings().to_vec(),
            inward,
            outward,
        }
    }

    /// The counting line, as the config file would say it.
    #[must_use]
    pub fn line(&self) -> Line {
        scene::line(self.place)
    }

    /// Where its camera hangs.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Who walks through the shop.
    #[must_use]
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Where everybody truly is on the frame that came last.
    #[must_use]
    pub fn boxes(&self) -> &[TrueBox] {
        self.renderer.boxes()
    }

    /// How many frames the shop has.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Goes on with that frame.
    pub fn seek(&mut self, index: u64) {
        self.next = index;
    }
}

/// `value` within its limits; the lower one if it is not a number.
fn held(value: f64, low: f64, high: f64) -> f64 {
    if value.is_nan() {
        low
    } else {
        value.clamp(low, high)
    }
}

impl FrameSource for SyntheticShop {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        while self.next < self.frames {
            let index = self.next;
            let t = index as f64 / self.fps;
            let at = Duration::from_secs_f64(t);
            self.next += 1;
            if keep(at) {
                self.renderer.draw(&self.script, t as f32, index, frame);
                (frame.at, frame.index) = (at, index);
                return Ok(Next::Frame);
            }
        }
        Ok(Next::End)
    }
}
