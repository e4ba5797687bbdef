//! What a pair of light beams says. Pure, but for its numbers on the page.

use std::time::Duration;

use super::debounce::{Change, Debounce};
use super::watch::{Fact, Machine};
use crate::event::{BeamCrossed, Body, DeviceAlarm, Direction};
use crate::metric::{Counter, Gauge, Metric};
use crate::words::Words;

/// Long enough for a swinging bag strap, short enough for somebody who runs.
const SETTLE: Duration = Duration::from_millis(8);
/// A beam that is broken for longer is not being crossed: something stands in it, or it is out of line.
const BLOCKED_AFTER: Duration = Duration::from_secs(60);

const OUTER: usize = 0;

/// Two beams, outer and inner: active is broken.
///
/// A passage begins when the first beam is broken and ends when both are free. It is a crossing when both were broken
/// and the beam that was broken first was also free first: whoever turns back frees the beams in the other order.
pub(super) struct BeamPair {
    id: String,
    lines: Option<[Line; 2]>,
    passage: Option<Passage>,
    inward: Counter,
    outward: Counter,
    back: Counter,
    blocked: Gauge,
}

#[derive(Clone, Copy)]
struct Line {
    level: Debounce,
    broken_since: Option<Duration>,
    /// The alarm of this blockage was raised.
    told: bool,
}

#[derive(Clone, Copy)]
struct Passage {
    /// Which beam was broken first, and when; `None`: not seen, or it was blocked: no crossing can follow.
    first: Option<(usize, Duration)>,
    both: bool,
}

impl BeamPair {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            lines: None,
            passage: None,
            inward: Counter::default(),
            outward: Counter::default(),
            back: Counter::default(),
            blocked: Gauge::default(),
        }
    }

    fn any_broken(&self) -> bool {
        let broken = |line: &Line| line.broken_since.is_some();
        self.lines.iter().flatten().any(broken)
    }

    fn changed(&mut self, index: usize, change: Change) -> Option<Fact> {
        let Change { active, at } = change;
        let was_free = !self.any_broken();
        if let Some(line) = self.lines.as_mut().and_then(|lines| lines.get_mut(index)) {
            line.broken_since = active.then_some(at);
            line.told = false;
        }
        if active {
            let passage = self.passage.get_or_insert(Passage {
                first: was_free.then_some((index, at)),
                both: false,
            });
            passage.both |= !was_free;
            // Both in the same instant: nobody can tell the direction.
            if passage
                .first
                .is_some_and(|(first, since)| first != index && since == at)
            {
                passage.first = None;
            }
            return None;
        }
        if self.any_broken() {
            return None;
        }
        let passage = self.passage.take()?;
        let (first, _) = passage.first?;
        if !passage.both || first == index {
            self.back.add(1);
            return None;
        }
        let direction = if first == OUTER {
            self.inward.add(1);
            Direction::In
        } else {
            self.outward.add(1);
            Direction::Out
        };
        let beam = self.id.clone();
        let body = Body::BeamCrossed(BeamCrossed { beam, direction });
        Some(Fact { at, body })
    }

    /// What has settled by `now`, in the order in which it happened.
    fn settle(&mut self, now: Duration) -> Vec<Fact> {
        let lines = self.lines.iter_mut().flatten().enumerate();
        let mut changes: Vec<_> = lines
            .filter_map(|(index, line)| Some((index, line.level.step(now)?)))
            .collect();
        changes.sort_by_key(|(_, change)| change.at);
        changes
            .into_iter()
            .filter_map(|(index, change)| self.changed(index, change))
            .collect()
    }

    /// The alarms of beams that are broken for too long.
    fn blockages(&mut self, now: Duration) -> Vec<Fact> {
        let mut facts = Vec::new();
        for line in self.lines.iter_mut().flatten() {
            let Some(due) = line.broken_since.map(|since| since + BLOCKED_AFTER) else {
                continue;
            };
            if now < due || line.told {
                continue;
            }
            line.told = true;
            let already = self.blocked.get() > 0.0;
            self.blocked.set(1.0);
            if let Some(passage) = &mut self.passage {
                passage.first = None;
            }
            // The second beam of a pair that is blocked already is the same blockage.
            if !already {
                let alarm = DeviceAlarm {
                    part: format!("gpio/{}", self.id),
                    message: blocked_words().en,
                };
                facts.push(Fact {
                    at: due,
                    body: Body::DeviceAlarm(alarm),
                });
            }
        }
        if !self.any_broken() {
            self.blocked.set(0.0);
        }
        facts
    }
}

