//! From probe requests to `wifi.interval`: pepper, presence and the shop's clock. Pure but for the pepper's random key.
//!
//! An interval ends on the shop's wall clock (quarter past, half past, …). Its length is measured on the clock that never
//! jumps; when the wall clock is set, the interval ends there. A new pepper always begins with a new interval, and with it
//! everything remembered is forgotten: nothing can be linked across the shop's midnight, or across a restart.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::frame::Probe;
use super::pepper::{NoPepper, Pepper};
use super::presence::{Presence, STAYS_S, Sums};
use super::settings::{Rotation, Settings};
use crate::clock::Stamp;
use crate::event::{DwellBucket, WifiInterval, WifiQuality, local_time};

/// Smallest number of people behind a count that may leave the box.
pub const SMALLEST_COUNT: u64 = 5;
/// The wall clock was set when it and the other clock disagree by more than this about an interval's length.
const CLOCK_WAS_SET: SignedDuration = SignedDuration::from_secs(2);

/// The interval under way.
pub struct Counting {
    zone: TimeZone,
    period_s: i64,
    rotation: Rotation,
    pepper: Pepper,
    /// The day or hour the pepper belongs to.
    pepper_of: DateTime,
    presence: Presence,
    began: Stamp,
    ends: Timestamp,
    /// The counters when it began.
    before: WifiQuality,
    listened: Duration,
    listening: Option<Duration>,
}

impl Counting {
    /// Begins now, not listening yet. `counters`: where they stand.
    ///
    /// # Errors
    /// No random numbers.
    pub fn new(
        settings: &Settings,
        zone: &TimeZone,
        now: Stamp,
        counters: WifiQuality,
    ) -> Result<Self, NoPepper> {
        let period_s = i64::from(settings.interval_min.max(1)) * 60;
        Ok(Self {
            period_s,
            rotation: settings.pepper,
            pepper: Pepper::random()?,
            pepper_of: settings.pepper.period_of(zone.to_datetime(now.wall)),
            presence: Presence::new(settings.visitor_rssi),
            began: now,
            ends: next_boundary(now.wall, zone, period_s),
            before: counters,
            listened: Duration::ZERO,
            listening: None,
            zone: zone.clone(),
        })
    }

    /// From now on the radio listens, or does not.
    pub fn listening(&mut self, yes: bool, now: Stamp) {
        self.count_listening(now);
        self.listening = yes.then_some(now.boot);
    }

    /// When the interval under way ends.
    #[must_use]
    pub const fn ends(&self) -> Timestamp {
        self.ends
    }

    /// How many senders are remembered, as far as that may be shown.
    #[must_use]
    pub fn devices(&self) -> f64 {
        shown(self.presence.len() as u64).unwrap_or(0) as f64
    }

    /// One probe request; `false` when there is no room for its sender.
    pub fn saw(&mut self, probe: &Probe, at: Stamp) -> bool {
        let sender = self.pepper.disguise(&probe.source);
        let random = probe.source.is_random();
        self.presence.saw(sender, random, probe.signal, at.boot)
    }

