//! `[[scanner]]` of the config.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::layout::Layout;
use super::rules::Rules;
use super::touchpoint::{self, Place};
use crate::sensor::{Flaw, is_id};

/// What serial scanners can be set to.
const BAUDS: [u32; 9] = [
    1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400,
];

/// `[[scanner]]`: one scanner; either `device` or `hid`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// `[a-z0-9-]{1,32}`, unique.
    pub id: String,
    /// A serial line, by a path that stays the same: `/dev/serial/by-id/…`.
    pub device: Option<PathBuf>,
    /// A scanner that types like a keyboard: `/dev/input/by-id/…-event-kbd`.
    pub hid: Option<PathBuf>,
    /// Speed of the serial line, bits a second; scanners on USB ignore it.
    #[serde(default = "baud")]
    pub baud: u32,
    #[serde(default)]
    pub parity: Parity,
    /// The keyboard that the scanner pretends to be.
    #[serde(default)]
    pub layout: Layout,
    /// The same code again within so many milliseconds is the same scan, 0..=10000.
    #[serde(default = "window_ms")]
    pub window_ms: u32,
    /// A code is complete after so many milliseconds of silence, if no line end said so before; 20..=2000.
    #[serde(default = "idle_ms")]
    pub idle_ms: u32,
    /// Which code hangs where; the first entry that fits decides.
    #[serde(default)]
    pub touchpoint: Vec<Place>,
    #[serde(default)]
    pub rule: Rules,
}

fn baud() -> u32 {
    9600
}

fn window_ms() -> u32 {
    500
}

fn idle_ms() -> u32 {
    80
}

/// Parity of the serial line; always 8 data bits and 1 stop bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parity {
    #[default]
    None,
    Even,
    Odd,
}

impl Settings {
    #[must_use]
    pub(super) fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms.into())
    }

    #[must_use]
    pub(super) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms.into())
    }

    /// What is wrong with all scanners together, with keys that begin at the list's index: `[0].id`.
    #[must_use]
    pub fn flaws(all: &[Self]) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let (mut ids, mut paths) = (BTreeSet::new(), BTreeSet::new());
        for (index, one) in all.iter().enumerate() {
            let mut add = |key: &str, expected: &str| {
                flaws.push((format!("[{index}].{key}"), expected.to_owned()));
            };
            if !is_id(&one.id) {
                add("id", "expected 1 to 32 of a-z, 0-9 and -");
            } else if !ids.insert(&one.id) {
                add("id", "another scanner has this id already; ids are unique");
            }
            match (&one.device, &one.hid) {
                (None, None) => add(
                    "device",
                    "missing; expected a serial line such as \"/dev/serial/by-id/…\", or `hid` for a scanner that types",
                ),
                (Some(_), Some(_)) => {
                    add("hid", "a scanner has either `device` or `hid`; remove one")
                }
                (Some(path), None) if !paths.insert(path) => {
                    add("device", "another scanner uses this path already");
                }
                (None, Some(path)) if !paths.insert(path) => {
                    add("hid", "another scanner uses this path already");
                }
                _ => {}
            }
            if !BAUDS.contains(&one.baud) {
                add(
                    "baud",
                    "expected 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200 or 230400",
                );
            }
            if one.window_ms > 10_000 {
                add("window_ms", "expected a number 0 to 10000");
            }
            if !(20..=2000).contains(&one.idle_ms) {
                add("idle_ms", "expected a number 20 to 2000");
            }
            let more = touchpoint::flaws(&one.touchpoint)
                .into_iter()
                .chain(one.rule.flaws());
            flaws.extend(more.map(|(key, expected)| (format!("[{index}].{key}"), expected)));
        }
        flaws
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Section {
        scanner: Vec<Settings>,
    }

    fn read(text: &str) -> Vec<Settings> {
        toml::from_str::<Section>(text).unwrap().scanner
    }

    #[test]
    fn a_path_is_enough_and_the_rest_has_defaults() {
        let all = read("[[scanner]]\nid = \"till\"\ndevice = \"/dev/serial/by-id/usb-x\"\n");
        assert_eq!(Settings::flaws(&all), []);
        assert_eq!(
            (all[0].baud, all[0].parity, all[0].layout),
            (9600, Parity::None, Layout::Us)
        );
        assert_eq!((all[0].window_ms, all[0].idle_ms), (500, 80));
    }

    #[test]
    fn each_fault_is_named_by_its_key() {
        let all = read(
            "[[scanner]]\nid = \"till\"\ndevice = \"/a\"\nbaud = 9601\nwindow_ms = 10001\n\
             [[scanner]]\nid = \"till\"\nhid = \"/a\"\nidle_ms = 10\n\
             [[scanner]]\nid = \"Till 2\"\n\
             [[scanner]]\nid = \"both\"\ndevice = \"/c\"\nhid = \"/d\"\n\
             [[scanner.touchpoint]]\nid = \"a b\"\nkind = \"till\"\n",
        );
        let keys: Vec<_> = Settings::flaws(&all)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(
            keys,
            [
                "[0].baud",
                "[0].window_ms",
                "[1].id",
                "[1].hid",
                "[1].idle_ms",
                "[2].id",
                "[2].device",
                "[3].hid",
                "[3].touchpoint[0].id",
            ]
        );
    }
}
