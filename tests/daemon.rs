//! The whole daemon as a process against a real Mosquitto: the broker goes away, the daemon is killed, and a subscriber
//! still gets every event of every stream exactly as it was stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/recording.rs"]
mod recording;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use footfall::demo::SyntheticShop;
use footfall::event::Stream;
use footfall::sensor::vision::runtime;
use footfall::uplink::subscriber::{Subscriber, Subscription};
use mosquitto::{Mosquitto, free_port, put};
use recording::record;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Patience for a condition; far more than it needs, so that a slow machine only makes the test slow.
const TRIES: u32 = 1200;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A daemon in a directory of its own, with a recording of the synthetic shop that plays for ever.
struct ShopBox {
    dir: tempfile::TempDir,
    page: u16,
    daemon: Option<Child>,
}

impl ShopBox {
    fn new(broker: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let page = free_port();
        record(&dir.path().join("shop"));
        let model = Path::new(ROOT).join("models/person-oblique-int8.toml");
        let line = SyntheticShop::new(1, 1.0, 10.0).line();
        put(
            &dir.path().join("footfall.toml"),
            &format!(
                "[device]\ntenant = \"t\"\nstore = \"s\"\nbox = \"b\"\n\
                 [outbox]\ndir = \"data\"\n\
                 [uplink]\nbroker = \"mqtt://127.0.0.1:{broker}\"\n\
                 [status]\nlisten = \"127.0.0.1:{page}\"\n\
                 [[camera]]\nid = \"door\"\nfile = \"shop\"\nrepeat = true\npicture_fps = 20.0\nmodel = {model:?}\n\
                 [[camera.line]]\nid = \"line\"\npoints = {:?}\n",
                line.points
            ),
        );
        Self {
            dir,
            page,
            daemon: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args(["run", "--config"])
            .arg(self.path("footfall.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut child = self.daemon.take().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        child.wait().unwrap()
    }

    /// The running daemon's report; `None` while it does not answer.
    fn report(&self) -> Option<Value> {
        let out = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args([
                "status",
                "--json",
                "--at",
                &format!("127.0.0.1:{}", self.page),
            ])
            .output()
            .unwrap();
        serde_json::from_slice(&out.stdout)
            .ok()
            .filter(|_| out.status.success())
    }

    /// Waits until the daemon's report fulfils `condition`, and returns it.
    fn wait_for(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..TRIES {
            if let Some(report) = self.report().filter(&condition) {
                return report;
            }
            let ended = self
                .daemon
                .as_mut()
                .and_then(|child| child.try_wait().unwrap());
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

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for ShopBox {
    fn drop(&mut self) {
        if let Some(child) = &mut self.daemon {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn crossed_today(report: &Value) -> u64 {
    let sum = |way| report["today"][way].as_u64().unwrap();
    sum("in") + sum("out")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_goes_away_and_the_daemon_is_killed() {
    if let Err(why) = runtime::load(None) {
        eprintln!("SKIPPED: {why}");
        return;
    }
    let Some(mut broker) = Mosquitto::start("max_inflight_messages 100") else {
        return;
    };
    let subscriber = Subscriber::start(Subscription {
        host: "127.0.0.1".into(),
        port: broker.port(),
        base: "footfall/v1/t/s/b".into(),
        client_id: "daemon-test".into(),
        credentials: None,
    });
    let mut seen = subscriber.watch();
    seen.wait_for(|seen| seen.subscribed).await.unwrap();

    let mut shop = ShopBox::new(broker.port());
    shop.start();
    let mut counted = 0;
    for round in 0..3 {
        let report = shop.wait_for("two more crossings", |report| {
            report["ready"] == true && crossed_today(report) >= counted + 2
        });
        counted = crossed_today(&report);
        let status = shop.end(Signal::KILL);
        assert!(!status.success(), "round {round}");
        shop.start();
    }
    shop.wait_for("a connection", |report| {
        report["uplink"]["state"] == "connected"
    });
    broker.stop();
    shop.wait_for("events that wait for the broker", |report| {
        report["outbox"]["pending"].as_u64() >= Some(5) && report["uplink"]["state"] != "connected"
    });
    broker.run();
    let report = shop.wait_for("an empty outbox", |report| report["outbox"]["pending"] == 0);
    let today = crossed_today(&report);
    assert!(
        today > counted,
        "today's sums survive a kill: {today} of {counted}"
    );

    let status = shop.end(Signal::TERM);
    assert!(status.success(), "{status}:\n{}", shop.log());
    assert!(
        shop.log()
            .trim_end()
            .ends_with("everything is stored; good bye"),
        "{}",
        shop.log()
    );

    let stat = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(["outbox", "stat", "--json", "--data"])
        .arg(shop.path("data"))
        .output()
        .unwrap();
    let stat: Value = serde_json::from_slice(&stat.stdout).unwrap();
    let stored =
        Stream::ALL.map(|stream| stat["streams"][stream.index()]["last"].as_u64().unwrap());
    assert_eq!(stat["streams"][1]["stream"], "count");
    let all: u64 = stored.iter().sum();
    let everything = seen.wait_for(|seen| seen.report.received() >= all);
    let seen = tokio::time::timeout(Duration::from_secs(120), everything)
        .await
        .unwrap_or_else(|_| panic!("stored {stored:?}, received {:?}", subscriber.report()))
        .unwrap()
        .report
        .clone();
    assert_eq!(seen.first_problem, None);
    for stream in Stream::ALL {
        let got = &seen.streams[stream.index()];
        assert_eq!(got.received, stored[stream.index()], "{stream}");
        assert!(
            got.contiguous || got.received == 0,
            "{stream}: gap at {:?}",
            got.first_gap
        );
        assert_eq!(got.conflicts, 0, "{stream}: one number with two contents");
    }

    let verify = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(["outbox", "verify", "--data"])
        .arg(shop.path("data"))
        .output()
        .unwrap();
    assert!(
        verify.status.success(),
        "{}",
        String::from_utf8_lossy(&verify.stdout)
    );
}
