//! Which V4L2 cameras are plugged in, under names that stay.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use v4l::capability::Flags;

use super::modes::{self, Mode};
use super::{DeviceSpec, PixelFormat};

/// Most devices that are looked at.
const MOST: usize = 64;

/// One `/dev/videoN`.
#[derive(Debug, Serialize)]
pub struct Plugged {
    /// What to write into the config: a name that stays where there is one.
    pub device: PathBuf,
    /// `/dev/videoN`.
    pub node: PathBuf,
    /// What the camera calls itself.
    pub name: String,
    /// The kernel's driver, such as `uvcvideo`.
    pub driver: String,
    /// What it can deliver.
    pub modes: Vec<Listed>,
    /// V4L2's names of formats that are not known here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// What would be used.
    pub chosen: Option<Listed>,
    /// Why it cannot be used, or could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Pictures of one format and size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    pub format: PixelFormat,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pictures a second, rising.
    pub fps: Vec<f64>,
}

/// What one device says when it is asked.
pub struct Answer {
    /// The kernel's driver, and what the camera calls itself.
    pub driver: String,
    pub card: String,
    /// It delivers pictures in one piece.
    pub captures: bool,
    pub modes: Vec<Mode>,
    pub unknown: Vec<String>,
}

/// All devices below `dev` (`/dev`), asked with `ask`; without those that are no source of pictures (a camera's second
/// device for its metadata, a decoder). `wanted`: size and rate to choose for.
///
/// # Errors
/// `dev` cannot be read.
pub fn list(
    dev: &Path,
    wanted: &DeviceSpec,
    ask: impl Fn(&Path) -> io::Result<Answer>,
) -> io::Result<Vec<Plugged>> {
    let mut nodes: Vec<(u32, PathBuf)> = std::fs::read_dir(dev)?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.strip_prefix("video")?;
            Some((number.parse().ok()?, path))
        })
        .take(MOST)
        .collect();
    nodes.sort();
    let links = [dev.join("v4l/by-id"), dev.join("v4l/by-path")];
    let look = |(_, node): (u32, PathBuf)| {
        let lasting = links.iter().find_map(|links| link_to(links, &node));
        let device = lasting.unwrap_or_else(|| node.clone());
        match ask(&node) {
            Ok(answer) if !answer.captures => None,
            Ok(answer) => Some(described(device, node, answer, wanted)),
            Err(why) => Some(Plugged {
                device,
                node,
                name: String::new(),
                driver: String::new(),
                modes: Vec::new(),
                unknown: Vec::new(),
                chosen: None,
                problem: Some(in_words(&why)),
            }),
        }
    };
    Ok(nodes.into_iter().filter_map(look).collect())
}

/// The first name in `links`, in their order, that leads to `node`.
fn link_to(links: &Path, node: &Path) -> Option<PathBuf> {
    let node = node.canonicalize().ok()?;
    let mut names: Vec<_> = std::fs::read_dir(links)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.canonicalize().is_ok_and(|end| end == node))
        .collect();
    names.sort();
    names.into_iter().next()
}

fn described(device: PathBuf, node: PathBuf, answer: Answer, wanted: &DeviceSpec) -> Plugged {
    let pick = |format| modes::pick(&answer.modes, format, wanted.size, wanted.fps);
    let rank = |mode: &Mode| {
        let [width, height] = wanted.size;
        let pixels = u64::from(mode.width) * u64::from(mode.height);
        let short = pixels * 4 < u64::from(width) * u64::from(height) * 3;
        (
            short,
            mode.rate() + mode.rate() / 100 < u64::from(wanted.fps) * 1000,
        )
    };
    // The first format that is large and fast enough; where none is, the first.
    let choice = PixelFormat::ALL
        .into_iter()
        .filter_map(pick)
        .min_by_key(rank);
    let problem = choice.is_none().then(|| {
        "it offers no format that is known here; use another camera, or another device of it"
            .to_owned()
    });
    Plugged {
        device,
        node,
        name: answer.card,
        driver: answer.driver,
        modes: grouped(&answer.modes),
        unknown: answer.unknown,
        chosen: choice.map(|mode| Listed {
            format: mode.format,
            width: mode.width,
            height: mode.height,
            fps: vec![fps(&mode)],
        }),
        problem,
    }
}

fn fps(mode: &Mode) -> f64 {
    (mode.rate() as f64 / 10.0).round() / 100.0
}

fn grouped(modes: &[Mode]) -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::new();
    for mode in modes {
        let same = |one: &&mut Listed| {
            (one.format, one.width, one.height) == (mode.format, mode.width, mode.height)
        };
        match listed.iter_mut().find(same) {
            Some(one) => one.fps.push(fps(mode)),
            None => listed.push(Listed {
                format: mode.format,
                width: mode.width,
                height: mode.height,
                fps: vec![fps(mode)],
            }),
        }
    }
    for one in &mut listed {
        one.fps.sort_by(f64::total_cmp);
        one.fps.dedup();
    }
    listed
}

fn in_words(why: &io::Error) -> String {
    match why.raw_os_error() {
        Some(13 | 1) => {
            "this user may not use it; use sudo, or add the user to the group `video`".to_owned()
        }
        Some(16) => "another program uses it; stop that first".to_owned(),
        Some(6 | 19) => "it is gone; plug it in again".to_owned(),
        _ => format!("it does not answer ({why}); plug it in again"),
    }
}

