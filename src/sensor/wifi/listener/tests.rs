//! The sensor with a scripted radio: missing, there, gone, back; and a count that cannot keep up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::*;
use crate::clock::FakeClock;
use crate::event::{Collected, Draft, Identity, Receipt, Sink, SinkClosed};
use crate::sensor::wifi::link::Link;

/// What a scripted radio does next.
enum Step {
    Frame(Vec<u8>),
    Drops(u64),
    Pass(Duration),
    Gone,
}

struct Script {
    steps: VecDeque<Step>,
    drops: u64,
    clock: Arc<FakeClock>,
    /// Frames given out so far, by all radios of the test.
    given: Arc<AtomicU64>,
}

impl Radio for Script {
    fn link(&self) -> Link {
        Link::Bare
    }

    fn next(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>, RadioError> {
        loop {
            match self.steps.pop_front() {
                None => {
                    // Nothing on the air.
                    std::thread::sleep(timeout.min(Duration::from_millis(5)));
                    return Ok(None);
                }
                Some(Step::Frame(bytes)) => {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    self.given.fetch_add(1, Ordering::SeqCst);
                    return Ok(Some(bytes.len()));
                }
                Some(Step::Drops(drops)) => self.drops += drops,
                Some(Step::Pass(time)) => self.clock.advance(time),
                Some(Step::Gone) => return Err(RadioError::Down("mon0".to_owned())),
            }
        }
    }

    fn drops(&mut self) -> u64 {
        std::mem::take(&mut self.drops)
    }
}

/// A probe request of sender `n`; even ones are random addresses.
fn frame(n: u16) -> Vec<u8> {
    let [high, low] = n.to_be_bytes();
    let mut frame = vec![0; 24];
    frame[0] = 0x40;
    frame[10..16].copy_from_slice(&[if n.is_multiple_of(2) { 2 } else { 0 }, 0, 0, 0, high, low]);
    frame
}

fn requests(senders: std::ops::Range<u16>) -> impl Iterator<Item = Step> {
    senders.map(|n| Step::Frame(frame(n)))
}

/// A listener whose radios are given one after the other; `None` is one that is missing.
struct Rig {
    clock: Arc<FakeClock>,
    face: Face,
    stop: Arc<Stop>,
    given: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Result<(), String>>,
}

impl Rig {
    fn start(sink: Arc<dyn Sink>, radios: Vec<Option<Vec<Step>>>) -> Self {
        let clock = Arc::new(FakeClock::at("2026-11-21T10:01:00Z".parse().unwrap()));
        let house = House {
            identity: Identity {
                tenant: "t".into(),
                store: "s".into(),
                box_id: "b".into(),
                boot_id: "boot".into(),
                zone: TimeZone::UTC,
            },
            clock: Arc::clone(&clock) as SharedClock,
            sink,
        };
        let given = Arc::new(AtomicU64::new(0));
        let radios = Mutex::new(VecDeque::from(radios));
        let (radio_clock, radio_given) = (Arc::clone(&clock), Arc::clone(&given));
        let open: Opener = Box::new(move || {
            let steps = radios.lock().unwrap().pop_front().flatten();
            let steps = steps.ok_or_else(|| RadioError::Missing("mon0".to_owned()))?;
            Ok(Box::new(Script {
                steps: steps.into(),
                drops: 0,
                clock: Arc::clone(&radio_clock),
                given: Arc::clone(&radio_given),
            }))
        });
        let settings = Settings::for_recordings();
        let mut listener = Listener::new(&settings, &house, open);
        let face = listener.face();
        let stop = Arc::new(Stop::default());
        let wish = Arc::clone(&stop);
        let thread = std::thread::spawn(move || listener.run(&wish));
        Self {
            clock,
            face,
            stop,
            given,
            thread,
        }
    }

    fn count(&self, name: &str) -> u64 {
        let metric = self.face.metrics.iter().find(|metric| metric.name == name);
        metric.unwrap().value().as_f64().unwrap() as u64
    }

