//! Opens a recording: looks at its first bytes, not at its name, and picks the reader.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::mp4::{self, Mp4, Refusal};
use super::{CameraError, FrameSource, ffmpeg, gif, pictures};

/// Which recording to play.
#[derive(Clone, Debug)]
pub struct FileSpec {
    /// A video, an animated GIF, or a folder of pictures.
    pub path: PathBuf,
    /// Frames per second of a folder of pictures.
    pub picture_fps: f64,
}

/// What a recording says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipInfo {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How many; `None` when only playing it would tell.
    pub frames: Option<u64>,
    /// Frames per second on average; 0 when unknown.
    pub fps: f64,
    /// Such as `h264`, `hevc`, `gif`, `pictures`.
    pub codec: String,
}

/// Opens a recording for playing.
///
/// # Errors
/// [`CameraError`]: it is missing, unreadable, not a recording, damaged at its start, or needs `ffmpeg`.
pub fn open(spec: &FileSpec) -> Result<Box<dyn FrameSource>, CameraError> {
    let path = &spec.path;
    Ok(match sniff(path)? {
        Kind::Folder => Box::new(pictures::Pictures::open(path, spec.picture_fps)?),
        Kind::Gif(file) => Box::new(gif::Gif::open(path, file)?),
        Kind::Mp4(file) => match Mp4::open(path, file) {
            Ok(mp4) => Box::new(mp4),
            Err(Refusal::Broken(error)) => return Err(error),
            Err(Refusal::NotForUs(why)) => Box::new(ffmpeg::Ffmpeg::open(path, &why)?),
        },
        Kind::Other => Box::new(ffmpeg::Ffmpeg::open(path, NOT_MP4)?),
    })
}

/// What a recording says about itself, without playing it.
///
/// # Errors
/// Those of [`open`], as far as they show without decoding the whole recording.
pub fn probe(spec: &FileSpec) -> Result<ClipInfo, CameraError> {
    let path = &spec.path;
    match sniff(path)? {
        Kind::Folder => pictures::Pictures::open(path, spec.picture_fps)?.probe(),
        Kind::Gif(file) => gif::probe(path, file),
        Kind::Mp4(file) => match mp4::probe(path, &file) {
            Ok(info) => Ok(info),
            Err(Refusal::Broken(error)) => Err(error),
            Err(Refusal::NotForUs(why)) => ffmpeg::probe(path, &why),
        },
        Kind::Other => ffmpeg::probe(path, NOT_MP4),
    }
}

const NOT_MP4: &str = "it is not an MP4 with H.264";

enum Kind {
    Folder,
    Gif(File),
    Mp4(File),
    Other,
}

/// Boxes that an MP4 or MOV may begin with.
const MP4_STARTS: [&[u8; 4]; 8] = [
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp",
];

fn sniff(path: &Path) -> Result<Kind, CameraError> {
    let unreadable = |error: std::io::Error| {
        let fix = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path",
            std::io::ErrorKind::PermissionDenied => "let the user that footfall runs as read it",
            _ => "check the disk",
        };
        CameraError::unavailable(path, format!("cannot be opened ({error})"), fix)
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Ok(Kind::Folder);
    }
    if !metadata.is_file() {
        return Err(CameraError::unavailable(
            path,
            "is neither a file nor a folder",
            "name a recording or a folder of pictures",
        ));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::new();
    (&file)
        .take(64)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    if start.is_empty() {
        return Err(CameraError::bad_data(
            path,
            "the file is empty",
            mp4::RECORD_AGAIN,
        ));
    }
    if start.starts_with(b"GIF8") {
        return Ok(Kind::Gif(file));
    }
    if start
        .get(4..8)
        .is_some_and(|kind| MP4_STARTS.iter().any(|mp4| *mp4 == kind))
    {
        return Ok(Kind::Mp4(file));
    }
    if pictures::is_picture(&start) {
        return Err(CameraError::bad_data(
            path,
            "is a single picture",
            "put the pictures into a folder and name the folder",
        ));
    }
    if let Some(what) = foreign(&start) {
        return Err(CameraError::bad_data(
            path,
            format!("is {what}, not a recording"),
            "name a video, an animated GIF or a folder of pictures",
        ));
    }
    Ok(Kind::Other)
}

/// Files that are surely no recording, so that nobody is told to install `ffmpeg` for them.
fn foreign(start: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "a ZIP archive"),
        (b"%PDF", "a PDF"),
        (b"\x7fELF", "a program"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x08\x07\x12", "an ONNX model"),
        (b"SQLite", "a database"),
    ];
    let text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    known
        .iter()
        .find(|(magic, _)| start.starts_with(magic))
        .map(|(_, what)| *what)
        .or_else(|| start.iter().all(text).then_some("a text file"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn what_is_no_recording_is_one_clear_error_from_open_and_from_probe() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content, words) in [
            ("empty.mp4", &b""[..], "the file is empty"),
            (
                "notes.mp4",
                b"Bring the ladder on Tuesday.\n",
                "a text file, not a recording",
            ),
            (
                "a.mp4",
                b"PK\x03\x04\x14\0\x06\0",
                "a ZIP archive, not a recording",
            ),
            ("a.avi", b"\x89PNG\r\n\x1a\n\0\0", "is a single picture"),
            (
                "b.mp4",
                b"\0\0\0\x10ftypisom\0\0\0\0",
                "index (moov) is missing",
            ),
            ("c.gif", b"GIF89a", "the file ends here"),
        ] {
            let path = dir.path().join(name);
            write(&path, content);
            for error in [
                open(&spec(&path)).err().unwrap(),
                probe(&spec(&path)).unwrap_err(),
            ] {
                let text = error.to_string();
                assert!(text.starts_with(&*path.to_string_lossy()), "{text}");
                assert!(text.contains(words), "{text}");
                assert!(matches!(error, CameraError::BadData { .. }), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_unavailable() {
        let dir = tempfile::tempdir().unwrap();
        let error = open(&spec(&dir.path().join("none.mp4"))).err().unwrap();
        assert!(matches!(error, CameraError::Unavailable { .. }));
        assert!(error.to_string().ends_with("check the path"), "{error}");
        let device = open(&spec(Path::new("/dev/null"))).err().unwrap();
        assert!(
            device.to_string().contains("neither a file nor a folder"),
            "{device}"
        );
    }
}
