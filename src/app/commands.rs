//! From the config to a box that obeys: the config with the cloud's changes over it, the commands, and who carries them
//! out.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tracing::{error, info};

use super::cameras::CameraShop;
use super::fleet::Fleet;
use super::{sensors, tasks};
use crate::command::counters::Counters;
use crate::command::dispatch::{Dispatcher, Setup, Worker};
use crate::command::handlers::config_patch::{ConfigPatch, Configurator, Patch, PatchFault};
use crate::command::handlers::log_level::LogLevel;
use crate::command::handlers::ping::Ping;
use crate::command::handlers::status::Status;
use crate::command::id::CommandId;
use crate::command::key::Keys;
use crate::config::overlay::OverlayError;
use crate::config::{Config, Loaded, Overlay};
use crate::event::{Body, ConfigApplied, ConfigRejected, DeviceAlarm};
use crate::outbox::Outbox;
use crate::sensor::House;
use crate::sensor::gpio::MoodCell;
use crate::status;
use crate::uplink::topics::Topics;

/// The commands a box knows; each is one of its capabilities.
pub(super) const NAMES: [&str; 4] = ["ping", "status", "log.level", "config.patch"];

/// The config in force at the start.
pub(super) struct InForce {
    pub(super) loaded: Loaded,
    pub(super) overlay: Overlay,
    /// What somebody must be told of.
    pub(super) alarm: Option<DeviceAlarm>,
}

/// Puts what the cloud has changed over the owner's config. An overlay that does not fit (any more) is put aside: the
/// owner's config is always good enough to start.
pub(super) fn in_force(owner: &Loaded) -> InForce {
    let dir = &owner.config.outbox.dir;
    let merged = Overlay::load(dir).and_then(|overlay| {
        let loaded = overlay.over(owner).map_err(OverlayError::Invalid)?;
        Ok((loaded, overlay))
    });
    match merged {
        Ok((loaded, overlay)) => InForce {
            loaded,
            overlay,
            alarm: None,
        },
        Err(why) => InForce {
            loaded: owner.clone(),
            overlay: Overlay::default(),
            alarm: Some(set_aside(dir, &why)),
        },
    }
}

fn set_aside(dir: &Path, why: &OverlayError) -> DeviceAlarm {
    let place = match Overlay::set_aside(dir) {
        Ok(path) => format!("it was put aside as {}", path.display()),
        Err(source) => format!("it cannot be put aside ({source})"),
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

/// Who changes the config while the daemon runs.
pub(super) struct LiveConfig {
    pub(super) owner: Loaded,
    pub(super) overlay: Mutex<Overlay>,
    /// SHA-256 of the config in force.
    pub(super) sha256: watch::Sender<String>,
    pub(super) house: House,
    pub(super) cameras: CameraShop,
    pub(super) mood: MoodCell,
    pub(super) fleet: Arc<Fleet>,
    pub(super) outbox: Outbox,
}

impl LiveConfig {
    /// From now on the sensors of this config work.
    pub(super) async fn set(&self, config: &Config) {
        let fitted = sensors::fit(config, &self.house, &self.cameras, &self.mood);
        self.fleet.set(fitted).await;
    }

    /// Validates, stores, applies. One at a time; a probation would begin where it ends.
    async fn change(
        &self,
        patch: Patch,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<String, PatchFault> {
        let mut overlay = self.overlay.lock().await;
        let mut cameras = self.owner.config.camera.iter();
        if !cameras.any(|camera| camera.id == patch.camera) {
            let fault = format!("camera: no camera of this box is called {:?}", patch.camera);
            return Err(PatchFault::Invalid(vec![fault]));
        }
        let lines = patch.lines.map(toml_lines).transpose()?;
        let changed = overlay.with_lines(&patch.camera, lines);
        let loaded = changed.over(&self.owner).map_err(|faults| {
            let texts = faults.0.into_iter().map(|fault| fault.without_file());
            PatchFault::Invalid(texts.collect())
        })?;
        let (dir, stored) = (self.owner.config.outbox.dir.clone(), changed.clone());
        let stored = spawn_blocking(move || stored.store(&dir)).await;
        let storage = |why: String| {
            let message =
                format!("the changed config cannot be stored ({why}); nothing was changed");
            PatchFault::Storage(message)
        };
        stored
            .map_err(|why| storage(why.to_string()))?
            .map_err(|why| storage(why.to_string()))?;
        progress("valid and stored; replacing the sensors it concerns");
        *overlay = changed;
        self.set(&loaded.config).await;
        self.sha256.send_replace(loaded.sha256.clone());
        Ok(loaded.sha256)
    }
}

/// A handle that handlers can own.
pub(super) struct Shared(pub(super) Arc<LiveConfig>);

impl Configurator for Shared {
    fn patch<'a>(
        &'a self,
        command: &'a CommandId,
        patch: Patch,
        progress: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Pin<Box<dyn Future<Output = Result<String, PatchFault>> + Send + 'a>> {
        Box::pin(async move {
            let live = &self.0;
            let result = live.change(patch, progress).await;
            let command = command.to_string();
            let body = match &result {
                Ok(config_sha256) => {
                    info!(config_sha256, command, "another config is in force");
                    Some(Body::ConfigApplied(ConfigApplied {
                        config_sha256: config_sha256.clone(),
                        command,
                    }))
                }
                Err(PatchFault::Invalid(faults)) => Some(Body::ConfigRejected(ConfigRejected {
                    command,
                    faults: faults.clone(),
                })),
                Err(PatchFault::Storage(_)) => None,
            };
            if let Some(body) = body {
                tasks::submit(&live.outbox, &live.house.clock, body).await;
            }
            result
        })
    }
}

/// Lines from a command as the config has them; TOML has no null.
fn toml_lines(lines: Vec<Map<String, Value>>) -> Result<Vec<toml::Table>, PatchFault> {
    let table = |(index, line): (usize, &Map<String, Value>)| {
        toml::Table::try_from(line).map_err(|why| format!("line[{index}]: {why}"))
    };
    let tables: Result<_, String> = lines.iter().enumerate().map(table).collect();
    tables.map_err(|fault| PatchFault::Invalid(vec![fault]))
}

/// Whoever obeys the commands of `keys`. Blocks: it reads the journal.
///
/// # Errors
/// The journal cannot be read or made.
pub(super) fn open(
    keys: Keys,
    topics: Topics,
    live: &Arc<LiveConfig>,
    sources: &Arc<status::Sources>,
    counters: Counters,
) -> std::io::Result<(Arc<Dispatcher>, Worker)> {
    let (identity, clock) = (live.house.identity.clone(), Arc::clone(&live.house.clock));
    let report = Arc::clone(sources);
    let setup = Setup {
        keys,
        topics,
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
                config: Shared(Arc::clone(live)),
            }),
        ],
        identity,
        clock,
    };
    Dispatcher::open(setup, &live.owner.config.outbox.dir)
}
