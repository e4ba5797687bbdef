//! The command line: one file per subcommand.

mod check;
mod demo;
pub mod exit;
mod model;
mod outbox;
mod replay;
mod run;
mod status;

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
    /// Validate a config and everything it names, without any hardware
    Check(check::Args),
    /// Look at the stored events: how many, whether all are sound, and what they say
    Outbox(outbox::Args),
    /// The models: which there are, whether they work, how fast they are
    Model(model::Args),
    /// Ask the running daemon how it is
    Status(status::Args),
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
        Command::Check(args) => check::run(&args),
        Command::Outbox(args) => outbox::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Status(args) => status::run(&args),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "footfall: {}", exit::text(&error));
        exit::code(&error)
    })
}

fn start_logging() {
    use std::io::IsTerminal;
    use tracing_subscriber::EnvFilter;

    let quiet_dependencies = "info,rumqttc=warn,rumqttd=off,ort=warn,sled=warn";
    let mut filter = EnvFilter::try_from_env("FOOTFALL_LOG")
        .unwrap_or_else(|_| EnvFilter::new(quiet_dependencies));
    // At no level: it repeats addresses, and those of cheap cameras hold their password.
    filter = filter.add_directive("retina=off".parse().unwrap_or_default());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
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
