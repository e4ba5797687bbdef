//! Every command, killed for real (kill -9) at every point of its way, comes again and is answered with one result; what it
//! does happens once at most. `FOOTFALL_SEED` runs the same order again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/operator.rs"]
mod operator;
#[path = "common/scale.rs"]
mod scale;
#[path = "common/shop.rs"]
mod shop;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mosquitto::{Mosquitto, put};
use operator::{Operator, Said};
use rustix::process::Signal;
use serde_json::{Value, json};
use shop::{Shop, online};

/// Where the daemon is killed: on the disk and not acknowledged to the broker; acknowledged and not begun; done and not
/// stored; stored and not published; published and not noted.
const POINTS: [&str; 5] = ["accepted", "acked", "executed", "stored", "answered"];

const COMMANDS: [&str; 10] = [
    "ping",
    "status",
    "log.level",
    "config.patch",
    "config.rollback",
    "occupancy.set",
    "outbox.resend",
    "diagnostics.collect",
    "service.restart",
    "device.reboot",
];

fn args(name: &str) -> Value {
    match name {
        "log.level" => json!({"level": "info", "for_s": 60}),
        "config.patch" => json!({"scanner": {"till": {"window_ms": 700}}}),
        "occupancy.set" => json!({"value": 7}),
        "outbox.resend" => json!({"stream": "diagnostic", "first": 1, "last": 1}),
        _ => json!({}),
    }
}

/// What may come of a command that is killed there.
fn is_right(name: &str, point: &str, answer: &Value) -> bool {
    let (state, code) = (answer["state"].as_str(), answer["error"]["code"].as_str());
    let begins_again = matches!(
        name,
        "ping" | "status" | "outbox.resend" | "diagnostics.collect"
    );
    // A restart is what a restart asks for; a config that was committed stays.
    let is_done = begins_again
        || matches!(point, "stored" | "answered")
        || name == "service.restart"
        || (name.starts_with("config.") && point == "executed");
    match (state, code) {
        (Some("succeeded"), None) => is_done,
        (Some("failed"), Some("interrupted")) => !is_done,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_killed_at_every_point_is_answered_with_one_result_and_done_once() {
    let seed = std::env::var("FOOTFALL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("FOOTFALL_SEED={seed}");
    let mut all: Vec<(&str, &str)> = COMMANDS
        .iter()
        .flat_map(|name| POINTS.map(|point| (*name, point)))
        .collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut all);
    let (mut resent, mut interrupted) = (0, 0);
    let rounds = scale::rounds(6, all.len());
    for (name, point) in all.into_iter().take(rounds) {
        let Some(broker) = Mosquitto::start("") else {
            return;
        };
        let (again, cut_off) = killed(&broker, name, point).await;
        println!("{name} killed when {point}: {again} answers again, interrupted {cut_off}");
        resent += again;
        interrupted += usize::from(cut_off);
    }
    println!(
        "{rounds} kills, {interrupted} interrupted, {resent} answers came again with the same bytes"
    );
}

/// Gives how often the answer came again, and whether the command was interrupted.
async fn killed(broker: &Mosquitto, name: &str, point: &str) -> (usize, bool) {
    let more =
        "probation_s = 5\nreboot = true\n[[scanner]]\nid = \"till\"\ndevice = \"/dev/none\"\n";
    let mut shop = Shop::new(&broker.url(), "trusted", more);
    // In the place of the real one: it only counts.
    let path = shop.path("bin");
    std::fs::create_dir(&path).unwrap();
    let systemctl = path.join("systemctl");
    put(
        &systemctl,
        &format!(
            "#!/bin/sh\necho \"$@\" >> {}\n",
            shop.path("reboots").display()
        ),
    );
    std::fs::set_permissions(&systemctl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    let safe = [("PATH", path.as_str())];

    let mut operator = Operator::connect(broker.port()).await;
    shop.start_with(&safe);
    let owner = online(&mut operator, 1).await["config_sha256"].clone();
    if name == "config.rollback" {
        let patched = shop
            .ask(&mut operator, "config.patch", &args("config.patch"))
            .await;
        assert_eq!(patched["state"], "succeeded", "{patched}");
    }
    shop.end(Signal::TERM);
    shop.start_with(&[safe[0], ("FOOTFALL_HALT_AT", point)]);
    online(&mut operator, 2).await;

    let (id, text) = shop.sign("ops", name, &["--args", &args(name).to_string()]);
    operator.publish(text.clone()).await;
    until(&format!("{name} is {point}"), || {
        shop.log().contains("halted for a test")
    })
    .await;
    if point == "answered" {
        // The broker has it: so has the operator, soon.
        operator.answer(&id).await;
    }
    // One that is asked to end is killed in the middle of that, or has ended already.
    shop.kill_if_there();
    let log = shop.log().len();
    shop.start_with(&safe);
    let answer = operator.answer(&id).await;
    assert!(
        is_right(name, point, &answer),
        "{name} killed when {point}: {answer}"
    );
    operator.publish(text).await;
    operator.nth_answer(&id, 2).await;
    // Whatever was still on its way is here before the answer to a later command.
    let ping = shop.ask(&mut operator, "ping", &json!({})).await;
    assert_eq!(ping["state"], "succeeded");
    let finals: Vec<Said> = operator
        .all(&format!("response/{id}"))
        .into_iter()
        .filter(|said| said.json()["state"] != "executing")
        .collect();
    for said in &finals {
        assert_eq!(
            said.payload, finals[0].payload,
            "{name} killed when {point}: two results"
        );
    }
    once(&mut shop, &mut operator, name, point, &owner, log).await;
    (finals.len() - 1, answer["error"]["code"] == "interrupted")
}

/// What the command does has happened once at most, and not at all where it says so.
async fn once(
    shop: &mut Shop,
    operator: &mut Operator,
    name: &str,
    point: &str,
    owner: &Value,
    log: usize,
) {
    let report = shop.ask(operator, "status", &json!({})).await;
    let report = &report["result"];
    let place = format!("{name} killed when {point}: {report}");
    match name {
        "config.patch" | "config.rollback" => {
            let done = matches!(point, "executed" | "stored" | "answered");
            let is_owners = report["config_sha256"] == *owner;
            assert_eq!(is_owners, done == (name == "config.rollback"), "{place}");
            assert!(
                !shop.path("data/config-overlay.trial.toml").exists(),
                "{place}"
            );
        }
        "occupancy.set" => {
            let done = matches!(point, "executed" | "stored" | "answered");
            assert_eq!(report["today"]["occupancy"] == 7, done, "{place}");
        }
        "device.reboot" => {
            let reboots = std::fs::read_to_string(shop.path("reboots")).unwrap_or_default();
            assert!(reboots.lines().count() <= 1, "{place}: {reboots}");
        }
        "service.restart" => {
            let after = shop.log().split_off(log);
            assert!(!after.contains("restart by command"), "{place}");
        }
        "diagnostics.collect" => {
            let kept = std::fs::read_dir(shop.path("data/diagnostics"))
                .unwrap()
                .count();
            assert_eq!(kept, 1, "{place}");
        }
        _ => {}
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}
