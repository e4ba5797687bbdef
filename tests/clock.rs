//! Jumps of the wall clock, place by place: what measures a duration must come to the same end whether the wall clock was
//! set on the way or not. Each place plays a scene on a clock of its own and calls `Shop::jump` where it would hurt
//! most; the scene is played without a jump and with each of `JUMPS`, and must tell the same.
//!
//! Not here, because it never sees a wall clock (it is given times since boot): tracks, scanners' duplicates, the
//! probation of a config, the watchdog, the uplink's window. Waits and backoffs are tokio's and the condition variables'
//! monotonic clock. The whole daemon whose clock jumps is in `clock_daemon.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/jumps.rs"]
mod jumps;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use footfall::clock::Clock;
use footfall::command::counters::Counters;
use footfall::command::dispatch::{Dispatcher, Setup};
use footfall::command::envelope::{Claims, seal};
use footfall::command::handlers::{Call, Handler, Nature, Work};
use footfall::command::id::CommandId;
use footfall::command::judge::{Arrival, judge};
use footfall::command::key::PrivateKey;
use footfall::event::{Body, CameraState, Collected, Direction, Draft, LineCrossed, Stream};
use footfall::outbox::{Options, Outbox, Queue};
use footfall::sensor::House;
use footfall::sensor::gpio::fake::Board;
use footfall::sensor::gpio::{MoodCell, fit_on};
use footfall::sensor::vision::count::interval::IntervalMeter;
use footfall::sensor::wifi::counting::Counting;
use footfall::sensor::wifi::frame::{Address, Probe};
use footfall::sensor::wifi::meters::Meters;
use footfall::status::auth::{Entry, Gate, cookie_value};
use footfall::status::{Access, Today};
use footfall::stop::Stop;
use footfall::uplink::desk::{Desk, Inlet, Message};
use footfall::uplink::topics::Topics;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use jumps::{JUMPS, Shop, identity, undisturbed};

/// Patience for what another thread does: 60 s in all.
const TRIES: u32 = 12_000;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

fn seconds_between(from: &str, to: &str) -> i64 {
    let [from, to] = [from, to].map(|time| time.parse::<Timestamp>().unwrap());
    to.duration_since(from).as_secs()
}

#[test]
fn intervals_cover_every_second_and_every_frame_once() {
    undisturbed(|shop| {
        let mut meter = IntervalMeter::new(Duration::from_secs(60), shop.clock.now());
        let mut done = Vec::new();
        for frame in 1..=2100 {
            if frame == 1000 {
                shop.jump();
            }
            shop.clock.advance(Duration::from_millis(100));
            let now = shop.clock.now();
            done.extend(meter.tick(now, CameraState::Ok));
            meter.frame(now, 0);
        }
        done.push(meter.close(shop.clock.now(), CameraState::Ok));
        let covered = done.iter().map(|one| one.to.duration_since(one.from));
        shop.tell("covered", covered.sum::<SignedDuration>());
        shop.tell(
            "frames",
            done.iter().map(|one| one.quality.frames).sum::<u64>(),
        );
        let watched = done.iter().all(|one| one.quality.uptime_ratio > 0.99);
        shop.tell("watched all the time", watched);
    });
}

#[test]
fn wifi_intervals_cover_every_second_once_and_every_probe_request_once() {
    undisturbed(|shop| {
        let settings = toml::from_str("id = \"shop\"\ninterface = \"mon0\"").unwrap();
        let meters = Meters::default();
        let now = shop.clock.now();
        let mut counting =
            Counting::new(&settings, &identity().zone, now, meters.quality()).unwrap();
        counting.listening(true, now);
        let mut done = Vec::new();
        for second in 1..=2400 {
            if second == 1100 {
                shop.jump();
            }
            shop.pass(1);
            let now = shop.clock.now();
            done.extend(counting.tick(now, &meters.quality()).unwrap());
            for sender in (0..8).filter(|_| second % 30 == 0) {
                meters.probe_requests.add(1);
                let probe = Probe {
                    source: Address::new([2, 0, 0, 0, 0, sender]),
                    signal: Some(-50),
                    retry: false,
                    sequence: None,
                    truncated: false,
                };
                assert!(counting.saw(&probe, now));
            }
        }
        done.push(counting.finish(shop.clock.now(), &meters.quality()));
        let covered = done.iter().map(|one| seconds_between(&one.from, &one.to));
        shop.tell("covered", covered.sum::<i64>());
        let heard = done.iter().map(|one| one.quality.probe_requests);
        shop.tell("heard", heard.sum::<u64>());
        let listened = done.iter().all(|one| one.quality.uptime_ratio > 0.99);
        shop.tell("listened all the time", listened);
    });
}

