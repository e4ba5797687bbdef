//! USB and built-in cameras: Video4Linux through `nokhwa`.
//!
//! `nokhwa` opens cameras by number, so a lasting name (`/dev/v4l/by-id/…`) is followed to its `/dev/videoN` each time.
//! Of the formats that a camera lists, [`pick`] chooses here: `nokhwa`'s own search gives up on a size that is not
//! exactly there. It waits for a picture without a limit; whoever reads from this source must be able to leave it behind.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image::codecs::jpeg::JpegDecoder;
use image::{ColorType, ImageDecoder};
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};
use nokhwa::{Camera, NokhwaError};
use schemars::JsonSchema;
use serde::Deserialize;
use tracing::info;

use super::yuv::{Matrix, nv12_to_rgb, yuyv_to_rgb};
use super::{CameraError, Frame, FrameSource, Next, size_fault};
use crate::clock::SharedClock;
use crate::metric::Counter;
use crate::stop::Stop;
use crate::words::Words;

/// A rate above this is a misread fraction (30000/1001 is listed as 30000), no camera of a shop.
const MAX_FPS: u32 = 240;
/// What `nokhwa` knows and what is decoded here; asked for when the camera is opened to see what it has.
const DECODED: [FrameFormat; 3] = [FrameFormat::YUYV, FrameFormat::MJPEG, FrameFormat::NV12];

/// How a camera packs its pictures, by V4L2's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PixelFormat {
    /// Uncompressed 4:2:2; every USB camera has it, at low rates in large sizes.
    #[default]
    Yuyv,
    /// A JPEG for each picture: large sizes at full rate over USB 2.
    Mjpeg,
    /// Uncompressed 4:2:0; boards' own cameras.
    Nv12,
}

impl PixelFormat {
    const fn nokhwa(self) -> FrameFormat {
        match self {
            Self::Yuyv => FrameFormat::YUYV,
            Self::Mjpeg => FrameFormat::MJPEG,
            Self::Nv12 => FrameFormat::NV12,
        }
    }
}

/// Which camera, and what to ask of it.
#[derive(Clone, Debug)]
pub struct DeviceSpec {
    /// `/dev/v4l/by-id/…` or `/dev/videoN`.
    pub path: PathBuf,
    /// Pixels; the nearest size that the camera has is taken.
    pub size: [u32; 2],
    pub format: PixelFormat,
    /// Frames per second; the lowest rate that reaches it is taken, else the highest.
    pub fps: u32,
}

/// A camera that delivers; it is opened when the first frame is wanted.
pub struct Device {
    spec: DeviceSpec,
    clock: SharedClock,
    stop: Arc<Stop>,
    damaged: Counter,
    stage: Stage,
    index: u64,
}

enum Stage {
    Closed,
    Open(Camera),
    Over,
}

impl Device {
    /// `stop` ends the source after the next picture; `damaged` counts pictures that cannot be decoded.
    #[must_use]
    pub const fn new(
        spec: DeviceSpec,
        clock: SharedClock,
        stop: Arc<Stop>,
        damaged: Counter,
    ) -> Self {
        Self {
            spec,
            clock,
            stop,
            damaged,
            stage: Stage::Closed,
            index: 0,
        }
    }
}

impl FrameSource for Device {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        loop {
            if self.stop.asked() {
                self.stage = Stage::Over;
            }
            let camera = match &mut self.stage {
                Stage::Over => return Ok(Next::End),
                Stage::Open(camera) => camera,
                Stage::Closed => {
                    self.stage = Stage::Over;
                    self.stage = Stage::Open(open(&self.spec)?);
                    continue;
                }
            };
            let format = camera.camera_format();
            let bytes = match camera.frame_raw() {
                Ok(bytes) => bytes,
                Err(why) => {
                    self.stage = Stage::Over;
                    return Err(in_words(&self.spec.path, &why));
                }
            };
            let at = self.clock.now().boot;
            let index = self.index;
            self.index += 1;
            if !keep(at) {
                continue;
            }
            let (width, height) = (format.width(), format.height());
            match format.format() {
                FrameFormat::MJPEG => {
                    if jpeg_to_rgb(&bytes, frame).is_err() {
                        self.damaged.add(1);
                        continue;
                    }
                }
                FrameFormat::NV12 => nv12_to_rgb(&bytes, width, height, Matrix::BT601, frame),
                _ => yuyv_to_rgb(&bytes, width, height, Matrix::BT601, frame),
            }
            (frame.at, frame.index) = (at, index);
            return Ok(Next::Frame);
        }
    }
}

