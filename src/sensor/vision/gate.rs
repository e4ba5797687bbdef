//! Which pictures are worth an inference: a still scene needs none, and somebody who moves is never passed over.

use std::time::Duration;

use super::background::Motion;
use super::track::Track;

/// So many pixels of the small picture (about 320 x 240) on the move are no noise: a person whom a detector can find
/// has a hundred and more.
const LEAST_CHANGING: u32 = 14;
/// After the last movement every picture is looked at for so long.
const HOLD: Duration = Duration::from_secs(1);
/// People who stand still are looked at this often, well within the time after which a track is lost.
const STANDING_EVERY: Duration = Duration::from_millis(300);
/// A scene in which nothing moves and nobody is known is looked at this often.
const GLANCE_EVERY: Duration = Duration::from_secs(3);

/// Decides picture by picture.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    moved_at: Option<Duration>,
    looked_at: Option<Duration>,
}

impl Gate {
    /// Whether the picture at `at` is worth an inference, given what moves on it and who is being followed.
    pub fn opens(&mut self, at: Duration, motion: &Motion, tracks: &[Track]) -> bool {
        if motion.learning || motion.changing >= LEAST_CHANGING {
            self.moved_at = Some(at);
        }
        // A source that was opened again may begin at an earlier time: then everything is long ago.
        let since = |then: Option<Duration>| {
            then.and_then(|then| at.checked_sub(then))
                .unwrap_or(Duration::MAX)
        };
        let patience = if since(self.moved_at) <= HOLD {
            Duration::ZERO
        } else if tracks.iter().any(|track| !track.confirmed) {
            // Nobody yet; whether it is somebody is decided within a few pictures.
            Duration::ZERO
        } else if tracks.is_empty() {
            GLANCE_EVERY
        } else {
            STANDING_EVERY
        };
        let opens = since(self.looked_at) >= patience;
        if opens {
            self.looked_at = Some(at);
        }
        opens
    }

    /// Whether anything moved within the latest moments before `at`.
    #[must_use]
    pub fn lively(&self, at: Duration) -> bool {
        self.moved_at
            .and_then(|then| at.checked_sub(then))
            .is_some_and(|since| since <= HOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::vision::track::{Settings, Tracker};
    use crate::sensor::vision::{Detection, Rect};

    const STILL: Motion = Motion {
        share: 0.0,
        changing: 2,
        learning: false,
        light_switched: false,
    };
    const WALKER: Motion = Motion {
        changing: 40,
        ..STILL
    };

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    /// How many of the pictures of ten seconds, ten a second, are looked at.
    fn looks(gate: &mut Gate, from: u64, motion: Motion, tracks: &[Track]) -> usize {
        let pictures = (0..100).map(|step| ms(from + step * 100));
        pictures
            .filter(|at| gate.opens(*at, &motion, tracks))
            .count()
    }

    fn tracks(frames: u64) -> Vec<Track> {
        let mut tracker = Tracker::new(Settings::with_threshold(0.5), 1);
        let standing = Detection {
            rect: Rect {
                x0: 10.0,
                y0: 10.0,
                x1: 30.0,
                y1: 60.0,
            },
            score: 0.9,
            class: 0,
        };
        (0..frames).for_each(|frame| tracker.step(ms(frame * 100), &[standing]));
        tracker.tracks().to_vec()
    }

    #[test]
    fn every_picture_on_which_something_moves_is_looked_at_and_those_of_the_second_after() {
        let mut gate = Gate::default();
        assert_eq!(looks(&mut gate, 0, WALKER, &[]), 100);
        let after = looks(&mut gate, 10_000, STILL, &[]);
        assert!((10..=14).contains(&after), "{after}");
    }

    #[test]
    fn a_still_scene_is_glanced_at_every_few_seconds() {
        let mut gate = Gate::default();
        looks(&mut gate, 0, STILL, &[]);
        assert_eq!(looks(&mut gate, 10_000, STILL, &[]), 3);
    }

    #[test]
    fn people_who_stand_still_are_looked_at_often_enough_to_keep_their_tracks() {
        let mut gate = Gate::default();
        looks(&mut gate, 0, STILL, &[]);
        assert_eq!(looks(&mut gate, 10_000, STILL, &tracks(5)), 34);
        // One that is not yet a person is looked at until it is one, or none.
        assert_eq!(looks(&mut gate, 20_000, STILL, &tracks(1)), 100);
    }

    #[test]
    fn while_the_background_is_learned_and_when_time_begins_anew_every_picture_is_looked_at() {
        let mut gate = Gate::default();
        let learning = Motion {
            learning: true,
            changing: 0,
            ..STILL
        };
        assert_eq!(looks(&mut gate, 50_000, learning, &[]), 100);
        assert!(gate.opens(ms(10), &STILL, &[]));
    }
}
