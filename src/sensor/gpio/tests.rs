//! Doors, beams, buttons and the LED as sensors, on the board without hardware and a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use super::fake::Board;
use super::*;
use crate::clock::{Clock, FakeClock};
use crate::event::{Body, Collected, Direction, Draft, Identity};
use crate::sensor::{HealthCell, State};
use crate::stop::Stop;

/// Patience for a condition: 30 s in all.
const TRIES: u32 = 6000;
const BETWEEN: Duration = Duration::from_millis(5);

const CONFIG: &str = "
[[door]]
id = \"front\"
pin = 17
[[beam]]
id = \"gate\"
outer = 5
inner = 6
[[button]]
id = \"bell\"
pin = 27
[led]
pin = 22
";

struct Rig {
    clock: Arc<FakeClock>,
    board: Board,
    events: Arc<Collected>,
    mood: MoodCell,
    stop: Arc<Stop>,
    healths: Vec<(String, HealthCell)>,
    threads: Vec<std::thread::JoinHandle<Result<(), String>>>,
    seen: Vec<Draft>,
}

impl Rig {
    /// All sensors of [`CONFIG`] at work; the board is plugged in or not.
    fn start(there: bool) -> Self {
        let clock = Arc::new(FakeClock::at("2026-11-21T02:15:30Z".parse().unwrap()));
        let shared: crate::clock::SharedClock = clock.clone();
        let board = Board::new(Arc::clone(&shared));
        board.plug(there);
        // Door closed, beams free, button up.
        for (pin, high) in [(17, false), (5, true), (6, true), (27, true)] {
            board.set(pin, high);
        }
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
        let mood = MoodCell::default();
        let settings: Settings = toml::from_str(CONFIG).unwrap();
        let chip: Arc<dyn Chip> = Arc::new(board.clone());
        let fitted = fit_on(&settings, &house, &mood, &chip);
        let stop = Arc::new(Stop::default());
        let healths = fitted
            .iter()
            .map(|one| (one.face.name(), one.face.health.clone()))
            .collect();
        let threads = fitted
            .into_iter()
            .map(|mut one| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || one.sensor.run(&stop))
            })
            .collect();
        Self {
            clock,
            board,
            events,
            mood,
            stop,
            healths,
            threads,
            seen: Vec::new(),
        }
    }

    fn until(&mut self, what: &str, mut met: impl FnMut(&mut Self) -> bool) {
        for _ in 0..TRIES {
            if met(self) {
                return;
            }
            std::thread::sleep(BETWEEN);
        }
        let healths: Vec<_> = self
            .healths
            .iter()
            .map(|(id, cell)| (id, cell.get()))
            .collect();
        panic!("never: {what}; {healths:?}; {:?}", self.seen);
    }

    fn all(&mut self, state: State) {
        self.until(&format!("all {state:?}"), |rig| {
            rig.healths
                .iter()
                .all(|(_, cell)| cell.get().state == state)
        });
    }

    fn events(&mut self, count: usize) -> Vec<Draft> {
        self.until(&format!("{count} events"), |rig| {
            let more = rig.events.take();
            rig.seen.extend(more);
            rig.seen.len() >= count
        });
        self.seen.clone()
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    fn end(self) {
        self.stop.ask();
        for thread in self.threads {
            assert_eq!(thread.join().unwrap(), Ok(()));
        }
        assert_eq!(self.board.readers(), 0);
        assert_eq!(self.board.level(22), Some(false), "the LED is dark");
    }
}