fn open(spec: &DeviceSpec) -> Result<Camera, CameraError> {
    let path = &spec.path;
    let number = number(path)?;
    let failed = |why: NokhwaError| in_words(path, &why);
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &DECODED);
    let mut camera = Camera::new(CameraIndex::Index(number), any).map_err(failed)?;
    let offered = camera.compatible_camera_formats().map_err(failed)?;
    let Some(picked) = pick(&offered, spec) else {
        return Err(not_offered(path, spec.format, &offered));
    };
    if let Some(fault) = size_fault(picked.width(), picked.height()) {
        return Err(CameraError::bad_data(path, fault, "choose another `size`"));
    }
    if camera.camera_format() != picked {
        let formats = [picked.format()];
        let exactly = RequestedFormat::with_formats(RequestedFormatType::Exact(picked), &formats);
        camera.set_camera_requset(exactly).map_err(failed)?;
    }
    camera.open_stream().map_err(failed)?;
    info!(
        device = %path.display(),
        width = picked.width(),
        height = picked.height(),
        fps = picked.frame_rate(),
        format = ?spec.format,
        "camera opened"
    );
    Ok(camera)
}

/// The N of the `/dev/videoN` behind a name.
fn number(path: &Path) -> Result<u32, CameraError> {
    let what = path.display();
    let node = path.canonicalize().map_err(|why| {
        CameraError::Live(Words::new(
            format!("{what}: the camera is not there ({why}); plug it in, or correct `device`"),
            format!("找不到摄像头 {what}（{why}）；请插好摄像头，或修改配置中的 device"),
        ))
    })?;
    let digits = node
        .to_str()
        .and_then(|name| name.strip_prefix("/dev/video"));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| {
            CameraError::Live(Words::new(
                format!("{what}: this is no camera; name /dev/videoN or a link in /dev/v4l/by-id"),
                format!("{what} 不是摄像头；请填写 /dev/videoN 或 /dev/v4l/by-id 中的名称"),
            ))
        })
}

/// Of what a camera offers: the wanted format, the nearest size, and the lowest rate that is fast enough.
fn pick(offered: &[CameraFormat], wanted: &DeviceSpec) -> Option<CameraFormat> {
    let [width, height] = wanted.size.map(i64::from);
    let away = |format: &CameraFormat| {
        let (x, y) = (i64::from(format.width()), i64::from(format.height()));
        (x - width).pow(2) + (y - height).pow(2)
    };
    let rate = |format: &CameraFormat| {
        let fps = format.frame_rate();
        (fps < wanted.fps, fps.abs_diff(wanted.fps))
    };
    offered
        .iter()
        .filter(|format| format.format() == wanted.format.nokhwa())
        .filter(|format| (1..=MAX_FPS).contains(&format.frame_rate()))
        .min_by_key(|format| (away(format), rate(format)))
        .copied()
}

fn not_offered(path: &Path, wanted: PixelFormat, offered: &[CameraFormat]) -> CameraError {
    let mut names: Vec<_> = [PixelFormat::Yuyv, PixelFormat::Mjpeg, PixelFormat::Nv12]
        .into_iter()
        .filter(|format| offered.iter().any(|has| has.format() == format.nokhwa()))
        .map(|format| format!("{format:?}").to_lowercase())
        .collect();
    if names.is_empty() {
        names.push("nothing that is known here".to_owned());
    }
    let (what, names) = (path.display(), names.join(", "));
    let wanted = format!("{wanted:?}").to_lowercase();
    CameraError::Live(Words::new(
        format!("{what}: the camera does not offer {wanted}; it offers {names}: change `format`"),
        format!("摄像头 {what} 不支持 {wanted}，它支持 {names}；请修改配置中的 format"),
    ))
}

/// `nokhwa` passes on what the kernel said as text; the usual cases in words that help.
fn in_words(path: &Path, why: &NokhwaError) -> CameraError {
    let (what, why) = (path.display(), why.to_string());
    let is = |code: i32| why.contains(&format!("os error {code})"));
    let (en, zh) = if is(16) {
        (
            "another program uses the camera; stop it",
            "其他程序正在使用该摄像头，请关闭它",
        )
    } else if is(13) || is(1) {
        (
            "footfall's user may not use the camera; add it to the group `video`",
            "footfall 的用户无权使用该摄像头，请将其加入 video 组",
        )
    } else if is(19) || is(6) {
        (
            "the camera was unplugged; plug it in again",
            "摄像头已被拔出，请重新插好",
        )
    } else {
        (
            "the camera does not work; unplug it and plug it in again",
            "摄像头工作异常，请重新插拔",
        )
    };
    CameraError::Live(Words::new(
        format!("{what}: {en} ({why})"),
        format!("{what}：{zh}（{why}）"),
    ))
}

