//! `footfall status`: asks the running daemon over its own HTTP address.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::exit::{self, Failure};

/// The answer is refused beyond this size.
const LONGEST_ANSWER: u64 = 4 * 1024 * 1024;

#[derive(clap::Args)]
pub struct Args {
    /// Where the daemon listens (`status.listen` in its config)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    at: String,
    /// Print the whole report as one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
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
        "today   in {}  out {}",
        report["today"]["in"], report["today"]["out"]
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
    if let Some(message) = report["uplink"]["message"]
        .as_str()
        .filter(|text| !text.is_empty())
    {
        writeln!(out, "        {message}")?;
    }
    Ok(())
}
