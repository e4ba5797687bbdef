//! Brings labels, options and counts together: on one clock, each in its recording, on lines that there are.

use std::collections::BTreeSet;

use super::{Args, Counted, file_name};
use crate::cli::exit::{self, Failure};
use crate::config::nearest;
use crate::evaluate::truth::{self, Fault, Labels};
use crate::evaluate::{Clock, Crossing, Settings, Span};

/// Puts the times of labels and options on the clock of the counts.
pub(super) struct Moments {
    pub(super) clock: Clock,
    /// Milliseconds since 1970 at second 0 of the recording.
    start: Option<i64>,
}

impl Moments {
    pub(super) fn new(args: &Args, labels: &Clock, counted: &Clock) -> anyhow::Result<Self> {
        let usage = |what: String| Failure::new(exit::USAGE, what);
        let mut start = None;
        let mut zone = match labels {
            Clock::Wall(zone) => Some(zone.clone()),
            Clock::Recording => None,
        };
        if let Some(text) = &args.start {
            let found = truth::time(text).map_err(|why| usage(format!("--start: {why}")))?;
            let (Clock::Wall(began), at) = found else {
                let what = "--start needs a date: RFC 3339, such as 2026-11-22T10:00:00+08:00";
                return Err(usage(what.to_owned()).into());
            };
            zone.get_or_insert(began);
            start = Some(at);
        }
        let clock = match (counted, zone) {
            (Clock::Recording, _) => Clock::Recording,
            (Clock::Wall(zone), None) => Clock::Wall(zone.clone()),
            (Clock::Wall(_), Some(zone)) => Clock::Wall(zone),
        };
        Ok(Self { clock, start })
    }

    fn place(&self, (clock, at): (&Clock, i64)) -> Result<i64, String> {
        match (clock, &self.clock, self.start) {
            (Clock::Recording, Clock::Recording, _) | (Clock::Wall(_), Clock::Wall(_), _) => Ok(at),
            (Clock::Recording, Clock::Wall(_), Some(start)) => Ok(start + at),
            (Clock::Wall(_), Clock::Recording, Some(start)) => Ok(at - start),
            (Clock::Recording, Clock::Wall(_), None) => Err(
                "a time in seconds, but the events have dates; say with --start when second 0 was".to_owned(),
            ),
            (Clock::Wall(_), Clock::Recording, None) => Err(
                "a time with a date, but a recording has none; say with --start when the recording began".to_owned(),
            ),
        }
    }

    fn option(&self, name: &str, text: Option<&String>) -> Result<Option<i64>, Fault> {
        let placed = |text: &String| {
            let (clock, at) = truth::time(text)?;
            self.place((&clock, at))
        };
        let fault = |what| Fault::new(0, format!("{name}: {what}"));
        text.map(placed).transpose().map_err(fault)
    }
}

