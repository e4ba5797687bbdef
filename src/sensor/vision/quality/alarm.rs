//! From verdicts that flicker to a state that does not.

use std::time::Duration;

use crate::event::CameraState;

/// A fault is believed when some fault was seen for so long without a break, and another kind of it after as long again.
const RAISE_AFTER: Duration = Duration::from_secs(5);
/// A fault is over when none was seen for so long.
const CLEAR_AFTER: Duration = Duration::from_secs(3);

/// The state that is believed, and what is being said instead.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    state: CameraState,
    /// Since when what is said is not what is believed.
    doubted_since: Option<Duration>,
    /// The latest verdict, and since when it is the same.
    said: (CameraState, Duration),
}

impl Default for Alarm {
    fn default() -> Self {
        Self {
            state: CameraState::Ok,
            doubted_since: None,
            said: (CameraState::Ok, Duration::ZERO),
        }
    }
}

impl Alarm {
    pub(super) const fn state(&self) -> CameraState {
        self.state
    }

    /// Takes the verdict of the moment `at`; returns what is believed.
    pub(super) fn say(&mut self, at: Duration, verdict: CameraState) -> CameraState {
        if self.said.0 != verdict || self.said.1 > at {
            self.said = (verdict, at);
        }
        if verdict == self.state {
            self.doubted_since = None;
            return self.state;
        }
        let since = self
            .doubted_since
            .filter(|since| *since <= at)
            .unwrap_or(at);
        self.doubted_since = Some(since);
        // From well to any fault: how long there is one. From one fault to another, or to well: how long it is that one.
        let (since, patience) = match (self.state, verdict) {
            (CameraState::Ok, _) => (since, RAISE_AFTER),
            (_, CameraState::Ok) => (self.said.1, CLEAR_AFTER),
            _ => (self.said.1, RAISE_AFTER),
        };
        if at - since >= patience {
            self.state = verdict;
            self.doubted_since = None;
        }
        self.state
    }
}
