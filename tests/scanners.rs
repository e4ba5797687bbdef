//! Serial scanners through the real reader, on pseudo terminals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/pty.rs"]
mod pty;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, EventType, InputEvent, KeyCode};
use footfall::clock::{FakeClock, SharedClock};
use footfall::event::{Body, Collected, Identity};
use footfall::sensor::scanner::{self, Settings};
use footfall::sensor::{Face, House, State};
use footfall::stop::Stop;
use footfall::system;
use pty::SerialScanner;

/// Patience for a condition: 60 s in all.
const TRIES: u32 = 12_000;
const BETWEEN: Duration = Duration::from_millis(5);

struct Shop {
    dir: tempfile::TempDir,
    clock: Arc<FakeClock>,
    events: Arc<Collected>,
    house: House,
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<Result<(), String>>>,
}

impl Shop {
    fn new() -> Self {
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
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock,
            events,
            house,
            stop: Arc::new(Stop::default()),
            threads: Vec::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("usb-scanner")
    }

    /// A reader at work, on a thread of that name.
    fn reader(&mut self, name: &str) -> Face {
        self.reader_of("device", name)
    }

    fn reader_of(&mut self, key: &str, name: &str) -> Face {
        let text = format!("id = {name:?}\n{key} = {:?}\n", self.path());
        let settings: Settings = toml::from_str(&text).unwrap();
        let mut fitted = scanner::fit(&[settings], &self.house).pop().unwrap();
        let stop = Arc::clone(&self.stop);
        let run = move || fitted.sensor.run(&stop);
        let face = fitted.face;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.unwrap());
        face
    }

    fn end(self) {
        self.stop.ask();
        for thread in self.threads {
            assert_eq!(thread.join().unwrap(), Ok(()));
        }
    }
}

fn metric(face: &Face, name: &str) -> u64 {
    let metric = face
        .metrics
        .iter()
        .find(|metric| metric.name == name)
        .unwrap();
    metric.value().as_u64().unwrap()
}

fn until(what: &str, face: &Face, met: impl Fn(&Face) -> bool) {
    for _ in 0..TRIES {
        if met(face) {
            return;
        }
        std::thread::sleep(BETWEEN);
    }
    panic!("never: {what}; {:?}; {:?}", face.health.get(), face.metrics);
}

fn is(state: State) -> impl Fn(&Face) -> bool {
    move |face| face.health.get().state == state
}

fn counted(name: &'static str, count: u64) -> impl Fn(&Face) -> bool {
    move |face| metric(face, name) == count
}

/// File descriptors, threads and resident bytes of this process.
fn footprint() -> (usize, usize, u64) {
    let count = |dir| std::fs::read_dir(dir).unwrap().count();
    (
        count("/proc/self/fd"),
        count("/proc/self/task"),
        system::rss_bytes(),
    )
}

/// Processor time of the thread of that name, in the kernel's ticks of 10 ms.
fn ticks(name: &str) -> u64 {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
        let (head, tail) = stat.rsplit_once(')').unwrap();
        if head.ends_with(&format!("({name}")) {
            // proc(5): utime and stime are fields 14 and 15; the tail begins with field 3.
            return tail
                .split_whitespace()
                .skip(11)
                .take(2)
                .map(|ticks| ticks.parse::<u64>().unwrap())
                .sum();
        }
    }
    panic!("no thread {name}");
}

/// How long a thread's processor time is watched.
const OBSERVED: Duration = Duration::from_secs(1);

fn ticks_in(window: Duration, name: &str) -> u64 {
    let before = ticks(name);
    std::thread::sleep(window);
    ticks(name) - before
}

