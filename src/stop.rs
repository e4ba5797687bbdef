//! The wish that a part should stop: asked once, seen by everybody who holds it.
//!
//! A part that still looks whether it should stop is alive: its looks are what the watchdog goes by.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// While it waits, a part looks at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells a part to stop, and wakes it where it waits.
#[derive(Default)]
pub struct Stop {
    asked: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
    looks: AtomicU64,
}

impl Stop {
    /// Asks everybody who holds this to stop.
    pub fn ask(&self) {
        // Under the lock: nobody may look, be told no, and then miss the call.
        let _lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.asked.store(true, Ordering::Release);
        self.wake.notify_all();
    }

    /// Whether it was asked. Cheap enough for every frame.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.asked.load(Ordering::Acquire)
    }

    /// Waits until it is asked, `timeout` at most; returns whether it was.
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut left = timeout;
        while !self.asked() && !left.is_zero() {
            let nap = left.min(LOOK_EVERY);
            let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            let not_asked = |(): &mut ()| !self.asked.load(Ordering::Acquire);
            let _ = self
                .wake
                .wait_timeout_while(lock, nap, not_asked)
                .unwrap_or_else(PoisonError::into_inner);
            left -= nap;
        }
        self.asked()
    }

    /// How often anybody looked whether to stop.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }
}
