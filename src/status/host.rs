//! The machine below the daemon: temperature, memory, names. Read anew for each report; what is missing is left out.

use std::fs;

use schemars::JsonSchema;
use serde::Serialize;

/// Zones that are looked at; boards have a handful.
const MOST_ZONES: usize = 64;
/// Above this a board soon slows itself down, °C.
pub const HOT_C: f64 = 80.0;

/// Facts about the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct HostReport {
    /// The hottest sensor of the board, °C.
    pub temperature_c: Option<f64>,
    /// What the board's firmware says about its power and speed; on a Raspberry Pi only.
    pub throttling: Option<Throttling>,
    /// The whole memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Memory that programs can still have, bytes.
    pub memory_available_bytes: Option<u64>,
    /// The operating system's name.
    pub os: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
}

/// Why a board is slower than it could be, at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Throttling {
    /// The supply's voltage is too low.
    pub under_voltage: bool,
    /// The board has slowed itself down.
    pub slowed: bool,
}

impl Throttling {
    /// The firmware's bits, hexadecimal: 0 under-voltage, 1 frequency capped, 2 throttled, 3 soft temperature limit
    /// (Raspberry Pi documentation, `vcgencmd get_throttled`). Those from 16 on are about the past.
    fn from_bits(text: &str) -> Option<Self> {
        let text = text.trim();
        let bits = u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()?;
        Some(Self {
            under_voltage: bits & 1 != 0,
            slowed: bits & 0b1110 != 0,
        })
    }
}

impl HostReport {
    /// Looks once.
    #[must_use]
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok();
        let memory = text("/proc/meminfo").unwrap_or_default();
        Self {
            temperature_c: temperature(),
            throttling: text("/sys/devices/platform/soc/soc:firmware/get_throttled")
                .and_then(|bits| Throttling::from_bits(&bits)),
            memory_bytes: meminfo(&memory, "MemTotal"),
            memory_available_bytes: meminfo(&memory, "MemAvailable"),
            os: text("/etc/os-release").and_then(|text| os_name(&text)),
            kernel: text("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        }
    }
}

/// The hottest of `/sys/class/thermal/thermal_zone*/temp`, which are millidegrees (kernel, sysfs-class-thermal).
fn temperature() -> Option<f64> {
    fs::read_dir("/sys/class/thermal")
        .ok()?
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("thermal_zone")
        })
        .take(MOST_ZONES)
        .filter_map(|zone| celsius(&fs::read_to_string(zone.path().join("temp")).ok()?))
        .max_by(f64::total_cmp)
}

fn celsius(millidegrees: &str) -> Option<f64> {
    let celsius = f64::from(millidegrees.trim().parse::<i32>().ok()?) / 1000.0;
    // Zones without a sensor behind them answer nonsense.
    (-60.0..=200.0).contains(&celsius).then_some(celsius)
}

/// A line of proc_meminfo(5), in bytes.
fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// `PRETTY_NAME` of os-release(5).
fn os_name(text: &str) -> Option<String> {
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read_and_nonsense_is_nothing() {
        assert_eq!(celsius("48312\n"), Some(48.312));
        for text in ["", "x", "-274000", "2147483647", "99999999999"] {
            assert_eq!(celsius(text), None, "{text}");
        }
        let text = "MemTotal:        8049664 kB\nMemFree: 1 kB\nMemAvailable:    7000000 kB\n";
        assert_eq!(meminfo(text, "MemTotal"), Some(8_049_664 * 1024));
        assert_eq!(meminfo(text, "MemAvailable"), Some(7_000_000 * 1024));
        assert_eq!(meminfo(text, "Mem"), None);
        assert_eq!(meminfo("MemTotal:", "MemTotal"), None);
        let throttling = |text| Throttling::from_bits(text).map(|t| (t.under_voltage, t.slowed));
        assert_eq!(throttling("0\n"), Some((false, false)));
        assert_eq!(throttling("0x50005"), Some((true, true)));
        assert_eq!(throttling("50000"), Some((false, false)));
        assert_eq!(throttling(""), None);
        let os = "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n";
        assert_eq!(os_name(os).as_deref(), Some("Debian GNU/Linux 12"));
    }

    #[test]
    fn this_machine_has_memory_and_a_kernel() {
        let host = HostReport::read();
        assert!(host.memory_available_bytes <= host.memory_bytes && host.memory_bytes > Some(0));
        assert!(host.kernel.is_some_and(|kernel| !kernel.is_empty()));
    }
}