#[test]
fn a_door_that_was_open_while_the_clock_was_set_was_open_for_as_long_as_it_was() {
    undisturbed(|shop| {
        let events = Arc::new(Collected::default());
        let house = House {
            identity: identity(),
            clock: shop.shared(),
            sink: events.clone(),
        };
        let board = Board::new(shop.shared());
        board.plug(true);
        board.set(17, false);
        let settings = toml::from_str("[[door]]\nid = \"front\"\npin = 17").unwrap();
        let mut fitted = fit_on(
            &settings,
            &house,
            &MoodCell::default(),
            &(Arc::new(board.clone()) as _),
        );
        let mut door = fitted.pop().unwrap().sensor;
        let stop = Arc::new(Stop::default());
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || door.run(&asked));
        let mut told = Vec::new();
        let mut until = |count: usize| {
            for _ in 0..TRIES {
                told.extend(events.take());
                if told.len() >= count {
                    return;
                }
                std::thread::sleep(BETWEEN_TRIES);
            }
            panic!("never {count} events: {told:?}");
        };
        for _ in 0..TRIES {
            if board.readers() == 1 {
                break;
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        board.set(17, true);
        shop.pass(1);
        until(1);
        shop.jump();
        shop.pass(100);
        board.set(17, false);
        shop.pass(1);
        until(2);
        stop.ask();
        assert_eq!(thread.join().unwrap(), Ok(()));
        for draft in told {
            shop.tell("told", (draft.at.boot, draft.body));
        }
    });
}

#[tokio::test]
async fn neither_a_locked_page_opens_early_nor_a_session_ends_early_or_late() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pin");
    footfall::status::auth::pin::write(&path, "274916").unwrap();
    for jump in &JUMPS {
        let shop = Shop::new(jump.begin, jump.synced, Some(jump));
        let access = Access {
            pin_file: Some(path.clone()),
            metrics_open: false,
        };
        let gate = Gate::new(access, shop.shared());
        let enter = |pin: &str| gate.enter(pin.to_owned().into());
        for _ in 0..5 {
            enter("000000").await;
        }
        shop.jump();
        shop.pass(59);
        let left = match enter("274916").await {
            Entry::Locked(left) => left,
            _ => panic!("{}: not locked", jump.name),
        };
        assert_eq!(left, Duration::from_secs(1), "{}", jump.name);
        shop.pass(1);
        let Entry::In(token) = enter("274916").await else {
            panic!("{}: not let in", jump.name);
        };
        let cookie = footfall::status::auth::cookie(&token);
        let headers = [(axum::http::header::COOKIE, cookie.parse().unwrap())];
        let headers = headers.into_iter().collect();
        assert!(cookie_value(&headers, "footfall_session").is_some());
        shop.jump_back();
        shop.pass(29 * 60);
        assert!(gate.knows(&headers, true), "{}", jump.name);
        shop.jump();
        shop.pass(30 * 60);
        assert!(!gate.knows(&headers, true), "{}", jump.name);
    }
}

#[test]
fn an_unsynced_box_lets_a_command_expire_by_the_time_since_boot() {
    undisturbed(|shop| {
        let mut at = shop.clock.now();
        at.synced = false;
        let arrival = Arrival {
            at,
            expires_in: Some(Duration::from_secs(600)),
        };
        let floor = Timestamp::UNIX_EPOCH;
        let deadline = judge(&claims(1, 1_800_000_000), &identity(), arrival, floor).unwrap();
        shop.jump();
        for after in [599, 1] {
            shop.pass(after);
            shop.tell("is over", deadline.is_over(shop.clock.now()));
        }
    });
}

fn claims(number: u8, iat: i64) -> Claims {
    Claims {
        id: CommandId::from_random([number; 16]),
        addressee: "b".into(),
        name: "open.the.till".into(),
        args: serde_json::Map::new(),
        iat,
        exp: iat + 600,
        seq: number.into(),
    }
}

/// A command that must not be done twice.
struct Once(Arc<AtomicU64>);

impl Handler for Once {
    fn name(&self) -> &'static str {
        "open.the.till"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: false,
            ordered: false,
        }
    }

    fn run(&self, _call: Call) -> Work<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(serde_json::json!({})) })
    }
}

