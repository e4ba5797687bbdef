use super::*;
use crate::clock::{Clock, FakeClock};
use crate::sensor::camera::Next;

/// Gives `count` frames, `gap` apart, then ends or fails.
struct Scripted {
    count: u64,
    given: u64,
    gap: Duration,
    fails: bool,
}

impl Scripted {
    fn new(count: u64, gap_ms: u64) -> Self {
        Self {
            count,
            given: 0,
            gap: Duration::from_millis(gap_ms),
            fails: false,
        }
    }
}

fn broken() -> CameraError {
    CameraError::BadData {
        what: "clip".into(),
        why: "broken".into(),
        fix: "mend it".into(),
    }
}

impl FrameSource for Scripted {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        while self.given < self.count {
            let (at, index) = (self.gap * u32::try_from(self.given).unwrap(), self.given);
            self.given += 1;
            if keep(at) {
                (frame.at, frame.index) = (at, index);
                frame.rgb.clear();
                frame.rgb.push(u8::try_from(index).unwrap());
                return Ok(Next::Frame);
            }
        }
        if self.fails {
            Err(broken())
        } else {
            Ok(Next::End)
        }
    }
}

/// A paced source of `count` frames per round on a clock that only its own sleeping moves.
fn paced(count: u64, gap_ms: u64, repeat: bool) -> (Paced, Arc<FakeClock>) {
    let fake = Arc::new(FakeClock::at(jiff::Timestamp::UNIX_EPOCH));
    fake.advance(Duration::from_secs(500));
    let reopen: Reopen = Box::new(move || Ok(Box::new(Scripted::new(count, gap_ms))));
    let stop = Arc::new(Stop::default());
    let mut paced = Paced::new(reopen, repeat, fake.clone(), stop);
    let asleep = fake.clone();
    paced.sleep = Box::new(move |time| {
        assert!(time <= NAP);
        asleep.advance(time);
    });
    (paced, fake)
}

#[test]
fn frames_come_when_their_time_has_come() {
    let (mut paced, clock) = paced(4, 250, false);
    let mut frame = Frame::default();
    for k in 0..4 {
        assert_eq!(paced.next_frame(&mut frame).unwrap(), Next::Frame);
        assert_eq!(frame.at, Duration::from_millis(250 * k));
        assert_eq!(clock.now().boot, Duration::from_secs(500) + frame.at);
    }
    assert_eq!(paced.next_frame(&mut frame).unwrap(), Next::End);
    assert_eq!(paced.next_frame(&mut frame).unwrap(), Next::End);
}

#[test]
fn repetitions_go_on_in_time_and_in_number() {
    let (mut paced, clock) = paced(3, 100, true);
    let mut frame = Frame::default();
    for k in 0..20_u64 {
        assert_eq!(paced.next_frame(&mut frame).unwrap(), Next::Frame);
        assert_eq!((frame.index, frame.at), (k, Duration::from_millis(100 * k)));
        assert_eq!(u64::from(frame.rgb[0]), k % 3);
        assert_eq!(clock.now().boot, Duration::from_secs(500) + frame.at);
    }
}

#[test]
fn passed_over_frames_count_in_time_and_number_over_repetitions() {
    let (mut paced, _clock) = paced(3, 100, true);
    let mut frame = Frame::default();
    let mut decimator = Decimator::new(Some(5.0));
    let mut got = Vec::new();
    for _ in 0..6 {
        paced
            .next_kept(&mut frame, &mut |at| decimator.keep(at))
            .unwrap();
        got.push((frame.index, frame.at.as_millis()));
    }
    assert_eq!(
        got,
        [(0, 0), (2, 200), (4, 400), (6, 600), (8, 800), (10, 1000)]
    );
}

#[test]
fn a_recording_of_one_frame_repeats_at_a_rate_and_an_empty_one_ends() {
    let (mut one, _clock) = paced(1, 0, true);
    let mut frame = Frame::default();
    for k in 0..5 {
        one.next_frame(&mut frame).unwrap();
        assert_eq!(frame.at, ONE_FRAME * k);
    }
    let (mut none, _clock) = paced(0, 0, true);
    assert_eq!(none.next_frame(&mut frame).unwrap(), Next::End);
}

#[test]
fn after_a_long_stall_the_recording_goes_on_without_catching_up() {
    let (mut paced, clock) = paced(100, 100, false);
    let mut frame = Frame::default();
    paced.next_frame(&mut frame).unwrap();
    clock.advance(Duration::from_secs(60));
    paced.next_frame(&mut frame).unwrap();
    let after_stall = clock.now().boot;
    paced.next_frame(&mut frame).unwrap();
    assert_eq!(frame.at, Duration::from_millis(200));
    assert_eq!(clock.now().boot, after_stall + Duration::from_millis(100));
}

#[test]
fn stopping_ends_a_source_that_waits() {
    let (mut paced, _clock) = paced(10, 60_000, false);
    let stop = paced.stop.clone();
    paced.sleep = Box::new(move |_| stop.ask());
    let mut frame = Frame::default();
    assert_eq!(paced.next_frame(&mut frame).unwrap(), Next::Frame);
    assert_eq!(paced.next_frame(&mut frame).unwrap(), Next::End);
}

