//! What the cloud has changed of the config: a file of its own in the data directory, put over the owner's file when the
//! daemon starts. The owner's file is never written.
//!
//! ```toml
//! [[camera]]
//! id = "entrance"
//! [[camera.line]]
//! id = "door"
//! points = [[0.2, 0.6], [0.8, 0.6]]
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::fault::{Fault, Faults};
use super::load::{Loaded, parse};
use crate::durable;

/// The file's name in the data directory, and where an unusable one is put aside.
const FILE: &str = "config-overlay.toml";
const ASIDE: &str = "config-overlay.bad.toml";
/// Larger files are not read.
const LARGEST: u64 = 1024 * 1024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    #[serde(default)]
    camera: Vec<CameraOverlay>,
}

/// What is changed of one camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CameraOverlay {
    id: String,
    /// All of its lines.
    #[serde(default)]
    line: Vec<Table>,
}

/// Why an overlay is not used.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    #[error("it is no overlay: {0}")]
    Unfit(String),
    #[error("with it the config is wrong: {0}")]
    Invalid(Faults),
}

impl Overlay {
    /// Reads the overlay in `dir`; an empty one where there is none.
    ///
    /// # Errors
    /// [`OverlayError`]
    pub fn load(dir: &Path) -> Result<Self, OverlayError> {
        let path = dir.join(FILE);
        match fs::metadata(&path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(why) => return Err(OverlayError::Read(why)),
            Ok(meta) if meta.len() > LARGEST => {
                return Err(OverlayError::Unfit("too large".to_owned()));
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(OverlayError::Read)?;
        let text = str::from_utf8(&bytes).map_err(|why| OverlayError::Unfit(why.to_string()))?;
        toml::from_str(text).map_err(|why| OverlayError::Unfit(why.message().to_owned()))
    }

    /// Writes it into `dir`.
    ///
    /// # Errors
    /// I/O; the older one stays.
    pub fn store(&self, dir: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        let head = "# Written by footfall: what the cloud changed of the config. Remove it to have the config alone.\n";
        durable::write(&dir.join(FILE), format!("{head}{text}").as_bytes())
    }

    /// Puts an unusable overlay out of the way, for whoever wants to look at it; gives its new path.
    ///
    /// # Errors
    /// I/O.
    pub fn set_aside(dir: &Path) -> io::Result<PathBuf> {
        let aside = dir.join(ASIDE);
        fs::rename(dir.join(FILE), &aside)?;
        durable::sync_dir(dir)?;
        Ok(aside)
    }

    /// The same with other lines for one camera; `None`: with those of the owner's file.
    #[must_use]
    pub fn with_lines(&self, camera: &str, lines: Option<Vec<Table>>) -> Self {
        let others = self.camera.iter().filter(|other| other.id != camera);
        let mut all: Vec<_> = others.cloned().collect();
        all.extend(lines.map(|line| CameraOverlay {
            id: camera.to_owned(),
            line,
        }));
        Self { camera: all }
    }

    /// The owner's config with this over it, validated as a whole. What it says of a camera the owner has removed is
    /// passed over.
    ///
    /// # Errors
    /// Every fault, without lines: they would be those of a text nobody has seen.
    pub fn over(&self, owner: &Loaded) -> Result<Loaded, Faults> {
        if self.camera.is_empty() {
            return Ok(owner.clone());
        }
        // It was parsed before; a fault here would be one of the library.
        let mut table: Table = toml::from_str(&owner.text).map_err(|why| whole(why.message()))?;
        let cameras = table.get_mut("camera").and_then(Value::as_array_mut);
        for camera in cameras
            .into_iter()
            .flatten()
            .filter_map(Value::as_table_mut)
        {
            let id = camera.get("id").and_then(Value::as_str);
            let Some(change) = self
                .camera
                .iter()
                .find(|change| Some(change.id.as_str()) == id)
            else {
                continue;
            };
            let lines = change.line.iter().cloned().map(Value::Table).collect();
            camera.insert("line".to_owned(), Value::Array(lines));
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
"#;

    fn owner() -> Loaded {
        parse(OWNER, Path::new("/etc/footfall/x.toml")).unwrap()
    }

    fn lines(text: &str) -> Option<Vec<Table>> {
        let table: Table = toml::from_str(text).unwrap();
        let all = table["line"].as_array().unwrap().iter();
        Some(all.map(|line| line.as_table().unwrap().clone()).collect())
    }

    const NEW: &str = "[[line]]\nid = \"new\"\npoints = [[0, 0.5], [1, 0.5]]\nmode = \"net\"";

    #[test]
    fn other_lines_take_the_place_of_the_owners_and_everything_else_stays() {
        let overlay = Overlay::default().with_lines("door", lines(NEW));
        let merged = overlay.over(&owner()).unwrap();
        let (door, back) = (&merged.config.camera[0], &merged.config.camera[1]);
        assert_eq!((door.line.len(), door.line[0].id.as_str()), (1, "new"));
        assert!(back.line.is_empty());
        assert_eq!(door.file.as_deref(), Some(Path::new("/etc/footfall/clip")));
        assert_ne!(merged.sha256, owner().sha256);
        assert_eq!(merged.sha256, overlay.over(&owner()).unwrap().sha256);
    }

    #[test]
    fn taking_a_change_back_gives_the_owners_config_to_the_bit() {
        let overlay = Overlay::default().with_lines("door", lines(NEW));
        let back = overlay.with_lines("door", None);
        assert_eq!(back.over(&owner()).unwrap().sha256, owner().sha256);
        let none = overlay.with_lines("door", Some(Vec::new()));
        assert!(
            none.over(&owner()).unwrap().config.camera[0]
                .line
                .is_empty()
        );
    }

    #[test]
    fn a_wrong_line_is_named_as_check_names_it() {
        let faults = |text: &str| {
            let overlay = Overlay::default().with_lines("door", lines(text));
            overlay.over(&owner()).unwrap_err().to_string()
        };
        let wrong = faults("[[line]]\nid = \"NEW\"\npoints = [[0.5, 0.5]]\nmod = \"net\"");
        for words in [
            "camera[0].line[0].id",
            "camera[0].line[0].points",
            "did you mean `mode`",
        ] {
            assert!(wrong.contains(words), "{words}: {wrong}");
        }
        let kind = faults("[[line]]\nid = 7\npoints = [[0, 0.5], [1, 0.5]]");
        assert!(kind.contains("camera[0].line[0].id"), "{kind}");
    }

    #[test]
    fn it_survives_a_restart_and_a_camera_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Overlay::load(dir.path()).unwrap(), Overlay::default());
        let overlay = Overlay::default()
            .with_lines("door", lines(NEW))
            .with_lines("sold", lines(NEW));
        overlay.store(dir.path()).unwrap();
        let read = Overlay::load(dir.path()).unwrap();
        assert_eq!(read, overlay);
        assert_eq!(read.over(&owner()).unwrap().config.camera.len(), 2);
    }

    #[test]
    fn a_damaged_one_is_an_error_and_can_be_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        for damaged in [
            "\u{0}",
            "camera = 3",
            "[outbox]\ndir = \"/\"",
            "[[camera]]\nid = \"d\"\nfile = \"x\"",
        ] {
            durable::write(&dir.path().join(FILE), damaged.as_bytes()).unwrap();
            let read = Overlay::load(dir.path());
            assert!(matches!(read, Err(OverlayError::Unfit(_))), "{damaged}");
        }
        let aside = Overlay::set_aside(dir.path()).unwrap();
        assert!(aside.exists());
        assert_eq!(Overlay::load(dir.path()).unwrap(), Overlay::default());
    }
}
