//! `footfall check`: everything about a config that can be tried without hardware.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::exit;
use crate::clock::SystemClock;
use crate::command::key::Keys;
use crate::config::schema::{Camera, Config, DetectorKind};
use crate::outbox::OutboxError;
use crate::sensor::camera::{self, FileSpec, rtsp};
use crate::sensor::vision::runtime;
use crate::status::auth::pin;
use crate::{app, config, uplink};

#[derive(clap::Args)]
pub struct Args {
    /// The config file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/footfall/footfall.toml"
    )]
    config: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = config::load(&args.config)?;
    let faults = faults(&loaded.config);
    let mut err = io::stderr().lock();
    for fault in &faults {
        writeln!(err, "{}: {}", args.config.display(), exit::text(fault))?;
    }
    if let Some(first) = faults.first() {
        return Ok(exit::code(first));
    }
    for advice in config::advice(&loaded.config) {
        writeln!(err, "{}: warning: {advice}", args.config.display())?;
    }
    writeln!(
        io::stdout(),
        "{}: fine ({})",
        args.config.display(),
        inventory(&loaded.config)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// What the config asks for: `1 camera, 2 lines, 1 scanner`.
fn inventory(config: &Config) -> String {
    let lines = config.camera.iter().map(|camera| camera.line.len()).sum();
    let zones = config.camera.iter().map(|camera| camera.zone.len()).sum();
    let gpio = &config.gpio;
    let parts = [
        (config.camera.len(), "camera"),
        (lines, "line"),
        (zones, "zone"),
        (config.place.len(), "place"),
        (config.wifi.len(), "Wi-Fi adapter"),
        (config.scanner.len(), "scanner"),
        (gpio.door.len(), "door"),
        (gpio.beam.len(), "beam"),
        (gpio.button.len(), "button"),
    ];
    let some = parts.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<_> = some
        .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if words.is_empty() {
        return "no sensors".to_owned();
    }
    words.join(", ")
}

/// What is wrong with what a valid config names: certificates, data directory, recordings, models, library.
fn faults(config: &Config) -> Vec<anyhow::Error> {
    let mut faults = Vec::new();
    let identity = app::identity(&config.device, &SystemClock::new(false));
    faults.extend(
        uplink::Settings::from_config(&config.uplink, &identity)
            .err()
            .map(Into::into),
    );
    if let Some(path) = &config.status.pin_file {
        faults.extend(pin::read(path).err().map(Into::into));
    }
    faults.extend(Keys::load(&config.command.keys).err().map(Into::into));
    faults.extend(data_dir_fault(&config.outbox.dir).map(Into::into));
    let by_model = |camera: &Camera| camera.detector == DetectorKind::Model;
    let library = if config.camera.iter().any(by_model) {
        runtime::load(config.vision.onnxruntime.as_deref()).err()
    } else {
        None
    };
    for camera in &config.camera {
        let what = || format!("camera {}", camera.id);
        if let Some(path) = &camera.file {
            let recording = camera::probe(&FileSpec {
                path: path.clone(),
                picture_fps: camera.picture_fps,
            });
            faults.extend(recording.with_context(what).err());
        }
        if let Some(file) = &camera.password_file {
            faults.extend(rtsp::password(file).with_context(what).err());
        }
        // Without the library every model would be at fault for the same reason.
        if library.is_none() {
            let pipeline = app::pipeline(config, camera, 1);
            faults.extend(pipeline.with_context(what).err());
        }
    }
    faults.extend(library.map(Into::into));
    faults
}

/// Whether the daemon could never make its data directory. Looks only: the daemon's user is another one than ours.
fn data_dir_fault(dir: &Path) -> Option<OutboxError> {
    let existing = dir
        .ancestors()
        .find_map(|path| std::fs::metadata(path).ok())?;
    (!existing.is_dir()).then(|| app::no_outbox_dir(dir, io::ErrorKind::NotADirectory.into()))
}
