//! The outbox in a process of its own that is killed at any moment, or that the disk refuses: no acknowledged event is
//! lost, no number is used for two events, every start succeeds.
//!
//! The child is this test binary again, told by environment variables which part to play.

#![allow(clippy::unwrap_used, clippy::panic)] // a test's helper functions, too

#[path = "common/scale.rs"]
mod scale;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use footfall::clock::{SharedClock, SystemClock};
use footfall::event::{
    Body, CameraState, CameraStatus, DeviceAlarm, Direction, Draft, Identity, LineCrossed, Sink,
    Stream,
};
use footfall::outbox::{Options, Outbox, Queue, Stored, verify};
use jiff::tz::TimeZone;

const PART: &str = "FOOTFALL_TEST_PART";
const DIR: &str = "FOOTFALL_TEST_DIR";
const ROUND: &str = "FOOTFALL_TEST_ROUND";

fn clock() -> SharedClock {
    Arc::new(SystemClock::new(true))
}

fn open(dir: &Path, segment_events: u64) -> (Outbox, footfall::outbox::Recovery) {
    let identity = Identity {
        tenant: "acme".into(),
        store: "shop-7".into(),
        box_id: "box-1".into(),
        boot_id: "5f0c".into(),
        zone: TimeZone::UTC,
    };
    let options = Options {
        segment_events,
        cache_bytes: 1 << 20,
        kept_segments: 1,
        ..Options::new(dir)
    };
    Outbox::open(options, identity, clock()).unwrap()
}

fn draft(stream: Stream, text: String) -> Draft {
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

/// An event's name and its whole text, which follows from the name: `round-group-n`.
fn text(id: &str) -> String {
    let n: usize = id.rsplit('-').next().unwrap().parse().unwrap();
    format!("{id} {}", "x".repeat(n * 10))
}

/// The name of a stored event; `None` for one of the outbox's own. Panics where the text is not what the name says.
fn name(stored: &Stored) -> Option<String> {
    let event: serde_json::Value = serde_json::from_slice(&stored.bytes).unwrap();
    let data = &event["data"];
    assert!(data["part"] != "outbox", "{event}");
    let found = [&data["message"], &data["reason"], &data["line"]]
        .into_iter()
        .find_map(|field| field.as_str())
        .unwrap();
    let id = found.split(' ').next().unwrap();
    assert_eq!(found, text(id), "wrong bytes");
    Some(id.to_owned())
}

/// The child's part: stores events until it is killed and says which are acknowledged to their source
/// (`A stream number name`), which the cloud received (`D stream number name`), which it is about to acknowledge
/// (`K stream first last`), when the storage is in trouble (`E`) and when it works again (`F`). Does nothing in an ordinary
/// test run.
#[test]
fn child() {
    let (Ok(part), Ok(dir), Ok(round)) = (
        std::env::var(PART),
        std::env::var(DIR),
        std::env::var(ROUND),
    ) else {
        return;
    };
    let drains = part == "drain";
    let segment_events = if drains { 200 } else { 10_000 };
    let (outbox, recovery) = open(Path::new(&dir), segment_events);
    assert!(recovery.gaps.is_empty(), "{recovery:?}");
    say("\nS");
    if drains {
        let outbox = outbox.clone();
        std::thread::spawn(move || drain(&outbox));
    }
    let streams = [
        Stream::Count,
        Stream::Count,
        Stream::Alarm,
        Stream::Diagnostic,
    ];
    let mut in_trouble = false;
    for group in 0.. {
        let receipts: Vec<_> = (0..40)
            .map(|n| {
                let stream = streams[n % streams.len()];
                let id = format!("{round}-{group}-{n}");
                let receipt = outbox.submit(draft(stream, text(&id))).unwrap();
                (stream, id, receipt)
            })
            .collect();
        for (stream, id, mut receipt) in receipts {
            let sequence = loop {
                if let Ok(sequence) = receipt.try_recv() {
                    break sequence;
                }
                if outbox.store_error().is_some() && !in_trouble {
                    in_trouble = true;
                    say("E");
                }
                std::thread::yield_now();
            };
            say(&format!("A {stream} {sequence} {id}"));
            if in_trouble && outbox.store_error().is_none() {
                in_trouble = false;
                say("F");
            }
        }
    }
}

/// The cloud's part in the child: receives and acknowledges, a bit behind and not always in order.
fn drain(outbox: &Outbox) {
    let mut turn = 0;
    loop {
        for stream in Stream::ALL {
            turn += 1;
            let after = match turn % 3 {
                0 => outbox.stat(stream).last.saturating_sub(20),
                _ => outbox.stat(stream).acked,
            };
            let events = outbox.read(stream, after, 30, 1 << 20).unwrap_or_default();
            let pending = |event: &Stored| !outbox.is_acked(stream, event.sequence);
            let events: Vec<_> = events.into_iter().filter(pending).collect();
            let (Some(first), Some(last)) = (events.first(), events.last()) else {
                continue;
            };
            // What is not there in between was acknowledged before.
            let range = first.sequence..=last.sequence;
            for event in &events {
                let id = name(event).unwrap();
                say(&format!("D {stream} {} {id}", event.sequence));
            }
            say(&format!("K {stream} {} {}", range.start(), range.end()));
            outbox.ack(stream, range).unwrap();
        }
        std::thread::yield_now();
    }
}

/// What the children said.
#[derive(Default)]
struct Heard {
    /// The one content that a number ever had.
    content: BTreeMap<(Stream, u64), String>,
    /// Acknowledged to its source.
    stored: BTreeSet<(Stream, u64)>,
    /// The cloud has it.
    received: BTreeSet<(Stream, u64)>,
}

impl Heard {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        if let [what @ ("A" | "D"), stream, sequence, id] = words.as_slice() {
            let key = (
                Stream::from_name(stream).unwrap(),
                sequence.parse().unwrap(),
            );
            self.seen(key, id);
            match *what {
                "A" => assert!(self.stored.insert(key), "{key:?} was given out twice"),
                _ => drop(self.received.insert(key)),
            }
        }
    }

    fn seen(&mut self, key: (Stream, u64), id: &str) {
        let before = self.content.entry(key).or_insert_with(|| id.to_owned());
        assert_eq!(before, id, "{key:?} stands for two events");
    }

    /// Opens the outbox here and compares: what was acknowledged to its source is stored, or the cloud has it.
    fn check(&mut self, dir: &Path) {
        let report = verify(dir).unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        let (outbox, recovery) = open(dir, 200);
        assert!(recovery.gaps.is_empty(), "{recovery:?}");
        let mut kept = BTreeSet::new();
        for stream in Stream::ALL {
            let mut after = 0;
            loop {
                let events = outbox.read(stream, after, 100, 1 << 20).unwrap();
                let Some(last) = events.last() else { break };
                after = last.sequence;
                for event in events {
                    let key = (stream, event.sequence);
                    self.seen(key, &name(&event).unwrap());
                    kept.insert(key);
                }
            }
        }
        for key in &self.stored {
            let known = kept.contains(key) || self.received.contains(key);
            assert!(known, "{key:?} is lost");
        }
        outbox.close().unwrap();
    }
}

