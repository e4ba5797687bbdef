//! The `[[wifi]]` section of the config.

use jiff::civil::DateTime;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::sensor::Flaw;

/// Longest name of a network interface on Linux (`IFNAMSIZ` less the closing zero).
const LONGEST_INTERFACE: usize = 15;
/// What a received signal can be, dBm.
const SIGNALS: std::ops::RangeInclusive<i8> = -100..=-20;
/// Interval lengths that divide an hour, and are long enough for a visit.
const INTERVALS: [u32; 6] = [5, 10, 15, 20, 30, 60];

/// `[[wifi]]`: one Wi-Fi adapter that listens.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// `[a-z0-9-]{1,32}`, unique.
    pub id: String,
    /// The network interface in monitor mode, such as `mon0`.
    pub interface: String,
    /// Signal from which a sender is near enough to be in the shop, dBm, -100..=-20.
    #[serde(default = "near")]
    pub visitor_rssi: i8,
    /// Length of `wifi.interval`, minutes: 5, 10, 15, 20, 30 or 60.
    #[serde(default = "quarter")]
    pub interval_min: u32,
    /// How often the secret that disguises addresses is replaced.
    #[serde(default)]
    pub pepper: Rotation,
}

fn near() -> i8 {
    -75
}

fn quarter() -> u32 {
    15
}

/// How often the secret that disguises addresses is replaced. With it everything remembered is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// At the shop's midnight.
    #[default]
    Daily,
    /// At every full hour of the shop's clock.
    Hourly,
}

impl Rotation {
    /// What is the same for all moments that may share one secret.
    #[must_use]
    pub fn period_of(self, local: DateTime) -> DateTime {
        let hour = match self {
            Self::Daily => 0,
            Self::Hourly => local.hour(),
        };
        local.date().at(hour, 0, 0, 0)
    }
}

impl Settings {
    /// The defaults, for a recording when the config has no `[[wifi]]`.
    #[must_use]
    pub fn for_recordings() -> Self {
        Self {
            id: "recording".to_owned(),
            interface: String::new(),
            visitor_rssi: near(),
            interval_min: quarter(),
            pepper: Rotation::default(),
        }
    }

    /// What is wrong with it, but for the id, which the config looks at.
    #[must_use]
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut flaw =
            |key: &str, expected: &str| flaws.push((key.to_owned(), expected.to_owned()));
        // The name becomes part of a path below /sys.
        let strange = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        let name = self.interface.as_str();
        if name.is_empty()
            || name.len() > LONGEST_INTERFACE
            || name.contains(strange)
            || [".", ".."].contains(&name)
        {
            flaw(
                "interface",
                "expected the name of a network interface in monitor mode, such as \"mon0\" (`ip link` lists them)",
            );
        }
        if !SIGNALS.contains(&self.visitor_rssi) {
            flaw("visitor_rssi", "expected a signal of -100 to -20 (dBm)");
        }
        if !INTERVALS.contains(&self.interval_min) {
            flaw("interval_min", "expected 5, 10, 15, 20, 30 or 60 (minutes)");
        }
        flaws
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_only_id_and_interface_when_read_then_the_defaults_are_the_documented_ones() {
        let settings: Settings = toml::from_str("id = \"a\"\ninterface = \"mon0\"").unwrap();
        assert_eq!(
            (
                settings.visitor_rssi,
                settings.interval_min,
                settings.pepper
            ),
            (-75, 15, Rotation::Daily)
        );
        assert_eq!(settings.flaws(), []);
    }

    #[test]
    fn given_values_out_of_range_when_checked_then_each_is_named_once() {
        let text = "id = \"a\"\ninterface = \"../x\"\nvisitor_rssi = 5\ninterval_min = 7";
        let settings: Settings = toml::from_str(text).unwrap();
        let keys: Vec<_> = settings.flaws().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["interface", "visitor_rssi", "interval_min"]);
    }

    #[test]
    fn given_two_moments_when_one_is_past_midnight_then_they_share_no_pepper() {
        let at = |text: &str| text.parse::<DateTime>().unwrap();
        let (late, later, next) = (
            at("2026-11-21T22:59:59"),
            at("2026-11-21T23:59:59"),
            at("2026-11-22T00:00:00"),
        );
        assert_eq!(
            Rotation::Daily.period_of(late),
            Rotation::Daily.period_of(later)
        );
        assert_ne!(
            Rotation::Daily.period_of(later),
            Rotation::Daily.period_of(next)
        );
        assert_ne!(
            Rotation::Hourly.period_of(late),
            Rotation::Hourly.period_of(later)
        );
    }
}
