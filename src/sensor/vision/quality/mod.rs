//! Whether a camera still sees the scene it was hung for: not covered, not dark, not blinded, not turned, not too slow.
//!
//! Hardly any number here is a grey level. What the scene usually looks like is learned ([`structure`]: its edges, in
//! cells; [`light`]: how bright it is), and a fault is that this is gone. People who pass hide parts of it for moments,
//! so a part is gone only when it was not seen for ten seconds, and a camera only when most parts are.

mod alarm;
mod light;
mod structure;

use std::time::Duration;

use alarm::Alarm;
use light::Light;
use structure::Structure;

use super::background::Small;
use crate::event::CameraState;

/// The scene is looked at no more often than this.
const EVERY: Duration = Duration::from_millis(450);
/// The scene is gone when this share of its cells is, and back below the other. Measured: a scene that is as it was
/// loses a fifth at most, also dimmed to 20 %; one turned by eight degrees or moved by a twentieth loses half and more.
const GONE: f32 = 0.33;
const BACK: f32 = 0.22;
/// With less detail than this share of the usual, something lies over the lens; with more it sees something else.
const LITTLE_DETAIL: f32 = 0.4;
/// With less than this, and that for so long, the picture is blurred even where its coarse edges are still there.
const BLURRED: f32 = 0.25;
const BLURRED_AFTER: Duration = Duration::from_secs(10);
/// The rate of pictures is taken over so long.
const RATE_OVER: Duration = Duration::from_secs(20);

/// Watches over one camera's pictures.
#[derive(Clone, Debug)]
pub struct Monitor {
    /// Fewer pictures a second than this are too few to follow people.
    least_fps: f32,
    luma: Vec<f32>,
    structure: Structure,
    light: Light,
    alarm: Alarm,
    looked_at: Option<Duration>,
    /// Latest time at which the picture had its detail.
    sharp_at: Duration,
    rate: Rate,
}

impl Monitor {
    #[must_use]
    pub fn new(least_fps: f32) -> Self {
        Self {
            least_fps,
            luma: Vec::new(),
            structure: Structure::default(),
            light: Light::default(),
            alarm: Alarm::default(),
            looked_at: None,
            sharp_at: Duration::ZERO,
            rate: Rate::default(),
        }
    }

    /// Takes the next picture, at its time; returns how the camera is doing. Nothing but the states that a picture can
    /// tell: never lost, never frozen. `None` for a picture that came and was not made small: it counts for the rate.
    pub fn look(&mut self, at: Duration, picture: Option<&Small>) -> CameraState {
        let fps = self.rate.frame(at);
        let since = |then: Duration| at.checked_sub(then).unwrap_or(Duration::MAX);
        let due = self.looked_at.is_none_or(|then| since(then) >= EVERY);
        let Some(picture) = picture.filter(|_| due) else {
            return self.alarm.state();
        };
        let step = self.looked_at.map_or(EVERY, since);
        self.looked_at = Some(at);
        picture.luma(&mut self.luma);
        let light = self.light.look(&self.luma);
        self.structure.look(at, &self.luma, picture.size());
        let verdict = match self.verdict(at, &light) {
            CameraState::Ok if fps.is_some_and(|fps| fps < self.least_fps) => CameraState::Slow,
            verdict => verdict,
        };
        if verdict == CameraState::Ok || verdict == CameraState::Slow {
            self.light.learn(&light, step);
            self.structure.learn(step);
        }
        self.alarm.say(at, verdict)
    }

    /// How the camera is doing as far as this picture tells.
    fn verdict(&mut self, at: Duration, light: &light::Look) -> CameraState {
        let limit = if !matches!(self.alarm.state(), CameraState::Ok | CameraState::Slow) {
            BACK
        } else {
            GONE
        };
        let gone = self
            .structure
            .share_gone()
            .is_some_and(|gone| gone >= limit);
        let gone = gone || self.blurred(at, light);
        match self.light.extreme(light, gone) {
            Some(extreme) => extreme,
            None if !gone => CameraState::Ok,
            None if self.structure.detail() < LITTLE_DETAIL => CameraState::Covered,
            None => CameraState::Moved,
        }
    }
}

impl Monitor {
    /// Whether the detail of a known scene has been missing for long, more than the light is.
    fn blurred(&mut self, at: Duration, light: &light::Look) -> bool {
        let known = self.structure.share_gone().is_some();
        let usual = self.light.against_usual(light).min(1.0);
        if !known || self.structure.detail() >= BLURRED * usual || self.sharp_at > at {
            self.sharp_at = at;
        }
        at - self.sharp_at >= BLURRED_AFTER
    }
}

/// Pictures a second over the latest [`RATE_OVER`], its longest gap left out: a camera that was away for a while and is
/// back is not slow.
#[derive(Clone, Debug, Default)]
struct Rate {
    since: Option<Duration>,
    latest: Duration,
    longest_gap: Duration,
    frames: u32,
    fps: Option<f32>,
}

impl Rate {
    /// One more picture; the rate, once it is known.
    fn frame(&mut self, at: Duration) -> Option<f32> {
        let since = *self.since.get_or_insert(at);
        if at < since.max(self.latest) {
            // The source's time began anew.
            *self = Self::default();
            return None;
        }
        if self.frames > 0 {
            self.longest_gap = self.longest_gap.max(at - self.latest);
        }
        self.latest = at;
        let elapsed = at - since;
        if elapsed >= RATE_OVER {
            let counted = elapsed.saturating_sub(self.longest_gap).as_secs_f32();
            self.fps = (self.frames > 1).then(|| (self.frames - 1) as f32 / counted.max(0.001));
            (self.since, self.frames, self.longest_gap) = (Some(at), 0, Duration::ZERO);
        }
        self.frames += 1;
        self.fps
    }
}

#[cfg(test)]
mod tests;
