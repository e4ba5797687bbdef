//! One connection's life as the uplink sees it: open, publish, hear answers, say goodbye.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, LastWill, Packet, PubAckReason, PublishProperties};
use rumqttc::v5::{Event, MqttOptions};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};

use super::batch::PayloadLimit;
use super::fault::Fault;
use super::pump::{Connection, Spoken};
use super::settings::Settings;
use super::state::LinkState;

/// Time for DNS, TCP, TLS and the broker's answer together, seconds; slow mobile networks need most of it.
const CONNECT_TIMEOUT_S: u64 = 20;
/// What the kernel may buffer on the way out. With more, pings of a slow uplink would queue behind
/// megabytes of batches and the connection would be taken for dead.
const SEND_BUFFER: u32 = 64 * 1024;
/// The largest packet MQTT can express.
const LARGEST_PACKET: usize = 268_435_455;
/// Published by the broker when the box vanishes.
pub(super) const OFFLINE: &str = r#"{"online":false}"#;

/// What the link tells its session.
pub(super) enum Signal {
    /// The oldest publish without a packet id was written under this one.
    Written(u16),
    /// The broker answered a publish.
    Acked(u16, PubAckReason),
    /// The broker said something else: it is alive.
    Heard,
    /// The library wrote something else.
    Wrote,
    /// Our DISCONNECT was written.
    Goodbye,
    /// The connection is gone.
    Down(Fault),
}

/// What the broker allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Publishes under way at once.
    pub(super) window: usize,
    /// Bytes of one packet.
    packet: usize,
    retain: bool,
    /// Nothing heard for so long means that the connection is dead.
    pub(super) silence: Duration,
}

/// An accepted connection.
pub(super) struct Link {
    connection: Connection,
    pub(super) limits: Limits,
    broker: String,
    over_tls: bool,
}

impl Link {
    /// Connects; returns once the broker has accepted. Cancel-safe: dropping it closes the socket.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Fault> {
        let (broker, over_tls) = (settings.broker(), settings.tls.is_some());
        let mut connection = Connection::start(options(settings), settings.inflight.into());
        loop {
            match connection.next().await {
                Some(Ok(Event::Incoming(Packet::ConnAck(connack)))) => {
                    return Ok(Self {
                        limits: limits(settings, &connack, &broker)?,
                        connection,
                        broker,
                        over_tls,
                    });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    return Err(Fault::classify(&error, &broker, over_tls, false));
                }
                None => return Err(lost(&broker)),
            }
        }
    }

    /// How large a payload to `topic` may be; `target` bounds batches of several events.
    pub(super) fn payload_limit(
        &self,
        topic: &str,
        content_type: &str,
        target: usize,
    ) -> PayloadLimit {
        // Fixed header 5, topic 2 + n, packet id 2, property length 1, content type 3 + n.
        let overhead = 5 + 2 + topic.len() + 2 + 1 + 3 + content_type.len();
        PayloadLimit {
            target,
            most: self.limits.packet.saturating_sub(overhead),
        }
    }

    /// Hands one QoS 1 publish to the library. False when it takes none: the channel is as long as the
    /// window, so the connection is gone and [`Signal::Down`] follows.
    pub(super) fn publish(
        &self,
        topic: &str,
        content_type: &str,
        retain: bool,
        payload: Vec<u8>,
    ) -> bool {
        let properties = PublishProperties {
            content_type: Some(content_type.to_owned()),
            ..PublishProperties::default()
        };
        self.connection
            .client
            .try_publish_with_properties(
                topic,
                QoS::AtLeastOnce,
                retain && self.limits.retain,
                payload,
                properties,
            )
            .is_ok()
    }

    /// Asks the library to say DISCONNECT; [`Signal::Goodbye`] follows.
    pub(super) fn say_goodbye(&self) -> bool {
        self.connection.client.try_disconnect().is_ok()
    }

    /// The next signal. Cancel-safe.
    pub(super) async fn next(&mut self) -> Signal {
        match self.connection.next().await {
            Some(spoken) => self.signal(spoken),
            None => Signal::Down(lost(&self.broker)),
        }
    }

    /// The next signal, if there is one already.
    pub(super) fn try_next(&mut self) -> Option<Signal> {
        let spoken = self.connection.try_next()?;
        Some(self.signal(spoken))
    }

    fn signal(&self, spoken: Spoken) -> Signal {
        match spoken {
            Ok(Event::Outgoing(Outgoing::Publish(id))) => Signal::Written(id),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => Signal::Goodbye,
            Ok(Event::Incoming(Packet::PubAck(ack))) => Signal::Acked(ack.pkid, ack.reason),
            Ok(Event::Incoming(_)) => Signal::Heard,
            Ok(Event::Outgoing(_)) => Signal::Wrote,
            Err(error) => Signal::Down(Fault::classify(&error, &self.broker, self.over_tls, true)),
        }
    }
}

fn lost(broker: &str) -> Fault {
    Fault::disconnected(format!(
        "the connection to {broker} is gone; connecting again"
    ))
}

fn options(settings: &Settings) -> MqttOptions {
    let mut options = MqttOptions::new(&settings.client_id, &settings.host, settings.port);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_tcp_send_buffer_size(SEND_BUFFER);
    options
        .set_keep_alive(settings.keep_alive)
        .set_connection_timeout(CONNECT_TIMEOUT_S)
        .set_network_options(network)
        // The broker keeps nothing for us between connections: what is unacknowledged is in the outbox and
        // is sent again, and a resumed session only brings the library's loss of publishes back.
        .set_clean_start(true)
        // Bounds the library's tables (one slot for each possible packet id) and makes its ring of packet
        // ids as long as our window.
        .set_outgoing_inflight_upper_limit(settings.inflight)
        .set_last_will(LastWill::new(
            settings.topics.state(),
            OFFLINE,
            QoS::AtLeastOnce,
            true,
            None,
        ));
    if let Some((user, password)) = &settings.credentials {
        options.set_credentials(user, &password.0);
    }
    if let Some(tls) = &settings.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(
            tls.clone(),
        )));
    }
    options
}

fn limits(settings: &Settings, connack: &ConnAck, broker: &str) -> Result<Limits, Fault> {
    let said = connack.properties.as_ref();
    let refused = |message| {
        Err(Fault {
            state: LinkState::Refused,
            message,
        })
    };
    if said.and_then(|said| said.max_qos) == Some(0) {
        return refused(format!(
            "{broker} does not offer QoS 1, without which events would be lost; allow it"
        ));
    }
    let receive_max = said.and_then(|said| said.receive_max).unwrap_or(u16::MAX);
    if receive_max == 0 {
        return refused(format!(
            "{broker} announces a receive maximum of 0, which MQTT 5 forbids; use another broker"
        ));
    }
    let keep_alive = match said.and_then(|said| said.server_keep_alive) {
        None | Some(0) => settings.keep_alive,
        Some(seconds) => Duration::from_secs(seconds.into()),
    };
    let packet = said
        .and_then(|said| said.max_packet_size)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(LARGEST_PACKET);
    Ok(Limits {
        window: settings.inflight.min(receive_max).into(),
        packet: packet.min(LARGEST_PACKET),
        retain: said.and_then(|said| said.retain_available) != Some(0),
        // The library pings once per keep-alive and gives up at the second ping; this is the net below it,
        // for a library that is stuck in a write.
        silence: keep_alive * 2 + Duration::from_secs(30),
    })
}
