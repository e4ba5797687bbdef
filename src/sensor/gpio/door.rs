//! What a door contact says. Pure, but for its numbers on the page.

use std::time::Duration;

use super::debounce::{Change, Debounce};
use super::watch::{Fact, Machine};
use crate::event::{Body, DoorClosed, DoorOpened};
use crate::metric::{Counter, Gauge, Metric};
use crate::words::Words;

/// Reed contacts bounce for a few milliseconds, a door that slams against its frame for tens.
const SETTLE: Duration = Duration::from_millis(50);

/// A door: active is open.
pub(super) struct DoorContact {
    id: String,
    line: Option<Debounce>,
    opened_at: Option<Duration>,
    open: Gauge,
    opened: Counter,
}

impl DoorContact {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            line: None,
            opened_at: None,
            open: Gauge::default(),
            opened: Counter::default(),
        }
    }

    /// `seen`: the change itself was watched, so its time is known.
    fn changed(&mut self, Change { active, at }: Change, seen: bool) -> Fact {
        self.open.set(f64::from(u8::from(active)));
        let door = self.id.clone();
        let body = if active {
            self.opened.add(1);
            self.opened_at = seen.then_some(at);
            Body::DoorOpened(DoorOpened { door })
        } else {
            let since = self.opened_at.take().filter(|_| seen);
            let open_s = since.map(|since| round_ms(at.saturating_sub(since)));
            Body::DoorClosed(DoorClosed { door, open_s })
        };
        Fact { at, body }
    }
}

/// Seconds, to the millisecond.
fn round_ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

impl Machine for DoorContact {
    fn start(&mut self, active: &[bool], at: Duration) -> Vec<Fact> {
        let open = active.first().copied().unwrap_or(false);
        let before = self.line.replace(Debounce::new(SETTLE, open, at));
        self.open.set(f64::from(u8::from(open)));
        match before {
            Some(before) if before.active() != open => {
                vec![self.changed(Change { active: open, at }, false)]
            }
            _ => Vec::new(),
        }
    }

    fn edge(&mut self, _line: usize, active: bool, at: Duration) -> Vec<Fact> {
        let change = self.line.as_mut().and_then(|line| line.edge(active, at));
        change
            .map(|change| self.changed(change, true))
            .into_iter()
            .collect()
    }

    fn step(&mut self, now: Duration) -> Vec<Fact> {
        let change = self.line.as_mut().and_then(|line| line.step(now));
        change
            .map(|change| self.changed(change, true))
            .into_iter()
            .collect()
    }

    fn raw(&self, _line: usize) -> Option<bool> {
        self.line.map(|line| line.raw().0)
    }

    fn due(&self) -> Option<Duration> {
        self.line.and_then(|line| line.due())
    }

    fn fine(&self) -> Words {
        if self.line.is_some_and(|line| line.active()) {
            Words::new("works; the door is open", "正常；门开着")
        } else {
            Words::new("works; the door is closed", "正常；门关着")
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::gauge(
                "open",
                "open now (1) or closed (0)",
                "当前开（1）或关（0）",
                &self.open,
            ),
            Metric::counter("opened", "times opened", "开门次数", &self.opened),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn closed_door() -> DoorContact {
        let mut door = DoorContact::new("front");
        assert!(door.start(&[false], ms(0)).is_empty());
        door
    }

    fn closed(facts: Vec<Fact>) -> (Duration, Option<f64>) {
        match facts.as_slice() {
            [
                Fact {
                    at,
                    body: Body::DoorClosed(closed),
                },
            ] => (*at, closed.open_s),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_door_that_opens_and_closes_tells_when_and_how_long() {
        let mut door = closed_door();
        assert!(door.edge(0, true, ms(1_000)).is_empty());
        let opened = door.step(ms(1_050));
        assert_eq!(opened[0].at, ms(1_000));
        assert!(matches!(&opened[0].body, Body::DoorOpened(opened) if opened.door == "front"));
        assert!(door.edge(0, false, ms(3_500)).is_empty());
        assert_eq!(closed(door.step(ms(9_000))), (ms(3_500), Some(2.5)));
        assert_eq!((door.open.get(), door.opened.get()), (0.0, 1));
    }

    #[test]
    fn a_door_that_was_open_at_the_start_closes_without_a_length() {
        let mut door = DoorContact::new("front");
        assert!(door.start(&[true], ms(0)).is_empty());
        door.edge(0, false, ms(700));
        assert_eq!(closed(door.step(ms(800))), (ms(700), None));
    }

    #[test]
    fn what_a_door_did_while_the_chip_was_away_is_told_without_a_length() {
        let mut door = closed_door();
        let facts = door.start(&[true], ms(60_000));
        assert!(matches!(facts[0].body, Body::DoorOpened(_)));
        door.edge(0, false, ms(70_000));
        assert_eq!(closed(door.step(ms(71_000))).1, None);
        // Opened before the chip went, closed while it was away.
        door.edge(0, true, ms(80_000));
        door.step(ms(81_000));
        assert_eq!(closed(door.start(&[false], ms(90_000))).1, None);
        assert!(door.start(&[false], ms(95_000)).is_empty());
    }
}
