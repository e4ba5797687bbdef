//! What the picture was like during the latest seconds. What stands out from the background *and* from this is on the
//! move; what was put down or taken away stands out from the background alone.

use std::time::Duration;

use super::mask::Mask;
use super::mixture::Mixture;
use super::shrink::Small;

/// Time constant of the running mean.
const MEMORY: Duration = Duration::from_millis(1500);

/// A running mean of the picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    mean: [Vec<f32>; 3],
}

impl Recent {
    /// Begins with this picture.
    pub(super) fn begin(&mut self, picture: &Small) {
        self.mean.clone_from(&picture.planes);
    }

    /// Counts the pixels that move in `mask` and were otherwise a moment ago, and then learns the picture.
    pub(super) fn learn(
        &mut self,
        picture: &Small,
        dt: Duration,
        mask: &Mask,
        mixture: &Mixture,
    ) -> u32 {
        let [red, green, blue] = &self.mean;
        let [now_red, now_green, now_blue] = &picture.planes;
        let noise = mixture.noise();
        let moving = mask.moving().enumerate().filter(|(_, moving)| *moving);
        let changing = moving.filter(|(at, _)| {
            let at = *at;
            let (r, g, b) = (
                now_red[at] - red[at],
                now_green[at] - green[at],
                now_blue[at] - blue[at],
            );
            Mixture::differs(r * r + g * g + b * b, noise[at])
        });
        let changing = changing.count() as u32;
        let rate = 1.0 - (-dt.as_secs_f32() / MEMORY.as_secs_f32()).exp();
        for (mean, plane) in self.mean.iter_mut().zip(&picture.planes) {
            for (mean, now) in mean.iter_mut().zip(plane) {
                *mean += rate * (now - *mean);
            }
        }
        changing
    }
}
