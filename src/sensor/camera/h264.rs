//! H.264 to YUV: from the samples of an MP4 or of a network camera to what `openh264` takes, and what a sequence parameter set says.

use openh264::OpenH264API;
use openh264::decoder::{DecodeOptions, DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

use super::size_fault;
use super::yuv::{Matrix, Planes};

const START_CODE: [u8; 4] = [0, 0, 0, 1];
const NAL_SPS: u8 = 7;

/// What an MP4 or a network camera says about its H.264 (the `avcC` box; ISO/IEC 14496-15, section 5.3.3).
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    length_size: usize,
    /// Sequence and picture parameter sets with start codes.
    parameter_sets: Vec<u8>,
    pub(super) sps: Sps,
}

impl Config {
    /// Reads the content of an `avcC` box.
    ///
    /// # Errors
    /// Why this stream is not for us, in plain words.
    pub(super) fn parse(avcc: &[u8]) -> Result<Self, String> {
        let damaged = || "its H.264 description is damaged".to_owned();
        let length_size = usize::from(avcc.get(4).ok_or_else(damaged)? & 3) + 1;
        let (mut parameter_sets, mut sps) = (Vec::new(), None);
        let mut rest = avcc.get(5..).unwrap_or_default();
        for mask in [0x1f, 0xff] {
            let (count, sets) = rest.split_first().ok_or_else(damaged)?;
            rest = sets;
            for _ in 0..count & mask {
                let (length, after) = rest.split_first_chunk().ok_or_else(damaged)?;
                let length = usize::from(u16::from_be_bytes(*length));
                let (set, after) = after.split_at_checked(length).ok_or_else(damaged)?;
                rest = after;
                if nal_type(set) == Some(NAL_SPS) {
                    sps = Some(Sps::parse(set).ok_or_else(damaged)?);
                }
                parameter_sets.extend(START_CODE);
                parameter_sets.extend(set);
            }
        }
        let sps = sps.ok_or_else(damaged)?;
        sps.fault().map_or(
            Ok(Self {
                length_size,
                parameter_sets,
                sps,
            }),
            Err,
        )
    }
}

fn nal_type(nal: &[u8]) -> Option<u8> {
    nal.first().map(|head| head & 0x1f)
}

/// A decoder for one stream.
pub(super) struct H264 {
    decoder: Decoder,
    config: Config,
    /// Reused: one sample with start codes.
    packet: Vec<u8>,
    started: bool,
}

impl H264 {
    /// # Errors
    /// The decoder cannot be made.
    pub(super) fn new(config: Config) -> Result<Self, String> {
        // Flushing after each picture would give them in decoding order.
        let options = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), options)
            .map_err(|error| format!("the H.264 decoder does not start ({error})"))?;
        Ok(Self {
            decoder,
            config,
            packet: Vec::new(),
            started: false,
        })
    }

    /// Colours of the pictures that come out.
    pub(super) const fn matrix(&self) -> Matrix {
        self.config.sps.matrix
    }

    /// Takes one sample; gives a picture when one is due. Pictures come in the order in which they are shown.
    ///
    /// # Errors
    /// The sample is damaged; in plain words.
    pub(super) fn decode(&mut self, sample: &[u8]) -> Result<Option<DecodedYUV<'_>>, String> {
        self.packet.clear();
        if !self.started {
            self.packet.extend(&self.config.parameter_sets);
        }
        let mut rest = sample;
        while !rest.is_empty() {
            let (length, after) = split_length(rest, self.config.length_size)
                .ok_or("a picture's length does not fit the file")?;
            let (nal, after) = after
                .split_at_checked(length)
                .ok_or("a picture's length does not fit the file")?;
            rest = after;
            if nal_type(nal) == Some(NAL_SPS) {
                // Looked at before the decoder makes room for whatever size it announces.
                let sps = Sps::parse(nal).ok_or("its H.264 description is damaged")?;
                if let Some(fault) = sps.fault() {
                    return Err(fault);
                }
                self.config.sps = sps;
            }
            self.packet.extend(START_CODE);
            self.packet.extend(nal);
        }
        self.started = true;
        self.decoder
            .decode(&self.packet)
            .map_err(|error| format!("a picture cannot be decoded ({error})"))
    }

    /// After the last sample: the pictures still inside, one per call, then `None`.
    ///
    /// # Errors
    /// As [`H264::decode`].
    pub(super) fn flush(&mut self) -> Result<Option<DecodedYUV<'_>>, String> {
        self.decoder
            .decode_with_options(&[], DecodeOptions::new().flush_after_decode(Flush::Flush))
            .map_err(|error| format!("a picture cannot be decoded ({error})"))
    }
}

