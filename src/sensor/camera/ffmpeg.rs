//! Every other recording (AVI, MKV, H.265, interlaced or rotated video, ...) through an installed `ffmpeg`.
//!
//! The child writes uncompressed 4:2:0 pictures as Matroska to a pipe. Of the containers that `ffmpeg` can
//! write to a pipe it is the simplest to read that carries both what is needed here: the size of the
//! pictures after rotation, and the time of each one. (Raw video carries neither and YUV4MPEG no times;
//! asking `ffprobe` first would need a second process and know the size before rotation only.)

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use super::child::LastWords;
use super::matroska::Reader;
use super::mp4::RECORD_AGAIN;
use super::yuv::{Matrix, Planes, to_rgb, yuv420_bytes};
use super::{CameraError, ClipInfo, Frame, FrameSource, MAX_PIXELS, Next, SHRINK, size_fault};

/// Most bytes of a 4:2:0 picture, odd sizes included.
const MAX_PICTURE: u64 = MAX_PIXELS * 3 / 2 + 3 * super::MAX_SIDE as u64;
const INSTALL: &str = "install it: apt install ffmpeg";

/// A recording being played.
pub(super) struct Ffmpeg {
    path: PathBuf,
    /// `None` once it is over.
    running: Option<Running>,
    /// Reused: one picture in 4:2:0.
    picture: Vec<u8>,
    /// Time of the picture that was read ahead when opening.
    ahead: Option<Duration>,
    first_at: Duration,
    last_at: Duration,
    /// Of the first picture; all are alike.
    size: (u32, u32),
    shown: u64,
}

impl Ffmpeg {
    /// Starts `ffmpeg` and waits for the first picture. `why` says why it is needed.
    ///
    /// # Errors
    /// `ffmpeg` is not installed or cannot play the file.
    pub(super) fn open(path: &Path, why: &str) -> Result<Self, CameraError> {
        Self::open_with("ffmpeg", path, why)
    }

    fn open_with(program: &str, path: &Path, why: &str) -> Result<Self, CameraError> {
        let mut source = Self {
            path: path.to_owned(),
            running: Some(Running::start(program, path, why)?),
            picture: Vec::new(),
            ahead: None,
            first_at: Duration::ZERO,
            last_at: Duration::ZERO,
            size: (0, 0),
            shown: 0,
        };
        source.ahead = source.read()?;
        if source.ahead.is_none() {
            return Err(unplayable(path, "there is no picture in it"));
        }
        source.first_at = source.ahead.unwrap_or_default();
        Ok(source)
    }

    /// Reads the next picture; `None` at the end.
    fn read(&mut self) -> Result<Option<Duration>, CameraError> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        let read = running.stream.next(&mut self.picture, MAX_PICTURE);
        let (width, height) = (running.stream.width, running.stream.height);
        let (luma, chroma) = yuv420_bytes(width, height);
        let why = match read {
            Ok(Some(at)) => {
                if self.size == (0, 0) {
                    self.size = (width, height);
                }
                let too_large = size_fault(width, height);
                if too_large.is_none()
                    && self.size == (width, height)
                    && self.picture.len() == luma + 2 * chroma
                {
                    return Ok(Some(at));
                }
                self.running = None;
                if let Some(fault) = too_large {
                    return Err(CameraError::bad_data(&self.path, fault, SHRINK));
                }
                "the size of its pictures changes here".to_owned()
            }
            Ok(None) => match self.running.take().and_then(Running::complaint) {
                None => return Ok(None),
                Some(complaint) => format!("ffmpeg says: {complaint}"),
            },
            Err(error) => match self.running.take().and_then(Running::complaint) {
                None => format!("ffmpeg's pictures cannot be read ({error})"),
                Some(complaint) => format!("ffmpeg says: {complaint}"),
            },
        };
        Err(if self.size == (0, 0) {
            unplayable(&self.path, &why)
        } else {
            CameraError::bad_data(
                &self.path,
                format!("damaged after {} good frames: {why}", self.shown),
                RECORD_AGAIN,
            )
        })
    }
}

fn unplayable(path: &Path, why: &str) -> CameraError {
    CameraError::bad_data(
        path,
        format!("cannot be played: {why}"),
        "name a video, an animated GIF or a folder of pictures",
    )
}

impl FrameSource for Ffmpeg {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        loop {
            let at = match self.ahead.take() {
                Some(at) => at,
                None => match self.read()? {
                    Some(at) => at,
                    None => return Ok(Next::End),
                },
            };
            // Containers with broken times must not make time run backwards.
            let at = at.saturating_sub(self.first_at).max(self.last_at);
            self.last_at = at;
            frame.index = self.shown;
            self.shown += 1;
            if keep(at) {
                frame.at = at;
                let (width, height) = self.size;
                let planes = Planes::of_yuv420(&self.picture, width, height);
                to_rgb(&planes, Matrix::BT601, frame);
                return Ok(Next::Frame);
            }
        }
    }
}

