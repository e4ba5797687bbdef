//! Live video decoded by an installed `ffmpeg`: H.265 and whatever else is not decoded in this process, and boards whose
//! decoder `ffmpeg` knows how to use.
//!
//! ```text
//!  camera ─ RTSP ─► footfall ─ coded pictures ─► ffmpeg ─ raw pictures ─► footfall
//! ```
//!
//! `ffmpeg` is given the coded pictures and nothing else: it never learns the camera's address, user or password, and
//! may open nothing but its pipes.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::child::Child;
use super::y4m::Y4m;
use super::yuv::Planes;
use crate::sensor::Flaw;

/// Fed for so long without giving a picture it hangs. A stream whose pictures depend on later ones is behind by up to
/// a second or two when it begins.
const HANGS_AFTER: Duration = Duration::from_secs(8);
/// Pictures that it may give for each that it got: two fields may travel as one.
const PER_PICTURE: u32 = 2;
/// Most arguments, and the longest one, bytes.
const MOST_ARGUMENTS: usize = 32;
const LONGEST_ARGUMENT: usize = 256;

/// `[ffmpeg]`: the `ffmpeg` that decodes what is not decoded in this process.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// The program: a name that is looked up in `PATH`, or a path.
    pub program: String,
    /// Arguments before the input: how this board decodes, such as `["-hwaccel", "drm"]`.
    pub input: Vec<String>,
    /// Arguments before the output, such as `["-vf", "hwdownload,format=nv12,format=yuv420p"]`.
    pub output: Vec<String>,
    /// Memory that each of them may allocate, MB, 64..=4096.
    pub memory_mb: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            program: "ffmpeg".to_owned(),
            input: Vec::new(),
            output: Vec::new(),
            memory_mb: 256,
        }
    }
}

impl Settings {
    /// Each thing that is wrong: the key, and what was expected.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut add = |key: &str, expected: &str| flaws.push((key.to_owned(), expected.to_owned()));
        if self.program.is_empty() {
            add("program", "expected a program, such as \"ffmpeg\"");
        }
        for (key, list) in [("input", &self.input), ("output", &self.output)] {
            if let Some(expected) = arguments_flaw(list) {
                add(key, expected);
            }
        }
        if !(64..=4096).contains(&self.memory_mb) {
            add("memory_mb", "expected a number 64 to 4096");
        }
        flaws
    }
}

/// What is wrong with arguments for `ffmpeg`.
#[must_use]
pub fn arguments_flaw(list: &[String]) -> Option<&'static str> {
    let fine = |one: &String| one.len() <= LONGEST_ARGUMENT && !one.contains('\0');
    if list.len() > MOST_ARGUMENTS || !list.iter().all(fine) {
        return Some("expected at most 32 arguments of at most 256 bytes each");
    }
    if list
        .iter()
        .any(|one| one == "-i" || one.contains("://") || one == "-y")
    {
        return Some("input and output are set already; remove -i, -y and addresses");
    }
    None
}

/// How pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    H264,
    H265,
    Jpeg,
}

impl Codec {
    /// By its name in RTP (the `encoding name` of RFC 8866), in lower case.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "h264" => Some(Self::H264),
            "h265" => Some(Self::H265),
            "jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// For people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Jpeg => "MJPEG",
        }
    }

    const fn ffmpeg(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "hevc",
            Self::Jpeg => "mjpeg",
        }
    }

    /// An access unit delimiter (ITU-T H.264, 7.3.2.4; H.265, 7.3.2.5): whoever reads it knows that the picture before
    /// it is complete, instead of waiting for the next one.
    const fn delimiter(self) -> &'static [u8] {
        match self {
            Self::H264 => &[0, 0, 0, 1, 0x09, 0xf0],
            Self::H265 => &[0, 0, 0, 1, 0x46, 0x01, 0x50],
            Self::Jpeg => &[],
        }
    }
}

/// Why there are no pictures.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotInstalled,
    /// In plain words.
    Failed(String),
}

/// A decoder at work. Lives inside a tokio runtime.
pub(super) struct External {
    /// `None` once it has failed.
    child: Option<Child>,
    codec: Codec,
    stream: Y4m,
    /// Coded bytes that it has not taken yet.
    pending: Vec<u8>,
    taken: usize,
    /// It has stopped reading.
    deaf: bool,
    /// When it was first fed after its last picture, time since boot.
    owes_since: Option<Duration>,
    /// Pictures that it may still give.
    credit: u32,
}

