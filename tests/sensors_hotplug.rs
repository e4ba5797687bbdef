//! The whole daemon with sensors that are not there: it runs, says what to do about each, and notices what is plugged in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/pty.rs"]
mod pty;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mosquitto::{free_port, put};
use pty::SerialScanner;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Patience for a condition; far more than it needs, so that a slow machine only makes the test slow.
const TRIES: u32 = 1200;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

struct Daemon {
    dir: tempfile::TempDir,
    page: u16,
    child: Child,
}

impl Daemon {
    /// Without a camera, with these sections.
    fn start(sections: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let page = free_port();
        let config = dir.path().join("footfall.toml");
        put(
            &config,
            &format!(
                "[device]\ntenant = \"t\"\nstore = \"s\"\nbox = \"b\"\n[outbox]\ndir = \"data\"\n\
                 [status]\nlisten = \"127.0.0.1:{page}\"\n{sections}"
            ),
        );
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { dir, page, child }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn report(&self) -> Option<Value> {
        let at = format!("127.0.0.1:{}", self.page);
        let out = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args(["status", "--json", "--at", &at])
            .output()
            .unwrap();
        serde_json::from_slice(&out.stdout).ok()
    }

    fn wait_for(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..TRIES {
            if let Some(report) = self.report().filter(&condition) {
                return report;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the daemon ended ({ended:?}):\n{}",
                self.log()
            );
            std::thread::sleep(BETWEEN_TRIES);
        }
        panic!(
            "never: {what}; last report {:?}; log:\n{}",
            self.report(),
            self.log()
        );
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sensor<'r>(report: &'r Value, name: &str) -> &'r Value {
    let (kind, id) = name.split_once('/').unwrap();
    let sensors = report["sensors"].as_array().unwrap();
    let found = sensors
        .iter()
        .find(|sensor| sensor["kind"] == kind && sensor["id"] == id);
    found.unwrap_or(&Value::Null)
}

#[test]
fn sensors_that_are_missing_are_named_with_the_next_step_and_a_scanner_is_noticed_when_it_comes() {
    let mut daemon = Daemon::start(
        "[[scanner]]\nid = \"till\"\ndevice = \"usb-till\"\n\
         [[scanner.touchpoint]]\nid = \"till-1\"\nkind = \"till\"\n\
         [[scanner]]\nid = \"hand\"\nhid = \"usb-hand-event-kbd\"\n\
         [gpio]\nbackend = \"gpiocdev\"\nchip = \"no-gpiochip\"\n[[gpio.door]]\nid = \"front\"\npin = 17\n\
         [[gpio.beam]]\nid = \"gate\"\nouter = 5\ninner = 6\n[gpio.led]\npin = 22\n",
    );
    let names = [
        "scanner/till",
        "scanner/hand",
        "gpio/front",
        "gpio/gate",
        "gpio/led",
    ];
    let report = daemon.wait_for("five sensors in trouble", |report| {
        names
            .iter()
            .all(|name| sensor(report, name)["state"] == "trouble")
    });
    for name in names {
        let words = &sensor(&report, name)["words"];
        eprintln!("{name}: {} | {}", words["en"], words["zh"]);
        let next_step = if name.starts_with("gpio") {
            "set gpio.chip"
        } else {
            "plug it in"
        };
        assert!(
            words["en"].as_str().unwrap().contains(next_step),
            "{name}: {words}"
        );
        assert_ne!(words["en"], words["zh"], "{name}");
    }
    assert_eq!(report["ready"], false);
    assert_eq!(
        report["process"]["restarts"], 0,
        "missing hardware is no failure"
    );

    let mut scanner = SerialScanner::at(&daemon.path("usb-till"));
    for round in 1..=3 {
        scanner.plug_in();
        daemon.wait_for("the scanner is noticed", |report| {
            sensor(report, "scanner/till")["state"] == "ok"
        });
        scanner.send(format!("TICKET-{round}\r\n").as_bytes());
        daemon.wait_for("the code is stored", |report| {
            sensor(report, "scanner/till")["metrics"]["codes"] == round
                && report["outbox"]["streams"]["count"]["last"].as_u64() >= Some(round)
        });
        scanner.unplug();
        daemon.wait_for("the scanner is missed", |report| {
            sensor(report, "scanner/till")["state"] == "trouble"
        });
    }
    let report = daemon.wait_for("any report", |_| true);
    assert_eq!(sensor(&report, "scanner/till")["metrics"]["reconnects"], 2);
    assert_eq!(report["process"]["restarts"], 0);

    let pid = Pid::from_raw(i32::try_from(daemon.child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(daemon.child.wait().unwrap().success(), "{}", daemon.log());
    assert!(
        !daemon.log().contains("TICKET"),
        "a code in the log:\n{}",
        daemon.log()
    );
}
