//! What the numbers say, for the terminal.

use std::fmt::Write;

use super::{Clock, Evaluation, Finding, Outcome, Score, Settings, confidence, direction_name};

/// Mistakes that are listed, at most; the report has all of them.
const MOST_LISTED: usize = 40;
/// How well one may want to know an error, percentage points to each side.
const REACHES: [f64; 3] = [5.0, 2.0, 1.0];

/// How much can be said with so many labels, and what it would take to say more.
#[must_use]
pub fn sentence(score: &Score) -> String {
    let (truth, errors) = (score.truth, score.errors());
    let (Some(error), Some((low, high))) = (score.error, score.interval) else {
        return match score.false_ones {
            0 => "Nobody crossed, and nobody was counted: that says nothing about the error."
                .to_owned(),
            counted => format!("Nobody crossed, but {counted} were counted."),
        };
    };
    let mut text = format!(
        "{} on {truth} true {}: the error is {error:.1} %. With so many labels one can only say that it is between \
         {low:.1} and {high:.1} % (95 %).",
        number(errors, "mistake"),
        if truth == 1 { "crossing" } else { "crossings" },
    );
    let reach = (high - low) / 2.0;
    match REACHES.into_iter().find(|wanted| *wanted < reach) {
        Some(wanted) => {
            let more = confidence::more_for(error / 100.0, truth, wanted / 100.0);
            // A plan needs no odd numbers.
            let more = more.div_ceil(10) * 10;
            let _ = write!(
                text,
                " Label about {more} more to know it to {wanted:.0} {} to either side.",
                if wanted > 1.0 { "points" } else { "point" }
            );
        }
        None => text.push_str(" More labels would hardly tell more."),
    }
    text
}

/// The whole evaluation as a table, a list of mistakes and a sentence.
#[must_use]
pub fn table(
    evaluation: &Evaluation,
    clock: &Clock,
    settings: &Settings,
    notes: &[String],
) -> String {
    let mut text = String::new();
    let width = evaluation
        .lines
        .iter()
        .map(|one| one.line.chars().count())
        .max();
    let width = width.unwrap_or(0).max("line".len());
    let _ = writeln!(
        text,
        "{:<width$}  way   true  counted  right  missed  false  wrong way   error         95 %  sums off",
        "line"
    );
    for line in &evaluation.lines {
        for (way, score) in [
            ("in", &line.inward),
            ("out", &line.outward),
            ("both", &line.both),
        ] {
            row(&mut text, &line.line, width, way, score);
        }
    }
    if evaluation.lines.len() > 1 {
        row(&mut text, "all", width, "both", &evaluation.total);
    }
    if let Some(accuracy) = evaluation.bucket_accuracy_percent {
        let seconds = settings.bucket / 1000;
        let _ = writeln!(
            text,
            "\nThe sums of every {seconds} s are {accuracy:.1} % right."
        );
    }
    if evaluation.total.wrong_class > 0 {
        let crossings = number(evaluation.total.wrong_class, "crossing");
        let _ = writeln!(text, "{crossings} counted right, but as something else.");
    }
    let is_mistake = |one: &&Finding| one.what != Outcome::Right;
    let mistakes: Vec<&Finding> = evaluation.findings.iter().filter(is_mistake).collect();
    if !mistakes.is_empty() {
        text.push('\n');
    }
    for one in mistakes.iter().take(MOST_LISTED) {
        let _ = writeln!(text, "{:>12}  {}", clock.show(one.at), mistake(one));
    }
    if mistakes.len() > MOST_LISTED {
        let more = mistakes.len() - MOST_LISTED;
        let _ = writeln!(text, "and {more} more; --report shows all of them");
    }
    let _ = writeln!(text, "\n{}", sentence(&evaluation.total));
    for note in notes {
        let _ = writeln!(text, "Note: {note}.");
    }
    text
}

/// One mistake in words, without its time.
#[must_use]
pub fn mistake(one: &Finding) -> String {
    let (line, direction) = (&one.line, direction_name(one.direction));
    let what = match one.what {
        Outcome::Right => format!("{line}: {direction}, counted right"),
        Outcome::Missed => format!("{line}: missed, somebody went {direction}"),
        Outcome::False => format!("{line}: counted {direction}, nobody crossed"),
        Outcome::WrongDirection => format!("{line}: went {direction}, counted the other way"),
    };
    match one.recording.as_str() {
        "" => what,
        recording => format!("{recording}, {what}"),
    }
}

fn row(text: &mut String, line: &str, width: usize, way: &str, score: &Score) {
    let percent =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} %"));
    let interval = score.interval.map_or_else(
        || "-".to_owned(),
        |(low, high)| format!("{low:.1} – {high:.1}"),
    );
    let _ = writeln!(
        text,
        "{line:<width$}  {way:<4}{:>6}{:>9}{:>7}{:>8}{:>7}{:>11}{:>8}{interval:>13}{:>10}",
        score.truth,
        score.counted,
        score.right,
        score.missed,
        score.false_ones,
        score.wrong_direction,
        percent(score.error),
        percent(score.balanced),
    );
}

fn number(count: u64, thing: &str) -> String {
    match count {
        0 => format!("No {thing}"),
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}
