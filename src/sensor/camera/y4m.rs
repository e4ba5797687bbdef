//! Raw pictures from a pipe: YUV4MPEG2 as `ffmpeg` writes it, 4:2:0 with 8 bits. It says the pictures' size once and has
//! no times, which a live camera does not need: what arrives is now.

use super::size_fault;
use super::yuv::{Planes, yuv420_bytes};

/// Longest head of a stream, bytes.
const MAX_HEAD: usize = 256;
/// What stands before each picture.
const MARK: [u8; 6] = *b"FRAME\n";

/// A stream being read, in whatever pieces it comes.
#[derive(Default)]
pub(super) struct Y4m {
    stage: Stage,
    head: Vec<u8>,
    byte: [u8; 1],
    mark: [u8; MARK.len()],
    width: u32,
    height: u32,
    picture: Vec<u8>,
    /// Bytes of the current part that have come.
    filled: usize,
}

#[derive(Clone, Copy, Default)]
enum Stage {
    #[default]
    Head,
    Mark,
    Picture,
}

impl Y4m {
    /// Where the next bytes of the stream go; never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let part = match self.stage {
            Stage::Head => &mut self.byte[..],
            Stage::Mark => &mut self.mark[..],
            Stage::Picture => &mut self.picture[..],
        };
        part.get_mut(self.filled..).unwrap_or_default()
    }

    /// So many bytes were put there. `true`: a picture is complete, and stays until the next byte is put.
    ///
    /// # Errors
    /// This is no such stream.
    pub(super) fn put(&mut self, count: usize) -> Result<bool, String> {
        self.filled += count;
        match self.stage {
            Stage::Head if self.filled >= self.byte.len() => {
                let [byte] = self.byte;
                self.filled = 0;
                if byte == b'\n' {
                    self.begin()?;
                    self.stage = Stage::Mark;
                } else if self.head.len() < MAX_HEAD {
                    self.head.push(byte);
                } else {
                    return Err(no_pictures());
                }
            }
            Stage::Mark if self.filled >= self.mark.len() => {
                if self.mark != MARK {
                    return Err(no_pictures());
                }
                (self.stage, self.filled) = (Stage::Picture, 0);
            }
            Stage::Picture if self.filled >= self.picture.len() => {
                (self.stage, self.filled) = (Stage::Mark, 0);
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    /// The head is complete.
    fn begin(&mut self) -> Result<(), String> {
        let head = String::from_utf8_lossy(&self.head);
        let mut words = head.split(' ');
        if words.next() != Some("YUV4MPEG2") {
            return Err(no_pictures());
        }
        let (mut width, mut height, mut colours) = (0, 0, "420jpeg");
        for word in words {
            let mut letters = word.chars();
            match (letters.next(), letters.as_str()) {
                (Some('W'), number) => width = number.parse().unwrap_or(0),
                (Some('H'), number) => height = number.parse().unwrap_or(0),
                (Some('C'), name) => colours = name,
                _ => {}
            }
        }
        if let Some(fault) = size_fault(width, height) {
            return Err(fault);
        }
        if !matches!(colours, "420" | "420jpeg" | "420mpeg2" | "420paldv") {
            return Err(format!(
                "its pictures are {colours:?}, not 4:2:0 with 8 bits"
            ));
        }
        (self.width, self.height) = (width, height);
        let (luma, chroma) = yuv420_bytes(width, height);
        self.picture.resize(luma + 2 * chroma, 0);
        Ok(())
    }

    /// The picture that is complete.
    pub(super) fn planes(&self) -> Planes<'_> {
        Planes::of_yuv420(&self.picture, self.width, self.height)
    }
}

fn no_pictures() -> String {
    "what it writes are no pictures".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first byte of each picture; `step`: how many bytes come at once.
    fn read(mut bytes: &[u8], step: usize) -> Result<Vec<u8>, String> {
        let (mut stream, mut seen) = (Y4m::default(), Vec::new());
        while !bytes.is_empty() {
            let space = stream.space();
            let count = space.len().min(step).min(bytes.len());
            assert!(count > 0);
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if stream.put(count)? {
                let planes = stream.planes();
                assert_eq!((planes.y.len(), planes.u.len(), planes.v.len()), (9, 4, 4));
                seen.push(planes.y[0]);
            }
        }
        Ok(seen)
    }

    #[test]
    fn pictures_of_odd_size_are_read_in_whatever_pieces_they_come() {
        let mut bytes = b"YUV4MPEG2 W3 H3 F10:1 Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED\n".to_vec();
        for value in [7, 8] {
            bytes.extend(MARK);
            bytes.extend([value; 17]);
        }
        for step in [1, 2, 5, 1000] {
            assert_eq!(read(&bytes, step).unwrap(), [7, 8]);
        }
    }

    #[test]
    fn what_is_no_such_stream_is_refused_before_memory_is_taken() {
        for (bytes, words) in [
            (&b"YUV4MPEG2 W3 H3\nFRANK\n"[..], "no pictures"),
            (b"hello world\n", "no pictures"),
            (&[b'x'; 1000], "no pictures"),
            (b"YUV4MPEG2 H3\n", "no size"),
            (b"YUV4MPEG2 W99999 H99999\n", "more than 4096x2304"),
            (b"YUV4MPEG2 W4 H4 C420p10\n", "420p10"),
        ] {
            let why = read(bytes, 64).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }
}
