//! What the cloud has changed of the config, put over the owner's file, which is never written.
//!
//! ```toml
//! [camera.entrance]
//! fps = 5
//! [[camera.entrance.line]]
//! id = "door"
//! points = [[0.2, 0.6], [0.8, 0.6]]
//! ```
//!
//! It changes by JSON merge patches (RFC 7386): an object is merged, `null` takes a change back (then the owner's value is
//! in force again), anything else replaces.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Map;
use toml::{Table, Value};

use super::fault::{Fault, Faults};
use super::load::{Loaded, parse};

/// Entries of an array at most.
const MOST_ENTRIES: usize = 64;

/// A section that may be changed.
struct Section {
    name: &'static str,
    /// Whether it is there several times, each with an `id`.
    by_id: bool,
    /// What may be changed of it. What concerns privacy, secrets and files is the owner's alone.
    keys: &'static [&'static str],
    /// Of these a sensor has exactly one: one in a change takes the place of the owner's.
    sources: &'static [&'static str],
}

const SECTIONS: [Section; 6] = [
    Section {
        name: "camera",
        by_id: true,
        keys: &[
            "line",
            "zone",
            "fps",
            "threshold",
            "anchor",
            "device",
            "rtsp",
        ],
        sources: &["device", "rtsp", "file"],
    },
    Section {
        name: "place",
        by_id: true,
        keys: &["lines", "reversed", "capacity", "reset", "learn"],
        sources: &[],
    },
    Section {
        name: "hours",
        by_id: false,
        keys: &["mon", "tue", "wed", "thu", "fri", "sat", "sun", "dates"],
        sources: &[],
    },
    Section {
        name: "scanner",
        by_id: true,
        keys: &[
            "device",
            "hid",
            "baud",
            "parity",
            "layout",
            "window_ms",
            "idle_ms",
            "touchpoint",
        ],
        sources: &["device", "hid"],
    },
    Section {
        name: "wifi",
        by_id: true,
        keys: &["interface", "visitor_rssi", "interval_min"],
        sources: &[],
    },
    Section {
        name: "gpio",
        by_id: false,
        keys: &["chip", "door", "beam", "button", "led"],
        sources: &[],
    },
];

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overlay(Table);

impl Overlay {
    /// Whether the owner's config is in force as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same with a merge patch in it.
    ///
    /// # Errors
    /// One text for each thing that must not be changed, is not there, or cannot be written in a config.
    pub fn patched(
        &self,
        patch: &Map<String, serde_json::Value>,
        owner: &Loaded,
    ) -> Result<Self, Vec<String>> {
        let mut changed = self.clone();
        merge(&mut changed.0, patch, "").map_err(|fault| vec![fault])?;
        prune(&mut changed.0);
        let mut faults = changed.misfits();
        faults.extend(strangers(patch, owner));
        if faults.is_empty() {
            Ok(changed)
        } else {
            Err(faults)
        }
    }

    /// What in it is not for an overlay to say, one text each.
    #[must_use]
    pub fn misfits(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, value) in &self.0 {
            let Some(section) = SECTIONS.iter().find(|section| section.name == name) else {
                let known = SECTIONS.map(|section| section.name).join(", ");
                faults.push(format!("{name}: only {known} may be changed"));
                continue;
            };
            if !section.by_id {
                misfits_of(name, value, section, &mut faults);
            } else if let Value::Table(entries) = value {
                for (id, entry) in entries {
                    misfits_of(&format!("{name}.{id}"), entry, section, &mut faults);
                }
            } else {
                faults.push(format!(
                    "{name}: expected an object with an id for each key"
                ));
            }
        }
        faults
    }

    /// The owner's config with this over it, validated as a whole. What it says of a sensor the owner has removed is
    /// passed over.
    ///
    /// # Errors
    /// Every fault, without lines: they would be those of a text nobody has seen.
    pub fn over(&self, owner: &Loaded) -> Result<Loaded, Faults> {
        if self.is_empty() {
            return Ok(owner.clone());
        }
        let mut table = table_of(owner)?;
        for section in &SECTIONS {
            let Some(change) = self.0.get(section.name).and_then(Value::as_table) else {
                continue;
            };
            if section.by_id {
                let entries = table.get_mut(section.name).and_then(Value::as_array_mut);
                let entries = entries.into_iter().flatten();
                for entry in entries.filter_map(Value::as_table_mut) {
                    let id = entry.get("id").and_then(Value::as_str);
                    let change = id.and_then(|id| change.get(id)?.as_table());
                    if let Some(change) = change.cloned() {
                        section.lay(entry, &change);
                    }
                }
            } else {
                let entry = table.entry(section.name);
                let entry = entry.or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(entry) = entry {
                    section.lay(entry, change);
                }
            }
        }
        let text = toml::to_string(&table).map_err(|why| whole(&why.to_string()))?;
        parse(&text, &owner.path).map_err(|Faults(mut faults)| {
            for fault in &mut faults {
                fault.line = None;
            }
            Faults(faults)
        })
    }
}

