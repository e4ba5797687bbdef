//! Whether a camera's picture still changes.
//!
//! A sensor that sees a shop has noise: two pictures are never the same to the last bit. A camera whose pictures are all
//! the same repeats its last one. (A compressed stream of a dark, still room may do so for some seconds.)

use std::time::Duration;

use super::Frame;

/// Watches for a picture that stays the same, to the last bit, for too long.
#[derive(Clone, Debug)]
pub struct Frozen {
    after: Duration,
    /// Checksum and time of the first of the pictures that are all the same.
    first: Option<(u32, Duration)>,
    repeats: bool,
}

impl Frozen {
    /// `after`: how long the same picture is tolerated.
    #[must_use]
    pub const fn new(after: Duration) -> Self {
        Self {
            after,
            first: None,
            repeats: false,
        }
    }

    /// One more picture; returns whether the camera is frozen. Costs one pass over the pixels with the processor's own
    /// CRC instruction: less than a millisecond for 1080p.
    pub fn sees(&mut self, frame: &Frame) -> bool {
        let sum = crc32c::crc32c(&frame.rgb);
        match self.first {
            Some((same, since)) if same == sum => {
                self.repeats = true;
                frame.at.saturating_sub(since) >= self.after
            }
            _ => {
                self.first = Some((sum, frame.at));
                self.repeats = false;
                false
            }
        }
    }

    /// Whether the latest picture was the one before again.
    #[must_use]
    pub const fn repeats(&self) -> bool {
        self.repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(second: u64, last_byte: u8) -> Frame {
        let mut rgb = vec![40; 300];
        rgb.push(last_byte);
        Frame {
            at: Duration::from_secs(second),
            rgb,
            ..Frame::default()
        }
    }

    #[test]
    fn a_picture_is_frozen_after_its_time_and_one_bit_of_change_thaws_it() {
        let mut frozen = Frozen::new(Duration::from_secs(10));
        let seen: Vec<_> = (0..14)
            .map(|second| frozen.sees(&frame(second, 1)))
            .collect();
        assert_eq!(seen.iter().position(|frozen| *frozen), Some(10));
        assert!(!frozen.sees(&frame(14, 0)));
        assert!(!frozen.sees(&frame(23, 0)));
        assert!(frozen.sees(&frame(24, 0)));
    }

    #[test]
    fn noise_in_a_single_pixel_is_never_frozen() {
        let mut frozen = Frozen::new(Duration::from_secs(10));
        assert!((0..100).all(|second| !frozen.sees(&frame(second, second as u8 % 2))));
    }
}
