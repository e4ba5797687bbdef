//! The outbox against a plain model: any order of appending, committing, sealing, making room, reading, acknowledging,
//! closing, crashing (also in the middle of a step, with torn small files) and opening again. The writer is driven here
//! step by step, without its thread, so a run repeats itself from its seed.
//!
//! What must hold: an event acknowledged to its source is read with the same bytes, or the cloud had it, or exactly one
//! `outbox.gap` names it; a number never stands for two events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::ackfile;
use super::chain::Layout;
use super::intake::{Intake, Item, Patience};
use super::layout::{ACKS, GAPS, MARKS};
use super::segment::Batch;
use super::state::Shared;
use super::tests::{draft, identity, tempdir};
use super::writer::Writer;
use super::{Stored, reader, recovery};
use crate::clock::FakeClock;
use crate::event::{OutboxGap, Stream};

#[path = "../../tests/common/scale.rs"]
mod scale;

type Key = (Stream, u64);

/// The writer, the cloud, and what is true.
struct World {
    dir: tempfile::TempDir,
    segment_events: u64,
    quota: u64,
    clock: Arc<FakeClock>,
    /// `None` only while it is opened.
    writer: Option<Writer>,
    closing: watch::Sender<bool>,
    random: fastrand::Rng,
    /// The one content of each number; the outbox's own events from when they are first read.
    content: BTreeMap<Key, Vec<u8>>,
    /// The cloud has it.
    received: BTreeSet<Key>,
    /// Reported to the cloud as gone, with the reports' numbers.
    told: BTreeMap<Key, BTreeSet<u64>>,
    /// Marks of some time ago.
    old_marks: Vec<u8>,
    events: u32,
}

