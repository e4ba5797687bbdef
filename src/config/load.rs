//! Reads a config file into the schema and turns whatever is wrong with it into faults.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use toml_edit::{Document, Item};

use super::fault::{Fault, Faults, nearest};
use super::{Config, validate};

/// Larger files are refused before they are read into memory.
const MAX_BYTES: u64 = 1024 * 1024;

/// A valid config and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub path: PathBuf,
    /// The text it was read from.
    pub text: String,
    /// SHA-256 of that text, hex.
    pub sha256: String,
}

/// Reads and validates `path`. Relative paths inside it are resolved against its directory.
///
/// # Errors
/// Every fault that was found, each with its line.
pub fn load(path: &Path) -> Result<Loaded, Faults> {
    let whole = |expected: String| {
        Faults(vec![Fault {
            file: path.to_owned(),
            line: None,
            key: String::new(),
            value: None,
            expected,
            nearest: None,
        }])
    };
    let too_big = |bytes| {
        whole(format!(
            "{bytes} bytes are too many for a config (1 MiB at most)"
        ))
    };
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_BYTES => return Err(too_big(meta.len())),
        Ok(_) => {}
        Err(why) => {
            return Err(whole(format!(
                "cannot be read: {why}; name an existing file with --config"
            )));
        }
    }
    let text = std::fs::read_to_string(path).map_err(|why| {
        whole(format!(
            "cannot be read as UTF-8 text: {why}; name a file of TOML text"
        ))
    })?;
    parse(&text, path)
}

/// Like [`load`], for text that is already in memory.
///
/// # Errors
/// Every fault that was found, each with its line.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Faults> {
    let places = Places::of(text, path);
    let one = |fault: Fault| Faults(vec![fault]);
    let toml_error = |key: &str, error: &toml::de::Error| {
        let mut fault = places.fault(key, error.message().to_owned());
        if let Some(span) = error.span() {
            fault.line = Some(places.line(span.start));
        }
        fault
    };
    let deserializer =
        toml::Deserializer::parse(text).map_err(|error| one(toml_error("", &error)))?;
    let mut unknown = Vec::new();
    let read: Result<Config, _> = serde_path_to_error::deserialize(
        serde_ignored::Deserializer::new(deserializer, &mut |path: serde_ignored::Path<'_>| {
            // It writes `?` for what may be absent; nobody wrote that into the file.
            unknown.push(path.to_string().replace(".?", ""))
        }),
    );
    let mut faults: Vec<_> = unknown.iter().map(|key| places.unknown(key)).collect();
    let mut config = match read {
        Ok(config) => config,
        Err(error) => {
            let key = error.path().to_string();
            faults.insert(
                0,
                toml_error(if key == "." { "" } else { &key }, error.inner()),
            );
            return Err(Faults(faults));
        }
    };
    resolve_paths(&mut config, crate::durable::parent(path));
    faults.extend(validate::validate(&config, &places));
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.line);
        return Err(Faults(faults));
    }
    let sha256 = Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Loaded {
        config,
        path: path.to_owned(),
        text: text.to_owned(),
        sha256,
    })
}

fn resolve_paths(config: &mut Config, base: &Path) {
    let resolve = |path: &mut PathBuf| {
        if path.is_relative() {
            *path = base.join(&*path);
        }
    };
    resolve(&mut config.outbox.dir);
    let uplink = &mut config.uplink;
    [
        &mut uplink.password_file,
        &mut uplink.ca_file,
        &mut uplink.cert_file,
        &mut uplink.key_file,
    ]
    .into_iter()
    .flatten()
    .for_each(resolve);
    config.status.pin_file.iter_mut().for_each(resolve);
    config.command.keys.iter_mut().for_each(resolve);
    config.vision.onnxruntime.iter_mut().for_each(resolve);
    config.vision.models.iter_mut().for_each(resolve);
    for camera in &mut config.camera {
        [
            &mut camera.file,
            &mut camera.device,
            &mut camera.password_file,
        ]
        .into_iter()
        .flatten()
        .for_each(resolve);
    }
    resolve(&mut config.gpio.chip);
    for scanner in &mut config.scanner {
        [&mut scanner.device, &mut scanner.hid]
            .into_iter()
            .flatten()
            .for_each(resolve);
    }
}