fn frame(value: u8) -> Frame {
    Frame {
        rgb: vec![value; 30],
        index: u64::from(value),
        ..Frame::default()
    }
}

#[test]
fn the_slot_keeps_the_newest_frame_and_counts_the_replaced_ones() {
    let slot = Slot::new();
    for value in 1..=3 {
        assert!(slot.put(&mut frame(value)));
    }
    let mut taken = Frame::default();
    assert!(matches!(
        slot.take(&mut taken, Duration::ZERO),
        Taken::Frame
    ));
    assert_eq!((taken.index, &taken.rgb[..]), (3, &[3; 30][..]));
    assert!(matches!(
        slot.take(&mut taken, Duration::ZERO),
        Taken::Timeout
    ));
    assert_eq!(
        slot.stats(),
        SlotStats {
            captured: 3,
            dropped: 2
        }
    );
}

#[test]
fn three_buffers_go_round_without_a_new_one() {
    let slot = Slot::new();
    let (mut capturing, mut looking) = (frame(1), frame(2));
    slot.put(&mut frame(0));
    let mut seen = std::collections::HashSet::new();
    for value in 0..50 {
        capturing.rgb.clear();
        capturing.rgb.resize(30, value);
        seen.insert(capturing.rgb.as_ptr());
        slot.put(&mut capturing);
        assert!(matches!(
            slot.take(&mut looking, Duration::ZERO),
            Taken::Frame
        ));
        seen.insert(looking.rgb.as_ptr());
    }
    assert!(seen.len() <= 3, "{} buffers", seen.len());
}

#[test]
fn a_closed_slot_gives_its_last_frame_then_the_reason_once() {
    let slot = Slot::new();
    slot.put(&mut frame(9));
    slot.close(Some(broken()));
    slot.close(None);
    assert!(!slot.put(&mut frame(10)));
    let mut taken = Frame::default();
    assert!(matches!(slot.take(&mut taken, Duration::MAX), Taken::Frame));
    assert_eq!(taken.index, 9);
    assert!(matches!(
        slot.take(&mut taken, Duration::MAX),
        Taken::Closed(Some(_))
    ));
    assert!(matches!(
        slot.take(&mut taken, Duration::MAX),
        Taken::Closed(None)
    ));
}

#[test]
fn whoever_waits_is_woken_by_a_frame_and_by_the_end() {
    let slot = Slot::new();
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let mut taken = Frame::default();
            let mut got = Vec::new();
            loop {
                match slot.take(&mut taken, Duration::MAX) {
                    Taken::Frame => got.push(taken.rgb[0]),
                    Taken::Timeout => unreachable!(),
                    Taken::Closed(reason) => break (got, reason.map(|r| r.to_string())),
                }
            }
        });
        let mut source = Scripted::new(100, 10);
        source.fails = true;
        capture_loop(&mut source, &slot, &Stop::default(), None);
        let (got, reason) = taker.join().unwrap();
        assert!(got.is_sorted() && got.last() == Some(&99), "{got:?}");
        assert_eq!(reason.as_deref(), Some("clip: broken; mend it"));
        let stats = slot.stats();
        assert_eq!(
            (stats.captured, stats.dropped),
            (100, 100 - got.len() as u64)
        );
    });
}

#[test]
fn capturing_stops_when_told_when_nobody_listens_and_at_the_end() {
    let mut taken = Frame::default();

    let slot = Slot::new();
    let stopped = Stop::default();
    stopped.ask();
    capture_loop(&mut Scripted::new(5, 10), &slot, &stopped, None);
    assert_eq!(slot.stats().captured, 0);
    assert!(matches!(
        slot.take(&mut taken, Duration::MAX),
        Taken::Closed(None)
    ));

    let slot = Slot::new();
    slot.close(None);
    let mut source = Scripted::new(5, 10);
    capture_loop(&mut source, &slot, &Stop::default(), None);
    assert_eq!((source.given, slot.stats().captured), (1, 0));

    let slot = Slot::new();
    capture_loop(
        &mut Scripted::new(50, 100),
        &slot,
        &Stop::default(),
        Some(5.0),
    );
    assert_eq!(slot.stats().captured, 25);
}

#[test]
fn a_capturing_thread_that_panics_closes_the_slot() {
    struct Panics;
    impl FrameSource for Panics {
        fn next_kept(
            &mut self,
            _: &mut Frame,
            _: &mut dyn FnMut(Duration) -> bool,
        ) -> Result<Next, CameraError> {
            panic!("scripted")
        }
    }
    let slot = Slot::new();
    let outcome = std::thread::scope(|scope| {
        let capture = || capture_loop(&mut Panics, &slot, &Stop::default(), None);
        scope.spawn(capture).join()
    });
    assert!(outcome.is_err());
    let taken = slot.take(&mut Frame::default(), Duration::MAX);
    assert!(matches!(
        taken,
        Taken::Closed(Some(CameraError::Unavailable { .. }))
    ));
}
