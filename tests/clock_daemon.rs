//! The whole daemon on a box without a real-time clock: it boots in 1970, people walk through the door, then the network
//! is there and the time jumps to now. Every event arrives, nothing is counted twice, and the cloud can place all of it.
//!
//! The wall clock is moved by libfaketime (`apt-get install faketime`), which the daemon asks through libc; its boot clock
//! comes straight from the kernel and runs on. The time service's mark is in a mount namespace of the daemon's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/program.rs"]
mod program;
#[path = "common/recording.rs"]
mod recording;
#[path = "common/site.rs"]
mod site;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use footfall::clock::{Clock, SystemClock};
use footfall::event::Stream;
use footfall::uplink::subscriber::{Subscriber, Subscription};
use jiff::Timestamp;
use mosquitto::{Mosquitto, free_port, put};
use program::{Daemon, Home, library, skipped};
use serde_json::Value;
use site::shop_camera;

/// Patience for a condition; far more than it needs, so that a slow machine only makes the test slow.
const TRIES: u32 = 1200;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
const MARK: &str = "run/systemd/timesync/synchronized";
/// Becomes the daemon, in a file system where nobody has left a mark yet.
const WITHOUT_MARK: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/timesync && exec env LD_PRELOAD=\"$LIBRARY\" \"$@\"";

fn libfaketime() -> Option<PathBuf> {
    let triples = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let paths = triples.map(|triple| format!("/usr/lib/{triple}/faketime/libfaketimeMT.so.1"));
    paths
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
}