#[test]
fn a_scanner_unplugged_and_plugged_in_again_a_hundred_times_leaks_nothing_and_does_not_spin() {
    let mut shop = Shop::new();
    let mut scanner = SerialScanner::at(&shop.path());
    let face = shop.reader("replugged");
    let mut before = None;
    for round in 1..=110 {
        scanner.plug_in();
        until("ready", &face, is(State::Ok));
        scanner.send(format!("CODE-{round}\r").as_bytes());
        until("the code", &face, counted("codes", round));
        scanner.unplug();
        until("unplugged", &face, is(State::Trouble));
        if round == 10 {
            before = Some((footprint(), ticks("replugged")));
        }
    }
    let ((fds, threads, rss), ticks_before) = before.unwrap();
    let (fds_after, threads_after, rss_after) = footprint();
    let cpu = ticks("replugged") - ticks_before;
    // What it costs to be without a scanner, and to have one that is not used.
    let away = ticks_in(OBSERVED, "replugged");
    scanner.plug_in();
    until("ready", &face, is(State::Ok));
    let idle = ticks_in(OBSERVED, "replugged");
    eprintln!(
        "100 times: fds {fds} -> {fds_after}, threads {threads} -> {threads_after}, RSS {rss} -> {rss_after} bytes; \
         ticks of 10 ms: {cpu} for all of it, {away} in {OBSERVED:?} without a scanner, {idle} with an idle one"
    );
    assert_eq!((fds_after, threads_after), (fds, threads));
    assert!(rss_after < rss + (1 << 20), "{rss} -> {rss_after}");
    // A thread that spins takes all it gets, 100 ticks a second on a machine with nothing else to do.
    assert!(
        cpu < 100 && away < 10 && idle < 10,
        "{cpu}, {away}, {idle} ticks"
    );
    assert_eq!(metric(&face, "reconnects"), 110);
    shop.end();
}

#[test]
fn the_same_code_within_half_a_second_is_one_scan_and_later_another() {
    let mut shop = Shop::new();
    let mut scanner = SerialScanner::at(&shop.path());
    let face = shop.reader("till");
    scanner.plug_in();
    until("ready", &face, is(State::Ok));
    scanner.send(b"4006381333931\r\n");
    until("first", &face, counted("codes", 1));
    for repeat in 1..=5 {
        shop.clock.advance(Duration::from_millis(400));
        scanner.send(b"4006381333931\r\n");
        until("a repeat after 0.4 s", &face, counted("duplicates", repeat));
    }
    // Another code passes at once.
    scanner.send(b"5901234123457\r\n");
    until("another", &face, counted("codes", 2));
    for scan in 3..=7 {
        shop.clock.advance(Duration::from_millis(600));
        scanner.send(b"4006381333931\r\n");
        until("again after 0.6 s", &face, counted("codes", scan));
    }
    assert_eq!(metric(&face, "duplicates"), 5);
    let events = shop.events.take();
    assert_eq!(events.len(), 7);
    assert!(
        events
            .iter()
            .all(|draft| matches!(draft.body, Body::CodeScanned(_))
                && draft.source == "scanner/till")
    );
    shop.end();
}

#[test]
fn a_code_longer_than_4_kb_is_dropped_whole_and_counted_and_the_next_one_is_read() {
    let mut shop = Shop::new();
    let mut scanner = SerialScanner::at(&shop.path());
    let face = shop.reader("till");
    scanner.plug_in();
    until("ready", &face, is(State::Ok));
    scanner.send(&[&[b'x'; 100_000][..], b"\r"].concat());
    until("too long", &face, counted("too_long", 1));
    scanner.send(&[&[b'y'; 4096][..], b"\t"].concat());
    until("as long as can be", &face, counted("codes", 1));
    assert_eq!(shop.events.take().len(), 1);
    shop.end();
}

#[test]
fn a_code_without_a_line_end_is_complete_after_silence() {
    let mut shop = Shop::new();
    let mut scanner = SerialScanner::at(&shop.path());
    let face = shop.reader("till");
    scanner.plug_in();
    until("ready", &face, is(State::Ok));
    scanner.send(b"ABC");
    let clock = Arc::clone(&shop.clock);
    until("a code", &face, |face| {
        clock.advance(Duration::from_millis(20));
        metric(face, "codes") == 1
    });
    shop.end();
}