/// A decoded picture as the conversion wants it.
pub(super) fn planes<'a>(picture: &'a impl YUVSource) -> Planes<'a> {
    let (width, height) = picture.dimensions();
    let (y_stride, uv_stride, _) = picture.strides();
    Planes {
        width: u32::try_from(width).unwrap_or(0),
        height: u32::try_from(height).unwrap_or(0),
        y: picture.y(),
        y_stride,
        u: picture.u(),
        v: picture.v(),
        uv_stride,
    }
}

fn split_length(bytes: &[u8], size: usize) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_at_checked(size)?;
    let length = length
        .iter()
        .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    Some((length, rest))
}

/// What matters here of a sequence parameter set (ITU-T H.264, sections 7.3.2.1.1 and E.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    profile: u32,
    chroma_format: u32,
    bit_depth: u32,
    interlaced: bool,
    /// Pixels, without the parts that are cropped away.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) matrix: Matrix,
}

impl Sps {
    /// Reads a NAL unit of type 7.
    fn parse(nal: &[u8]) -> Option<Self> {
        let rbsp = without_emulation_prevention(nal);
        let mut bits = Bits {
            bytes: rbsp.get(1..)?,
            at: 0,
        };
        let profile = bits.u(8)?;
        bits.u(16)?; // constraint flags, level
        bits.ue()?; // id
        let (mut chroma_format, mut bit_depth) = (1, 8);
        if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
            chroma_format = bits.ue()?;
            if chroma_format == 3 {
                bits.u(1)?;
            }
            bit_depth = 8 + bits.ue()?.max(bits.ue()?).min(8);
            bits.u(1)?;
            if bits.u(1)? == 1 {
                skip_scaling_lists(&mut bits, chroma_format)?;
            }
        }
        bits.ue()?; // log2_max_frame_num
        match bits.ue()? {
            0 => {
                bits.ue()?;
            }
            1 => {
                bits.u(1)?;
                bits.ue()?;
                bits.ue()?;
                for _ in 0..bits.ue()?.min(255) {
                    bits.ue()?;
                }
            }
            _ => {}
        }
        bits.ue()?; // reference frames
        bits.u(1)?;
        let columns = bits.ue()?.checked_add(1)?;
        let rows = bits.ue()?.checked_add(1)?;
        let interlaced = bits.u(1)? == 0;
        if interlaced {
            bits.u(1)?;
        }
        bits.u(1)?;
        let field = if interlaced { 2 } else { 1 };
        let (mut width, mut height) = (columns.checked_mul(16)?, rows.checked_mul(16 * field)?);
        if bits.u(1)? == 1 {
            // Crop units are two pixels in 4:2:0, the one format that is decoded here.
            width = width.checked_sub(bits.ue()?.checked_add(bits.ue()?)?.checked_mul(2)?)?;
            let cut = bits.ue()?.checked_add(bits.ue()?)?;
            height = height.checked_sub(cut.checked_mul(2 * field)?)?;
        }
        Some(Self {
            profile,
            chroma_format,
            bit_depth,
            interlaced,
            width,
            height,
            matrix: colours(&mut bits).unwrap_or(Matrix::BT601),
        })
    }

    /// Why `openh264` cannot decode this; `None` when it can.
    fn fault(&self) -> Option<String> {
        if !matches!(self.profile, 66 | 77 | 100) {
            Some(format!("its H.264 profile {} is rare", self.profile))
        } else if self.chroma_format != 1 || self.bit_depth != 8 {
            Some("its H.264 is not 8-bit 4:2:0".to_owned())
        } else if self.interlaced {
            Some("its H.264 is interlaced".to_owned())
        } else {
            size_fault(self.width, self.height)
        }
    }
}

/// The colour matrix that the usability information names; `None` when it names none.
fn colours(bits: &mut Bits<'_>) -> Option<Matrix> {
    if bits.u(1)? == 0 {
        return None;
    }
    if bits.u(1)? == 1 && bits.u(8)? == 255 {
        bits.u(32)?; // pixel aspect ratio
    }
    if bits.u(1)? == 1 {
        bits.u(1)?; // overscan
    }
    if bits.u(1)? == 0 {
        return None;
    }
    bits.u(3)?;
    let full = bits.u(1)? == 1;
    let mut coefficients = 2; // unspecified
    if bits.u(1)? == 1 {
        bits.u(16)?;
        coefficients = bits.u(8)?;
    }
    Some(Matrix::from_stream(coefficients, full))
}

