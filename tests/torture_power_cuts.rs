//! Power cuts, simulated: a process that stores, reads and acknowledges events is recorded, system call by system
//! call; the disk is rebuilt as it can be after a cut at any moment (`common/disk.rs` says what is relied on); and an
//! outbox opened there must keep every promise made before that moment.
//!
//! A recording that shows a fault is kept, and its directory printed: FOOTFALL_RECORDING=directory FOOTFALL_SEED=number
//! makes that one cut again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/disk.rs"]
mod disk;
#[path = "common/promises.rs"]
mod promises;
#[path = "common/replayed.rs"]
mod replayed;
#[path = "common/scale.rs"]
mod scale;
#[path = "common/trace.rs"]
mod trace;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use disk::{Model, Sync, Tree};
use fastrand::Rng;
use promises::{Found, Promises};
use replayed::Replayed;
use tempfile::TempDir;

const DIR: &str = "FOOTFALL_TEST_DIR";
const SEED: &str = "FOOTFALL_TEST_SEED";
const GROUPS: &str = "FOOTFALL_TEST_GROUPS";
const QUOTA: &str = "FOOTFALL_TEST_QUOTA";

/// The recorded part. Does nothing in an ordinary test run.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let groups = number(GROUPS) as usize;
    let outbox = promises::work(Path::new(&dir), number(SEED), groups, number(QUOTA));
    if number(SEED) % 2 == 0 {
        outbox.close().unwrap();
    }
    // Every other one ends as if it were killed.
    std::process::exit(0);
}

/// What the recorded process finds when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Empty,
    /// What a power cut left.
    AfterCut,
    /// What one power cut after another left.
    AfterCuts,
    /// The same, with a head that has to be rebuilt.
    Damaged,
    /// Nothing, with room for so little that events must give way.
    Narrow,
}

impl Start {
    const ALL: [Self; 5] = [
        Self::Empty,
        Self::AfterCut,
        Self::Damaged,
        Self::Narrow,
        Self::AfterCuts,
    ];

    /// How many groups of events the process stores, and in how much room.
    fn work(self) -> (usize, u64) {
        match self {
            Self::Empty => (12, promises::ROOMY),
            Self::AfterCut | Self::AfterCuts | Self::Damaged => (5, promises::ROOMY),
            Self::Narrow => (30, promises::NARROW),
        }
    }
}

/// A recorded process. In its directory: `start`, what it found; `trace`, what it did; `root`, where it ran; `before`,
/// what others had said before.
struct Recording {
    dir: TempDir,
    before: Vec<String>,
    quota: u64,
    replayed: Replayed,
}

impl Recording {
    fn make(start: Start, random: &mut Rng) -> Self {
        let dir = scratch();
        let live = dir.path().join("live");
        fs::create_dir(&live).unwrap();
        let mut before = Vec::new();
        let earlier = match start {
            Start::Empty | Start::Narrow => None,
            Start::AfterCut => Some(Start::Empty),
            Start::Damaged | Start::AfterCuts => Some(Start::AfterCut),
        };
        if let Some(earlier) = earlier {
            let first = Self::make(earlier, random);
            let moment = first.moment(random);
            let model = random.choice(Model::ALL).unwrap();
            first
                .replayed
                .history
                .cut(moment, model, random)
                .store(&live);
            before = first.said(moment).map(str::to_owned).collect();
            if start == Start::Damaged && !promises::damage_head(&live) {
                return Self::make(start, random);
            }
        }
        fs::create_dir(dir.path().join("start")).unwrap();
        Tree::load(&live).store(&dir.path().join("start"));
        put(&dir.path().join("root"), live.to_str().unwrap());
        put(&dir.path().join("before"), &before.join("\n"));
        let (groups, quota) = start.work();
        put(&dir.path().join("quota"), &quota.to_string());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--nocapture"])
            .env(DIR, &live)
            .env(SEED, random.u64(..).to_string())
            .env(GROUPS, groups.to_string())
            .env(QUOTA, quota.to_string());
        trace::record(&command, &dir.path().join("trace"));
        let recording = Self::load(dir);
        let same = recording.replayed.end.is_same(&Tree::load(&live));
        if same.is_err() && recording.replayed.cut_short {
            return Self::make(start, random);
        }
        // The recorder has missed nothing.
        same.unwrap();
        recording
    }

    fn load(dir: TempDir) -> Self {
        let text = |name| fs::read_to_string(dir.path().join(name)).unwrap();
        let before = text("before").lines().map(str::to_owned).collect();
        let start = Tree::load(&dir.path().join("start"));
        let replayed = replayed::replay(&dir.path().join("trace"), &text("root"), start);
        Self {
            before,
            quota: text("quota").parse().unwrap(),
            replayed,
            dir,
        }
    }

    fn moment(&self, random: &mut Rng) -> usize {
        random.choice(&self.replayed.moments).unwrap() + 1
    }

    /// What had been said at that moment. A line counts as heard when it began to be written.
    fn said(&self, moment: usize) -> impl Iterator<Item = &str> {
        let said = &self.replayed.said;
        let heard = said.iter().take_while(move |(begin, _)| *begin < moment);
        let before = self.before.iter();
        before
            .chain(heard.map(|(_, line)| line))
            .map(String::as_str)
    }

