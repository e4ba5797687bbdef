//! argv → command → exit code.

use std::process::ExitCode;

use footfall::sensor::vision::runtime::NO_TELEMETRY;

fn main() -> ExitCode {
    with_environment();
    footfall::cli::main(std::env::args_os())
}

/// What libraries read from the environment before any of our code could tell them; a variable, its value, and whether
/// another value may stand.
const ENVIRONMENT: [(&str, &str, bool); 2] = [
    // ONNX Runtime's releases keep an identifier of the machine and report models and sessions to their maker; the switch
    // in its interface comes after the first report.
    (NO_TELEMETRY.0, NO_TELEMETRY.1, false),
    // glibc returns every freed buffer over 128 KB to the system, until the first such buffer is freed: that raises the
    // limit, up to 32 MB, and from then on big buffers come from the heaps (one per thread), tear holes into them and stay.
    // A limit that is set stays put.
    ("MALLOC_MMAP_THRESHOLD_", "131072", true),
];

/// Starts the program once more in the same process, unless the environment is as it has to be: setting a variable later is
/// unsafe, and too late for glibc. Where the second start fails it goes on without.
fn with_environment() {
    use std::os::unix::process::CommandExt;
    let missing = ENVIRONMENT
        .into_iter()
        .filter(|(name, value, any)| std::env::var_os(name).is_none_or(|is| !any && is != *value));
    let missing: Vec<_> = missing.map(|(name, value, _)| (name, value)).collect();
    let mut args = std::env::args_os();
    if missing.is_empty() {
        return;
    }
    if let (Some(name), Ok(program)) = (args.next(), std::env::current_exe()) {
        let mut again = std::process::Command::new(program);
        // Returns only when it failed.
        let _ = again.arg0(name).args(args).envs(missing).exec();
    }
}
