//! The sensors at work: each on a thread of its own, started again when it fails, replaced when its settings change.

use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::{error, info};

use crate::sensor::{Fitted, Roster};
use crate::stop::Stop;
use crate::supervise::{self, Ended, Restarts};

/// All sensors of the box.
pub struct Fleet {
    restarts: Arc<Restarts>,
    roster: Roster,
    /// `None` once they were stopped for good.
    crew: Mutex<Option<Vec<Member>>>,
}

/// One sensor at work.
struct Member {
    face: crate::sensor::Face,
    settings: String,
    stop: Arc<Stop>,
    thread: std::thread::JoinHandle<()>,
}

impl Fleet {
    /// Nobody yet.
    #[must_use]
    pub fn new(restarts: &Arc<Restarts>, roster: &Roster) -> Self {
        Self {
            restarts: Arc::clone(restarts),
            roster: roster.clone(),
            crew: Mutex::new(Some(Vec::new())),
        }
    }

    /// From now on these sensors work. Those whose settings are the same go on untouched; the others are stopped,
    /// hand over what they hold, and their successors start. After [`Fleet::stop`] nothing happens.
    pub async fn set(&self, wanted: Vec<Fitted>) {
        let mut place = self.crew.lock().await;
        let Some(crew) = place.as_mut() else { return };
        let (mut kept, mut leaving) = (Vec::new(), Vec::new());
        for member in crew.drain(..) {
            let same = |fitted: &Fitted| {
                fitted.face.name() == member.face.name() && fitted.settings == member.settings
            };
            if wanted.iter().any(same) && !member.thread.is_finished() {
                kept.push(member);
            } else {
                leaving.push(member);
            }
        }
        dismiss(leaving).await;
        for fitted in wanted {
            let name = fitted.face.name();
            if kept.iter().any(|member| member.face.name() == name) {
                continue;
            }
            match self.start(fitted) {
                Ok(member) => kept.push(member),
                Err(why) => error!(sensor = name, %why, "no thread for the sensor"),
            }
        }
        self.roster
            .set(kept.iter().map(|member| member.face.clone()).collect());
        *crew = kept;
    }

    fn start(&self, fitted: Fitted) -> std::io::Result<Member> {
        let Fitted {
            face,
            settings,
            mut sensor,
        } = fitted;
        let name = face.name();
        info!(sensor = name, "sensor starts");
        let stop = Arc::new(Stop::default());
        let part = move |stop: &Stop| match sensor.run(stop) {
            Ok(()) => Ended::Done,
            Err(why) => Ended::Failed(why),
        };
        let restarts = Arc::clone(&self.restarts);
        let thread = supervise::thread(&name, Arc::clone(&stop), restarts, part)?;
        Ok(Member {
            face,
            settings,
            stop,
            thread,
        })
    }

    /// For each sensor that should be at work: a number that grows while it is.
    pub async fn signs_of_life(&self) -> Vec<(String, u64)> {
        let crew = self.crew.lock().await;
        let working = crew
            .iter()
            .flatten()
            .filter(|member| !member.thread.is_finished());
        working
            .map(|member| (member.face.name(), member.stop.looks()))
            .collect()
    }

    /// Stops all of them for good; they hand over what they hold.
    pub async fn stop(&self) {
        let crew = self.crew.lock().await.take();
        dismiss(crew.unwrap_or_default()).await;
    }
}

/// Asks all of them first, so that they stop side by side.
async fn dismiss(leaving: Vec<Member>) {
    if leaving.is_empty() {
        return;
    }
    leaving.iter().for_each(|member| member.stop.ask());
    let joined = tokio::task::spawn_blocking(move || {
        for member in leaving {
            let _ = member.thread.join();
        }
    });
    super::join("sensors", joined, super::SENSORS_STOP_WITHIN).await;
}
