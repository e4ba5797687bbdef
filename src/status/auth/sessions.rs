//! Who is logged in. Pure: tokens and moments come from outside. Only digests of tokens are kept, so neither a look-up's
//! duration nor a memory dump tells one.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// Technicians at once; one more ends the session that was idle longest.
const MOST: usize = 16;
/// A session nobody uses ends after this.
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// Every session ends after this.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);

struct Session {
    digest: [u8; 32],
    since: Duration,
    used: Duration,
}

/// All sessions. Moments are times since boot.
#[derive(Default)]
pub struct Sessions(Vec<Session>);

impl Sessions {
    /// From now on `token` is logged in.
    pub fn open(&mut self, token: &str, now: Duration) {
        self.drop_expired(now);
        if self.0.len() >= MOST {
            let idlest = self.0.iter().enumerate().min_by_key(|(_, one)| one.used);
            if let Some(index) = idlest.map(|(index, _)| index) {
                self.0.swap_remove(index);
            }
        }
        self.0.push(Session {
            digest: digest(token),
            since: now,
            used: now,
        });
    }

    /// Whether `token` is logged in; `used` tells whether a person is at work or the page only refreshes itself.
    pub fn holds(&mut self, token: &str, used: bool, now: Duration) -> bool {
        self.drop_expired(now);
        let digest = digest(token);
        let Some(session) = self.0.iter_mut().find(|one| one.digest == digest) else {
            return false;
        };
        if used {
            session.used = now;
        }
        true
    }

    /// Logs `token` out.
    pub fn close(&mut self, token: &str) {
        let digest = digest(token);
        self.0.retain(|one| one.digest != digest);
    }

    /// Logs everybody out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn drop_expired(&mut self, now: Duration) {
        self.0.retain(|one| {
            now.saturating_sub(one.used) < IDLE && now.saturating_sub(one.since) < LONGEST
        });
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_idle_when_old_and_when_closed() {
        let mut sessions = Sessions::default();
        let start = Duration::from_secs(1000);
        sessions.open("a", start);
        assert!(!sessions.holds("b", true, start));
        // The page's own refreshing does not keep it alive.
        assert!(sessions.holds("a", false, start + IDLE / 2));
        assert!(!sessions.holds("a", true, start + IDLE));

        sessions.open("a", start);
        let mut now = start;
        while now + IDLE / 2 < start + LONGEST {
            now += IDLE / 2;
            assert!(sessions.holds("a", true, now), "{now:?}");
        }
        assert!(!sessions.holds("a", true, start + LONGEST));

        sessions.open("a", start);
        sessions.open("b", start);
        sessions.close("a");
        assert!(!sessions.holds("a", true, start) && sessions.holds("b", true, start));
        sessions.clear();
        assert!(!sessions.holds("b", true, start));
    }

    #[test]
    fn there_are_never_more_than_a_few_and_the_idlest_leaves_first() {
        let mut sessions = Sessions::default();
        let at = Duration::from_secs;
        for number in 0..MOST as u64 {
            sessions.open(&number.to_string(), at(number));
        }
        assert!(sessions.holds("0", true, at(100)));
        sessions.open("new", at(101));
        assert_eq!(sessions.0.len(), MOST);
        assert!(!sessions.holds("1", false, at(101)));
        assert!(sessions.holds("0", false, at(101)) && sessions.holds("new", false, at(101)));
    }
}