    /// The interval that is over, when one is. Call it at least once a second, before anything newer is added.
    ///
    /// # Errors
    /// No random numbers for a new pepper.
    pub fn tick(
        &mut self,
        now: Stamp,
        counters: &WifiQuality,
    ) -> Result<Option<WifiInterval>, NoPepper> {
        let elapsed = now.boot.saturating_sub(self.began.boot);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::ZERO);
        let set = (now.wall.duration_since(self.began.wall) - elapsed).abs() > CLOCK_WAS_SET;
        if !set && now.wall < self.ends {
            return Ok(None);
        }
        let period = self.rotation.period_of(self.zone.to_datetime(now.wall));
        let sums = if period == self.pepper_of {
            self.presence.close(now.boot)
        } else {
            self.pepper = Pepper::random()?;
            self.pepper_of = period;
            self.presence.close_and_forget()
        };
        Ok(Some(self.event(now, &sums, counters)))
    }

    /// Ends the interval now, whatever the time, and forgets everything: the sensor stops.
    pub fn finish(&mut self, now: Stamp, counters: &WifiQuality) -> WifiInterval {
        let sums = self.presence.close_and_forget();
        self.event(now, &sums, counters)
    }

    /// Leaves a time out in which nothing is known: the next interval begins now.
    pub fn skip_to(&mut self, now: Stamp) {
        self.began = now;
        self.ends = next_boundary(now.wall, &self.zone, self.period_s);
        self.listening = self.listening.map(|_| now.boot);
    }

    fn count_listening(&mut self, now: Stamp) {
        if let Some(since) = self.listening {
            self.listened += now.boot.saturating_sub(since);
            self.listening = Some(now.boot);
        }
    }

    fn event(&mut self, now: Stamp, sums: &Sums, counters: &WifiQuality) -> WifiInterval {
        self.count_listening(now);
        let elapsed = now.boot.saturating_sub(self.began.boot);
        let to = self.began.wall.checked_add(elapsed).unwrap_or(now.wall);
        let before = &self.before;
        let quality = WifiQuality {
            uptime_ratio: ratio(self.listened, elapsed),
            probe_requests: counters.probe_requests - before.probe_requests,
            untracked: counters.untracked - before.untracked,
            kernel_drops: counters.kernel_drops - before.kernel_drops,
            queue_drops: counters.queue_drops - before.queue_drops,
            bad_fcs: counters.bad_fcs - before.bad_fcs,
            truncated: counters.truncated - before.truncated,
            malformed: counters.malformed - before.malformed,
        };
        let event = disclose(
            sums,
            local_time(self.began.wall, &self.zone),
            local_time(to, &self.zone),
            quality,
        );
        self.before = counters.clone();
        self.listened = Duration::ZERO;
        self.skip_to(now);
        event
    }
}

/// What may leave the box of an interval's sums: no count of 1 to 4, and none from which one could be worked out.
///
/// As random + global = visitors + passers-by, one hidden number of the four would be no secret, and more visitors than
/// the senders that are shown would tell of those that are not. So visitors are shown only where neither gives anything
/// away, and passers-by only beside the other three.
fn disclose(sums: &Sums, from: String, to: String, quality: WifiQuality) -> WifiInterval {
    let others = (sums.random + sums.global).saturating_sub(sums.visitors);
    let (random, global) = (shown(sums.random), shown(sums.global));
    let all_senders = random.is_some() && global.is_some();
    let senders = random.unwrap_or(0) + global.unwrap_or(0);
    let visitors = shown(sums.visitors)
        .filter(|visitors| *visitors <= senders && (!all_senders || shown(others).is_some()));
    let passers_by = (all_senders && visitors.is_some()).then_some(others);
    let ends = STAYS_S.iter().skip(1).copied().map(Some).chain([None]);
    let dwell = STAYS_S.iter().zip(ends).zip(sums.stays);
    WifiInterval {
        from,
        to,
        random,
        global,
        visitors,
        passers_by,
        dwell: dwell
            .map(|((from_s, to_s), count)| DwellBucket {
                from_s: *from_s,
                to_s,
                visitors: shown(count),
            })
            .collect(),
        quality,
    }
}

fn shown(count: u64) -> Option<u64> {
    (count == 0 || count >= SMALLEST_COUNT).then_some(count)
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    let ratio = (part.as_secs_f64() / whole.as_secs_f64()).clamp(0.0, 1.0);
    (ratio * 1000.0).round() / 1000.0
}

/// The next moment at which the shop's clock shows a whole number of periods since midnight.
fn next_boundary(wall: Timestamp, zone: &TimeZone, period_s: i64) -> Timestamp {
    let offset = i64::from(zone.to_offset(wall).seconds());
    let next = ((wall.as_second() + offset).div_euclid(period_s) + 1) * period_s;
    Timestamp::from_second(next - offset).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
