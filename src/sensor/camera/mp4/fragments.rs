//! Movie fragments (ISO/IEC 14496-12, section 8.8): the index of recorders that write as they go.

use super::boxes::{be32, be64, boxes, find, find_path};
use super::index::{MAX_SAMPLES, Sample};

/// Adds the samples of one fragment after another.
pub(super) struct Reader {
    track: u32,
    default_duration: u32,
    default_size: u32,
    /// Decoding time of the next sample, in units of the timescale.
    dts: i64,
}

impl Reader {
    /// For the track of that id; `moov` holds the defaults.
    pub(super) fn new(moov: &[u8], track: u32) -> Self {
        let trex = boxes(find(moov, b"mvex").unwrap_or_default())
            .filter(|(kind, _)| kind == b"trex")
            .map(|(_, trex)| trex)
            .find(|trex| be32(trex, 4) == Some(track))
            .unwrap_or_default();
        Self {
            track,
            default_duration: be32(trex, 12).unwrap_or(0),
            default_size: be32(trex, 16).unwrap_or(0),
            dts: 0,
        }
    }

    /// Appends the samples of the `moof` box (head included) that starts at `at` bytes of the file.
    /// `false`: the box is damaged or there are too many samples.
    pub(super) fn read(&mut self, moof: &[u8], at: u64, samples: &mut Vec<Sample>) -> bool {
        let Some(content) = find_path(moof, &[b"moof"]) else {
            return false;
        };
        let mut base = at;
        for (_, traf) in boxes(content).filter(|(kind, _)| kind == b"traf") {
            match self.track_fragment(traf, at, base, samples) {
                Some(end) => base = end,
                None => return false,
            }
        }
        true
    }

    /// Returns where the fragment's data ends.
    fn track_fragment(
        &mut self,
        traf: &[u8],
        moof: u64,
        previous_end: u64,
        samples: &mut Vec<Sample>,
    ) -> Option<u64> {
        let mut tfhd = Fields::new(find(traf, b"tfhd")?)?;
        let ours = tfhd.u32()? == self.track;
        let mut base = if tfhd.has(0x02_0000) {
            moof
        } else {
            previous_end
        };
        if tfhd.has(0x01) {
            base = tfhd.u64()?;
        }
        tfhd.optional(0x02)?; // sample description
        let duration = tfhd.optional(0x08)?.unwrap_or(self.default_duration);
        let size = tfhd.optional(0x10)?.unwrap_or(self.default_size);
        if let Some(tfdt) = find(traf, b"tfdt").filter(|_| ours) {
            self.dts = match tfdt.first()? {
                1 => be64(tfdt, 4)?.cast_signed(),
                _ => i64::from(be32(tfdt, 4)?),
            };
        }
        let mut offset = base;
        for (_, trun) in boxes(traf).filter(|(kind, _)| kind == b"trun") {
            let mut trun = Fields::new(trun)?;
            let count = trun.u32()?;
            if let Some(shift) = trun.optional(0x01)? {
                offset = base.saturating_add_signed(i64::from(shift.cast_signed()));
            }
            trun.optional(0x04)?; // flags of the first sample
            if samples.len().saturating_add(count as usize) > MAX_SAMPLES {
                return None;
            }
            for _ in 0..count {
                let duration = trun.optional(0x100)?.unwrap_or(duration);
                let size = trun.optional(0x200)?.unwrap_or(size);
                trun.optional(0x400)?; // flags
                let shift = trun.optional(0x800)?.unwrap_or(0).cast_signed();
                if ours {
                    samples.push(Sample {
                        offset,
                        size,
                        pts: self.dts.saturating_add(i64::from(shift)),
                    });
                    self.dts = self.dts.saturating_add(i64::from(duration));
                }
                offset = offset.saturating_add(u64::from(size));
            }
        }
        Some(offset)
    }
}

/// The fields of a box whose flags say which of them are there.
struct Fields<'a> {
    flags: u32,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(body: &'a [u8]) -> Option<Self> {
        Some(Self {
            flags: be32(body, 0)?,
            rest: body.get(4..)?,
        })
    }

    const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn u32(&mut self) -> Option<u32> {
        let (value, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*value))
    }

    fn u64(&mut self) -> Option<u64> {
        let (value, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_be_bytes(*value))
    }

    /// `Some(None)` when the flag says that the field is absent, `None` when the box is too short for it.
    #[allow(clippy::option_option)]
    fn optional(&mut self, flag: u32) -> Option<Option<u32>> {
        if self.has(flag) {
            self.u32().map(Some)
        } else {
            Some(None)
        }
    }
}