fn skip_scaling_lists(bits: &mut Bits<'_>, chroma_format: u32) -> Option<()> {
    for list in 0..if chroma_format == 3 { 12 } else { 8 } {
        if bits.u(1)? == 0 {
            continue;
        }
        let (mut last, mut next) = (8_i64, 8_i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                let code = i64::from(bits.ue()?);
                let delta = if code % 2 == 1 {
                    (code + 1) / 2
                } else {
                    -code / 2
                };
                next = (last + delta).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Some(())
}

/// Drops the 3 of each 0 0 3 (ITU-T H.264, section 7.4.1).
fn without_emulation_prevention(nal: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    nal.iter()
        .copied()
        .filter(|byte| {
            let inserted = zeros >= 2 && *byte == 3;
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            !inserted
        })
        .collect()
}

/// Bits from the highest down, and the numbers written with them.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// An unsigned number of `count` bits, 32 at most.
    fn u(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// An Exp-Golomb number (section 9.1); signed ones have the same length.
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.u(1)? == 0 {
            zeros += 1;
        }
        let low = (zeros < 32).then(|| self.u(zeros))??;
        ((1_u32 << zeros) - 1).checked_add(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes bits as a string of 0 and 1 would, and Exp-Golomb numbers.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn u(&mut self, count: u32, value: u32) -> &mut Self {
            self.0
                .extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn ue(&mut self, value: u32) -> &mut Self {
            let bits = (value + 1).ilog2();
            self.u(bits, 0).u(bits + 1, value + 1)
        }

        fn nal(&self) -> Vec<u8> {
            let mut nal = vec![0x67];
            for byte in self.0.chunks(8) {
                let byte = byte
                    .iter()
                    .enumerate()
                    .fold(0, |byte, (i, bit)| byte | u8::from(*bit) << (7 - i));
                if nal.ends_with(&[0, 0]) && byte <= 3 {
                    nal.push(3);
                }
                nal.push(byte);
            }
            nal
        }
    }

    /// Main profile, `columns` x `rows` blocks of 16x16, with the cropping and colours given.
    fn sps(columns: u32, rows: u32, crop: [u32; 4], colours: Option<(u32, u32)>) -> Vec<u8> {
        let mut bits = Writer::default();
        bits.u(8, 77)
            .u(16, 30)
            .ue(0)
            .ue(0)
            .ue(0)
            .ue(2)
            .ue(1)
            .u(1, 0);
        bits.ue(columns - 1).ue(rows - 1).u(1, 1).u(1, 1).u(1, 1);
        for side in crop {
            bits.ue(side);
        }
        match colours {
            Some((full, matrix)) => {
                bits.u(1, 1).u(2, 0).u(1, 1).u(3, 5).u(1, full);
                bits.u(1, 1).u(16, 0x0101).u(8, matrix).u(1, 1)
            }
            None => bits.u(1, 0).u(1, 1),
        };
        bits.nal()
    }

    #[test]
    fn a_cropped_size_and_the_colours_are_read() {
        let parsed = Sps::parse(&sps(21, 16, [0, 7, 0, 7], Some((1, 1)))).unwrap();
        assert_eq!((parsed.width, parsed.height), (322, 242));
        assert_eq!(parsed.matrix, Matrix::from_stream(1, true));
        assert_eq!(parsed.fault(), None);
        let untagged = Sps::parse(&sps(2, 2, [0; 4], None)).unwrap();
        assert_eq!(untagged.matrix, Matrix::BT601);
    }

    #[test]
    fn a_size_beyond_all_reason_is_refused_before_the_decoder_sees_it() {
        let parsed = Sps::parse(&sps(1000, 1000, [0; 4], None)).unwrap();
        assert!(parsed.fault().unwrap().contains("16000x16000"));
    }

    #[test]
    fn a_parameter_set_that_is_cut_anywhere_is_no_panic() {
        let whole = sps(21, 16, [0, 7, 0, 7], Some((0, 1)));
        for length in 0..whole.len() {
            let _ = Sps::parse(&whole[..length]);
        }
        assert_eq!(Sps::parse(&[0x67, 77, 0, 30, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn emulation_prevention_bytes_are_dropped_and_only_they() {
        let nal = [0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 0, 3];
        assert_eq!(
            without_emulation_prevention(&nal),
            [0, 0, 1, 0, 0, 0, 0, 3, 0, 3]
        );
    }
}