fn blocked_words() -> Words {
    Words::new(
        "the beam is broken for more than a minute; remove what stands in it, clean both ends and line them up",
        "光束被挡超过一分钟；请移开遮挡物，擦净两端并对准",
    )
}

impl Machine for BeamPair {
    fn start(&mut self, active: &[bool], at: Duration) -> Vec<Fact> {
        let line = |index: usize| {
            let broken = active.get(index).copied().unwrap_or(false);
            Line {
                level: Debounce::new(SETTLE, broken, at),
                broken_since: broken.then_some(at),
                told: false,
            }
        };
        self.lines = Some([line(0), line(1)]);
        let unseen = Passage {
            first: None,
            both: false,
        };
        self.passage = self.any_broken().then_some(unseen);
        self.blocked.set(0.0);
        Vec::new()
    }

    fn edge(&mut self, line: usize, active: bool, at: Duration) -> Vec<Fact> {
        let facts = self.step(at);
        if let Some(line) = self.lines.as_mut().and_then(|lines| lines.get_mut(line)) {
            // Everything up to `at` has settled above.
            let _ = line.level.edge(active, at);
        }
        facts
    }

    fn step(&mut self, now: Duration) -> Vec<Fact> {
        // A blockage first: a beam that is freed after it must not look like a crossing.
        let mut facts = self.blockages(self.freed_by(now).unwrap_or(now));
        facts.extend(self.settle(now));
        facts.extend(self.blockages(now));
        facts
    }

    fn raw(&self, line: usize) -> Option<bool> {
        let line = self.lines.as_ref()?.get(line)?;
        Some(line.level.raw().0)
    }

    fn due(&self) -> Option<Duration> {
        let lines = self.lines.iter().flatten();
        lines
            .flat_map(|line| {
                let alarm = line.broken_since.filter(|_| !line.told);
                [line.level.due(), alarm.map(|since| since + BLOCKED_AFTER)]
            })
            .flatten()
            .min()
    }

    fn trouble(&self) -> Option<Words> {
        (self.blocked.get() > 0.0).then(blocked_words)
    }

    fn fine(&self) -> Words {
        Words::new("works", "正常")
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::counter("in", "crossed inwards", "进入次数", &self.inward),
            Metric::counter("out", "crossed outwards", "离开次数", &self.outward),
            Metric::counter("turned_back", "turned back", "中途折返", &self.back),
            Metric::gauge("blocked", "blocked now (1)", "当前被挡（1）", &self.blocked),
        ]
    }
}

