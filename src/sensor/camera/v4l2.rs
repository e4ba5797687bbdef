//! USB and built-in cameras: Video4Linux through `nokhwa`.
//!
//! `nokhwa` opens cameras by number, so a lasting name (`/dev/v4l/by-id/…`) is followed to its `/dev/videoN` each time.
//! What a camera offers is asked ([`modes`]) and set here: `nokhwa`'s own search gives up on a size that is not exactly
//! there, and on a camera that is set to something it does not know. What it cannot ask for comes straight from the driver
//! (`raw`). `nokhwa` waits for a picture without a limit; whoever reads from this source must be able to leave it behind.

pub mod modes;
pub mod plugged;
mod raw;

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
use serde::{Deserialize, Serialize};
use tracing::info;
use v4l::FourCC;
use v4l::fraction::Fraction;
use v4l::video::Capture;
use v4l::video::capture::Parameters;

use self::modes::Mode;
use self::raw::{Raw, grey_to_rgb};
use super::child::keep_files_to_ourselves;
use super::yuv::{Matrix, nv12_to_rgb, yuyv_to_rgb};
use super::{CameraError, Frame, FrameSource, Next, size_fault};
use crate::clock::SharedClock;
use crate::metric::Counter;
use crate::stop::Stop;
use crate::words::Words;

/// How a camera packs its pictures, by V4L2's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PixelFormat {
    /// Uncompressed 4:2:2; every USB camera has it, at low rates in large sizes.
    #[default]
    Yuyv,
    /// A JPEG for each picture: large sizes at full rate over USB 2.
    Mjpeg,
    /// Uncompressed 4:2:0; boards' own cameras.
    Nv12,
    /// Uncompressed, without colours; infrared and industrial cameras.
    Grey,
}

impl PixelFormat {
    /// In the order in which they are proposed.
    pub const ALL: [Self; 4] = [Self::Yuyv, Self::Mjpeg, Self::Nv12, Self::Grey];

    /// As the config says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yuyv => "yuyv",
            Self::Mjpeg => "mjpeg",
            Self::Nv12 => "nv12",
            Self::Grey => "grey",
        }
    }

    /// By V4L2's code.
    fn of(code: FourCC) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.code() == code)
    }

    fn code(self) -> FourCC {
        FourCC::new(match self {
            Self::Yuyv => b"YUYV",
            Self::Mjpeg => b"MJPG",
            Self::Nv12 => b"NV12",
            Self::Grey => b"GREY",
        })
    }

    /// `None`: it cannot ask for it.
    const fn nokhwa(self) -> Option<FrameFormat> {
        match self {
            Self::Yuyv => Some(FrameFormat::YUYV),
            Self::Mjpeg => Some(FrameFormat::MJPEG),
            Self::Nv12 => Some(FrameFormat::NV12),
            // It says GRAY, which V4L2 does not know.
            Self::Grey => None,
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
    Open(Opened),
    Over,
}

/// A camera that delivers, and how.
struct Opened {
    mode: Mode,
    way: Way,
}

enum Way {
    Nokhwa(Camera),
    Raw(Raw),
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
            let Opened { mode, way } = camera;
            let (width, height) = (mode.width, mode.height);
            let (bytes, stride) = match way {
                Way::Nokhwa(camera) => match camera.frame_raw() {
                    Ok(bytes) => (bytes, width),
                    Err(why) => {
                        let why = in_words(&self.spec.path, &why.to_string());
                        self.stage = Stage::Over;
                        return Err(why);
                    }
                },
                Way::Raw(raw) => {
                    let stride = raw.format.stride;
                    match raw.next() {
                        Ok(Some(bytes)) => (bytes.into(), stride),
                        Ok(None) => continue,
                        Err(why) => {
                            let why = in_words(&self.spec.path, &why.to_string());
                            self.stage = Stage::Over;
                            return Err(why);
                        }
                    }
                }
            };
            let at = self.clock.now().boot;
            let index = self.index;
            self.index += 1;
            if !keep(at) {
                continue;
            }
            match mode.format {
                PixelFormat::Mjpeg => {
                    if jpeg_to_rgb(&bytes, frame).is_err() {
                        self.damaged.add(1);
                        continue;
                    }
                }
                PixelFormat::Nv12 => nv12_to_rgb(&bytes, width, height, Matrix::BT601, frame),
                PixelFormat::Yuyv => yuyv_to_rgb(&bytes, width, height, Matrix::BT601, frame),
                PixelFormat::Grey => grey_to_rgb(&bytes, width, height, stride, frame),
            }
            (frame.at, frame.index) = (at, index);
            return Ok(Next::Frame);
        }
    }
}

