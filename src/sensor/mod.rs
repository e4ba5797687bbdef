//! What sees the shop. Sensors know [`crate::event`], [`crate::clock`] and the small words they share with the page
//! ([`crate::words`], [`crate::metric`], [`crate::stop`]), nothing else of the house.
//!
//! Every kind of sensor has the same shape: its folder reads its own section of the config into settings, and a
//! function `fit` turns them into [`Fitted`] sensors. The app starts, restarts, replaces and stops all of them alike.

pub mod camera;
pub mod counting;
pub mod gpio;
pub mod reopen;
pub mod scanner;
pub mod vision;
pub mod wifi;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use schemars::JsonSchema;
use serde::Serialize;

use self::camera::preview::PreviewCell;
use self::counting::ZoneNames;
use crate::clock::{SharedClock, Stamp};
use crate::event::{Body, Draft, Identity, Sink, SinkClosed};
use crate::metric::Metric;
use crate::stop::Stop;
use crate::words::Words;

/// A sensor at work.
///
/// It runs on a thread of its own. A device that is missing is no error: the sensor says so in its health, waits and
/// tries again, because it may be plugged in later.
pub trait Sensor: Send {
    /// Works until `stop` is asked, hands over what it still holds (an open interval, a track that ends), and returns.
    /// Called again after a failure or a panic.
    ///
    /// # Errors
    /// What the sensor cannot help itself with; it is started again, later each time.
    fn run(&mut self, stop: &Stop) -> Result<(), String>;
}

/// A sensor that is ready to be started.
pub struct Fitted {
    pub face: Face,
    /// What it was fitted from. When the config changes, sensors whose settings are the same go on untouched; the
    /// others are stopped and fitted anew.
    pub settings: String,
    pub sensor: Box<dyn Sensor>,
}

/// What others may know of a sensor while it works.
#[derive(Clone)]
pub struct Face {
    /// `camera`, `wifi`, `scanner`, `gpio`.
    pub kind: &'static str,
    /// Unique within its kind.
    pub id: String,
    pub health: HealthCell,
    pub metrics: Vec<Metric>,
    /// The counting lines, for cameras.
    pub lines: Vec<String>,
    /// The zones, for cameras.
    pub zones: Vec<ZoneNames>,
    /// What it sees, for cameras.
    pub preview: Option<PreviewCell>,
}

impl Face {
    /// A sensor that has no lines and no picture: every kind but cameras.
    #[must_use]
    pub fn new(
        kind: &'static str,
        id: impl Into<String>,
        health: &HealthCell,
        metrics: Vec<Metric>,
    ) -> Self {
        Self {
            kind,
            id: id.into(),
            health: health.clone(),
            metrics,
            lines: Vec::new(),
            zones: Vec::new(),
            preview: None,
        }
    }

    /// `kind/id`: the event's source below the box, and the part's name in logs.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }
}

/// All sensors that are at work, for those who show them; nobody has said which until the first [`Roster::set`].
#[derive(Clone, Default)]
pub struct Roster(Arc<RwLock<Option<Vec<Face>>>>);

impl Roster {
    /// A copy of the list.
    #[must_use]
    pub fn faces(&self) -> Vec<Face> {
        let faces = self.0.read().unwrap_or_else(PoisonError::into_inner);
        faces.clone().unwrap_or_default()
    }

    /// Whether the list has been made; it may be empty.
    #[must_use]
    pub fn set_up(&self) -> bool {
        let faces = self.0.read().unwrap_or_else(PoisonError::into_inner);
        faces.is_some()
    }

    /// Another list.
    pub fn set(&self, faces: Vec<Face>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(faces);
    }
}

/// What every sensor gets from the house.
#[derive(Clone)]
pub struct House {
    pub identity: Identity,
    pub clock: SharedClock,
    pub sink: Arc<dyn Sink>,
}

impl House {
    /// Hands over one event of the part `source` (`kind/id`). The receipt is not waited for: the outbox numbers events
    /// in the order they were handed over.
    ///
    /// # Errors
    /// The outbox is closed: the daemon is leaving.
    pub fn submit(&self, source: &str, at: Stamp, body: Body) -> Result<(), SinkClosed> {
        let source = source.to_owned();
        self.sink.submit(Draft { source, at, body }).map(drop)
    }
}

/// What an id of the config is: 1 to 32 of a-z, 0-9 and `-`; it is part of event sources and of the page's addresses.
#[must_use]
pub fn is_id(id: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&id.len()) && id.bytes().all(fine)
}

/// What is wrong with a key of a sensor's settings: the key relative to the section, and what was expected.
pub type Flaw = (String, String);

/// How a sensor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
    pub words: Words,
    pub since: Stamp,
}

/// A sensor's health, shared with whoever shows it.
#[derive(Clone)]
pub struct HealthCell(Arc<Mutex<Health>>);

impl HealthCell {
    /// A sensor that is starting.
    #[must_use]
    pub fn starting(now: Stamp) -> Self {
        Self(Arc::new(Mutex::new(Health {
            state: State::Starting,
            words: Words::new("starting", "正在启动"),
            since: now,
        })))
    }

    /// Sets the state; returns whether state or words changed. `since` moves only with the state.
    pub fn set(&self, state: State, words: impl Into<Words>, now: Stamp) -> bool {
        let words = words.into();
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if health.state == state && health.words == words {
            return false;
        }
        if health.state != state {
            health.since = now;
        }
        health.state = state;
        health.words = words;
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
