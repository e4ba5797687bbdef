//! `footfall outbox stat|verify|dump --data DIR`: looks into the event store while the daemon is stopped.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::exit::{DATA, IO, UNAVAILABLE};
use crate::outbox::{self, OutboxError, StatReport, VerifyReport};

/// `footfall outbox`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show how many events wait in each stream
    Stat(Report),
    /// Check every record; exit code 65 when something is wrong
    Verify(Report),
    /// Print every stored event, one line of JSON each
    Dump(Data),
}

#[derive(Debug, clap::Args)]
struct Report {
    #[command(flatten)]
    data: Data,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Data {
    /// The daemon's data directory
    #[arg(long = "data", value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the subcommand: 0, or 65 (bad data), 69 (the daemon is running), 74 (I/O) with the reason on stderr.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = match &args.action {
        Action::Stat(report) => show_stat(report, &mut out),
        Action::Verify(report) => show_verify(report, &mut out),
        Action::Dump(data) => outbox::dump(&data.dir, &mut out)
            .map(|()| ExitCode::SUCCESS)
            .map_err(Failure::Outbox),
    };
    let outcome = outcome.and_then(|code| Ok(out.flush().map(|()| code)?));
    match outcome {
        Ok(code) => Ok(code),
        // `footfall outbox dump | head` is no error.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(Failure::Outbox(OutboxError::Io { source, .. }))
            if source.kind() == io::ErrorKind::BrokenPipe =>
        {
            Ok(ExitCode::SUCCESS)
        }
        Err(Failure::Output(error)) => Err(error.into()),
        Err(Failure::Outbox(error)) => {
            writeln!(io::stderr().lock(), "footfall: {error}")?;
            Ok(ExitCode::from(match error {
                OutboxError::Corrupt(_) => DATA,
                OutboxError::Locked(_) | OutboxError::Closed => UNAVAILABLE,
                OutboxError::Io { .. } => IO,
            }))
        }
    }
}

enum Failure {
    Outbox(OutboxError),
    Output(io::Error),
}

impl From<OutboxError> for Failure {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

fn show_stat(report: &Report, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let stat = outbox::stat(&report.data.dir)?;
    if report.json {
        serde_json::to_writer(&mut *out, &stat)?;
        writeln!(out)?;
    } else {
        stat_text(&stat, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn stat_text(report: &StatReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<12}{:>12}{:>16}{:>12}",
        "stream", "last", "acknowledged", "waiting"
    )?;
    for named in &report.streams {
        let stat = named.stat;
        writeln!(
            out,
            "{:<12}{:>12}{:>16}{:>12}",
            named.stream.name(),
            stat.last,
            stat.acked,
            stat.pending
        )?;
    }
    writeln!(out, "{}", size(report.segments, report.bytes))
}

fn show_verify(report: &Report, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let verified = outbox::verify(&report.data.dir)?;
    if report.json {
        serde_json::to_writer(&mut *out, &verified)?;
        writeln!(out)?;
    } else {
        verify_text(&verified, out)?;
    }
    Ok(match verified.faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(DATA),
    })
}

fn verify_text(report: &VerifyReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<12}{:>12}{:>12}{:>12}{:>12}",
        "stream", "first", "last", "stored", "waiting"
    )?;
    for stream in &report.streams {
        writeln!(
            out,
            "{:<12}{:>12}{:>12}{:>12}{:>12}",
            stream.stream.name(),
            stream.first,
            stream.last,
            stream.count,
            stream.pending
        )?;
    }
    writeln!(out, "{}", size(report.segments, report.bytes))?;
    for fault in &report.faults {
        writeln!(out, "fault: {fault}")?;
    }
    match report.faults.len() {
        0 => writeln!(out, "no faults"),
        1 => writeln!(
            out,
            "1 fault; the daemon repairs what can be repaired when it starts"
        ),
        n => writeln!(
            out,
            "{n} faults; the daemon repairs what can be repaired when it starts"
        ),
    }
}

fn size(segments: u64, bytes: u64) -> String {
    format!("{segments} segments, {:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn run_line(words: &[&str]) -> ExitCode {
        let line = Line::try_parse_from([&["outbox"], words].concat()).unwrap();
        run(&line.args).unwrap()
    }

    #[test]
    fn an_empty_store_has_no_faults_and_a_missing_one_is_an_io_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        for words in [
            ["stat", "--data", path].as_slice(),
            &["stat", "--json", "--data", path],
            &["verify", "--data", path],
            &["verify", "--json", "--data", path],
            &["dump", "--data", path],
        ] {
            assert_eq!(run_line(words), ExitCode::SUCCESS, "{words:?}");
        }
        let missing = dir.path().join("missing");
        let missing = missing.to_str().unwrap();
        assert_eq!(run_line(&["verify", "--data", missing]), ExitCode::from(IO));
    }

    #[test]
    fn faults_are_bad_data_and_a_held_store_is_unavailable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        std::fs::create_dir(dir.path().join("seg-00000001")).unwrap();
        assert_eq!(run_line(&["verify", "--data", path]), ExitCode::from(DATA));
        let lock = std::fs::File::open(dir.path().join("lock")).unwrap();
        lock.lock().unwrap();
        assert_eq!(
            run_line(&["stat", "--data", path]),
            ExitCode::from(UNAVAILABLE)
        );
    }
}
