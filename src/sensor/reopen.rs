//! How long to wait before a device that is missing is looked for again.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double from 0.1 s to 5 s: what is plugged in again is soon found, what is gone costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Waits(Duration);

impl Default for Waits {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl Waits {
    /// The wait that is due now; the next one is longer.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        wait
    }

    /// The device worked: the next wait is short again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_are_short_again_after_a_reset() {
        let mut waits = Waits::default();
        let millis: Vec<_> = (0..7).map(|_| waits.next_wait().as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 5000]);
        waits.reset();
        assert_eq!(waits.next_wait(), SHORTEST);
    }
}
