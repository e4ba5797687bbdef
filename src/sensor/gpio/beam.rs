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
#[path = "beam_tests.rs"]
mod tests;
