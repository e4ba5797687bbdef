//! Scanners read a code again as long as it is in front of them: repeats within a short time are one scan.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::aim::Symbology;

/// How long the same code is the same scan, re-armed by each repeat.
pub const WINDOW: Duration = Duration::from_millis(500);

/// Codes remembered at once. A person cannot show more within the window; if something does, the oldest is forgotten.
const MOST: usize = 32;

/// The memory of one scanner. Holds keyed hashes (the key is random and dies with it), never a payload.
pub struct DuplicateWindow {
    window: Duration,
    key: RandomState,
    /// When each code was seen last, longest ago first.
    seen: VecDeque<(Duration, u64)>,
}

impl DuplicateWindow {
    /// Repeats within `window` (inclusive) of the one before are suppressed.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            window,
            key: RandomState::new(),
            seen: VecDeque::new(),
        }
    }

    /// Whether a code read at `now` (time since boot) is a new scan; `false`: a repeat, to be suppressed and counted.
    /// Another code passes at once.
    pub fn pass(&mut self, now: Duration, symbology: Option<Symbology>, payload: &[u8]) -> bool {
        let hash = self.key.hash_one((symbology, payload));
        self.seen
            .retain(|(at, _)| now.saturating_sub(*at) <= self.window);
        let known = self.seen.iter().position(|(_, known)| *known == hash);
        match known {
            Some(position) => drop(self.seen.remove(position)),
            None if self.seen.len() >= MOST => drop(self.seen.pop_front()),
            None => {}
        }
        self.seen.push_back((now, hash));
        known.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Duration {
        Duration::from_millis(at)
    }

    #[test]
    fn a_code_repeated_every_400_ms_stays_suppressed_for_ever() {
        let mut window = DuplicateWindow::new(WINDOW);
        assert!(window.pass(ms(0), None, b"a"));
        for repeat in 1..10_000 {
            assert!(!window.pass(ms(repeat * 400), None, b"a"), "{repeat}");
        }
    }

    #[test]
    fn a_code_repeated_every_600_ms_passes_every_time() {
        let mut window = DuplicateWindow::new(WINDOW);
        for repeat in 0..1000 {
            assert!(window.pass(ms(repeat * 600), None, b"a"), "{repeat}");
        }
    }

    #[test]
    fn the_window_ends_after_exactly_500_ms() {
        let mut window = DuplicateWindow::new(WINDOW);
        assert!(window.pass(ms(0), None, b"a"));
        assert!(!window.pass(ms(500), None, b"a"));
        assert!(window.pass(ms(1001), None, b"a"));
    }

    #[test]
    fn another_code_and_the_same_payload_in_another_symbology_pass_at_once() {
        let mut window = DuplicateWindow::new(WINDOW);
        assert!(window.pass(ms(0), None, b"a"));
        assert!(window.pass(ms(0), None, b"b"));
        assert!(window.pass(ms(0), Some(Symbology::QrCode), b"a"));
        // Alternating codes are still repeats, each of its own.
        assert!(!window.pass(ms(100), None, b"a"));
        assert!(!window.pass(ms(200), None, b"b"));
    }

    #[test]
    fn a_flood_of_codes_does_not_grow_the_memory() {
        let mut window = DuplicateWindow::new(WINDOW);
        for code in 0u32..10_000 {
            window.pass(ms(0), None, &code.to_le_bytes());
            assert!(window.seen.len() <= MOST);
        }
    }
}
