//! The config while the daemon runs: validates what the cloud wants, puts it into force on probation, and commits it or
//! rolls back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::cameras::CameraShop;
use super::fleet::Fleet;
use super::{places, sensors, tasks};
use crate::command::configure::{Change, ChangeFault, Configurator, Progress, Wish};
use crate::command::id::CommandId;
use crate::command::probation::{Probation, Sight, Verdict};
use crate::config::{Config, Faults, Kept, Loaded, Overlay};
use crate::event::{Body, ConfigApplied, ConfigRejected, ConfigRolledBack};
use crate::outbox::Outbox;
use crate::sensor::gpio::MoodCell;
use crate::sensor::{House, Roster, State};
use crate::status::Today;
use crate::uplink::{LinkState, LinkStatus};

/// How often a probation looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Sensors that are still starting before a change are waited for: who has not worked yet cannot be asked to work again.
const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct LiveConfig {
    pub(super) owner: Loaded,
    /// What the cloud has changed for good. Held while another change is on probation.
    pub(super) kept: Mutex<Kept>,
    /// How what a restart cut off came out.
    pub(super) cut_off: CutOff,
    /// SHA-256 of the config in force.
    pub(super) sha256: watch::Sender<String>,
    pub(super) house: House,
    pub(super) cameras: CameraShop,
    pub(super) mood: MoodCell,
    pub(super) fleet: Arc<Fleet>,
    pub(super) roster: Roster,
    pub(super) link: watch::Receiver<LinkStatus>,
    pub(super) outbox: Outbox,
    pub(super) today: Arc<Today>,
}

/// What the start knows of the last change before it.
#[derive(Clone, Debug, Default)]
pub(super) struct CutOff {
    /// Its command, and the SHA-256 of the config it brought for good.
    pub(super) committed: (String, String),
    /// The command of one that a restart has rolled back.
    pub(super) rolled_back: Option<String>,
}

/// For people: why a restart rolls back.
pub(super) const RESTARTED: &str = "the daemon was restarted before the probation was over";

impl LiveConfig {
    /// From now on the sensors of this config work, and its places are in force.
    pub(super) async fn set(&self, config: &Config) {
        places::set(&self.today, config, &self.house.identity);
        let fitted = sensors::fit(config, &self.house, &self.cameras, &self.mood);
        self.fleet.set(fitted).await;
    }

    async fn put_in_force(&self, loaded: &Loaded) {
        self.set(&loaded.config).await;
        self.sha256.send_replace(loaded.sha256.clone());
    }

    async fn fulfil(
        &self,
        command: &CommandId,
        wish: Wish,
        progress: Progress<'_>,
    ) -> Result<String, ChangeFault> {
        let mut kept = self.kept.try_lock().map_err(|_| ChangeFault::Busy)?;
        let change = match wish {
            Wish::Patch(patch) => kept
                .change
                .patched(&patch, &self.owner)
                .map_err(ChangeFault::Invalid)?,
            Wish::Whole(patch) => Overlay::default()
                .patched(&patch, &self.owner)
                .map_err(ChangeFault::Invalid)?,
            Wish::Before => kept.before.clone(),
            Wish::Owners => Overlay::default(),
        };
        let old = kept.change.over(&self.owner).map_err(invalid)?;
        let new = change.over(&self.owner).map_err(invalid)?;
        if change == kept.change {
            return Ok(new.sha256);
        }
        let next = Kept {
            command: command.to_string(),
            before: kept.change.clone(),
            change,
        };
        progress("valid; waiting for the sensors to have started");
        self.sensors_started().await;
        let length = Duration::from_secs(self.owner.config.command.probation_s.into());
        let probation = Probation::new(self.sight(), self.house.clock.now().boot, length);
        let stored = next.clone();
        self.on_disk(move |dir| stored.try_out(&dir)).await?;
        progress("stored; replacing the sensors it concerns");
        self.put_in_force(&new).await;
        progress(&format!("in force; on probation for {length:?}"));
        let fault = match self.watch(&probation).await {
            Ok(()) => match self.on_disk(|dir| Kept::commit(&dir)).await {
                Ok(()) => {
                    *kept = next;
                    return Ok(new.sha256);
                }
                Err(fault) => fault,
            },
            Err(why) => ChangeFault::RolledBack(why),
        };
        self.put_in_force(&old).await;
        if let Err(why) = self.on_disk(|dir| Kept::abandon(&dir)).await {
            warn!(
                ?why,
                "the next start takes a config on probation back again"
            );
        }
        self.tell_rolled_back(&old.sha256, &fault).await;
        Err(fault)
    }

