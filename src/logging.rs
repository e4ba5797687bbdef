//! The log: lines on standard error, how much of them, and how that changes while the daemon runs.

use std::io::IsTerminal;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, reload};

pub mod recent;

/// What is logged unless FOOTFALL_LOG says otherwise: dependencies speak up only when something is wrong.
const DEFAULT: &str = "info,rumqttc=warn,rumqttd=off,ort=warn,sled=warn";

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The level cannot be changed.
#[derive(Debug, thiserror::Error)]
#[error("the log's level cannot be changed: {0}")]
pub struct LogError(String);

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), LogError> + Send + Sync>;

struct Log {
    /// The filter of the start.
    base: String,
    reload: Reload,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Starts logging. Once per process.
pub fn start() {
    let base = std::env::var("FOOTFALL_LOG")
        .ok()
        .filter(|text| EnvFilter::try_new(text).is_ok())
        .unwrap_or_else(|| DEFAULT.to_owned());
    // At no level: it repeats addresses, and those of cheap cameras hold their password.
    let base = format!("{base},retina=off");
    let (filter, handle) = reload::Layer::new(EnvFilter::new(&base));
    let seen = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let kept = fmt::layer()
        .with_writer(|| &recent::RECENT)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(filter)
        .with(seen)
        .with(kept)
        .init();
    let reload: Reload = Box::new(move |filter| {
        handle
            .reload(filter)
            .map_err(|why| LogError(why.to_string()))
    });
    let _ = LOG.set(Log { base, reload });
}

/// Whether `part` can be a room of the daemon: `uplink`, `sensor::camera`.
#[must_use]
pub fn is_part(part: &str) -> bool {
    let fine = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    part.len() <= 64 && part.split("::").all(fine)
}

/// Logs the daemon, or one part of it, at `level`; the rest as at the start. Only footfall's own code: dependencies
/// may log what must not be seen.
///
/// # Errors
/// Logging was not started by [`start`], or the filter is refused.
pub fn set(level: Level, part: Option<&str>) -> Result<(), LogError> {
    let level = level.name();
    let more = match part {
        Some(part) => format!("footfall::{part}={level}"),
        None => format!("footfall={level}"),
    };
    change(|base| format!("{base},{more}"))
}

/// Logs as at the start.
///
/// # Errors
/// As [`set`].
pub fn reset() -> Result<(), LogError> {
    change(str::to_owned)
}

fn change(filter: impl Fn(&str) -> String) -> Result<(), LogError> {
    let log = LOG
        .get()
        .ok_or_else(|| LogError("this process logs in its own way".to_owned()))?;
    let filter = filter(&log.base);
    let parsed = EnvFilter::try_new(&filter).map_err(|why| LogError(why.to_string()))?;
    (log.reload)(parsed)?;
    tracing::info!(filter, "log level");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_path_of_the_daemons_own_code() {
        for part in ["uplink", "sensor::camera", "outbox"] {
            assert!(is_part(part), "{part}");
        }
        for part in [
            "",
            "a,rumqttc=trace",
            "a=b",
            "::a",
            "a::",
            "A",
            "a b",
            "a[x]",
        ] {
            assert!(!is_part(part), "{part}");
        }
    }
}
