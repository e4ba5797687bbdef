//! The names in the data directory.
//!
//! ```text
//! lock          held while the outbox is open
//! acks          what the cloud acknowledged (two slots)
//! marks         last durable numbers (not synced)
//! gaps          losses found and how they are reported
//! seg-00000007  one segment: a sled database and its `about`
//! new-00000008  a segment in the making
//! del-00000003  a segment being removed
//! tmp-00000002  a copy that `verify` looks at
//! reserve       room for the day the disk is full
//! bad-00000005  a damaged segment, kept for inspection; its whole events were carried over
//! ```

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable;

pub const LOCK: &str = "lock";
pub const ACKS: &str = "acks";
pub const MARKS: &str = "marks";
pub const GAPS: &str = "gaps";
pub const RESERVE: &str = "reserve";

/// Damaged segments kept for inspection.
const KEPT_BAD: usize = 2;

/// What a segment directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Segment,
    New,
    Deleted,
    Copy,
    Bad,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Segment,
        Self::New,
        Self::Deleted,
        Self::Copy,
        Self::Bad,
    ];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Segment => "seg-",
            Self::New => "new-",
            Self::Deleted => "del-",
            Self::Copy => "tmp-",
            Self::Bad => "bad-",
        }
    }

    /// The directory of segment number `ordinal`.
    #[must_use]
    pub fn path(self, dir: &Path, ordinal: u64) -> PathBuf {
        dir.join(format!("{}{ordinal:08}", self.prefix()))
    }
}

/// What a name of a segment directory says.
#[must_use]
pub fn parse(name: &OsStr) -> Option<(Kind, u64)> {
    let name = name.to_str()?;
    Kind::ALL.into_iter().find_map(|kind| {
        let ordinal = name.strip_prefix(kind.prefix())?.parse().ok()?;
        Some((kind, ordinal))
    })
}

/// Number of the segment in this directory, whatever kind it is.
#[must_use]
pub fn ordinal(segment: &Path) -> Option<u64> {
    parse(segment.file_name()?).map(|(_, ordinal)| ordinal)
}

/// Every segment directory: what it is and its number. Other names are nobody's business here.
///
/// # Errors
/// Any I/O error.
pub fn list(dir: &Path) -> io::Result<Vec<(Kind, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(parsed) = parse(&entry.file_name())
            && entry.file_type()?.is_dir()
        {
            found.push(parsed);
        }
    }
    Ok(found)
}

/// The numbers of one kind, ascending.
///
/// # Errors
/// Any I/O error.
pub fn ordinals(dir: &Path, kind: Kind) -> io::Result<BTreeSet<u64>> {
    let found = list(dir)?.into_iter();
    Ok(found.filter(|(k, _)| *k == kind).map(|(_, n)| n).collect())
}

/// Renames one segment directory so that it survives a power cut; something already there gives way.
///
/// # Errors
/// Any I/O error.
pub fn rename(dir: &Path, from: Kind, to: Kind, ordinal: u64) -> io::Result<()> {
    let target = to.path(dir, ordinal);
    remove(&target)?;
    fs::rename(from.path(dir, ordinal), target)?;
    durable::sync_dir(dir)
}

/// Removes a directory with all that is in it; nothing there is fine.
///
/// # Errors
/// Any I/O error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes every damaged segment that is kept for inspection; true when there was one.
///
/// # Errors
/// Any I/O error.
pub fn remove_bad(dir: &Path) -> io::Result<bool> {
    let bad = ordinals(dir, Kind::Bad)?;
    for &ordinal in &bad {
        remove(&Kind::Bad.path(dir, ordinal))?;
    }
    Ok(!bad.is_empty())
}

/// Removes what is no longer wanted and finishes what a crash interrupted. `is_complete` says whether a
/// segment in the making was ready.
///
/// # Errors
/// Any I/O error.
pub fn tidy(dir: &Path, is_complete: impl Fn(&Path) -> io::Result<bool>) -> io::Result<()> {
    for kind in [Kind::Deleted, Kind::Copy] {
        for ordinal in ordinals(dir, kind)? {
            remove(&kind.path(dir, ordinal))?;
        }
    }
    for ordinal in ordinals(dir, Kind::New)? {
        let new = Kind::New.path(dir, ordinal);
        if is_complete(&new)? && !Kind::Segment.path(dir, ordinal).exists() {
            rename(dir, Kind::New, Kind::Segment, ordinal)?;
        } else {
            remove(&new)?;
        }
    }
    for ordinal in ordinals(dir, Kind::Bad)?.into_iter().rev().skip(KEPT_BAD) {
        remove(&Kind::Bad.path(dir, ordinal))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidying_finishes_what_was_ready_and_removes_the_rest() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path();
        for name in [
            "del-00000001",
            "seg-00000002",
            "new-00000002",
            "new-00000003",
            "new-00000004",
            "bad-00000001",
            "bad-00000002",
            "bad-00000003",
            "seg-x",
            "other",
        ] {
            fs::create_dir(dir.join(name)).unwrap();
        }
        tidy(dir, |path| Ok(!path.ends_with("new-00000004"))).unwrap();
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "bad-00000002",
                "bad-00000003",
                "other",
                "seg-00000002",
                "seg-00000003",
                "seg-x"
            ]
        );
        assert_eq!(
            ordinals(dir, Kind::Segment).unwrap(),
            BTreeSet::from([2, 3])
        );
    }
}
