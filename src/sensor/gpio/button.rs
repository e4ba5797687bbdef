//! What a push button says. Pure, but for its numbers on the page.

use std::time::Duration;

use super::debounce::{Change, Debounce};
use super::watch::{Fact, Machine};
use crate::event::{Body, ButtonPressed};
use crate::metric::{Counter, Metric};
use crate::words::Words;

const SETTLE: Duration = Duration::from_millis(25);
/// Held for so long is a long press.
const LONG: Duration = Duration::from_secs(3);

/// A button: active is pressed. A short press is told when the button is let go, a long one when it has been held long
/// enough; either carries the moment it was pressed.
pub(super) struct PushButton {
    id: String,
    line: Option<Debounce>,
    /// A press that is not told yet.
    pressed_at: Option<Duration>,
    pressed: Counter,
    long: Counter,
}

impl PushButton {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            line: None,
            pressed_at: None,
            pressed: Counter::default(),
            long: Counter::default(),
        }
    }

    fn told(&mut self, at: Duration, long: bool) -> Fact {
        self.pressed_at = None;
        self.pressed.add(1);
        self.long.add(u64::from(long));
        let button = self.id.clone();
        let body = Body::ButtonPressed(ButtonPressed { button, long });
        Fact { at, body }
    }

    fn changed(&mut self, change: Option<Change>) -> Option<Fact> {
        let Change { active, at } = change?;
        if active {
            self.pressed_at = Some(at);
            return None;
        }
        let pressed_at = self.pressed_at?;
        let long = at.saturating_sub(pressed_at) >= LONG;
        Some(self.told(pressed_at, long))
    }

    /// A press that has been held long enough by `now`.
    fn held(&mut self, now: Duration) -> Option<Fact> {
        let due = self.long_due()?;
        let pressed_at = self.pressed_at?;
        (now >= due).then(|| self.told(pressed_at, true))
    }

    /// When the press will be a long one; none while the finger may have left the button.
    fn long_due(&self) -> Option<Duration> {
        self.line.filter(|line| line.raw().0)?;
        Some(self.pressed_at? + LONG)
    }
}

impl Machine for PushButton {
    fn start(&mut self, active: &[bool], at: Duration) -> Vec<Fact> {
        // A button that is down already was pressed unseen: it counts from its next press on.
        let down = active.first().copied().unwrap_or(false);
        self.line = Some(Debounce::new(SETTLE, down, at));
        self.pressed_at = None;
        Vec::new()
    }

    fn edge(&mut self, _line: usize, active: bool, at: Duration) -> Vec<Fact> {
        let mut facts = self.step(at);
        let change = self.line.as_mut().and_then(|line| line.edge(active, at));
        facts.extend(self.changed(change));
        facts
    }

    fn step(&mut self, now: Duration) -> Vec<Fact> {
        let change = self.line.as_mut().and_then(|line| line.step(now));
        let mut facts: Vec<_> = self.changed(change).into_iter().collect();
        facts.extend(self.held(now));
        facts
    }

    fn raw(&self, _line: usize) -> Option<bool> {
        self.line.map(|line| line.raw().0)
    }

    fn due(&self) -> Option<Duration> {
        let settled = self.line.and_then(|line| line.due());
        [settled, self.long_due()].into_iter().flatten().min()
    }

    fn fine(&self) -> Words {
        Words::new("works", "正常")
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::counter("pressed", "times pressed", "按下次数", &self.pressed),
            Metric::counter(
                "long",
                "of these held for 3 s",
                "其中长按（3 秒）",
                &self.long,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn button() -> PushButton {
        let mut button = PushButton::new("bell");
        button.start(&[false], ms(0));
        button
    }

    fn presses(facts: &[Fact]) -> Vec<(u128, bool)> {
        let of = |fact: &Fact| match &fact.body {
            Body::ButtonPressed(pressed) => (fact.at.as_millis(), pressed.long),
            other => panic!("{other:?}"),
        };
        facts.iter().map(of).collect()
    }

    #[test]
    fn a_short_press_is_told_when_the_button_is_let_go() {
        let mut button = button();
        assert!(button.edge(0, true, ms(100)).is_empty());
        assert!(button.step(ms(400)).is_empty());
        assert!(button.edge(0, false, ms(500)).is_empty());
        assert_eq!(presses(&button.step(ms(525))), [(100, false)]);
        assert!(button.step(ms(9_000)).is_empty());
    }

    #[test]
    fn a_long_press_is_told_after_exactly_three_seconds_and_only_once() {
        let mut button = button();
        button.edge(0, true, ms(100));
        button.step(ms(200));
        assert_eq!(button.due(), Some(ms(3_100)));
        assert!(button.step(ms(3_099)).is_empty());
        assert_eq!(presses(&button.step(ms(3_100))), [(100, true)]);
        button.edge(0, false, ms(8_000));
        assert!(button.step(ms(9_000)).is_empty());
        assert_eq!((button.pressed.get(), button.long.get()), (1, 1));
    }

    #[test]
    fn a_button_let_go_just_before_three_seconds_was_pressed_shortly() {
        let mut button = button();
        button.edge(0, true, ms(100));
        button.step(ms(125));
        // Let go at 2.99 s; that settles only after 3 s.
        assert!(button.edge(0, false, ms(3_090)).is_empty());
        assert!(button.step(ms(3_110)).is_empty());
        assert_eq!(presses(&button.step(ms(3_115))), [(100, false)]);
    }

    #[test]
    fn edges_that_are_read_late_give_the_same_presses() {
        let mut button = button();
        assert!(button.edge(0, true, ms(100)).is_empty());
        assert_eq!(presses(&button.edge(0, false, ms(3_200))), [(100, true)]);
        assert!(button.edge(0, true, ms(5_000)).is_empty());
        assert!(button.edge(0, false, ms(5_100)).is_empty());
        assert_eq!(presses(&button.step(ms(9_000))), [(5_000, false)]);
    }

    #[test]
    fn a_bounce_is_no_press_and_a_button_that_was_down_at_the_start_is_ignored_until_it_is_up() {
        let mut button = button();
        button.edge(0, true, ms(100));
        button.edge(0, false, ms(124));
        assert!(button.step(ms(200)).is_empty());
        let mut stuck = PushButton::new("stuck");
        stuck.start(&[true], ms(0));
        assert!(stuck.step(ms(10_000)).is_empty());
        assert!(stuck.edge(0, false, ms(11_000)).is_empty());
        assert!(stuck.step(ms(12_000)).is_empty());
    }
}
