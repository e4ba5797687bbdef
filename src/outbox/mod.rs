//! The durable queue: an event is kept until the cloud has acknowledged it.
//!
//! ```text
//!  submit ─► queue ─► writer ─► chain of segments ─► read ─► uplink
//!           (1024)   (thread)   (sled, one head)      ack ◄─┘
//! ```
//!
//! - [`handle`]: [`Outbox`], what the house holds; [`intake`]: the bounded queue in front of the writer
//! - [`writer`]: the one thread that writes; group commit, reports of losses, waiting out a full disk
//! - [`chain`]: append, seal, drop, repair; [`recovery`]: opening; [`reader`]: reading; [`state`]: what they share
//! - [`room`]: what to give up when room is needed (pure); [`evict`]: gives it up; [`space`]: quota and reserve
//! - [`segment`]: one sled database and the measured recipe; [`probe`]: opens it with care; [`index`]: finds a segment's events
//!   without sled; [`salvage`]: writes a segment anew
//! - [`record`], [`frame`], [`ranges`]: pure; [`about`], [`ackfile`], [`gaps`], [`marks`], [`layout`]: small files and names
//! - [`inspect`]: `footfall outbox stat|verify|dump`; [`memory`]: a fake for other rooms' tests
//!
//! `docs/design/outbox.md` says why it is built this way.

mod about;
mod ackfile;
mod chain;
mod evict;
mod frame;
mod gaps;
mod handle;
mod index;
mod inspect;
mod intake;
mod layout;
mod lock;
mod marks;
pub mod memory;
mod probe;
mod ranges;
mod reader;
mod record;
mod recovery;
mod room;
mod salvage;
mod segment;
mod space;
mod spare;
mod state;
mod writer;

pub use handle::{Options, Outbox};
pub use inspect::{NamedStat, StatReport, StreamReport, VerifyReport, dump, stat, verify};
pub use ranges::{PerStream, RangeSet};
pub use recovery::Recovery;

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use tokio::sync::watch;

use crate::event::Stream;

/// One stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub sequence: u64,
    /// The envelope's bytes, exactly as they were acknowledged to the source.
    pub bytes: Vec<u8>,
}

/// How much waits in one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct StreamStat {
    /// Highest sequence number stored; 0 when none.
    pub last: u64,
    /// Everything up to here is acknowledged; 0 when nothing is.
    pub acked: u64,
    /// Stored and not acknowledged.
    pub pending: u64,
}

/// Why the outbox cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// I/O; may pass (disk full, device busy).
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    /// Another process holds the directory.
    #[error("{0} is in use by another footfall; stop it first (systemctl stop footfall)")]
    Locked(String),
    /// Damaged beyond what recovery handles.
    #[error("{0}")]
    Corrupt(String),
    /// The writer has stopped.
    #[error("the outbox is closed")]
    Closed,
}

impl OutboxError {
    /// Says what to do about an I/O error in the data directory.
    fn io(dir: &Path, action: &str, source: io::Error) -> Self {
        let dir = dir.display();
        let advice = match source.kind() {
            io::ErrorKind::NotFound => {
                format!("create it for the user footfall runs as (install -d -o footfall {dir})")
            }
            io::ErrorKind::PermissionDenied => {
                format!("give it to the user footfall runs as (chown -R footfall {dir})")
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "the file system is read-only; remount it for writing or replace a worn-out card"
                    .to_owned()
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space; footfall goes on by itself then".to_owned()
            }
            _ => "check the storage device (dmesg)".to_owned(),
        };
        Self::Io {
            what: format!("cannot {action} the data directory {dir}: {advice}"),
            source,
        }
    }

    /// The storage is being reopened.
    fn busy() -> Self {
        Self::Io {
            what: "the event store is being reopened; try again in a moment".to_owned(),
            source: io::ErrorKind::WouldBlock.into(),
        }
    }
}

/// What the uplink needs of a durable queue. The outbox implements it; so does an in-memory fake.
pub trait Queue: Send + Sync + 'static {
    /// Up to `max_events` and about `max_bytes` of the stream's durable events after `after`, in order and
    /// without regard to acknowledgement. At least one event when there is any. Holes are skipped (they are
    /// reported as `outbox.gap`).
    ///
    /// # Errors
    /// [`OutboxError`]; nothing was consumed.
    fn read(
        &self,
        stream: Stream,
        after: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<Stored>, OutboxError>;

    /// Marks a range as received by the cloud. Ranges may come out of order; idempotent.
    ///
    /// # Errors
    /// [`OutboxError`]; the range then counts as unacknowledged.
    fn ack(&self, stream: Stream, range: RangeInclusive<u64>) -> Result<(), OutboxError>;

    /// Whether this event is acknowledged.
    fn is_acked(&self, stream: Stream, sequence: u64) -> bool;

    /// Where one stream stands.
    fn stat(&self, stream: Stream) -> StreamStat;

    /// Changes whenever new events became durable.
    fn changed(&self) -> watch::Receiver<u64>;
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
