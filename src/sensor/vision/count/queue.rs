//! A queue in a zone: how long it is, how long people waited, and how long somebody who joins now will wait.
//!
//! Whoever has stayed in the zone for its `dwell` is queueing; passers-by are not. Whoever is then seen leaving was
//! served. The expected wait is Little's law (J. D. C. Little, Operations Research 9(3), 1961): the length divided by
//! the people served a second, over the latest quarter of an hour.

use std::collections::VecDeque;
use std::time::Duration;

use super::level::{Level, Spread};
use super::stays::Stays;
use super::zone::VisitChange;
use crate::event::{LeftReason, StayLengths};

/// The pace of service is that of this long.
const PACE_OVER: Duration = Duration::from_secs(15 * 60);
/// A pace measured over less than this says nothing.
const PACE_AFTER: Duration = Duration::from_secs(60);
/// People served that are remembered for the pace.
const MOST_SERVED: usize = 1024;

/// One interval of a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSpan {
    pub length: Spread,
    pub served: u64,
    /// Of those who were served.
    pub waits: Option<StayLengths>,
    /// What somebody who joins at the end will wait, seconds; `None` while nobody is served.
    pub expected: Option<f64>,
}

/// Adds up one queue.
#[derive(Debug)]
pub struct Queue {
    began: Duration,
    length: Level,
    staying: usize,
    waits: Stays,
    served: u64,
    /// When people were served, lately.
    pace: VecDeque<Duration>,
}

impl Queue {
    /// An empty queue, from `now` on.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self {
            began: now,
            length: Level::new(0.0, now),
            staying: 0,
            waits: Stays::default(),
            served: 0,
            pace: VecDeque::new(),
        }
    }

    /// Something happened in its zone, in which a stay begins after `dwell`.
    pub fn visit(&mut self, what: VisitChange, dwell: Duration, now: Duration) {
        if let VisitChange::Left {
            stayed,
            reason: LeftReason::Left,
        } = what
            && stayed >= dwell
        {
            self.served += 1;
            self.waits.add(stayed);
            if self.pace.len() == MOST_SERVED {
                self.pace.pop_front();
            }
            self.pace.push_back(now);
        }
    }

    /// So many people are queueing from `now` on.
    pub fn length(&mut self, staying: usize, now: Duration) {
        self.staying = staying;
        self.length.set(staying as f64, now);
    }

    /// What somebody who joins at `now` will wait, seconds.
    pub fn expected(&mut self, now: Duration) -> Option<f64> {
        while self
            .pace
            .front()
            .is_some_and(|then| now.saturating_sub(*then) > PACE_OVER)
        {
            self.pace.pop_front();
        }
        let mut over = now.saturating_sub(self.began).min(PACE_OVER);
        // Older ones may have been forgotten for want of room.
        if let (MOST_SERVED, Some(first)) = (self.pace.len(), self.pace.front()) {
            over = over.min(now.saturating_sub(*first));
        }
        if self.staying == 0 {
            return Some(0.0);
        }
        if self.pace.is_empty() || over < PACE_AFTER {
            return None;
        }
        let served_a_second = self.pace.len() as f64 / over.as_secs_f64();
        Some((self.staying as f64 / served_a_second).round())
    }

    /// The interval that ends at `now`.
    pub fn take(&mut self, now: Duration) -> QueueSpan {
        QueueSpan {
            length: self.length.take(now),
            served: std::mem::take(&mut self.served),
            waits: self.waits.take(),
            expected: self.expected(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(value: u64) -> Duration {
        Duration::from_secs(value)
    }

    fn leaves(stayed: u64, reason: LeftReason) -> VisitChange {
        VisitChange::Left {
            stayed: second(stayed),
            reason,
        }
    }

    #[test]
    fn the_expected_wait_is_the_length_divided_by_the_pace() {
        let mut queue = Queue::new(second(0));
        // One served every 30 s, after 90 s each; four in the queue.
        for served in 1..=20 {
            queue.length(4, second(served * 30));
            queue.visit(leaves(90, LeftReason::Left), second(5), second(served * 30));
        }
        let span = queue.take(second(600));
        assert_eq!(span.served, 20);
        assert_eq!(span.waits.unwrap().median_s, 90.0);
        assert_eq!(span.expected, Some(120.0));
        assert_eq!(span.length.most, 4.0);
    }

    #[test]
    fn passers_by_and_tracks_that_were_lost_are_not_served() {
        let mut queue = Queue::new(second(0));
        queue.visit(leaves(2, LeftReason::Left), second(5), second(100));
        queue.visit(leaves(50, LeftReason::Lost), second(5), second(100));
        queue.visit(leaves(50, LeftReason::Timeout), second(5), second(100));
        queue.length(2, second(100));
        let span = queue.take(second(120));
        assert_eq!((span.served, span.waits, span.expected), (0, None, None));
        queue.length(0, second(130));
        assert_eq!(queue.expected(second(130)), Some(0.0));
    }

    #[test]
    fn a_pace_of_long_ago_is_forgotten_and_memory_is_bounded() {
        let mut queue = Queue::new(second(0));
        for served in 0..5000 {
            queue.visit(leaves(60, LeftReason::Left), second(5), second(served));
        }
        assert_eq!(queue.pace.len(), MOST_SERVED);
        queue.length(10, second(5000));
        let expected = queue.expected(second(5000)).unwrap();
        assert!((9.0..=11.0).contains(&expected), "{expected}");
        assert_eq!(queue.expected(second(7000)), None);
    }
}
