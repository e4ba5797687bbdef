//! Fewer frames per second, decided by their timestamps alone, so that a replay keeps the same ones as the shop did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where in its slot a frame is expected, as a fraction of the slot. Timestamps are rounded (1/15 s to
/// whole milliseconds) and cameras jitter; at 0 a frame would fall to either side of a slot's edge by
/// chance. With 0.29 the frames of every usual pair of rates (ratios of whole numbers up to 6) stay at
/// least 4 % of a slot away from the edges.
const PHASE: f64 = 0.29;

/// Caps the frames per second of a stream.
///
/// Time since the first frame is cut into slots of `1 / cap` seconds; the first frame of each slot is
/// kept. The slots do not depend on which frames came, so nothing drifts.
#[derive(Clone, Debug)]
pub struct Decimator {
    /// Slots per second; `None` keeps every frame.
    cap: Option<f64>,
    first: Option<Duration>,
    last_slot: Option<f64>,
}

impl Decimator {
    /// `cap`: frames per second at most, above 0; `None` keeps them all.
    #[must_use]
    pub fn new(cap: Option<f64>) -> Self {
        Self {
            cap: cap.filter(|cap| *cap > 0.0),
            first: None,
            last_slot: None,
        }
    }

    /// Whether to keep the frame of time `at`. Ask once per frame, in rising time.
    pub fn keep(&mut self, at: Duration) -> bool {
        let Some(cap) = self.cap else { return true };
        let first = *self.first.get_or_insert(at);
        let slot = (at.saturating_sub(first).as_secs_f64() * cap + PHASE).floor();
        if self.last_slot.is_some_and(|last| slot <= last) {
            return false;
        }
        self.last_slot = Some(slot);
        true
    }
}

/// Caps the frames per second further while nothing moves.
#[derive(Clone, Debug)]
pub struct Idle {
    decimator: Decimator,
    /// Whether every frame is wanted at present.
    lively: Arc<AtomicBool>,
}

impl Idle {
    /// `cap`: frames per second at most while `lively` is not set; `None`: as many as always.
    #[must_use]
    pub fn new(cap: Option<f64>, lively: &Arc<AtomicBool>) -> Self {
        Self {
            decimator: Decimator::new(cap),
            lively: Arc::clone(lively),
        }
    }

    /// Whether to keep the frame of time `at`. Ask once per frame that the other cap kept, in rising time.
    pub fn keep(&mut self, at: Duration) -> bool {
        self.decimator.keep(at) | self.lively.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Positions kept of `count` frames of a stream of `fps`, timestamps rounded to `round_ms`.
    fn kept(fps: f64, cap: f64, count: u32, round_ms: f64) -> Vec<u32> {
        let mut decimator = Decimator::new(Some(cap));
        (0..count)
            .filter(|k| {
                let ms = f64::from(*k) * 1000.0 / fps;
                let ms = (ms / round_ms).round() * round_ms;
                decimator.keep(Duration::from_secs_f64(7.0 + ms / 1000.0))
            })
            .collect()
    }

    #[test]
    fn ten_frames_per_second_capped_at_five_keep_every_second_one() {
        let every_second: Vec<u32> = (0..5000).map(|k| 2 * k).collect();
        assert_eq!(kept(10.0, 5.0, 10_000, 0.001), every_second);
    }

    #[test]
    fn fifteen_capped_at_ten_keep_two_of_three_however_the_times_are_rounded() {
        for round_ms in [0.001, 1.0] {
            let kept = kept(15.0, 10.0, 9_000, round_ms);
            assert_eq!(kept.len(), 6_000);
            for three in 0..3_000 {
                let of_three = kept.iter().filter(|k| **k / 3 == three).count();
                assert_eq!(of_three, 2, "frames {}..", three * 3);
            }
        }
    }

    #[test]
    fn usual_pairs_of_rates_keep_the_exact_share_with_millisecond_times() {
        for (fps, cap, share) in [
            (30.0, 10.0, 1.0 / 3.0),
            (30.0, 15.0, 0.5),
            (25.0, 5.0, 0.2),
            (25.0, 10.0, 0.4),
            (20.0, 5.0, 0.25),
            (12.0, 10.0, 5.0 / 6.0),
            (10.0, 10.0, 1.0),
            (29.97, 29.97, 1.0),
            (10.0, 60.0, 1.0),
        ] {
            let count = kept(fps, cap, 6_000, 1.0).len();
            let expected = (6_000.0_f64 * share).round() as usize;
            // The first slot is shorter by the phase, which may let one frame more through.
            let exact = (expected..=expected + 1).contains(&count);
            assert!(exact, "{count} of {fps} capped at {cap}");
        }
    }

    #[test]
    fn while_nothing_moves_few_frames_are_kept_and_all_of_them_once_something_does() {
        let lively = Arc::new(AtomicBool::new(false));
        let mut idle = Idle::new(Some(5.0), &lively);
        let mut kept = |from: u64| {
            let times = (from..from + 100).map(|k| Duration::from_millis(k * 100));
            times.filter(|at| idle.keep(*at)).count()
        };
        assert_eq!(kept(0), 50);
        lively.store(true, Ordering::Relaxed);
        assert_eq!(kept(100), 100);
        assert!((0..100).all(|k| Idle::new(None, &Arc::default()).keep(Duration::from_secs(k))));
    }

    #[test]
    fn without_a_cap_every_frame_is_kept() {
        let mut decimator = Decimator::new(None);
        assert!((0..100).all(|_| decimator.keep(Duration::ZERO)));
    }

    proptest! {
        #[test]
        fn the_cap_holds_over_every_stretch_of_any_stream(
            gaps_ms in prop::collection::vec(0_u64..400, 1..300),
            cap in 0.2_f64..60.0,
        ) {
            let mut decimator = Decimator::new(Some(cap));
            let mut at = Duration::from_secs(1000);
            let mut kept = Vec::new();
            for gap in gaps_ms {
                at += Duration::from_millis(gap);
                if decimator.keep(at) {
                    kept.push(at);
                }
            }
            for (i, from) in kept.iter().enumerate() {
                for (n, to) in kept[i..].iter().enumerate() {
                    // n frames after `from` need more than n - 1 whole slots.
                    let slots = (*to - *from).as_secs_f64() * cap;
                    prop_assert!(slots > n as f64 - 1.0 - 1e-6);
                }
            }
        }
    }
}
