//! The demo's verdict: what was true, counted, stored and received, and where they differ. Pure.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::around::Around;
use super::received::Received;
use crate::event::{Direction, Stream, WifiInterval};
use crate::uplink::subscriber;

/// One crossing, true or counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Seconds since the shop opened.
    pub at: f64,
    pub direction: Direction,
}

/// A counted crossing belongs to a true one of the same direction at most this many seconds away: the feet pass the
/// line, the count follows when the person is clear of it.
const BELONGS_WITHIN: f64 = 3.0;

/// A count of senders below this is not told, because it could be about one person.
const FEWEST_TOLD: u64 = 5;

/// One line of the table.
struct Row {
    name: &'static str,
    truth: u64,
    counted: u64,
}

/// How well counted crossings fit true ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// True crossings that were not counted.
    pub missed: Vec<Moment>,
    /// Counted crossings that did not happen.
    pub invented: Vec<Moment>,
}

/// Pairs each counted crossing with the nearest free true one of its direction, in the order of time.
#[must_use]
pub fn match_crossings(truth: &[Moment], counted: &[Moment]) -> Matching {
    let mut free: Vec<Option<Moment>> = truth.iter().copied().map(Some).collect();
    let mut invented = Vec::new();
    for count in counted {
        let nearest = free
            .iter_mut()
            .filter_map(|slot| {
                let moment = (*slot)?;
                let far = (moment.at - count.at).abs();
                let fits = moment.direction == count.direction && far <= BELONGS_WITHIN;
                fits.then_some((far, slot))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        match nearest {
            Some((_, slot)) => *slot = None,
            None => invented.push(*count),
        }
    }
    Matching {
        missed: free.into_iter().flatten().collect(),
        invented,
    }
}

/// Everything the table shows.
#[derive(Debug)]
pub struct Outcome {
    pub truth: Vec<Moment>,
    /// What else truly happened.
    pub around: Around,
    /// When the shop opened.
    pub opens: Timestamp,
    /// What arrived at the subscriber.
    pub counted: Received,
    /// Events stored, by stream.
    pub stored: [u64; 4],
    pub received: subscriber::Report,
    pub page: Option<String>,
}

impl Outcome {
    /// What does not agree, one line each; empty when everything does.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let Matching { missed, invented } = match_crossings(&self.truth, &self.counted.crossings);
        let line = |what: &str, m: &Moment| format!("{what} at {:.1} s, {:?}", m.at, m.direction);
        faults.extend(
            missed
                .iter()
                .map(|moment| line("a crossing was not counted", moment)),
        );
        faults.extend(
            invented
                .iter()
                .map(|moment| line("a crossing was counted that was none", moment)),
        );
        for Row {
            name,
            truth,
            counted,
        } in self.rows()
        {
            if truth != counted {
                faults.push(format!("{name}: {truth} happened, {counted} arrived"));
            }
        }
        faults.extend(self.wrong_scans());
        if self.counted.unreadable > 0 {
            let many = self.counted.unreadable;
            faults.push(format!("{many} events cannot be read"));
        }
        for stream in Stream::ALL {
            let stored = self.stored[stream.index()];
            let report = &self.received.streams[stream.index()];
            if report.received != stored {
                faults.push(format!(
                    "stream {stream}: {stored} stored, {} received",
                    report.received
                ));
            }
            if stored > 0 && !report.contiguous {
                faults.push(format!("stream {stream}: a gap at {:?}", report.first_gap));
            }
        }
        faults.extend(self.received.first_problem.clone());
        faults
    }

    /// What is only counted.
    fn rows(&self) -> Vec<Row> {
        let row = |name, truth, counted| Row {
            name,
            truth,
            counted,
        };
        let crossings = |all: &[Moment], direction| {
            let of = all.iter().filter(|moment| moment.direction == direction);
            of.count() as u64
        };
        let (truth, got) = (&self.truth, &self.counted);
        let (opened, closed) = self.around.doors();
        let mut rows = vec![
            row(
                "into the shop",
                crossings(truth, Direction::In),
                crossings(&got.crossings, Direction::In),
            ),
            row(
                "out of it",
                crossings(truth, Direction::Out),
                crossings(&got.crossings, Direction::Out),
            ),
            row(
                "codes scanned",
                self.around.scans().len() as u64,
                got.scans.len() as u64,
            ),
            row("door opened", opened as u64, got.opened),
            row("door closed", closed as u64, got.closed),
        ];
        let (mut truth, mut counted) = ([0; 3], [0; 3]);
        for interval in &got.wifi {
            let (happened, arrived) = self.air(interval);
            for (sum, more) in truth.iter_mut().zip(happened) {
                *sum += more;
            }
            for (sum, more) in counted.iter_mut().zip(arrived) {
                *sum += more;
            }
        }
        // What no interval covers did not arrive.
        truth[0] = self.around.probes(Duration::ZERO, Duration::MAX).0;
        for (index, name) in ["probe requests", "random senders", "global senders"]
            .into_iter()
            .enumerate()
        {
            rows.push(row(name, truth[index], counted[index]));
        }
        rows
    }

    /// Probe requests, random and global senders of one interval: what happened and what the event says. A number too
    /// small to be told counts as zero on both sides.
    fn air(&self, interval: &WifiInterval) -> ([u64; 3], [u64; 3]) {
        let since = |time: &str| {
            let time: Timestamp = time.parse().unwrap_or(self.opens);
            Duration::try_from(time.duration_since(self.opens)).unwrap_or_default()
        };
        let (probes, random, global) = self
            .around
            .probes(since(&interval.from), since(&interval.to));
        let told = |count: u64| if count < FEWEST_TOLD { 0 } else { count };
        (
            [probes, told(random), told(global)],
            [
                interval.quality.probe_requests,
                interval.random.unwrap_or(0),
                interval.global.unwrap_or(0),
            ],
        )
    }

    /// Scans that say something else than what was scanned, in their order.
    fn wrong_scans(&self) -> Vec<String> {
        let pairs = self.around.scans().into_iter().zip(&self.counted.scans);
        let wrong = pairs.enumerate().filter_map(|(index, (code, event))| {
            let private = code.gtin.is_none();
            let fits = event.kind == code.kind
                && event.gtin.as_deref() == code.gtin
                && (!private || (event.text.is_none() && event.elements.is_empty()));
            let number = index + 1;
            (!fits).then(|| format!("scan {number}: expected {}, got {event:?}", code.kind))
        });
        wrong.collect()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "what happened    true   counted")?;
        for Row {
            name,
            truth,
            counted,
        } in self.rows()
        {
            writeln!(f, "  {name:<14}{truth:>5}{counted:>10}")?;
        }
        writeln!(f)?;
        writeln!(f, "events         stored  received  contiguous from 1")?;
        for stream in Stream::ALL {
            let report = &self.received.streams[stream.index()];
            let contiguous = match (report.received, report.contiguous) {
                (0, _) => "-",
                (_, true) => "yes",
                (_, false) => "NO",
            };
            let stored = self.stored[stream.index()];
            writeln!(
                f,
                "  {:<14}{stored:>5}{:>10}  {contiguous}",
                stream.name(),
                report.received
            )?;
        }
        let received = self.received.received();
        writeln!(
            f,
            "  {:<14}{:>5}{received:>10}",
            "all",
            self.stored.iter().sum::<u64>()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: f64, direction: Direction) -> Moment {
        Moment { at, direction }
    }

    #[test]
    fn each_count_belongs_to_the_nearest_true_crossing_of_its_direction() {
        let truth = [
            moment(1.0, Direction::In),
            moment(2.0, Direction::In),
            moment(2.0, Direction::Out),
        ];
        let counted = [
            moment(1.4, Direction::In),
            moment(2.4, Direction::In),
            moment(2.2, Direction::Out),
        ];
        assert_eq!(match_crossings(&truth, &counted), Matching::default());
    }

    #[test]
    fn a_missed_and_an_invented_crossing_do_not_cancel_out() {
        let truth = [moment(1.0, Direction::In)];
        let counted = [moment(30.0, Direction::In)];
        let matching = match_crossings(&truth, &counted);
        assert_eq!(matching.missed, truth);
        assert_eq!(matching.invented, counted);
    }
}
