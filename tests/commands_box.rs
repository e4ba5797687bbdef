//! Commands that concern the box as a whole and its log, against the real daemon and a real Mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/operator.rs"]
mod operator;
#[path = "common/shop.rs"]
mod shop;

use std::time::Duration;

use mosquitto::Mosquitto;
use operator::Operator;
use rustix::process::Signal;
use serde_json::json;
use shop::{Shop, online};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_answered_refused_with_wrong_arguments_and_done_once() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    online(&mut operator, 1).await;
    for (name, args, code) in [
        ("occupancy.set", json!({}), "args"),
        ("occupancy.set", json!({"value": -1}), "args"),
        ("occupancy.set", json!({"value": 1.5}), "args"),
        ("occupancy.set", json!({"value": 100_001}), "args"),
        ("occupancy.set", json!({"value": 1, "x": 1}), "args"),
        (
            "occupancy.set",
            json!({"value": 1, "place": "attic"}),
            "args",
        ),
        ("service.restart", json!({"now": true}), "args"),
        ("device.reboot", json!({"now": true}), "args"),
        ("device.reboot", json!({}), "forbidden"),
        ("config.rollback", json!({"to": "nowhere"}), "args"),
    ] {
        let answer = shop.ask(&mut operator, name, &args).await;
        assert_eq!(
            (&answer["state"], &answer["error"]["code"]),
            (&json!("rejected"), &json!(code)),
            "{name}: {answer}"
        );
    }

    // Set, set otherwise, and the first one again with the same id: that one is answered and changes nothing.
    let (first, text) = shop.sign("ops", "occupancy.set", &["--args", r#"{"value":12}"#]);
    operator.publish(text.clone()).await;
    assert_eq!(operator.answer(&first).await["result"]["value"], 12);
    let seven = json!({"value": 7, "place": "shop"});
    let answer = shop.ask(&mut operator, "occupancy.set", &seven).await;
    assert_eq!(answer["result"], seven, "{answer}");
    operator.publish(text).await;
    operator.nth_answer(&first, 2).await;
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(report["result"]["today"]["occupancy"], 7, "{report}");

    // Nothing was changed: that is where it goes back to.
    let answer = shop.ask(&mut operator, "config.rollback", &json!({})).await;
    assert_eq!(answer["state"], "succeeded", "{answer}");

    // It survives a kill, until midnight.
    shop.end(Signal::KILL);
    shop.start();
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(report["result"]["today"]["occupancy"], 7, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_by_command_is_answered_ends_in_order_and_is_not_done_again() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    online(&mut operator, 1).await;
    let (id, text) = shop.sign("ops", "service.restart", &[]);
    operator.publish(text.clone()).await;
    assert_eq!(operator.answer(&id).await["state"], "succeeded");
    assert!(shop.ends_by_itself().success(), "{}", shop.log());
    assert!(shop.log().trim_end().ends_with("good bye"));
    // The same id again at the next start: answered, and the daemon stays.
    shop.start();
    operator.publish(text).await;
    operator.nth_answer(&id, 2).await;
    let ping = shop.ask(&mut operator, "ping", &json!({})).await;
    assert_eq!(ping["state"], "succeeded");
    shop.end(Signal::TERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_speaks_more_for_a_while_and_is_quiet_again_by_itself() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    online(&mut operator, 1).await;
    let args = json!({"level": "debug", "part": "uplink", "for_s": 1});
    let answer = shop.ask(&mut operator, "log.level", &args).await;
    assert_eq!(answer["result"]["level"], "debug", "{answer}");
    for wrong in [
        json!({"level": "loud"}),
        json!({"level": "debug", "part": "a,rumqttc=trace"}),
        json!({"level": "debug", "for_s": 0}),
    ] {
        let answer = shop.ask(&mut operator, "log.level", &wrong).await;
        assert_eq!(answer["error"]["code"], "args", "{answer}");
    }
    let said = |shop: &Shop| {
        shop.log()
            .lines()
            .filter(|line| line.contains("log level"))
            .count()
    };
    for _ in 0..600 {
        if said(&shop) >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let log = shop.log();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("log level"))
        .collect();
    assert!(
        lines.len() == 2 && lines[0].contains("footfall::uplink=debug"),
        "{log}"
    );
    assert!(!lines[1].contains("footfall::uplink=debug"), "{log}");
}