/// Where each key stands in the file.
pub struct Places<'a> {
    text: &'a str,
    path: &'a Path,
    document: Option<Document<&'a str>>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str, path: &'a Path) -> Self {
        Self {
            text,
            path,
            document: Document::parse(text).ok(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        1 + self
            .text
            .bytes()
            .take(offset)
            .filter(|byte| *byte == b'\n')
            .count()
    }

    /// A fault of `key` (`camera[0].fps` or `camera.0.fps`), with its line and value.
    #[must_use]
    pub fn fault(&self, key: &str, expected: String) -> Fault {
        let key = indexed(key);
        let (mut line, mut value) = (None, None);
        if let Some(mut item) = self.document.as_ref().map(Document::as_item) {
            // A missing key is reported at the innermost table that does exist.
            let mut found = true;
            for step in key.split(['.', '[']).filter(|step| !step.is_empty()) {
                let next = match step.strip_suffix(']').map(str::parse::<usize>) {
                    Some(Ok(index)) => item.get(index),
                    _ => item.get(step),
                };
                let Some(next) = next else {
                    found = false;
                    break;
                };
                item = next;
            }
            if let Some(span) = span_of(item) {
                line = Some(self.line(span.start));
                if found && item.is_value() {
                    value = self.text.get(span).map(shortened);
                }
            }
        }
        if key.is_empty() {
            line = None;
        }
        Fault {
            file: self.path.to_owned(),
            line,
            key,
            value,
            expected,
            nearest: None,
        }
    }

    fn unknown(&self, key: &str) -> Fault {
        let mut fault = self.fault(key, "no such key".to_owned());
        let (parent, name) = fault.key.rsplit_once('.').unwrap_or(("", &fault.key));
        let known = valid_keys(parent);
        fault.nearest = nearest(name, known.iter().map(String::as_str));
        if fault.nearest.is_none() && !known.is_empty() {
            fault.expected = format!("no such key; expected one of {}", known.join(", "));
        }
        fault
    }
}

/// `camera.0.fps` as `camera[0].fps`.
fn indexed(key: &str) -> String {
    key.split('.').fold(String::new(), |mut all, step| {
        if !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()) {
            all.push_str(&format!("[{step}]"));
        } else {
            if !all.is_empty() {
                all.push('.');
            }
            all.push_str(step);
        }
        all
    })
}

fn span_of(item: &Item) -> Option<std::ops::Range<usize>> {
    item.span().or_else(|| {
        item.as_array_of_tables()
            .and_then(|all| all.iter().next()?.span())
    })
}

fn shortened(value: &str) -> String {
    const LONGEST: usize = 60;
    let one_line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.chars().count() <= LONGEST {
        return one_line;
    }
    one_line.chars().take(LONGEST).chain(['…']).collect()
}

/// The keys the schema knows at `parent` (`camera[0].line[1]`); read off the schema itself.
fn valid_keys(parent: &str) -> Vec<String> {
    let root = schemars::schema_for!(Config).to_value();
    let mut node = &root;
    for step in parent.split('.').filter(|step| !step.is_empty()) {
        let name = step.split('[').next().unwrap_or(step);
        let Some(next) = node.get("properties").and_then(|all| all.get(name)) else {
            return Vec::new();
        };
        node = referenced(&root, next);
        if let (true, Some(items)) = (step.contains('['), node.get("items")) {
            node = referenced(&root, items);
        }
    }
    let properties = node
        .get("properties")
        .and_then(serde_json::Value::as_object);
    properties
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default()
}

fn referenced<'v>(
    root: &'v serde_json::Value,
    node: &'v serde_json::Value,
) -> &'v serde_json::Value {
    // What may be absent is written as "one of this and null".
    let choices = node.get("anyOf").and_then(serde_json::Value::as_array);
    let node = choices.and_then(|all| all.first()).unwrap_or(node);
    let target = node
        .get("$ref")
        .and_then(|name| name.as_str()?.strip_prefix('#'));
    target
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(node)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
