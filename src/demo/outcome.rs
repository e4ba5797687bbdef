//! The demo's verdict: what was true, counted, stored and received, and where they differ. Pure.

use std::fmt;

use crate::event::{Direction, Stream};
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
    pub counted: Vec<Moment>,
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
        let Matching { missed, invented } = match_crossings(&self.truth, &self.counted);
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

    fn sums(&self, direction: Direction) -> (usize, usize) {
        let of = |all: &[Moment]| {
            all.iter()
                .filter(|moment| moment.direction == direction)
                .count()
        };
        (of(&self.truth), of(&self.counted))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crossings        true   counted")?;
        for (name, direction) in [
            ("into the shop", Direction::In),
            ("out of it", Direction::Out),
        ] {
            let (truth, counted) = self.sums(direction);
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
