//! argv → command → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    footfall::cli::main(std::env::args_os())
}
