//! Damage of every kind: the outbox opens, never panics, never returns wrong bytes, says what is lost,
//! loses little, and never uses a number twice. Damage at random is in `tests/torture_outbox_damage.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::layout::{Kind, ordinals};
use super::tests::{draft, gaps, identity, open, read_all, submit, tempdir, wait};
use super::{Outbox, verify};
use crate::event::{GapReason, Stream};

const SEGMENT: u64 = 120;

/// Every event that was acknowledged to its source.
type Truth = BTreeMap<(usize, u64), Vec<u8>>;

/// Stores events of three streams over three segments.
fn fill(dir: &Path) -> Truth {
    let (outbox, _) = open(dir, SEGMENT);
    let mut truth = Truth::new();
    for round in 0..12 {
        let streams = [
            Stream::Count,
            Stream::Count,
            Stream::Interval,
            Stream::Alarm,
        ];
        let receipts: Vec<_> = (0..25)
            .map(|n| {
                let stream = streams[n % streams.len()];
                let text = format!("round {round} event {n} {}", "z".repeat(200));
                (stream, text.clone(), submit(&outbox, stream, &text))
            })
            .collect();
        for (stream, text, receipt) in receipts {
            let sequence = wait(receipt);
            let bytes = draft(stream, &text).encode(&identity(), sequence).unwrap();
            truth.insert((stream.index(), sequence), bytes);
        }
    }
    outbox.close().unwrap();
    truth
}

#[allow(clippy::disallowed_methods)] // damage on purpose
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// Reads everything back and compares: what is missing must have been reported, once. Returns how many
/// events were lost.
fn account(dir: &Path, truth: &Truth) -> usize {
    let (outbox, recovery) = open(dir, SEGMENT);
    let mut read = Truth::new();
    for stream in Stream::ALL {
        for (sequence, bytes) in read_all(&outbox, stream, 0) {
            read.insert((stream.index(), sequence), bytes);
        }
    }
    let mut next = BTreeMap::new();
    for stream in Stream::ALL {
        next.insert(
            stream.index(),
            wait(submit(&outbox, stream, "after the damage")),
        );
    }
    let reported = reported(&outbox);
    let mut lost = 0;
    for (key, bytes) in truth {
        match read.get(key) {
            Some(read) => assert_eq!(read, bytes, "wrong bytes for {key:?}"),
            None => {
                lost += 1;
                assert!(
                    reported.contains(key),
                    "{key:?} is lost silently; {recovery:?}"
                );
            }
        }
        assert!(next[&key.0] > key.1, "{key:?} was used twice");
    }
    assert!(
        reported.iter().all(|key| !read.contains_key(key)),
        "reported and readable"
    );
    outbox.close().unwrap();
    drop(outbox);
    // Nothing is left to find, and nothing is reported again.
    let report = verify(dir).unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
    let (outbox, again) = open(dir, SEGMENT);
    assert_eq!(again.gaps, []);
    assert_eq!(self::reported(&outbox), reported);
    lost
}

/// The numbers reported as gone; none twice.
fn reported(outbox: &Outbox) -> BTreeSet<(usize, u64)> {
    let mut all = BTreeSet::new();
    for gap in gaps(outbox) {
        assert_eq!(gap.count, gap.last - gap.first + 1);
        for sequence in gap.first..=gap.last {
            assert!(
                all.insert((gap.stream.index(), sequence)),
                "reported twice: {gap:?}"
            );
        }
    }
    all
}

/// All files of the store, in a fixed order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.file_name().unwrap() != "lock" {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// Flips a bit wherever the needle is: sled may have written a record more than once.
fn spoil(bytes: &mut [u8], needle: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(needle.len()).position(|w| w == needle) {
        bytes[at + found] ^= 0x20;
        at += found + 1;
    }
    assert!(at > 0);
}

