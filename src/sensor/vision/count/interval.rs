//! Sums over wall-clock intervals, with how much of each interval was really watched.
//!
//! An interval says from when to when it covers, so that a restart makes two shorter intervals whose sums are right.
//! Its length is measured on the clock that never jumps; when the wall clock is set, the interval ends there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Stamp;
use crate::event::{CameraState, Quality};

/// A frame that comes later than this after the one before leaves a hole in the coverage.
const LONGEST_STEP: Duration = Duration::from_secs(3);
/// The wall clock was set when it and the other clock disagree by more than this about an interval's length.
const CLOCK_WAS_SET: SignedDuration = SignedDuration::from_secs(2);

/// One finished interval of one camera.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    pub quality: Quality,
}

/// Says when intervals end, at the boundaries of `period`, and how much of each was watched.
#[derive(Clone, Debug)]
pub struct IntervalMeter {
    period: Duration,
    began: Stamp,
    frames: u64,
    dropped: u64,
    watched: Duration,
    last_frame: Option<Duration>,
}

impl IntervalMeter {
    /// Starts now; `period` is at least a second and should divide an hour.
    #[must_use]
    pub fn new(period: Duration, now: Stamp) -> Self {
        Self {
            period: period.max(Duration::from_secs(1)),
            began: now,
            frames: 0,
            dropped: 0,
            watched: Duration::ZERO,
            last_frame: None,
        }
    }

    /// One frame was analysed, and `dropped` newer ones replaced older ones before it.
    pub fn frame(&mut self, now: Stamp, dropped: u64) {
        self.frames += 1;
        self.dropped += dropped;
        let since = self
            .last_frame
            .map_or(Duration::ZERO, |last| now.boot.saturating_sub(last));
        if since <= LONGEST_STEP {
            // A frame's step may begin before the interval did; only the part inside belongs to it.
            self.watched += since.min(now.boot.saturating_sub(self.began.boot));
        }
        self.last_frame = Some(now.boot);
    }

    /// The interval that is over, when one is. Call it at least once a second, before anything newer is added.
    pub fn tick(&mut self, now: Stamp, state: CameraState) -> Option<Interval> {
        let elapsed = now.boot.saturating_sub(self.began.boot);
        let set = (now.wall.duration_since(self.began.wall)
            - SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::ZERO))
        .abs()
            > CLOCK_WAS_SET;
        (set || now.wall >= self.next_boundary()).then(|| self.close(now, state))
    }

    /// Ends the interval now, whatever the time: the camera or the daemon stops.
    pub fn close(&mut self, now: Stamp, state: CameraState) -> Interval {
        let elapsed = now.boot.saturating_sub(self.began.boot);
        let seconds = elapsed.as_secs_f64();
        let per_second = |count: u64| {
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            }
        };
        let ratio = if seconds > 0.0 {
            self.watched.as_secs_f64() / seconds
        } else {
            0.0
        };
        let interval = Interval {
            from: self.began.wall,
            to: self.began.wall.checked_add(elapsed).unwrap_or(now.wall),
            quality: Quality {
                status: state,
                fps: round(per_second(self.frames), 100.0),
                frames: self.frames,
                dropped: self.dropped,
                uptime_ratio: round(ratio.clamp(0.0, 1.0), 1000.0),
            },
        };
        self.began = now;
        (self.frames, self.dropped, self.watched) = (0, 0, Duration::ZERO);
        interval
    }

    fn next_boundary(&self) -> Timestamp {
        let period = i64::try_from(self.period.as_secs()).unwrap_or(60).max(1);
        let next = (self.began.wall.as_second().div_euclid(period) + 1) * period;
        Timestamp::from_second(next).unwrap_or(Timestamp::MAX)
    }
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, FakeClock};

    fn clock(wall: &str) -> FakeClock {
        FakeClock::at(wall.parse().unwrap())
    }

    #[test]
    fn the_first_interval_is_short_and_the_next_begin_on_the_minute() {
        let clock = clock("2026-11-21T10:15:30Z");
        let mut meter = IntervalMeter::new(Duration::from_secs(60), clock.now());
        let mut done = Vec::new();
        for _ in 0..900 {
            clock.advance(Duration::from_millis(100));
            done.extend(meter.tick(clock.now(), CameraState::Ok));
            meter.frame(clock.now(), 0);
        }
        let times: Vec<_> = done
            .iter()
            .map(|i| (i.from.to_string(), i.to.to_string()))
            .collect();
        assert_eq!(
            times,
            [
                ("2026-11-21T10:15:30Z".into(), "2026-11-21T10:16:00Z".into()),
                (
                    "2026-11-21T10:16:00Z".into(),
                    "2026-11-21T10:17:00Z".to_owned()
                ),
            ]
        );
        assert_eq!(done[1].quality.frames, 600);
        assert!((done[1].quality.fps - 10.0).abs() < 0.01);
        assert!((done[1].quality.uptime_ratio - 1.0).abs() < 0.01);
    }

    #[test]
    fn intervals_follow_each_other_and_a_hole_lowers_the_uptime() {
        let clock = clock("2026-11-21T10:00:00Z");
        let mut meter = IntervalMeter::new(Duration::from_secs(60), clock.now());
        let mut done = Vec::new();
        for second in 0..150 {
            clock.advance(Duration::from_secs(1));
            done.extend(meter.tick(clock.now(), CameraState::Ok));
            if !(70..100).contains(&second) {
                meter.frame(clock.now(), 1);
            }
        }
        done.push(meter.close(clock.now(), CameraState::Ok));
        assert!(
            (done[1].quality.uptime_ratio - 0.5).abs() < 0.05,
            "{:?}",
            done[1].quality
        );
        assert!(done.windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    #[test]
    fn setting_the_wall_clock_ends_the_interval_with_its_true_length() {
        let clock = clock("1970-01-01T00:00:10Z");
        let mut meter = IntervalMeter::new(Duration::from_secs(60), clock.now());
        clock.advance(Duration::from_secs(20));
        assert_eq!(meter.tick(clock.now(), CameraState::Ok), None);
        clock.set_wall("2026-11-21T10:00:05Z".parse().unwrap(), true);
        let first = meter.tick(clock.now(), CameraState::Ok).unwrap();
        assert_eq!(first.to.duration_since(first.from).as_secs(), 20);
        clock.advance(Duration::from_secs(55));
        let second = meter.tick(clock.now(), CameraState::Ok).unwrap();
        assert_eq!(second.from.to_string(), "2026-11-21T10:00:05Z");
        assert_eq!(second.to.to_string(), "2026-11-21T10:01:00Z");
    }
}
