//! From characters that trickle in to whole scans. Pure.

use std::time::Duration;

use zeroize::{Zeroize, Zeroizing};

use super::code::MOST_BYTES;

/// What a device delivers. Has no `Debug`: it may be a part of a payment code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Byte(u8),
    /// The scan is complete.
    End,
    /// A key that stands for no character.
    Unknown,
    /// Something of the scan was lost.
    Lost,
}

/// How a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// It is in [`Assembler::payload`].
    Whole,
    TooLong,
    Unreadable,
}

/// One scan as it arrives; the only place where payloads are kept, and they are wiped after use.
pub(super) struct Assembler {
    // Never grows beyond its first capacity: growing would leave copies behind.
    bytes: Zeroizing<Vec<u8>>,
    /// What has become of the scan so far.
    state: Scan,
    last: Duration,
    idle: Duration,
}

impl Assembler {
    /// A scan ends after `idle` of silence, if nothing ended it before.
    pub fn new(idle: Duration) -> Self {
        Self {
            bytes: Zeroizing::new(Vec::with_capacity(MOST_BYTES)),
            state: Scan::Whole,
            last: Duration::ZERO,
            idle,
        }
    }

    /// The next input. When it ends a scan, the payload stays until [`Assembler::wipe`].
    pub fn push(&mut self, input: Input, now: Duration) -> Option<Scan> {
        self.last = now;
        match input {
            Input::Byte(_) if self.bytes.len() >= MOST_BYTES => self.spoil(Scan::TooLong),
            Input::Byte(byte) if self.state == Scan::Whole => self.bytes.push(byte),
            Input::Byte(_) => {}
            Input::Unknown | Input::Lost => self.spoil(Scan::Unreadable),
            Input::End => return self.end(),
        }
        None
    }

    /// Nothing has arrived up to `now`.
    pub fn step(&mut self, now: Duration) -> Option<Scan> {
        (self.left(now)? == Duration::ZERO)
            .then(|| self.end())
            .flatten()
    }

    /// How much longer silence must last to end the scan; `None`: no scan is under way.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        self.under_way()
            .then(|| (self.last + self.idle).saturating_sub(now))
    }

    /// The scan that has just ended.
    pub fn payload(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the scan.
    pub fn wipe(&mut self) {
        self.bytes.zeroize();
        self.state = Scan::Whole;
    }

    fn under_way(&self) -> bool {
        !self.bytes.is_empty() || self.state != Scan::Whole
    }

    /// The rest of the scan is passed over; what is there of it is wiped.
    fn spoil(&mut self, state: Scan) {
        self.bytes.zeroize();
        self.state = state;
    }

    fn end(&mut self) -> Option<Scan> {
        // The second of CR LF ends nothing.
        self.under_way().then_some(self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn assembler() -> Assembler {
        Assembler::new(ms(80))
    }

    /// Pushes a text at one moment; the scans that ended.
    fn pushed(assembler: &mut Assembler, text: &[u8], now: Duration) -> Vec<Vec<u8>> {
        let mut scans = Vec::new();
        for byte in text {
            let input = if *byte == b'\r' {
                Input::End
            } else {
                Input::Byte(*byte)
            };
            if let Some(scan) = assembler.push(input, now) {
                assert_eq!(scan, Scan::Whole);
                scans.push(assembler.payload().to_vec());
                assembler.wipe();
            }
        }
        scans
    }

    #[test]
    fn a_line_end_ends_a_scan_and_a_second_one_ends_nothing() {
        let mut assembler = assembler();
        assert_eq!(
            pushed(&mut assembler, b"\rab\r\rc\rd", ms(0)),
            [b"ab".to_vec(), b"c".to_vec()]
        );
        assert_eq!(assembler.payload(), b"d");
    }

    #[test]
    fn silence_ends_a_scan_after_exactly_so_long() {
        let mut assembler = assembler();
        assert_eq!(
            (assembler.left(ms(0)), assembler.step(ms(500))),
            (None, None)
        );
        assert!(pushed(&mut assembler, b"ab", ms(1000)).is_empty());
        assert!(pushed(&mut assembler, b"c", ms(1070)).is_empty());
        assert_eq!(assembler.left(ms(1100)), Some(ms(50)));
        assert_eq!(assembler.step(ms(1149)), None);
        assert_eq!(assembler.step(ms(1150)), Some(Scan::Whole));
        assert_eq!(assembler.payload(), b"abc");
        assembler.wipe();
        assert_eq!(assembler.step(ms(5000)), None);
    }

    #[test]
    fn the_longest_payload_passes_and_one_byte_more_is_dropped_whole() {
        let mut assembler = assembler();
        for _ in 0..MOST_BYTES {
            assert_eq!(assembler.push(Input::Byte(b'x'), ms(0)), None);
        }
        assert_eq!(assembler.push(Input::End, ms(0)), Some(Scan::Whole));
        assert_eq!(assembler.payload().len(), MOST_BYTES);
        assembler.wipe();
        for _ in 0..3 * MOST_BYTES {
            assert_eq!(assembler.push(Input::Byte(b'x'), ms(0)), None);
            assert!(assembler.bytes.capacity() <= MOST_BYTES);
        }
        assert_eq!(assembler.push(Input::End, ms(0)), Some(Scan::TooLong));
        assert_eq!(assembler.payload(), b"");
        assembler.wipe();
        assert_eq!(pushed(&mut assembler, b"next\r", ms(1)), [b"next".to_vec()]);
    }

    #[test]
    fn a_scan_with_a_gap_in_it_is_unreadable_to_its_end() {
        for spoiled in [Input::Lost, Input::Unknown] {
            let mut assembler = assembler();
            pushed(&mut assembler, b"12", ms(0));
            assert!(assembler.push(spoiled, ms(1)).is_none());
            assert!(pushed(&mut assembler, b"34", ms(2)).is_empty());
            assert_eq!(assembler.payload(), b"");
            assert_eq!(assembler.step(ms(82)), Some(Scan::Unreadable));
            assembler.wipe();
            assert_eq!(pushed(&mut assembler, b"56\r", ms(100)), [b"56".to_vec()]);
        }
    }
}