#[test]
fn two_readers_do_not_share_a_line() {
    let mut shop = Shop::new();
    let mut scanner = SerialScanner::at(&shop.path());
    scanner.plug_in();
    let first = shop.reader("first");
    until("ready", &first, is(State::Ok));
    let second = shop.reader("second");
    until("refused", &second, is(State::Trouble));
    let words = second.health.get().words.en;
    assert!(
        words.contains("used by another program; see which with `fuser"),
        "{words}"
    );
    shop.end();
}

#[test]
fn a_path_that_is_no_serial_line_says_what_to_do() {
    let mut shop = Shop::new();
    std::fs::File::create(shop.path()).unwrap();
    let face = shop.reader("file");
    until("trouble", &face, is(State::Trouble));
    let words = face.health.get().words;
    assert!(
        words
            .en
            .contains("is no serial line; for a scanner that types use `hid`"),
        "{words:?}"
    );
    shop.end();
}

#[test]
fn what_was_scanned_is_in_no_log_at_any_level() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber)
        .expect("this test has a process of its own");
    let mut shop = Shop::new();
    let mut scanner = SerialScanner::at(&shop.path());
    let face = shop.reader("till");
    scanner.plug_in();
    until("ready", &face, is(State::Ok));
    // A payment code, a text, and one that is broken off.
    scanner.send(b"134567890123456789\rhello-from-a-poster\r4711");
    until("both codes", &face, counted("codes", 2));
    scanner.unplug();
    until("unplugged", &face, is(State::Trouble));
    shop.end();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("scanner ready"), "{log}");
    for secret in ["134567", "hello-from", "4711"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// A keyboard made by the kernel; dropping it unplugs it.
fn typing_scanner(link: &Path) -> Option<VirtualDevice> {
    let builder = VirtualDevice::builder().ok()?;
    let keys: AttributeSet<KeyCode> = (1..=120).map(KeyCode::new).collect();
    let mut device = builder
        .name("test scanner")
        .with_keys(&keys)
        .unwrap()
        .build()
        .unwrap();
    let node = device
        .enumerate_dev_nodes_blocking()
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(node, link).unwrap();
    Some(device)
}

fn type_keys(device: &mut VirtualDevice, keys: &[KeyCode]) {
    for key in keys {
        for value in [1, 0] {
            device
                .emit(&[InputEvent::new(EventType::KEY.0, key.code(), value)])
                .unwrap();
        }
    }
}

#[test]
fn a_scanner_that_types_is_grabbed_read_and_noticed_when_it_is_plugged_in_again() {
    const CODE: [KeyCode; 4] = [
        KeyCode::KEY_4,
        KeyCode::KEY_7,
        KeyCode::KEY_1,
        KeyCode::KEY_ENTER,
    ];
    let mut shop = Shop::new();
    let Some(mut device) = typing_scanner(&shop.path()) else {
        eprintln!("SKIPPED: no /dev/uinput (modprobe uinput)");
        return;
    };
    let face = shop.reader_of("hid", "hand");
    until("ready", &face, is(State::Ok));
    type_keys(&mut device, &CODE);
    until("a code", &face, counted("codes", 1));
    for round in 2..=5 {
        drop(device);
        until("unplugged", &face, is(State::Trouble));
        device = typing_scanner(&shop.path()).unwrap();
        until("ready again", &face, is(State::Ok));
        shop.clock.advance(Duration::from_secs(1));
        type_keys(&mut device, &CODE);
        until("a code again", &face, counted("codes", round));
    }
    let second = shop.reader_of("hid", "second");
    until("grabbed", &second, is(State::Trouble));
    let words = second.health.get().words.en;
    assert!(words.contains("used by another program"), "{words}");
    shop.end();
}
