//! How long to wait before the next attempt to connect: exponential, with jitter, 0.2 s to 60 s.

use std::time::Duration;

/// Shortest wait, seconds.
const SHORTEST: f64 = 0.2;
/// Longest wait, seconds.
const LONGEST: f64 = 60.0;
/// Doublings after which [`LONGEST`] is reached; keeps the exponent small.
const MOST_DOUBLINGS: i32 = 9;

/// Waits that double. Each is drawn from the upper half of its range, so that the boxes of a chain do not
/// all return in the same second after their broker was away.
#[derive(Clone, Debug)]
pub struct Backoff {
    random: fastrand::Rng,
    doublings: i32,
}

impl Backoff {
    /// The same seed gives the same waits.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            doublings: 0,
        }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let ceiling = (2.0 * SHORTEST * 2f64.powi(self.doublings)).min(LONGEST);
        self.doublings = (self.doublings + 1).min(MOST_DOUBLINGS);
        Duration::from_secs_f64(ceiling * (0.5 + 0.5 * self.random.f64()))
    }

    /// A connection held: the next wait is short again.
    pub fn reset(&mut self) {
        self.doublings = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_stay_within_bounds_and_are_short_again_after_a_reset() {
        for seed in 0..200 {
            let mut backoff = Backoff::with_seed(seed);
            let waits: Vec<f64> = (0..30).map(|_| backoff.next_wait().as_secs_f64()).collect();
            for (turn, wait) in waits.iter().enumerate() {
                let ceiling = (0.4 * 2f64.powi(i32::try_from(turn).unwrap())).min(60.0);
                assert!(
                    (ceiling / 2.0..=ceiling).contains(wait),
                    "seed {seed}, turn {turn}: {wait}"
                );
                assert!((0.2..=60.0).contains(wait), "seed {seed}: {wait}");
            }
            assert!(waits[29] >= 30.0, "seed {seed}");
            backoff.reset();
            assert!(backoff.next_wait().as_secs_f64() <= 0.4, "seed {seed}");
        }
    }

    #[test]
    fn two_boxes_do_not_wait_equally_long() {
        let wait = |seed| Backoff::with_seed(seed).next_wait();
        assert_ne!(wait(1), wait(2));
        assert_eq!(wait(3), wait(3));
    }
}
