//! For the tests of this room: clips made by `ffmpeg`, its opinion on them, and frames to compare.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{CameraError, FileSpec, Frame, FrameSource, Next, open};

/// Whether `ffmpeg` is installed; says loudly that the test is skipped when not.
pub(super) fn have_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: ffmpeg is not installed");
    }
    found
}

/// A recording among the test data; says loudly that the test is skipped without it.
pub(super) fn data(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("FOOTFALL_DATA").map(|data| Path::new(&data).join(name));
    let found = found.filter(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: FOOTFALL_DATA names no folder with {name}");
    }
    found
}

/// Runs `ffmpeg` with these arguments, split at spaces, and then `path`.
pub(super) fn ffmpeg(arguments: &str, path: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-threads", "1"])
        .args(arguments.split(' '))
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg {arguments}: {said}");
}

/// All frames of a recording as `ffmpeg` decodes it to RGB.
pub(super) fn reference(path: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-threads", "1", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-f", "rawvideo", "-pix_fmt", "rgb24"])
        .args(["-fps_mode", "passthrough", "pipe:1"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

pub(super) fn spec(path: &Path) -> FileSpec {
    FileSpec {
        path: path.to_owned(),
        picture_fps: 10.0,
    }
}

/// What came out of a source.
pub(super) struct Played {
    /// Time of each frame.
    pub(super) times: Vec<Duration>,
    pub(super) size: (u32, u32),
    pub(super) end: Result<(), CameraError>,
}

/// Plays a source to its end and shows each frame to `look`.
pub(super) fn play(source: &mut dyn FrameSource, mut look: impl FnMut(&Frame)) -> Played {
    let (mut times, mut frame) = (Vec::new(), Frame::default());
    let end = loop {
        match source.next_frame(&mut frame) {
            Ok(Next::Frame) => {
                assert_eq!(frame.index, times.len() as u64);
                let bytes = frame.width as usize * frame.height as usize * 3;
                assert_eq!(frame.rgb.len(), bytes);
                times.push(frame.at);
                look(&frame);
            }
            Ok(Next::End) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert_eq!(source.next_frame(&mut frame).unwrap(), Next::End);
    assert!(times.is_sorted(), "time runs backwards: {times:?}");
    Played {
        times,
        size: (frame.width, frame.height),
        end,
    }
}

/// Opens and plays a file.
pub(super) fn play_file(path: &Path, look: impl FnMut(&Frame)) -> Played {
    let mut source = open(&spec(path)).unwrap_or_else(|error| panic!("{error}"));
    play(source.as_mut(), look)
}

/// Mean absolute difference of two pictures' bytes.
pub(super) fn difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

/// Plays a file and holds each frame against what `ffmpeg` makes of it: as many frames, in the same
/// order, and at most `limit` apart on average. Content that moves makes a frame out of place stand out.
pub(super) fn same_as_ffmpeg(path: &Path, limit: f64) -> Played {
    let reference = reference(path);
    let mut worst = (0.0, 0);
    let played = play_file(path, |frame| {
        let at = frame.index as usize * frame.rgb.len();
        let Some(expected) = reference.get(at..at + frame.rgb.len()) else {
            panic!("frame {} is one too many", frame.index)
        };
        let difference = difference(&frame.rgb, expected);
        if difference > worst.0 {
            worst = (difference, frame.index);
        }
    });
    if let Err(error) = &played.end {
        panic!("{error}");
    }
    let bytes = played.size.0 as usize * played.size.1 as usize * 3;
    assert_eq!(
        played.times.len(),
        reference.len() / bytes,
        "{}",
        path.display()
    );
    let (difference, index) = worst;
    assert!(difference <= limit, "frame {index} is {difference} away");
    played
}

/// A copy of `bytes` with a few bits flipped, and sometimes cut; the same for the same seed.
pub(super) fn damage(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..=8) {
        let at = random.usize(0..bytes.len());
        bytes[at] ^= 1 << random.u8(0..8);
    }
    if random.u8(0..4) == 0 {
        bytes.truncate(random.usize(0..bytes.len()));
    }
    bytes
}

/// Writes a file that only this test looks at.
pub(super) fn write(path: &Path, bytes: &[u8]) {
    crate::durable::write(path, bytes).unwrap();
}
