//! From the config to a box that obeys: the config with the cloud's changes over it, the commands, and who carries them
//! out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::Value;
use tokio::sync::{Notify, Semaphore};
use tracing::{error, info, warn};

use super::diagnostics::Collector;
use super::live::{CutOff, LiveConfig, RESTARTED};
use crate::command::configure::Configurator;
use crate::command::counters::Counters;
use crate::command::desired::{self, Desired};
use crate::command::dispatch::{Dispatcher, Setup, Worker};
use crate::command::handlers::config_patch::ConfigPatch;
use crate::command::handlers::config_rollback::ConfigRollback;
use crate::command::handlers::device_reboot::DeviceReboot;
use crate::command::handlers::diagnostics_collect::DiagnosticsCollect;
use crate::command::handlers::log_level::LogLevel;
use crate::command::handlers::occupancy_set::OccupancySet;
use crate::command::handlers::outbox_resend::OutboxResend;
use crate::command::handlers::ping::Ping;
use crate::command::handlers::service_restart::ServiceRestart;
use crate::command::handlers::status::Status;
use crate::command::key::Keys;
use crate::config::{Kept, KeptError, Loaded};
use crate::diagnostics::shelf;
use crate::event::{Body, ConfigRolledBack, DeviceAlarm};
use crate::uplink::topics::Topics;

/// The commands a box knows; each is one of its capabilities.
pub(super) const NAMES: [&str; 10] = [
    "ping",
    "status",
    "log.level",
    "config.patch",
    "config.rollback",
    "occupancy.set",
    "outbox.resend",
    "diagnostics.collect",
    "service.restart",
    "device.reboot",
];

/// The config in force at the start.
pub(super) struct InForce {
    pub(super) loaded: Loaded,
    pub(super) kept: Kept,
    pub(super) cut_off: CutOff,
    /// What somebody must be told of.
    pub(super) news: Vec<Body>,
}

/// Puts what the cloud has changed for good over the owner's config. Changes that do not fit (any more) are put aside: the
/// owner's config is always good enough to start. A change on probation is taken back.
pub(super) fn in_force(owner: &Loaded) -> InForce {
    let dir = &owner.config.outbox.dir;
    let mut news = Vec::new();
    let merged = Kept::load(dir).and_then(|kept| {
        let loaded = kept.change.over(owner).map_err(KeptError::Invalid)?;
        Ok((loaded, kept))
    });
    let (loaded, kept) = merged.unwrap_or_else(|why| {
        news.push(Body::DeviceAlarm(set_aside(dir, &why)));
        (owner.clone(), Kept::default())
    });
    let rolled_back = Kept::abandon(dir).unwrap_or_else(|why| {
        error!(%why, dir = %dir.display(), "a config on probation cannot be removed; it is not in force");
        None
    });
    if let Some(command) = &rolled_back {
        warn!(
            command,
            reason = RESTARTED,
            "the config before is in force again"
        );
        news.push(Body::ConfigRolledBack(ConfigRolledBack {
            config_sha256: loaded.sha256.clone(),
            reason: RESTARTED.to_owned(),
        }));
    }
    InForce {
        cut_off: CutOff {
            committed: (kept.command.clone(), loaded.sha256.clone()),
            rolled_back,
        },
        loaded,
        kept,
        news,
    }
}

fn set_aside(dir: &Path, why: &KeptError) -> DeviceAlarm {
    let place = match Kept::set_aside(dir) {
        Ok(path) => format!("they were put aside as {}", path.display()),
        Err(source) => format!("they cannot be put aside ({source})"),
    };
    let message = format!(
        "the changes that config.patch made are not in force: {why}; {place}. Send the patches again"
    );
    error!(message, "config overlay");
    DeviceAlarm {
        part: "config".to_owned(),
        message,
    }
}

/// Asks systemd to restart the box; it stops the daemon in order on the way.
fn reboot() {
    info!("the box reboots by command");
    tokio::task::spawn_blocking(|| {
        let asked = std::process::Command::new("systemctl")
            .arg("reboot")
            .output();
        let fault = match asked {
            Ok(output) if output.status.success() => return,
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(why) => why.to_string(),
        };
        error!(
            fault,
            "the box does not reboot: allow footfall's user to do so (polkit: org.freedesktop.login1.reboot)"
        );
    });
}

/// Whoever obeys the cloud.
pub(super) struct Hands {
    pub(super) worker: Worker,
    pub(super) desired: Desired,
}

/// Whoever obeys what is signed with `keys`. Blocks: it reads the journal.
///
/// # Errors
/// The journal cannot be read or made.
pub(super) fn open(
    keys: Keys,
    topics: Topics,
    live: &Arc<LiveConfig>,
    collector: &Arc<Collector>,
    counters: Counters,
    leave: Arc<Notify>,
) -> std::io::Result<(Arc<Dispatcher>, Hands)> {
    let sources = &collector.sources;
    let dir = live.owner.config.outbox.dir.clone();
    let (bundles, shelf) = (Arc::clone(collector), dir.clone());
    let (identity, clock) = (live.house.identity.clone(), Arc::clone(&live.house.clock));
    let (report, occupancy) = (Arc::clone(sources), Arc::clone(sources));
    let config = |live: &Arc<LiveConfig>| Arc::clone(live) as Arc<dyn Configurator>;
    let setup = Setup {
        keys: keys.clone(),
        topics: topics.clone(),
        counters,
        handlers: vec![
            Arc::new(Ping {
                identity: identity.clone(),
                clock: Arc::clone(&clock),
            }),
            Arc::new(Status {
                report: Box::new(move || {
                    serde_json::to_value(report.report()).unwrap_or(Value::Null)
                }),
            }),
            Arc::new(LogLevel {
                identity: identity.clone(),
                clock: Arc::clone(&clock),
                latest: Arc::new(AtomicU64::new(0)),
            }),
            Arc::new(ConfigPatch {
                config: config(live),
            }),
            Arc::new(ConfigRollback {
                config: config(live),
            }),
            Arc::new(OccupancySet {
                set: Arc::new(move |place, value| occupancy.set_occupancy(place, value)),
            }),
            Arc::new(OutboxResend {
                queue: Arc::new(live.outbox.clone()),
                topics: topics.clone(),
                one: Semaphore::new(1),
            }),
            Arc::new(DiagnosticsCollect {
                collect: Arc::new(move |id| shelf::keep(&shelf, id.as_str(), || bundles.collect())),
                topics: topics.clone(),
                one: Semaphore::new(1),
            }),
            Arc::new(ServiceRestart { leave }),
            Arc::new(DeviceReboot {
                allowed: live.owner.config.command.reboot,
                reboot: Box::new(reboot),
            }),
        ],
        identity: identity.clone(),
        clock: Arc::clone(&clock),
    };
    let (dispatcher, worker) = Dispatcher::open(setup, &dir)?;
    let publisher = Arc::clone(&dispatcher);
    let desired = Desired::open(desired::Setup {
        keys,
        identity,
        clock,
        config: config(live),
        config_sha256: live.sha256.subscribe(),
        inbox: dispatcher.desired(),
        link: live.link.clone(),
        topic: topics.reported(),
        publish: Box::new(move |report| publisher.publish(report)),
        dir,
    })?;
    Ok((dispatcher, Hands { worker, desired }))
}
