//! The newer capture format: sections of blocks; each interface has a link type and a clock of its own.

use jiff::Timestamp;

use super::{Fault, Input, LONGEST_FRAME, Link, Record, moment};

/// Type of the block a section begins with; the same in both byte orders.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const SECTION_TYPE: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Type and length, and the length once more at the end.
const FRAME_OF_BLOCK: u32 = 12;
const MOST_INTERFACES: usize = 1024;
const LONGEST_OPTION: u16 = 4096;

/// The section under way.
pub(super) struct Section {
    interfaces: Vec<Interface>,
}

struct Interface {
    link: u16,
    /// Longest captured frame; zero for any.
    longest: u32,
    per_second: u64,
    offset_s: i64,
}

impl Section {
    /// Reads the section header after its type.
    pub(super) fn begin(input: &mut Input) -> Result<Self, Fault> {
        let (length, order) = (input.bytes()?, input.bytes()?);
        input.big = u32::from_be_bytes(order) == BYTE_ORDER;
        if input.word(order) != BYTE_ORDER {
            return Err(Fault::Foreign("its byte order cannot be told".to_owned()));
        }
        let body = body_of(input.word(length))?;
        let (major, _minor) = (input.u16()?, input.u16()?);
        if major != 1 {
            return Err(Fault::Foreign(format!(
                "version {major} of pcapng; only 1 is in use"
            )));
        }
        let rest = body.checked_sub(8).ok_or_else(odd_length)?;
        input.skip(rest)?;
        finish(input, body)?;
        Ok(Self {
            interfaces: Vec::new(),
        })
    }

    /// Reads blocks up to the next frame, which goes into `frame`.
    pub(super) fn record(
        &mut self,
        input: &mut Input,
        frame: &mut Vec<u8>,
    ) -> Result<Option<Record>, Fault> {
        loop {
            let mut kind = [0; 4];
            if input.over(&mut kind)? {
                return Ok(None);
            }
            let kind = input.word(kind);
            if kind == SECTION_TYPE {
                *self = Self::begin(input)?;
                continue;
            }
            let body = body_of(input.u32()?)?;
            let (record, read) = match kind {
                INTERFACE => (None, self.interface(input, body)?),
                PACKET | OLD_PACKET => {
                    let (record, read) = self.packet(kind, input, frame)?;
                    (Some(record), read)
                }
                SIMPLE_PACKET => {
                    let (record, read) = self.simple_packet(input, body, frame)?;
                    (Some(record), read)
                }
                _ => (None, 0),
            };
            input.skip(body.checked_sub(read).ok_or_else(odd_length)?)?;
            finish(input, body)?;
            if record.is_some() {
                return Ok(record);
            }
        }
    }

    /// Link type, reserved, longest frame, options. Returns how many bytes it read.
    fn interface(&mut self, input: &mut Input, body: u64) -> Result<u64, Fault> {
        const RESOLUTION: u16 = 9;
        const OFFSET: u16 = 14;
        if self.interfaces.len() >= MOST_INTERFACES {
            return Err(Fault::Damaged(format!(
                "more than {MOST_INTERFACES} interfaces"
            )));
        }
        let (link, _reserved, longest) = (input.u16()?, input.u16()?, input.u32()?);
        let mut interface = Interface {
            link,
            longest,
            per_second: 1_000_000,
            offset_s: 0,
        };
        let mut read = 8;
        while read + 4 <= body {
            let (code, length) = (input.u16()?, input.u16()?);
            read += 4 + u64::from(length).next_multiple_of(4);
            if code == 0 {
                break;
            }
            if length > LONGEST_OPTION || read > body {
                return Err(odd_length());
            }
            let mut value = vec![0; usize::from(length).next_multiple_of(4)];
            input.fill(&mut value)?;
            match (code, value.as_slice()) {
                (RESOLUTION, [unit, ..]) => interface.per_second = per_second(*unit)?,
                (OFFSET, [a, b, c, d, e, f, g, h]) => {
                    let bytes = [*a, *b, *c, *d, *e, *f, *g, *h];
                    interface.offset_s = if input.big {
                        i64::from_be_bytes(bytes)
                    } else {
                        i64::from_le_bytes(bytes)
                    };
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(read)
    }

    fn packet(
        &self,
        kind: u32,
        input: &mut Input,
        frame: &mut Vec<u8>,
    ) -> Result<(Record, u64), Fault> {
        let number = if kind == OLD_PACKET {
            let (number, _drops) = (input.u16()?, input.u16()?);
            u32::from(number)
        } else {
            input.u32()?
        };
        let interface = self.known(number)?;
        let (high, low) = (input.u32()?, input.u32()?);
        let (captured, original) = (input.u32()?, input.u32()?);
        input.frame(captured as usize, frame)?;
        let record = Record {
            link: Link::from_file(interface.link).ok_or(Fault::OtherLink(interface.link))?,
            at: moment(
                u64::from(high) << 32 | u64::from(low),
                interface.per_second,
                interface.offset_s,
            )?,
            missing: original.saturating_sub(captured) as usize,
        };
        Ok((record, 20 + u64::from(captured)))
    }

    /// A frame of the first interface, without a time.
    fn simple_packet(
        &self,
        input: &mut Input,
        body: u64,
        frame: &mut Vec<u8>,
    ) -> Result<(Record, u64), Fault> {
        let interface = self.known(0)?;
        let original = input.u32()?;
        let held = u32::try_from(body.saturating_sub(4)).unwrap_or(u32::MAX);
        let longest = if interface.longest == 0 {
            u32::MAX
        } else {
            interface.longest
        };
        let captured = original.min(held).min(longest);
        input.frame(captured as usize, frame)?;
        let record = Record {
            link: Link::from_file(interface.link).ok_or(Fault::OtherLink(interface.link))?,
            at: Timestamp::UNIX_EPOCH,
            missing: (original - captured) as usize,
        };
        Ok((record, 4 + u64::from(captured)))
    }

    fn known(&self, number: u32) -> Result<&Interface, Fault> {
        self.interfaces.get(number as usize).ok_or_else(|| {
            Fault::Damaged(format!(
                "a frame of interface {number}, which is not described"
            ))
        })
    }
}

/// The length of a block's body.
fn body_of(length: u32) -> Result<u64, Fault> {
    // Other blocks than packets may be long, but not longer than anything anybody writes.
    const LONGEST_BLOCK: u32 = 64 * LONGEST_FRAME as u32;
    if !(FRAME_OF_BLOCK..=LONGEST_BLOCK).contains(&length) || !length.is_multiple_of(4) {
        return Err(odd_length());
    }
    Ok(u64::from(length - FRAME_OF_BLOCK))
}

/// Reads the length at the block's end.
fn finish(input: &mut Input, body: u64) -> Result<(), Fault> {
    if u64::from(input.u32()?) == body + u64::from(FRAME_OF_BLOCK) {
        Ok(())
    } else {
        Err(Fault::Damaged("a block's two lengths differ".to_owned()))
    }
}

fn odd_length() -> Fault {
    Fault::Damaged("a block's length cannot be".to_owned())
}

/// Units of a timestamp per second: a negative power of 10, or of 2 when the highest bit is set.
fn per_second(unit: u8) -> Result<u64, Fault> {
    let power = u32::from(unit & 0x7f);
    let units = if unit & 0x80 == 0 {
        10u64.checked_pow(power)
    } else {
        1u64.checked_shl(power)
    };
    units.ok_or_else(|| Fault::Damaged("a unit of time that cannot be".to_owned()))
}
