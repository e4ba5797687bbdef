//! `footfall run`

use std::path::PathBuf;
use std::process::ExitCode;

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
    // Two workers: the sockets are few, and the cores belong to the cameras.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .thread_name("footfall-io")
        .enable_all()
        .build()?;
    runtime.block_on(app::run(loaded))?;
    Ok(ExitCode::SUCCESS)
}
