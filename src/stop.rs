//! The wish that a part should stop: asked once, seen by everybody who holds it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Tells a part to stop, and wakes it where it waits.
#[derive(Default)]
pub struct Stop {
    asked: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
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
        self.asked.load(Ordering::Acquire)
    }

    /// Waits until it is asked, `timeout` at most; returns whether it was.
    pub fn wait(&self, timeout: Duration) -> bool {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self
            .wake
            .wait_timeout_while(lock, timeout, |()| !self.asked())
            .unwrap_or_else(PoisonError::into_inner);
        self.asked()
    }
}
