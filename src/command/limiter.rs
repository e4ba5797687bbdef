//! Bounds the answers to messages nobody vouches for, and the log lines about them: a token bucket. Pure.

use std::time::Duration;

/// Answers at once, after a quiet time.
const BURST: f64 = 10.0;
/// Answers a second in the long run: ten a minute.
const RATE: f64 = 10.0 / 60.0;

/// See the module.
#[derive(Debug)]
pub struct Limiter {
    tokens: f64,
    at: Duration,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            tokens: BURST,
            at: Duration::ZERO,
        }
    }
}

impl Limiter {
    /// Whether one more is allowed. `now`: any clock that does not jump.
    pub fn allows(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = BURST.min(self.tokens + passed * RATE);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_gets_ten_a_minute() {
        let mut limiter = Limiter::default();
        let mut allowed = |from_s: u64, to_s: u64| {
            (from_s * 1000..to_s * 1000)
                .filter(|ms| limiter.allows(Duration::from_millis(*ms)))
                .count()
        };
        assert_eq!(allowed(0, 1), 10);
        assert_eq!(allowed(1, 61), 10);
        assert!((599..=601).contains(&allowed(61, 3661)));
    }
}