fn namespaces() -> bool {
    let mut probe = Command::new("unshare");
    probe.args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs /run"]);
    probe
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The daemon's report; `None` while it does not answer.
fn report(page: u16) -> Option<Value> {
    let at = format!("127.0.0.1:{page}");
    let out = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(["status", "--json", "--at", &at])
        .output()
        .unwrap();
    serde_json::from_slice(&out.stdout).ok()
}

fn wait_for(page: u16, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..TRIES {
        if let Some(report) = report(page).filter(&condition) {
            return report;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    panic!("never: {what}; last report {:#?}", report(page));
}

fn last(report: &Value, stream: Stream) -> u64 {
    let stat = &report["outbox"]["streams"][stream.name()];
    stat["last"].as_u64().unwrap()
}

fn crossed_today(report: &Value) -> u64 {
    let sum = |way| report["today"][way].as_u64().unwrap();
    sum("in") + sum("out")
}

/// The daemon with a wall clock that is off by what `offset` says, in seconds.
fn start(home: &Home, config: &Path, offset: &Path, library: &Path) -> Daemon {
    let plain = home.footfall([Path::new("run"), Path::new("--config"), config]);
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-c", WITHOUT_MARK, "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(home.path(""))
        .env_remove("FOOTFALL_MODELS")
        .env("FOOTFALL_LOG", "info")
        .env("LIBRARY", library)
        .env("FAKETIME_TIMESTAMP_FILE", offset)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for (name, value) in plain.get_envs().filter(|(name, _)| *name != "FOOTFALL_LOG") {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    Daemon::watch(command)
}

fn time(text: &Value) -> Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_boots_in_1970_tells_the_cloud_when_it_was_once_the_time_arrives() {
    let Some(preload) = libfaketime() else {
        return skipped("libfaketime is not installed (apt-get install faketime)");
    };
    if !namespaces() {
        return skipped("no mount namespaces here (unshare -rm)");
    }
    if !library() {
        return;
    }
    let Some(broker) = Mosquitto::start("max_inflight_messages 100") else {
        return;
    };
    let subscriber = Subscriber::start_keeping(Subscription {
        host: "127.0.0.1".into(),
        port: broker.port(),
        base: "footfall/v1/acme/shop-7/box-0042".into(),
        client_id: "clock-test".into(),
        credentials: None,
    });
    let mut seen = subscriber.watch();
    seen.wait_for(|seen| seen.subscribed).await.unwrap();
    let home = Home::new();
    let page = free_port();
    let text = std::fs::read_to_string(home.path("good.toml")).unwrap();
    let text = text
        .replace("listen = \"\"", &format!("listen = \"127.0.0.1:{page}\""))
        .replace(
            "[uplink]",
            &format!("[uplink]\nbroker = \"{}\"", broker.url()),
        );
    let text = text.split("[[camera]]").next().unwrap().to_owned() + &shop_camera(&home);
    let config = home.put("shop.toml", text.as_bytes());

    let clock = SystemClock::new(true);
    let began = clock.now();
    let offset = home.path("offset");
    put(&offset, &format!("-{}", began.wall.as_second() - 100));
    let daemon = start(&home, &config, &offset, &preload);
    let before = wait_for(page, "three crossings in 1970", |report| {
        last(report, Stream::Count) >= 3
    });
    assert_eq!(before["clock"], "unsynced");
    assert!(
        before["time"].as_str().unwrap().starts_with("1970-01-01"),
        "{before}"
    );
    assert!(crossed_today(&before) >= 3);
    let crossed = last(&before, Stream::Count);

    // In one step, and before the mark: a time service, too, sets the clock first.
    put(&home.path("no offset"), "+0");
    std::fs::rename(home.path("no offset"), &offset).unwrap();
    wait_for(page, "the time of now", |report| {
        time(&report["time"]) >= began.wall
    });
    let mark = Path::new("/proc")
        .join(daemon.pid().to_string())
        .join("root")
        .join(MARK);
    put(&mark, "");
    let after = wait_for(
        page,
        "a synced clock that the cloud knows of, and more crossings",
        |report| {
            let told = |event: &String| event.contains("footfall.device.clock_synced.v1");
            report["clock"] == "synced"
                && last(report, Stream::Count) >= crossed + 2
                && subscriber.events().iter().any(told)
        },
    );
    let today = crossed_today(&after);
    assert!(
        today >= crossed + 2,
        "today's sums keep what was before: {today} of {crossed}"
    );
    assert_eq!(daemon.stop(), 0);
    let ended = clock.now();

    let stat = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(["outbox", "stat", "--json", "--data"])
        .arg(home.path("data"))
        .output()
        .unwrap();
    let stat: Value = serde_json::from_slice(&stat.stdout).unwrap();
    let stored = Stream::ALL.map(|one| stat["streams"][one.index()]["last"].as_u64().unwrap());
    let all = stored.iter().sum();
    let everything = seen.wait_for(|seen| seen.report.received() >= all);
    let arrived = tokio::time::timeout(Duration::from_secs(120), everything).await;
    let arrived = arrived.map(|seen| seen.unwrap().report.clone());
    let arrived = arrived.unwrap_or_else(|_| panic!("{stored:?}, {:?}", subscriber.report()));
    assert!(arrived.is_complete(), "{arrived:?}");

    let events: Vec<Value> = subscriber
        .events()
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let of = |kind: &str| {
        let kind = format!("footfall.{kind}.v1");
        events
            .iter()
            .filter(move |event| event["type"] == kind)
            .collect::<Vec<_>>()
    };
    let synced = of("device.clock_synced");
    assert_eq!(synced.len(), 1, "{synced:?}");
    let told = &synced[0]["data"];
    assert_eq!(told["bootid"], synced[0]["bootid"]);
    let step = told["step"].as_f64().unwrap();
    let jumped = (began.wall.as_second() - 100) as f64;
    assert!((step - jumped).abs() < 2.0, "{step} instead of {jumped}");

    // What the cloud makes of it: whatever an event's own time says, it lies within this test.
    let offset = told["offset"].as_f64().unwrap();
    let slack = 1.0;
    let (mut unsynced, mut doubts) = (0, Vec::new());
    for event in &events {
        assert_eq!(event["bootid"], told["bootid"]);
        let boottime: f64 = event["boottime"].as_str().unwrap().parse().unwrap();
        let placed = offset + boottime;
        let window = began.wall.as_millisecond() as f64 / 1000.0 - slack
            ..=ended.wall.as_millisecond() as f64 / 1000.0 + slack;
        assert!(
            window.contains(&placed),
            "{event}: {placed} is not in {window:?}"
        );
        let own = time(&event["time"]).as_millisecond() as f64 / 1000.0;
        if event["clock"] == "unsynced" {
            unsynced += 1;
        } else if (own - placed).abs() > slack {
            doubts.push(event);
        }
    }
    assert!(unsynced >= crossed, "{unsynced} of {crossed}");
    assert!(
        doubts.is_empty(),
        "stamped with a time that was known to be wrong: {doubts:?}"
    );

    let crossings = of("line.crossed").len() as u64;
    let intervals = of("line.interval");
    let counted: u64 = intervals
        .iter()
        .map(|one| one["data"]["in"].as_u64().unwrap() + one["data"]["out"].as_u64().unwrap())
        .sum();
    assert_eq!(
        counted, crossings,
        "each crossing is in one interval: {intervals:#?}"
    );
    let covered: f64 = intervals
        .iter()
        .map(|one| {
            let length = time(&one["data"]["to"]).duration_since(time(&one["data"]["from"]));
            assert!((0..=61).contains(&length.as_secs()), "{one}");
            length.as_secs_f64()
        })
        .sum();
    let lasted = (ended.boot - began.boot).as_secs_f64();
    assert!(covered <= lasted + slack, "{covered} s of {lasted} s");
    assert!(intervals.len() >= 2, "one before and one after");
}
