//! A changed config that breaks what worked rolls itself back, also when the daemon is killed meanwhile: the real daemon,
//! a real broker, and a shop whose camera counts all the time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/operator.rs"]
mod operator;
#[path = "common/recording.rs"]
mod recording;
#[path = "common/shop.rs"]
mod shop;

use std::path::Path;

use footfall::demo::SyntheticShop;
use footfall::sensor::vision::runtime;
use mosquitto::Mosquitto;
use operator::{Operator, Said};
use recording::record;
use rustix::process::Signal;
use serde_json::{Value, json};
use shop::{Shop, online};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROBATION_S: u32 = 10;

/// A shop that counts, and what its config says at first; `None` where it cannot run.
async fn counting(broker: &Mosquitto) -> Option<(Shop, Operator, Value)> {
    if let Err(why) = runtime::load(None) {
        eprintln!("SKIPPED: {why}");
        return None;
    }
    let model = Path::new(ROOT).join("models/person-oblique-int8.toml");
    let line = SyntheticShop::new(1, 1.0, 10.0).line();
    let more = format!(
        "probation_s = {PROBATION_S}\n[[camera]]\nid = \"door\"\nfile = \"shop\"\nrepeat = true\npicture_fps = 10.0\n\
         model = {model:?}\n[[camera.line]]\nid = \"line\"\npoints = {:?}\n",
        line.points
    );
    let mut shop = Shop::new(&broker.url(), "trusted", &more);
    record(&shop.path("shop"));
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    let hash = online(&mut operator, 1).await["config_sha256"].clone();
    counts_on(&mut operator).await;
    Some((shop, operator, hash))
}

/// How often the box has told of a crossing.
fn crossings(said: &[Said]) -> usize {
    let batches = said.iter().filter_map(|said| {
        let events = said.json();
        let kinds = events.as_array()?.iter().map(|event| event["type"].clone());
        Some(
            kinds
                .filter(|kind| kind == "footfall.line.crossed.v1")
                .count(),
        )
    });
    batches.sum()
}

/// Waits until somebody who was not counted yet is.
async fn counts_on(operator: &mut Operator) {
    let before = operator.all("event/");
    let nth = before.iter().filter(|said| is_crossing(said)).count() + 1;
    operator.hears_nth("a crossing", nth, is_crossing).await;
}

fn is_crossing(said: &Said) -> bool {
    said.topic.starts_with("event/") && crossings(std::slice::from_ref(said)) > 0
}

fn dead() -> Value {
    json!({"camera": {"door": {"device": "/dev/video987"}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_that_breaks_a_working_camera_rolls_itself_back_and_counting_goes_on() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let Some((mut shop, mut operator, hash)) = counting(&broker).await else {
        return;
    };
    let (id, text) = shop.sign("ops", "config.patch", &["--args", &dead().to_string()]);
    operator.publish(text).await;
    let trial = |said: &Said| {
        said.topic == format!("response/{id}")
            && said
                .json()
                .get("progress")
                .is_some_and(|progress| progress.as_str().unwrap().contains("on probation"))
    };
    operator.hears_nth("the probation", 1, trial).await;
    // Meanwhile a second one is refused, and other commands are not held up.
    let second = shop.ask(&mut operator, "config.patch", &dead()).await;
    assert_eq!(second["error"]["code"], "on_probation", "{second}");
    let ping = shop.ask(&mut operator, "ping", &json!({})).await;
    assert_eq!(ping["state"], "succeeded");
    let answer = operator.answer(&id).await;
    assert_eq!(
        (&answer["state"], &answer["error"]["code"]),
        (&json!("failed"), &json!("rolled_back")),
        "{answer}"
    );
    let why = answer["error"]["message"].as_str().unwrap();
    assert!(why.contains("camera/door worked before"), "{answer}");
    let event = operator.event("footfall.config.rolled_back.v1").await;
    assert_eq!(event["data"]["config_sha256"], hash);
    counts_on(&mut operator).await;
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(report["result"]["config_sha256"], hash);
    assert_eq!(report["result"]["sensors"][0]["state"], "ok", "{report}");
    assert!(!shop.path("data/config-overlay.toml").exists());
    assert!(!shop.path("data/config-overlay.trial.toml").exists());

    // One that works stays, and a command takes it back.
    let slower = json!({"camera": {"door": {"fps": 8}}});
    let answer = shop.ask(&mut operator, "config.patch", &slower).await;
    assert_eq!(answer["state"], "succeeded", "{answer}");
    let patched = answer["result"]["config_sha256"].clone();
    assert_ne!(patched, hash);
    let back = shop.ask(&mut operator, "config.rollback", &json!({})).await;
    assert_eq!(back["result"]["config_sha256"], hash, "{back}");
    shop.end(Signal::TERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_within_the_probation_rolls_back_at_the_next_start() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let Some((mut shop, mut operator, hash)) = counting(&broker).await else {
        return;
    };
    let (id, text) = shop.sign("ops", "config.patch", &["--args", &dead().to_string()]);
    operator.publish(text).await;
    let other = |said: &Said| said.topic == "state" && said.json()["config_sha256"] != hash;
    operator.hears_nth("another config", 1, other).await;
    assert!(shop.path("data/config-overlay.trial.toml").exists());
    shop.end(Signal::KILL);
    shop.start();
    let answer = operator.answer(&id).await;
    assert_eq!(answer["error"]["code"], "rolled_back", "{answer}");
    let event = operator.event("footfall.config.rolled_back.v1").await;
    assert_eq!(event["data"]["config_sha256"], hash);
    counts_on(&mut operator).await;
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(report["result"]["config_sha256"], hash);
    assert!(!shop.path("data/config-overlay.trial.toml").exists());
}
