//! The outbox on a disk that fills up: it goes on in the same process, gives up the lowest stream first and says
//! exactly what, and keeps its sources from waiting for ever.
//!
//! A small file system in memory stands in for the disk; mounting it needs root.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test's helper functions, too

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use footfall::clock::{SharedClock, SystemClock};
use footfall::event::{
    Body, CameraState, CameraStatus, DeviceAlarm, Direction, Draft, GapReason, Identity,
    LineCrossed, LineInterval, OutboxGap, Quality, Receipt, Sink, Stream,
};
use footfall::outbox::{Options, Outbox, Queue, Stored, verify};
use jiff::tz::TimeZone;

const MB: u64 = 1 << 20;

/// A small file system of its own; unmounted at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(megabytes: u64) -> Option<Self> {
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("SKIPPED: a full disk: mounting a file system needs root");
        }
        mounted.then_some(Self(dir))
    }

    fn data(&self) -> PathBuf {
        let data = self.0.path().join("data");
        fs::create_dir_all(&data).unwrap();
        data
    }

    /// Somebody else's file: takes all that is free.
    fn fill(&self) {
        let path = self.0.path().join("foreign");
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        let block = [7; 4096];
        while file.write_all(&block).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.path().join("foreign")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn clock() -> SharedClock {
    Arc::new(SystemClock::new(true))
}

fn open(dir: &Path, quota_bytes: Option<u64>) -> Outbox {
    let identity = Identity {
        tenant: "acme".into(),
        store: "shop-7".into(),
        box_id: "box-1".into(),
        boot_id: "5f0c".into(),
        zone: TimeZone::UTC,
    };
    let options = Options {
        quota_bytes,
        cache_bytes: 1 << 20,
        ..Options::new(dir)
    };
    Outbox::open(options, identity, clock()).unwrap().0
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
        Stream::Interval => Body::LineInterval(LineInterval {
            open: None,
            classes: Default::default(),
            line: text,
            from: String::new(),
            to: String::new(),
            inward: 1,
            outward: 2,
            quality: Quality {
                status: CameraState::Ok,
                fps: 10.0,
                frames: 600,
                dropped: 0,
                uptime_ratio: 1.0,
            },
        }),
        Stream::Count => Body::LineCrossed(LineCrossed {
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

/// Rounds of 101 events: two alarms, the other streams alike. Waits until they are durable.
fn store(outbox: &Outbox, rounds: std::ops::Range<usize>) {
    for round in rounds {
        let lower = [Stream::Count, Stream::Interval, Stream::Diagnostic];
        let receipts: Vec<_> = (0..101)
            .map(|n| {
                let stream = match n {
                    99.. => Stream::Alarm,
                    _ => lower[n % 3],
                };
                let text = format!("{round}-{n}-{}", "x".repeat(200));
                outbox.submit(draft(stream, text)).unwrap()
            })
            .collect();
        for receipt in receipts {
            receipt.blocking_recv().unwrap();
        }
    }
}

/// A reader that keeps everything it was ever given.
#[derive(Default)]
struct Reader {
    received: BTreeMap<Stream, BTreeSet<u64>>,
    gaps: Vec<OutboxGap>,
}

impl Reader {
    /// Everything, from the beginning.
    fn read(&mut self, outbox: &Outbox) {
        for stream in Stream::ALL {
            let mut after = 0;
            let mut errors = 0;
            loop {
                match outbox.read(stream, after, 500, 1 << 20) {
                    Ok(events) if events.is_empty() => break,
                    Ok(events) => after = self.keep(stream, events),
                    Err(error) => {
                        errors += 1;
                        assert!(errors < 500, "{error}");
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            }
        }
    }

    /// As the uplink does: reads and acknowledges until nothing is left, and comes again after an error.
    fn drain(&mut self, outbox: &Outbox) {
        wait_for("everything is drained", || {
            for stream in Stream::ALL {
                let mut after = outbox.stat(stream).acked;
                while let Ok(events) = outbox.read(stream, after, 500, 1 << 20)
                    && !events.is_empty()
                {
                    let until = events.iter().map(|event| event.sequence).max();
                    after = until.unwrap_or(after);
                    // What was given up meanwhile is reported.
                    let fresh = |event: &Stored| !outbox.is_acked(stream, event.sequence);
                    let events: Vec<_> = events.into_iter().filter(fresh).collect();
                    for event in &events {
                        outbox.ack(stream, event.sequence..=event.sequence).unwrap();
                    }
                    self.keep(stream, events);
                }
            }
            Stream::ALL.iter().all(|stream| {
                let stat = outbox.stat(*stream);
                let known = self.lost(*stream).len() + self.received[stream].len();
                // The next report of a stream comes when the cloud has the one before.
                stat.pending == 0 && known as u64 >= stat.last
            })
        });
    }

    /// Takes events in and returns the last number.
    fn keep(&mut self, stream: Stream, events: Vec<Stored>) -> u64 {
        let mut last = 0;
        for stored in events {
            last = stored.sequence;
            if !self.received.entry(stream).or_default().insert(last) {
                continue;
            }
            let event: serde_json::Value = serde_json::from_slice(&stored.bytes).unwrap();
            if event["type"] == "footfall.outbox.gap.v1" {
                self.gaps
                    .push(serde_json::from_value(event["data"].clone()).unwrap());
            }
        }
        last
    }

    fn lost(&self, stream: Stream) -> BTreeSet<u64> {
        let mut lost = BTreeSet::new();
        for gap in self.gaps.iter().filter(|gap| gap.stream == stream) {
            assert_eq!(
                (gap.reason, gap.count),
                (GapReason::Quota, gap.last - gap.first + 1)
            );
            for number in gap.first..=gap.last {
                assert!(lost.insert(number), "{stream}/{number} is reported twice");
            }
        }
        lost
    }

    /// What it holds now and what was reported make every number exactly once.
    fn check(&self, outbox: &Outbox) -> BTreeMap<Stream, usize> {
        let mut all_lost = BTreeMap::new();
        for stream in Stream::ALL {
            let received = &self.received[&stream];
            let lost = self.lost(stream);
            let both: Vec<_> = received.intersection(&lost).collect();
            assert!(both.is_empty(), "{stream}: received and reported: {both:?}");
            let mut all = received.clone();
            all.extend(&lost);
            let expected: BTreeSet<u64> = (1..=outbox.stat(stream).last).collect();
            assert_eq!(all, expected, "{stream}: {:?}", self.gaps);
            println!(
                "{stream}: {} received, {} given up",
                received.len(),
                lost.len()
            );
            all_lost.insert(stream, lost.len());
        }
        all_lost
    }
}

fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if reached() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not reached: {what}");
}

#[test]
fn a_full_disk_costs_the_lowest_stream_first_and_everything_goes_on() {
    let Some(disk) = Disk::mount(48) else { return };
    let outbox = open(&disk.data(), Some(32 * MB));
    let reserve = disk.data().join("reserve");
    store(&outbox, 0..60);
    wait_for("the reserve is set aside", || reserve.exists());
    disk.fill();
    // More than the reserve holds.
    store(&outbox, 60..170);
    assert!(!reserve.exists());
    let mut early = Reader::default();
    early.read(&outbox);
    println!("after 110 rounds on a full disk: {:?}", early.gaps);
    assert!(!early.lost(Stream::Diagnostic).is_empty());
    assert!(early.lost(Stream::Alarm).is_empty());
    disk.empty();
    store(&outbox, 170..190);
    wait_for("the storage works", || outbox.store_error().is_none());
    wait_for("the reserve is back", || reserve.exists());
    let mut reader = Reader::default();
    reader.drain(&outbox);
    let lost = reader.check(&outbox);
    assert!(lost[&Stream::Diagnostic] >= lost[&Stream::Interval]);
    assert!(lost[&Stream::Interval] >= lost[&Stream::Count]);
    assert_eq!(lost[&Stream::Alarm], 0);
    store(&outbox, 190..195);
    let last = Stream::ALL.map(|stream| outbox.stat(stream).last);
    outbox.close().unwrap();
    drop(outbox);
    // A restart finds the same, and nothing is reported again.
    assert_eq!(verify(&disk.data()).unwrap().faults, Vec::<String>::new());
    let outbox = open(&disk.data(), Some(32 * MB));
    reader.drain(&outbox);
    assert_eq!(reader.check(&outbox), lost);
    assert_eq!(Stream::ALL.map(|stream| outbox.stat(stream).last), last);
}

/// Fills the disk to the last byte until nothing can be stored any more, not even with what the outbox frees for
/// itself; the receipts of what waits.
fn fill_for_good(disk: &Disk, outbox: &Outbox) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    let mut in_trouble = 0;
    wait_for("nothing can be stored", || {
        disk.fill();
        let draft = draft(Stream::Count, "x".repeat(500));
        receipts.push(outbox.submit(draft).unwrap());
        in_trouble = match outbox.store_error() {
            Some(_) => in_trouble + 1,
            None => 0,
        };
        // Longer than the pause between two tries.
        in_trouble == 100
    });
    receipts
}

#[test]
fn a_disk_that_stays_full_is_drained_while_it_is_full_and_counting_goes_on() {
    let Some(disk) = Disk::mount(64) else { return };
    let outbox = open(&disk.data(), Some(40 * MB));
    store(&outbox, 0..100);
    disk.fill();
    let mut reader = Reader::default();
    store(&outbox, 100..250);
    let mut early = Reader::default();
    early.read(&outbox);
    println!("read on a full disk: {:?}", early.gaps);
    store(&outbox, 250..300);
    // What the outbox freed for itself is taken, too: not a byte is left, and the head cannot be opened.
    let receipts = fill_for_good(&disk, &outbox);
    reader.drain(&outbox);
    for receipt in receipts {
        receipt.blocking_recv().unwrap();
    }
    reader.drain(&outbox);
    store(&outbox, 300..380);
    reader.drain(&outbox);
    let lost = reader.check(&outbox);
    assert!(lost[&Stream::Diagnostic] > 0);
    // Without a byte to write with, segments go whole: of each stream the same number, but for their ends.
    let ends = reader.gaps.len();
    assert!(lost[&Stream::Diagnostic] + ends >= lost[&Stream::Interval]);
    assert!(lost[&Stream::Interval] + ends >= lost[&Stream::Count]);
    assert_eq!(lost[&Stream::Alarm], 0);
    // Still the same process, and still full.
    store(&outbox, 380..390);
    disk.empty();
    store(&outbox, 390..400);
    reader.drain(&outbox);
    assert_eq!(reader.check(&outbox), lost);
    wait_for("the storage works", || outbox.store_error().is_none());
    outbox.close().unwrap();
    drop(outbox);
    assert_eq!(verify(&disk.data()).unwrap().faults, Vec::<String>::new());
    let outbox = open(&disk.data(), Some(40 * MB));
    assert_eq!(reader.check(&outbox), lost);
    for stream in Stream::ALL {
        assert_eq!(outbox.stat(stream).pending, 0, "{stream}");
    }
}

#[test]
fn the_quota_is_kept_and_what_is_acknowledged_goes_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let quota = 12 * MB;
    let outbox = open(dir.path(), Some(quota));
    store(&outbox, 0..30);
    let mut reader = Reader::default();
    reader.drain(&outbox);
    // Nothing is lost as long as there is something acknowledged.
    store(&outbox, 30..60);
    let mut early = Reader::default();
    early.read(&outbox);
    assert_eq!(early.gaps, []);
    store(&outbox, 60..300);
    wait_for("the quota is kept", || outbox.disk_bytes() <= quota);
    println!("{} of {quota} bytes", outbox.disk_bytes());
    reader.drain(&outbox);
    let lost = reader.check(&outbox);
    let lost = [
        Stream::Diagnostic,
        Stream::Interval,
        Stream::Count,
        Stream::Alarm,
    ]
    .map(|stream| lost[&stream]);
    println!("given up: {lost:?}");
    assert!(lost[0] > 0 && lost.is_sorted_by(|a, b| a >= b), "{lost:?}");
    assert_eq!(lost[3], 0);
}

#[test]
fn sources_do_not_wait_for_ever_and_what_gives_way_is_told_of() {
    let Some(disk) = Disk::mount(16) else { return };
    let outbox = open(&disk.data(), Some(8 * MB));
    store(&outbox, 0..1);
    // Takes the reserve, too, as soon as it is given up: there is nothing left to make room with.
    let waiting = fill_for_good(&disk, &outbox);
    // Without the alarms.
    let submitted = 99 + waiting.len() as u64 + 1150 + 20 + 99;
    // More than the queue holds.
    for _ in 0..1150 {
        drop(outbox.submit(draft(Stream::Count, "waits".into())).unwrap());
    }
    let alarm = outbox
        .submit(draft(Stream::Alarm, "must stay".into()))
        .unwrap();
    disk.fill();
    for _ in 0..20 {
        drop(
            outbox
                .submit(draft(Stream::Diagnostic, "gives way".into()))
                .unwrap(),
        );
    }
    assert!(outbox.store_error().is_some());
    disk.empty();
    alarm.blocking_recv().unwrap();
    wait_for("the storage works", || outbox.store_error().is_none());
    wait_for("it is told of", || outbox.not_stored() > 0);
    store(&outbox, 1..2);
    let lower = [Stream::Count, Stream::Interval, Stream::Diagnostic];
    let numbered: u64 = lower.map(|stream| outbox.stat(stream).last).iter().sum();
    println!("{} dropped, {numbered} numbered", outbox.not_stored());
    assert_eq!(outbox.not_stored() + numbered, submitted);
    let told = outbox.read(Stream::Alarm, 0, 1000, 1 << 20).unwrap();
    let told = told
        .iter()
        .any(|stored| String::from_utf8_lossy(&stored.bytes).contains("could not be kept"));
    assert!(told);
}
