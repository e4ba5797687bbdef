//! Recordings of Wi-Fi frames: pcap and pcapng, read front to back with one bounded buffer.
//!
//! Sources: the file formats as draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng describe them.

mod pcap;
mod pcapng;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::link::Link;

/// Longest captured frame that is believed; what tcpdump and Wireshark allow.
const LONGEST_FRAME: usize = 262_144;

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SavefileError {
    #[error("{} cannot be read: {source}; name a capture file that can be", path.display())]
    Unavailable { path: PathBuf, source: io::Error },
    #[error("{}: {why}; {fix}", path.display())]
    BadData {
        path: PathBuf,
        why: String,
        fix: &'static str,
    },
}

/// What the readers say; the path is added outside.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    /// No capture file at all.
    Foreign(String),
    /// A capture file of something else than Wi-Fi in monitor mode.
    OtherLink(u16),
    /// A capture file that is damaged.
    Damaged(String),
}

/// One captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub link: Link,
    /// When it was captured, as the file says.
    pub at: Timestamp,
    pub bytes: &'a [u8],
    /// Bytes at its end that were not captured.
    pub missing: usize,
}

/// A recording that is being read.
pub struct Savefile {
    path: PathBuf,
    input: Input,
    format: Format,
    frame: Vec<u8>,
}

enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

/// What a record says of its frame, whose bytes are in the buffer.
struct Record {
    link: Link,
    at: Timestamp,
    missing: usize,
}

impl Savefile {
    /// Opens a file and reads its first header.
    ///
    /// # Errors
    /// It cannot be read, or is no capture of Wi-Fi frames.
    pub fn open(path: &Path) -> Result<Self, SavefileError> {
        let input = File::open(path).and_then(|file| {
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok(BufReader::new(file))
        });
        match input {
            Ok(input) => Self::new(path, Box::new(input)),
            Err(source) => Err(SavefileError::Unavailable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Like [`Savefile::open`], from anything that can be read; `path` is for errors.
    ///
    /// # Errors
    /// As for [`Savefile::open`].
    pub fn new(path: &Path, input: Box<dyn Read>) -> Result<Self, SavefileError> {
        let mut input = Input { input, big: false };
        match begin(&mut input) {
            Ok(format) => Ok(Self {
                path: path.to_owned(),
                input,
                format,
                frame: Vec::new(),
            }),
            Err(fault) => Err(error(path, fault)),
        }
    }

    /// The next frame; `None` at the file's end.
    ///
    /// # Errors
    /// The file is damaged or cut short.
    #[expect(
        clippy::should_implement_trait,
        reason = "the frame borrows from the reader"
    )]
    pub fn next(&mut self) -> Result<Option<Packet<'_>>, SavefileError> {
        let record = match &mut self.format {
            Format::Pcap(header) => header.record(&mut self.input, &mut self.frame),
            Format::Pcapng(section) => section.record(&mut self.input, &mut self.frame),
        };
        match record {
            Ok(None) => Ok(None),
            Ok(Some(Record { link, at, missing })) => Ok(Some(Packet {
                link,
                at,
                bytes: &self.frame,
                missing,
            })),
            Err(fault) => Err(error(&self.path, fault)),
        }
    }
}

fn begin(input: &mut Input) -> Result<Format, Fault> {
    let magic = match input.bytes::<4>() {
        Err(Fault::Damaged(_)) => {
            return Err(Fault::Foreign("shorter than any capture".to_owned()));
        }
        magic => magic?,
    };
    if magic == pcapng::SECTION {
        return pcapng::Section::begin(input).map(Format::Pcapng);
    }
    pcap::Header::begin(magic, input).map(Format::Pcap)
}

fn error(path: &Path, fault: Fault) -> SavefileError {
    let (why, fix) = match fault {
        Fault::Io(source) => {
            return SavefileError::Unavailable {
                path: path.to_owned(),
                source,
            };
        }
        Fault::Foreign(why) => (
            format!("no capture file ({why})"),
            "name a pcap or pcapng file, such as `tcpdump -i mon0 -w FILE` writes",
        ),
        Fault::OtherLink(link) => (
            format!("its link type {link} is no Wi-Fi in monitor mode"),
            "expected 105, 119, 127 or 192; capture on a monitor interface (iw phy phy0 interface add mon0 type monitor)",
        ),
        Fault::Damaged(why) => (
            format!("damaged capture ({why})"),
            "copy it again, or keep the sound part with `editcap FILE NEWFILE`",
        ),
    };
    SavefileError::BadData {
        path: path.to_owned(),
        why,
        fix,
    }
}

/// The file as numbers in its own byte order.
struct Input {
    input: Box<dyn Read>,
    big: bool,
}

impl Input {
    /// Whether the file is over; when it is not, fills `head` with what comes next.
    fn over(&mut self, head: &mut [u8]) -> Result<bool, Fault> {
        let mut filled = 0;
        while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if filled == 0 => return Ok(true),
                Ok(0) => return Err(cut()),
                Ok(more) => filled += more,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(Fault::Io(why)),
            }
        }
        Ok(false)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        self.input
            .read_exact(bytes)
            .map_err(|why| match why.kind() {
                io::ErrorKind::UnexpectedEof => cut(),
                _ => Fault::Io(why),
            })
    }

    /// Reads a frame of `length` bytes into the buffer.
    fn frame(&mut self, length: usize, frame: &mut Vec<u8>) -> Result<(), Fault> {
        if length > LONGEST_FRAME {
            return Err(Fault::Damaged(format!("a frame of {length} bytes")));
        }
        frame.resize(length, 0);
        self.fill(frame)
    }

    /// Passes over `length` bytes without keeping them.
    fn skip(&mut self, length: u64) -> Result<(), Fault> {
        let mut rest = self.input.by_ref().take(length);
        let skipped = io::copy(&mut rest, &mut io::sink()).map_err(Fault::Io)?;
        if skipped < length { Err(cut()) } else { Ok(()) }
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        self.bytes().map(|bytes| self.half(bytes))
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.bytes().map(|bytes| self.word(bytes))
    }

    fn half(&self, bytes: [u8; 2]) -> u16 {
        if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }
}

fn cut() -> Fault {
    Fault::Damaged("it ends in the middle of a record".to_owned())
}

/// The moment `ticks` units of `per_second` after 1970.
fn moment(ticks: u64, per_second: u64, offset_s: i64) -> Result<Timestamp, Fault> {
    let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(per_second.max(1));
    Timestamp::from_nanosecond(nanos + i128::from(offset_s) * 1_000_000_000)
        .map_err(|_| Fault::Damaged("a frame from a time that cannot be".to_owned()))
}

#[cfg(test)]
mod tests;
