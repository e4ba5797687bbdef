//! Signed commands against the real daemon and a real Mosquitto: each kind of message gets its right answer, once, also
//! when the daemon is killed on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/operator.rs"]
mod operator;
#[path = "common/shop.rs"]
mod shop;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use footfall::command::id::CommandId;
use footfall::sensor::vision::runtime;
use mosquitto::{Mosquitto, put};
use operator::{BASE, Operator, keygen};
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rustix::process::Signal;
use serde_json::{Value, json};
use shop::{Shop, online, rand};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_message_gets_its_right_answer_and_the_box_goes_on() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    keygen(shop.dir.path(), "stranger");
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    let state = online(&mut operator, 1).await;
    let able = state["capabilities"].as_array().unwrap();
    assert!(able.contains(&json!("command.ping")), "{state}");

    // Valid: answered where the sender wants it, with its correlation data.
    let (id, ping) = shop.sign("ops", "ping", &["--box", "t/s/b"]);
    let properties = PublishProperties {
        response_topic: Some(format!("{BASE}/response/desk-3")),
        correlation_data: Some(vec![0, 1, 255].into()),
        ..PublishProperties::default()
    };
    operator.publish_with(ping.clone(), properties).await;
    let to_desk = |said: &operator::Said| said.topic == "response/desk-3";
    let first = operator.hears_nth("the answer", 1, to_desk).await;
    assert_eq!(first.correlation, Some(vec![0, 1, 255]));
    let answer = first.json();
    assert_eq!(answer["id"], id.as_str());
    assert_eq!(
        (&answer["state"], &answer["box"]),
        (&json!("succeeded"), &json!("b"))
    );
    assert_eq!(answer["result"]["version"], env!("CARGO_PKG_VERSION"));

    // Again, and from elsewhere: the stored answer to the byte, nothing is done twice. No answer outside the prefix.
    for nth in 1..=2 {
        let properties = PublishProperties {
            response_topic: Some("footfall/v1/t/s/other/response/x".into()),
            ..PublishProperties::default()
        };
        operator.publish_with(ping.clone(), properties).await;
        let again = operator.nth_answer(&id, nth).await;
        assert_eq!(again.payload, first.payload);
        assert_eq!(again.correlation, None);
    }

    // Refused, each with its reason.
    let (forged_id, forged) = shop.sign("stranger", "ping", &[]);
    let (foreign_id, foreign) = shop.sign("ops", "ping", &["--box", "t/s2/b"]);
    let (unknown_id, unknown) = shop.sign("ops", "format.disk", &[]);
    let (args_id, args) = shop.sign("ops", "ping", &["--args", r#"{"x":1}"#]);
    let (late_id, late) = shop.sign("ops", "ping", &["--expires", "1s"]);
    let (broken_id, broken) = shop.sign("ops", "ping", &[]);
    let broken = broken.rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
    // Until it is too late for that one.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    for (id, text, state, code) in [
        (&forged_id, forged, "rejected", "unknown_key"),
        (&broken_id, broken, "rejected", "signature"),
        (&foreign_id, foreign, "rejected", "foreign"),
        (&late_id, late, "expired", "expired"),
        (&unknown_id, unknown, "rejected", "unknown_name"),
        (&args_id, args, "rejected", "args"),
    ] {
        operator.publish(text).await;
        let answer = operator.answer(id).await;
        assert_eq!(
            (&answer["state"], &answer["error"]["code"]),
            (&json!(state), &json!(code))
        );
    }

    // What nobody can answer: the box stays connected and does what comes next.
    for garbage in [
        Vec::new(),
        b"garbage".to_vec(),
        b"\xff\xfe\0".to_vec(),
        b"e30.e30.e30".to_vec(),
        vec![b'A'; 100_000],
        vec![b'A'; 1 << 20],
        [ping.as_bytes(), &b"A".repeat(1 << 20)].concat(),
    ] {
        operator.publish(garbage).await;
    }
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    let (link, counts) = (&report["result"]["uplink"], &report["result"]["commands"]);
    assert_eq!(link["counters"]["connections"], 1, "{report}");
    assert_eq!(link["state"], "connected");
    // Forged, broken, and five of the seven above: the broker keeps back what is larger than a packet may be.
    assert_eq!(
        (&counts["forged"], &counts["unfit"]),
        (&json!(7), &json!(2)),
        "{report}"
    );
    assert_eq!(
        (&counts["repeated"], &counts["rejected"]),
        (&json!(2), &json!(2))
    );

    // A flood of forgeries is answered ten times at most, and a real command passes.
    let before = operator.all("response/").len();
    for _ in 0..60 {
        let (header, payload) = (
            "eyJhbGciOiJFZERTQSIsImtpZCI6Im9wcyJ9",
            format!(r#"{{"id":"{}"}}"#, CommandId::from_random(rand())),
        );
        use base64::Engine;
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
        operator.publish(format!("{header}.{payload}.AAAA")).await;
    }
    let answer = shop.ask(&mut operator, "ping", &json!({})).await;
    assert_eq!(answer["state"], "succeeded");
    let answers = operator.all("response/").len() - before;
    assert!(answers <= 11, "{answers} answers to a flood");
    shop.end(Signal::TERM);
    assert!(
        shop.log().trim_end().ends_with("good bye"),
        "{}",
        shop.log()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_kills_at_any_moment_every_command_is_answered_with_one_result() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    online(&mut operator, 1).await;
    let mut asked = Vec::new();
    for round in 0..12 {
        for name in ["ping", "log.level", "status"] {
            let args = if name == "log.level" {
                r#"{"level":"info"}"#
            } else {
                "{}"
            };
            let (id, text) = shop.sign("ops", name, &["--args", args]);
            asked.push((id, name));
            operator.publish(text).await;
        }
        // The moment is the test; nothing is expected of its length.
        let pause = Duration::from_millis(random.u64(0..120));
        tokio::time::sleep(pause).await;
        shop.end(Signal::KILL);
        println!("round {round}: killed after {pause:?}");
        shop.start();
        // Sometimes it is killed again before it has connected.
        if random.bool() {
            let states = operator.all("state");
            let before = states.iter().filter(|said| said.json()["online"] == true);
            let next = before.count() + 1;
            online(&mut operator, next).await;
        }
    }
    let mut interrupted = 0;
    for (id, name) in &asked {
        let answer = operator.answer(id).await;
        match answer["state"].as_str().unwrap() {
            "succeeded" => {}
            "failed" => {
                interrupted += 1;
                assert_eq!(
                    (*name, &answer["error"]["code"]),
                    ("log.level", &json!("interrupted"))
                );
            }
            other => panic!("seed {seed}: {name} {id} is {other}: {answer}"),
        }
    }
    // Let whatever was on its way arrive before looking for a second result.
    let last = shop.ask(&mut operator, "ping", &json!({})).await;
    assert_eq!(last["state"], "succeeded");
    let mut repeated = 0;
    for (id, name) in &asked {
        let answers = operator.all(&format!("response/{id}"));
        repeated += answers.len() - 1;
        for answer in &answers {
            assert_eq!(
                answer.payload, answers[0].payload,
                "seed {seed}: {name} {id} was done twice"
            );
        }
    }
    println!(
        "{} commands, {interrupted} interrupted, {repeated} answers came again with the same bytes",
        asked.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_waits_at_the_broker_while_the_box_is_away_is_obeyed_later() {
    let Some(mut broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    online(&mut operator, 1).await;
    shop.end(Signal::TERM);
    let (id, text) = shop.sign("ops", "ping", &[]);
    operator.publish(text).await;
    shop.start();
    assert_eq!(operator.answer(&id).await["state"], "succeeded");
    // A broker that restarts in between keeps them, too.
    broker.stop();
    broker.run();
    let mut operator = Operator::connect(broker.port()).await;
    let answer = shop.ask(&mut operator, "ping", &json!({})).await;
    assert_eq!(answer["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_set_clock_the_message_expiry_interval_decides() {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        eprintln!("SKIPPED: this machine's clock counts as synced");
        return;
    }
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "auto", "");
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    online(&mut operator, 1).await;
    let answer = shop.ask(&mut operator, "ping", &json!({})).await;
    assert_eq!(answer["error"]["code"], "no_time", "{answer}");
    let (id, text) = shop.sign("ops", "ping", &[]);
    let properties = PublishProperties {
        message_expiry_interval: Some(60),
        ..PublishProperties::default()
    };
    operator.publish_with(text, properties).await;
    let answer = operator.answer(&id).await;
    assert_eq!(answer["state"], "succeeded");
    assert_eq!(answer["result"]["clock"], "unsynced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_without_keys_listens_to_nobody() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let config = std::fs::read_to_string(shop.path("footfall.toml")).unwrap();
    put(
        &shop.path("footfall.toml"),
        &config.replace("\"ops.pub\"", ""),
    );
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    let state = online(&mut operator, 1).await;
    assert_eq!(state["capabilities"], json!([]));
    let log = broker.log();
    assert!(!log.contains("SUBSCRIBE from footfall-"), "{log}");
    assert!(log.contains("SUBSCRIBE from operator"), "{log}");
}

/// Mosquitto grants every subscription and withholds what may not be read; other brokers say so.
#[test]
fn a_broker_that_does_not_let_the_box_listen_costs_the_commands_and_raises_an_alarm() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut box_side, _) = listener.accept().unwrap();
        let mut packet = [0; 4096];
        // CONNECT, then SUBSCRIBE with packet id 1; CONNACK with success, SUBACK with "not authorized" (0x87).
        let answers: [&[u8]; 2] = [&[0x20, 3, 0, 0, 0], &[0x90, 4, 0, 1, 0, 0x87]];
        for answer in answers {
            assert!(box_side.read(&mut packet).unwrap() > 0);
            box_side.write_all(answer).unwrap();
        }
        while box_side.read(&mut packet).is_ok_and(|count| count > 0) {}
    });
    let mut shop = Shop::new(&url, "trusted", "");
    shop.start();
    for _ in 0..1200 {
        if shop.log().contains("refused the subscription") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // The alarm is stored before the daemon has stopped in order.
    shop.end(Signal::TERM);
    let dump = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .args(["outbox", "dump", "--data"])
        .arg(shop.path("data"))
        .output()
        .unwrap();
    let events = String::from_utf8(dump.stdout).unwrap();
    let alarm = events.lines().find(|line| line.contains("device.alarm"));
    assert!(
        alarm.is_some_and(|line| line.contains("t/s/b/command")),
        "{events}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_of_the_config_is_checked_applied_kept_and_put_aside_when_it_no_longer_fits() {
    if let Err(why) = runtime::load(None) {
        eprintln!("SKIPPED: {why}");
        return;
    }
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let model = Path::new(ROOT).join("models/person-oblique-int8.toml");
    let camera = |id: &str| {
        format!(
            "[[camera]]\nid = \"{id}\"\nfile = \"missing\"\nmodel = {model:?}\n\
             [[camera.line]]\nid = \"old\"\npoints = [[0.5, 1.0], [0.5, 0.0]]\n"
        )
    };
    let mut shop = Shop::new(
        &broker.url(),
        "trusted",
        &("probation_s = 5\n".to_owned() + &camera("door") + &camera("back")),
    );
    let owners = std::fs::read_to_string(shop.path("footfall.toml")).unwrap();
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    let hash = online(&mut operator, 1).await["config_sha256"].clone();
    let lines = |report: &Value, camera: usize| {
        let lines = report["result"]["sensors"][camera]["lines"]
            .as_object()
            .unwrap();
        lines.keys().cloned().collect::<Vec<_>>()
    };

    // One wrong line: every fault is named, nothing changes.
    let line = |id: &str, x: f64| json!({"id": id, "points": [[0, x], [1.0, 0.5]], "mode": "net"});
    let lines_of = |camera: &str, lines: Value| json!({"camera": {camera: {"line": lines}}});
    let wrong = lines_of("door", json!([line("fine", 0.5), line("Not fine", 1.5)]));
    let answer = shop.ask(&mut operator, "config.patch", &wrong).await;
    assert_eq!(
        (&answer["state"], &answer["error"]["code"]),
        (&json!("rejected"), &json!("invalid_config"))
    );
    let faults = answer["error"]["faults"].to_string();
    assert!(
        faults.contains("camera[0].line[1].id") && faults.contains("camera[0].line[1].points"),
        "{answer}"
    );
    assert_eq!(
        operator.event("footfall.config.rejected.v1").await["data"]["command"],
        answer["id"]
    );
    for (name, args, code) in [
        (
            "config.patch",
            lines_of("roof", json!([])),
            "invalid_config",
        ),
        ("config.patch", json!({"camera": "door"}), "invalid_config"),
        (
            "config.patch",
            json!({"outbox": {"dir": "/"}}),
            "invalid_config",
        ),
        (
            "config.patch",
            json!({"camera": {"door": {"file": "x"}}}),
            "invalid_config",
        ),
        ("config.patch", json!({}), "args"),
        ("config.rollback", json!({"to": "nowhere"}), "args"),
    ] {
        let answer = shop.ask(&mut operator, name, &args).await;
        assert_eq!(
            (&answer["state"], &answer["error"]["code"]),
            (&json!("rejected"), &json!(code)),
            "{answer}"
        );
    }

    // A good one is in force: the page's hash, the state and the event say so; the other camera goes on.
    let good = lines_of("door", json!([line("new", 0.5), line("second", 0.6)]));
    let answer = shop.ask(&mut operator, "config.patch", &good).await;
    assert_eq!(answer["state"], "succeeded", "{answer}");
    let patched = answer["result"]["config_sha256"].clone();
    assert_ne!(patched, hash);
    let applied = operator.event("footfall.config.applied.v1").await;
    assert_eq!(applied["data"]["config_sha256"], patched);
    let told =
        |said: &operator::Said| said.topic == "state" && said.json()["config_sha256"] == patched;
    operator.hears_nth("the new hash", 1, told).await;
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(report["result"]["config_sha256"], patched);
    let mut cameras = [lines(&report, 0), lines(&report, 1)];
    cameras.sort();
    assert_eq!(cameras, [vec!["new", "second"], vec!["old"]]);
    let starts = |camera: &str| {
        let words = format!("sensor=\"camera/{camera}\"");
        let log = shop.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("sensor starts") && line.contains(&words));
        lines.count()
    };
    assert_eq!((starts("door"), starts("back")), (2, 1), "{}", shop.log());

    // An older command cannot undo a newer one.
    let (id, text) = shop.sign(
        "ops",
        "config.patch",
        &["--seq", "1", "--args", r#"{"camera":null}"#],
    );
    operator.publish(text).await;
    assert_eq!(operator.answer(&id).await["error"]["code"], "out_of_order");

    // It survives a kill, and the owner's file was never touched.
    shop.end(Signal::KILL);
    assert_eq!(
        std::fs::read_to_string(shop.path("footfall.toml")).unwrap(),
        owners
    );
    shop.start();
    operator.hears_nth("the new hash again", 2, told).await;

    // The owner changes the file so that the patch is wrong: the box starts all the same and raises an alarm.
    shop.end(Signal::TERM);
    let overlay = shop.path("data/config-overlay.toml");
    let text = std::fs::read_to_string(&overlay).unwrap();
    put(&overlay, &text.replace("0.6", "6.0"));
    shop.start();
    let alarm = operator.event("footfall.device.alarm.v1").await;
    assert!(
        alarm["data"]["message"]
            .as_str()
            .unwrap()
            .contains("config.patch"),
        "{alarm}"
    );
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(report["result"]["config_sha256"], hash);
    assert!(!overlay.exists() && shop.path("data/config-overlay.bad.toml").exists());

    // And back to the owner's lines by command.
    let good = shop
        .ask(&mut operator, "config.patch", &lines_of("back", json!([])))
        .await;
    assert_eq!(good["state"], "succeeded", "{good}");
    let back = lines_of("back", Value::Null);
    let answer = shop.ask(&mut operator, "config.patch", &back).await;
    assert_eq!(answer["result"]["config_sha256"], hash, "{answer}");
}
