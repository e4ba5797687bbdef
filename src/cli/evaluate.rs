//! `footfall evaluate`: how wrong the counts of a recording or of an installed box are, held against hand labels.

mod place;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::exit::{self, Failure};
use super::replay;
use crate::durable;
use crate::evaluate::events::Gatherer;
use crate::evaluate::report::Report;
use crate::evaluate::truth::{self, Fault};
use crate::evaluate::{self, Clock, Crossing, Document, Settings, Span};

/// Far more than labels by hand come to.
const MOST_BYTES: u64 = 16 << 20;
/// The longest line of events: what a replay of a whole day prints.
const LONGEST_LINE: u64 = 256 << 20;

const TEACHING: &str = "\
The hand labels are a table: a heading, then one crossing a line.

    time,line,direction
    12.4,entrance,in
    1:05,entrance,out

time: seconds of the recording, minutes:seconds, or RFC 3339 (2026-11-22T10:00:05+08:00); the moment at which somebody is
over the line. line: its id in the config. direction: in or out, as the config draws it. Further columns, if you like: class,
recording (needed with several recordings: the file's name), note.

    footfall evaluate --config shop.toml --truth labels.csv door.mp4
    footfall evaluate --config shop.toml --truth labels.csv --report report.html door.mp4
    footfall outbox dump --data DIR | footfall evaluate --truth labels.csv --events -
    footfall evaluate --config shop.toml --template labels.csv door.mp4

Two errors are told. Single mistakes (missed, counted though nobody crossed, counted the wrong way) for each true crossing:
nothing cancels. And how far the sums are off: there a missed one and a false one cancel, as in a day's total. Each with the
interval in which it lies with 95 % confidence; a few labels say little.

Exit code 1: there are more mistakes than --fail-above allows.";

#[derive(clap::Args)]
#[command(after_long_help = TEACHING)]
pub struct Args {
    /// The hand labels: a table with the columns time, line, direction
    #[arg(long, value_name = "FILE", required_unless_present = "template")]
    truth: Option<PathBuf>,
    /// The config file whose camera settings are used
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "events",
        requires = "clips"
    )]
    config: Option<PathBuf>,
    /// Which of its cameras; with --events: only that camera's
    #[arg(long, value_name = "ID")]
    camera: Option<String>,
    /// Another model than the config's: a name or the path of a manifest
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Not a recording but events, one a line: what `outbox dump` or `replay --json` printed; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "model", "clips", "template"])]
    events: Option<PathBuf>,
    /// When second 0 of the recording was, RFC 3339: for labels in seconds and events with a date, or the other way round
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// When you began to watch, if not at the beginning (with --events: at the first label); as in the labels
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// When you stopped watching, if not at the end (with --events: at the last label); as in the labels
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// A line that you watched even if no label names it; may be given several times
    #[arg(long = "line", value_name = "ID")]
    lines: Vec<String>,
    /// Most seconds between a label and its count
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = between::<0, 10>)]
    window: f64,
    /// Length of the stretches of time whose sums are compared too, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = between::<1, 86_400>)]
    bucket: f64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Write one HTML file that shows when what went wrong
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Exit with code 1 when there are more single mistakes than this for a hundred true crossings
    #[arg(long, value_name = "PERCENT", value_parser = between::<0, 1000>)]
    fail_above: Option<f64>,
    /// Write what is counted as a file of labels to correct by hand, and evaluate nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["truth", "report", "json", "fail_above"])]
    template: Option<PathBuf>,
    /// The recordings: videos, GIFs, or folders of pictures
    #[arg(value_name = "CLIP")]
    clips: Vec<PathBuf>,
}

fn between<const LOW: u32, const HIGH: u32>(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|value| (f64::from(LOW)..=f64::from(HIGH)).contains(value))
        .ok_or_else(|| format!("expected a number, {LOW} to {HIGH}"))
}

