//! A folder of pictures, played in the natural order of their names at a fixed rate.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use image::{DynamicImage, ImageDecoder, ImageReader};

use super::{CameraError, ClipInfo, Frame, FrameSource, MAX_SIDE, Next, SHRINK, size_fault};

/// Most pictures of one folder; only their names are kept.
const MAX_PICTURES: usize = 500_000;

/// A folder being played.
pub(super) struct Pictures {
    folder: PathBuf,
    names: Vec<OsString>,
    fps: f64,
    next: usize,
    /// Of the first picture; all are alike.
    size: Option<(u32, u32)>,
}

impl Pictures {
    /// # Errors
    /// The folder cannot be read or holds no picture.
    pub(super) fn open(folder: &Path, fps: f64) -> Result<Self, CameraError> {
        let unreadable = |error: std::io::Error| {
            CameraError::unavailable(
                folder,
                format!("cannot be read ({error})"),
                "let the user that footfall runs as read it",
            )
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            if has_picture_name(&name) {
                names.push(name);
            }
            if names.len() > MAX_PICTURES {
                return Err(CameraError::bad_data(
                    folder,
                    format!("holds more than {MAX_PICTURES} pictures"),
                    "split it, or make a video of it",
                ));
            }
        }
        if names.is_empty() {
            return Err(CameraError::bad_data(
                folder,
                "there is no JPEG, PNG or WebP picture in this folder",
                "name a folder that holds pictures",
            ));
        }
        names.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
        Ok(Self {
            folder: folder.to_owned(),
            names,
            fps: if fps > 0.0 { fps } else { 10.0 },
            next: 0,
            size: None,
        })
    }

    /// What the folder says about itself.
    ///
    /// # Errors
    /// The first picture is damaged.
    pub(super) fn probe(mut self) -> Result<ClipInfo, CameraError> {
        let mut first = Frame::default();
        self.next_frame(&mut first)?;
        Ok(ClipInfo {
            width: first.width,
            height: first.height,
            frames: Some(self.names.len() as u64),
            fps: self.fps,
            codec: "pictures".to_owned(),
        })
    }

    fn read(&mut self, path: &Path) -> Result<DynamicImage, CameraError> {
        // The decoders are third-party code on damaged input: a panic is a fault of the file.
        let picture = catch_unwind(AssertUnwindSafe(|| decode(path)))
            .unwrap_or_else(|_| Err("its decoder failed".to_owned()))
            .map_err(|why| {
                CameraError::bad_data(
                    path,
                    format!("damaged after {} good pictures: {why}", self.next),
                    "remove it or copy it again",
                )
            })?;
        let size = (picture.width(), picture.height());
        let first = *self.size.get_or_insert(size);
        if size == first {
            return Ok(picture);
        }
        Err(CameraError::bad_data(
            path,
            format!(
                "is {}x{}, the pictures before it are {}x{}",
                size.0, size.1, first.0, first.1
            ),
            "keep pictures of one size in a folder",
        ))
    }
}

impl FrameSource for Pictures {
    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, CameraError> {
        let Some(name) = self.names.get(self.next) else {
            return Ok(Next::End);
        };
        let path = self.folder.join(name);
        let picture = self
            .read(&path)
            .inspect_err(|_| self.next = self.names.len())?;
        (frame.width, frame.height) = (picture.width(), picture.height());
        frame.rgb = picture.into_rgb8().into_raw();
        frame.at = Duration::from_secs_f64(self.next as f64 / self.fps);
        frame.index = self.next as u64;
        self.next += 1;
        Ok(Next::Frame)
    }
}

fn decode(path: &Path) -> Result<DynamicImage, String> {
    let file = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let mut reader = ImageReader::new(file)
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(256 << 20);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    if let Some(fault) = size_fault(width, height) {
        return Err(format!("{fault} ({SHRINK})"));
    }
    let orientation = decoder.orientation().map_err(|error| error.to_string())?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn has_picture_name(name: &OsString) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    let ends = [".jpg", ".jpeg", ".png", ".webp"]
        .iter()
        .any(|end| name.ends_with(end));
    ends && !name.starts_with('.')
}

/// Whether a file starts like a JPEG, PNG or WebP.
pub(super) fn is_picture(start: &[u8]) -> bool {
    start.starts_with(b"\xff\xd8\xff")
        || start.starts_with(b"\x89PNG")
        || (start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP"))
}

/// Compares names as people sort them: runs of digits by their value, so that 2 comes before 10.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (a_part, b_part) = (part(a_rest), part(b_rest));
        if a_part.is_empty() || b_part.is_empty() {
            return a_part.len().cmp(&b_part.len()).then_with(|| a.cmp(b));
        }
        let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(a_part) && digits(b_part) {
            let (a, b) = (
                a_part.trim_start_matches('0'),
                b_part.trim_start_matches('0'),
            );
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            a_part.cmp(b_part)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a_rest, b_rest) = (
            a_rest.get(a_part.len()..).unwrap_or_default(),
            b_rest.get(b_part.len()..).unwrap_or_default(),
        );
    }
}

/// The run of digits, or of anything else, that `text` starts with.
fn part(text: &str) -> &str {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digit);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}
