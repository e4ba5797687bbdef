//! What happened to each crossing, and what it comes to.
//!
//! Two errors are told, for they answer different questions. The per-track (unbalanced) error is every single mistake over
//! the true crossings: missed ones, false ones, and those counted the wrong way. The balanced error is how far the sums
//! are off: there a missed one and a false one cancel, as they do in a day's total.

use std::collections::BTreeMap;

use serde::Serialize;

use super::matching::pair;
use super::{Crossing, Span, confidence};
use crate::event::{Direction, InOut};

/// How to compare.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Most milliseconds between a label and its count.
    pub window: i64,
    /// Length of the stretches of time whose sums are compared, milliseconds; positive.
    pub bucket: i64,
}

/// What became of one crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Right,
    /// Labelled and not counted.
    Missed,
    /// Counted, and never happened.
    False,
    /// Counted in the other direction.
    WrongDirection,
}

/// One crossing that was labelled, counted, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: Outcome,
    pub recording: String,
    pub line: String,
    /// The true one; the counted one where it is false.
    pub direction: Direction,
    /// When it truly happened; when it was counted where it is false. Milliseconds.
    pub at: i64,
    /// When it was counted, if it was and happened.
    pub counted_at: Option<i64>,
    /// Whether label and count both say what it was, and disagree.
    pub wrong_class: bool,
}

/// The sums of some crossings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    #[serde(rename = "true")]
    pub truth: u64,
    pub counted: u64,
    pub right: u64,
    pub missed: u64,
    #[serde(rename = "false")]
    pub false_ones: u64,
    pub wrong_direction: u64,
    /// Crossings counted right whose class is not the label's.
    #[serde(skip_serializing_if = "is_zero")]
    pub wrong_class: u64,
    /// Missed, false and wrong-way crossings for each hundred true ones; none where nothing happened.
    #[serde(rename = "unbalanced_error_percent")]
    pub error: Option<f64>,
    /// Where it lies with 95 % confidence.
    #[serde(rename = "interval_95_percent")]
    pub interval: Option<(f64, f64)>,
    /// How far the sum is off, for each hundred true ones.
    #[serde(rename = "balanced_error_percent")]
    pub balanced: Option<f64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The scores of one line over all recordings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineScores {
    pub line: String,
    #[serde(rename = "in")]
    pub inward: Score,
    #[serde(rename = "out")]
    pub outward: Score,
    pub both: Score,
}

/// The sums of one line in one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recording: String,
    pub line: String,
    /// Seconds from the beginning of what was watched.
    pub from_s: i64,
    #[serde(rename = "true")]
    pub truth: InOut,
    pub counted: InOut,
}

/// All that can be said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    pub total: Score,
    /// In the order of their names.
    pub lines: Vec<LineScores>,
    /// By recording, line and time; those in which nothing happened are left out.
    pub buckets: Vec<Bucket>,
    /// What is right of the sums of all buckets, in and out each on their own: 100 less their differences for each hundred
    /// true crossings, 0 at least.
    pub bucket_accuracy_percent: Option<f64>,
    /// By recording, line and time.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Holds counts against labels. `lines` are those that were watched; crossings of others are left out, and so are counts
/// outside of `spans`, unless a label within needs them.
#[must_use]
pub fn evaluate(
    truth: &[Crossing],
    counted: &[Crossing],
    lines: &[String],
    spans: &[Span],
    settings: &Settings,
) -> Evaluation {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines.dedup();
    let (mut findings, mut buckets) = (Vec::new(), Vec::new());
    for span in spans {
        for line in &lines {
            let of = |all: &[Crossing], reach: i64| {
                let ours = |one: &&Crossing| {
                    one.recording == span.recording
                        && one.line == *line
                        && (span.from - reach..=span.to + reach).contains(&one.at)
                };
                let mut ours: Vec<Crossing> = all.iter().filter(ours).cloned().collect();
                ours.sort_by_key(|one| one.at);
                ours
            };
            let labels = of(truth, 0);
            let found = compare(labels, of(counted, settings.window), span, settings.window);
            buckets.extend(sums(&found, span, line, settings.bucket));
            findings.extend(found);
        }
    }
    let score = |line: Option<&String>, direction: Option<Direction>| {
        let ours = findings
            .iter()
            .filter(|one| line.is_none_or(|line| one.line == *line));
        Score::of(ours, direction)
    };
    let scores = |line: &String| LineScores {
        line: line.clone(),
        inward: score(Some(line), Some(Direction::In)),
        outward: score(Some(line), Some(Direction::Out)),
        both: score(Some(line), None),
    };
    Evaluation {
        total: score(None, None),
        lines: lines.iter().map(scores).collect(),
        bucket_accuracy_percent: accuracy(&buckets),
        buckets,
        findings,
    }
}

/// The findings of one line in one span, in the order of time. All crossings are of that line.
fn compare(
    mut labels: Vec<Crossing>,
    mut counts: Vec<Crossing>,
    span: &Span,
    window: i64,
) -> Vec<Finding> {
    let mut found = Vec::new();
    // First those that agree; what is left may be one person, counted the wrong way.
    for (what, turned) in [(Outcome::Right, false), (Outcome::WrongDirection, true)] {
        for direction in [Direction::In, Direction::Out] {
            let counted = if turned { other(direction) } else { direction };
            for (label, count) in take_pairs(&mut labels, &mut counts, direction, counted, window) {
                let differ = matches!((&label.class, &count.class), (Some(a), Some(b)) if a != b);
                found.push(Finding {
                    wrong_class: differ && what == Outcome::Right,
                    counted_at: Some(count.at),
                    ..Finding::of(label, what)
                });
            }
        }
    }
    found.extend(
        labels
            .into_iter()
            .map(|one| Finding::of(one, Outcome::Missed)),
    );
    counts.retain(|one| (span.from..=span.to).contains(&one.at));
    found.extend(
        counts
            .into_iter()
            .map(|one| Finding::of(one, Outcome::False)),
    );
    found.sort_by_key(|one| one.at);
    found
}

