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
    /// The whole memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Memory that programs can still have, bytes.
    pub memory_available_bytes: Option<u64>,
    /// The operating system's name.
    pub os: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
}

impl HostReport {
    /// Looks once.
    #[must_use]
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok();
        let memory = text("/proc/meminfo").unwrap_or_default();
        Self {
            temperature_c: temperature(),
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
