//! Whether a command whose signature holds is for this box, and for now. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::envelope::Claims;
use crate::clock::Stamp;
use crate::event::Identity;

/// Longest time between `iat` and `exp`, seconds: the journal must remember each command until then.
pub const LONGEST_LIFE_S: i64 = 7 * 86_400;
/// How far ahead of this box's clock the signer's may be, seconds.
const AHEAD_S: i64 = 300;

/// Why a signed command is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is for another box")]
    Foreign,
    #[error("it expired before it could be begun")]
    Expired,
    #[error("exp is more than 7 days after iat")]
    LongLived,
    #[error("iat is more than 5 minutes ahead of this box's clock; check both clocks")]
    FromTheFuture,
    #[error(
        "this box's clock is not set yet, so exp says nothing: publish with an MQTT 5 message expiry interval (mosquitto_pub -D publish message-expiry-interval 600)"
    )]
    NoTime,
}

impl Unfit {
    /// The error code in an answer.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Expired => "expired",
            Self::LongLived => "long_lived",
            Self::FromTheFuture => "from_the_future",
            Self::NoTime => "no_time",
        }
    }
}

/// How a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub at: Stamp,
    /// What was left of its MQTT message expiry interval then.
    pub expires_in: Option<Duration>,
}

/// Until when a command may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// By the wall clock, seconds since 1970.
    Wall(i64),
    /// By the time since boot, for a wall clock that cannot be trusted.
    Boot(Duration),
}

impl Deadline {
    /// Whether it is too late.
    #[must_use]
    pub fn is_over(self, now: Stamp) -> bool {
        match self {
            Self::Wall(exp) => now.wall.as_second() >= exp,
            Self::Boot(end) => now.boot >= end,
        }
    }
}

/// Judges `claims`. `floor`: the latest moment this box has known for sure; a clock that is not synced may be behind it,
/// the truth is not. A synced clock is believed: had it once been ahead, the floor would shut the box for years.
///
/// # Errors
/// [`Unfit`]
pub fn judge(
    claims: &Claims,
    identity: &Identity,
    arrival: Arrival,
    floor: Timestamp,
) -> Result<Deadline, Unfit> {
    if !is_for(claims, identity) {
        return Err(Unfit::Foreign);
    }
    if claims.exp - claims.iat > LONGEST_LIFE_S {
        return Err(Unfit::LongLived);
    }
    if arrival.at.synced {
        is_of_now(claims, arrival.at)?;
        return Ok(Deadline::Wall(claims.exp));
    }
    let left = arrival.expires_in.ok_or(Unfit::NoTime)?;
    if left.is_zero() || claims.exp <= floor.as_second() {
        return Err(Unfit::Expired);
    }
    // The signer's lifetime bounds what the unsigned interval claims.
    let life = Duration::from_secs(u64::try_from(claims.exp - claims.iat).unwrap_or(0));
    Ok(Deadline::Boot(arrival.at.boot + left.min(life)))
}

/// Whether `claims` name this box: by id, or by `tenant/store/box`.
#[must_use]
pub fn is_for(claims: &Claims, identity: &Identity) -> bool {
    let Identity {
        tenant,
        store,
        box_id,
        ..
    } = identity;
    claims.addressee == *box_id || claims.addressee == format!("{tenant}/{store}/{box_id}")
}

/// Judges `claims` by a synced clock.
///
/// # Errors
/// From the future, or expired.
pub fn is_of_now(claims: &Claims, now: Stamp) -> Result<(), Unfit> {
    let now = now.wall.as_second();
    if claims.iat > now + AHEAD_S {
        return Err(Unfit::FromTheFuture);
    }
    if claims.exp <= now {
        return Err(Unfit::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::id::CommandId;
    use jiff::tz::TimeZone;

    const NOW: i64 = 1_800_000_000;

    fn identity() -> Identity {
        Identity {
            tenant: "acme".into(),
            store: "shop-7".into(),
            box_id: "box-0042".into(),
            boot_id: String::new(),
            zone: TimeZone::UTC,
        }
    }

    fn claims(addressee: &str, iat: i64, exp: i64) -> Claims {
        Claims {
            id: CommandId::from_random([0; 16]),
            addressee: addressee.into(),
            name: "ping".into(),
            args: serde_json::Map::new(),
            iat: NOW + iat,
            exp: NOW + exp,
            seq: 0,
        }
    }

    fn arrival(synced: bool, expires_in: Option<u64>) -> Arrival {
        Arrival {
            at: Stamp {
                wall: Timestamp::from_second(NOW).unwrap(),
                boot: Duration::from_secs(50),
                synced,
            },
            expires_in: expires_in.map(Duration::from_secs),
        }
    }

    fn verdict(claims: &Claims, arrival: Arrival) -> Result<Deadline, Unfit> {
        judge(claims, &identity(), arrival, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_command_names_its_box_by_id_or_by_its_whole_name() {
        for (addressee, fits) in [
            ("box-0042", true),
            ("acme/shop-7/box-0042", true),
            ("acme/shop-8/box-0042", false),
            ("box-0043", false),
            ("shop-7/box-0042", false),
        ] {
            let verdict = verdict(&claims(addressee, 0, 60), arrival(true, None));
            assert_eq!(verdict == Err(Unfit::Foreign), !fits, "{addressee}");
        }
    }

    #[test]
    fn with_a_synced_clock_exp_decides_and_the_message_expiry_is_not_asked() {
        for (iat, exp, expected) in [
            (-10, 60, Ok(Deadline::Wall(NOW + 60))),
            (300, 900, Ok(Deadline::Wall(NOW + 900))),
            (301, 900, Err(Unfit::FromTheFuture)),
            (-60, 0, Err(Unfit::Expired)),
            (-900, -300, Err(Unfit::Expired)),
            (0, LONGEST_LIFE_S + 1, Err(Unfit::LongLived)),
        ] {
            let claims = claims("box-0042", iat, exp);
            assert_eq!(
                verdict(&claims, arrival(true, Some(0))),
                expected,
                "{iat} {exp}"
            );
        }
    }

    #[test]
    fn with_an_unsynced_clock_the_message_expiry_decides_on_the_clock_that_does_not_jump() {
        // The wall clock is years off, and nobody asks it.
        let claims = claims("box-0042", 90_000_000, 90_000_600);
        let boot = |seconds| Ok(Deadline::Boot(Duration::from_secs(seconds)));
        assert_eq!(verdict(&claims, arrival(false, Some(30))), boot(80));
        assert_eq!(verdict(&claims, arrival(false, Some(9_999_999))), boot(650));
        assert_eq!(
            verdict(&claims, arrival(false, Some(0))),
            Err(Unfit::Expired)
        );
        assert_eq!(verdict(&claims, arrival(false, None)), Err(Unfit::NoTime));
    }

    #[test]
    fn with_an_unsynced_clock_what_had_expired_before_stays_expired() {
        let floor = Timestamp::from_second(NOW - 100).unwrap();
        let judged = |claims: &Claims| judge(claims, &identity(), arrival(false, Some(30)), floor);
        assert_eq!(judged(&claims("box-0042", -600, -100)), Err(Unfit::Expired));
        assert!(judged(&claims("box-0042", -600, -99)).is_ok());
    }

    #[test]
    fn a_deadline_is_over_at_its_moment() {
        let now = arrival(true, None).at;
        assert!(Deadline::Wall(NOW).is_over(now) && !Deadline::Wall(NOW + 1).is_over(now));
        assert!(Deadline::Boot(Duration::from_secs(50)).is_over(now));
        assert!(!Deadline::Boot(Duration::from_secs(51)).is_over(now));
    }
}