/// Takes the pairs of labels in one direction and counts in (perhaps) another out of both.
fn take_pairs(
    labels: &mut Vec<Crossing>,
    counts: &mut Vec<Crossing>,
    label_direction: Direction,
    count_direction: Direction,
    window: i64,
) -> Vec<(Crossing, Crossing)> {
    let take = |all: &mut Vec<Crossing>, direction| -> Vec<Crossing> {
        all.extract_if(.., |one| one.direction == direction)
            .collect()
    };
    let (ours, theirs) = (take(labels, label_direction), take(counts, count_direction));
    let times = |all: &[Crossing]| -> Vec<i64> { all.iter().map(|one| one.at).collect() };
    let partners = pair(&times(&ours), &times(&theirs), window);
    let (mut ours, mut theirs) = (ours.into_iter().enumerate(), theirs.into_iter().enumerate());
    let mut pairs = Vec::with_capacity(partners.len());
    for (label, count) in partners {
        // Both sides ascend: what comes before a pair has no partner.
        let label = skip_to(&mut ours, label, labels);
        let count = skip_to(&mut theirs, count, counts);
        pairs.extend(label.zip(count));
    }
    labels.extend(ours.map(|(_, one)| one));
    counts.extend(theirs.map(|(_, one)| one));
    labels.sort_by_key(|one| one.at);
    counts.sort_by_key(|one| one.at);
    pairs
}

/// Number `wanted`; those before it go back into `rest`.
fn skip_to(
    all: &mut impl Iterator<Item = (usize, Crossing)>,
    wanted: usize,
    rest: &mut Vec<Crossing>,
) -> Option<Crossing> {
    for (number, one) in all {
        if number == wanted {
            return Some(one);
        }
        rest.push(one);
    }
    None
}

const fn other(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    }
}

impl Finding {
    fn of(crossing: Crossing, what: Outcome) -> Self {
        Self {
            what,
            recording: crossing.recording,
            line: crossing.line,
            direction: crossing.direction,
            at: crossing.at,
            counted_at: None,
            wrong_class: false,
        }
    }

    /// The direction in which it truly happened.
    #[must_use]
    pub fn true_direction(&self) -> Option<Direction> {
        (self.what != Outcome::False).then_some(self.direction)
    }

    /// The direction in which it was counted.
    #[must_use]
    pub const fn counted_direction(&self) -> Option<Direction> {
        match self.what {
            Outcome::Right | Outcome::False => Some(self.direction),
            Outcome::WrongDirection => Some(other(self.direction)),
            Outcome::Missed => None,
        }
    }
}

impl Score {
    /// Of all findings, or of those in one direction: the true one, or the counted one of a false crossing.
    fn of<'f>(findings: impl Iterator<Item = &'f Finding>, direction: Option<Direction>) -> Self {
        let wanted = |found: Option<Direction>| {
            found.is_some() && (direction.is_none() || found == direction)
        };
        let mut score = Self::default();
        for one in findings {
            score.truth += u64::from(wanted(one.true_direction()));
            score.counted += u64::from(wanted(one.counted_direction()));
            if !wanted(Some(one.direction)) {
                continue;
            }
            score.wrong_class += u64::from(one.wrong_class);
            *match one.what {
                Outcome::Right => &mut score.right,
                Outcome::Missed => &mut score.missed,
                Outcome::False => &mut score.false_ones,
                Outcome::WrongDirection => &mut score.wrong_direction,
            } += 1;
        }
        if score.truth > 0 {
            let truth = score.truth as f64;
            score.error = Some(percent(score.errors() as f64 / truth));
            score.balanced = Some(percent(score.counted.abs_diff(score.truth) as f64 / truth));
        }
        score.interval = confidence::interval(score.errors(), score.truth)
            .map(|(low, high)| (percent(low), percent(high)));
        score
    }

    /// Single mistakes.
    #[must_use]
    pub const fn errors(&self) -> u64 {
        self.missed + self.false_ones + self.wrong_direction
    }
}

/// In percent, to a hundredth.
fn percent(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}

fn sums(findings: &[Finding], span: &Span, line: &str, length: i64) -> Vec<Bucket> {
    let mut sums: BTreeMap<i64, (InOut, InOut)> = BTreeMap::new();
    let number = |at: i64| (at.clamp(span.from, span.to) - span.from) / length.max(1);
    for one in findings {
        if let Some(direction) = one.true_direction() {
            sums.entry(number(one.at)).or_default().0.add(direction);
        }
        if let Some(direction) = one.counted_direction() {
            let at = one.counted_at.unwrap_or(one.at);
            sums.entry(number(at)).or_default().1.add(direction);
        }
    }
    let bucket = |(number, (truth, counted)): (i64, (InOut, InOut))| Bucket {
        recording: span.recording.clone(),
        line: line.to_owned(),
        from_s: number * length / 1000,
        truth,
        counted,
    };
    sums.into_iter().map(bucket).collect()
}

fn accuracy(buckets: &[Bucket]) -> Option<f64> {
    let off = |one: &Bucket| {
        let (truth, counted) = (one.truth, one.counted);
        truth.inward.abs_diff(counted.inward) + truth.outward.abs_diff(counted.outward)
    };
    let truth: u64 = buckets
        .iter()
        .map(|one| one.truth.inward + one.truth.outward)
        .sum();
    let off: u64 = buckets.iter().map(off).sum();
    (truth > 0).then(|| percent((1.0 - off as f64 / truth as f64).max(0.0)))
}
