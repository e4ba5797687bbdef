//! Collects a diagnostics bundle from all rooms.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::command::journal::Journal;
use crate::config::Loaded;
use crate::diagnostics::bundle::{self, Part};
use crate::diagnostics::redact::Redactor;
use crate::logging::recent::RECENT;
use crate::status;

/// Larger files of secrets are not read; no password is longer.
const LONGEST_SECRET: u64 = 8192;
/// Files listed at most.
const MOST_FILES: usize = 2000;

/// Where a bundle comes from.
pub(super) struct Collector {
    pub(super) owner: Loaded,
    pub(super) sources: Arc<status::Sources>,
}

impl Collector {
    /// One bundle of this moment. Blocks.
    ///
    /// # Errors
    /// Of the archive, which lives in memory.
    pub(super) fn collect(&self) -> io::Result<Vec<u8>> {
        let redactor = Redactor::knowing(self.secrets());
        let dir = &self.owner.config.outbox.dir;
        let json = |value: Option<Value>| {
            let text = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
            redactor.text(&text.unwrap_or_else(|| "not available".to_owned()))
        };
        let overlay = fs::read_to_string(dir.join("config-overlay.toml")).unwrap_or_default();
        let (log, before) = RECENT.text();
        let part = |name, about, text, newest_last| Part {
            name,
            about,
            text,
            newest_last,
        };
        let parts = [
            part(
                "status.json",
                "the whole state: versions, sensors, outbox, cloud, host (as /api/v1/status)",
                json(serde_json::to_value(self.sources.report()).ok()),
                false,
            ),
            part(
                "metrics.txt",
                "all numbers (as /metrics)",
                redactor.text(&self.sources.metrics()),
                false,
            ),
            part(
                "config.toml",
                "the owner's config",
                redactor.config(&self.owner.text),
                false,
            ),
            part(
                "changes.toml",
                "what the cloud has changed of it",
                redactor.config(&overlay),
                false,
            ),
            part(
                "commands.json",
                "the commands the box remembers, and what became of them",
                json(Journal::summary(dir).ok().map(Value::Array)),
                false,
            ),
            part(
                "files.txt",
                "the data directory: bytes and names",
                listing(dir),
                false,
            ),
            part(
                "log.txt",
                "the newest log lines; its first line says how many are missing",
                format!(
                    "({before} older lines since the start are not here)\n{}",
                    redactor.text(&log)
                ),
                true,
            ),
        ];
        let now = self.sources.clock.now().wall;
        bundle::pack(&self.sources.identity.box_id, now, &parts)
    }

    /// What must not be in any text, whoever put it there.
    fn secrets(&self) -> Vec<String> {
        let config = &self.owner.config;
        let files = [
            &config.uplink.password_file,
            &config.uplink.key_file,
            &config.status.pin_file,
        ];
        let cameras = config.camera.iter();
        let files = files
            .into_iter()
            .chain(cameras.map(|camera| &camera.password_file));
        let mut secrets: Vec<String> = files.flatten().filter_map(secret).collect();
        // A key of several lines may be torn apart.
        let lines: Vec<String> = secrets
            .iter()
            .flat_map(|text| text.lines())
            .map(str::to_owned)
            .collect();
        secrets.extend(lines);
        secrets
    }
}

fn secret(path: &PathBuf) -> Option<String> {
    let small = fs::metadata(path).is_ok_and(|meta| meta.len() <= LONGEST_SECRET);
    let text = small.then(|| fs::read_to_string(path).ok())??;
    Some(text.trim_end().to_owned())
}

/// Every file below `dir`, two levels deep.
fn listing(dir: &Path) -> String {
    let mut text = String::new();
    let mut places = vec![(dir.to_owned(), 0)];
    let mut count = 0;
    while let Some((place, depth)) = places.pop() {
        for file in fs::read_dir(&place).into_iter().flatten().flatten() {
            let (path, Ok(meta)) = (file.path(), file.metadata()) else {
                continue;
            };
            count += 1;
            if count > MOST_FILES {
                text.push_str("and more\n");
                return text;
            }
            if meta.is_dir() && depth < 2 {
                places.push((path, depth + 1));
            } else {
                let name = path.strip_prefix(dir).unwrap_or(&path).display();
                let _ = writeln!(text, "{:>12}  {name}", meta.len());
            }
        }
    }
    text
}
