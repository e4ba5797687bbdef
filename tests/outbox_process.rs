//! The outbox in a process of its own that is killed, or that the disk refuses: no acknowledged event is
//! lost, no number is used twice, every start succeeds.
//!
//! The child is this test binary again, told by an environment variable which part to play.

#![allow(clippy::unwrap_used)] // a test's helper functions, too

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use footfall::clock::{SharedClock, SystemClock};
use footfall::event::{
    Body, CameraState, CameraStatus, DeviceAlarm, Direction, Draft, Identity, LineCrossed, Sink,
    Stream,
};
use footfall::outbox::{Options, Outbox, Queue, verify};
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

/// The child's part: stores events until it is killed and says which are acknowledged
/// (`A stream number text`), which the cloud acknowledged (`K stream number`: up to there), when the
/// storage is in trouble (`E`) and when it works again (`F`). Does nothing in an ordinary test run.
#[test]
fn child() {
    let (Ok(part), Ok(dir), Ok(round)) = (
        std::env::var(PART),
        std::env::var(DIR),
        std::env::var(ROUND),
    ) else {
        return;
    };
    let segment_events = if part == "acknowledge" { 400 } else { 10_000 };
    let (outbox, recovery) = open(Path::new(&dir), segment_events);
    assert!(recovery.gaps.is_empty(), "{recovery:?}");
    say("\nS");
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
                let text = format!("{round}-{group}-{n}-{}", "x".repeat(n * 10));
                (
                    stream,
                    text.clone(),
                    outbox.submit(draft(stream, text)).unwrap(),
                )
            })
            .collect();
        for (stream, text, mut receipt) in receipts {
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
            say(&format!("A {stream} {sequence} {text}"));
            if in_trouble && outbox.store_error().is_none() {
                in_trouble = false;
                say("F");
            }
        }
        if part == "acknowledge" && group % 5 == 4 {
            let last = outbox.stat(Stream::Count).last * 3 / 4;
            outbox.ack(Stream::Count, 1..=last).unwrap();
            say(&format!("K {} {last}", Stream::Count));
            let last = outbox.stat(Stream::Alarm).last;
            outbox.ack(Stream::Alarm, 1..=last).unwrap();
            say(&format!("K {} {last}", Stream::Alarm));
        }
    }
}

/// What the children said.
#[derive(Default)]
struct Heard {
    acknowledged: BTreeMap<(Stream, u64), String>,
    cloud: BTreeMap<Stream, u64>,
}

impl Heard {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["A", stream, sequence, text] => {
                let key = (
                    Stream::from_name(stream).unwrap(),
                    sequence.parse().unwrap(),
                );
                let before = self.acknowledged.insert(key, (*text).to_owned());
                assert_eq!(before, None, "{key:?} was given out twice");
            }
            ["K", stream, last] => {
                let stream = Stream::from_name(stream).unwrap();
                self.cloud.insert(stream, last.parse().unwrap());
            }
            _ => {}
        }
    }

    /// Opens the outbox here and compares.
    fn check(&self, dir: &Path) {
        let report = verify(dir).unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        let (outbox, recovery) = open(dir, 400);
        assert!(recovery.gaps.is_empty(), "{recovery:?}");
        let mut stored = BTreeMap::new();
        for stream in Stream::ALL {
            let mut after = 0;
            loop {
                let events = outbox.read(stream, after, 100, 1 << 20).unwrap();
                let Some(last) = events.last() else { break };
                after = last.sequence;
                stored.extend(events.into_iter().map(|e| ((stream, e.sequence), e.bytes)));
            }
        }
        for (key, text) in &self.acknowledged {
            match stored.get(key) {
                Some(bytes) => {
                    let bytes = String::from_utf8(bytes.clone()).unwrap();
                    assert!(bytes.contains(&format!("\"{text}\"")), "{key:?}: {bytes}");
                }
                None => {
                    let upto = self.cloud.get(&key.0).copied().unwrap_or(0);
                    assert!(key.1 <= upto, "{key:?} is lost");
                }
            }
        }
        outbox.close().unwrap();
    }
}

fn start(
    part: &str,
    dir: &Path,
    round: u32,
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
fn twenty_kills_lose_nothing_and_every_start_succeeds() {
    let seed: u64 = match std::env::var("FOOTFALL_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("FOOTFALL_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut heard = Heard::default();
    for round in 0..20 {
        let (mut child, mut lines) = start("acknowledge", dir.path(), round, None);
        let started = lines.by_ref().map(Result::unwrap).any(|line| line == "S");
        assert!(started, "the child of round {round} did not start");
        for line in lines
            .by_ref()
            .map(Result::unwrap)
            .take(random.usize(0..400))
        {
            heard.line(&line);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died.
        lines
            .map_while(Result::ok)
            .for_each(|line| heard.line(&line));
        if round % 5 == 4 {
            heard.check(dir.path());
        }
    }
    assert!(heard.acknowledged.len() > 1000);
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
    let before = heard.acknowledged.len();
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
    assert!(heard.acknowledged.len() >= before + 200);
    heard.check(dir.path());
}