#[test]
fn leftovers_of_a_snapshot_do_not_matter() {
    let dir = tempdir();
    let truth = fill(dir.path());
    for ordinal in ordinals(dir.path(), Kind::Segment).unwrap() {
        let path = Kind::Segment.path(dir.path(), ordinal);
        overwrite(&path.join("snap.0000000000ABCDEF.generating"), b"half");
        overwrite(&path.join("snap.00000000000FFFFF"), b"garbage");
    }
    assert_eq!(account(dir.path(), &truth), 0);
}

#[test]
fn a_sealed_segment_that_vanished_is_reported_whole() {
    let dir = tempdir();
    let truth = fill(dir.path());
    fs::remove_dir_all(Kind::Segment.path(dir.path(), 1)).unwrap();
    assert!(!verify(dir.path()).unwrap().faults.is_empty());
    assert_eq!(account(dir.path(), &truth), 100);
}

#[test]
fn a_head_that_vanished_is_reported_and_its_numbers_are_skipped() {
    let dir = tempdir();
    let truth = fill(dir.path());
    let head = *ordinals(dir.path(), Kind::Segment).unwrap().last().unwrap();
    fs::remove_dir_all(Kind::Segment.path(dir.path(), head)).unwrap();
    assert!(account(dir.path(), &truth) > 0);
    let (outbox, _) = open(dir.path(), SEGMENT);
    let reasons = |wanted| {
        gaps(&outbox)
            .iter()
            .filter(|gap| gap.reason == wanted)
            .count()
    };
    assert!(reasons(GapReason::Corruption) >= 3);
    assert_eq!(reasons(GapReason::Skipped), 4);
}

#[test]
fn a_head_that_sled_finds_empty_is_noticed_even_when_a_power_cut_took_the_marks() {
    let dir = tempdir();
    let truth = fill(dir.path());
    let head = *ordinals(dir.path(), Kind::Segment).unwrap().last().unwrap();
    let db = Kind::Segment.path(dir.path(), head).join("db");
    let mut bytes = fs::read(&db).unwrap();
    bytes[..20].fill(0);
    overwrite(&db, &bytes);
    fs::remove_file(dir.path().join("marks")).unwrap();
    assert_eq!(account(dir.path(), &truth), 0);
}

#[test]
fn a_big_event_which_sled_keeps_in_a_file_of_its_own_outlives_damage_of_the_head() {
    let dir = tempdir();
    let mut truth = fill(dir.path());
    let (outbox, _) = open(dir.path(), SEGMENT);
    let text = "big".repeat(60_000);
    let sequence = wait(submit(&outbox, Stream::Count, &text));
    let bytes = draft(Stream::Count, &text).encode(&identity(), sequence);
    truth.insert((Stream::Count.index(), sequence), bytes.unwrap());
    outbox.close().unwrap();
    drop(outbox);
    let head = *ordinals(dir.path(), Kind::Segment).unwrap().last().unwrap();
    let db = Kind::Segment.path(dir.path(), head).join("db");
    let mut bytes = fs::read(&db).unwrap();
    bytes[..20].fill(0);
    overwrite(&db, &bytes);
    assert_eq!(account(dir.path(), &truth), 0);
}

#[test]
fn a_torn_copy_that_a_power_cut_left_does_not_stand_in_for_a_new_one() {
    for torn in [0, 9000] {
        let dir = tempdir();
        let truth = fill(dir.path());
        let head = *ordinals(dir.path(), Kind::Segment).unwrap().last().unwrap();
        let head = Kind::Segment.path(dir.path(), head);
        let mut bytes = fs::read(head.join("db")).unwrap();
        spoil(&mut bytes, b"round 10 event 1 ");
        overwrite(&head.join("db"), &bytes);
        overwrite(&head.join("db.raw"), &bytes[..torn]);
        let lost = account(dir.path(), &truth);
        assert!(lost <= 1, "{lost}");
    }
}

