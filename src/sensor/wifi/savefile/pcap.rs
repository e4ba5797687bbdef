//! The classic capture format: one header, then records.

use super::{Fault, Input, Link, Record, moment};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// What the upper half of the link type's field may hold: the length of the FCS. The other bits are reserved.
const RESERVED: u32 = 0x03ff_0000;

/// What the file's header says of all records.
pub(super) struct Header {
    link: Link,
    per_second: u64,
}

impl Header {
    /// Reads the rest of the header after its first four bytes.
    pub(super) fn begin(magic: [u8; 4], input: &mut Input) -> Result<Self, Fault> {
        let known = |word| [MICROSECONDS, NANOSECONDS].contains(&word);
        input.big = known(u32::from_be_bytes(magic));
        let magic = input.word(magic);
        if !known(magic) {
            return Err(Fault::Foreign(
                "its first bytes are not a capture's".to_owned(),
            ));
        }
        let (major, _minor) = (input.u16()?, input.u16()?);
        if major != 2 {
            return Err(Fault::Foreign(format!("version {major}; only 2 is in use")));
        }
        input.skip(12)?; // two unused words and the longest frame
        let link = input.u32()?;
        if link & RESERVED != 0 {
            return Err(Fault::Damaged(
                "reserved bits of its link type are set".to_owned(),
            ));
        }
        let link = (link & 0xffff) as u16;
        Ok(Self {
            link: Link::from_file(link).ok_or(Fault::OtherLink(link))?,
            per_second: if magic == NANOSECONDS {
                1_000_000_000
            } else {
                1_000_000
            },
        })
    }

    /// Reads one record, its frame into `frame`.
    pub(super) fn record(
        &self,
        input: &mut Input,
        frame: &mut Vec<u8>,
    ) -> Result<Option<Record>, Fault> {
        let mut seconds = [0; 4];
        if input.over(&mut seconds)? {
            return Ok(None);
        }
        let seconds = u64::from(input.word(seconds));
        let fraction = u64::from(input.u32()?);
        let (captured, original) = (input.u32()? as usize, input.u32()? as usize);
        input.frame(captured, frame)?;
        Ok(Some(Record {
            link: self.link,
            at: moment(seconds * self.per_second + fraction, self.per_second, 0)?,
            missing: original.saturating_sub(captured),
        }))
    }
}
