//! What an outbox has promised, as the process around it said aloud, and whether a directory keeps it.
//!
//! ```text
//! A stream number crc     acknowledged to its source
//! D stream number crc     read for the cloud
//! K stream first last     acknowledged by the cloud
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use footfall::clock::{SharedClock, SystemClock};
use footfall::event::{
    Body, CameraState, CameraStatus, DeviceAlarm, Direction, Draft, Identity, LineCrossed, Sink,
    Stream,
};
use footfall::outbox::{Options, Outbox, Queue, Recovery, Stored, verify};
use jiff::tz::TimeZone;
use serde_json::Value;

/// Small, so that segments are sealed and dropped all the time.
const SEGMENT: u64 = 150;
const KEPT: usize = 2;
/// Room for all of it, and room for a few segments. A quarter of it is the reserve.
pub const ROOMY: u64 = 24 << 20;
pub const NARROW: u64 = 6 << 20;
/// How often, and after which pause, a read is tried again while a segment is being repaired: far more than it takes.
const TRIES: usize = 3000;
/// How often the cloud takes reports until all of them must have come.
const ROUNDS: usize = 20;
const PAUSE: Duration = Duration::from_millis(20);

/// The streams that are used.
const STREAMS: [Stream; 3] = [Stream::Count, Stream::Alarm, Stream::Diagnostic];

type Number = (Stream, u64);

fn clock() -> SharedClock {
    Arc::new(SystemClock::new(true))
}

fn identity() -> Identity {
    Identity {
        tenant: "acme".into(),
        store: "shop-7".into(),
        box_id: "box-1".into(),
        boot_id: "5f0c".into(),
        zone: TimeZone::UTC,
    }
}

/// Opens the outbox in a directory, with small segments.
fn open(dir: &Path, quota: u64) -> Result<(Outbox, Recovery), String> {
    let options = Options {
        segment_events: SEGMENT,
        cache_bytes: 1 << 20,
        kept_segments: KEPT,
        quota_bytes: Some(quota),
        ..Options::new(dir)
    };
    Outbox::open(options, identity(), clock()).map_err(|error| error.to_string())
}

/// An event of the stream with a text of about so many bytes.
pub fn draft(stream: Stream, size: usize) -> Draft {
    let text = "x".repeat(size);
    let body = match stream {
        Stream::Alarm => Body::DeviceAlarm(DeviceAlarm {
            part: "test".into(),
            message: text,
        }),
        Stream::Diagnostic => Body::CameraStatus(CameraStatus {
            status: CameraState::Ok,
            reason: Some(text),
        }),
        _ => Body::LineCrossed(LineCrossed {
            line: text,
            direction: Direction::In,
            track: 1,
            from: "street".into(),
            to: "shop".into(),
            class: None,
        }),
    };
    Draft {
        source: String::new(),
        at: clock().now(),
        body,
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// What a recorded process does: so many groups of events are appended, read and acknowledged, and said aloud.
/// Returns without closing the outbox: the caller ends the process.
pub fn work(dir: &Path, seed: u64, groups: usize, quota: u64) -> Outbox {
    let mut random = Rng::with_seed(seed);
    let (outbox, _) = open(dir, quota).unwrap();
    say("\nS");
    for _ in 0..groups {
        let receipts: Vec<_> = (0..random.usize(1..=120))
            .map(|_| {
                let streams = [
                    Stream::Count,
                    Stream::Count,
                    Stream::Alarm,
                    Stream::Diagnostic,
                ];
                let stream = random.choice(streams).unwrap();
                let size = match random.u8(..) {
                    0 => 200_000,
                    1..=5 => random.usize(1000..20_000),
                    _ => random.usize(0..600),
                };
                let draft = draft(stream, size);
                (draft.clone(), outbox.submit(draft).unwrap())
            })
            .collect();
        for (draft, receipt) in receipts {
            let number = receipt.blocking_recv().unwrap();
            let bytes = draft.encode(&identity(), number).unwrap();
            say(&format!(
                "A {} {number} {}",
                draft.body.stream(),
                crc32c::crc32c(&bytes)
            ));
        }
        // Without room, because there is no line to the cloud.
        for stream in Stream::ALL.into_iter().filter(|_| quota == ROOMY) {
            deliver(&outbox, stream, &mut random);
        }
    }
    outbox
}

/// Reads some of what waits and acknowledges some of it, not always from the front.
fn deliver(outbox: &Outbox, stream: Stream, random: &mut Rng) {
    let after = outbox.stat(stream).acked;
    let events = read(outbox, stream, after, random.usize(1..80)).unwrap();
    for event in &events {
        say(&format!(
            "D {stream} {} {}",
            event.sequence,
            crc32c::crc32c(&event.bytes)
        ));
    }
    let Some(last) = events.last() else { return };
    let first = if random.u8(0..4) == 0 {
        random.u64(after + 1..=last.sequence)
    } else {
        after + 1
    };
    if random.u8(0..5) > 0 {
        say(&format!("K {stream} {first} {}", last.sequence));
        outbox.ack(stream, first..=last.sequence).unwrap();
    }
}

/// What was said up to some moment.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    events: BTreeMap<Number, u32>,
    cloud: BTreeSet<Number>,
}

/// What a check found out beside the faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub promised: usize,
    /// Segments that had to be rebuilt.
    pub rebuilt: usize,
    /// Promised events that had to make room, and were reported.
    pub gave_way: usize,
}

