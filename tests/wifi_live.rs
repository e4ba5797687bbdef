//! The whole daemon on a real packet socket: an interface that appears after the start, goes and comes back; no frame is
//! lost, and no address or network name is found in anything the daemon wrote or sent.
//!
//! Needs root, /dev/net/tun, python3 and mosquitto; says so loudly where one is missing. `FOOTFALL_TORTURE=1` injects 100,000
//! frames at 5,000 a second instead of a few thousand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/leak.rs"]
mod leak;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/wiretap.rs"]
mod wiretap;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use leak::Leaks;
use mosquitto::{Mosquitto, free_port, put};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;
use wiretap::Wiretap;

const SSID: &str = "Secret-Network-Of-Mine-7391";
const SENDERS: u64 = 2000;

/// The made-up radio; dropping it takes the interface away.
struct Tap {
    script: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Tap {
    fn new(interface: &str) -> Self {
        let mut script = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/tap_radio.py"))
            .arg(interface)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut tap = Self {
            orders: script.stdin.take(),
            answers: BufReader::new(script.stdout.take().unwrap()),
            script,
        };
        tap.answer("up");
        tap
    }

    fn answer(&mut self, expected: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), expected);
    }

    fn send(&mut self, count: u64, rate: u64) {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "send {count} {rate} {SENDERS} {SSID}").unwrap();
        self.answer(&format!("sent {count}"));
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.script.wait();
    }
}

/// The daemon with its page; dropping it kills it.
struct Daemon {
    child: Child,
    page: u16,
}

