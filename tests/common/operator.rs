//! The operator's side of commands: publishes on a box's command topic and collects what the box says.

#![allow(dead_code)] // each test file uses its own part

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde_json::Value;
use tokio::sync::watch;

pub const BASE: &str = "footfall/v1/t/s/b";
/// Far more than any of it takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// One message of the box.
#[derive(Clone, Debug)]
pub struct Said {
    /// Below the box's base.
    pub topic: String,
    pub correlation: Option<Vec<u8>>,
    pub payload: Vec<u8>,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }
}

pub struct Operator {
    client: AsyncClient,
    heard: watch::Receiver<Vec<Said>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Operator {
    /// Connects and listens to all topics of the box.
    pub async fn connect(port: u16) -> Self {
        let name = format!("operator-{}", fastrand::u64(..));
        let mut options = MqttOptions::new(name, "127.0.0.1", port);
        options
            .set_clean_start(true)
            .set_max_packet_size(Some(4 << 20));
        let (client, mut events) = AsyncClient::new(options, 64);
        let (tx, heard) = watch::channel(Vec::new());
        let (subscribed, ready) = tokio::sync::oneshot::channel();
        let mut subscribed = Some(subscribed);
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
                        let topic = topic.strip_prefix(BASE).unwrap().trim_matches('/');
                        let properties = publish.properties.unwrap_or_default();
                        let said = Said {
                            topic: topic.to_owned(),
                            correlation: properties.correlation_data.map(|data| data.to_vec()),
                            payload: publish.payload.to_vec(),
                        };
                        tx.send_modify(|all: &mut Vec<Said>| all.push(said));
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        subscribed.take().map(|tx| tx.send(()));
                    }
                    Ok(_) => {}
                    Err(why) => {
                        eprintln!("operator: {why}");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            }
        });
        client
            .subscribe(format!("{BASE}/#"), QoS::AtLeastOnce)
            .await
            .unwrap();
        ready.await.unwrap();
        Self {
            client,
            heard,
            task,
        }
    }

    pub async fn publish(&self, payload: impl Into<Vec<u8>>) {
        self.publish_with(payload, PublishProperties::default())
            .await;
    }

    pub async fn publish_with(&self, payload: impl Into<Vec<u8>>, properties: PublishProperties) {
        self.publish_to("command", false, &payload.into(), properties)
            .await;
    }

    /// Publishes to a topic below the box's base.
    pub async fn publish_to(
        &self,
        topic: &str,
        retain: bool,
        payload: &[u8],
        properties: PublishProperties,
    ) {
        let (topic, payload) = (format!("{BASE}/{topic}"), payload.to_vec());
        self.client
            .publish_with_properties(topic, QoS::AtLeastOnce, retain, payload, properties)
            .await
            .unwrap();
    }

    /// Everything the box has said so far below `topic`.
    pub fn all(&self, topic: &str) -> Vec<Said> {
        let heard = self.heard.borrow();
        let of = heard.iter().filter(|said| said.topic.starts_with(topic));
        of.cloned().collect()
    }

    /// Waits for the `nth` message (from 1) that fits.
    pub async fn hears_nth(
        &mut self,
        what: &str,
        nth: usize,
        fits: impl Fn(&Said) -> bool,
    ) -> Said {
        let find = |all: &Vec<Said>| all.iter().filter(|said| fits(said)).nth(nth - 1).cloned();
        let found = tokio::time::timeout(PATIENCE, self.heard.wait_for(|all| find(all).is_some()));
        let found = found.await.map(|all| find(&all.unwrap()).unwrap());
        found.unwrap_or_else(|_| panic!("never heard {what}; but {:#?}", self.texts()))
    }

    /// The final answer to a command.
    pub async fn answer(&mut self, id: &str) -> Value {
        self.nth_answer(id, 1).await.json()
    }

    pub async fn nth_answer(&mut self, id: &str, nth: usize) -> Said {
        let topic = format!("response/{id}");
        self.hears_nth(&format!("answer {nth} to {id}"), nth, |said| {
            said.topic == topic && said.json()["state"] != "executing"
        })
        .await
    }

    /// An event of this type that has been published, once there is one.
    pub async fn event(&mut self, kind: &str) -> Value {
        let find = |said: &Said| {
            let is_batch = said.topic.starts_with("event/") || said.topic.starts_with("backfill/");
            let batch = is_batch.then(|| said.json())?;
            let events = batch.as_array()?.iter();
            events.clone().find(|event| event["type"] == kind).cloned()
        };
        let said = self.hears_nth(kind, 1, |said| find(said).is_some()).await;
        find(&said).unwrap()
    }

    fn texts(&self) -> Vec<String> {
        let heard = self.heard.borrow();
        let text =
            |said: &Said| format!("{}: {}", said.topic, String::from_utf8_lossy(&said.payload));
        heard.iter().map(text).collect()
    }
}

/// `footfall command …`, its standard output without the line end.
pub fn command<'a>(args: impl IntoIterator<Item = &'a str>) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_footfall"))
        .arg("command")
        .args(args)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{err}");
    String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
}

/// A new key pair `kid` in `dir`.
pub fn keygen(dir: &Path, kid: &str) {
    command(["keygen", "--out", dir.to_str().unwrap(), "--kid", kid]);
}
