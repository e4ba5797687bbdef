//! Damage to any file of a stopped outbox: every later start succeeds, what is delivered is what was stored, what is
//! missing is reported, and no number is given to another event.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test's helper functions, too

#[path = "common/scale.rs"]
mod scale;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use footfall::clock::FakeClock;
use footfall::event::{
    Body, DeviceAlarm, DeviceHealth, Direction, Draft, Identity, LineCrossed, OutboxGap, Sink,
    Stream,
};
use footfall::outbox::{Options, Outbox, Queue, verify};
use jiff::tz::TimeZone;

/// Events in a segment.
const SEGMENT: u64 = 120;

type Key = (Stream, u64);

fn identity() -> Identity {
    Identity {
        tenant: "acme".into(),
        store: "shop-7".into(),
        box_id: "box-1".into(),
        boot_id: "5f0c".into(),
        zone: TimeZone::UTC,
    }
}

fn open(dir: &Path) -> Outbox {
    let options = Options {
        segment_events: SEGMENT,
        cache_bytes: 1 << 20,
        kept_segments: 1,
        ..Options::new(dir)
    };
    let clock = Arc::new(FakeClock::at(jiff::Timestamp::UNIX_EPOCH));
    Outbox::open(options, identity(), clock).unwrap().0
}

fn draft(stream: Stream, text: String) -> Draft {
    let body = match stream {
        Stream::Alarm => Body::DeviceAlarm(DeviceAlarm {
            part: "test".into(),
            message: text,
        }),
        Stream::Count => Body::LineCrossed(LineCrossed {
            line: text,
            direction: Direction::In,
            track: 1,
            from: "street".into(),
            to: "shop".into(),
            class: None,
        }),
        _ => Body::DeviceHealth(DeviceHealth {
            rss_bytes: text.len() as u64,
            disk_free_bytes: 2,
            uptime_s: 3,
            restarts: 4,
        }),
    };
    let clock = FakeClock::at(jiff::Timestamp::UNIX_EPOCH);
    Draft {
        source: "camera/entrance".into(),
        at: footfall::clock::Clock::now(&clock),
        body,
    }
}

/// A stopped store and what is true of it.
struct Store {
    dir: tempfile::TempDir,
    /// Every event that was acknowledged to its source.
    truth: BTreeMap<Key, Vec<u8>>,
    /// What the cloud has, or was told to be gone.
    settled: BTreeSet<Key>,
}

/// In memory where there is one: these tests are about bytes, not about a device.
fn tempdir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

impl Store {
    /// Some segments of three streams, one event in a file of its own, acknowledgements with holes.
    fn fill() -> Self {
        let dir = tempdir();
        let mut store = Self {
            dir,
            truth: BTreeMap::new(),
            settled: BTreeSet::new(),
        };
        let outbox = open(store.dir.path());
        for round in 0..5 {
            store.append(&outbox, round);
        }
        for (stream, range) in [
            (Stream::Count, 1..=90),
            (Stream::Count, 120..=130),
            (Stream::Alarm, 3..=40),
            (Stream::Diagnostic, 1..=20),
        ] {
            store.settled.extend(range.clone().map(|n| (stream, n)));
            outbox.ack(stream, range).unwrap();
        }
        store.append(&outbox, 5);
        outbox.close().unwrap();
        store
    }

    /// The same after the loss of a segment, reported but not acknowledged, and with events after it.
    fn with_a_loss(mut self) -> Self {
        fs::remove_dir_all(self.dir.path().join("seg-00000003")).unwrap();
        let outbox = open(self.dir.path());
        let (read, reported) = settle(&outbox, |key| self.settled.contains(key));
        for (key, lost) in reported {
            assert!(lost, "{key:?}");
            self.settled.insert(key);
        }
        self.truth.extend(read);
        self.append(&outbox, 6);
        outbox.close().unwrap();
        self
    }

