//! Reads raw pictures from a Matroska stream (RFC 8794, RFC 9559): just what `ffmpeg` writes for one
//! track of uncompressed 4:2:0 video. It carries each picture's time and the size after rotation.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

// Element ids, marker bits included.
const SEGMENT: u64 = 0x1853_8067;
const INFO: u64 = 0x1549_A966;
const TIMESTAMP_SCALE: u64 = 0x2A_D7B1;
const TRACKS: u64 = 0x1654_AE6B;
const TRACK_ENTRY: u64 = 0xAE;
const VIDEO: u64 = 0xE0;
const PIXEL_WIDTH: u64 = 0xB0;
const PIXEL_HEIGHT: u64 = 0xBA;
const CLUSTER: u64 = 0x1F43_B675;
const TIMESTAMP: u64 = 0xE7;
const BLOCK_GROUP: u64 = 0xA0;
const BLOCK: u64 = 0xA1;
const SIMPLE_BLOCK: u64 = 0xA3;

/// The head of a block: track number (one byte), time relative to the cluster's, flags.
const BLOCK_HEAD: u64 = 4;

/// A stream being read.
pub(super) struct Reader<R> {
    input: R,
    /// Pixels; 0 before the first picture.
    pub(super) width: u32,
    pub(super) height: u32,
    /// Nanoseconds of one unit of time.
    scale: u64,
    /// Time of the current cluster, in units.
    cluster: u64,
}

impl<R: Read> Reader<R> {
    pub(super) const fn new(input: R) -> Self {
        Self {
            input,
            width: 0,
            height: 0,
            scale: 1_000_000,
            cluster: 0,
        }
    }

    /// Reads the next picture's bytes into `content` and returns its time; `None` at the end of the stream.
    /// `limit`: most bytes that a picture may have.
    ///
    /// # Errors
    /// The stream ends inside an element or is not what `ffmpeg` writes.
    pub(super) fn next(
        &mut self,
        content: &mut Vec<u8>,
        limit: u64,
    ) -> io::Result<Option<Duration>> {
        loop {
            let Some(first) = self.first_byte()? else {
                return Ok(None);
            };
            let id = self.number(first, true)?;
            let first = self.byte()?;
            let size = self.number(first, false)?;
            match id {
                // Their content is read as if it stood beside them: no element has two meanings here.
                SEGMENT | INFO | TRACKS | TRACK_ENTRY | VIDEO | CLUSTER | BLOCK_GROUP => {}
                TIMESTAMP_SCALE => self.scale = self.unsigned(size)?,
                PIXEL_WIDTH => self.width = self.unsigned(size)?.try_into().unwrap_or(u32::MAX),
                PIXEL_HEIGHT => self.height = self.unsigned(size)?.try_into().unwrap_or(u32::MAX),
                TIMESTAMP => self.cluster = self.unsigned(size)?,
                BLOCK | SIMPLE_BLOCK if size >= BLOCK_HEAD && size - BLOCK_HEAD <= limit => {
                    let mut head = [0; BLOCK_HEAD as usize];
                    self.input.read_exact(&mut head)?;
                    let [_, high, low, _] = head;
                    let relative = i64::from(i16::from_be_bytes([high, low]));
                    content.resize(usize::try_from(size - BLOCK_HEAD).unwrap_or(0), 0);
                    self.input.read_exact(content)?;
                    let units = self.cluster.saturating_add_signed(relative);
                    return Ok(Some(Duration::from_nanos(units.saturating_mul(self.scale))));
                }
                BLOCK | SIMPLE_BLOCK => return Err(unexpected("a picture of impossible size")),
                _ => self.skip(size)?,
            }
        }
    }

    /// The first byte of an element; `None` at the end of the stream.
    fn first_byte(&mut self) -> io::Result<Option<u8>> {
        match self.byte() {
            Ok(byte) => Ok(Some(byte)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        let [byte] = byte;
        Ok(byte)
    }

    /// A number whose length the leading zeros of its first byte tell (RFC 8794, section 4).
    fn number(&mut self, first: u8, keep_marker: bool) -> io::Result<u64> {
        let more = first.leading_zeros();
        if more > 7 {
            return Err(unexpected("a number of impossible length"));
        }
        let marker = if keep_marker { 0 } else { 0x80_u8 >> more };
        let mut value = u64::from(first & !marker);
        for _ in 0..more {
            value = value << 8 | u64::from(self.byte()?);
        }
        Ok(value)
    }

    fn unsigned(&mut self, size: u64) -> io::Result<u64> {
        let mut value = 0;
        for _ in 0..size.min(8) {
            value = value << 8 | u64::from(self.byte()?);
        }
        Ok(value)
    }

    fn skip(&mut self, size: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(size), &mut io::sink())?;
        if skipped == size {
            return Ok(());
        }
        Err(ErrorKind::UnexpectedEof.into())
    }
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a stream of 4x2 pixels and one cluster at 5 s.
    fn head() -> Vec<u8> {
        let mut bytes = b"\x1a\x45\xdf\xa3\x81\0".to_vec(); // EBML head, skipped
        bytes.extend(b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"); // segment of unknown size
        bytes.extend(b"\x16\x54\xae\x6b\x89\xae\x88\xe0\x86\xb0\x81\x04\xba\x81\x02");
        bytes.extend(b"\x1f\x43\xb6\x75\xff\xe7\x82\x13\x88");
        bytes
    }

    #[test]
    fn a_block_gives_its_bytes_and_its_time() {
        let mut bytes = head();
        bytes.extend(b"\xa3\x87\x81\xff\xd8\x80XYZ"); // 40 units before the cluster's time
        bytes.extend(b"\xa0\x86\xa1\x84\x81\x00\x19\x00");
        let mut reader = Reader::new(bytes.as_slice());
        let mut content = Vec::new();
        let at = reader.next(&mut content, 3).unwrap();
        assert_eq!(at, Some(Duration::from_millis(4960)));
        assert_eq!(
            (reader.width, reader.height, &content[..]),
            (4, 2, &b"XYZ"[..])
        );
        let at = reader.next(&mut content, 3).unwrap();
        assert_eq!((at, content.len()), (Some(Duration::from_millis(5025)), 0));
        assert_eq!(reader.next(&mut content, 3).unwrap(), None);
    }

    #[test]
    fn a_picture_over_the_limit_is_refused_before_memory_is_taken() {
        let mut bytes = head();
        bytes.extend(b"\xa3\x01\x00\xff\xff\xff\xff\xff\xff");
        let mut reader = Reader::new(bytes.as_slice());
        let error = reader.next(&mut Vec::new(), 1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_stream_that_ends_inside_an_element_is_an_error_wherever_it_is_cut() {
        let mut bytes = head();
        bytes.extend(b"\xa3\x87\x81\x00\x00\x80XYZ");
        for length in bytes.len() - 8..bytes.len() {
            let mut reader = Reader::new(&bytes[..length]);
            assert!(reader.next(&mut Vec::new(), 3).is_err(), "cut at {length}");
        }
    }
}
