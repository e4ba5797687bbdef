//! Opening a segment with care: a copy of its file first, then a look at everything in it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::index::{Index, data_files};
use super::ranges::{PerStream, RangeSet};

use super::segment::{Content, Segment, SegmentError};
use super::space;
use crate::durable;

/// Copy of the database's files as they were before sled opened them.
pub const RAW: &str = "db.raw";

/// Opens a segment and reads all of it: `Err` with plain words where it is damaged or does not hold
/// everything expected.
///
/// sled zeroes everything that follows a damaged place while it opens, and removes what belonged to it. So the files
/// are copied before; the copy goes once all is found to be well, mostly before it reaches the disk, and stays for the rescue
/// otherwise.
///
/// # Errors
/// Any I/O error; it says nothing about the bytes.
pub fn probe(
    dir: &Path,
    cache_bytes: u64,
    expected: &PerStream<RangeSet>,
) -> io::Result<Result<(Segment, Content), String>> {
    preserve(dir, false)?;
    open(dir, cache_bytes, expected)
}

/// The same for a segment that a power cut may have torn: the next cut may come before it is repaired, so the copy
/// reaches the disk first.
///
/// # Errors
/// Any I/O error; it says nothing about the bytes.
pub fn probe_unsealed(
    dir: &Path,
    cache_bytes: u64,
    expected: &PerStream<RangeSet>,
) -> io::Result<Result<(Segment, Content), String>> {
    preserve(dir, true)?;
    open(dir, cache_bytes, expected)
}

fn open(
    dir: &Path,
    cache_bytes: u64,
    expected: &PerStream<RangeSet>,
) -> io::Result<Result<(Segment, Content), String>> {
    let read = Segment::open(dir, cache_bytes).and_then(|segment| {
        let content = segment.content()?;
        Ok((segment, content))
    });
    let (segment, content) = match read {
        Ok(read) => read,
        Err(SegmentError::Io(error)) => return Err(error),
        // sled stops in many ways where it finds no room.
        Err(SegmentError::Damaged(_)) if space::no_room(dir) => {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Err(SegmentError::Damaged(why)) => return Ok(Err(why)),
    };
    if let Some((_, fault)) = content.faults.first() {
        return Ok(Err(fault.clone()));
    }
    if let Some(what) = content.present.lacks(expected) {
        return Ok(Err(what));
    }
    match fs::remove_file(dir.join(RAW)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(Ok((segment, content))),
    }
}

/// Copies the database's files into one, durably when asked: records are found anywhere. To a copy that is left from an opening that was interrupted it is
/// added: after a power cut that copy may be old or torn, or the only one that is whole. A full disk is no reason not
/// to open.
fn preserve(dir: &Path, durably: bool) -> io::Result<()> {
    let (raw, unfinished) = (dir.join(RAW), dir.join("db.raw.new"));
    let files = data_files(dir)?;
    let is_left = raw.exists();
    let is_enough = is_left && Index::covers(&raw, &files)?;
    let copy = || -> io::Result<()> {
        if !is_enough {
            let mut to = File::create(&unfinished)?;
            for file in is_left.then_some(&raw).into_iter().chain(&files) {
                io::copy(&mut File::open(file)?, &mut to)?;
            }
            fs::rename(&unfinished, &raw)?;
        }
        if durably {
            File::open(&raw)?.sync_all()?;
            durable::sync_dir(dir)?;
        }
        Ok(())
    };
    let Err(error) = copy() else { return Ok(()) };
    let _ = fs::remove_file(&unfinished);
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            tracing::warn!(dir = %dir.display(), %error, "opening a database without a copy of it");
            Ok(())
        }
        _ => Err(error),
    }
}