    fn append(&mut self, outbox: &Outbox, round: usize) {
        let streams = [
            Stream::Count,
            Stream::Count,
            Stream::Diagnostic,
            Stream::Alarm,
        ];
        let receipts: Vec<_> = (0..100)
            .map(|n| {
                let stream = streams[n % streams.len()];
                let size = if (round, n) == (2, 0) { 200_000 } else { 200 };
                let text = format!("round {round} event {n} {}", "z".repeat(size));
                let draft = draft(stream, text);
                (stream, draft.clone(), outbox.submit(draft).unwrap())
            })
            .collect();
        for (stream, draft, receipt) in receipts {
            let sequence = receipt.blocking_recv().unwrap();
            let bytes = draft.encode(&identity(), sequence).unwrap();
            let before = self.truth.insert((stream, sequence), bytes);
            assert_eq!(before, None, "{stream}/{sequence} was given out twice");
        }
    }

    fn copy(&self) -> Self {
        let dir = tempdir();
        copy(self.dir.path(), dir.path());
        Self {
            dir,
            truth: self.truth.clone(),
            settled: self.settled.clone(),
        }
    }

    /// Opens it and compares. Says how many events that the cloud does not have are lost, and how many numbers were given
    /// up to be safe.
    fn account(&mut self) -> (usize, usize) {
        let outbox = open(self.dir.path());
        let read = read_all(&outbox);
        for (key, bytes) in &read {
            // What is not known yet is the outbox's own report.
            let expected = self.truth.get(key).unwrap_or(bytes);
            assert!(expected == bytes, "wrong bytes for {key:?}");
        }
        let known: BTreeMap<Key, Vec<u8>> = std::mem::take(&mut self.truth);
        self.append(&outbox, 100);
        for (stream, sequence) in self.truth.keys() {
            let own = known.keys().chain(read.keys());
            let highest = own.filter(|(s, _)| s == stream).map(|(_, n)| n).max();
            assert!(
                highest < Some(sequence),
                "{stream}/{sequence} is used twice"
            );
        }
        // The reports of what was met while reading come as soon as it is repaired, one after the other.
        let (read, reported) = settle(&outbox, |key| self.settled.contains(key));
        let mut lost = 0;
        for key in known.keys().filter(|key| !read.contains_key(key)) {
            let told = reported.contains_key(key);
            lost += usize::from(told && !self.settled.contains(key));
            assert!(
                told || self.settled.contains(key),
                "{key:?} is lost and not reported"
            );
        }
        for stream in Stream::ALL {
            let last = outbox.stat(stream).last;
            let unknown = (1..=last).find(|n| {
                let key = (stream, *n);
                let fine = read.contains_key(&key) || reported.contains_key(&key);
                !fine && !self.settled.contains(&key)
            });
            assert_eq!(unknown, None, "{stream}: missing and not reported");
        }
        outbox.close().unwrap();
        drop(outbox);
        self.truth.extend(known);
        self.truth.extend(read);
        self.settled.extend(reported.keys());
        let skipped = reported.values().filter(|lost| !**lost).count();
        (lost, skipped)
    }
}