fn open(spec: &DeviceSpec) -> Result<Opened, CameraError> {
    let path = &spec.path;
    let number = number(path)?;
    let failed = |why: std::io::Error| in_words(path, &why.to_string());
    let device = v4l::Device::new(number as usize).map_err(failed)?;
    let offer = modes::ask(&device, spec.size).map_err(failed)?;
    let Some(mode) = modes::pick(&offer.modes, spec.format, spec.size, spec.fps) else {
        return Err(not_offered(path, spec.format, &offer));
    };
    if let Some(fault) = size_fault(mode.width, mode.height) {
        return Err(CameraError::bad_data(path, fault, "choose another `size`"));
    }
    let [numerator, denominator] = mode.interval;
    let wanted = v4l::Format::new(mode.width, mode.height, mode.format.code());
    let format = device.set_format(&wanted).map_err(failed)?;
    // A driver with one rate only may refuse to be told it.
    let rate = Parameters::new(Fraction::new(numerator, denominator));
    let rate_set = device.set_params(&rate);
    if (format.width, format.height, format.fourcc) != (mode.width, mode.height, wanted.fourcc) {
        let why = "the camera did not take the format that it offers";
        return Err(in_words(path, why));
    }
    let known = mode.format.nokhwa().zip(mode.whole_rate());
    let way = match known.filter(|_| mode.listed && rate_set.is_ok()) {
        Some((format, fps)) => {
            drop(device);
            let format = CameraFormat::new_from(mode.width, mode.height, format, fps);
            Way::Nokhwa(through_nokhwa(path, number, format)?)
        }
        None => Way::Raw(Raw::start(&device, format).map_err(failed)?),
    };
    keep_files_to_ourselves();
    info!(
        device = %path.display(),
        width = mode.width,
        height = mode.height,
        fps = mode.rate() as f64 / 1000.0,
        format = mode.format.name(),
        "camera opened"
    );
    Ok(Opened { mode, way })
}

fn through_nokhwa(path: &Path, number: u32, format: CameraFormat) -> Result<Camera, CameraError> {
    let failed = |why: NokhwaError| in_words(path, &why.to_string());
    let formats = [format.format()];
    let exactly = RequestedFormat::with_formats(RequestedFormatType::Exact(format), &formats);
    let mut camera = Camera::new(CameraIndex::Index(number), exactly).map_err(failed)?;
    camera.open_stream().map_err(failed)?;
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

fn not_offered(path: &Path, wanted: PixelFormat, offer: &modes::Offer) -> CameraError {
    let what = path.display();
    let known = PixelFormat::ALL.into_iter();
    let offered = known.filter(|format| offer.modes.iter().any(|mode| mode.format == *format));
    let names: Vec<_> = offered.map(PixelFormat::name).collect();
    let wanted = wanted.name();
    if names.is_empty() {
        let others = match offer.unknown.join(", ") {
            none if none.is_empty() => "nothing".to_owned(),
            others => others,
        };
        return CameraError::Live(Words::new(
            format!(
                "{what}: the camera offers {others}, none of which is known here; choose another /dev/videoN of the same camera (footfall camera list), or another camera"
            ),
            format!(
                "摄像头 {what} 只支持 {others}，均无法使用；请用 footfall camera list 查看同一摄像头的其他设备，或更换摄像头"
            ),
        ));
    }
    let names = names.join(", ");
    CameraError::Live(Words::new(
        format!("{what}: the camera does not offer {wanted}; it offers {names}: change `format`"),
        format!("摄像头 {what} 不支持 {wanted}，它支持 {names}；请修改配置中的 format"),
    ))
}

/// `nokhwa` passes on what the kernel said as text; the usual cases in words that help.
fn in_words(path: &Path, why: &str) -> CameraError {
    let what = path.display();
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

    fn spec(path: &str) -> DeviceSpec {
        DeviceSpec {
            path: path.into(),
            size: [640, 480],
            format: PixelFormat::Yuyv,
            fps: 15,
        }
    }

    #[test]
    fn a_camera_without_the_wanted_format_says_what_it_has() {
        let mode = |format| Mode {
            format,
            width: 640,
            height: 480,
            interval: [1, 15],
            listed: true,
        };
        let mut offer = modes::Offer {
            modes: vec![mode(PixelFormat::Grey), mode(PixelFormat::Yuyv)],
            unknown: vec!["H264".into(), "pRAA".into()],
        };
        let text =
            |offer: &_| not_offered(Path::new("/dev/video0"), PixelFormat::Nv12, offer).to_string();
        let some = text(&offer);
        assert!(
            some.ends_with("it offers yuyv, grey: change `format`"),
            "{some}"
        );
        offer.modes.clear();
        let none = text(&offer);
        assert!(none.contains("offers H264, pRAA, none of which"), "{none}");
    }

    #[test]
    fn the_names_of_formats_are_those_of_the_config() {
        for format in PixelFormat::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
            assert_eq!(PixelFormat::of(format.code()), Some(format));
        }
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