/// Asks the device itself; it may be in use meanwhile.
///
/// # Errors
/// The operating system's.
pub fn ask(node: &Path, wanted: &DeviceSpec) -> io::Result<Answer> {
    let device = v4l::Device::with_path(node)?;
    let capabilities = device.query_caps()?;
    let captures = capabilities.capabilities.contains(Flags::VIDEO_CAPTURE)
        && capabilities.capabilities.contains(Flags::STREAMING);
    // A device for metadata says that it captures when its sister does, and lists nothing.
    let offer = match modes::ask(&device, wanted.size) {
        Err(why) if why.raw_os_error() == Some(22) => None,
        offer => Some(offer?),
    };
    let (modes, unknown) =
        offer.map_or_else(Default::default, |offer| (offer.modes, offer.unknown));
    Ok(Answer {
        driver: capabilities.driver,
        card: capabilities.card,
        captures: captures && !(modes.is_empty() && unknown.is_empty()),
        modes,
        unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> DeviceSpec {
        DeviceSpec {
            path: PathBuf::new(),
            size: [640, 480],
            format: PixelFormat::Yuyv,
            fps: 15,
        }
    }

    fn mode(format: PixelFormat, width: u32, height: u32, fps: u32) -> Mode {
        Mode {
            format,
            width,
            height,
            interval: [1, fps],
            listed: true,
        }
    }

    fn answer(modes: &[Mode]) -> Answer {
        Answer {
            driver: "uvcvideo".into(),
            card: "HD Webcam".into(),
            captures: true,
            modes: modes.to_vec(),
            unknown: Vec::new(),
        }
    }

    /// A `/dev` with these devices and lasting names.
    fn dev(nodes: &[&str], links: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for node in nodes {
            crate::durable::write(&dir.path().join(node), b"").unwrap();
        }
        for (link, node) in links {
            let link = dir.path().join("v4l").join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(dir.path().join(node), link).unwrap();
        }
        dir
    }

    #[test]
    fn each_camera_is_listed_once_under_the_name_that_stays_in_the_order_of_numbers() {
        let dev = dev(
            &["video10", "video2", "video3", "video-dec", "videos"],
            &[
                ("by-path/pci-usb-0:1-index0", "video2"),
                ("by-id/usb-046d_C920-index0", "video2"),
                ("by-path/platform-csi", "video10"),
            ],
        );
        let asked = |node: &Path| match node.ends_with("video3") {
            true => Ok(Answer {
                captures: false,
                ..answer(&[])
            }),
            false => Ok(answer(&[mode(PixelFormat::Yuyv, 640, 480, 30)])),
        };
        let found = list(dev.path(), &wanted(), asked).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|one| {
                one.device
                    .strip_prefix(dev.path())
                    .unwrap()
                    .to_str()
                    .unwrap()
            })
            .collect();
        assert_eq!(
            names,
            ["v4l/by-id/usb-046d_C920-index0", "v4l/by-path/platform-csi"]
        );
        assert!(
            found
                .iter()
                .all(|one| one.problem.is_none() && one.driver == "uvcvideo")
        );
    }

    #[test]
    fn the_first_format_that_is_large_and_fast_enough_is_chosen() {
        let chosen = |modes: &[Mode]| {
            let asked = |_: &Path| Ok(answer(modes));
            let dev = dev(&["video0"], &[]);
            let one = list(dev.path(), &wanted(), asked).unwrap().remove(0);
            one.chosen
                .map(|one| (one.format.name(), one.width, one.fps))
        };
        let slow_yuyv = mode(PixelFormat::Yuyv, 640, 480, 5);
        let mjpeg = mode(PixelFormat::Mjpeg, 640, 480, 30);
        let small_yuyv = mode(PixelFormat::Yuyv, 160, 120, 30);
        let grey = mode(PixelFormat::Grey, 640, 480, 60);
        assert_eq!(
            chosen(&[mjpeg, slow_yuyv]),
            Some(("mjpeg", 640, vec![30.0]))
        );
        assert_eq!(
            chosen(&[small_yuyv, mjpeg]),
            Some(("mjpeg", 640, vec![30.0]))
        );
        assert_eq!(chosen(&[slow_yuyv]), Some(("yuyv", 640, vec![5.0])));
        assert_eq!(chosen(&[grey]), Some(("grey", 640, vec![60.0])));
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn a_device_that_may_not_be_asked_is_listed_with_what_to_do() {
        let dev = dev(&["video0"], &[]);
        let asked = |_: &Path| Err(io::Error::from_raw_os_error(13));
        let found = list(dev.path(), &wanted(), asked).unwrap();
        let problem = found[0].problem.as_deref().unwrap();
        assert!(problem.contains("group `video`"), "{problem}");
    }

    #[test]
    fn rates_of_one_size_are_told_together_and_rounded() {
        let ntsc = Mode {
            interval: [1001, 30_000],
            ..mode(PixelFormat::Grey, 720, 480, 1)
        };
        let modes = [
            mode(PixelFormat::Grey, 720, 480, 60),
            ntsc,
            mode(PixelFormat::Grey, 720, 480, 60),
        ];
        assert_eq!(grouped(&modes)[0].fps, [29.97, 60.0]);
    }
}