/// Decodes one JPEG into the frame's buffer. What follows its end in `bytes` is not looked at.
fn jpeg_to_rgb(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    // The decoder is third-party code on damaged input: a panic is a fault of the picture.
    let decode = || -> Result<(), String> {
        let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(|why| why.to_string())?;
        let (width, height) = decoder.dimensions();
        if let Some(fault) = size_fault(width, height) {
            return Err(fault);
        }
        let pixels = width as usize * height as usize;
        let grey = match decoder.color_type() {
            ColorType::Rgb8 => false,
            ColorType::L8 => true,
            other => return Err(format!("its colours are {other:?}")),
        };
        frame.rgb.resize(pixels * 3, 0);
        if grey {
            let mut luma = vec![0; pixels];
            decoder
                .read_image(&mut luma)
                .map_err(|why| why.to_string())?;
            for (rgb, luma) in frame.rgb.as_chunks_mut::<3>().0.iter_mut().zip(luma) {
                *rgb = [luma; 3];
            }
        } else {
            decoder
                .read_image(&mut frame.rgb)
                .map_err(|why| why.to_string())?;
        }
        (frame.width, frame.height) = (width, height);
        Ok(())
    };
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("its decoder failed".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::damage;
    use super::*;
    use nokhwa::utils::Resolution;

    fn spec(path: &str) -> DeviceSpec {
        DeviceSpec {
            path: path.into(),
            size: [640, 480],
            format: PixelFormat::Yuyv,
            fps: 15,
        }
    }

    fn format(width: u32, height: u32, format: FrameFormat, fps: u32) -> CameraFormat {
        CameraFormat::new(Resolution::new(width, height), format, fps)
    }

    #[test]
    fn the_nearest_size_and_the_lowest_rate_that_is_fast_enough_are_picked() {
        let offered = [
            format(320, 180, FrameFormat::YUYV, 30),
            format(640, 360, FrameFormat::YUYV, 5),
            format(640, 360, FrameFormat::YUYV, 30),
            format(640, 360, FrameFormat::YUYV, 20),
            format(640, 360, FrameFormat::YUYV, 30_000),
            format(640, 480, FrameFormat::MJPEG, 15),
            format(3840, 2160, FrameFormat::YUYV, 1),
        ];
        let mut wanted = spec("/dev/video0");
        assert_eq!(pick(&offered, &wanted), Some(offered[3]));
        wanted.fps = 60;
        assert_eq!(pick(&offered, &wanted), Some(offered[2]));
        wanted.format = PixelFormat::Mjpeg;
        assert_eq!(pick(&offered, &wanted), Some(offered[5]));
        wanted.format = PixelFormat::Nv12;
        assert_eq!(pick(&offered, &wanted), None);
        let text = not_offered(&wanted.path, wanted.format, &offered).to_string();
        assert!(
            text.ends_with("it offers yuyv, mjpeg: change `format`"),
            "{text}"
        );
    }

    #[test]
    fn a_camera_that_is_not_there_and_a_file_that_is_none_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let missing = number(&dir.path().join("usb-cam-index0")).unwrap_err();
        assert!(missing.to_string().contains("plug it in"), "{missing}");
        let file = number(Path::new("/dev/null")).unwrap_err();
        assert!(file.to_string().contains("this is no camera"), "{file}");
    }

    #[test]
    fn a_source_without_its_camera_fails_once_and_is_then_over() {
        let clock = Arc::new(crate::clock::SystemClock::new(true));
        let spec = spec("/dev/no-such-camera");
        let mut source = Device::new(spec, clock, Arc::default(), Counter::default());
        let mut frame = Frame::default();
        assert!(source.next_frame(&mut frame).is_err());
        assert_eq!(source.next_frame(&mut frame).unwrap(), Next::End);
    }

    #[test]
    fn jpegs_of_either_kind_are_decoded_and_damaged_ones_are_no_panic() {
        let rgb = image::RgbImage::from_pixel(16, 8, image::Rgb([200, 30, 60]));
        let luma = image::GrayImage::from_pixel(16, 8, image::Luma([77]));
        let mut frame = Frame::default();
        for (picture, expected) in [
            (image::DynamicImage::from(rgb), [200, 30, 60]),
            (luma.into(), [77; 3]),
        ] {
            let mut bytes = Cursor::new(Vec::new());
            picture
                .write_to(&mut bytes, image::ImageFormat::Jpeg)
                .unwrap();
            let mut bytes = bytes.into_inner();
            bytes.extend([0; 500]); // a driver's buffer is longer than the picture
            jpeg_to_rgb(&bytes, &mut frame).unwrap();
            assert_eq!((frame.width, frame.height, frame.rgb.len()), (16, 8, 384));
            let near = frame.rgb[..3]
                .iter()
                .zip(expected)
                .all(|(a, b)| a.abs_diff(b) < 8);
            assert!(near, "{:?}", &frame.rgb[..3]);
            for seed in 0..200 {
                let _ = jpeg_to_rgb(&damage(&bytes, seed), &mut frame);
            }
        }
        assert!(jpeg_to_rgb(&[], &mut frame).is_err());
    }
}