impl Section {
    /// Puts `change` over one entry.
    fn lay(&self, entry: &mut Table, change: &Table) {
        if self.sources.iter().any(|key| change.contains_key(*key)) {
            entry.retain(|key, _| !self.sources.contains(&key));
        }
        for (key, value) in change {
            match (entry.get_mut(key), value) {
                (Some(Value::Table(below)), Value::Table(over)) => below.extend(over.clone()),
                _ => drop(entry.insert(key.clone(), value.clone())),
            }
        }
    }
}

fn misfits_of(place: &str, entry: &Value, section: &Section, faults: &mut Vec<String>) {
    let Value::Table(entry) = entry else {
        faults.push(format!("{place}: expected an object"));
        return;
    };
    for (key, value) in entry {
        if !section.keys.contains(&key.as_str()) {
            let keys = section.keys.join(", ");
            faults.push(format!(
                "{place}.{key}: only {keys} may be changed; the rest is the owner's"
            ));
        }
        if value.as_array().is_some_and(|all| all.len() > MOST_ENTRIES) {
            faults.push(format!("{place}.{key}: {MOST_ENTRIES} entries at most"));
        }
    }
}

/// Ids that a patch names and the owner's config does not have. Taking a change back is always allowed.
fn strangers(patch: &Map<String, serde_json::Value>, owner: &Loaded) -> Vec<String> {
    let table = table_of(owner).unwrap_or_default();
    let mut faults = Vec::new();
    for section in SECTIONS.iter().filter(|section| section.by_id) {
        let entries = table.get(section.name).and_then(Value::as_array);
        let ids: Vec<&str> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.get("id")?.as_str())
            .collect();
        let named = patch
            .get(section.name)
            .and_then(serde_json::Value::as_object);
        for (id, change) in named.into_iter().flatten() {
            if !change.is_null() && !ids.contains(&id.as_str()) {
                faults.push(format!(
                    "{}: none of this box is called {id:?}",
                    section.name
                ));
            }
        }
    }
    faults
}

/// RFC 7386, section 2. TOML has no null: below an array there must be none.
fn merge(
    target: &mut Table,
    patch: &Map<String, serde_json::Value>,
    place: &str,
) -> Result<(), String> {
    for (key, value) in patch {
        let place = if place.is_empty() {
            key.clone()
        } else {
            format!("{place}.{key}")
        };
        match value {
            serde_json::Value::Null => drop(target.remove(key)),
            serde_json::Value::Object(patch) => {
                let mut below = match target.remove(key) {
                    Some(Value::Table(table)) => table,
                    _ => Table::new(),
                };
                merge(&mut below, patch, &place)?;
                target.insert(key.clone(), Value::Table(below));
            }
            value => {
                let value = Value::try_from(value).map_err(|why| format!("{place}: {why}"))?;
                target.insert(key.clone(), value);
            }
        }
    }
    Ok(())
}

/// Removes tables that say nothing.
fn prune(table: &mut Table) {
    table.retain(|_, value| {
        let Value::Table(below) = value else {
            return true;
        };
        prune(below);
        !below.is_empty()
    });
}

/// The owner's text as a table. It was parsed before; a fault here would be one of the library.
fn table_of(owner: &Loaded) -> Result<Table, Faults> {
    toml::from_str(&owner.text).map_err(|why| whole(why.message()))
}

