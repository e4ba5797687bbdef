//! The jumps of the wall clock that the tests play, and the clock on which they play.

#![allow(dead_code)] // each test file uses its own part

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use footfall::clock::{Clock, FakeClock, SharedClock};
use footfall::event::Identity;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const NOON: &str = "2026-11-21T04:00:00Z"; // in Shanghai
const BOOT_WITHOUT_TIME: &str = "1970-01-01T00:00:20Z";
const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// How the wall clock is set while a scene plays.
pub struct Jump {
    pub name: &'static str,
    pub begin: &'static str,
    pub by: i64,
    /// Whether a time source had set the clock before.
    pub synced: bool,
}

pub const JUMPS: [Jump; 7] = [
    Jump {
        name: "three hours forward",
        begin: NOON,
        by: 3 * HOUR,
        synced: true,
    },
    Jump {
        name: "three hours back",
        begin: NOON,
        by: -3 * HOUR,
        synced: true,
    },
    Jump {
        name: "over midnight",
        begin: NOON,
        by: 12 * HOUR,
        synced: true,
    },
    Jump {
        name: "five seconds back",
        begin: NOON,
        by: -5,
        synced: true,
    },
    Jump {
        name: "from 1970 to now",
        begin: BOOT_WITHOUT_TIME,
        by: 56 * YEAR,
        synced: false,
    },
    Jump {
        name: "from now to 1970",
        begin: NOON,
        by: -56 * YEAR,
        synced: true,
    },
    Jump {
        name: "ten years ahead",
        begin: NOON,
        by: 10 * YEAR,
        synced: true,
    },
];

/// A box on which a scene is played.
pub struct Shop<'j> {
    pub clock: Arc<FakeClock>,
    pub jump: Option<&'j Jump>,
    pub told: String,
}

impl<'j> Shop<'j> {
    pub fn new(begin: &str, synced: bool, jump: Option<&'j Jump>) -> Self {
        let begin: Timestamp = begin.parse().unwrap();
        let clock = Arc::new(FakeClock::at(begin));
        clock.set_wall(begin, synced);
        let told = String::new();
        Self { clock, jump, told }
    }

    pub fn shared(&self) -> SharedClock {
        Arc::clone(&self.clock) as SharedClock
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Where the wall clock is set, if it is.
    pub fn jump(&self) {
        if let Some(jump) = self.jump {
            self.step(jump.by);
        }
    }

    /// Where it is set back to what it was.
    pub fn jump_back(&self) {
        if let Some(jump) = self.jump {
            self.step(-jump.by);
        }
    }

    pub fn step(&self, seconds: i64) {
        let wall = self.clock.now().wall + SignedDuration::from_secs(seconds);
        self.clock.set_wall(wall, true);
    }

    /// One fact that must be the same whatever the wall clock did.
    pub fn tell(&mut self, what: &str, value: impl std::fmt::Debug) {
        writeln!(self.told, "{what}: {value:?}").unwrap();
    }
}

/// Plays a scene without a jump and with each, and compares.
pub fn undisturbed(scene: impl Fn(&mut Shop<'_>)) {
    for jump in &JUMPS {
        let [calm, jumping] = [None, Some(jump)].map(|jumps| {
            let mut shop = Shop::new(jump.begin, jump.synced, jumps);
            scene(&mut shop);
            shop.told
        });
        assert!(!calm.is_empty());
        assert_eq!(calm, jumping, "{}", jump.name);
    }
}

pub fn identity() -> Identity {
    Identity {
        tenant: "t".into(),
        store: "s".into(),
        box_id: "b".into(),
        boot_id: "boot".into(),
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
    }
}