/// Everything that can be read, once the outbox has repaired what it meets.
fn read_all(outbox: &Outbox) -> BTreeMap<Key, Vec<u8>> {
    let mut all = BTreeMap::new();
    for stream in Stream::ALL {
        let mut after = 0;
        let mut errors = 0;
        loop {
            match outbox.read(stream, after, 50, 1 << 20) {
                Ok(events) if events.is_empty() => break,
                Ok(events) => {
                    for event in events {
                        assert!(event.sequence > after);
                        after = event.sequence;
                        all.insert((stream, event.sequence), event.bytes);
                    }
                }
                Err(error) => {
                    errors += 1;
                    assert!(errors < 500, "{error}");
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
    all
}

/// Everything that can be read and is reported as gone, once every number is one of them or among what the caller
/// knows of; as it is when that does not come to pass.
fn settle(
    outbox: &Outbox,
    is_known: impl Fn(&Key) -> bool,
) -> (BTreeMap<Key, Vec<u8>>, BTreeMap<Key, bool>) {
    let mut tries = 0;
    loop {
        let read = read_all(outbox);
        let reported = reported(&read);
        let is_settled =
            |key: Key| read.contains_key(&key) || reported.contains_key(&key) || is_known(&key);
        let all = Stream::ALL.into_iter().all(|stream| {
            let mut numbers = 1..=outbox.stat(stream).last;
            numbers.all(|number| is_settled((stream, number)))
        });
        if all || tries == 500 {
            return (read, reported);
        }
        tries += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The numbers reported as gone; true for those that had an event.
fn reported(read: &BTreeMap<Key, Vec<u8>>) -> BTreeMap<Key, bool> {
    let mut all = BTreeMap::new();
    for bytes in read.values() {
        let event: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        if event["type"] != "footfall.outbox.gap.v1" {
            continue;
        }
        let gap: OutboxGap = serde_json::from_value(event["data"].clone()).unwrap();
        assert_eq!(gap.count, gap.last - gap.first + 1);
        let lost = gap.reason != footfall::event::GapReason::Skipped;
        all.extend((gap.first..=gap.last).map(|n| ((gap.stream, n), lost)));
    }
    all
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All files of the store, in a fixed order. The reserve holds nothing.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_owned();
        if path.is_dir() {
            all.extend(files(&path));
        } else if name != "lock" && name != "reserve" {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[allow(clippy::disallowed_methods)] // damage on purpose
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// Damages one file, or two that change places; says what it did.
fn damage(dir: &Path, random: &mut fastrand::Rng) -> String {
    let files = files(dir);
    // Every file alike, or every kind of file alike: there are many databases and one `acks`.
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy()[..2].to_owned();
    let names: BTreeSet<String> = files.iter().map(|path| name(path)).collect();
    let kind = random.choice(names).filter(|_| random.bool());
    let of_kind = files
        .iter()
        .filter(|path| kind.as_ref().is_none_or(|kind| *kind == name(path)));
    let path = random.choice(of_kind.collect::<Vec<_>>()).unwrap();
    let mut bytes = fs::read(path).unwrap();
    // Beyond its used part a database file is empty: damage there would show nothing.
    let used = bytes.iter().rposition(|byte| *byte != 0);
    let used = used.map_or(1, |at| at + 1).min(bytes.len().max(1));
    let at = random.usize(0..used);
    let what = random.u32(0..7);
    let done = match what {
        0 | 1 if !bytes.is_empty() => {
            for _ in 0..=random.usize(0..3) {
                let at = random.usize(0..used);
                bytes[at] ^= 1 << random.u32(0..8);
            }
            "flipped bits"
        }
        2 if !bytes.is_empty() => {
            let block = at - at % 512;
            let end = bytes.len().min(block + 512 * random.usize(1..=16));
            bytes[block..end].fill(0);
            "zeroed blocks"
        }
        3 => {
            bytes.truncate(at);
            "cut off"
        }
        4 => {
            bytes.extend((0..random.usize(1..5000)).map(|_| random.u8(..)));
            "something behind it"
        }
        5 => {
            let other = random.choice(&files).unwrap();
            overwrite(path, &fs::read(other).unwrap());
            overwrite(other, &bytes);
            return format!("swapped {} and {}", path.display(), other.display());
        }
        _ => {
            fs::remove_file(path).unwrap();
            return format!("removed {}", path.display());
        }
    };
    overwrite(path, &bytes);
    format!("{done}: {}", path.display())
}

#[test]
fn damage_to_any_file_is_survived_and_accounted_for() {
    let (seed, rounds) = match std::env::var("FOOTFALL_SEED") {
        Ok(seed) => (seed.parse().unwrap(), 1),
        Err(_) => (fastrand::u64(..), scale::rounds(6, 200)),
    };
    let stores = [Store::fill(), Store::fill().with_a_loss()];
    let mut total = (0, 0);
    for round in 0..rounds as u64 {
        let seed = seed.wrapping_add(round);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut store = random.choice(&stores).unwrap().copy();
        println!("FOOTFALL_SEED={seed}");
        for _ in 0..random.usize(1..=2) {
            println!("{}", damage(store.dir.path(), &mut random));
        }
        let (lost, skipped) = store.account();
        println!("{lost} of {} lost", store.truth.len());
        total = (total.0 + lost, total.1 + skipped);
        // The next start finds nothing more.
        assert_eq!(
            verify(store.dir.path()).unwrap().faults,
            Vec::<String>::new()
        );
        let settled = store.settled.len();
        store.account();
        assert_eq!(
            store.settled.len(),
            settled,
            "more losses at the second start"
        );
    }
    println!(
        "{rounds} damages: every start succeeded, no wrong byte; {} events lost and reported, {} numbers skipped",
        total.0, total.1
    );
}