#[test]
fn one_flipped_bit_in_the_head_costs_no_more_than_one_event() {
    let dir = tempdir();
    let truth = fill(dir.path());
    let head = *ordinals(dir.path(), Kind::Segment).unwrap().last().unwrap();
    let db = Kind::Segment.path(dir.path(), head).join("db");
    let mut bytes = fs::read(&db).unwrap();
    let needle = b"round 11 event 1 ";
    spoil(&mut bytes, needle);
    overwrite(&db, &bytes);
    let report = verify(dir.path()).unwrap();
    assert!(!report.faults.is_empty());
    let lost = account(dir.path(), &truth);
    assert!(lost <= 1, "{lost}");
}

#[test]
fn lost_small_files_cost_no_event() {
    for name in ["acks", "marks", "gaps", "about"] {
        let dir = tempdir();
        let truth = fill(dir.path());
        for path in files(dir.path()) {
            if path.file_name().unwrap() == name {
                overwrite(&path, b"not what it was");
            }
        }
        assert_eq!(account(dir.path(), &truth), 0, "{name}");
    }
}

#[test]
fn damage_met_while_reading_is_repaired_and_reported_without_a_restart() {
    let dir = tempdir();
    let truth = fill(dir.path());
    let (outbox, recovery) = open(dir.path(), SEGMENT);
    assert_eq!(recovery.gaps, []);
    // A sealed segment is opened when it is read, so the running outbox does not know yet.
    let db = Kind::Segment.path(dir.path(), 2).join("db");
    let mut bytes = fs::read(&db).unwrap();
    let needle = b"round 5 event 1 ";
    spoil(&mut bytes, needle);
    overwrite(&db, &bytes);
    let mut read = 0;
    for stream in Stream::ALL {
        for (sequence, bytes) in read_all(&outbox, stream, 0) {
            if let Some(expected) = truth.get(&(stream.index(), sequence)) {
                assert_eq!(&bytes, expected);
                read += 1;
            }
        }
    }
    assert!(read >= truth.len() - 1, "{read} of {}", truth.len());
    assert!(Kind::Bad.path(dir.path(), 2).exists());
    wait(submit(&outbox, Stream::Count, "after the reports"));
    assert_eq!(reported(&outbox).len(), truth.len() - read);
    outbox.close().unwrap();
    drop(outbox);
    account(dir.path(), &truth);
}

#[test]
fn looking_changes_nothing_and_names_what_is_wrong() {
    let dir = tempdir();
    let truth = fill(dir.path());
    let whole = verify(dir.path()).unwrap();
    assert_eq!(whole.faults, Vec::<String>::new());
    let count = |stream: Stream| truth.keys().filter(|key| key.0 == stream.index()).count() as u64;
    for stream in &whole.streams {
        assert_eq!(
            (stream.count, stream.pending),
            (count(stream.stream), count(stream.stream))
        );
        assert_eq!((stream.last, stream.bad_records), (count(stream.stream), 0));
        assert_eq!(stream.holes, []);
    }
    let stat = super::stat(dir.path()).unwrap();
    assert_eq!((stat.segments, stat.bytes), (whole.segments, whole.bytes));
    assert_eq!(stat.streams[1].stat.pending, count(Stream::Count));
    let mut dumped = Vec::new();
    super::dump(dir.path(), &mut dumped).unwrap();
    let lines: Vec<&[u8]> = dumped.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines[..truth.len()], truth.values().collect::<Vec<_>>());
    let before: Vec<_> = files(dir.path())
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    let names = files(dir.path());
    let db = Kind::Segment.path(dir.path(), 1).join("db");
    let position = names.iter().position(|path| *path == db).unwrap();
    let mut damaged = before[position].clone();
    spoil(&mut damaged, b"round 1 event 1 ");
    overwrite(&db, &damaged);
    let report = verify(dir.path()).unwrap();
    assert!(
        report
            .faults
            .iter()
            .any(|fault| fault.contains("seg-00000001")),
        "{report:?}"
    );
    assert!(super::dump(dir.path(), &mut Vec::new()).is_err());
    overwrite(&db, &before[position]);
    assert_eq!(files(dir.path()), names);
    let after: Vec<_> = names.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(after == before);
}
