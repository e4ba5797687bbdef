//! Who was around, who stayed, and for how long. Pure: takes hashes of senders, signals and moments.
//!
//! A *stay* is a row of near sightings (signal at least `near`) with no more than [`LONGEST_GAP`] between two of them. A
//! sender is a *visitor* from the sighting on that comes 120 s after its stay began; every other sender is a
//! passer-by. A sender without a signal is never near.

use std::collections::HashMap;
use std::time::Duration;

/// Longest silence within a stay.
pub const LONGEST_GAP: Duration = Duration::from_secs(300);
/// Where the lengths of stays are divided, seconds: 2–5, 5–10, 10–20, 20–30, 30–60 minutes, and longer. A stay shorter than
/// the first is no visit.
pub const STAYS_S: [u64; 6] = [120, 300, 600, 1200, 1800, 3600];
/// Senders remembered at once, about 2 MB; a shop has hundreds. More can only be somebody's play.
pub const CAPACITY: usize = 20_000;

/// What an interval came to; true numbers that must not leave the box as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Distinct senders with an address of their own choosing.
    pub random: u64,
    /// Distinct senders with a manufacturer's address.
    pub global: u64,
    /// Senders among them that were visitors.
    pub visitors: u64,
    /// Stays of visitors that ended, by the buckets of [`STAYS_S`].
    pub stays: [u64; STAYS_S.len()],
}

/// The senders that are remembered.
#[derive(Debug)]
pub struct Presence {
    near: i8,
    senders: HashMap<u64, Sender>,
    stays: [u64; STAYS_S.len()],
}

#[derive(Debug, Default)]
struct Sender {
    random: bool,
    /// In the present interval.
    heard: bool,
    visitor: bool,
    stay: Option<Stay>,
}

#[derive(Clone, Copy, Debug)]
struct Stay {
    began: Duration,
    last: Duration,
}

impl Stay {
    /// Its bucket, when it was long enough for a visitor's.
    fn bucket(self) -> Option<usize> {
        let length = self.last.saturating_sub(self.began).as_secs();
        STAYS_S.iter().rposition(|from| length >= *from)
    }
}

impl Presence {
    /// Nobody yet. `near`: signal of a sender in the shop, dBm.
    #[must_use]
    pub fn new(near: i8) -> Self {
        Self {
            near,
            senders: HashMap::new(),
            stays: Default::default(),
        }
    }

    /// How many senders are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.senders.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// One sighting at `at` (time since boot, never falling). `false`: the sender is new and there is no room for it.
    pub fn saw(&mut self, sender: u64, random: bool, signal: Option<i8>, at: Duration) -> bool {
        let room = self.senders.len() < CAPACITY;
        let sender = match self.senders.get_mut(&sender) {
            Some(known) => known,
            None if room => self.senders.entry(sender).or_default(),
            None => return false,
        };
        sender.random = random;
        sender.heard = true;
        if signal.is_none_or(|signal| signal < self.near) {
            return true;
        }
        match &mut sender.stay {
            Some(stay) if at.saturating_sub(stay.last) <= LONGEST_GAP => stay.last = at,
            stay => {
                end(stay, &mut self.stays);
                *stay = Some(Stay {
                    began: at,
                    last: at,
                });
            }
        }
        sender.visitor |= sender.stay.is_some_and(|stay| stay.bucket().is_some());
        true
    }

    /// Ends the interval at `at` and begins the next. Senders without a stay under way are forgotten.
    pub fn close(&mut self, at: Duration) -> Sums {
        let mut sums = Sums::default();
        let stays = &mut self.stays;
        self.senders.retain(|_, sender| {
            sums.random += u64::from(sender.heard && sender.random);
            sums.global += u64::from(sender.heard && !sender.random);
            sums.visitors += u64::from(sender.visitor);
            (sender.heard, sender.visitor) = (false, false);
            if sender
                .stay
                .is_some_and(|stay| at.saturating_sub(stay.last) > LONGEST_GAP)
            {
                end(&mut sender.stay, stays);
            }
            sender.stay.is_some()
        });
        sums.stays = std::mem::take(&mut self.stays);
        sums
    }

    /// Like [`Presence::close`], but every stay ends where it was last seen and nobody is remembered.
    pub fn close_and_forget(&mut self) -> Sums {
        let sums = self.close(Duration::MAX);
        self.senders = HashMap::new();
        sums
    }
}