fn start(
    part: &str,
    dir: &Path,
    round: usize,
    shell: Option<&str>,
) -> (Child, Lines<BufReader<ChildStdout>>) {
    let binary = std::env::current_exe().unwrap();
    let mut command = match shell {
        None => Command::new(binary),
        Some(script) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(script).arg("sh").arg(binary);
            command
        }
    };
    let mut child = command
        .args(["--exact", "child", "--nocapture"])
        .env(PART, part)
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

#[test]
fn kills_at_any_moment_lose_nothing_and_every_start_succeeds() {
    let seed: u64 = match std::env::var("FOOTFALL_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("FOOTFALL_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut heard = Heard::default();
    let kills = scale::rounds(20, 1000);
    let mut early = 0;
    for round in 0..kills {
        let (mut child, mut lines) = start("drain", dir.path(), round, None);
        let mut said = lines.by_ref().map_while(Result::ok);
        if random.u32(0..4) == 0 {
            // While it starts, mostly.
            std::thread::sleep(Duration::from_millis(random.u64(0..150)));
            early += 1;
        } else {
            let started = said.by_ref().any(|line| line == "S");
            assert!(started, "the child of round {round} did not start");
            for line in said.by_ref().take(random.usize(0..1500)) {
                heard.line(&line);
            }
        }
        child.kill().unwrap();
        // What it had said before it died.
        said.for_each(|line| heard.line(&line));
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "round {round} ended by itself");
        if round % 20 == 19 {
            heard.check(dir.path());
        }
    }
    heard.check(dir.path());
    println!(
        "{kills} kills, {early} of them early: {} events acknowledged to their source, {} received by the cloud, 0 lost",
        heard.stored.len(),
        heard.received.len()
    );
    assert!(heard.stored.len() > 50 * kills);
}

#[test]
fn a_disk_that_refuses_makes_events_wait_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut heard = Heard::default();
    // A limit on the size of files stands in for a full disk; without the trap it would kill the child.
    let script = "trap '' XFSZ; ulimit -S -f 1100; exec \"$@\"";
    let (mut child, mut lines) = start("keep", dir.path(), 0, Some(script));
    let mut said = lines.by_ref().map(Result::unwrap);
    let refused = said
        .by_ref()
        .inspect(|line| heard.line(line))
        .any(|line| line == "E");
    assert!(refused, "the storage never refused");
    let before = heard.stored.len();
    let unlimited = rustix::process::Rlimit {
        current: None,
        maximum: None,
    };
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, unlimited).unwrap();
    let works = said
        .by_ref()
        .inspect(|line| heard.line(line))
        .any(|line| line == "F");
    assert!(works, "it did not go on");
    for line in said.take(200) {
        heard.line(&line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    lines
        .map_while(Result::ok)
        .for_each(|line| heard.line(&line));
    assert!(heard.stored.len() >= before + 200);
    heard.check(dir.path());
}