fn whole(expected: &str) -> Faults {
    Faults(vec![Fault {
        file: PathBuf::new(),
        line: None,
        key: String::new(),
        value: None,
        expected: expected.to_owned(),
        nearest: None,
    }])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const OWNER: &str = r#"
[device]
tenant = "t"
store = "s"
box = "b"

[[camera]]
id = "door"
file = "clip"
model = "m"
[[camera.line]]
id = "old"
points = [[0.5, 1.0], [0.5, 0.0]]

[[camera]]
id = "back"
file = "clip"
model = "m"

[[wifi]]
id = "hall"
interface = "wlan1"
"#;

    fn owner() -> Loaded {
        parse(OWNER, Path::new("/etc/footfall/x.toml")).unwrap()
    }

    fn patched(overlay: &Overlay, patch: serde_json::Value) -> Result<Overlay, Vec<String>> {
        overlay.patched(patch.as_object().unwrap(), &owner())
    }

    fn door(change: serde_json::Value) -> serde_json::Value {
        json!({"camera": {"door": change}})
    }

    fn new_line() -> serde_json::Value {
        json!([{"id": "new", "points": [[0, 0.5], [1, 0.5]], "mode": "net"}])
    }

    #[test]
    fn other_lines_take_the_place_of_the_owners_and_everything_else_stays() {
        let overlay = patched(&Overlay::default(), door(json!({"line": new_line()}))).unwrap();
        let merged = overlay.over(&owner()).unwrap();
        let (door, back) = (&merged.config.camera[0], &merged.config.camera[1]);
        assert_eq!((door.line.len(), door.line[0].id.as_str()), (1, "new"));
        assert!(back.line.is_empty());
        assert_eq!(door.file.as_deref(), Some(Path::new("/etc/footfall/clip")));
        assert_ne!(merged.sha256, owner().sha256);
        assert_eq!(merged.sha256, overlay.over(&owner()).unwrap().sha256);
    }

    #[test]
    fn patches_add_up_and_taking_them_back_gives_the_owners_config_to_the_bit() {
        let steps = [
            door(json!({"line": new_line(), "fps": 5})),
            door(json!({"fps": null, "threshold": 0.4, "device": "/dev/video9"})),
            json!({"wifi": {"hall": {"interval_min": 5}}}),
        ];
        let overlay = steps.into_iter().fold(Overlay::default(), |overlay, step| {
            patched(&overlay, step).unwrap()
        });
        let config = overlay.over(&owner()).unwrap().config;
        let changed = &config.camera[0];
        assert_eq!(changed.line[0].id, "new");
        assert_eq!((changed.fps, changed.threshold), (None, Some(0.4)));
        // One source takes the place of another.
        assert_eq!(changed.device.as_deref(), Some(Path::new("/dev/video9")));
        assert_eq!(changed.file, None);
        assert_eq!(config.wifi[0].interval_min, 5);
        for back in [
            json!({"camera": null, "wifi": null}),
            json!({"camera": {"door": null}, "wifi": {"hall": {"interval_min": null}}}),
        ] {
            let none = patched(&overlay, back).unwrap();
            assert!(none.is_empty());
            assert_eq!(none.over(&owner()).unwrap().sha256, owner().sha256);
        }
        let none = patched(&overlay, door(json!({"line": []}))).unwrap();
        assert!(
            none.over(&owner()).unwrap().config.camera[0]
                .line
                .is_empty()
        );
    }

    #[test]
    fn what_is_the_owners_alone_or_not_there_is_refused_and_named() {
        let many = vec![json!({"id": "x"}); MOST_ENTRIES + 1];
        for (patch, words) in [
            (json!({"outbox": {"dir": "/"}}), "outbox: only camera"),
            (json!({"camera": "door"}), "camera: expected an object"),
            (json!({"camera": []}), "camera: expected an object"),
            (door(json!(3)), "camera.door: expected an object"),
            (door(json!({"model": "x"})), "camera.door.model: only line"),
            (door(json!({"id": "x"})), "camera.door.id: only line"),
            (door(json!({"file": "/etc"})), "camera.door.file: only line"),
            (door(json!({"line": many})), "64 entries at most"),
            (door(json!({"line": [null]})), "camera.door.line"),
            (
                json!({"wifi": {"hall": {"pepper": "weekly"}}}),
                "wifi.hall.pepper",
            ),
            (
                json!({"camera": {"roof": {"fps": 1}}}),
                "camera: none of this box is called \"roof\"",
            ),
        ] {
            let faults = patched(&Overlay::default(), patch.clone()).unwrap_err();
            assert!(
                faults.iter().any(|f| f.contains(words)),
                "{patch}: {faults:?}"
            );
        }
    }

    #[test]
    fn a_wrong_line_is_named_as_check_names_it() {
        let faults = |line: serde_json::Value| {
            let change = door(json!({"line": [line]}));
            let overlay = patched(&Overlay::default(), change).unwrap();
            overlay.over(&owner()).unwrap_err().to_string()
        };
        let wrong = faults(json!({"id": "NEW", "points": [[0.5, 0.5]], "mod": "net"}));
        for words in [
            "camera[0].line[0].id",
            "camera[0].line[0].points",
            "did you mean `mode`",
        ] {
            assert!(wrong.contains(words), "{words}: {wrong}");
        }
        let kind = faults(json!({"id": 7, "points": [[0, 0.5], [1, 0.5]]}));
        assert!(kind.contains("camera[0].line[0].id"), "{kind}");
    }

    #[test]
    fn a_change_outlives_the_camera_it_belongs_to() {
        let sold: Overlay = toml::from_str("[camera.sold]\nfps = 1").unwrap();
        assert_eq!(sold.over(&owner()).unwrap().config.camera.len(), 2);
        let none = patched(&sold, json!({"camera": {"sold": null}})).unwrap();
        assert!(none.is_empty());
    }
}
