//! argv → command → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    give_big_buffers_back();
    footfall::cli::main(std::env::args_os())
}

/// Makes glibc return every freed buffer over 128 KB to the system.
///
/// It starts out that way, but the first such buffer that is freed raises the limit, up to 32 MB; from then on big buffers
/// come from the heaps (one per thread), tear holes into them and stay. A limit that is set stays put. glibc reads it from the
/// environment, before `main`, and the call that sets it later is unsafe: so the program starts itself once more, in the same
/// process. Where the limit is set already, or the second start fails, it simply goes on.
#[cfg(target_env = "gnu")]
fn give_big_buffers_back() {
    use std::os::unix::process::CommandExt;
    const LIMIT: &str = "MALLOC_MMAP_THRESHOLD_";
    let mut args = std::env::args_os();
    if std::env::var_os(LIMIT).is_some() {
        return;
    }
    if let (Some(name), Ok(program)) = (args.next(), std::env::current_exe()) {
        let mut again = std::process::Command::new(program);
        // Returns only when it failed.
        let _ = again.arg0(name).args(args).env(LIMIT, "131072").exec();
    }
}
