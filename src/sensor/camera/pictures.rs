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
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        while let Some(name) = self.names.get(self.next) {
            let at = Duration::from_secs_f64(self.next as f64 / self.fps);
            if !keep(at) {
                self.next += 1;
                continue;
            }
            let path = self.folder.join(name);
            let picture = self
                .read(&path)
                .inspect_err(|_| self.next = self.names.len())?;
            (frame.width, frame.height) = (picture.width(), picture.height());
            frame.rgb = picture.into_rgb8().into_raw();
            (frame.at, frame.index) = (at, self.next as u64);
            self.next += 1;
            return Ok(Next::Frame);
        }
        Ok(Next::End)
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

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{open, probe};
    use super::*;
    use image::{Rgb, RgbImage};

    fn picture(folder: &Path, name: &str, width: u32, height: u32, red: u8) {
        let pixels = RgbImage::from_pixel(width, height, Rgb([red, 10, 20]));
        pixels.save(folder.join(name)).unwrap();
    }

    #[test]
    fn pictures_come_in_the_order_in_which_people_count() {
        let mut names = [
            "img10.png",
            "IMG3.png",
            "img2.png",
            "img02.png",
            "img2b.png",
            "a.png",
            "7.png",
            "10.png",
        ];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            [
                "7.png",
                "10.png",
                "IMG3.png",
                "a.png",
                "img02.png",
                "img2.png",
                "img2b.png",
                "img10.png"
            ]
        );
    }

    #[test]
    fn a_folder_plays_its_pictures_at_the_given_rate_and_ignores_other_files() {
        let dir = tempfile::tempdir().unwrap();
        picture(dir.path(), "shot9.png", 8, 6, 9);
        picture(dir.path(), "shot10.PNG", 8, 6, 10);
        picture(dir.path(), "shot11.webp", 8, 6, 11);
        picture(dir.path(), "shot12.jpeg", 8, 6, 12);
        write(&dir.path().join("notes.txt"), b"no picture");
        write(
            &dir.path().join("._shot9.png"),
            b"what some computers leave behind",
        );
        let spec = super::super::FileSpec {
            path: dir.path().to_owned(),
            picture_fps: 4.0,
        };
        let mut reds = Vec::new();
        let mut source = open(&spec).unwrap();
        let played = play(source.as_mut(), |frame| reds.push(frame.rgb[0]));
        assert!(played.end.is_ok());
        assert_eq!(reds[..3], [9, 10, 11]);
        assert!(reds[3].abs_diff(12) <= 3);
        let times: Vec<u128> = played.times.iter().map(Duration::as_millis).collect();
        assert_eq!(times, [0, 250, 500, 750]);
        let info = probe(&spec).unwrap();
        assert_eq!(
            (info.width, info.height, info.frames, info.fps),
            (8, 6, Some(4), 4.0)
        );
    }

    #[test]
    fn a_picture_of_another_size_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        picture(dir.path(), "1.png", 8, 6, 1);
        picture(dir.path(), "2.png", 9, 6, 1);
        let played = play_file(dir.path(), |_| {});
        assert_eq!(played.times.len(), 1);
        let text = played.end.unwrap_err().to_string();
        assert!(
            text.contains("2.png") && text.contains("9x6") && text.contains("8x6"),
            "{text}"
        );
    }

    #[test]
    fn a_damaged_picture_is_an_error_that_names_the_file_and_how_many_were_good() {
        let dir = tempfile::tempdir().unwrap();
        picture(dir.path(), "1.png", 8, 6, 1);
        picture(dir.path(), "2.png", 8, 6, 1);
        let bytes = std::fs::read(dir.path().join("2.png")).unwrap();
        write(&dir.path().join("2.png"), &bytes[..bytes.len() - 30]);
        let text = play_file(dir.path(), |_| {}).end.unwrap_err().to_string();
        assert!(
            text.contains("2.png") && text.contains("after 1 good"),
            "{text}"
        );
    }

    #[test]
    fn a_folder_without_pictures_is_one_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        let text = open(&spec(dir.path())).err().unwrap().to_string();
        assert!(text.contains("no JPEG, PNG or WebP picture"), "{text}");
    }
}