    /// One cut, decided by the seed, and what the outbox made of it.
    fn cut(&self, seed: u64) -> Result<Found, Vec<String>> {
        let mut random = Rng::with_seed(seed);
        let model = random.choice(Model::ALL).unwrap();
        let moment = self.moment(&mut random);
        let mut promises = Promises::default();
        let outcome: Result<(), String> =
            self.said(moment).try_for_each(|line| promises.hear(line));
        outcome.map_err(|fault| vec![fault])?;
        let dir = scratch();
        self.replayed
            .history
            .cut(moment, model, &mut random)
            .store(dir.path());
        promises
            .check(dir.path(), self.quota)
            .map_err(|mut faults| {
                faults.insert(0, format!("{model:?} at {moment}"));
                faults
            })
    }

    /// Leaves syncs out, as if they had never been called; gives how many.
    fn forget_syncs(&mut self, which: impl Fn(&Sync) -> bool) -> usize {
        let syncs = &mut self.replayed.history.syncs;
        let before = syncs.len();
        syncs.retain(|sync| !which(sync));
        before - syncs.len()
    }
}

/// In memory where there is such a place: nobody cuts the power while this test runs.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn put(path: &Path, text: &str) {
    File::create(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .unwrap();
}

/// Makes these cuts on two threads, until one shows a fault.
fn cut_all(recording: &Recording, seeds: &[u64]) -> Result<Vec<Found>, (u64, Vec<String>)> {
    let next = AtomicUsize::new(0);
    let (found, fault) = (Mutex::new(Vec::new()), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match recording.cut(seed) {
                        Ok(one) => found.lock().unwrap().push(one),
                        Err(faults) => {
                            next.store(seeds.len(), Ordering::Relaxed);
                            *fault.lock().unwrap() = Some((seed, faults));
                        }
                    }
                }
            });
        }
    });
    match fault.into_inner().unwrap() {
        Some(fault) => Err(fault),
        None => Ok(found.into_inner().unwrap()),
    }
}

#[test]
fn after_a_power_cut_at_any_moment_every_promise_is_kept() {
    let one = std::env::var("FOOTFALL_SEED").map(|seed| seed.parse().unwrap());
    if let (Some(dir), Ok(seed)) = (std::env::var_os("FOOTFALL_RECORDING"), &one) {
        let copy = scratch();
        let copied = Command::new("cp")
            .arg("-r")
            .arg(Path::new(&dir).join("."))
            .arg(copy.path())
            .status();
        assert!(copied.unwrap().success());
        println!("{:?}", Recording::load(copy).cut(*seed).unwrap());
        return;
    }
    if !trace::is_possible() {
        return;
    }
    let cuts = scale::rounds(40, 1000);
    let recordings = if scale::full() { 25 } else { 5 };
    let seed = one.unwrap_or_else(|_| fastrand::u64(..));
    println!("FOOTFALL_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut all = Found::default();
    for (number, start) in Start::ALL.into_iter().cycle().take(recordings).enumerate() {
        let recording = Recording::make(start, &mut random);
        let seeds: Vec<u64> = (0..cuts / recordings).map(|_| random.u64(..)).collect();
        let found = cut_all(&recording, &seeds).unwrap_or_else(|(seed, faults)| {
            let kept = recording.dir.keep();
            panic!(
                "{start:?}: {faults:#?}\nFOOTFALL_RECORDING={} FOOTFALL_SEED={seed}",
                kept.display()
            );
        });
        let one = found.iter().fold(Found::default(), Found::plus);
        println!(
            "recording {number} ({start:?}): {} changes, {} fsyncs; {} cuts, {one:?}",
            recording.replayed.history.steps.len(),
            recording.replayed.history.syncs.len(),
            found.len(),
        );
        all = all.plus(&one);
    }
    println!("{cuts} power cuts, no promise broken: {all:?}");
    assert!(all.promised > cuts, "hardly anything was promised");
}

type Which<'a> = &'a dyn Fn(&Sync) -> bool;

#[test]
fn where_a_sync_is_left_out_the_same_cuts_find_losses() {
    if !trace::is_possible() {
        return;
    }
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let mut recording = Recording::make(Start::Empty, &mut random);
    let syncs = recording.replayed.history.syncs.clone();
    let seeds: Vec<u64> = (0..200).map(|_| random.u64(..)).collect();
    assert_eq!(cut_all(&recording, &seeds[..10]).err(), None);
    let is_database = |sync: &Sync| sync.path.ends_with("/db");
    let is_top = |sync: &Sync| sync.path.is_empty();
    let is_segment = |sync: &Sync| sync.path.starts_with("/seg-") || sync.path.starts_with("/new-");
    let is_directory = |sync: &Sync| is_segment(sync) && sync.path.matches('/').count() == 1;
    let left_out: [(&str, Which); 3] = [
        ("the databases", &is_database),
        ("the data directory", &is_top),
        ("the segments' directories", &is_directory),
    ];
    for (what, which) in left_out {
        let count = recording.forget_syncs(which);
        assert!(count > 5, "{what}: {count} fsyncs");
        let (_, faults) = cut_all(&recording, &seeds).expect_err(what);
        println!("without {count} fsyncs of {what}: {faults:?}");
        recording.replayed.history.syncs.clone_from(&syncs);
    }
}