impl Found {
    pub fn plus(self, other: &Self) -> Self {
        Self {
            promised: self.promised + other.promised,
            rebuilt: self.rebuilt + other.rebuilt,
            gave_way: self.gave_way + other.gave_way,
        }
    }
}

impl Promises {
    /// # Errors
    /// A number that was given out twice.
    pub fn hear(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words.as_slice() {
            ["A" | "D", stream, ..] => {
                let key = (Stream::from_name(stream).unwrap(), number(2));
                let crc = words[3].parse().unwrap();
                if *self.events.entry(key).or_insert(crc) != crc {
                    return Err(format!("{key:?} was given to two events"));
                }
            }
            ["K", stream, ..] => {
                let stream = Stream::from_name(stream).unwrap();
                self.cloud
                    .extend((number(2)..=number(3)).map(|number| (stream, number)));
            }
            _ => {}
        }
        Ok(())
    }

    /// Opens what is there, compares it with what was promised, goes on with it, and looks for faults afterwards.
    ///
    /// # Errors
    /// Each promise that is not kept.
    pub fn check(&self, dir: &Path, quota: u64) -> Result<Found, Vec<String>> {
        let opened = open(dir, quota).map_err(|error| vec![format!("it does not open: {error}")]);
        let (outbox, recovery) = opened?;
        let mut found = Found {
            promised: self.events.len(),
            rebuilt: recovery.quarantined.len(),
            gave_way: 0,
        };
        let mut stored = BTreeMap::new();
        for stream in Stream::ALL {
            let events = read_all(&outbox, stream).map_err(|fault| vec![fault])?;
            let numbered = events.into_iter();
            stored.extend(numbered.map(|e| ((stream, e.sequence), crc32c::crc32c(&e.bytes))));
        }
        let mut faults = self.go_on(&outbox);
        let mut missing: Vec<&Number> = Vec::new();
        for (key, crc) in &self.events {
            let is_sent = self.cloud.contains(key);
            match stored.get(key) {
                Some(found) if found != crc => faults.push(format!("{key:?} has other bytes")),
                Some(_) if is_sent || !outbox.is_acked(key.0, key.1) => {}
                // Also what is there counts as gone once it was given up.
                Some(_) => missing.push(key),
                None if is_sent => {}
                None => missing.push(key),
            }
        }
        let promised = missing.len();
        let lost = leave_reported(&outbox, missing).map_err(|fault| vec![fault])?;
        found.gave_way = promised - lost.len();
        faults.extend(STREAMS.into_iter().filter_map(|stream| {
            let mut numbers = lost.iter().filter(|key| key.0 == stream).map(|key| key.1);
            let first = numbers.next()?;
            let last = numbers.next_back().unwrap_or(first);
            Some(format!("lost of {stream}: from {first} to {last}"))
        }));
        if let Err(error) = outbox.close() {
            faults.push(format!("it does not close: {error}"));
        }
        drop(outbox);
        match verify(dir) {
            Ok(report) => faults.extend(report.faults),
            Err(error) => faults.push(format!("verify: {error}")),
        }
        if faults.is_empty() {
            Ok(found)
        } else {
            Err(faults)
        }
    }

