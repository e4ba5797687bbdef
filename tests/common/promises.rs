//! What an outbox has promised, as the process around it said aloud, and whether a directory keeps it.
//!
//! ```text
//! A stream number crc     acknowledged to its source
//! D stream number crc     read for the cloud
//! K stream first last     acknowledged by the cloud
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use footfall::clock::{SharedClock, SystemClock};
use footfall::event::{
    Body, CameraState, CameraStatus, DeviceAlarm, Direction, Draft, Identity, LineCrossed, Sink,
    Stream,
};
use footfall::outbox::{Options, Outbox, Queue, Recovery, verify};
use jiff::tz::TimeZone;

/// Small, so that segments are sealed and dropped all the time.
const SEGMENT: u64 = 150;
const KEPT: usize = 2;
/// With a reserve of a quarter, which each rebuilt disk gets as well.
const QUOTA: u64 = 24 << 20;

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
pub fn open(dir: &Path) -> Result<(Outbox, Recovery), String> {
    let options = Options {
        segment_events: SEGMENT,
        cache_bytes: 1 << 20,
        kept_segments: KEPT,
        quota_bytes: Some(QUOTA),
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
pub fn work(dir: &Path, seed: u64, groups: usize) -> Outbox {
    let mut random = Rng::with_seed(seed);
    let (outbox, _) = open(dir).unwrap();
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
        for stream in Stream::ALL {
            deliver(&outbox, stream, &mut random);
        }
    }
    outbox
}

/// Reads some of what waits and acknowledges some of it, not always from the front.
fn deliver(outbox: &Outbox, stream: Stream, random: &mut Rng) {
    let after = outbox.stat(stream).acked;
    let events = outbox
        .read(stream, after, random.usize(1..80), 1 << 20)
        .unwrap();
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
    /// Numbers that were stepped over.
    pub skipped: u64,
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
    pub fn check(&self, dir: &Path) -> Result<Found, Vec<String>> {
        let (outbox, recovery) =
            open(dir).map_err(|error| vec![format!("it does not open: {error}")])?;
        let mut faults = Vec::new();
        let mut stored = BTreeMap::new();
        for stream in Stream::ALL {
            let mut after = 0;
            loop {
                let events = outbox.read(stream, after, 500, 1 << 20);
                let events =
                    events.map_err(|error| vec![format!("{stream} cannot be read: {error}")])?;
                let Some(last) = events.last() else { break };
                after = last.sequence;
                stored.extend(
                    events
                        .into_iter()
                        .map(|e| ((stream, e.sequence), crc32c::crc32c(&e.bytes))),
                );
            }
        }
        let mut lost = BTreeMap::<Stream, Vec<u64>>::new();
        for (key, crc) in &self.events {
            match stored.get(key) {
                Some(found) if found == crc => {}
                Some(_) => faults.push(format!("{key:?} has other bytes")),
                None if self.cloud.contains(key) => {}
                None => lost.entry(key.0).or_default().push(key.1),
            }
            if outbox.is_acked(key.0, key.1)
                && !self.cloud.contains(key)
                && stored.contains_key(key)
            {
                faults.push(format!("{key:?} would never be sent"));
            }
        }
        faults.extend(lost.iter().map(|(stream, numbers)| {
            format!(
                "{} of {stream} lost: {} to {}",
                numbers.len(),
                numbers[0],
                numbers[numbers.len() - 1]
            )
        }));
        for stream in Stream::ALL
            .into_iter()
            .filter(|stream| *stream != Stream::Interval)
        {
            let number = outbox.submit(draft(stream, 20)).unwrap().blocking_recv();
            let number = number.map_err(|_| vec!["nothing more can be stored".to_owned()])?;
            if self
                .events
                .keys()
                .any(|key| key.0 == stream && key.1 >= number)
            {
                faults.push(format!(
                    "{stream} goes on with {number}, which was given out"
                ));
            }
        }
        if let Err(error) = outbox.close() {
            faults.push(format!("it does not close: {error}"));
        }
        drop(outbox);
        match verify(dir) {
            Ok(report) => faults.extend(report.faults),
            Err(error) => faults.push(format!("verify: {error}")),
        }
        let skipped = recovery.gaps.iter().map(|gap| gap.count).sum();
        let found = Found {
            promised: self.events.len(),
            rebuilt: recovery.quarantined.len(),
            skipped,
        };
        if faults.is_empty() {
            Ok(found)
        } else {
            Err(faults)
        }
    }
}

/// Damages the head in a way that costs no event, so that the next start rebuilds it.
pub fn damage_head(dir: &Path) {
    let names = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("seg-")
    };
    let Some(head) = names.filter(is_segment).max() else {
        return;
    };
    let file = std::fs::File::options()
        .write(true)
        .open(head.join("db"))
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 20], 0).unwrap();
}
