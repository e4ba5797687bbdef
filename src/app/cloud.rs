//! The way to the cloud and back: the uplink, and the commands that come in over it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::error;

use super::commands::{self, Hands};
use super::diagnostics::Collector;
use super::live::LiveConfig;
use crate::command::key::Keys;
use crate::outbox::Queue;
use crate::supervise;
use crate::uplink::desk::Desk;
use crate::uplink::{self, Uplink};

/// How long the uplink takes, at most, to send what is pending when the daemon leaves.
pub(super) const STOPS_WITHIN: Duration = Duration::from_secs(4);

/// What of it runs, and what is still to be begun.
#[derive(Default)]
pub(super) struct Cloud {
    pub(super) uplink: Option<JoinHandle<()>>,
    /// Who carries commands out; not before there are sensors.
    pub(super) hands: Option<Hands>,
}

/// What it needs to know.
pub(super) struct Ways {
    /// `None`: the box is to keep to itself.
    pub(super) link: Option<uplink::Settings>,
    pub(super) keys: Keys,
    pub(super) status: watch::Sender<uplink::LinkStatus>,
    /// Notified when a command wants the daemon to leave.
    pub(super) leave: Arc<Notify>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Starts the uplink, where the config names a broker. Blocks while the commands' journal is read; one that cannot be read
/// costs the commands, not the counting.
pub(super) fn connect(ways: Ways, live: &Arc<LiveConfig>, collector: &Arc<Collector>) -> Cloud {
    let sources = &collector.sources;
    let Some(settings) = ways.link else {
        return Cloud::default();
    };
    let (mut desk, mut hands): (Option<Arc<dyn Desk>>, _) = (None, None);
    if !ways.keys.is_empty() {
        let topics = settings.topics().clone();
        let counters = sources.commands.clone();
        match commands::open(ways.keys, topics, live, collector, counters, ways.leave) {
            Ok((dispatcher, obeying)) => {
                desk = Some(dispatcher);
                hands = Some(obeying);
            }
            Err(why) => {
                error!(%why, "no commands: their journal cannot be opened; check the storage; counting goes on");
            }
        }
    }
    let capability = |name| format!("command.{name}");
    let birth = uplink::Birth {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_sha256: sources.config_sha256.clone(),
        capabilities: match desk {
            Some(_) => commands::NAMES.map(capability).to_vec(),
            None => Vec::new(),
        },
    };
    let queue: Arc<dyn Queue> = Arc::new(sources.outbox.clone());
    let clock = Arc::clone(&sources.clock);
    let restarts = Arc::clone(&sources.restarts);
    let uplink = tokio::spawn(async move {
        supervise::task("uplink", &restarts, || {
            let uplink = Uplink {
                settings: settings.clone(),
                queue: Arc::clone(&queue),
                clock: Arc::clone(&clock),
                status: ways.status.clone(),
                birth: birth.clone(),
                desk: desk.clone(),
                grace: STOPS_WITHIN,
            };
            let stop = ways.stop.clone();
            async move {
                if let Err(why) = uplink.run(stop).await {
                    error!(%why, "uplink");
                }
            }
        })
        .await;
    });
    Cloud {
        uplink: Some(uplink),
        hands,
    }
}
