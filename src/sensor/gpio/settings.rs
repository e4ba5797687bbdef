//! `[gpio]` of the config.

use std::collections::BTreeSet;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::LineSpec;
use crate::sensor::{Flaw, is_id};

/// The LED's id among the sensors; no door, beam or button may have it.
pub(super) const LED_ID: &str = "led";
/// Far above what any board has.
const HIGHEST_PIN: u32 = 1023;

/// `[gpio]`: what is wired to the board's pins.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    pub backend: Backend,
    /// The chip's device, for every backend but `rppal`.
    pub chip: PathBuf,
    pub door: Vec<Door>,
    pub beam: Vec<Beam>,
    pub button: Vec<Button>,
    pub led: Option<Led>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            chip: "/dev/gpiochip0".into(),
            door: Vec::new(),
            beam: Vec::new(),
            button: Vec::new(),
            led: None,
        }
    }
}

/// How the pins are reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// `rppal` on a Raspberry Pi, `gpiocdev` on every other board.
    #[default]
    Auto,
    /// A Raspberry Pi's registers.
    Rppal,
    /// The kernel's character device.
    Gpiocdev,
    /// No hardware: lines that tests and the demo drive.
    Fake,
}

/// The level that means "active".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Polarity {
    High,
    Low,
}

impl Polarity {
    /// Whether a line at this level is active.
    #[must_use]
    pub fn active(self, high: bool) -> bool {
        high == (self == Self::High)
    }
}

/// The resistor inside the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    Up,
    Down,
    None,
}

/// `[[gpio.door]]`: a contact that tells whether a door is open.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Door {
    /// `[a-z0-9-]{1,32}`, unique among doors, beams and buttons.
    pub id: String,
    pub pin: u32,
    /// The level while the door is open.
    #[serde(default = "high")]
    pub active: Polarity,
    #[serde(default = "up")]
    pub pull: Pull,
}

/// `[[gpio.beam]]`: two light beams across a passage, one behind the other.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Beam {
    /// `[a-z0-9-]{1,32}`, unique among doors, beams and buttons.
    pub id: String,
    /// Pin of the beam that somebody who comes in breaks first.
    pub outer: u32,
    /// Pin of the other one.
    pub inner: u32,
    /// The level while a beam is broken.
    #[serde(default = "low")]
    pub active: Polarity,
    #[serde(default = "up")]
    pub pull: Pull,
}

/// `[[gpio.button]]`: a push button.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Button {
    /// `[a-z0-9-]{1,32}`, unique among doors, beams and buttons.
    pub id: String,
    pub pin: u32,
    /// The level while it is pressed.
    #[serde(default = "low")]
    pub active: Polarity,
    #[serde(default = "up")]
    pub pull: Pull,
}

/// `[gpio.led]`: a light that shows how the box is doing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Led {
    pub pin: u32,
    /// The level that lights it.
    #[serde(default = "high")]
    pub active: Polarity,
}

fn high() -> Polarity {
    Polarity::High
}

fn low() -> Polarity {
    Polarity::Low
}

fn up() -> Pull {
    Pull::Up
}

impl Door {
    pub(super) fn line(&self) -> LineSpec {
        LineSpec {
            pin: self.pin,
            pull: self.pull,
            active: self.active,
        }
    }
}

impl Button {
    pub(super) fn line(&self) -> LineSpec {
        LineSpec {
            pin: self.pin,
            pull: self.pull,
            active: self.active,
        }
    }
}

impl Beam {
    /// Outer, then inner.
    pub(super) fn lines(&self) -> Vec<LineSpec> {
        let line = |pin| LineSpec {
            pin,
            pull: self.pull,
            active: self.active,
        };
        vec![line(self.outer), line(self.inner)]
    }
}

impl Settings {
    /// What is wrong with them.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let doors = self.door.iter().map(|door| &door.id);
        let beams = self.beam.iter().map(|beam| &beam.id);
        let buttons = self.button.iter().map(|button| &button.id);
        let ids = keyed("door", doors)
            .chain(keyed("beam", beams))
            .chain(keyed("button", buttons));
        let mut seen = BTreeSet::new();
        for (key, id) in ids {
            if !is_id(id) || id == LED_ID {
                let expected = "expected 1 to 32 of a-z, 0-9 and -, and not \"led\"";
                flaws.push((format!("{key}.id"), expected.to_owned()));
            } else if !seen.insert(id) {
                let expected = "another door, beam or button has this id already; ids are unique";
                flaws.push((format!("{key}.id"), expected.to_owned()));
            }
        }
        let mut taken = BTreeSet::new();
        for (key, pin) in self.pins() {
            if pin > HIGHEST_PIN {
                flaws.push((key, format!("expected a line's number, 0 to {HIGHEST_PIN}")));
            } else if !taken.insert(pin) {
                let expected = "this pin is used above already; every line needs its own";
                flaws.push((key, expected.to_owned()));
            }
        }
        flaws
    }

    /// Every pin with its key.
    fn pins(&self) -> Vec<(String, u32)> {
        let mut pins = Vec::new();
        let doors = self.door.iter().map(|door| door.pin);
        pins.extend(keyed("door", doors).map(|(key, pin)| (format!("{key}.pin"), pin)));
        for (index, beam) in self.beam.iter().enumerate() {
            pins.push((format!("beam[{index}].outer"), beam.outer));
            pins.push((format!("beam[{index}].inner"), beam.inner));
        }
        let buttons = self.button.iter().map(|button| button.pin);
        pins.extend(keyed("button", buttons).map(|(key, pin)| (format!("{key}.pin"), pin)));
        pins.extend(self.led.iter().map(|led| ("led.pin".to_owned(), led.pin)));
        pins
    }
}

fn keyed<T>(name: &str, all: impl Iterator<Item = T>) -> impl Iterator<Item = (String, T)> {
    all.enumerate()
        .map(move |(index, one)| (format!("{name}[{index}]"), one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn defaults_fit_a_contact_to_ground_with_the_chips_own_pull_up() {
        let settings =
            read("[[door]]\nid = \"front\"\npin = 17\n[[button]]\nid = \"bell\"\npin = 27\n");
        assert_eq!(settings.backend, Backend::Auto);
        let door = settings.door[0].line();
        assert_eq!((door.active, door.pull), (Polarity::High, Pull::Up));
        let button = settings.button[0].line();
        assert_eq!((button.active, button.pull), (Polarity::Low, Pull::Up));
        assert!(settings.flaws().is_empty());
        assert!(Settings::default().flaws().is_empty());
    }

    #[test]
    fn ids_and_pins_that_are_taken_or_impossible_are_named_by_their_key() {
        let settings = read(
            "[[door]]\nid = \"front\"\npin = 17\n[[door]]\nid = \"Back\"\npin = 5000\n\
             [[beam]]\nid = \"front\"\nouter = 5\ninner = 5\n[[button]]\nid = \"led\"\npin = 6\n[led]\npin = 17\n",
        );
        let keys: Vec<_> = settings.flaws().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "door[1].id",
                "beam[0].id",
                "button[0].id",
                "door[1].pin",
                "beam[0].inner",
                "led.pin"
            ]
        );
    }
}
