//! Keeps today's tally up to date with the outbox, and on disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::tally::{Placing, Tally};
use crate::clock::SharedClock;
use crate::durable;
use crate::event::{Body, Identity, Stream};
use crate::hours::Hours;
use crate::occupancy::{Inside, PlaceSettings};
use crate::outbox::{OutboxError, Queue, Stored};

/// Events read from the outbox at once.
const AT_ONCE: usize = 500;
const AT_ONCE_BYTES: usize = 256 * 1024;

/// Today's sums, shared by the page and whoever feeds them.
pub struct Today {
    tally: Mutex<Tally>,
    path: PathBuf,
    identity: Identity,
    clock: SharedClock,
    hours: Mutex<Option<Arc<Hours>>>,
}

impl Today {
    /// Starts from the checkpoint in `dir`. A missing or damaged one means counting from what the outbox still holds.
    #[must_use]
    pub fn open(dir: &Path, identity: Identity, clock: SharedClock) -> Self {
        let path = dir.join("today.json");
        let tally = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            tally: Mutex::new(tally),
            path,
            identity,
            clock,
            hours: Mutex::default(),
        }
    }

    /// Takes every durable event that is not in the sums yet; makes them anew, from what the outbox still holds, when the
    /// wall clock was set. For one caller at a time.
    ///
    /// # Errors
    /// The outbox cannot be read; nothing is lost, the next call goes on from there.
    pub fn catch_up(&self, queue: &dyn Queue) -> Result<(), OutboxError> {
        let outdated = self.lock().is_outdated(&self.placing());
        if outdated {
            // Made beside the old sums, of the same events: the page does not wait for the disk.
            let upto = self.lock().sequence();
            let mut anew = Tally::default();
            while let Some(mut events) = read(queue, anew.sequence())? {
                events.retain(|event| event.sequence <= upto);
                if events.is_empty() {
                    break;
                }
                anew.take_all(&events, &self.placing());
            }
            let mut tally = self.lock();
            anew.succeed(&mut tally, &self.placing());
            *tally = anew;
        }
        loop {
            let after = self.lock().sequence();
            let Some(events) = read(queue, after)? else {
                return Ok(());
            };
            self.lock().take_all(&events, &self.placing());
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

    /// What day it is, and that day's sums. See [`Tally::today`].
    #[must_use]
    pub fn now(&self) -> Tally {
        let mut tally = self.lock().clone();
        let today = tally.today(&self.placing());
        tally.turn_to(&today);
        tally
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
    pub fn set_inside(&self, place: Option<&str>, people: u64) -> std::io::Result<bool> {
        let (wall, zone) = (self.clock.now().wall, &self.identity.zone);
        let mut tally = self.lock();
        tally.place_by(&self.placing());
        let known = tally.places_mut().set_inside(place, people, wall, zone);
        drop(tally);
        if known {
            self.checkpoint()?;
        }
        Ok(known)
    }

    /// Follows the time; returns the occupancy intervals that are over: place and event. `last`: the daemon leaves.
    #[must_use]
    pub fn intervals(&self, last: bool) -> Vec<(String, Body)> {
        let hours = self
            .hours
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (now, placing) = (self.clock.now(), self.placing());
        let mut tally = self.lock();
        tally.set_places_right(&placing);
        let places = tally.places_mut();
        if last {
            places.close(now, &self.identity, hours.as_ref())
        } else {
            places.tick(now, &self.identity, hours.as_ref())
        }
    }

    fn placing(&self) -> Placing<'_> {
        Placing::new(&self.identity, self.clock.now())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next events of the count stream; `None` when there are none.
fn read(queue: &dyn Queue, after: u64) -> Result<Option<Vec<Stored>>, OutboxError> {
    let events = queue.read(Stream::Count, after, AT_ONCE, AT_ONCE_BYTES)?;
    Ok((!events.is_empty()).then_some(events))
}
