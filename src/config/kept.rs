//! What the data directory keeps of the cloud's changes: one file with those that are committed, and, while others are on
//! probation, a second one beside it.
//!
//! A start reads the first and removes the second, so whatever ends the daemon within a probation (a crash, a power cut)
//! rolls back. Committing is one rename.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Overlay;
use super::fault::Faults;
use crate::durable;

/// The committed changes, where an unusable file is put aside, and the changes on probation.
const FILE: &str = "config-overlay.toml";
const ASIDE: &str = "config-overlay.bad.toml";
const TRIAL: &str = "config-overlay.trial.toml";
/// Larger files are not read.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Changes, and those before them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kept {
    /// Id of the command that brought them.
    pub command: String,
    pub change: Overlay,
    /// What was in force before; empty: the owner's file alone.
    #[serde(skip_serializing_if = "Overlay::is_empty")]
    pub before: Overlay,
}

/// Why the changes are not used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error("they cannot be read: {0}")]
    Read(io::Error),
    #[error("the file is damaged: {0}")]
    Unfit(String),
    #[error("with them the config is wrong: {0}")]
    Invalid(Faults),
}

impl Kept {
    /// Reads the committed changes in `dir`; none where there is no file.
    ///
    /// # Errors
    /// [`KeptError`]
    pub fn load(dir: &Path) -> Result<Self, KeptError> {
        let found = read(&dir.join(FILE))?;
        Ok(found.unwrap_or_default())
    }

    /// Writes them into `dir` as those on probation.
    ///
    /// # Errors
    /// I/O; nothing has changed then.
    pub fn try_out(&self, dir: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        let head = "# Written by footfall: what the cloud changed of the config. Remove it to have the config alone.\n";
        durable::write(&dir.join(TRIAL), format!("{head}{text}").as_bytes())
    }

    /// Those on probation are the committed ones from now on.
    ///
    /// # Errors
    /// I/O; they may still be on probation.
    pub fn commit(dir: &Path) -> io::Result<()> {
        fs::rename(dir.join(TRIAL), dir.join(FILE))?;
        durable::sync_dir(dir)
    }

    /// Ends a probation without a commit; gives the id of its command if there was one. It is empty where it cannot be
    /// read.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn abandon(dir: &Path) -> io::Result<Option<String>> {
        let path = dir.join(TRIAL);
        if !path.try_exists()? {
            return Ok(None);
        }
        let tried = read(&path).ok().flatten().unwrap_or_default();
        fs::remove_file(&path)?;
        durable::sync_dir(dir)?;
        Ok(Some(tried.command))
    }

    /// Puts unusable changes out of the way, for whoever wants to look at them; gives the file's new path.
    ///
    /// # Errors
    /// I/O.
    pub fn set_aside(dir: &Path) -> io::Result<PathBuf> {
        let aside = dir.join(ASIDE);
        fs::rename(dir.join(FILE), &aside)?;
        durable::sync_dir(dir)?;
        Ok(aside)
    }
}

fn read(path: &Path) -> Result<Option<Kept>, KeptError> {
    match fs::metadata(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(KeptError::Read(why)),
        Ok(meta) if meta.len() > LARGEST => return Err(KeptError::Unfit("too large".to_owned())),
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(KeptError::Read)?;
    let text = str::from_utf8(&bytes).map_err(|why| KeptError::Unfit(why.to_string()))?;
    let kept: Kept =
        toml::from_str(text).map_err(|why| KeptError::Unfit(why.message().to_owned()))?;
    match kept.change.misfits().into_iter().next() {
        Some(misfit) => Err(KeptError::Unfit(misfit)),
        None => Ok(Some(kept)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(command: &str, text: &str) -> Kept {
        Kept {
            command: command.into(),
            change: toml::from_str(text).unwrap(),
            before: toml::from_str("[camera.door]\nfps = 1").unwrap(),
        }
    }

    #[test]
    fn changes_on_probation_are_not_read_at_a_start_before_they_are_committed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(Kept::load(dir).unwrap(), Kept::default());
        assert_eq!(Kept::abandon(dir).unwrap(), None);
        let first = kept("first", "[camera.door]\nfps = 5\nline = [{id = \"a\"}]");
        first.try_out(dir).unwrap();
        assert_eq!(Kept::load(dir).unwrap(), Kept::default());
        Kept::commit(dir).unwrap();
        assert_eq!(Kept::load(dir).unwrap(), first);
        kept("second", "[wifi.hall]\ninterval_min = 5")
            .try_out(dir)
            .unwrap();
        assert_eq!(Kept::abandon(dir).unwrap().as_deref(), Some("second"));
        assert_eq!(Kept::abandon(dir).unwrap(), None);
        assert_eq!(Kept::load(dir).unwrap(), first);
        assert!(Kept::commit(dir).is_err());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_can_be_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        for damaged in [
            "\u{0}",
            "change = 3",
            "[outbox]\ndir = \"/\"",
            "[change.outbox]\ndir = \"/\"",
            "[change.camera.door]\nfile = \"x\"",
            "[change.camera]\ndoor = 3",
        ] {
            durable::write(&dir.path().join(FILE), damaged.as_bytes()).unwrap();
            let read = Kept::load(dir.path());
            assert!(matches!(read, Err(KeptError::Unfit(_))), "{damaged}");
        }
        assert!(Kept::set_aside(dir.path()).unwrap().exists());
        assert_eq!(Kept::load(dir.path()).unwrap(), Kept::default());
        durable::write(&dir.path().join(TRIAL), b"\xff").unwrap();
        assert_eq!(Kept::abandon(dir.path()).unwrap().as_deref(), Some(""));
    }
}
