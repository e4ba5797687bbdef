//! The status LED: what it shows, as a function of time, and the sensor that drives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::settings::{LED_ID, Led};
use super::{Chip, DigitalOut, PinError};
use crate::sensor::reopen::Waits;
use crate::sensor::{Face, Fitted, HealthCell, House, Sensor, State};
use crate::stop::Stop;
use crate::words::Words;

/// How the whole box is doing, for people who only see a light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// Not everything has begun to work yet.
    #[default]
    Starting,
    /// Everything works.
    Ok,
    /// Everything here works; the cloud cannot be reached and events wait.
    NoCloud,
    /// Something needs a technician; the page says what.
    Trouble,
}

/// The mood, shared: the app sets it, the LED shows it.
#[derive(Clone, Debug, Default)]
pub struct MoodCell(Arc<AtomicU8>);

impl MoodCell {
    const ALL: [Mood; 4] = [Mood::Starting, Mood::Ok, Mood::NoCloud, Mood::Trouble];

    pub fn set(&self, mood: Mood) {
        self.0.store(mood as u8, Ordering::Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> Mood {
        let index = usize::from(self.0.load(Ordering::Relaxed));
        Self::ALL.get(index).copied().unwrap_or_default()
    }
}

impl Mood {
    /// The pattern: phases in milliseconds, lit first, then dark and lit in turn; it repeats.
    ///
    /// Never lit for ever and never dark for ever: a light that stands still means that footfall does not run.
    const fn phases(self) -> &'static [u64] {
        match self {
            Self::Starting => &[100, 100],
            Self::Ok => &[1900, 100],
            Self::NoCloud => &[1000, 1000],
            Self::Trouble => &[150, 150, 150, 1050],
        }
    }

    /// Whether the LED is lit at `at`, and how long it stays so.
    #[must_use]
    pub fn light(self, at: Duration) -> (bool, Duration) {
        let phases = self.phases();
        let whole: u64 = phases.iter().sum();
        let mut into = at.as_millis() as u64 % whole.max(1);
        for (index, phase) in phases.iter().enumerate() {
            if into < *phase {
                return (index % 2 == 0, Duration::from_millis(phase - into));
            }
            into -= phase;
        }
        (false, Duration::from_millis(whole))
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Starting => ("quick blinking: the box is starting", "快闪：正在启动"),
            Self::Ok => (
                "steady with a short wink: all is well",
                "常亮并短暂熄灭：一切正常",
            ),
            Self::NoCloud => (
                "slow blinking: no cloud, events wait here",
                "慢闪：云端不通，事件暂存本机",
            ),
            Self::Trouble => (
                "double flash: something needs you, see this page",
                "双闪：需要处理，请看本页",
            ),
        }
    }
}

/// The LED at work.
pub(super) struct StatusLed {
    settings: Led,
    mood: MoodCell,
    house: House,
    chip: Arc<dyn Chip>,
    health: HealthCell,
}

impl StatusLed {
    pub fn fitted(
        led: &Led,
        house: &House,
        mood: &MoodCell,
        chip: &Arc<dyn Chip>,
        settings: String,
    ) -> Fitted {
        let health = HealthCell::starting(house.clock.now());
        let face = Face::new("gpio", LED_ID, &health, Vec::new());
        let sensor = Self {
            settings: led.clone(),
            mood: mood.clone(),
            house: house.clone(),
            chip: Arc::clone(chip),
            health,
        };
        Fitted {
            face,
            settings,
            sensor: Box::new(sensor),
        }
    }

    /// Shows the mood until `stop`; then the LED is dark.
    fn show(&self, out: &mut dyn DigitalOut, stop: &Stop) -> Result<(), PinError> {
        while !stop.asked() {
            let now = self.house.clock.now();
            let mood = self.mood.get();
            let (lit, stays) = mood.light(now.boot);
            out.set(self.settings.active.active(lit))?;
            let (en, zh) = mood.words();
            if self.health.set(State::Ok, Words::new(en, zh), now) {
                info!(gpio = LED_ID, shows = ?mood, "LED");
            }
            stop.wait(stays);
        }
        out.set(self.settings.active.active(false))
    }
}

impl Sensor for StatusLed {
    fn run(&mut self, stop: &Stop) -> Result<(), String> {
        let mut waits = Waits::default();
        while !stop.asked() {
            let opened = self.chip.output(self.settings.pin);
            let shown = opened.and_then(|mut out| {
                waits.reset();
                self.show(out.as_mut(), stop)
            });
            if let Err(why) = shown {
                let now = self.house.clock.now();
                if self.health.set(State::Trouble, why.words(), now) {
                    warn!(gpio = LED_ID, %why, "no LED");
                }
                stop.wait(waits.next_wait());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pattern over `millis`, one letter for each 50 ms.
    fn drawn(mood: Mood, millis: u64) -> String {
        (0..millis / 50)
            .map(|step| {
                if mood.light(Duration::from_millis(step * 50)).0 {
                    '#'
                } else {
                    '.'
                }
            })
            .collect()
    }

    #[test]
    fn each_mood_has_a_pattern_that_can_be_told_from_the_others_within_two_seconds() {
        assert_eq!(drawn(Mood::Starting, 800), "##..##..##..##..");
        assert_eq!(drawn(Mood::Trouble, 1500), "###...###.....................");
        assert_eq!(drawn(Mood::NoCloud, 2000), "#".repeat(20) + &".".repeat(20));
        assert_eq!(drawn(Mood::Ok, 2000), "#".repeat(38) + "..");
    }

    #[test]
    fn the_time_a_light_stays_ends_exactly_where_it_changes() {
        for mood in MoodCell::ALL {
            let mut at = Duration::from_millis(12_345_678);
            for _ in 0..50 {
                let (lit, stays) = mood.light(at);
                assert!(!stays.is_zero());
                assert_eq!(
                    mood.light(at + stays - Duration::from_millis(1)).0,
                    lit,
                    "{mood:?}"
                );
                at += stays;
                assert_ne!(mood.light(at).0, lit, "{mood:?} at {at:?}");
            }
        }
    }

    #[test]
    fn the_cell_gives_back_what_was_set() {
        let cell = MoodCell::default();
        assert_eq!(cell.get(), Mood::Starting);
        for mood in MoodCell::ALL {
            cell.set(mood);
            assert_eq!(cell.clone().get(), mood);
        }
    }
}