#[test]
fn doors_beams_and_buttons_tell_what_happened_with_the_times_of_the_edges() {
    let mut rig = Rig::start(true);
    rig.all(State::Ok);
    let begin = rig.clock.now();
    for step in 0..4 {
        rig.board.set(17, step % 2 == 0); // bounces at 0, 3, 6 and 9 ms
        rig.pass(3);
    }
    rig.board.set(17, true); // open at 12 ms
    rig.pass(1_000);
    rig.board.set(17, false); // closed at 1012 ms
    rig.board.set(27, false);
    rig.pass(200);
    rig.board.set(27, true); // the button: 1012 to 1212 ms
    for (pin, high) in [(5, false), (6, false), (5, true), (6, true)] {
        rig.pass(60);
        rig.board.set(pin, high);
    }
    rig.pass(500);
    let mut events = rig.events(4);
    events.sort_by_key(|draft| (draft.at.boot, draft.source.clone()));
    let told: Vec<_> = events
        .iter()
        .map(|draft| {
            let at = (draft.at.boot - begin.boot).as_millis();
            assert_eq!(
                draft.at.wall.duration_since(begin.wall).as_millis(),
                at as i128
            );
            (at, draft.source.as_str(), &draft.body)
        })
        .collect();
    assert!(
        matches!(told[0], (12, "gpio/front", Body::DoorOpened(_))),
        "{told:?}"
    );
    assert!(matches!(told[1], (1012, "gpio/bell", Body::ButtonPressed(pressed)) if !pressed.long));
    assert!(
        matches!(told[2], (1012, "gpio/front", Body::DoorClosed(closed)) if closed.open_s == Some(1.0))
    );
    assert!(
        matches!(told[3], (1452, "gpio/gate", Body::BeamCrossed(crossed)) if crossed.direction == Direction::In)
    );
    rig.end();
}

#[test]
fn a_blocked_beam_is_one_alarm_and_trouble_until_it_is_free() {
    let mut rig = Rig::start(true);
    rig.all(State::Ok);
    rig.board.set(6, false);
    rig.pass(61_000);
    let events = rig.events(1);
    assert!(matches!(&events[0].body, Body::DeviceAlarm(alarm) if alarm.part == "gpio/gate"));
    let gate = rig.healths[1].1.clone();
    rig.until("trouble", |_| gate.get().state == State::Trouble);
    assert!(gate.get().words.en.contains("remove what stands in it"));
    rig.pass(200_000);
    rig.board.set(6, true);
    rig.pass(100);
    rig.until("free", |_| gate.get().state == State::Ok);
    assert_eq!(rig.events(1).len(), 1, "one alarm, no crossing");
    rig.end();
}

#[test]
fn a_chip_that_is_missing_is_named_and_noticed_when_it_comes_goes_and_comes_back() {
    let mut rig = Rig::start(false);
    rig.all(State::Trouble);
    for (_, cell) in &rig.healths {
        assert!(cell.get().words.en.contains("set gpio.chip"));
    }
    rig.board.plug(true);
    rig.all(State::Ok);
    rig.board.plug(false);
    rig.all(State::Trouble);
    rig.board.set(17, true); // the door opens meanwhile
    rig.board.plug(true);
    let events = rig.events(1);
    assert!(matches!(events[0].body, Body::DoorOpened(_)));
    rig.all(State::Ok);
    rig.end();
}

#[test]
fn the_led_shows_the_mood_as_time_goes_on() {
    let mut rig = Rig::start(true);
    for (mood, at, lit) in [
        (Mood::NoCloud, 500, true),
        (Mood::NoCloud, 1_500, false),
        (Mood::Trouble, 3_000, true),
    ] {
        rig.mood.set(mood);
        let now = rig.clock.now().boot.as_millis();
        rig.pass(u64::try_from(at - now).unwrap());
        rig.until(&format!("{mood:?} at {at}"), |rig| {
            rig.board.level(22) == Some(lit)
        });
    }
    rig.end();
}

#[test]
fn a_wire_that_flutters_is_trouble_and_neither_events_nor_memory() {
    let mut rig = Rig::start(true);
    rig.all(State::Ok);
    let (front, board, clock) = (
        rig.healths[0].1.clone(),
        rig.board.clone(),
        Arc::clone(&rig.clock),
    );
    let mut high = false;
    rig.until("flutter is noticed", |_| {
        // 400 edges in 400 ms of the fake clock; what does not fit is lost, as in the kernel.
        for _ in 0..40 {
            high = !high;
            board.set(17, high);
            clock.advance(Duration::from_millis(1));
        }
        front.get().state == State::Trouble
    });
    assert!(front.get().words.en.contains("fix the wire"));
    rig.board.set(17, false);
    rig.until("calm again", |rig| {
        rig.pass(1_000);
        front.get().state == State::Ok
    });
    rig.end();
}
