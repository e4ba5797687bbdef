//! The reader on a scanner that types, without hardware. Serial lines: `tests/scanners.rs`.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use super::*;
use crate::clock::{Clock, FakeClock, SharedClock};
use crate::event::{Collected, Draft, Identity};
use crate::sensor::scanner::hid::{KeyEvent, Keys, Typing};
use crate::sensor::scanner::layout::Layout;

/// Patience for a condition: 30 s in all.
const TRIES: u32 = 6000;
const BETWEEN: Duration = Duration::from_millis(5);

const ENTER: u16 = 28;
const DIGITS: [u16; 10] = [11, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/// Input events of a keyboard that a test plugs in, types on and pulls out.
#[derive(Clone, Default)]
struct FakeKeys(Arc<(Mutex<Desk>, Condvar)>);

#[derive(Default)]
struct Desk {
    there: bool,
    events: VecDeque<KeyEvent>,
}

impl FakeKeys {
    fn plug(&self, there: bool) {
        let mut desk = self.0.0.lock().unwrap();
        desk.there = there;
        desk.events.clear();
        self.0.1.notify_all();
    }

    fn send(&self, events: impl IntoIterator<Item = (u16, u16, i32)>) {
        let event = |(kind, code, value)| KeyEvent { kind, code, value };
        self.0
            .0
            .lock()
            .unwrap()
            .events
            .extend(events.into_iter().map(event));
        self.0.1.notify_all();
    }

    fn type_digits(&self, digits: &str) {
        let codes = digits.bytes().map(|byte| DIGITS[usize::from(byte - b'0')]);
        self.send(codes.flat_map(|code| [(1, code, 1), (0, 0, 0), (1, code, 0), (0, 0, 0)]));
    }
}

impl Keys for FakeKeys {
    fn read(
        &mut self,
        timeout: Duration,
        take: &mut dyn FnMut(KeyEvent),
    ) -> Result<Arrived, DeviceError> {
        let (desk, changed) = &*self.0;
        let waiting = |desk: &mut Desk| desk.there && desk.events.is_empty();
        let (mut desk, _) = changed
            .wait_timeout_while(desk.lock().unwrap(), timeout, waiting)
            .unwrap();
        if !desk.there {
            return Err(DeviceError::reading(
                Path::new("fake"),
                Kind::Hid,
                Errno::NODEV,
            ));
        }
        let events = std::mem::take(&mut desk.events);
        drop(desk);
        let arrived = if events.is_empty() {
            Arrived::Nothing
        } else {
            Arrived::Something
        };
        events.into_iter().for_each(take);
        Ok(arrived)
    }
}

impl Device for FakeKeys {
    fn open(&mut self) -> Result<Box<dyn Line>, DeviceError> {
        if !self.0.0.lock().unwrap().there {
            return Err(DeviceError::opening(
                Path::new("fake"),
                Kind::Hid,
                Errno::NOENT,
            ));
        }
        Ok(Box::new(Typing::new(self.clone(), Layout::Us)))
    }
}

struct Rig {
    clock: Arc<FakeClock>,
    keys: FakeKeys,
    events: Arc<Collected>,
    tally: Tally,
    health: HealthCell,
    stop: Arc<Stop>,
    thread: std::thread::JoinHandle<Result<(), String>>,
}

impl Rig {
    fn start() -> Self {
        let clock = Arc::new(FakeClock::at("2026-11-21T02:15:30Z".parse().unwrap()));
        let shared: SharedClock = clock.clone();
        let events = Arc::new(Collected::default());
        let house = House {
            identity: Identity {
                tenant: "t".into(),
                store: "s".into(),
                box_id: "b".into(),
                boot_id: "0".into(),
                zone: jiff::tz::TimeZone::UTC,
            },
            clock: shared,
            sink: events.clone(),
        };
        let settings: Settings = toml::from_str(
            "id = \"hand\"\nhid = \"fake\"\n[[touchpoint]]\nid = \"till-1\"\nkind = \"till\"\n",
        )
        .unwrap();
        let (keys, tally, stop) = (
            FakeKeys::default(),
            Tally::default(),
            Arc::new(Stop::default()),
        );
        let mut reader = Reader::new(&settings, Box::new(keys.clone()), &house, tally.clone());
        let health = reader.face().health;
        let wish = Arc::clone(&stop);
        let thread = std::thread::spawn(move || reader.run(&wish));
        Self {
            clock,
            keys,
            events,
            tally,
            health,
            stop,
            thread,
        }
    }

    fn until(&self, what: &str, met: impl Fn(&Self) -> bool) {
        for _ in 0..TRIES {
            if met(self) {
                return;
            }
            std::thread::sleep(BETWEEN);
        }
        panic!("never: {what}; {:?}", self.health.get());
    }

    fn plugged(&self, there: bool) {
        self.keys.plug(there);
        let state = if there { State::Ok } else { State::Trouble };
        self.until(&format!("plugged: {there}"), |rig| {
            rig.health.get().state == state
        });
    }

    fn end(self) -> Vec<Draft> {
        self.stop.ask();
        assert_eq!(self.thread.join().unwrap(), Ok(()));
        self.events.take()
    }
}

#[test]
fn a_code_that_is_typed_and_ended_with_enter_is_an_event_with_its_touchpoint() {
    let rig = Rig::start();
    rig.plugged(true);
    rig.keys.type_digits("4006381333931");
    rig.keys.send([(1, ENTER, 1), (0, 0, 0)]);
    rig.until("a code", |rig| rig.tally.codes.get() == 1);
    let events = rig.end();
    assert_eq!(events[0].source, "scanner/hand");
    let Body::CodeScanned(scanned) = &events[0].body else {
        panic!("{:?}", events[0].body);
    };
    assert_eq!(
        scanned.touchpoint.as_ref().map(|place| place.id.as_str()),
        Some("till-1")
    );
}

#[test]
fn a_code_without_enter_is_complete_after_80_ms_of_silence() {
    let rig = Rig::start();
    rig.plugged(true);
    rig.keys.type_digits("12345");
    rig.until("typed", |rig| {
        rig.keys.0.0.lock().unwrap().events.is_empty()
    });
    // The fake clock stands still: silence never lasts, however long this machine takes.
    assert_eq!(rig.tally.codes.get(), 0);
    rig.until("a code", |rig| {
        rig.clock.advance(Duration::from_millis(80));
        rig.tally.codes.get() == 1
    });
    assert_eq!(rig.end().len(), 1);
}

#[test]
fn a_code_with_lost_events_is_dropped_and_counted_and_the_next_one_is_read() {
    let rig = Rig::start();
    rig.plugged(true);
    rig.keys.type_digits("1234");
    rig.keys.send([(0, 3, 0), (1, DIGITS[5], 1), (0, 0, 0)]);
    rig.keys.type_digits("678");
    rig.keys.send([(1, ENTER, 1), (0, 0, 0)]);
    rig.until("unreadable", |rig| rig.tally.unreadable.get() == 1);
    rig.keys.type_digits("99");
    rig.keys.send([(1, ENTER, 1), (0, 0, 0)]);
    rig.until("the next", |rig| rig.tally.codes.get() == 1);
    assert_eq!(rig.end().len(), 1);
}

#[test]
fn half_a_code_at_the_moment_of_unplugging_is_forgotten() {
    let rig = Rig::start();
    rig.until("trouble", |rig| rig.health.get().state == State::Trouble);
    assert!(rig.health.get().words.en.contains("plug it in"));
    rig.plugged(true);
    rig.keys.type_digits("1111");
    rig.until("typed", |rig| {
        rig.keys.0.0.lock().unwrap().events.is_empty()
    });
    rig.plugged(false);
    rig.plugged(true);
    rig.keys.send([(1, ENTER, 1), (0, 0, 0)]);
    rig.keys.type_digits("22");
    rig.keys.send([(1, ENTER, 1), (0, 0, 0)]);
    rig.until("a code", |rig| rig.tally.codes.get() == 1);
    assert_eq!(
        (rig.tally.reconnects.get(), rig.tally.unreadable.get()),
        (1, 0)
    );
    assert_eq!(rig.clock.now().boot, Duration::ZERO);
    assert_eq!(rig.end().len(), 1);
}

#[test]
fn what_the_operating_system_says_becomes_a_next_step() {
    let path = Path::new("/dev/x");
    let cases = [
        (
            Kind::Serial,
            Errno::ACCESS,
            "add its user to the group dialout",
        ),
        (Kind::Hid, Errno::ACCESS, "add its user to the group input"),
        (
            Kind::Serial,
            Errno::NOENT,
            "plug it in, or see with `ls /dev/serial/by-id/`",
        ),
        (Kind::Serial, Errno::BUSY, "see which with `fuser /dev/x`"),
        (
            Kind::Hid,
            Errno::NOTTY,
            "choose the one whose name ends in -event-kbd",
        ),
        (
            Kind::Serial,
            Errno::NOMEM,
            "unplug the scanner and plug it in again",
        ),
    ];
    for (kind, errno, step) in cases {
        let why = DeviceError::opening(path, kind, errno).to_string();
        assert!(why.contains(step), "{why}");
    }
    for errno in [Errno::IO, Errno::NXIO, Errno::NODEV] {
        assert_eq!(
            DeviceError::reading(path, Kind::Serial, errno).why,
            Why::Unplugged
        );
    }
}
