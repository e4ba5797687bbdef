//! What happened to messages and commands since the daemon started.

use serde::Serialize;

use crate::metric::Counter;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Messages on the command topic.
    pub received: Counter,
    /// No envelope, or none of a key that is trusted.
    pub forged: Counter,
    /// Properly signed, but for another box or time.
    pub unfit: Counter,
    /// Ids that were known already.
    pub repeated: Counter,
    /// Commands begun.
    pub accepted: Counter,
    pub succeeded: Counter,
    pub failed: Counter,
    /// Commands that were not begun: unknown, wrong arguments, out of order, no room.
    pub rejected: Counter,
}

/// [`Counters`], read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Counts {
    pub received: u64,
    pub forged: u64,
    pub unfit: u64,
    pub repeated: u64,
    pub accepted: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub rejected: u64,
}

impl Counters {
    /// The numbers now.
    #[must_use]
    pub fn read(&self) -> Counts {
        Counts {
            received: self.received.get(),
            forged: self.forged.get(),
            unfit: self.unfit.get(),
            repeated: self.repeated.get(),
            accepted: self.accepted.get(),
            succeeded: self.succeeded.get(),
            failed: self.failed.get(),
            rejected: self.rejected.get(),
        }
    }
}