impl World {
    fn new(seed: u64, quota: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = Self {
            dir: tempdir(),
            segment_events: random.u64(5..60),
            quota,
            clock: Arc::new(FakeClock::at(jiff::Timestamp::UNIX_EPOCH)),
            writer: None,
            closing: watch::Sender::new(false),
            random,
            content: BTreeMap::new(),
            received: BTreeSet::new(),
            told: BTreeMap::new(),
            old_marks: Vec::new(),
            events: 0,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let layout = Layout {
            dir: self.dir.path().to_owned(),
            cache_bytes: 1 << 20,
            segment_events: self.segment_events,
            segment_age: std::time::Duration::from_secs(3600),
            kept_segments: 1,
            quota_bytes: Some(self.quota),
        };
        let clock = Arc::clone(&self.clock);
        let (chain, recovery) = recovery::open(layout, clock).unwrap();
        for stream in Stream::ALL {
            let known = self.content.keys().filter(|key| key.0 == stream);
            let last = known.map(|key| key.1).max().unwrap_or(0);
            assert!(recovery.last[stream] >= last, "{stream}: {recovery:?}");
        }
        assert_eq!(recovery.quarantined, Vec::<std::path::PathBuf>::new());
        let (closing, is_closing) = watch::channel(false);
        self.closing = closing;
        let queue = Arc::new(Intake::new(1024, 100, Patience::default()));
        let writer = Writer::new(chain, identity(), queue, is_closing, Duration::ZERO);
        self.writer = Some(writer.unwrap());
    }

    fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().unwrap()
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.writer.as_ref().unwrap().chain.shared)
    }

    /// One group of events of all streams.
    fn append(&mut self) {
        let mut items = Vec::new();
        let mut expected = Vec::new();
        let mut last = self.shared().state().last();
        for _ in 0..self.random.usize(1..30) {
            let stream = self.random.choice(Stream::ALL).unwrap();
            self.events += 1;
            let size = self.random.usize(0..600);
            let draft = draft(stream, &format!("{} {}", self.events, "x".repeat(size)));
            last[stream] += 1;
            let bytes = draft.encode(&identity(), last[stream]).unwrap();
            let (receipt, answer) = oneshot::channel();
            expected.push((answer, (stream, last[stream]), bytes));
            let receipt = Some(receipt);
            items.push(Item { draft, receipt });
        }
        self.writer().store(items).unwrap();
        for (mut answer, key, bytes) in expected {
            assert_eq!(answer.try_recv(), Ok(key.1));
            let before = self.content.insert(key, bytes);
            assert_eq!(before, None, "{key:?} stands for two events");
        }
    }

    /// What the writer does between groups, after some time.
    fn tend(&mut self) {
        self.clock
            .advance(Duration::from_millis(self.random.u64(0..2500)));
        self.writer().look_after().unwrap();
        assert_eq!(*self.shared().trouble(), None);
    }

    fn seal(&mut self) {
        let chain = &mut self.writer().chain;
        if chain.stored() > 0 {
            chain.rotate().unwrap();
        }
    }

    /// One step of making room.
    fn make_room(&mut self) {
        let quota = std::mem::replace(&mut self.writer().chain.space.quota, 0);
        self.writer().chain.keep_room().unwrap();
        self.writer().chain.space.quota = quota;
    }

    fn read(&mut self, stream: Stream, after: u64) -> Vec<Stored> {
        let batch = Batch::new(self.random.usize(1..40), self.random.usize(100..9000));
        reader::read(&self.shared(), self.dir.path(), stream, after, batch).unwrap()
    }

    /// The cloud reads from anywhere, and has it from then on if it says so.
    fn deliver(&mut self, stream: Stream, after: u64, acknowledges: bool) -> u64 {
        let mut last = after;
        for event in self.read(stream, after) {
            assert!(event.sequence > last, "{stream}/{}", event.sequence);
            last = event.sequence;
            let key = (stream, event.sequence);
            let known = self
                .content
                .entry(key)
                .or_insert_with(|| event.bytes.clone());
            assert!(*known == event.bytes, "wrong bytes for {key:?}");
            if acknowledges && self.received.insert(key) {
                self.hear(key.1, &event.bytes);
            }
        }
        if acknowledges && last > after {
            self.shared().state().streams[stream].ack(&(after + 1..=last));
            self.shared().state().unstored_acks += 1;
        }
        last
    }

    fn hear(&mut self, report: u64, bytes: &[u8]) {
        let event: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        if event["type"] != "footfall.outbox.gap.v1" {
            return;
        }
        let gap: OutboxGap = serde_json::from_value(event["data"].clone()).unwrap();
        assert_eq!(gap.count, gap.last - gap.first + 1);
        for number in gap.first..=gap.last {
            let told = self.told.entry((gap.stream, number)).or_default();
            told.insert(report);
        }
    }

    fn close(&mut self) {
        self.closing.send_replace(true);
        self.writer.take().unwrap().run().unwrap();
    }

    /// What a killed process leaves: a copy of the files as they are now.
    fn snapshot(&self) -> tempfile::TempDir {
        let to = tempdir();
        copy(self.dir.path(), to.path());
        to
    }

    /// Goes on with the files of `left`, and with those of `newer` that a step changes first.
    fn crash(&mut self, left: tempfile::TempDir, newer: &[&str]) {
        for name in newer {
            let from = self.dir.path().join(name);
            if from.exists() {
                fs::copy(from, left.path().join(name)).unwrap();
            }
        }
        let marks = left.path().join(MARKS);
        let now = fs::read(&marks).unwrap_or_default();
        match self.random.u32(0..5) {
            0 => overwrite(&marks, &now[..now.len() / 2]),
            1 => overwrite(&marks, &self.old_marks),
            2 => drop(fs::remove_file(&marks)),
            _ => self.old_marks = now,
        }
        let acks = left.path().join(ACKS);
        if self.random.u32(0..3) == 0 {
            let mut bytes = fs::read(&acks).unwrap();
            let slot = self.random.usize(0..2) * ackfile::SLOT as usize;
            if let Some(byte) = bytes.get_mut(slot + 25) {
                *byte ^= 0x10;
            }
            if ackfile::newest(&bytes).is_some() {
                overwrite(&acks, &bytes);
            }
        }
        self.writer = None;
        self.dir = left;
        self.open();
    }

    fn step(&mut self) -> String {
        let stream = self.random.choice(Stream::ALL).unwrap();
        let last = self.shared().state().last()[stream];
        let after = self.random.u64(0..=last);
        let step = self.random.u32(0..100);
        match step {
            0..35 => self.append(),
            35..50 => self.tend(),
            50..55 => self.seal(),
            55..65 => self.make_room(),
            65..75 => drop(self.deliver(stream, after, false)),
            75..85 => drop(self.deliver(stream, after, true)),
            85..90 => {
                self.close();
                self.open();
            }
            90..94 => {
                let left = self.snapshot();
                self.crash(left, &[]);
            }
            94..97 => {
                // The loss is noted and not yet carried out, with or without the acknowledgements.
                let left = self.snapshot();
                self.make_room();
                let newer: &[&str] = self
                    .random
                    .choice([&[][..], &[GAPS], &[GAPS, ACKS]])
                    .unwrap();
                self.crash(left, newer);
            }
            _ => {
                // The reports are planned and not yet stored.
                let left = self.snapshot();
                self.tend();
                self.crash(left, &[ACKS, GAPS]);
            }
        }
        format!("{step} {stream} {after}")
    }

    /// The cloud comes back and takes all there is.
    fn drain(&mut self) {
        for _ in 0..50 {
            self.clock.advance(Duration::from_secs(2));
            self.writer().look_after().unwrap();
            let mut more = false;
            for stream in Stream::ALL {
                let mut after = self.shared().state().streams[stream].acked.prefix();
                loop {
                    let last = self.deliver(stream, after, true);
                    if last == after {
                        break;
                    }
                    more = true;
                    after = last;
                }
            }
            let open = self.writer().chain.gaps.0.iter();
            if !more && open.filter(|gap| gap.report.is_none()).count() == 0 {
                return;
            }
        }
        panic!("there is always something left");
    }

    /// Every number is with the cloud or was reported.
    fn check(&mut self) {
        self.drain();
        for key in self.content.keys() {
            let known = self.received.contains(key) || self.told.contains_key(key);
            assert!(known, "{key:?} is lost silently");
        }
        // A report that was given up, although the cloud had it and a crash had forgotten that, is made again.
        for (key, reports) in &self.told {
            let stand = |report: &&u64| !self.told.contains_key(&(Stream::Alarm, **report));
            let standing: Vec<_> = reports.iter().filter(stand).collect();
            assert_eq!(standing.len(), 1, "{key:?} is reported by {reports:?}");
        }
        let last = self.shared().state().last();
        for (stream, last) in last.iter() {
            for key in (1..=*last).map(|n| (stream, n)) {
                let known = self.received.contains(&key) || self.told.contains_key(&key);
                assert!(known, "{key:?} is neither there nor reported");
            }
            assert_eq!(self.shared().state().streams[stream].stat().pending, 0);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            // sled removes files in the background.
            let _ = fs::copy(entry.path(), target);
        }
    }
}

