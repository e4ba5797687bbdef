//! A box whose config names every kind of sensor, on a machine that has none of the hardware: it counts what it can and
//! says of everything else what is missing and what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/program.rs"]
mod program;
#[path = "common/recording.rs"]
mod recording;
#[path = "common/site.rs"]
mod site;

use std::time::Duration;

use program::{Home, library};
use serde_json::Value;
use site::{Site, shop_camera};

/// Patience for a condition; far more than it needs, so that a slow machine only makes the test slow.
const TRIES: u32 = 1200;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

const NOT_THERE: &str = r#"
[[camera]]
id = "usb"
device = "/dev/v4l/by-id/no-such-camera"
model = "person-oblique-int8.toml"

[[camera]]
id = "ip"
rtsp = "rtsp://127.0.0.1:9/stream"
model = "person-oblique-int8.toml"

[[wifi]]
id = "shop"
interface = "no-such-if0"

[[scanner]]
id = "till"
device = "/dev/serial/by-id/no-such-scanner"

[[scanner]]
id = "shelf"
hid = "/dev/input/by-id/no-such-scanner-event-kbd"

[gpio]
backend = "gpiocdev"
chip = "/dev/no-such-gpiochip"

[[gpio.door]]
id = "front"
pin = 17

[[gpio.beam]]
id = "gate"
outer = 5
inner = 6

[[gpio.button]]
id = "bell"
pin = 27

[gpio.led]
pin = 22
"#;

/// Kind, id, and a word of the next step.
const NEXT_STEPS: [(&str, &str, &str); 9] = [
    ("camera", "usb", "plug it in"),
    ("camera", "ip", "127.0.0.1:9"),
    ("wifi", "shop", "no-such-if0"),
    ("scanner", "till", "/dev/serial/by-id"),
    ("scanner", "shelf", "/dev/input/by-id"),
    ("gpio", "front", "gpio.chip"),
    ("gpio", "gate", "gpio.chip"),
    ("gpio", "bell", "gpio.chip"),
    ("gpio", "led", "gpio.chip"),
];

fn sensor<'a>(report: &'a Value, kind: &str, id: &str) -> &'a Value {
    let all = report["sensors"].as_array().unwrap();
    let is = |sensor: &&Value| sensor["kind"] == kind && sensor["id"] == id;
    all.iter()
        .find(is)
        .unwrap_or_else(|| panic!("no {kind}/{id} in {report}"))
}

#[test]
fn a_box_without_its_hardware_counts_what_it_can_and_names_each_missing_part() {
    if !library() {
        return;
    }
    let home = Home::new();
    let camera = shop_camera(&home);
    let site = Site::start(&home, "", &(camera + NOT_THERE));
    let in_trouble = |report: &Value| {
        let troubled =
            |(kind, id, _): &(&str, &str, &str)| sensor(report, kind, id)["state"] == "trouble";
        let counts = sensor(report, "camera", "door")["lines"]["line"]["in"].as_u64();
        NEXT_STEPS.iter().all(troubled) && counts.unwrap_or(0) > 0
    };
    let mut report = Value::Null;
    for _ in 0..TRIES {
        report = serde_json::from_slice(&site.get("/api/v1/status").body).unwrap();
        if report["sensors"]
            .as_array()
            .is_some_and(|all| all.len() > NEXT_STEPS.len())
            && in_trouble(&report)
        {
            break;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    assert!(in_trouble(&report), "{report:#}");
    for (kind, id, step) in NEXT_STEPS {
        let words = &sensor(&report, kind, id)["words"];
        assert!(
            words["en"].as_str().unwrap().contains(step),
            "{kind}/{id}: {words}"
        );
        let chinese = words["zh"].as_str().unwrap();
        assert!(!chinese.is_ascii(), "{kind}/{id}: {words}");
    }
    assert_eq!(report["process"]["restarts"], 0, "{report:#}");
    assert_eq!(report["ready"], false);
    println!("RSS with every sensor: {}", report["process"]["rss_bytes"]);
    assert_eq!(site.daemon.stop(), 0);
}
