//! The Wi-Fi sensor: a capture thread reads frames and keeps up with the kernel, the sensor's own thread counts. The radio
//! may be missing, go away and come back.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use jiff::tz::TimeZone;
use tracing::{info, warn};

use super::counting::Counting;
use super::frame::{self, Probe};
use super::meters::Meters;
use super::radio::{Opener, Radio, RadioError};
use super::settings::Settings;
use crate::clock::{SharedClock, Stamp};
use crate::event::{Body, WifiInterval};
use crate::sensor::{Face, HealthCell, House, Sensor, State};
use crate::stop::Stop;
use crate::words::Words;

/// How often intervals, drops and the wish to stop are looked at.
const LOOK_UP: Duration = Duration::from_millis(250);
/// How many look-ups pass before a radio that is missing is looked for again: 2 s.
const LOOK_AGAIN: u32 = 8;
/// Probe requests between capture and count: a second and a half at 5,000 a second, 400 KB.
const QUEUE: usize = 8192;
/// Larger than any frame with its headers.
const FRAME: usize = 65_536;

/// One radio and everything its events need.
pub struct Listener {
    settings: Settings,
    zone: TimeZone,
    house: House,
    open: Opener,
    health: HealthCell,
    meters: Meters,
}

/// A probe request on its way from the capture thread to the count.
struct Sighting {
    probe: Probe,
    at: Stamp,
}

impl Sensor for Listener {
    fn run(&mut self, stop: &Stop) -> Result<(), String> {
        let now = self.house.clock.now();
        let quality = self.meters.quality();
        let mut counting = Counting::new(&self.settings, &self.zone, now, quality)
            .map_err(|why| why.to_string())?;
        let result = self.work(&mut counting, stop);
        let now = self.house.clock.now();
        let last = counting.finish(now, &self.meters.quality());
        self.meters.devices.set(0.0);
        result.and(self.submit(now, last))
    }
}

impl Listener {
    /// Listens to what `open` opens.
    #[must_use]
    pub fn new(settings: &Settings, house: &House, open: Opener) -> Self {
        Self {
            settings: settings.clone(),
            zone: house.identity.zone.clone(),
            house: house.clone(),
            open,
            health: HealthCell::starting(house.clock.now()),
            meters: Meters::default(),
        }
    }

    /// What others may know of it.
    #[must_use]
    pub fn face(&self) -> Face {
        Face::new(
            "wifi",
            &self.settings.id,
            &self.health,
            self.meters.metrics(),
        )
    }

    /// Opens the radio whenever it can be opened, until `stop`.
    fn work(&self, counting: &mut Counting, stop: &Stop) -> Result<(), String> {
        while !stop.asked() {
            let lost = match (self.open)() {
                Ok(radio) => self.listen(radio, counting, stop)?,
                Err(why) => Some(why),
            };
            if let Some(why) = lost {
                self.trouble(&why);
            }
            for _ in 0..LOOK_AGAIN {
                if stop.wait(LOOK_UP) {
                    break;
                }
                self.tick(counting, self.house.clock.now())?;
            }
        }
        Ok(())
    }

    /// Counts what the radio hears until it fails or `stop` is asked.
    fn listen(
        &self,
        mut radio: Box<dyn Radio>,
        counting: &mut Counting,
        stop: &Stop,
    ) -> Result<Option<RadioError>, String> {
        counting.listening(true, self.house.clock.now());
        self.fine();
        let (sender, queue) = sync_channel(QUEUE);
        let (clock, meters) = (&self.house.clock, &self.meters);
        let over = Stop::default();
        let stopping = || stop.asked() || over.asked();
        let lost = std::thread::scope(|scope| {
            // Whatever ends the count also ends the capture.
            let _over = AskAtTheEnd(&over);
            let capture = std::thread::Builder::new()
                .name(format!("wifi-{}", self.settings.id))
                .spawn_scoped(scope, move || {
                    capture(radio.as_mut(), &sender, meters, clock, stopping)
                })
                .map_err(|why| format!("no thread for the Wi-Fi capture: {why}"))?;
            self.count(queue, counting)?;
            capture
                .join()
                .map_err(|_| "the Wi-Fi capture panicked".to_owned())
        });
        counting.listening(false, self.house.clock.now());
        lost
    }

    /// Counts until the capture thread is gone and the queue is empty.
    fn count(&self, queue: Receiver<Sighting>, counting: &mut Counting) -> Result<(), String> {
        loop {
            match queue.recv_timeout(LOOK_UP) {
                Ok(Sighting { probe, at }) => {
                    self.tick(counting, at)?;
                    let room = counting.saw(&probe, at);
                    self.meters.untracked.add((!room).into());
                }
                Err(RecvTimeoutError::Timeout) => self.tick(counting, self.house.clock.now())?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.meters.devices.set(counting.devices());
        }
    }

    fn tick(&self, counting: &mut Counting, now: Stamp) -> Result<(), String> {
        match counting.tick(now, &self.meters.quality()) {
            Ok(None) => Ok(()),
            Ok(Some(interval)) => self.submit(now, interval),
            Err(why) => Err(why.to_string()),
        }
    }

    fn submit(&self, at: Stamp, interval: WifiInterval) -> Result<(), String> {
        let source = format!("wifi/{}", self.settings.id);
        self.house
            .submit(&source, at, Body::WifiInterval(interval))
            .map_err(|why| why.to_string())
    }

    fn fine(&self) {
        let words = Words::new("listening", "正在监听");
        if self.health.set(State::Ok, words, self.house.clock.now()) {
            info!(wifi = self.settings.id, "Wi-Fi is listening");
        }
    }

    fn trouble(&self, why: &RadioError) {
        let now = self.house.clock.now();
        if self.health.set(State::Trouble, why.words(), now) {
            warn!(wifi = self.settings.id, %why, "Wi-Fi does not listen");
        }
    }
}

/// Asks for the end when it goes out of scope.
struct AskAtTheEnd<'a>(&'a Stop);

impl Drop for AskAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// Reads frames until the radio fails, nobody counts any more, or it should stop and nothing waits.
fn capture(
    radio: &mut dyn Radio,
    sender: &SyncSender<Sighting>,
    meters: &Meters,
    clock: &SharedClock,
    should_stop: impl Fn() -> bool,
) -> Option<RadioError> {
    let mut buffer = vec![0; FRAME];
    let link = radio.link();
    // What waits when the wish comes is still read, but not for ever on a channel that never falls silent.
    let mut last_frames = 10 * QUEUE;
    let mut drops_due = clock.now().boot + LOOK_UP;
    let lost = loop {
        let stopping = should_stop();
        let timeout = if stopping { Duration::ZERO } else { LOOK_UP };
        let heard = match radio.next(&mut buffer, timeout) {
            Ok(Some(length)) => frame::read(link, buffer.get(..length).unwrap_or_default(), 0),
            Ok(None) if stopping => break None,
            Ok(None) => {
                meters.kernel_drops.add(radio.drops());
                continue;
            }
            Err(why) => break Some(why),
        };
        let at = clock.now();
        if at.boot >= drops_due {
            meters.kernel_drops.add(radio.drops());
            drops_due = at.boot + LOOK_UP;
        }
        if let Some(probe) = meters.heard(heard) {
            match sender.try_send(Sighting { probe, at }) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => meters.queue_drops.add(1),
                Err(TrySendError::Disconnected(_)) => break None,
            }
        }
        if stopping {
            last_frames -= 1;
            if last_frames == 0 {
                break None;
            }
        }
    };
    meters.kernel_drops.add(radio.drops());
    lost
}

#[cfg(test)]
mod tests;