/// The labels on the clock of the counts, each in its recording, and what was watched.
pub(super) fn place(
    args: &Args,
    labels: Labels,
    counted: &mut Counted,
    moment: &Moments,
    settings: &Settings,
) -> Result<(Vec<Crossing>, Vec<Span>), Fault> {
    let from = moment.option("--from", args.from.as_ref())?;
    let to = moment.option("--to", args.to.as_ref())?;
    let several = counted.spans.len() > 1;
    if several && (from.is_some() || to.is_some() || args.start.is_some()) {
        let what = "--from, --to and --start are about one recording; evaluate several one by one";
        return Err(Fault::new(0, what));
    }
    let mut truth = Vec::with_capacity(labels.rows.len());
    for (number, mut label) in labels.rows {
        let fault = |what: String| Fault::new(number, what);
        label.at = moment.place((&labels.clock, label.at)).map_err(fault)?;
        label.recording = recording(args, &label.recording, several).map_err(fault)?;
        if let Some(span) = counted
            .spans
            .iter()
            .find(|span| span.recording == label.recording)
            && !(span.from..=span.to).contains(&label.at)
        {
            let (at, to) = (label.at as f64 / 1000.0, moment.clock.show(span.to));
            return Err(fault(format!(
                "second {at} is not in the recording, which lasts {to}"
            )));
        }
        if let Some(known) = &counted.lines {
            is_known(&label.line, known).map_err(fault)?;
        }
        truth.push(label);
    }
    let mut spans = counted.spans.clone();
    if spans.is_empty() {
        let times = || truth.iter().map(|label| label.at);
        let (Some(first), Some(last)) = (
            from.or_else(|| times().min().map(|at| at - settings.window)),
            to.or_else(|| times().max().map(|at| at + settings.window)),
        ) else {
            let what = "no label; say with --from and --to when you watched";
            return Err(Fault::new(1, what));
        };
        if from.is_none() || to.is_none() {
            let note = "watched from the first label to the last, as far as --from and --to do not say otherwise";
            counted.notes.push(note.to_owned());
        }
        spans.push(Span {
            recording: String::new(),
            from: first,
            to: last,
        });
    } else if let [span] = &mut spans[..] {
        span.from = from.unwrap_or(span.from).max(span.from);
        span.to = to.unwrap_or(span.to).min(span.to);
    }
    if spans.iter().any(|span| span.from > span.to) {
        return Err(Fault::new(0, "--from is after --to, or after the end"));
    }
    let within = |label: &Crossing| {
        let ours = |span: &&Span| span.recording == label.recording;
        spans
            .iter()
            .find(ours)
            .is_some_and(|span| (span.from..=span.to).contains(&label.at))
    };
    let all = truth.len();
    truth.retain(within);
    if truth.len() < all {
        let note = format!(
            "{} labels outside of --from and --to are left out",
            all - truth.len()
        );
        counted.notes.push(note);
    }
    Ok((truth, spans))
}

/// The recording that a label means.
fn recording(args: &Args, named: &str, several: bool) -> Result<String, String> {
    let names: Vec<String> = args.clips.iter().map(|clip| file_name(clip)).collect();
    if args.events.is_some() || (named.is_empty() && !several) {
        return Ok(String::new());
    }
    match names.iter().find(|name| *name == named) {
        Some(_) if !several => Ok(String::new()),
        Some(name) => Ok(name.clone()),
        None if named.is_empty() => {
            Err("with several recordings each label needs the column recording".to_owned())
        }
        None => Err(format!(
            "there is no recording {named:?}; there are: {}",
            names.join(", ")
        )),
    }
}

/// The lines that were watched.
pub(super) fn lines(
    args: &Args,
    truth: &[Crossing],
    counted: &mut Counted,
) -> anyhow::Result<Vec<String>> {
    let watched: BTreeSet<String> = truth
        .iter()
        .map(|one| one.line.clone())
        .chain(args.lines.clone())
        .collect();
    if watched.is_empty() {
        let what = "no label names a line; name those that you watched with --line";
        return Err(Failure::new(exit::DATA, what).into());
    }
    if let Some(known) = &counted.lines {
        for line in &args.lines {
            is_known(line, known)
                .map_err(|what| Failure::new(exit::USAGE, format!("--line: {what}")))?;
        }
    }
    let crossed = || {
        counted
            .crossings
            .iter()
            .map(|one| one.line.clone())
            .collect()
    };
    let known: BTreeSet<String> = counted.lines.clone().unwrap_or_else(crossed);
    let others: Vec<&str> = known.difference(&watched).map(String::as_str).collect();
    if !others.is_empty() {
        let note = format!(
            "no label names {}: left out; with --line a line counts as watched",
            others.join(", ")
        );
        counted.notes.push(note);
    }
    Ok(watched.into_iter().collect())
}

fn is_known(line: &str, known: &BTreeSet<String>) -> Result<(), String> {
    if known.contains(line) {
        return Ok(());
    }
    let all: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = nearest(line, all.iter().copied()).map(|like| format!("did you mean {like:?}?"));
    let hint = hint.unwrap_or_else(|| format!("the camera has: {}", all.join(", ")));
    Err(format!("there is no line {line:?}; {hint}"))
}
