//! What stands before an 802.11 frame in a capture: radiotap, PPI, Prism or AVS headers, or nothing.
//!
//! Only four facts are taken from them: where the frame begins, the signal, whether the frame check sequence (FCS) is
//! part of the frame, and whether it was wrong. Sources: radiotap.org (field alignment, namespaces), the PPI
//! specification 1.0.7, the wlan-ng Prism header and its AVS successor as capture drivers write them.

/// The kinds of headers, by what the capture says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// None at all.
    Bare,
    Radiotap,
    /// Prism, or AVS, which says so in its first bytes.
    Prism,
    Ppi,
}

impl Link {
    /// The link type of a capture file (tcpdump.org's registry).
    #[must_use]
    pub const fn from_file(link_type: u16) -> Option<Self> {
        match link_type {
            105 => Some(Self::Bare),
            119 => Some(Self::Prism),
            127 => Some(Self::Radiotap),
            192 => Some(Self::Ppi),
            _ => None,
        }
    }

    /// The hardware type of a network interface in monitor mode (`linux/if_arp.h`).
    #[must_use]
    pub const fn from_hardware(hardware: u16) -> Option<Self> {
        match hardware {
            801 => Some(Self::Bare),
            802 => Some(Self::Prism),
            803 => Some(Self::Radiotap),
            _ => None,
        }
    }

    /// Takes the headers off. `None`: they cannot be right.
    #[must_use]
    pub fn strip(self, bytes: &[u8]) -> Option<Received<'_>> {
        match self {
            Self::Bare => Some(Received {
                frame: bytes,
                ..Received::default()
            }),
            Self::Radiotap => radiotap(bytes),
            Self::Prism => match be32(bytes, 0)? {
                0x8021_1001 | 0x8021_1002 => avs(bytes),
                _ => prism(bytes),
            },
            Self::Ppi => ppi(bytes),
        }
    }
}

/// A frame and what the receiver said about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received<'a> {
    /// From the frame control field on, the FCS included where `fcs` says so.
    pub frame: &'a [u8],
    /// dBm; `None` when the receiver did not say.
    pub signal: Option<i8>,
    /// The frame ends with its four bytes of FCS.
    pub fcs: bool,
    /// The FCS was wrong.
    pub bad_fcs: bool,
}

/// Every field that is needed stands in the first present word's radiotap namespace, before anything whose size could
/// be unknown. Later words describe single antennas or vendors' own fields and must not override it.
fn radiotap(bytes: &[u8]) -> Option<Received<'_>> {
    const MORE_WORDS: u32 = 1 << 31;
    /// Bit, alignment and size of the first word's fields up to the signal.
    const FIELDS: [(u32, usize, usize); 6] = [
        (1 << 0, 8, 8), // TSFT
        (1 << 1, 1, 1), // Flags
        (1 << 2, 1, 1), // Rate
        (1 << 3, 2, 4), // Channel
        (1 << 4, 1, 2), // FHSS
        (1 << 5, 1, 1), // dBm antenna signal
    ];
    const FLAGS: u32 = 1 << 1;
    const SIGNAL: u32 = 1 << 5;
    const FCS_INCLUDED: u8 = 0x10;
    const BAD_FCS: u8 = 0x40;

    if *bytes.first()? != 0 {
        return None;
    }
    let length = usize::from(le16(bytes, 2)?);
    if length < 8 || length > bytes.len() {
        return None;
    }
    let (header, frame) = bytes.split_at_checked(length)?;
    let present = le32(header, 4)?;
    let (mut at, mut word) = (8, present);
    while word & MORE_WORDS != 0 {
        word = le32(header, at)?;
        at += 4;
    }
    let mut received = Received {
        frame,
        ..Received::default()
    };
    for (bit, alignment, size) in FIELDS {
        if present & bit == 0 {
            continue;
        }
        // Aligned from the header's first byte.
        at = at.next_multiple_of(alignment);
        let field = header.get(at..at + size)?;
        match (bit, field) {
            (FLAGS, [flags]) => {
                received.fcs = flags & FCS_INCLUDED != 0;
                received.bad_fcs = flags & BAD_FCS != 0;
            }
            (SIGNAL, [signal]) => received.signal = Some(signal.cast_signed()),
            _ => {}
        }
        at += size;
    }
    Some(received)
}

