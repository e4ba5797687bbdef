//! How long the page asks nobody for a PIN after wrong ones. Pure; one for the whole box, because an attacker may have
//! many addresses but the box has one PIN.

use std::time::Duration;

/// Wrong PINs in a row that are forgiven, the last of which locks.
pub const TRIES: u32 = 5;
/// The first lock; each further wrong PIN doubles it.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);
/// After so long without a wrong PIN the count begins anew.
const FORGET: Duration = Duration::from_secs(24 * 3600);

/// Wrong PINs and what follows from them. Moments are times since boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lockout {
    wrong: u32,
    until: Duration,
}

impl Lockout {
    /// How long it is still locked; `None` when a PIN may be tried.
    #[must_use]
    pub fn locked(&self, now: Duration) -> Option<Duration> {
        (self.until > now).then(|| self.until - now)
    }

    /// A wrong PIN was tried; returns the tries that are left before it locks.
    pub fn wrong(&mut self, now: Duration) -> u32 {
        if now.saturating_sub(self.until) > FORGET {
            self.wrong = 0;
        }
        self.wrong = self.wrong.saturating_add(1);
        // Also before it locks: the moment from which a day of peace is counted.
        self.until = now;
        let left = TRIES.saturating_sub(self.wrong);
        if left == 0 {
            let doubled = 1 << (self.wrong - TRIES).min(16);
            self.until = now + (FIRST * doubled).min(LONGEST);
        }
        left
    }

    /// The right PIN: everything is forgiven.
    pub fn right(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_fifth_wrong_pin_locks_and_each_further_one_locks_twice_as_long_up_to_an_hour() {
        let mut lockout = Lockout::default();
        let mut now = s(100);
        for left in [4, 3, 2, 1] {
            assert_eq!(lockout.wrong(now), left);
            assert_eq!(lockout.locked(now), None);
        }
        for lock in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            assert_eq!(lockout.wrong(now), 0);
            assert_eq!(lockout.locked(now), Some(s(lock)));
            assert_eq!(lockout.locked(now + s(lock) - s(1)), Some(s(1)));
            now += s(lock);
            assert_eq!(lockout.locked(now), None);
        }
        for _ in 0..100 {
            lockout.wrong(now);
        }
        assert_eq!(lockout.locked(now), Some(LONGEST));
    }

    #[test]
    fn the_right_pin_and_a_day_of_peace_forgive() {
        let mut lockout = Lockout::default();
        for _ in 0..4 {
            lockout.wrong(s(1));
        }
        lockout.right();
        assert_eq!(lockout.wrong(s(2)), 4);
        for _ in 0..3 {
            lockout.wrong(s(2));
        }
        assert_eq!(lockout.wrong(s(3) + FORGET), 4);
    }
}
