//! What sees the shop. Sensors know [`crate::event`] and [`crate::clock`], nothing else of the house.

pub mod camera;
pub mod counting;
pub mod vision;

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::clock::Stamp;

/// How a sensor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not ready yet.
    Starting,
    /// It works.
    Ok,
    /// It does not; the words say what to do.
    Trouble,
}

/// A sensor's state in plain words, and since when.
#[derive(Clone, Debug)]
pub struct Health {
    pub state: State,
    /// For a technician: what is the matter and what to do.
    pub words: String,
    pub since: Stamp,
}

/// A sensor's health, shared with whoever shows it.
#[derive(Clone)]
pub struct HealthCell(Arc<Mutex<Health>>);

impl HealthCell {
    /// A sensor that is starting.
    #[must_use]
    pub fn starting(now: Stamp) -> Self {
        let words = "starting".to_owned();
        Self(Arc::new(Mutex::new(Health {
            state: State::Starting,
            words,
            since: now,
        })))
    }

    /// Sets the state; returns whether state or words changed. `since` moves only with the state.
    pub fn set(&self, state: State, words: &str, now: Stamp) -> bool {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if health.state == state && health.words == words {
            return false;
        }
        if health.state != state {
            health.since = now;
        }
        health.state = state;
        words.clone_into(&mut health.words);
        true
    }

    /// A copy.
    #[must_use]
    pub fn get(&self) -> Health {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
