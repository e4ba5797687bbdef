//! How bright the scene is, against how bright it usually is.

use std::time::Duration;

use crate::event::CameraState;

/// Time constant of what is usual.
const MEMORY: Duration = Duration::from_secs(300);
/// From this grey level on a pixel is blown out: the format's white (235 of 255 in video range, scaled).
const BLOWN: f32 = 248.0;
/// A picture whose lights are darker than this shows nothing, whatever is usual: a few levels above a sensor's noise.
const NIGHT: f32 = 22.0;
/// Where the scene is gone as well, it is dark when its lights have lost this much of their usual level ...
const DARKER: f32 = 0.4;
/// ... and blinded when so much more of it than usual is blown out.
const MORE_BLOWN: f32 = 0.3;
/// A picture of which so much is blown out shows nothing, whatever is usual, if that is not usual.
const MOSTLY_BLOWN: f32 = 0.6;

/// One picture's brightness.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// The level that nineteen of twenty pixels stay below, 0..=255.
    lights: f32,
    /// Share of the picture that is blown out.
    blown: f32,
}

/// What is usual, once something was learned.
#[derive(Clone, Debug, Default)]
pub(super) struct Light {
    usual: Option<Look>,
}

impl Light {
    pub(super) fn look(&self, luma: &[f32]) -> Look {
        let mut bins = [0usize; 256];
        for level in luma {
            bins[usize::from(*level as u8)] += 1;
        }
        let total = luma.len().max(1);
        let mut above = 0;
        let lights = bins.iter().rposition(|count| {
            above += count;
            above * 20 >= total
        });
        let blown: usize = bins.iter().skip(BLOWN as usize).sum();
        Look {
            lights: lights.unwrap_or(0) as f32,
            blown: blown as f32 / total as f32,
        }
    }

    /// Too dark or too bright, given whether the scene is gone.
    pub(super) fn extreme(&self, now: &Look, gone: bool) -> Option<CameraState> {
        let usual = self.usual.unwrap_or_default();
        let more_blown = now.blown - usual.blown;
        if now.lights < NIGHT || gone && now.lights < DARKER * usual.lights {
            return Some(CameraState::Dark);
        }
        let blinded = more_blown > MORE_BLOWN && (gone || now.blown > MOSTLY_BLOWN);
        blinded.then_some(CameraState::Bright)
    }

    /// How bright the lights are, against the usual.
    pub(super) fn against_usual(&self, now: &Look) -> f32 {
        let usual = self.usual.map_or(now.lights, |usual| usual.lights);
        now.lights / usual.max(1.0)
    }

    pub(super) fn learn(&mut self, now: &Look, step: Duration) {
        let usual = self.usual.get_or_insert(*now);
        let rate = 1.0 - (-step.as_secs_f32() / MEMORY.as_secs_f32()).exp();
        usual.lights += rate * (now.lights - usual.lights);
        usual.blown += rate * (now.blown - usual.blown);
    }
}
