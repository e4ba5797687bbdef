//! The command line: one file per subcommand.

mod camera;
mod check;
mod command;
mod demo;
mod evaluate;
pub mod exit;
mod model;
mod outbox;
mod replay;
mod run;
mod scan;
mod status;
mod wifi;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes: 0 done, 64 wrong usage, 65 bad data, 69 something needed is missing, 70 a fault of footfall itself,
74 reading or writing failed, 78 the config is wrong.
Logs go to standard error; FOOTFALL_LOG=debug (or =footfall::uplink=trace) shows more of them.";

/// Counts people honestly and keeps every event until the cloud has it.
#[derive(Parser)]
#[command(name = "footfall", version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The daemon: cameras, outbox, uplink and status page, until SIGTERM
    Run(run::Args),
    /// A synthetic shop through the whole real pipeline; prints counted against true at the end
    Demo(demo::Args),
    /// A recording as fast as possible through detector, tracker and counting
    Replay(replay::Args),
    /// How wrong the counts are: held against crossings that you labelled by hand
    Evaluate(evaluate::Args),
    /// Validate a config and everything it names, without any hardware
    Check(check::Args),
    /// Cameras: which are plugged in, and what to write into the config
    Camera(camera::Args),
    /// Look at the stored events: how many, whether all are sound, and what they say
    Outbox(outbox::Args),
    /// Wi-Fi: what it would count in a recording
    Wifi(wifi::Args),
    /// The models: which there are, whether they work, how fast they are
    Model(model::Args),
    /// What a scanned text or the codes on a picture become
    Scan(scan::Args),
    /// Ask the running daemon how it is
    Status(status::Args),
    /// The operator's side of signed commands: make keys, sign a command
    #[command(name = "command")]
    Sign(command::Args),
}

/// Runs the command line `args` (the program's name first).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to standard output; clap knows which is which.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    start_logging();
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Camera(args) => camera::run(&args),
        Command::Outbox(args) => outbox::run(&args),
        Command::Wifi(args) => wifi::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Sign(args) => command::run(&args),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "footfall: {}", exit::text(&error));
        exit::code(&error)
    })
}

fn start_logging() {
    crate::logging::start();
    // One line like every other fact; some panics of dependencies are caught and become plain faults.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let why = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, why, "panic");
    }));
}

/// Prints one JSON document on standard output.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}
