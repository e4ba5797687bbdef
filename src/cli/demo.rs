//! `footfall demo`

use std::io::Write;
use std::process::ExitCode;

use crate::demo;

#[derive(clap::Args)]
pub struct Args {
    /// Seconds of shop to show
    #[arg(long, value_name = "N", default_value_t = demo::DEFAULT_SECONDS, value_parser = seconds)]
    seconds: f64,
    /// Another shop: other people, another day
    #[arg(long, value_name = "N", default_value_t = demo::DEFAULT_SEED)]
    seed: u64,
    /// Where the camera hangs
    #[arg(long, value_enum, value_name = "PLACE", default_value_t)]
    camera: demo::Place,
    /// What lights the shop
    #[arg(long, value_enum, value_name = "LIGHT", default_value_t)]
    light: demo::Light,
    /// Keep the page open afterwards, until Ctrl-C
    #[arg(long)]
    keep_open: bool,
}

/// A day is the longest: nobody watches more of it, and the truth is kept in memory.
fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (1.0..=86_400.0).contains(seconds))
        .ok_or_else(|| "expected a number of seconds, 1 to 86400".to_owned())
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = demo::Options {
        seconds: args.seconds,
        seed: args.seed,
        place: args.camera,
        light: args.light,
        keep_open: args.keep_open,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(demo::run(&options))?;
    // The broker and the page have nothing left to do.
    runtime.shutdown_background();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{outcome}")?;
    let faults = outcome.faults();
    for fault in &faults {
        writeln!(out, "demo: {fault}")?;
    }
    if let Some(page) = &outcome.page {
        writeln!(out, "The page was at {page}; --keep-open keeps it.")?;
    }
    if faults.is_empty() {
        writeln!(out, "demo: everything agrees")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