impl BeamPair {
    /// The earliest moment up to `now` from which a broken beam was free again.
    fn freed_by(&self, now: Duration) -> Option<Duration> {
        let freed = |line: &Line| {
            let (raw, since) = line.level.raw();
            (line.broken_since.is_some() && !raw && since <= now).then_some(since)
        };
        self.lines.iter().flatten().filter_map(freed).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What a pair says to edges `(line, broken, at ms)`.
    fn said(edges: &[(usize, bool, u64)]) -> (BeamPair, Vec<(u128, Body)>) {
        let mut pair = BeamPair::new("gate");
        assert!(pair.start(&[false, false], ms(0)).is_empty());
        let mut facts = Vec::new();
        for (line, broken, at) in edges {
            facts.extend(pair.edge(*line, *broken, ms(*at)));
        }
        let end = edges.last().map_or(0, |edge| edge.2);
        facts.extend(pair.step(ms(end + 1000)));
        let facts = facts
            .into_iter()
            .map(|fact| (fact.at.as_millis(), fact.body))
            .collect();
        (pair, facts)
    }

    fn crossing(at: u128, direction: Direction) -> (u128, Body) {
        let beam = "gate".to_owned();
        (at, Body::BeamCrossed(BeamCrossed { beam, direction }))
    }

    #[test]
    fn the_order_of_the_beams_is_the_direction() {
        let (_, inward) = said(&[
            (0, true, 100),
            (1, true, 160),
            (0, false, 300),
            (1, false, 360),
        ]);
        assert_eq!(inward, [crossing(360, Direction::In)]);
        let (_, outward) = said(&[
            (1, true, 100),
            (0, true, 160),
            (1, false, 300),
            (0, false, 360),
        ]);
        assert_eq!(outward, [crossing(360, Direction::Out)]);
    }

    #[test]
    fn whoever_turns_back_crosses_nothing_and_is_counted_as_such() {
        let (pair, facts) = said(&[
            (0, true, 100),
            (1, true, 160),
            (1, false, 300),
            (0, false, 360), // both, then back
            (0, true, 1_000),
            (0, false, 1_200), // a hand in the outer one
        ]);
        assert_eq!(facts, []);
        assert_eq!(pair.back.get(), 2);
    }

    #[test]
    fn flicker_below_eight_milliseconds_changes_nothing() {
        let (_, facts) = said(&[
            (0, true, 100),
            (0, false, 150),
            (0, true, 157), // a gap between coat and bag
            (1, true, 160),
            (1, false, 164),
            (1, true, 170),
            (0, false, 300),
            (1, false, 360),
            (1, true, 500),
            (1, false, 507), // an insect
        ]);
        assert_eq!(facts, [crossing(360, Direction::In)]);
    }

    #[test]
    fn several_people_in_a_row_are_counted_each() {
        let one = |start: u64| {
            [
                (0, true, start),
                (1, true, start + 50),
                (0, false, start + 200),
                (1, false, start + 250),
            ]
        };
        let edges: Vec<_> = [100, 600, 1_100].into_iter().flat_map(one).collect();
        let (pair, facts) = said(&edges);
        assert_eq!(
            (facts.len(), pair.inward.get(), pair.outward.get()),
            (3, 3, 0)
        );
    }

    #[test]
    fn both_beams_in_one_instant_have_no_direction() {
        let (_, facts) = said(&[
            (0, true, 100),
            (1, true, 100),
            (0, false, 300),
            (1, false, 360),
        ]);
        assert_eq!(facts, []);
    }

    #[test]
    fn a_beam_blocked_for_a_minute_raises_one_alarm_and_no_crossing_and_works_again_when_it_is_free()
     {
        let mut pair = BeamPair::new("gate");
        pair.start(&[false, false], ms(0));
        pair.edge(0, true, ms(1_000));
        pair.edge(1, true, ms(1_100));
        assert!(pair.step(ms(2_000)).is_empty());
        assert_eq!(pair.due(), Some(ms(61_000)));
        assert!(pair.step(ms(60_999)).is_empty());
        let alarms = pair.step(ms(61_000));
        assert!(
            matches!(&alarms[..], [Fact { body: Body::DeviceAlarm(alarm), .. }] if alarm.part == "gpio/gate")
        );
        assert!(pair.trouble().is_some());
        assert!(pair.step(ms(500_000)).is_empty(), "once");
        pair.edge(0, false, ms(600_000));
        assert!(pair.edge(1, false, ms(600_100)).is_empty());
        assert!(pair.step(ms(601_000)).is_empty(), "no crossing");
        assert!(pair.trouble().is_none());
        // Armed again.
        pair.edge(1, true, ms(700_000));
        assert_eq!(pair.step(ms(800_000)).len(), 1);
    }

    #[test]
    fn a_blockage_that_ends_before_it_is_read_is_the_same() {
        let mut pair = BeamPair::new("gate");
        pair.start(&[false, false], ms(0));
        pair.edge(0, true, ms(1_000));
        pair.edge(1, true, ms(1_050));
        let mut facts = pair.edge(0, false, ms(90_000));
        facts.extend(pair.edge(1, false, ms(90_050)));
        facts.extend(pair.step(ms(100_000)));
        assert!(
            matches!(
                &facts[..],
                [Fact {
                    body: Body::DeviceAlarm(_),
                    ..
                }]
            ),
            "{facts:?}"
        );
        // Slow, but under a minute: a crossing.
        let mut slow = BeamPair::new("gate");
        slow.start(&[false, false], ms(0));
        slow.edge(0, true, ms(1_000));
        slow.edge(1, true, ms(1_050));
        slow.edge(0, false, ms(30_000));
        slow.edge(1, false, ms(30_050));
        let facts = slow.step(ms(100_000));
        assert!(
            matches!(
                &facts[..],
                [Fact {
                    body: Body::BeamCrossed(_),
                    ..
                }]
            ),
            "{facts:?}"
        );
    }

    #[test]
    fn a_beam_that_was_broken_at_the_start_counts_only_after_both_are_free() {
        let mut pair = BeamPair::new("gate");
        pair.start(&[true, false], ms(0));
        pair.edge(1, true, ms(100));
        pair.edge(0, false, ms(200));
        pair.edge(1, false, ms(300));
        assert!(pair.step(ms(400)).is_empty());
        assert_eq!(pair.back.get(), 0);
    }
}