impl Daemon {
    /// Logs everything at the most talkative level.
    fn start(dir: &Path, interface: &str, broker: u16) -> Self {
        let page = free_port();
        let config = dir.join("footfall.toml");
        put(
            &config,
            &format!(
                "[device]\ntenant = \"t\"\nstore = \"s\"\nbox = \"b\"\n\
                 [outbox]\ndir = \"data\"\n\
                 [uplink]\nbroker = \"mqtt://127.0.0.1:{broker}\"\n\
                 [status]\nlisten = \"127.0.0.1:{page}\"\n\
                 [[wifi]]\nid = \"till\"\ninterface = \"{interface}\"\n"
            ),
        );
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args(["run", "--config"])
            .arg(config)
            .env("FOOTFALL_LOG", "trace")
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, page }
    }

    /// What the page serves at `path`.
    fn page(&self, path: &str) -> Option<Vec<u8>> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.page)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(answer)
    }

    /// The Wi-Fi sensor's report.
    fn wifi(&self) -> Option<Value> {
        let answer = self.page("/api/v1/status")?;
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let report: Value = serde_json::from_slice(&answer[head + 4..]).ok()?;
        let sensors = report["sensors"].as_array()?;
        sensors
            .iter()
            .find(|sensor| sensor["kind"] == "wifi")
            .cloned()
    }

    /// Waits for a condition, far longer than it takes.
    fn until(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        for _ in 0..1200 {
            if let Some(ended) = self.child.try_wait().unwrap() {
                panic!("the daemon ended: {ended}");
            }
            last = self.wifi();
            if let Some(wifi) = last.as_ref().filter(|wifi| condition(wifi)) {
                return wifi.clone();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("never: {what}; last {last:?}");
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn can_run() -> bool {
    let python = Command::new("python3")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    let missing = if !geteuid().is_root() {
        "root"
    } else if !Path::new("/dev/net/tun").exists() {
        "/dev/net/tun"
    } else if !python.is_ok_and(|status| status.success()) {
        "python3"
    } else {
        return true;
    };
    eprintln!("\n*** SKIPPED: live Wi-Fi capture needs {missing} ***\n");
    false
}

fn addresses() -> Vec<[u8; 6]> {
    let address = |n: u16| {
        let [high, low] = n.to_be_bytes();
        [
            if n.is_multiple_of(2) { 2 } else { 0 },
            0xff,
            0xa1,
            0x5e,
            high,
            low,
        ]
    };
    (0..SENDERS as u16).map(address).collect()
}

fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn given_an_interface_that_appears_later_when_frames_come_then_none_is_lost_and_no_secret_is_written_or_sent()
 {
    if !can_run() {
        return;
    }
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let torture = std::env::var_os("FOOTFALL_TORTURE").is_some();
    let (many, rate) = if torture {
        (100_000, 5000)
    } else {
        (5000, 2500)
    };
    let few = 300;
    let wire = Wiretap::start(broker.port());
    let home = tempfile::tempdir().unwrap();
    let interface = format!("fft{}", std::process::id());
    let mut daemon = Daemon::start(home.path(), &interface, wire.port());

    let state = |wanted: &'static str| move |wifi: &Value| wifi["state"] == wanted;
    let missing = daemon.until("it says that the interface is missing", state("trouble"));
    let words = missing["words"]["en"].as_str().unwrap();
    assert!(
        words.contains(&interface) && words.contains("plug"),
        "{words}"
    );

    let mut tap = Tap::new(&interface);
    daemon.until("the interface is noticed", state("ok"));
    tap.send(many, rate);
    let heard = |count: u64| move |wifi: &Value| wifi["metrics"]["probe_requests"] == count;
    daemon.until("all frames are counted", heard(many));
    drop(tap);
    daemon.until("it says that the interface is gone", state("trouble"));
    let mut tap = Tap::new(&interface);
    daemon.until("the interface is noticed again", state("ok"));
    tap.send(few, rate);
    let wifi = daemon.until("all frames are counted", heard(many + few));
    let metrics = &wifi["metrics"];
    // The beacons among them were kept back by the kernel's filter.
    assert_eq!(metrics["frames"], many + few, "{metrics}");
    for counter in [
        "kernel_drops",
        "queue_drops",
        "bad_fcs",
        "truncated",
        "malformed",
        "no_signal",
        "untracked",
    ] {
        assert_eq!(metrics[counter], 0, "{counter} of {metrics}");
    }
    let pages = [
        daemon.page("/").unwrap(),
        daemon.page("/api/v1/status").unwrap(),
    ];
    daemon.stop();

    let sent = String::from_utf8_lossy(&wire.heard()).into_owned();
    assert!(
        sent.contains("footfall.wifi.interval.v1"),
        "no interval was sent"
    );
    let intervals = sums_of_intervals(&sent);
    assert_eq!(intervals, many + few, "the intervals' sum");

    let addresses = addresses();
    let secrets = addresses
        .iter()
        .map(|address| &address[..])
        .chain([SSID.as_bytes()]);
    let leaks = Leaks::of(secrets);
    let mut searched = 0;
    let mut search = |what: &str, bytes: &[u8]| {
        searched += bytes.len();
        assert_eq!(leaks.find(bytes), None, "in {what}");
    };
    for path in files_below(home.path()) {
        search(&path.display().to_string(), &std::fs::read(&path).unwrap());
    }
    search("MQTT", &wire.heard());
    pages.iter().for_each(|page| search("the page", page));
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("TRACE"), "the log is not at trace level");
    eprintln!(
        "{} frames at {rate} a second: none lost; {searched} bytes (log {}, MQTT {}) searched: no secret; metrics {metrics}",
        many + few,
        log.len(),
        sent.len()
    );
}

/// Probe requests of all intervals that were sent.
fn sums_of_intervals(sent: &str) -> u64 {
    let key = "\"probe_requests\":";
    let mut seen = std::collections::BTreeSet::new();
    let mut sum = 0;
    for event in sent
        .split("{\"specversion\"")
        .skip(1)
        .filter(|event| event.contains(key))
    {
        let id = event.split('"').nth(7).unwrap_or_default().to_owned();
        let count = event.split(key).nth(1).unwrap();
        let count = count.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        if seen.insert(id) {
            sum += count.parse::<u64>().unwrap();
        }
    }
    sum
}

#[test]
fn given_a_planted_secret_in_any_form_when_searched_then_it_is_found() {
    let addresses = addresses();
    let leaks = Leaks::of(
        addresses
            .iter()
            .map(|address| &address[..])
            .chain([SSID.as_bytes()]),
    );
    for secret in [&addresses[0][..], &addresses[1999][..], SSID.as_bytes()] {
        for form in leak::forms(secret) {
            let hay = [&b"some text before "[..], &form, b" and after"].concat();
            assert!(leaks.find(&hay).is_some(), "{form:?}");
        }
    }
    assert_eq!(leaks.find(b"02:11:22:33:44:55 and nothing of ours"), None);
}