    /// Stores one event more in each stream: its number must be new.
    fn go_on(&self, outbox: &Outbox) -> Vec<String> {
        let receipts = STREAMS.map(|stream| outbox.submit(draft(stream, 20)).unwrap());
        let mut faults = Vec::new();
        for (stream, receipt) in STREAMS.into_iter().zip(receipts) {
            let Ok(number) = receipt.blocking_recv() else {
                faults.push(format!("nothing more of {stream} can be stored"));
                continue;
            };
            let mut given = self.events.keys().filter(|key| key.0 == stream);
            if given.any(|key| key.1 >= number) {
                faults.push(format!(
                    "{stream} goes on with {number}, which was given out"
                ));
            }
        }
        faults
    }
}

fn read_all(outbox: &Outbox, stream: Stream) -> Result<Vec<Stored>, String> {
    let mut events: Vec<Stored> = Vec::new();
    loop {
        let after = events.last().map_or(0, |last| last.sequence);
        let more = read(outbox, stream, after, 500)?;
        if more.is_empty() {
            return Ok(events);
        }
        events.extend(more);
    }
}

/// Reads, again and again while a segment is being repaired.
fn read(outbox: &Outbox, stream: Stream, after: u64, most: usize) -> Result<Vec<Stored>, String> {
    let mut outcome = outbox.read(stream, after, most, 1 << 20);
    for _ in 0..TRIES {
        if outcome.is_ok() {
            break;
        }
        std::thread::sleep(PAUSE);
        outcome = outbox.read(stream, after, most, 1 << 20);
    }
    outcome.map_err(|error| format!("{stream} cannot be read: {error}"))
}

/// What had to make room is reported, if not at once then as soon as the cloud has the reports before: takes out what
/// is reported.
fn leave_reported<'a>(
    outbox: &Outbox,
    mut missing: Vec<&'a Number>,
) -> Result<Vec<&'a Number>, String> {
    for _ in 0..ROUNDS {
        let alarms = read_all(outbox, Stream::Alarm)?;
        let reported = given_up(&alarms);
        missing.retain(|(stream, number)| {
            let mut ranges = reported.iter().filter(|(s, _)| s == stream);
            !ranges.any(|(_, range)| range.contains(number))
        });
        let Some(last) = alarms.last().filter(|_| !missing.is_empty()) else {
            break;
        };
        let acked = outbox.ack(Stream::Alarm, 1..=last.sequence);
        acked.map_err(|error| error.to_string())?;
        // New reports come before the next event but one: the writer looks after them between groups.
        for _ in 0..2 {
            let stored = outbox.submit(draft(Stream::Diagnostic, 0)).unwrap();
            let stored = stored.blocking_recv();
            stored.map_err(|_| "nothing more can be stored".to_owned())?;
        }
    }
    Ok(missing)
}

/// What had to make room, from the reports in the alarm stream.
fn given_up(alarms: &[Stored]) -> Vec<(Stream, RangeInclusive<u64>)> {
    let events = alarms
        .iter()
        .map(|alarm| serde_json::from_slice::<Value>(&alarm.bytes).unwrap());
    let quota = events.filter(|event| event["data"]["reason"] == "quota");
    let range = |event: Value| {
        let number = |name: &str| event["data"][name].as_u64().unwrap();
        let stream = Stream::from_name(event["data"]["stream"].as_str().unwrap());
        (stream.unwrap(), number("first")..=number("last"))
    };
    quota.map(range).collect()
}

/// Damages the head in a way that costs no event, so that the next start must rebuild it. A head that holds nothing
/// but its last commit is left alone: nothing would prove that the commit had been finished.
pub fn damage_head(dir: &Path) -> bool {
    let names = std::fs::read_dir(dir).unwrap();
    let paths = names.map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("seg-")
    };
    let Some(head) = paths.filter(is_segment).max() else {
        return false;
    };
    let bytes = std::fs::read(head.join("db")).unwrap();
    let records = bytes.windows(13).filter(|at| at.starts_with(b"FfR2"));
    let commits: BTreeSet<&[u8]> = records.map(|record| &record[5..13]).collect();
    let file = std::fs::File::options().write(true).open(head.join("db"));
    if commits.len() > 1 {
        file.unwrap().write_all_at(&[0; 20], 0).unwrap();
    }
    commits.len() > 1
}
