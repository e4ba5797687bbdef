//! The probe request: a device asks which networks are around (IEEE 802.11-2020, 9.3.3.9).

use super::link::{Link, le16};

/// A sender's address. It has no text form: nothing can print, log or store it by accident.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address([u8; 6]);

impl Address {
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// For the keyed hash, and for telling senders of a recording apart.
    pub(super) const fn octets(&self) -> &[u8; 6] {
        &self.0
    }

    /// Chosen by the device itself (the U/L bit, IEEE 802-2014, 8.2.2), as phones do to stay unknown.
    #[must_use]
    pub const fn is_random(&self) -> bool {
        self.0[0] & 0x02 != 0
    }

    /// The address of a group, which cannot send.
    const fn is_group(&self) -> bool {
        self.0[0] & 0x01 != 0
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(not shown)")
    }
}

/// What is taken from one probe request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub source: Address,
    /// dBm; `None` when the receiver did not say.
    pub signal: Option<i8>,
    /// Sent once more because nobody had answered.
    pub retry: bool,
    /// 0..=4095; `None` when the frame was cut before it.
    pub sequence: Option<u16>,
    /// The frame ends inside its header or inside one of its elements.
    pub truncated: bool,
}

/// What captured bytes turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Probe(Probe),
    /// A probe request whose sender is the address of a group: noise, or somebody plays.
    NoSender,
    /// Some other frame.
    Other,
    /// The receiver marked it as damaged.
    BadFcs,
    /// It ends before the sender's address.
    TooShort,
    /// The headers before the frame cannot be right.
    Malformed,
}

/// Reads one captured frame. `missing`: bytes at its end that the capture left out.
#[must_use]
pub fn read(link: Link, bytes: &[u8], missing: usize) -> Heard {
    const FCS: usize = 4;
    let Some(received) = link.strip(bytes) else {
        return Heard::Malformed;
    };
    if received.bad_fcs {
        return Heard::BadFcs;
    }
    let fcs = if received.fcs {
        FCS.saturating_sub(missing)
    } else {
        0
    };
    let frame = received.frame;
    let frame = frame
        .get(..frame.len().saturating_sub(fcs))
        .unwrap_or_default();
    probe(frame, received.signal)
}

fn probe(frame: &[u8], signal: Option<i8>) -> Heard {
    /// Version 0, type management, subtype 4.
    const PROBE_REQUEST: u8 = 0x40;
    const RETRY: u8 = 0x08;
    const PROTECTED: u8 = 0x40;
    const HT_CONTROL: u8 = 0x80;

    match frame.first() {
        None => return Heard::TooShort,
        Some(&PROBE_REQUEST) => {}
        Some(_) => return Heard::Other,
    }
    // Frame control 2, duration 2, address 1 (6), address 2: the sender.
    let (Some(&flags), Some(&source)) =
        (frame.get(1), frame.get(10..).and_then(<[u8]>::first_chunk))
    else {
        return Heard::TooShort;
    };
    let source = Address::new(source);
    if source.is_group() {
        return Heard::NoSender;
    }
    let sequence = le16(frame, 22).map(|control| control >> 4);
    let body = if flags & HT_CONTROL == 0 { 24 } else { 28 };
    let whole = frame
        .get(body..)
        .is_some_and(|body| flags & PROTECTED != 0 || elements_fit(body));
    Heard::Probe(Probe {
        source,
        signal,
        retry: flags & RETRY != 0,
        sequence,
        truncated: !whole,
    })
}

/// Whether the elements (id, length, content) end exactly where the frame does. Their content is not looked at.
fn elements_fit(mut body: &[u8]) -> bool {
    while let [_id, length, rest @ ..] = body {
        let Some(rest) = rest.get(usize::from(*length)..) else {
            return false;
        };
        body = rest;
    }
    body.is_empty()
}

#[cfg(test)]
mod tests;