#[tokio::test]
async fn a_command_that_was_done_is_not_done_again_whatever_the_clock_says_meanwhile() {
    for jump in JUMPS.iter().filter(|jump| jump.synced) {
        let shop = Shop::new(jump.begin, true, Some(jump));
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate(Some("ops")).unwrap();
        let done = Arc::new(AtomicU64::new(0));
        let setup = Setup {
            keys: [key.public().clone()].into_iter().collect(),
            topics: Topics::new(&identity()).unwrap(),
            identity: identity(),
            clock: shop.shared(),
            handlers: vec![Arc::new(Once(Arc::clone(&done)))],
            counters: Counters::default(),
        };
        let (desk, worker) = Dispatcher::open(setup, dir.path()).unwrap();
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(worker.run(stopped));
        let sign = |number| {
            let claims = claims(number, shop.clock.now().wall.as_second());
            seal(&key, &claims).into_bytes()
        };
        let deliver = async |payload: &[u8]| {
            let message = Message {
                inlet: Inlet::Command,
                payload: payload.to_owned(),
                response_topic: None,
                correlation: None,
                expires_in: None,
            };
            let mut changes = desk.changed();
            let before = desk.last_ticket();
            desk.deliver(message).unwrap().await.unwrap();
            while desk.last_ticket() == before {
                changes.changed().await.unwrap();
            }
        };
        let first = sign(1);
        deliver(&first).await;
        shop.jump();
        deliver(&first).await;
        // Another one makes room in the journal, by the clock of that moment.
        deliver(&sign(2)).await;
        shop.jump_back();
        deliver(&first).await;
        assert_eq!(done.load(Ordering::SeqCst), 2, "{}", jump.name);
    }
}

fn open(dir: &Path, shop: &Shop<'_>) -> Outbox {
    let options = Options::new(dir);
    Outbox::open(options, identity(), shop.shared()).unwrap().0
}

fn cross(outbox: &Outbox, shop: &Shop<'_>, direction: Direction) {
    let draft = Draft {
        source: "camera/door".into(),
        at: shop.clock.now(),
        body: Body::LineCrossed(LineCrossed {
            line: "main".into(),
            direction,
            track: 1,
            from: "street".into(),
            to: "shop".into(),
            class: None,
        }),
    };
    let receipt = footfall::event::Sink::submit(outbox, draft).unwrap();
    receipt.blocking_recv().unwrap();
}

fn segments(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("seg-")).count()
}

#[test]
fn a_segment_is_sealed_after_a_day_of_time_that_has_passed_and_not_before() {
    undisturbed(|shop| {
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path(), shop);
        cross(&outbox, shop, Direction::In);
        shop.jump();
        shop.pass(23 * 3600);
        // The outbox looks at the age before it stores: after the second event the look was late enough.
        for _ in 0..2 {
            cross(&outbox, shop, Direction::In);
        }
        shop.tell("segments after 23 hours", segments(dir.path()));
        shop.pass(3600);
        for _ in 0..2 {
            cross(&outbox, shop, Direction::In);
        }
        shop.tell("segments after a day", segments(dir.path()));
    });
}

#[test]
fn todays_totals_and_the_people_inside_are_what_they_were_when_the_clock_is_set() {
    undisturbed(|shop| {
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path(), shop);
        let today = Today::open(dir.path(), identity(), shop.shared());
        for _ in 0..5 {
            shop.pass(60);
            cross(&outbox, shop, Direction::In);
        }
        today.catch_up(&outbox).unwrap();
        assert!(today.set_inside(None, 12).unwrap());
        shop.pass(60);
        shop.jump();
        cross(&outbox, shop, Direction::Out);
        today.catch_up(&outbox).unwrap();
        let tally = today.now();
        let sum = tally.line("door", "main").sum;
        shop.tell("in, out", sum);
        shop.tell("inside", tally.places().inside()[0].inside);
        let sequences: BTreeSet<u64> = outbox
            .read(Stream::Count, 0, 100, 1 << 20)
            .unwrap()
            .iter()
            .map(|stored| stored.sequence)
            .collect();
        assert_eq!(sequences, (1..=6).collect());
    });
}

#[test]
fn summer_time_is_no_jump() {
    for (begin, zone) in [
        ("2026-03-29T00:30:00Z", "Europe/Berlin"), // 02:00 becomes 03:00
        ("2026-10-25T00:30:00Z", "Europe/Berlin"), // 03:00 becomes 02:00
        ("2026-04-04T14:45:00Z", "Australia/Lord_Howe"), // by half an hour
    ] {
        let shop = Shop::new(begin, true, None);
        let settings = toml::from_str("id = \"shop\"\ninterface = \"mon0\"").unwrap();
        let meters = Meters::default();
        let (now, zone) = (shop.clock.now(), TimeZone::get(zone).unwrap());
        let mut counting = Counting::new(&settings, &zone, now, meters.quality()).unwrap();
        let mut meter = IntervalMeter::new(Duration::from_secs(60), now);
        for second in 1..=7200 {
            shop.pass(1);
            let now = shop.clock.now();
            if let Some(one) = counting.tick(now, &meters.quality()).unwrap() {
                assert_eq!(seconds_between(&one.from, &one.to), 900, "{begin} {second}");
            }
            if let Some(one) = meter.tick(now, CameraState::Ok) {
                assert_eq!(
                    one.to.duration_since(one.from).as_secs(),
                    60,
                    "{begin} {second}"
                );
            }
        }
    }
}
