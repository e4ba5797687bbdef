//! Keeps today's tally up to date with the outbox, and on disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;

use super::tally::{LineDay, Tally};
use crate::clock::Stamp;
use crate::durable;
use crate::event::{Body, Identity, Stream};
use crate::hours::Hours;
use crate::occupancy::{Inside, PlaceSettings};
use crate::outbox::{OutboxError, Queue};

/// Events read from the outbox at once.
const AT_ONCE: usize = 500;
const AT_ONCE_BYTES: usize = 256 * 1024;

/// Today's sums, shared by the page and whoever feeds them.
pub struct Today {
    tally: Mutex<Tally>,
    path: PathBuf,
    /// The shop's time zone.
    zone: TimeZone,
    hours: Mutex<Option<Arc<Hours>>>,
}

impl Today {
    /// Starts from the checkpoint in `dir`. A missing or damaged one means counting from what the outbox still holds.
    #[must_use]
    pub fn open(dir: &Path, zone: TimeZone) -> Self {
        let path = dir.join("today.json");
        let tally = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            tally: Mutex::new(tally),
            path,
            zone,
            hours: Mutex::default(),
        }
    }

    /// Takes every durable event that is not in the sums yet.
    ///
    /// # Errors
    /// The outbox cannot be read; nothing is lost, the next call goes on from there.
    pub fn catch_up(&self, queue: &dyn Queue) -> Result<(), OutboxError> {
        loop {
            let after = self.lock().sequence();
            let events = queue.read(Stream::Count, after, AT_ONCE, AT_ONCE_BYTES)?;
            if events.is_empty() {
                return Ok(());
            }
            let mut tally = self.lock();
            for event in &events {
                tally.take(event.sequence, &event.bytes, &self.zone);
            }
        }
    }

    /// Writes the checkpoint.
    ///
    /// # Errors
    /// I/O; the older checkpoint stays.
    pub fn checkpoint(&self) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(&*self.lock())?;
        durable::write(&self.path, &bytes)
    }

    /// The day's crossings of one line; zero when the day has turned since the last crossing.
    #[must_use]
    pub fn line(&self, day: &str, camera: &str, line: &str) -> LineDay {
        let tally = self.lock();
        if tally.day() == day {
            tally.line(camera, line)
        } else {
            LineDay::default()
        }
    }

    /// The day's visits to one zone; zero when the day has turned since the last one.
    #[must_use]
    pub fn zone(&self, day: &str, camera: &str, zone: &str) -> u64 {
        let tally = self.lock();
        if tally.day() == day {
            tally.zone(camera, zone)
        } else {
            0
        }
    }

    /// From now on these are the places (none: the shop, with all lines) and the opening hours.
    pub fn set_places(&self, places: Vec<PlaceSettings>, hours: Option<Arc<Hours>>) {
        *self.hours.lock().unwrap_or_else(PoisonError::into_inner) = hours;
        self.lock().places_mut().set(places);
    }

    /// Who is inside, by place, in the order of the config; there is always one.
    #[must_use]
    pub fn inside(&self) -> Vec<Inside> {
        self.lock().places().inside()
    }

    /// From now on so many people are inside `place` (`None`: the first), and the crossings that follow count from there.
    /// Durable. False when there is no such place.
    ///
    /// # Errors
    /// I/O; it then holds until a restart.
    pub fn set_inside(
        &self,
        place: Option<&str>,
        people: u64,
        now: Stamp,
    ) -> std::io::Result<bool> {
        let known = self
            .lock()
            .places_mut()
            .set_inside(place, people, now.wall, &self.zone);
        if known {
            self.checkpoint()?;
        }
        Ok(known)
    }

    /// Follows the time; returns the occupancy intervals that are over: place and event. `last`: the daemon leaves.
    #[must_use]
    pub fn intervals(&self, now: Stamp, identity: &Identity, last: bool) -> Vec<(String, Body)> {
        let hours = self
            .hours
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut tally = self.lock();
        let places = tally.places_mut();
        if last {
            places.close(now, identity, hours.as_ref())
        } else {
            places.tick(now, identity, hours.as_ref())
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
