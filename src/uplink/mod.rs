//! MQTT: a pure ledger decides, a link carries.
//!
//! ```text
//!  outbox ──► feed ──► batch ──► session ──► link ──► pump (the library, in a task of its own)
//!    ▲                             │ ▲          │
//!    └──── acknowledged ranges ────┘ └─ ledger ◄┘ packet ids, answers
//!
//!  commands: pump ──► link ──► session ──► desk, and answers back the same way as events
//! ```
//!
//! Whatever was not acknowledged is in the outbox and nowhere else: after every new connection sending
//! starts again from the oldest unacknowledged event. What was stored before that moment goes as backfill, what
//! is stored after goes live, beside it (`ledger`). The cloud may see an event twice, with the same
//! bytes and the same id; it never misses one.

pub mod address;
pub mod backoff;
pub mod batch;
#[cfg(feature = "embedded-broker")]
pub mod broker;
pub mod cause;
pub mod desk;
pub mod encoding;
mod fault;
mod feed;
pub mod ledger;
mod link;
mod pump;
pub mod route;
mod session;
pub mod settings;
pub mod state;
pub mod subscriber;
pub mod tls;
pub mod topics;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::SharedClock;
use crate::outbox::Queue;
use backoff::Backoff;
use batch::ToldOversized;
use desk::Desk;
use fault::Closings;
use feed::Feed;
use ledger::Ledger;
use link::Link;
use session::{End, Session, Shared};
pub use settings::{Settings, UplinkError};
use state::Reporter;
pub use state::{LinkState, LinkStatus};
use wire::Terms;

/// A connection that held for so long was a good one, even if nothing had to be sent.
const STEADY: Duration = Duration::from_secs(10);

/// What the box tells about itself when it comes online, besides its boot id and what is pending.
#[derive(Clone, Debug)]
pub struct Birth {
    pub version: String,
    /// SHA-256 of the config in force, hex; the state is published anew when it changes.
    pub config_sha256: watch::Receiver<String>,
    /// What this box can do: `command.NAME` for each command it knows.
    pub capabilities: Vec<String>,
}

/// The outbox was closed while the uplink ran; nothing is lost, and nothing more can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox was closed under the uplink; the daemon is going down, or must be restarted")]
pub struct QueueClosed;

/// Everything the uplink works with.
pub struct Uplink {
    pub settings: Settings,
    pub queue: Arc<dyn Queue>,
    pub clock: SharedClock,
    /// Where the link's state is shown; starts as [`LinkStatus::off`].
    pub status: watch::Sender<LinkStatus>,
    pub birth: Birth,
    /// Who obeys commands; without one the box does not listen for any.
    pub desk: Option<Arc<dyn Desk>>,
    /// Time to send what is pending, hear the answers and say goodbye after the stop signal.
    pub grace: Duration,
}

impl Uplink {
    /// Connects, sends, and connects again, until `stop` turns true (or its sender is dropped). Then: sends
    /// what is pending at that moment, waits for the answers, publishes that the box is offline,
    /// disconnects; all within [`Uplink::grace`].
    ///
    /// # Errors
    /// [`QueueClosed`]
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), QueueClosed> {
        let broker = self.settings.broker();
        let mut backoff = Backoff::with_seed(fastrand::u64(..));
        let mut shared = Shared {
            reporter: Reporter::new(self.status, self.clock.clone(), broker.clone()),
            feed: Feed::new(self.queue, self.settings.encoding),
            settings: self.settings,
            birth: self.birth,
            desk: self.desk,
            clock: self.clock,
            ledger: Ledger::default(),
            grace: self.grace,
            told_oversized: ToldOversized::default(),
        };
        let (mut fresh, mut closings) = (false, Closings::default());
        loop {
            shared.reporter.attempt();
            let terms = Terms {
                listen: shared.desk.is_some(),
                fresh,
            };
            let opened = tokio::select! {
                opened = Link::open(&shared.settings, terms) => opened,
                () = stopped(&mut stop) => break,
            };
            let fault = match opened {
                Err(fault) => fault,
                Ok(link) => {
                    tracing::info!(%broker, "connected");
                    let (since, acked) = (shared.now(), shared.reporter.events_acked());
                    let end = Session::new(&mut shared, link).run(&mut stop).await;
                    let now = shared.now();
                    let returned = shared.ledger.cut(now);
                    let held = now.saturating_sub(since) >= STEADY;
                    let useful = held || shared.reporter.events_acked() > acked;
                    match end {
                        End::Left => break,
                        End::Closed => return Err(QueueClosed),
                        End::Lost(fault) => {
                            let fault = closings.judge(fault, &broker, now);
                            tracing::warn!(%broker, returned, "the connection is lost");
                            shared
                                .reporter
                                .update(|status| status.counters.events_resent += returned);
                            // Two boxes with one name throw each other out, however useful: they slow down.
                            if useful && fault.state() != LinkState::Refused {
                                backoff.reset();
                            }
                            fault
                        }
                    }
                }
            };
            shared.reporter.failed(&fault);
            // What the broker would bring again, the library could not read again.
            fresh = fault.unreadable;
            let wait = backoff.next_wait();
            tracing::warn!(%broker, reason = %fault.message.en, wait_s = wait.as_secs_f64(), "not connected");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopped(&mut stop) => break,
            }
        }
        tracing::info!(%broker, "stopped");
        shared.reporter.stopped();
        Ok(())
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever could ask for a stop.
    let _ = stop.wait_for(|stop| *stop).await;
}
