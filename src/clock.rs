//! Time, in one place: wall clock, time since boot (suspend included) and the boot's id.
//!
//! Everything else receives a [`Stamp`] or a [`Clock`], so that tests drive time and
//! nothing jumps when the wall clock does.

#![allow(clippy::disallowed_methods)] // the one room that may ask the operating system for the time

mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::ClockId;

pub use watch::{ClockSet, ClockWatch};

/// systemd-timesyncd's mark: touched each time it has set the clock, gone when it stops. The kernel's own word
/// (`adjtimex`) would need a system call that the service's sandbox forbids (`ProtectClock=`).
const MARK: &str = "/run/systemd/timesync/synchronized";

/// One moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Wall-clock time, as good as the box knows it (see `synced`).
    pub wall: Timestamp,
    /// Time since boot with suspend included (`CLOCK_BOOTTIME`); never jumps.
    pub boot: Duration,
    /// Whether a time source has set the wall clock since boot.
    pub synced: bool,
}

impl Stamp {
    /// How events and the API say whether the wall clock can be believed: `synced` or `unsynced`.
    #[must_use]
    pub const fn clock(&self) -> &'static str {
        if self.synced { "synced" } else { "unsynced" }
    }

    /// What the wall clock would have shown at time since boot zero: stands still until the wall clock is set.
    #[must_use]
    pub fn booted_at(&self) -> Timestamp {
        // Saturates for a wall clock at the very beginning of what can be said.
        self.wall.checked_sub(self.boot).unwrap_or(Timestamp::MIN)
    }

    /// Seconds since boot with milliseconds, as events say it.
    #[must_use]
    pub fn boottime(&self) -> String {
        format!("{}.{:03}", self.boot.as_secs(), self.boot.subsec_millis())
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The current moment.
    fn now(&self) -> Stamp;
    /// An id that is new at every boot of the machine.
    fn boot_id(&self) -> &str;
}

/// A clock shared between parts.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clocks.
pub struct SystemClock {
    boot_id: String,
    mark: PathBuf,
    /// Whether the wall clock was set since boot. Stays true: a time service that is restarted takes its mark away for a
    /// while, but the clock it has set runs on.
    synced: AtomicBool,
}

impl SystemClock {
    /// `trust_wall_clock`: the owner vouches for the wall clock (a real-time clock, or a time
    /// service that leaves no mark systemd would); otherwise systemd-timesyncd's mark decides.
    #[must_use]
    pub fn new(trust_wall_clock: bool) -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|text| text.trim().to_owned())
            .unwrap_or_else(|_| "unknown".to_owned());
        Self {
            boot_id,
            mark: MARK.into(),
            synced: AtomicBool::new(trust_wall_clock),
        }
    }

    fn is_synced(&self) -> bool {
        // Nothing else hangs on the flag.
        if !self.synced.load(Ordering::Relaxed) && self.mark.exists() {
            self.synced.store(true, Ordering::Relaxed);
        }
        self.synced.load(Ordering::Relaxed)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Stamp {
        Stamp {
            wall: Timestamp::now(),
            boot: read(ClockId::Boottime),
            synced: self.is_synced(),
        }
    }

    fn boot_id(&self) -> &str {
        &self.boot_id
    }
}

/// The time since boot of a moment that the kernel stamped with `CLOCK_MONOTONIC`, which does not run in suspend.
///
/// Right for moments after the last suspend; drivers stamp what is read soon.
#[must_use]
pub fn boot_of_monotonic(moment: Duration) -> Duration {
    let monotonic = read(ClockId::Monotonic);
    moment + read(ClockId::Boottime).saturating_sub(monotonic)
}

/// CPU time that the calling thread has used so far.
#[must_use]
pub fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time that this process has used so far, on all cores.
#[must_use]
pub fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

/// A clock that stands still until a test or a replay moves it.
pub struct FakeClock {
    now: Mutex<Stamp>,
}

impl FakeClock {
    /// Starts at `wall`, at time since boot zero, synced.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        Self {
            now: Mutex::new(Stamp {
                wall,
                boot: Duration::ZERO,
                synced: true,
            }),
        }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.boot += by;
        now.wall += by;
    }

    /// Sets the wall clock alone, as a time source would.
    pub fn set_wall(&self, wall: Timestamp, synced: bool) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.wall = wall;
        now.synced = synced;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Stamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn boot_id(&self) -> &str {
        "00000000-0000-4000-8000-000000000000"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fake_moves_both_clocks_together_and_the_wall_alone_when_set() {
        let clock = FakeClock::at(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().boot, Duration::from_millis(1500));
        assert_eq!(clock.now().wall.as_millisecond(), 1500);
        clock.set_wall(Timestamp::from_millisecond(9_000).unwrap(), false);
        assert_eq!(clock.now().boot, Duration::from_millis(1500));
        assert!(!clock.now().synced);
    }

    #[test]
    fn a_moment_on_the_monotonic_clock_is_placed_between_two_readings_of_the_boot_clock() {
        let before = read(ClockId::Boottime);
        let moment = boot_of_monotonic(read(ClockId::Monotonic));
        let slack = Duration::from_millis(5); // two clocks are not read in one instant
        assert!(moment + slack >= before && moment <= read(ClockId::Boottime) + slack);
    }

    #[test]
    fn this_process_has_used_processor_time() {
        assert!(process_cpu() > Duration::ZERO);
    }

    #[test]
    fn the_system_clock_knows_its_boot_and_runs_forward() {
        let clock = SystemClock::new(true);
        let (a, b) = (clock.now(), clock.now());
        assert!(b.boot >= a.boot);
        assert!(a.synced);
        assert_ne!(clock.boot_id(), "");
    }

    #[test]
    fn the_system_clock_is_synced_from_the_time_services_mark_on_even_when_the_mark_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let clock = SystemClock {
            mark: dir.path().join("synchronized"),
            ..SystemClock::new(false)
        };
        assert!(!clock.now().synced);
        std::fs::File::create(&clock.mark).unwrap();
        assert!(clock.now().synced);
        std::fs::remove_file(&clock.mark).unwrap();
        assert!(clock.now().synced);
    }

    #[test]
    fn the_moment_of_boot_stands_still_until_the_wall_clock_is_set_even_before_1970() {
        let clock = FakeClock::at(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(7));
        assert_eq!(clock.now().booted_at(), Timestamp::UNIX_EPOCH);
        clock.set_wall(Timestamp::UNIX_EPOCH, false);
        assert_eq!(clock.now().booted_at().as_second(), -7);
    }
}