    async fn sensors_started(&self) {
        let most = self.house.clock.now().boot + STARTED_WITHIN;
        let starting = || {
            let faces = self.roster.faces();
            faces
                .iter()
                .any(|face| face.health.get().state == State::Starting)
        };
        while starting() && self.house.clock.now().boot < most {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn sight(&self) -> Sight {
        let faces = self.roster.faces().into_iter();
        let sensor = |face: crate::sensor::Face| {
            let health = face.health.get();
            let trouble = (health.state != State::Ok).then(|| health.words.en.to_string());
            (face.name(), trouble)
        };
        Sight {
            sensors: faces.map(sensor).collect(),
            connected: self.link.borrow().state == LinkState::Connected,
        }
    }

    async fn watch(&self, probation: &Probation) -> Result<(), String> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match probation.judge(self.house.clock.now().boot, &self.sight()) {
                Verdict::Undecided => {}
                Verdict::Passed => return Ok(()),
                Verdict::Failed(why) => return Err(why),
            }
        }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(PathBuf) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, ChangeFault> {
        let dir = self.owner.config.outbox.dir.clone();
        let done = spawn_blocking(move || work(dir)).await;
        let done = done.unwrap_or_else(|why| Err(std::io::Error::other(why)));
        done.map_err(|why| {
            let text = format!(
                "the changed config cannot be stored ({why}); the one before is in force; check the box's disk"
            );
            ChangeFault::Storage(text)
        })
    }

    async fn tell_rolled_back(&self, config_sha256: &str, fault: &ChangeFault) {
        let (ChangeFault::RolledBack(reason) | ChangeFault::Storage(reason)) = fault else {
            return;
        };
        warn!(config_sha256, reason, "the config before is in force again");
        let body = Body::ConfigRolledBack(ConfigRolledBack {
            config_sha256: config_sha256.to_owned(),
            reason: reason.clone(),
        });
        tasks::submit(&self.outbox, &self.house.clock, body).await;
    }
}

impl Configurator for LiveConfig {
    fn change<'a>(
        &'a self,
        command: &'a CommandId,
        wish: Wish,
        progress: Progress<'a>,
    ) -> Change<'a> {
        Box::pin(async move {
            let result = self.fulfil(command, wish, progress).await;
            let command = command.to_string();
            let body = match &result {
                Ok(config_sha256) => {
                    info!(config_sha256, command, "another config is in force");
                    Body::ConfigApplied(ConfigApplied {
                        config_sha256: config_sha256.clone(),
                        command,
                    })
                }
                Err(ChangeFault::Invalid(faults)) => Body::ConfigRejected(ConfigRejected {
                    command,
                    faults: faults.clone(),
                }),
                Err(_) => return result,
            };
            tasks::submit(&self.outbox, &self.house.clock, body).await;
            result
        })
    }

    fn cut_off(&self, command: &CommandId) -> Option<Result<String, ChangeFault>> {
        let (committed, sha256) = &self.cut_off.committed;
        if committed == command.as_str() {
            return Some(Ok(sha256.clone()));
        }
        let rolled_back = self.cut_off.rolled_back.as_deref() == Some(command.as_str());
        rolled_back.then(|| Err(ChangeFault::RolledBack(RESTARTED.to_owned())))
    }
}

fn invalid(faults: Faults) -> ChangeFault {
    let texts = faults.0.into_iter().map(|fault| fault.without_file());
    ChangeFault::Invalid(texts.collect())
}
