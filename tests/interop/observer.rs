//! Hears every message of a box as it is, with MQTT 5, and can say something to it.

use std::time::Duration;

use footfall::event::Stream;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::uplink_rig::{BASE, until};

#[derive(Clone, Debug)]
pub struct Heard {
    pub topic: String,
    pub retain: bool,
    pub payload: Vec<u8>,
    pub content_type: Option<String>,
    pub user_properties: Vec<(String, String)>,
}

impl Heard {
    /// What a state says.
    pub fn online(&self) -> Option<bool> {
        let state: Option<serde_json::Value> = serde_json::from_slice(&self.payload).ok();
        state.filter(|_| self.topic.ends_with("/state"))?["online"].as_bool()
    }
}

pub struct Observer {
    pub client: AsyncClient,
    heard: watch::Receiver<Vec<Heard>>,
    task: JoinHandle<()>,
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Observer {
    /// Listens to all topics of the test's box.
    pub async fn connect(port: u16) -> Self {
        Self::connect_to(port, &format!("{BASE}/#")).await
    }

    pub async fn connect_to(port: u16, filter: &str) -> Self {
        let name = format!("observer-{}", fastrand::u64(..));
        let mut options = MqttOptions::new(name, "127.0.0.1", port);
        options.set_max_packet_size(Some(16 << 20));
        let (client, mut events) = AsyncClient::new(options, 64);
        let (tx, heard) = watch::channel(Vec::new());
        let (subscribed, ready) = oneshot::channel();
        let mut subscribed = Some(subscribed);
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let properties = publish.properties.unwrap_or_default();
                        let heard = Heard {
                            topic: String::from_utf8(publish.topic.to_vec()).unwrap(),
                            retain: publish.retain,
                            payload: publish.payload.to_vec(),
                            content_type: properties.content_type,
                            user_properties: properties.user_properties,
                        };
                        tx.send_modify(|all: &mut Vec<Heard>| all.push(heard));
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        subscribed.take().map(|tx| tx.send(()));
                    }
                    Ok(_) => {}
                    Err(why) => {
                        eprintln!("observer: {why}");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            }
        });
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        ready.await.unwrap();
        Self {
            client,
            heard,
            task,
        }
    }

    /// Everything heard so far.
    pub fn all(&self) -> Vec<Heard> {
        self.heard.borrow().clone()
    }

    /// The batches among it, by lane and stream.
    pub fn batches(&self, lane: &str, stream: Stream) -> Vec<Heard> {
        let topic = format!("{BASE}/{lane}/{stream}");
        let all = self.all().into_iter();
        all.filter(|heard| heard.topic == topic).collect()
    }

    pub async fn until(&self, what: &str, wanted: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
        until(&mut self.heard.clone(), what, |all| wanted(all)).await
    }

    /// Waits for a state that says `online`.
    pub async fn until_online(&self, online: bool) -> Heard {
        let says = move |heard: &Heard| heard.online() == Some(online);
        let words = format!("online is {online}");
        let all = self.until(&words, |all| all.last().is_some_and(says)).await;
        all.last().unwrap().clone()
    }
}
