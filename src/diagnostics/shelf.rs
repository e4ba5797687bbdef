//! The newest bundles in the data directory, `diagnostics/ID.tar.gz`, for the owner of the box alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::system;

/// Bundles that are kept.
const KEPT: usize = 2;
/// Space that must be free besides, bytes: events go first.
const SPARE: u64 = 64 << 20;

/// The bundle `id` in `dir`, made now where there is none; only the newest are kept.
///
/// # Errors
/// I/O, too little space, or what `make` says.
pub fn keep(
    dir: &Path,
    id: &str,
    make: impl FnOnce() -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let shelf = dir.join("diagnostics");
    let path = shelf.join(format!("{id}.tar.gz"));
    match fs::read(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        kept => return kept,
    }
    fs::create_dir_all(&shelf)?;
    let mut older = Vec::new();
    for file in fs::read_dir(&shelf)? {
        let file = file?;
        older.push((file.metadata()?.modified()?, file.path()));
    }
    older.sort_unstable();
    let excess = (older.len() + 1).saturating_sub(KEPT);
    for (_, path) in older.into_iter().take(excess) {
        remove(&path)?;
    }
    let bundle = make()?;
    if system::disk_free_bytes(dir) < SPARE + bundle.len() as u64 {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            "too little space is free; events go first",
        ));
    }
    durable::write_with_mode(&path, &bundle, 0o600)?;
    Ok(bundle)
}

fn remove(path: &PathBuf) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_two_are_kept_and_the_same_id_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for (id, bytes) in [("a", 1u8), ("b", 2), ("c", 3), ("d", 4)] {
            assert_eq!(keep(dir.path(), id, || Ok(vec![bytes])).unwrap(), [bytes]);
        }
        assert_eq!(
            keep(dir.path(), "d", || panic!("it is there")).unwrap(),
            [4]
        );
        let kept = fs::read_dir(dir.path().join("diagnostics")).unwrap();
        let mut names: Vec<_> = kept.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["c.tar.gz", "d.tar.gz"]);
        let failed = keep(dir.path(), "e", || Err(io::Error::other("no")));
        assert!(failed.is_err());
    }
}