    /// Waits for a condition, far longer than it takes.
    fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..6000 {
            if condition(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("never: {what}; health {:?}", self.face.health.get());
    }

    fn stop(self) -> Result<(), String> {
        self.stop.ask();
        self.thread.join().unwrap()
    }
}

fn intervals(drafts: Vec<Draft>) -> Vec<WifiInterval> {
    let interval = |draft: Draft| match draft.body {
        Body::WifiInterval(interval) => interval,
        other => panic!("{other:?}"),
    };
    drafts.into_iter().map(interval).collect()
}

#[test]
fn given_a_radio_that_is_missing_when_it_comes_goes_and_comes_back_then_everything_heard_is_counted()
 {
    let sink = Arc::new(Collected::default());
    let first: Vec<_> = requests(0..10)
        .chain([Step::Drops(3), Step::Gone])
        .collect();
    let second: Vec<_> = requests(5..20).chain([Step::Drops(4)]).collect();
    let rig = Rig::start(sink.clone(), vec![None, Some(first), None, Some(second)]);
    rig.until("it says that the interface is missing", |rig| {
        let health = rig.face.health.get();
        health.state == State::Trouble
            && health.words.en.contains("mon0")
            && health.words.zh.contains("mon0")
    });
    rig.until("everything was heard", |rig| {
        rig.count("probe_requests") == 25 && rig.count("kernel_drops") == 7
    });
    rig.until("it listens", |rig| rig.face.health.get().state == State::Ok);
    rig.until("all senders are known", |rig| rig.count("devices") == 20);
    rig.stop().unwrap();
    let intervals = intervals(sink.take());
    assert_eq!(intervals.len(), 1);
    let only = &intervals[0];
    assert_eq!(
        (only.random, only.global, only.visitors),
        (Some(10), Some(10), Some(0))
    );
    assert_eq!(
        (only.quality.probe_requests, only.quality.kernel_drops),
        (25, 7)
    );
}

#[test]
fn given_frames_around_a_boundary_when_it_passes_then_each_is_in_the_interval_it_was_heard_in() {
    let sink = Arc::new(Collected::default());
    let script: Vec<_> = requests(0..10)
        .chain([Step::Pass(Duration::from_secs(14 * 60))])
        .chain(requests(0..16))
        .collect();
    let rig = Rig::start(sink.clone(), vec![Some(script)]);
    rig.until("everything was heard", |rig| {
        rig.count("probe_requests") == 26
    });
    rig.stop().unwrap();
    let intervals = intervals(sink.take());
    let counts: Vec<_> = intervals
        .iter()
        .map(|i| (&i.to[11..16], i.random, i.global))
        .collect();
    assert_eq!(
        counts,
        [("10:15", Some(5), Some(5)), ("10:15", Some(8), Some(8))]
    );
}

#[test]
fn given_an_outbox_that_is_stuck_when_frames_go_on_then_the_queue_drops_and_says_how_many() {
    /// Takes nothing until it is let go.
    #[derive(Default)]
    struct Stuck {
        open: Mutex<bool>,
        wake: Condvar,
        inner: Collected,
    }
    impl Sink for Stuck {
        fn submit(&self, draft: Draft) -> Result<Receipt, SinkClosed> {
            let open = self.open.lock().unwrap();
            drop(self.wake.wait_while(open, |open| !*open).unwrap());
            self.inner.submit(draft)
        }
    }
    let sink = Arc::new(Stuck::default());
    let more = 20_000u64;
    // The boundary has passed when the first frame is counted: its interval is handed over, and that hangs.
    let script: Vec<_> = [Step::Pass(Duration::from_secs(14 * 60))]
        .into_iter()
        .chain((0..more).map(|n| Step::Frame(frame(n as u16 % 100))))
        .collect();
    let rig = Rig::start(sink.clone(), vec![Some(script)]);
    rig.until("the radio is read on", |rig| {
        rig.given.load(Ordering::SeqCst) == more
    });
    rig.until("all are heard", |rig| rig.count("probe_requests") == more);
    *sink.open.lock().unwrap() = true;
    sink.wake.notify_all();
    let dropped = rig.count("queue_drops");
    assert!(dropped > 0 && dropped <= more - QUEUE as u64, "{dropped}");
    assert_eq!(rig.count("kernel_drops"), 0);
    rig.stop().unwrap();
    let intervals = intervals(sink.inner.take());
    let sum = |of: fn(&WifiInterval) -> u64| intervals.iter().map(of).sum::<u64>();
    assert_eq!(sum(|i| i.quality.probe_requests), more);
    assert_eq!(sum(|i| i.quality.queue_drops), dropped);
}

#[test]
fn given_an_outbox_that_is_closed_when_an_interval_ends_then_the_sensor_returns() {
    struct Closed;
    impl Sink for Closed {
        fn submit(&self, _: Draft) -> Result<Receipt, SinkClosed> {
            Err(SinkClosed)
        }
    }
    let rig = Rig::start(Arc::new(Closed), vec![Some(Vec::new())]);
    rig.until("it listens", |rig| rig.face.health.get().state == State::Ok);
    rig.clock.advance(Duration::from_secs(900));
    rig.until("it returns", |rig| rig.thread.is_finished());
    assert!(rig.stop().is_err());
}
