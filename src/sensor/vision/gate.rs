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