fn end(stay: &mut Option<Stay>, stays: &mut [u64; STAYS_S.len()]) {
    let bucket = stay.take().and_then(Stay::bucket);
    if let Some(count) = bucket.and_then(|bucket| stays.get_mut(bucket)) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Option<i8> = Some(-60);
    const FAR: Option<i8> = Some(-90);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn stays(bucket: usize) -> [u64; 6] {
        let mut stays = [0; 6];
        stays[bucket] = 1;
        stays
    }

    #[test]
    fn given_a_sender_near_for_two_minutes_when_the_interval_ends_then_it_is_a_visitor_and_else_a_passer_by()
     {
        for (last, visitors) in [(119, 0), (120, 1)] {
            let mut presence = Presence::new(-75);
            presence.saw(1, true, NEAR, s(0));
            presence.saw(1, true, NEAR, s(last));
            let sums = presence.close(s(200));
            assert_eq!(
                (sums.random, sums.visitors),
                (1, visitors),
                "after {last} s"
            );
        }
    }

    #[test]
    fn given_a_gap_when_it_is_300_s_then_the_stay_goes_on_and_when_longer_it_ends() {
        for (gap, visitors) in [(300, 1), (301, 0)] {
            let mut presence = Presence::new(-75);
            presence.saw(1, true, NEAR, s(0));
            presence.saw(1, true, NEAR, s(gap));
            assert_eq!(presence.close(s(gap)).visitors, visitors, "gap {gap} s");
        }
    }

    #[test]
    fn given_a_weak_or_unknown_signal_when_it_stays_then_it_is_a_passer_by() {
        for signal in [FAR, Some(-76), None] {
            let mut presence = Presence::new(-75);
            (0..20).for_each(|n| assert!(presence.saw(1, true, signal, s(n * 30))));
            let sums = presence.close(s(600));
            assert_eq!((sums.random, sums.visitors), (1, 0), "{signal:?}");
        }
        let mut presence = Presence::new(-75);
        presence.saw(1, true, Some(-75), s(0));
        presence.saw(1, true, Some(-75), s(120));
        assert_eq!(presence.close(s(120)).visitors, 1, "exactly near enough");
    }

    #[test]
    fn given_a_long_stay_when_intervals_pass_then_it_counts_in_each_and_its_length_once() {
        let mut presence = Presence::new(-75);
        let mut visitors = Vec::new();
        let mut ended = Vec::new();
        for minute in 0..=60 {
            if minute <= 25 {
                presence.saw(1, false, NEAR, s(minute * 60));
            }
            if minute > 0 && minute % 15 == 0 {
                let sums = presence.close(s(minute * 60));
                visitors.push(sums.visitors);
                ended.push(sums.stays);
            }
        }
        assert_eq!(visitors, [1, 1, 0, 0]);
        // 25 minutes: the bucket 20 to 30; it ended 5 minutes after its last sighting.
        assert_eq!(ended, [[0; 6], [0; 6], stays(3), [0; 6]]);
        assert!(presence.is_empty());
    }

    #[test]
    fn given_someone_who_comes_back_when_the_first_stay_was_long_then_both_are_counted() {
        let mut presence = Presence::new(-75);
        for at in [0, 130, 1000, 1200, 1400] {
            presence.saw(1, true, NEAR, s(at));
        }
        let sums = presence.close_and_forget();
        assert_eq!((sums.random, sums.visitors), (1, 1));
        assert_eq!(sums.stays, [1, 1, 0, 0, 0, 0]);
        assert!(presence.is_empty());
    }

    #[test]
    fn given_random_and_global_senders_when_counted_then_they_are_kept_apart() {
        let mut presence = Presence::new(-75);
        for sender in 0..7 {
            presence.saw(sender, sender < 4, FAR, s(sender));
            presence.saw(sender, sender < 4, FAR, s(sender + 10));
        }
        let sums = presence.close(s(20));
        assert_eq!((sums.random, sums.global), (4, 3));
    }

    #[test]
    fn given_more_senders_than_room_when_they_come_then_the_known_go_on_and_memory_does_not_grow() {
        let mut presence = Presence::new(-75);
        let refused = (0..CAPACITY as u64 + 500)
            .filter(|sender| !presence.saw(*sender, true, NEAR, s(1)))
            .count();
        assert_eq!((presence.len(), refused), (CAPACITY, 500));
        assert!(presence.saw(7, true, NEAR, s(2)));
        assert_eq!(presence.close(s(3)).random, CAPACITY as u64);
    }
}
