//! `footfall check`: everything about a config that can be tried without hardware.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::exit;
use crate::{app, config};

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
    let faults = app::preflight(&loaded.config);
    let mut err = std::io::stderr().lock();
    for fault in &faults {
        writeln!(err, "{}: {fault:#}", args.config.display())?;
    }
    if faults.is_empty() {
        writeln!(
            std::io::stdout(),
            "{}: fine ({} cameras, {} lines)",
            args.config.display(),
            loaded.config.camera.len(),
            loaded
                .config
                .camera
                .iter()
                .map(|camera| camera.line.len())
                .sum::<usize>()
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(exit::CONFIG))
}