fn ppi(bytes: &[u8]) -> Option<Received<'_>> {
    const ALIGNED: u8 = 1;
    const LINK_BARE: u32 = 105;
    const COMMON_80211: u16 = 2;
    const FCS_INCLUDED: u16 = 1;
    const FCS_INVALID: u16 = 4;

    let (version, flags) = (*bytes.first()?, *bytes.get(1)?);
    let length = usize::from(le16(bytes, 2)?);
    if version != 0 || length < 8 || le32(bytes, 4)? != LINK_BARE {
        return None;
    }
    let (header, frame) = bytes.split_at_checked(length)?;
    let mut received = Received {
        frame,
        ..Received::default()
    };
    let mut at = 8;
    while at < length {
        let (kind, size) = (le16(header, at)?, usize::from(le16(header, at + 2)?));
        let field = header.get(at + 4..at + 4 + size)?;
        if kind == COMMON_80211 {
            // TSFT 8, flags 2, rate 2, channel 4, FHSS 2, signal, noise.
            let flags = le16(field, 8)?;
            received.fcs = flags & FCS_INCLUDED != 0;
            received.bad_fcs = flags & FCS_INVALID != 0;
            received.signal = field
                .get(18)
                .map(|signal| signal.cast_signed())
                .filter(said);
        }
        at += 4 + size;
        if flags & ALIGNED != 0 {
            at = at.next_multiple_of(4);
        }
    }
    Some(received)
}

/// PPI writes -128 where the receiver did not say.
fn said(signal: &i8) -> bool {
    *signal != i8::MIN
}

/// Written in the byte order of the machine that captured, which its length field tells.
fn prism(bytes: &[u8]) -> Option<Received<'_>> {
    /// Message code, length, device name; then one item for each fact.
    const FIRST_ITEM: usize = 24;
    const ITEM: usize = 12;
    /// The signal's id, as the two families of drivers write it.
    const SIGNAL: [u32; 2] = [0x0006_0044, 0x0000_6041];
    const LONGEST: usize = 4096;

    let little = le32(bytes, 4)? as usize <= LONGEST;
    let word = |at| {
        if little {
            le32(bytes, at)
        } else {
            be32(bytes, at)
        }
    };
    let half = |at| {
        if little {
            le16(bytes, at)
        } else {
            be16(bytes, at)
        }
    };
    let length = word(4)? as usize;
    if !(FIRST_ITEM..=LONGEST).contains(&length) {
        return None;
    }
    let mut received = Received {
        frame: bytes.get(length..)?,
        ..Received::default()
    };
    for at in (FIRST_ITEM..=length - ITEM).step_by(ITEM) {
        let present = half(at + 4)? == 0;
        if SIGNAL.contains(&word(at)?) && present {
            received.signal = dbm(word(at + 8)?);
        }
    }
    Some(received)
}

fn avs(bytes: &[u8]) -> Option<Received<'_>> {
    const IN_DBM: u32 = 2;
    let length = be32(bytes, 4)? as usize;
    if length < 52 {
        return None;
    }
    let frame = bytes.get(length..)?;
    let signal = (be32(bytes, 44)? == IN_DBM)
        .then(|| be32(bytes, 48))
        .flatten()
        .and_then(dbm);
    Some(Received {
        frame,
        signal,
        ..Received::default()
    })
}

/// Drivers that count in units of their own write positive numbers; no shop's signal is that strong.
fn dbm(word: u32) -> Option<i8> {
    i8::try_from(word.cast_signed())
        .ok()
        .filter(|signal| *signal < 0)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Little-endian number at `at`.
pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// Big-endian number at `at`.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
