//! The outbox as a whole: what is acknowledged is there, in order, after any stop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Options, Outbox, Queue, Recovery};
use crate::clock::FakeClock;
use crate::event::{
    Body, CameraState, DeviceAlarm, DeviceHealth, Direction, Draft, Identity, LineCrossed,
    LineInterval, OutboxGap, Quality, Receipt, Sink, Stream,
};

pub fn identity() -> Identity {
    Identity {
        tenant: "acme".into(),
        store: "shop-7".into(),
        box_id: "box-1".into(),
        boot_id: "5f0c".into(),
        zone: jiff::tz::TimeZone::UTC,
    }
}

pub fn draft(stream: Stream, text: &str) -> Draft {
    let body = match stream {
        Stream::Alarm => Body::DeviceAlarm(DeviceAlarm {
            part: "test".into(),
            message: text.into(),
        }),
        Stream::Diagnostic => Body::DeviceHealth(DeviceHealth {
            rss_bytes: text.len() as u64,
            disk_free_bytes: 2,
            uptime_s: 3,
            restarts: 4,
        }),
        Stream::Interval => Body::LineInterval(LineInterval {
            open: None,
            classes: Default::default(),
            line: text.into(),
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
            line: text.into(),
            direction: Direction::In,
            track: 1,
            from: "street".into(),
            to: "shop".into(),
            class: None,
        }),
    };
    let at = crate::clock::Clock::now(&FakeClock::at(jiff::Timestamp::UNIX_EPOCH));
    Draft {
        source: "camera/entrance".into(),
        at,
        body,
    }
}

/// A directory in memory where there is one: these tests are about bytes, not about a device.
pub fn tempdir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A small outbox that commits at once.
pub fn open(dir: &Path, segment_events: u64) -> (Outbox, Recovery) {
    let clock = Arc::new(FakeClock::at(jiff::Timestamp::UNIX_EPOCH));
    let options = Options {
        cache_bytes: 1 << 20,
        segment_events,
        kept_segments: 1,
        ..Options::new(dir)
    };
    Outbox::open_with(options, identity(), clock, Duration::from_millis(1)).unwrap()
}

pub fn submit(outbox: &Outbox, stream: Stream, text: &str) -> Receipt {
    outbox.submit(draft(stream, text)).unwrap()
}

pub fn wait(receipt: Receipt) -> u64 {
    receipt.blocking_recv().unwrap()
}