/// What was counted.
struct Counted {
    clock: Clock,
    crossings: Vec<Crossing>,
    /// All of each recording; empty for events, which do not tell when somebody watched.
    spans: Vec<Span>,
    /// The lines of the config; those of events are not known unless somebody crossed them.
    lines: Option<BTreeSet<String>>,
    notes: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.template {
        let counted = replayed(args)?;
        let text = truth::template(&counted.crossings, &counted.clock);
        return written(path, &text);
    }
    // The labels first: their faults are found in no time.
    let path = args.truth.as_deref().unwrap_or(Path::new(""));
    let labels = read(path)?;
    let labels = truth::parse(&labels).map_err(|fault| bad(path, &fault))?;
    let mut counted = match &args.events {
        Some(events) => gathered(events, args.camera.as_deref())?,
        None => replayed(args)?,
    };
    let settings = Settings {
        window: (args.window * 1000.0).round() as i64,
        bucket: (args.bucket * 1000.0).round() as i64,
    };
    let moment = place::Moments::new(args, &labels.clock, &counted.clock)?;
    let (truth, spans) = place::place(args, labels, &mut counted, &moment, &settings)
        .map_err(|fault| bad(path, &fault))?;
    let lines = place::lines(args, &truth, &mut counted)?;
    let evaluation = evaluate::evaluate(&truth, &counted.crossings, &lines, &spans, &settings);
    let (clock, notes) = (&moment.clock, &counted.notes[..]);
    if let Some(path) = &args.report {
        let report = Report {
            evaluation: &evaluation,
            clock,
            spans: &spans,
            settings: &settings,
            notes,
            subject: &subject(args),
        };
        written(path, &report.html())?;
    }
    if args.json {
        super::print_json(&Document::new(&evaluation, clock, &spans, &settings, notes))?;
    } else {
        let text = evaluate::words::table(&evaluation, clock, &settings, notes);
        std::io::stdout().lock().write_all(text.as_bytes())?;
    }
    let total = &evaluation.total;
    let error = total.error.unwrap_or(if total.errors() > 0 {
        f64::INFINITY
    } else {
        0.0
    });
    match args.fail_above {
        Some(limit) if error > limit => {
            let what =
                format!("{error:.1} % of mistakes are more than the {limit} % of --fail-above");
            Err(Failure::new(1, what).into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Plays every recording through the whole pipeline.
fn replayed(args: &Args) -> anyhow::Result<Counted> {
    let config = args.config.as_deref().unwrap_or(Path::new(""));
    let several = args.clips.len() > 1;
    let (mut crossings, mut spans, mut lines) = (Vec::new(), Vec::<Span>::new(), BTreeSet::new());
    for clip in &args.clips {
        let recording = if several {
            file_name(clip)
        } else {
            String::new()
        };
        if spans.iter().any(|span| span.recording == recording) {
            let what = format!(
                "two recordings are called {recording}; rename one, the labels could not tell them apart"
            );
            return Err(Failure::new(exit::USAGE, what).into());
        }
        let summary = replay::summary(&replay::Args {
            config: config.to_owned(),
            camera: args.camera.clone(),
            model: args.model.clone(),
            json: false,
            boxes: None,
            clip: clip.clone(),
        })?;
        crossings.extend(summary.crossings.into_iter().map(|one| Crossing {
            at: (one.at * 1000.0).round() as i64,
            recording: recording.clone(),
            line: one.line,
            direction: one.direction,
            class: one.class,
        }));
        lines.extend(summary.lines.into_keys());
        let to = (summary.seconds * 1000.0).round() as i64;
        spans.push(Span {
            recording,
            from: 0,
            to,
        });
    }
    Ok(Counted {
        clock: Clock::Recording,
        crossings,
        spans,
        lines: Some(lines),
        notes: Vec::new(),
    })
}

/// Reads events.
fn gathered(path: &Path, camera: Option<&str>) -> anyhow::Result<Counted> {
    let mut input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(open(path)?))
    };
    let unfit = |why: &dyn std::fmt::Display| {
        Failure::new(exit::DATA, format!("{}: {why}", path.display()))
    };
    let (mut gatherer, mut line) = (Gatherer::new(camera), Vec::new());
    for number in 1.. {
        line.clear();
        let read = (&mut input).take(LONGEST_LINE).read_until(b'\n', &mut line);
        if read.with_context(|| format!("{} cannot be read", path.display()))? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        gatherer.line(number, &text).map_err(|why| unfit(&why))?;
    }
    let gathered = gatherer.finish().map_err(|why| unfit(&why))?;
    let undated = (gathered.undated > 0).then(|| {
        format!(
            "{} crossings are left out: their box did not know the time, and there is no device.clock_synced event of it",
            gathered.undated
        )
    });
    Ok(Counted {
        clock: gathered.clock,
        crossings: gathered.crossings,
        spans: Vec::new(),
        lines: None,
        notes: undated.into_iter().collect(),
    })
}

fn subject(args: &Args) -> String {
    let all = args.events.iter().chain(&args.clips);
    all.map(|path| file_name(path))
        .collect::<Vec<_>>()
        .join(", ")
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).map_err(|why| {
        let code = if why.kind() == ErrorKind::NotFound {
            exit::UNAVAILABLE
        } else {
            exit::IO
        };
        Failure::new(code, format!("{} cannot be opened: {why}", path.display())).into()
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("{} cannot be read", path.display()))?;
    if bytes.len() as u64 > MOST_BYTES {
        let what = format!(
            "{} has more than 16 MiB; that is no file of hand labels",
            path.display()
        );
        return Err(Failure::new(exit::DATA, what).into());
    }
    // A note in some other encoding is no reason to refuse the times.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn written(path: &Path, text: &str) -> anyhow::Result<ExitCode> {
    durable::write(path, text.as_bytes()).with_context(|| {
        format!(
            "{} cannot be written; name a file in a folder that exists",
            path.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn bad(path: &Path, fault: &Fault) -> anyhow::Error {
    match fault.line {
        0 => Failure::new(exit::USAGE, fault.what.clone()),
        _ => Failure::new(exit::DATA, format!("{}, {fault}", path.display())),
    }
    .into()
}
