//! Both versions of MQTT behind one face. It speaks in the library's types of MQTT 5: what 3.1.1 says is the smaller
//! part of them, without properties and with one kind of success (`v311`). So nobody else knows about versions.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Filter, Packet, Publish, PublishProperties};
use rumqttc::v5::{self, ConnectionError, Event};
use std::time::Duration;

mod options;
mod v311;

pub(super) use options::{LARGEST_PACKET, OFFLINE, Terms, options, probe};

/// Time for DNS, TCP, TLS and the broker's answer together; slow mobile networks need most of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a connection says; an error is the last thing.
pub(super) type Spoken = Result<Event, ConnectionError>;

/// How to connect, in one version or the other.
pub(super) enum Options {
    V5(Box<v5::MqttOptions>),
    V311(Box<rumqttc::MqttOptions>),
}

/// Hands requests to the library; gives false when it takes nothing more.
pub(super) enum Client {
    V5(v5::AsyncClient),
    V311(rumqttc::AsyncClient),
}

impl Client {
    /// QoS 1. MQTT 3.1.1 has no place for `properties`.
    pub(super) fn publish(
        &self,
        topic: &str,
        retain: bool,
        payload: Vec<u8>,
        properties: PublishProperties,
    ) -> bool {
        match self {
            Self::V5(client) => {
                let qos = QoS::AtLeastOnce;
                let sent =
                    client.try_publish_with_properties(topic, qos, retain, payload, properties);
                sent.is_ok()
            }
            Self::V311(client) => {
                let qos = rumqttc::QoS::AtLeastOnce;
                client.try_publish(topic, qos, retain, payload).is_ok()
            }
        }
    }

    /// All filters in one packet. MQTT 3.1.1 has no options but QoS: retained messages always come.
    pub(super) fn subscribe(&self, filters: impl IntoIterator<Item = Filter>) -> bool {
        match self {
            Self::V5(client) => client.try_subscribe_many(filters).is_ok(),
            Self::V311(client) => {
                let filters = filters.into_iter().map(v311::filter);
                client.try_subscribe_many(filters).is_ok()
            }
        }
    }

    /// Acknowledges a received message.
    pub(super) fn acknowledge(&self, qos: QoS, packet_id: u16) -> bool {
        match self {
            Self::V5(client) => {
                let publish = Publish {
                    qos,
                    pkid: packet_id,
                    ..Publish::default()
                };
                client.try_ack(&publish).is_ok()
            }
            Self::V311(client) => client.try_ack(&v311::received(qos, packet_id)).is_ok(),
        }
    }

    pub(super) fn disconnect(&self) -> bool {
        match self {
            Self::V5(client) => client.try_disconnect().is_ok(),
            Self::V311(client) => client.try_disconnect().is_ok(),
        }
    }
}

/// What drives a connection: it must be polled, and never inside `select!`.
pub(super) struct Engine {
    events: Events,
    /// Keep-alive, for a broker that switches it off.
    keep_alive: Duration,
    connected: bool,
}

enum Events {
    V5(Box<v5::EventLoop>),
    V311(Box<rumqttc::EventLoop>),
}

/// `capacity`: requests that can be handed over at once.
pub(super) fn start(options: Options, capacity: usize) -> (Client, Engine) {
    let (client, events, keep_alive) = match options {
        Options::V5(options) => {
            let keep_alive = options.keep_alive();
            let (client, events) = v5::AsyncClient::new(*options, capacity);
            (Client::V5(client), Events::V5(Box::new(events)), keep_alive)
        }
        Options::V311(options) => {
            let keep_alive = options.keep_alive();
            let network = options::network();
            let (client, mut events) = rumqttc::AsyncClient::new(*options, capacity);
            events.set_network_options(network);
            let events = Events::V311(Box::new(events));
            (Client::V311(client), events, keep_alive)
        }
    };
    let engine = Engine {
        events,
        keep_alive,
        connected: false,
    };
    (client, engine)
}

impl Engine {
    /// The next thing said. Not cancel-safe while connecting.
    pub(super) async fn poll(&mut self) -> Spoken {
        if self.connected {
            return self.events.poll().await;
        }
        // The library bounds writing, too, by the time it gives 3.1.1 for connecting, so that time is long.
        let said = tokio::time::timeout(CONNECT_TIMEOUT, self.events.poll()).await??;
        if let Event::Incoming(Packet::ConnAck(ConnAck { .. })) = said {
            self.connected = true;
            // A broker may switch keep-alive off (0); the library would then ping without a pause.
            if let Events::V5(events) = &mut self.events
                && events.options.keep_alive().is_zero()
            {
                events.options.set_keep_alive(self.keep_alive);
            }
        }
        Ok(said)
    }

    /// After an error: what came in one read with it.
    pub(super) fn left_over(&mut self) -> Vec<Event> {
        match &mut self.events {
            Events::V5(events) => std::mem::take(&mut events.state.events).into(),
            Events::V311(events) => {
                let events = std::mem::take(&mut events.state.events);
                events.into_iter().map(v311::event).collect()
            }
        }
    }
}

impl Events {
    async fn poll(&mut self) -> Spoken {
        match self {
            Self::V5(events) => events.poll().await,
            Self::V311(events) => events
                .poll()
                .await
                .map(v311::event)
                .map_err(v311::connection_error),
        }
    }
}
