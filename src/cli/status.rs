//! `footfall status`: asks the running daemon over its own HTTP address; `footfall status pin` sets the page's PIN.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::exit::{self, Failure};
use crate::status::auth::pin;

/// The answer is refused beyond this size.
const LONGEST_ANSWER: u64 = 4 * 1024 * 1024;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Where the daemon listens (`status.listen` in its config)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    at: String,
    /// Print the whole report as one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Set the technician's PIN of the page
    ///
    /// Asks for the PIN twice, or reads it from standard input, and writes its hash. Name the file as status.pin_file
    /// in the config. A new PIN counts at once; the first login with it ends all older sessions.
    Pin {
        /// Where the hash goes, such as /etc/footfall/pin; the daemon's user must be able to read it
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(Action::Pin { file }) = &args.action {
        return set_pin(file);
    }
    let body = fetch(&args.at).map_err(|why| {
        Failure::new(
            exit::UNAVAILABLE,
            format!(
                "no footfall answers at {}: {why:#}; start it (systemctl start footfall) or name its address with --at",
                args.at
            ),
        )
    })?;
    let report: serde_json::Value =
        serde_json::from_slice(&body).context("the answer is no JSON")?;
    if args.json {
        super::print_json(&report)?;
    } else {
        print_plain(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fetch(address: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    // HTTP/1.0: the answer ends with the connection.
    write!(
        stream,
        "GET /api/v1/status HTTP/1.0\r\nHost: {address}\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    let head = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("no HTTP answer")?;
    let refused = answer.starts_with(b"HTTP/1.0 401") || answer.starts_with(b"HTTP/1.0 403");
    anyhow::ensure!(
        !refused,
        "it answers programs on the box itself only, at 127.0.0.1"
    );
    let ok = answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200");
    anyhow::ensure!(ok, "it is some other server");
    Ok(answer.split_off(head + 4))
}

fn print_plain(report: &serde_json::Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    writeln!(
        out,
        "{}  footfall {}",
        text(&report["box"]),
        text(&report["version"])
    )?;
    writeln!(
        out,
        "today   in {}  out {}  inside {}",
        report["today"]["in"], report["today"]["out"], report["today"]["occupancy"]
    )?;
    for sensor in report["sensors"].as_array().into_iter().flatten() {
        let (kind, id) = (text(&sensor["kind"]), text(&sensor["id"]));
        writeln!(out, "{kind:<7} {id}: {}", text(&sensor["words"]["en"]))?;
    }
    writeln!(
        out,
        "cloud   {} ({} events wait)",
        text(&report["uplink"]["state"]),
        report["outbox"]["pending"]
    )?;
    if let Some(message) = report["uplink"]["message"]["en"]
        .as_str()
        .filter(|text| !text.is_empty())
    {
        writeln!(out, "        {message}")?;
    }
    Ok(())
}

fn set_pin(file: &Path) -> anyhow::Result<ExitCode> {
    let pin = read_line("New PIN: ")?;
    pin::check(&pin)?;
    if io::stdin().is_terminal() && read_line("Once more: ")? != pin {
        return Err(Failure::new(exit::DATA, "the two PINs differ; nothing was changed").into());
    }
    pin::write(file, &pin)?;
    writeln!(
        io::stdout(),
        "{}: written; the config needs pin_file = {file:?} in [status]",
        file.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// One line of standard input; on a terminal it is asked for and not shown.
fn read_line(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    let stdin = io::stdin();
    let shown = stdin.is_terminal().then(|| tcgetattr(&stdin)).transpose()?;
    if let Some(shown) = &shown {
        write!(io::stderr(), "{prompt}")?;
        io::stderr().flush()?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    }
    let mut line = Zeroizing::new(String::new());
    let read = stdin.lock().take(1024).read_line(&mut line);
    if let Some(shown) = &shown {
        tcsetattr(&stdin, OptionalActions::Now, shown)?;
        writeln!(io::stderr())?;
    }
    read?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