/// Everything readable after `after`: number → bytes. Waits out repairs.
pub fn read_all(outbox: &Outbox, stream: Stream, after: u64) -> BTreeMap<u64, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut after = after;
    let mut errors = 0;
    loop {
        match outbox.read(stream, after, 7, 10_000) {
            Ok(events) if events.is_empty() => return all,
            Ok(events) => {
                for event in events {
                    assert!(event.sequence > after, "{} after {after}", event.sequence);
                    after = event.sequence;
                    all.insert(event.sequence, event.bytes);
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

/// The losses that were reported.
pub fn gaps(outbox: &Outbox) -> Vec<OutboxGap> {
    read_all(outbox, Stream::Alarm, 0)
        .into_values()
        .map(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap())
        .filter(|event| event["type"] == "footfall.outbox.gap.v1")
        .map(|event| serde_json::from_value(event["data"].clone()).unwrap())
        .collect()
}

#[test]
fn an_event_that_was_acknowledged_is_readable_now_and_after_a_restart() {
    let dir = tempdir();
    let (outbox, recovery) = open(dir.path(), 1000);
    assert_eq!(recovery, Recovery::default());
    let changed = outbox.changed();
    let receipts: Vec<_> = (0..250)
        .map(|n| submit(&outbox, Stream::Count, &format!("line {n}")))
        .collect();
    let numbers: Vec<u64> = receipts.into_iter().map(wait).collect();
    assert_eq!(numbers, (1..=250).collect::<Vec<_>>());
    assert!(changed.has_changed().unwrap());
    assert_eq!(wait(submit(&outbox, Stream::Alarm, "look")), 1);
    let before = read_all(&outbox, Stream::Count, 0);
    assert_eq!(before.len(), 250);
    let expected = draft(Stream::Count, "line 41")
        .encode(&identity(), 42)
        .unwrap();
    assert_eq!(before[&42], expected);
    outbox.close().unwrap();
    assert!(outbox.submit(draft(Stream::Count, "late")).is_err());
    assert!(outbox.read(Stream::Count, 0, 1, 1).is_err());
    outbox.close().unwrap();
    drop(outbox);
    let (outbox, recovery) = open(dir.path(), 1000);
    assert_eq!(recovery.gaps, []);
    assert_eq!(recovery.last.0, [1, 250, 0, 0]);
    assert_eq!(read_all(&outbox, Stream::Count, 0), before);
    assert_eq!(wait(submit(&outbox, Stream::Count, "next")), 251);
    assert_eq!(gaps(&outbox), []);
}

#[test]
fn acknowledged_segments_are_dropped_and_the_kept_ones_stay_readable() {
    let dir = tempdir();
    let (outbox, _) = open(dir.path(), 10);
    for n in 0..45 {
        wait(submit(&outbox, Stream::Count, &n.to_string()));
    }
    let segments = || super::layout::ordinals(dir.path(), super::layout::Kind::Segment).unwrap();
    assert_eq!(segments().len(), 5);
    outbox.ack(Stream::Count, 11..=20).unwrap();
    outbox.ack(Stream::Count, 31..=45).unwrap();
    outbox.close().unwrap();
    drop(outbox);
    let (outbox, _) = open(dir.path(), 10);
    let stat = outbox.stat(Stream::Count);
    assert_eq!((stat.last, stat.acked, stat.pending), (45, 0, 20));
    assert!(outbox.is_acked(Stream::Count, 20) && !outbox.is_acked(Stream::Count, 21));
    // Two of the acknowledged segments go: the newest sealed one (31 to 40) stays for today's totals.
    wait(submit(&outbox, Stream::Alarm, "tick"));
    assert_eq!(segments().len(), 4);
    let numbers: Vec<u64> = read_all(&outbox, Stream::Count, 0).into_keys().collect();
    assert_eq!(numbers, (1..=10).chain(21..=45).collect::<Vec<_>>());
    outbox.ack(Stream::Count, 1..=30).unwrap();
    outbox.close().unwrap();
    drop(outbox);
    let (outbox, recovery) = open(dir.path(), 10);
    assert_eq!(recovery.gaps, []);
    wait(submit(&outbox, Stream::Alarm, "tick"));
    assert_eq!(outbox.stat(Stream::Count).acked, 45);
    let numbers: Vec<u64> = read_all(&outbox, Stream::Count, 0).into_keys().collect();
    assert_eq!(numbers, (31..=45).collect::<Vec<_>>());
    assert_eq!(gaps(&outbox), []);
}

#[test]
fn a_lost_ack_file_means_duplicates_not_gaps() {
    let dir = tempdir();
    let (outbox, _) = open(dir.path(), 10);
    for n in 0..25 {
        wait(submit(&outbox, Stream::Count, &n.to_string()));
    }
    outbox.ack(Stream::Count, 1..=23).unwrap();
    outbox.close().unwrap();
    drop(outbox);
    let (outbox, _) = open(dir.path(), 10);
    wait(submit(&outbox, Stream::Alarm, "drops the first segment"));
    outbox.close().unwrap();
    drop(outbox);
    std::fs::remove_file(dir.path().join("acks")).unwrap();
    let (outbox, recovery) = open(dir.path(), 10);
    assert_eq!(recovery.gaps, []);
    let stat = outbox.stat(Stream::Count);
    assert_eq!((stat.last, stat.acked, stat.pending), (25, 10, 15));
}

#[test]
fn a_second_outbox_on_the_same_directory_is_refused() {
    let dir = tempdir();
    let (_outbox, _) = open(dir.path(), 10);
    let error = super::lock::take(dir.path(), 0).unwrap_err();
    assert!(matches!(error, super::OutboxError::Locked(_)), "{error}");
}

#[test]
fn a_missing_directory_is_an_error_that_says_what_to_do() {
    let dir = tempdir();
    let clock = Arc::new(FakeClock::at(jiff::Timestamp::UNIX_EPOCH));
    let options = Options::new(dir.path().join("missing"));
    let error = Outbox::open(options, identity(), clock)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("install -d -o footfall"), "{error}");
}

#[test]
fn an_event_far_too_big_is_refused_with_an_alarm_and_takes_no_number() {
    let dir = tempdir();
    let (outbox, _) = open(dir.path(), 100);
    let refused = submit(&outbox, Stream::Count, &"x".repeat(300_000));
    assert!(refused.blocking_recv().is_err());
    let big = "y".repeat(200_000);
    assert_eq!(wait(submit(&outbox, Stream::Count, &big)), 1);
    assert_eq!(wait(submit(&outbox, Stream::Alarm, "second")), 2);
    outbox.close().unwrap();
    drop(outbox);
    let (outbox, _) = open(dir.path(), 100);
    let events = read_all(&outbox, Stream::Count, 0);
    assert!(events[&1].len() > 200_000);
    let alarm = String::from_utf8(read_all(&outbox, Stream::Alarm, 0)[&1].clone()).unwrap();
    assert!(alarm.contains("could not be stored"), "{alarm}");
}

/// What a test does to the outbox.
#[derive(Clone, Debug)]
enum Step {
    Append(Stream, u8),
    Ack(Stream, u64, u64),
    Restart,
}

fn some_stream() -> impl Strategy<Value = Stream> {
    prop::sample::select(Stream::ALL.to_vec())
}

fn some_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (some_stream(), 1u8..30).prop_map(|(stream, count)| Step::Append(stream, count)),
        4 => (some_stream(), 0u64..60, 0u64..40).prop_map(|(stream, a, n)| Step::Ack(stream, a, a + n)),
        1 => Just(Step::Restart),
    ]
}

/// What the outbox must hold: the plain truth in memory.
#[derive(Default)]
struct Model {
    events: [BTreeMap<u64, Vec<u8>>; 4],
    acked: [std::collections::BTreeSet<u64>; 4],
}

impl Model {
    fn append(&mut self, outbox: &Outbox, stream: Stream, count: u8) {
        let events = &mut self.events[stream.index()];
        let receipts: Vec<_> = (0..count)
            .map(|n| {
                let text = "ab".repeat(usize::from(n) * 20);
                let sequence = events.len() as u64 + 1;
                let draft = draft(stream, &text);
                events.insert(sequence, draft.encode(&identity(), sequence).unwrap());
                (sequence, outbox.submit(draft).unwrap())
            })
            .collect();
        for (sequence, receipt) in receipts {
            assert_eq!(wait(receipt), sequence);
        }
    }

    fn check(&self, outbox: &Outbox) {
        for stream in Stream::ALL {
            let events = &self.events[stream.index()];
            let acked = &self.acked[stream.index()];
            let stat = outbox.stat(stream);
            assert_eq!(stat.last, events.len() as u64);
            assert_eq!(stat.pending, (events.len() - acked.len()) as u64);
            let prefix = (1..).take_while(|n| acked.contains(n)).count() as u64;
            assert_eq!(stat.acked, prefix);
            let read = read_all(outbox, stream, 0);
            for (sequence, bytes) in events {
                assert_eq!(outbox.is_acked(stream, *sequence), acked.contains(sequence));
                match read.get(sequence) {
                    Some(read) => assert_eq!(read, bytes),
                    None => assert!(acked.contains(sequence), "{stream}/{sequence} is lost"),
                }
            }
            assert!(read.keys().all(|sequence| events.contains_key(sequence)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_outbox_behaves_as_a_map_that_forgets_only_what_is_acknowledged(
        steps in prop::collection::vec(some_step(), 1..20), segment_events in 1u64..200,
    ) {
        let dir = tempdir();
        let mut model = Model::default();
        let (mut outbox, _) = open(dir.path(), segment_events);
        for step in steps {
            match step {
                Step::Append(stream, count) => model.append(&outbox, stream, count),
                Step::Ack(stream, first, last) => {
                    outbox.ack(stream, first..=last).unwrap();
                    let known = model.events[stream.index()].range(first..=last);
                    model.acked[stream.index()].extend(known.map(|(sequence, _)| *sequence));
                }
                Step::Restart => {
                    outbox.close().unwrap();
                    let (opened, recovery) = open(dir.path(), segment_events);
                    prop_assert_eq!(recovery.gaps, []);
                    outbox = opened;
                }
            }
        }
        model.check(&outbox);
        drop(outbox);
        model.check(&open(dir.path(), segment_events).0);
    }
}
