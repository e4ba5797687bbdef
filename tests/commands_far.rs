//! What helps from afar, against the real daemon and a real Mosquitto: events sent again, a diagnostics bundle without
//! secrets, and the config the cloud wants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/operator.rs"]
mod operator;
#[path = "common/pty.rs"]
mod pty;
#[path = "common/shop.rs"]
mod shop;

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use footfall::sensor::vision::runtime;
use mosquitto::{Mosquitto, put};
use operator::{Operator, Said, keygen};
use pty::SerialScanner;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shop::{Shop, online};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PIN_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$cGluaGFzaHBpbmhhc2hwaW5oYXNo";

/// The events in everything said below `topic`: their bytes by their id, each as often as it came.
fn events(said: &[Said]) -> BTreeMap<String, Vec<String>> {
    let mut events = BTreeMap::<String, Vec<String>>::new();
    for said in said {
        let batch: Vec<Box<serde_json::value::RawValue>> =
            serde_json::from_slice(&said.payload).unwrap();
        for raw in batch {
            let event: Value = serde_json::from_str(raw.get()).unwrap();
            let id = event["id"].as_str().unwrap().to_owned();
            events.entry(id).or_default().push(raw.get().to_owned());
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_sent_again_byte_for_byte_and_acknowledgements_stay_as_they_are() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let mut operator = Operator::connect(broker.port()).await;
    // Each start and end leaves diagnostic events.
    for life in 1..=4 {
        shop.start();
        online(&mut operator, life).await;
        shop.end(Signal::TERM);
    }
    shop.start();
    online(&mut operator, 5).await;
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    let before = report["result"]["outbox"]["streams"]["diagnostic"].clone();
    let last = before["acked"].as_u64().unwrap();
    assert!(last >= 5, "{report}");
    let first_time: Vec<Said> = [
        operator.all("event/diagnostic"),
        operator.all("backfill/diagnostic"),
    ]
    .concat();
    let (heard, first_time) = (
        operator.all("backfill/diagnostic").len(),
        events(&first_time),
    );

    let (id, text) = shop.sign(
        "ops",
        "outbox.resend",
        &[
            "--args",
            &json!({"stream": "diagnostic", "first": 2, "last": last}).to_string(),
        ],
    );
    operator.publish(text.clone()).await;
    let answer = operator.answer(&id).await;
    let result = &answer["result"];
    assert_eq!(
        (&result["sent"], &result["gone"]),
        (&json!([[2, last]]), &json!([])),
        "{answer}"
    );
    let again = events(&operator.all("backfill/diagnostic")[heard..]);
    assert_eq!(again.len() as u64, last - 1);
    for (id, bytes) in &again {
        assert_eq!(bytes.len(), 1, "{id} once");
        assert_eq!(bytes[0], first_time[id][0], "{id} with its own bytes");
    }
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    let streams = &report["result"]["outbox"]["streams"];
    assert_eq!(streams["diagnostic"]["acked"], before["acked"], "{report}");
    assert_eq!(streams["diagnostic"]["pending"], 0);

    // What was never given out is refused; the same id again only gives the answer.
    let future = json!({"stream": "alarm", "first": 1_000_000, "last": 1_000_001});
    let answer = shop.ask(&mut operator, "outbox.resend", &future).await;
    assert_eq!(answer["error"]["code"], "args", "{answer}");
    let heard = operator.all("backfill/diagnostic").len();
    operator.publish(text).await;
    operator.nth_answer(&id, 2).await;
    assert_eq!(operator.all("backfill/diagnostic").len(), heard);
    shop.end(Signal::TERM);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_refuses_the_backfill_fails_the_command_and_no_other() {
    let Some(broker) = Mosquitto::start_with(|dir| {
        put(
            &dir.join("acl"),
            "topic readwrite footfall/v1/t/s/b/response/#\ntopic readwrite footfall/v1/t/s/b/event/#\n\
             topic readwrite footfall/v1/t/s/b/state\ntopic readwrite footfall/v1/t/s/b/command\n\
             topic readwrite footfall/v1/t/s/b/config/#\ntopic read footfall/v1/t/s/b/#\n",
        );
        format!(
            "allow_anonymous true\nacl_file {}\n",
            dir.join("acl").display()
        )
    }) else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    online(&mut operator, 1).await;
    let args = json!({"stream": "diagnostic", "first": 1, "last": 1});
    let answer = shop.ask(&mut operator, "outbox.resend", &args).await;
    assert_eq!(answer["error"]["code"], "refused", "{answer}");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("backfill/diagnostic")
    );
    let answer = shop.ask(&mut operator, "ping", &json!({})).await;
    assert_eq!(answer["state"], "succeeded");
}

const SECRETS: [&str; 9] = [
    "mqtt-password-7Zk",
    "camera-password-Q2w",
    "url-user-Xy7",
    "query-token-93b",
    "comment-secret-55",
    "box-user-name-8",
    "StaffNetworkSSID",
    "aa:bb:cc:dd:ee:01",
    "134567890123456789",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diagnostics_bundle_comes_in_parts_and_holds_what_helps_and_no_secret() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let page = mosquitto::free_port();
    let more = "# comment-secret-55: the Wi-Fi is StaffNetworkSSID, the card 134567890123456789, the phone aa:bb:cc:dd:ee:01\n\
         [[scanner]]\nid = \"till\"\ndevice = \"till\"\n";
    let mut shop = Shop::new(&broker.url(), "trusted", more);
    let mut scanner = SerialScanner::at(&shop.path("till"));
    scanner.plug_in();
    put(&shop.path("pin"), PIN_HASH);
    put(&shop.path("mqtt.password"), "mqtt-password-7Zk\n");
    put(&shop.path("camera.password"), "camera-password-Q2w\n");
    let config = std::fs::read_to_string(shop.path("footfall.toml")).unwrap();
    let config = config
        .replace(
            "[uplink]\n",
            "[uplink]\nusername = \"box-user-name-8\"\npassword_file = \"mqtt.password\"\n",
        )
        .replace(
            "listen = \"\"",
            &format!("listen = \"127.0.0.1:{page}\"\npin_file = \"pin\""),
        )
        + &camera();
    put(&shop.path("footfall.toml"), &config);
    let mut operator = Operator::connect(broker.port()).await;
    shop.start();
    online(&mut operator, 1).await;
    let till = |report: &Value| {
        let sensors = report["result"]["sensors"].as_array().unwrap().clone();
        sensors
            .into_iter()
            .find(|sensor| sensor["id"] == "till")
            .unwrap()
    };
    let works = |report: &Value| till(report)["state"] == "ok";
    while !works(&shop.ask(&mut operator, "status", &json!({})).await) {}
    scanner.send(b"134567890123456789\r\n");
    operator.event("footfall.code.scanned.v1").await;

    let (id, text) = shop.sign("ops", "diagnostics.collect", &[]);
    operator.publish(text.clone()).await;
    let answer = operator.answer(&id).await;
    assert_eq!(answer["state"], "succeeded", "{answer}");
    let result = &answer["result"];
    let parts = result["parts"].as_u64().unwrap();
    let mut bundle = Vec::new();
    for part in 0..parts {
        let topic = format!("diagnostics/{id}/{part}");
        let said = operator
            .hears_nth(&topic, 1, |said| said.topic == topic)
            .await;
        bundle.extend(said.payload);
    }
    assert_eq!(result["bytes"], bundle.len());
    let sha256: String = Sha256::digest(&bundle)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(result["sha256"], sha256.as_str());
    look_inside(&bundle);
    // It is kept, for the owner alone, and the same id sends nothing again.
    let kept = std::fs::read(shop.path("data/diagnostics").join(format!("{id}.tar.gz"))).unwrap();
    assert!(kept == bundle);
    operator.publish(text).await;
    operator.nth_answer(&id, 2).await;
    assert_eq!(
        operator.all(&format!("diagnostics/{id}")).len() as u64,
        parts
    );

    // The page gives one, too.
    let out = std::process::Command::new("curl")
        .args([
            "-sSf",
            &format!("http://127.0.0.1:{page}/api/v1/diagnostics"),
        ])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    look_inside(&out.stdout);
    shop.end(Signal::TERM);
}

/// A camera that is never there; none without the library.
fn camera() -> String {
    if let Err(why) = runtime::load(None) {
        eprintln!("SKIPPED in part: {why}");
        return String::new();
    }
    format!(
        "[[camera]]\nid = \"door\"\nrtsp = \"rtsp://127.0.0.1:9/live?key=query-token-93b\"\nusername = \"url-user-Xy7\"\n\
         password_file = \"camera.password\"\nmodel = \"{ROOT}/models/person-oblique-int8.toml\"\n"
    )
}

/// The bundle has what helps, and none of the secrets, however it is written.
fn look_inside(bundle: &[u8]) {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bundle));
    let mut texts = BTreeMap::new();
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(bundle)
        .read_to_end(&mut tar)
        .unwrap();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        texts.insert(name, text);
    }
    for (file, words) in [
        ("README.txt", "log.txt"),
        ("config.toml", "till"),
        ("changes.toml", ""),
        ("status.json", "\"pending\""),
        ("metrics.txt", "footfall_"),
        ("commands.json", "diagnostics.collect"),
        ("files.txt", "acks"),
        ("log.txt", "footfall starts"),
    ] {
        let text = &texts[&format!("footfall/{file}")];
        assert!(text.contains(words), "{file} has no {words:?}:\n{text}");
    }
    for secret in SECRETS.iter().chain([&PIN_HASH]) {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        // Each of the three ways in which base64 can begin in the middle of a text.
        let in_base64 = (0..3).map(|shift| {
            let text =
                STANDARD_NO_PAD.encode(["x".repeat(shift).as_bytes(), secret.as_bytes()].concat());
            text[4.min(text.len())..text.len() - 3].to_owned()
        });
        for form in [(*secret).to_owned(), secret.to_uppercase(), hex]
            .into_iter()
            .chain(in_base64)
        {
            let found = tar
                .windows(form.len())
                .any(|window| window == form.as_bytes());
            assert!(!found, "{secret} as {form}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desired_config_is_obeyed_when_it_is_signed_and_reported_with_every_connection() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let gpio = "probation_s = 5\n[[scanner]]\nid = \"till\"\ndevice = \"/dev/none\"\n";
    let mut shop = Shop::new(&broker.url(), "trusted", gpio);
    keygen(shop.dir.path(), "stranger");
    let mut operator = Operator::connect(broker.port()).await;
    let sign = |shop: &Shop, kid: &str, window: u32| {
        let args = json!({"scanner": {"till": {"window_ms": window}}}).to_string();
        shop.sign(
            kid,
            "config.desired",
            &["--expires", "90d", "--args", &args],
        )
        .1
    };
    // It waits at the broker before the box has ever been there.
    let document = sign(&shop, "ops", 700);
    retain(&operator, document.as_bytes()).await;
    shop.start();
    let owner = online(&mut operator, 1).await["config_sha256"].clone();
    let state = |state: &'static str| {
        move |said: &Said| {
            said.topic == "config/reported" && said.json()["desired"]["state"] == state
        }
    };
    operator.hears_nth("executing", 1, state("executing")).await;
    let report = operator
        .hears_nth("succeeded", 1, state("succeeded"))
        .await
        .json();
    let hash = report["config_sha256"].clone();
    assert_ne!(hash, owner, "{report}");
    let applied = operator.event("footfall.config.applied.v1").await;
    assert_eq!(applied["data"]["command"], report["desired"]["id"]);

    // After a kill it comes again, and changes nothing.
    shop.end(Signal::KILL);
    shop.start();
    let now = online(&mut operator, 2).await;
    assert_eq!(now["config_sha256"], hash);
    let again = operator
        .hears_nth("reported again", 2, state("succeeded"))
        .await
        .json();
    assert_eq!(
        (&again["desired"], &again["refused"]),
        (&report["desired"], &Value::Null)
    );

    // A stranger's, one that is not signed at all, and one that is wrong.
    let refused = |code: &'static str| {
        move |said: &Said| said.topic == "config/reported" && said.json()["refused"]["code"] == code
    };
    retain(&operator, sign(&shop, "stranger", 800).as_bytes()).await;
    operator
        .hears_nth("a stranger", 1, refused("unknown_key"))
        .await;
    retain(&operator, br#"{"scanner":{"till":{"window_ms":900}}}"#).await;
    operator
        .hears_nth("not signed", 1, refused("malformed"))
        .await;
    retain(&operator, sign(&shop, "ops", 10_001).as_bytes()).await;
    operator.hears_nth("wrong", 1, state("rejected")).await;
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(report["result"]["config_sha256"], hash, "{report}");

    // Nothing desired: it stays. Back to the owner's file: desired without any change.
    retain(&operator, b"").await;
    let empty = shop.sign("ops", "config.desired", &["--args", "{}"]).1;
    retain(&operator, empty.as_bytes()).await;
    let owners = move |said: &Said| {
        said.topic == "config/reported"
            && said.json()["config_sha256"] == owner
            && said.json()["desired"]["state"] == "succeeded"
    };
    operator.hears_nth("the owner's config", 1, owners).await;
    shop.end(Signal::TERM);

    // Whoever comes later finds the report.
    let late = Operator::connect(broker.port()).await;
    let mut late = late;
    late.hears_nth("the retained report", 1, |said| {
        said.topic == "config/reported"
    })
    .await;
}

async fn retain(operator: &Operator, document: &[u8]) {
    operator
        .publish_to(
            "config/desired",
            true,
            document,
            PublishProperties::default(),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_retained_by_mistake_does_not_come_with_every_connection() {
    let Some(broker) = Mosquitto::start("") else {
        return;
    };
    let mut shop = Shop::new(&broker.url(), "trusted", "");
    let mut operator = Operator::connect(broker.port()).await;
    let (id, text) = shop.sign("ops", "ping", &[]);
    operator
        .publish_to(
            "command",
            true,
            text.as_bytes(),
            PublishProperties::default(),
        )
        .await;
    shop.start();
    online(&mut operator, 1).await;
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(
        report["result"]["commands"]["received"], 1,
        "only the status: {report}"
    );
    assert!(operator.all(&format!("response/{id}")).is_empty());
    // While the box is there it is a command as any other, and done once.
    let (id, text) = shop.sign("ops", "ping", &[]);
    operator
        .publish_to(
            "command",
            true,
            text.as_bytes(),
            PublishProperties::default(),
        )
        .await;
    assert_eq!(operator.answer(&id).await["state"], "succeeded");
    shop.end(Signal::TERM);
    shop.start();
    online(&mut operator, 2).await;
    let report = shop.ask(&mut operator, "status", &json!({})).await;
    assert_eq!(report["result"]["commands"]["received"], 1, "{report}");
}