#[allow(clippy::disallowed_methods)] // damage on purpose
fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// One seed alone where `FOOTFALL_SEED` says so.
fn seeds(short: usize, all: usize) -> Vec<u64> {
    match std::env::var("FOOTFALL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..scale::rounds(short, all))
            .map(|_| fastrand::u64(..))
            .collect(),
    }
}

#[test]
fn any_order_of_steps_keeps_every_event_or_reports_it_once() {
    let (mut events, mut told, mut worlds) = (0, 0, 0);
    for seed in seeds(20, 500) {
        println!("FOOTFALL_SEED={seed}");
        let mut world = World::new(seed, 1 << 30);
        let steps = world.random.usize(5..40);
        for _ in 0..steps {
            let step = world.step();
            println!("{step}");
        }
        world.check();
        worlds += 1;
        events += world.events;
        told += world.told.len();
    }
    println!("{worlds} worlds, {events} events, {told} given up and reported once, 0 lost");
}

/// Segments that fill while the quota is full, the cloud there for a moment after every `visit`; what `gaps` was at most,
/// as entries and bytes.
fn weeks(segments: usize, visit: usize) -> (usize, u64) {
    let seed = *seeds(1, 1).first().unwrap();
    println!("FOOTFALL_SEED={seed}");
    let mut world = World::new(seed, 8 << 20);
    world.close();
    world.segment_events = 15;
    world.open();
    let (mut entries, mut bytes) = (0, 0);
    for segment in 1..=segments {
        world.append();
        world.seal();
        if segment % visit == 0 {
            let last = world.shared().state().last()[Stream::Count];
            world.deliver(Stream::Count, last.saturating_sub(5), true);
            world.deliver(Stream::Alarm, 0, true);
        }
        if segment % 100 == 0 {
            let left = world.snapshot();
            world.crash(left, &[]);
        }
        world.tend();
        entries = entries.max(world.writer().chain.gaps.0.len());
        let file = fs::metadata(world.dir.path().join(GAPS));
        bytes = bytes.max(file.map_or(0, |meta| meta.len()));
    }
    world.check();
    let told = world.told.len();
    println!(
        "{segments} segments, {told} numbers given up: at most {entries} entries, {bytes} bytes"
    );
    assert!(told > 0);
    (entries, bytes)
}

// A segment is some 25 minutes at 40 events a minute: 57 a day.

#[test]
fn weeks_of_a_full_quota_without_the_cloud_leave_little_and_every_number_is_reported_once() {
    let (entries, bytes) = weeks(scale::rounds(60, 21 * 57), usize::MAX);
    // No more than the stored events leave holes between.
    assert!(entries < 100 && bytes < 8192);
}

#[test]
fn weeks_of_a_full_quota_with_the_cloud_now_and_then_leave_no_more_than_its_visits() {
    let segments = scale::rounds(60, 10 * 57);
    let (entries, _) = weeks(segments, 30);
    assert!(entries < 100 + segments / 30 * 4);
}