/// The child process. Dropping it kills it and waits for its end, so that no zombie is left.
struct Running {
    child: Child,
    stream: Reader<BufReader<ChildStdout>>,
    /// Reads what the child complains about, so that it never waits for a reader; ends with the child.
    stderr: Option<JoinHandle<Option<String>>>,
}

impl Running {
    fn start(program: &str, path: &Path, why: &str) -> Result<Self, CameraError> {
        let mut child = Command::new(program)
            // One decoding thread leaves the box to inference; a playlist cannot reach out to the network.
            .args(["-nostdin", "-v", "error", "-threads", "1"])
            .args(["-protocol_whitelist", "file", "-i"])
            .arg(url(path))
            .args(["-map", "0:v:0", "-filter_threads", "1", "-vf"])
            .arg("scale=out_color_matrix=bt601:out_range=tv,format=yuv420p")
            .args(["-fps_mode", "passthrough", "-c:v", "rawvideo"])
            .args(["-f", "matroska", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_installed(path, why, &error))?;
        let lost = || CameraError::unavailable(path, "ffmpeg gave no output", INSTALL);
        let stdout = child.stdout.take().ok_or_else(lost)?;
        let stderr = child.stderr.take().ok_or_else(lost)?;
        let mut running = Self {
            child,
            stream: Reader::new(BufReader::with_capacity(1 << 16, stdout)),
            stderr: None,
        };
        running.stderr = std::thread::Builder::new()
            .name("ffmpeg-stderr".to_owned())
            .spawn(move || last_line(stderr))
            .map(Some)
            .map_err(|error| {
                CameraError::unavailable(path, format!("no thread for ffmpeg ({error})"), "reboot")
            })?;
        Ok(running)
    }

    /// Waits for the end of a child that has closed its output: what it complained about, if it did.
    fn complaint(mut self) -> Option<String> {
        let status = self.child.wait();
        let said = self
            .stderr
            .take()
            .and_then(|thread| thread.join().ok())
            .flatten();
        match status {
            Ok(status) if status.success() => said,
            Ok(status) => Some(said.unwrap_or_else(|| format!("it ended with {status}"))),
            Err(error) => Some(said.unwrap_or_else(|| error.to_string())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(thread) = self.stderr.take() {
            let _ = thread.join();
        }
    }
}

fn not_installed(path: &Path, why: &str, error: &std::io::Error) -> CameraError {
    if error.kind() == std::io::ErrorKind::NotFound {
        CameraError::unavailable(
            path,
            format!("{why}, so it takes ffmpeg to play it, and ffmpeg is not installed"),
            INSTALL,
        )
    } else {
        CameraError::unavailable(path, format!("ffmpeg does not start ({error})"), INSTALL)
    }
}

/// A path as `ffmpeg` takes it without looking for a protocol, an option or a pattern in it.
fn url(path: &Path) -> std::ffi::OsString {
    let mut url = std::ffi::OsString::from("file:");
    url.push(path);
    url
}

/// Reads to the end and keeps the last line.
fn last_line(mut input: impl Read) -> Option<String> {
    let (mut chunk, mut said) = ([0; 1024], LastWords::default());
    while let Ok(count @ 1..) = input.read(&mut chunk) {
        said.take(chunk.get(..count).unwrap_or_default());
    }
    said.get()
}

/// What a recording says about itself, through `ffprobe`.
///
/// # Errors
/// `ffmpeg` is not installed or does not know the file.
pub(super) fn probe(path: &Path, why: &str) -> Result<ClipInfo, CameraError> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-protocol_whitelist", "file"])
        .args([
            "-select_streams",
            "v:0",
            "-of",
            "default=noprint_wrappers=1",
        ])
        .arg("-show_entries")
        .arg("stream=codec_name,width,height,avg_frame_rate,nb_frames:stream_side_data=rotation")
        .arg(url(path))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_installed(path, why, &error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_probe(&text).ok_or_else(|| {
        let said = last_line(output.stderr.as_slice());
        unplayable(
            path,
            &said.unwrap_or_else(|| "there is no video in it".to_owned()),
        )
    })
}

fn parse_probe(text: &str) -> Option<ClipInfo> {
    let value = |key: &str| {
        text.lines()
            .filter_map(|line| line.split_once('='))
            .find_map(|(found, value)| (found == key).then(|| value.trim()))
    };
    let (mut width, mut height) = (
        value("width")?.parse().ok()?,
        value("height")?.parse().ok()?,
    );
    if matches!(value("rotation"), Some("90" | "-90" | "270" | "-270")) {
        std::mem::swap(&mut width, &mut height);
    }
    let fps = value("avg_frame_rate")
        .and_then(|rate| rate.split_once('/'))
        .and_then(|(n, d)| Some(n.parse::<f64>().ok()? / d.parse::<f64>().ok()?))
        .filter(|fps| fps.is_finite());
    Some(ClipInfo {
        width,
        height,
        frames: value("nb_frames").and_then(|frames| frames.parse().ok()),
        fps: fps.unwrap_or(0.0),
        codec: value("codec_name")?.to_owned(),
    })
}

#[cfg(test)]
mod tests;
