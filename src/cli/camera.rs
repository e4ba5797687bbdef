//! `footfall camera list`: which cameras are plugged in, and what to write into the config.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::sensor::camera::v4l2::plugged::{self, Listed, Plugged};
use crate::sensor::camera::v4l2::{DeviceSpec, PixelFormat};

const NONE: &str = "\
no camera is plugged in. What to check:
  - a USB camera: another socket, another cable; `lsusb` shows whether the box sees it at all
  - `ls /dev/video*`: without any there is no driver; most USB cameras need `sudo modprobe uvcvideo`
  - a network camera is not listed here: its address is on its settings page (docs/guide/cameras.md)";

/// Formats that are not known here, in the text; JSON has them all.
const MOST_UNKNOWN: usize = 8;

/// Arguments of `footfall camera`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// The USB and built-in cameras of this machine: what they offer, and the lines for the config
    ///
    /// Nothing is switched on and no picture is taken; cameras that a running daemon uses are listed too.
    List(List),
}

#[derive(clap::Args)]
struct List {
    /// Width and height to choose for, pixels
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = size)]
    size: Size,
    /// Pictures a second to choose for
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy)]
struct Size([u32; 2]);

fn size(text: &str) -> Result<Size, &'static str> {
    let parsed = text.split_once('x').and_then(|(width, height)| {
        let side = |text: &str| text.parse().ok().filter(|side| (16..=8192).contains(side));
        Some(Size([side(width)?, side(height)?]))
    });
    parsed.ok_or("expected a size such as 640x480")
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Action::List(args) = &args.action;
    let wanted = DeviceSpec {
        path: PathBuf::new(),
        size: args.size.0,
        format: PixelFormat::default(),
        fps: args.fps,
    };
    let ask = |node: &Path| plugged::ask(node, &wanted);
    let cameras = plugged::list(Path::new("/dev"), &wanted, ask).context("/dev")?;
    if args.json {
        super::print_json(&cameras)?;
    } else {
        show(&cameras, args.fps, &mut io::stdout().lock())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(cameras: &[Plugged], fps: u32, out: &mut impl Write) -> io::Result<()> {
    if cameras.is_empty() {
        return writeln!(out, "{NONE}");
    }
    for (at, camera) in cameras.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", camera.device.display())?;
        if !camera.name.is_empty() {
            let node = camera.node.display();
            writeln!(
                out,
                "  {} (driver {}, now {node})",
                camera.name, camera.driver
            )?;
        }
        for format in PixelFormat::ALL {
            let of_it = camera.modes.iter().filter(|mode| mode.format == format);
            let sizes: Vec<_> = of_it.map(size_and_rates).collect();
            if !sizes.is_empty() {
                writeln!(out, "  {:<6} {}", format.name(), sizes.join("; "))?;
            }
        }
        if !camera.unknown.is_empty() {
            let shown: Vec<_> = camera.unknown.iter().take(MOST_UNKNOWN).cloned().collect();
            let more = match camera.unknown.len().saturating_sub(MOST_UNKNOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            writeln!(out, "  not known here: {}{more}", shown.join(", "))?;
        }
        if camera.device == camera.node {
            writeln!(
                out,
                "  it has no name that stays: after a restart it may be another one"
            )?;
        }
        if let Some(problem) = &camera.problem {
            writeln!(out, "  {problem}")?;
        }
        if let Some(chosen) = &camera.chosen {
            writeln!(out, "  for the config:")?;
            for line in toml_lines(camera, chosen, at + 1, fps) {
                writeln!(out, "    {line}")?;
            }
        }
    }
    Ok(())
}

fn size_and_rates(mode: &Listed) -> String {
    let rates: Vec<_> = mode.fps.iter().map(ToString::to_string).collect();
    format!("{}x{} at {}", mode.width, mode.height, rates.join(", "))
}

/// A `[[camera]]` that works as it stands; its model and its lines are for whoever puts it in.
fn toml_lines(camera: &Plugged, chosen: &Listed, number: usize, fps: u32) -> Vec<String> {
    let device = toml::Value::String(camera.device.display().to_string());
    let [width, height] = [chosen.width, chosen.height];
    vec![
        "[[camera]]".to_owned(),
        format!("id = \"camera-{number}\""),
        format!("device = {device}"),
        format!("size = [{width}, {height}]"),
        format!("format = \"{}\"", chosen.format.name()),
        format!("fps = {fps}"),
        "model = \"person-oblique\"".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;

    fn camera() -> Plugged {
        let mode = |format, fps: &[f64]| Listed {
            format,
            width: 640,
            height: 480,
            fps: fps.to_vec(),
        };
        Plugged {
            device: "/dev/v4l/by-id/usb-\"odd\"-index0".into(),
            node: "/dev/video0".into(),
            name: "HD Webcam".into(),
            driver: "uvcvideo".into(),
            modes: vec![
                mode(PixelFormat::Grey, &[29.97]),
                mode(PixelFormat::Yuyv, &[5.0, 30.0]),
            ],
            unknown: vec!["H264".into()],
            chosen: Some(mode(PixelFormat::Yuyv, &[30.0])),
            problem: None,
        }
    }

    fn shown(cameras: &[Plugged]) -> String {
        let mut out = Vec::new();
        show(cameras, 10, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn without_a_camera_it_says_so_and_what_to_check() {
        let text = shown(&[]);
        assert!(text.starts_with("no camera is plugged in"), "{text}");
        assert!(text.contains("lsusb") && text.contains("/dev/video*"));
    }

    #[test]
    fn what_a_camera_offers_is_told_and_the_lines_for_the_config_are_read_back_alike() {
        let text = shown(&[camera()]);
        for line in [
            "  HD Webcam (driver uvcvideo, now /dev/video0)\n",
            "  yuyv   640x480 at 5, 30\n  grey   640x480 at 29.97\n",
            "  not known here: H264\n",
        ] {
            assert!(text.contains(line), "{line:?} not in {text}");
        }
        let lines = toml_lines(&camera(), &camera().chosen.unwrap(), 1, 10);
        let table: toml::Table = lines.join("\n").parse().unwrap();
        let read: Vec<schema::Camera> = table["camera"].clone().try_into().unwrap();
        assert_eq!(read[0].device.as_ref(), Some(&camera().device));
        assert_eq!(
            (read[0].size, read[0].format),
            ([640, 480], PixelFormat::Yuyv)
        );
        assert_eq!(read[0].fps, Some(10.0));
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(size("1280x720").ok().map(|size| size.0), Some([1280, 720]));
        for wrong in ["", "640", "0x480", "640x", "640x9999", "640x480x3"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