impl External {
    /// Starts it.
    ///
    /// # Errors
    /// [`Fault`]: it is not installed or cannot be started.
    pub(super) fn start(settings: &Settings, codec: Codec) -> Result<Self, Fault> {
        let before = ["-nostdin", "-v", "error", "-threads", "1"];
        // No probing: every picture is shown, and the first one at once.
        let input = [
            "-probesize",
            "32",
            "-analyzeduration",
            "0",
            "-protocol_whitelist",
            "pipe",
        ];
        let output = [
            "-i",
            "pipe:0",
            "-map",
            "0:v:0",
            "-filter_threads",
            "1",
            "-fps_mode",
            "passthrough",
            "-vf",
            "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p",
            "-pix_fmt",
            "yuv420p",
        ];
        let arguments = before
            .into_iter()
            .chain(input)
            .chain(settings.input.iter().map(String::as_str))
            .chain(["-f", codec.ffmpeg()])
            .chain(output)
            .chain(settings.output.iter().map(String::as_str))
            .chain(["-f", "yuv4mpegpipe", "pipe:1"]);
        let memory = u64::from(settings.memory_mb) << 20;
        let child = Child::start(OsStr::new(&settings.program), arguments, memory).map_err(
            |why| match why.kind() {
                ErrorKind::NotFound => Fault::NotInstalled,
                _ => Fault::Failed(format!("it does not start ({why})")),
            },
        )?;
        Ok(Self {
            child: Some(child),
            codec,
            stream: Y4m::default(),
            pending: Vec::new(),
            taken: 0,
            deaf: false,
            owes_since: None,
            credit: 0,
        })
    }

    /// Whether it has taken all that it was given.
    pub(super) fn hungry(&self) -> bool {
        self.taken >= self.pending.len()
    }

    /// Gives it one coded picture (with start codes) at that time since boot, in place of what it has not taken.
    pub(super) fn feed(&mut self, coded: &[u8], now: Duration) {
        self.pending.clear();
        self.taken = 0;
        if !self.deaf {
            self.pending.extend(coded);
            self.pending.extend(self.codec.delimiter());
        }
        self.owes_since.get_or_insert(now);
        self.credit = self.credit.saturating_add(PER_PICTURE);
    }

    /// Whether it was fed long ago and has given nothing since.
    pub(super) fn hangs(&self, now: Duration) -> bool {
        self.owes_since
            .is_some_and(|since| now.saturating_sub(since) >= HANGS_AFTER)
    }

    /// Waits until it takes or gives something; `true`: a picture is there. May be abandoned at any time.
    ///
    /// # Errors
    /// [`Fault`]: it has ended, writes what are no pictures, or only complains.
    pub(super) async fn step(&mut self) -> Result<bool, Fault> {
        match self.exchange().await {
            Ok(picture) => Ok(picture),
            Err(why) => {
                let last_words = self.child.take().map(Child::last_words);
                let why = why
                    .or(last_words)
                    .unwrap_or_else(|| "it is over".to_owned());
                Err(Fault::Failed(why))
            }
        }
    }

    /// As [`External::step`]; without a reason the helper itself knows it.
    async fn exchange(&mut self) -> Result<bool, Option<String>> {
        let Some(Child {
            stdin,
            stdout,
            ears,
            ..
        }) = &mut self.child
        else {
            return Err(None);
        };
        let ready = tokio::select! {
            ready = stdout.readable() => ready.map(|()| Ready::Gives),
            ready = stdin.writable(), if self.taken < self.pending.len() => ready.map(|()| Ready::Takes),
            said = ears.listen() => return said.map(|()| false).map_err(Some),
        };
        match ready.map_err(|_| None)? {
            Ready::Gives => match stdout.try_read(self.stream.space()) {
                Ok(0) => return Err(None),
                Ok(count) if self.stream.put(count).map_err(Some)? => {
                    ears.forgive();
                    self.owes_since = None;
                    self.credit = self.credit.checked_sub(1).ok_or_else(invented)?;
                    return Ok(true);
                }
                Err(why) if why.kind() != ErrorKind::WouldBlock => return Err(None),
                _ => {}
            },
            Ready::Takes => match stdin.try_write(self.pending.get(self.taken..).unwrap_or(&[])) {
                Ok(count) => self.taken += count,
                Err(why) if why.kind() == ErrorKind::WouldBlock => {}
                // It reads no more. Why will be seen where it writes, or it hangs.
                Err(_) => {
                    self.deaf = true;
                    self.taken = self.pending.len();
                }
            },
        }
        Ok(false)
    }

    /// The picture that [`External::step`] has announced.
    pub(super) fn planes(&self) -> Planes<'_> {
        self.stream.planes()
    }
}

enum Ready {
    Gives,
    Takes,
}

fn invented() -> Option<String> {
    Some("it writes pictures that nobody gave it".to_owned())
}

#[cfg(test)]
mod tests;
