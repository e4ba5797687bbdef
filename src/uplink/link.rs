//! One connection's life as the uplink sees it: open, listen, publish, hear answers, say goodbye.

use std::collections::VecDeque;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Filter, LastWill, Packet, PubAckReason, Publish, PublishProperties, RetainForwardRule,
    SubscribeReasonCode,
};
use rumqttc::v5::{Event, MqttOptions};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};

use super::batch::PayloadLimit;
use super::cause::{Cause, Objection};
use super::desk::{COMMANDS_AHEAD, COMMANDS_HELD, Inlet, KEPT_FOR_S, LARGEST_INCOMING, Message};
use super::fault::{Fault, words};
use super::pump::{Connection, Spoken};
use super::settings::Settings;
use super::state::Refusal;

/// Time for DNS, TCP, TLS and the broker's answer together, seconds; slow mobile networks need most of it.
const CONNECT_TIMEOUT_S: u64 = 20;
/// Time for the broker's answer to a subscription.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(20);
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
    /// A message from the cloud, to be acknowledged with the receipt.
    Command(Message, Receipt),
    /// The broker said something else: it is alive.
    Heard,
    /// The library wrote something else.
    Wrote,
    /// Our DISCONNECT was written.
    Goodbye,
    /// The connection is gone.
    Down(Fault),
}

/// What a received message is acknowledged with.
pub(super) struct Receipt {
    qos: QoS,
    packet_id: u16,
}

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Subscribe to what the cloud says.
    pub(super) listen: bool,
    /// Ask the broker to forget what it keeps for this box.
    pub(super) fresh: bool,
}

/// One publish.
pub(super) struct Parcel<'a> {
    pub(super) topic: &'a str,
    pub(super) content_type: &'a str,
    pub(super) correlation: Option<Vec<u8>>,
    pub(super) retain: bool,
    pub(super) payload: Vec<u8>,
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
    /// The broker let us connect, but not listen.
    pub(super) refused_subscription: Option<Refusal>,
    /// Said while we waited for something else.
    early: VecDeque<Spoken>,
    inlets: [(Inlet, String); 2],
    broker: String,
}

impl Link {
    /// Connects and subscribes; returns once the broker has accepted and answered. Cancel-safe: dropping it closes the
    /// socket.
    pub(super) async fn open(settings: &Settings, terms: Terms) -> Result<Self, Fault> {
        let mut link = Self::connect(settings, terms).await?;
        if terms.listen {
            let answer = tokio::time::timeout(SUBSCRIBE_TIMEOUT, link.subscribe()).await;
            link.refused_subscription =
                answer.map_err(|_| Fault::new(Cause::NoAcknowledgement, &link.broker, ""))??;
        }
        Ok(link)
    }

    async fn connect(settings: &Settings, terms: Terms) -> Result<Self, Fault> {
        let broker = settings.broker();
        // Room for a full window, for an acknowledgement of every command, and for SUBSCRIBE and DISCONNECT.
        let capacity = usize::from(settings.inflight) + COMMANDS_HELD + 2;
        let mut connection = Connection::start(options(settings, terms), capacity);
        loop {
            match connection.next().await {
                Some(Ok(Event::Incoming(Packet::ConnAck(connack)))) => {
                    return Ok(Self {
                        limits: limits(settings, &connack, &broker)?,
                        connection,
                        refused_subscription: None,
                        early: VecDeque::new(),
                        inlets: [
                            (Inlet::Command, settings.topics.command()),
                            (Inlet::Desired, settings.topics.desired()),
                        ],
                        broker,
                    });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    return Err(Fault::classify(&error, &broker, false));
                }
                None => return Err(lost(&broker)),
            }
        }
    }

    /// Listens to the cloud; gives the broker's refusal. Nothing else may be under way yet: a SUBSCRIBE takes its
    /// packet id from the same ring as publishes. What a kept session brings meanwhile is heard later.
    async fn subscribe(&mut self) -> Result<Option<Refusal>, Fault> {
        // A command that is retained by mistake must not come with every connection; the desired config must.
        let filters = self.inlets.clone().map(|(inlet, topic)| Filter {
            retain_forward_rule: match inlet {
                Inlet::Command => RetainForwardRule::Never,
                Inlet::Desired => RetainForwardRule::OnEverySubscribe,
            },
            ..Filter::new(topic, QoS::AtLeastOnce)
        });
        if self.connection.client.try_subscribe_many(filters).is_err() {
            return Err(lost(&self.broker));
        }
        loop {
            match self.connection.next().await {
                Some(Ok(Event::Incoming(Packet::SubAck(answer)))) => {
                    let granted = SubscribeReasonCode::Success(QoS::AtLeastOnce);
                    let mut codes = answer.return_codes.iter();
                    let refused = self.inlets.iter().find(|_| codes.next() != Some(&granted));
                    return Ok(refused.map(|(_, topic)| {
                        let topic = topic.clone();
                        tracing::warn!(%topic, answer = ?answer.return_codes, "the broker refused the subscription");
                        let message = words::subscription_refused(&topic);
                        Refusal {
                            topic,
                            objection: Objection::NotAuthorised,
                            message,
                        }
                    }));
                }
                Some(Ok(_)) if self.early.len() >= COMMANDS_HELD => {
                    return Err(too_many_commands(&self.broker));
                }
                Some(Ok(said)) => self.early.push_back(Ok(said)),
                Some(Err(error)) => {
                    return Err(Fault::classify(&error, &self.broker, true));
                }
                None => return Err(lost(&self.broker)),
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
    pub(super) fn publish(&self, parcel: Parcel<'_>) -> bool {
        let properties = PublishProperties {
            content_type: Some(parcel.content_type.to_owned()),
            correlation_data: parcel.correlation.map(Into::into),
            ..PublishProperties::default()
        };
        self.connection
            .client
            .try_publish_with_properties(
                parcel.topic,
                QoS::AtLeastOnce,
                parcel.retain && self.limits.retain,
                parcel.payload,
                properties,
            )
            .is_ok()
    }

    /// Acknowledges a command to the broker. False when the library takes nothing more.
    pub(super) fn acknowledge(&self, receipt: &Receipt) -> bool {
        let publish = Publish {
            qos: receipt.qos,
            pkid: receipt.packet_id,
            ..Publish::default()
        };
        self.connection.client.try_ack(&publish).is_ok()
    }

    /// Asks the library to say DISCONNECT; [`Signal::Goodbye`] follows.
    pub(super) fn say_goodbye(&self) -> bool {
        self.connection.client.try_disconnect().is_ok()
    }

    /// The next signal. Cancel-safe.
    pub(super) async fn next(&mut self) -> Signal {
        if let Some(spoken) = self.early.pop_front() {
            return self.signal(spoken);
        }
        match self.connection.next().await {
            Some(spoken) => self.signal(spoken),
            None => Signal::Down(lost(&self.broker)),
        }
    }

    /// The next signal, if there is one already.
    pub(super) fn try_next(&mut self) -> Option<Signal> {
        let early = self.early.pop_front();
        let spoken = early.or_else(|| self.connection.try_next())?;
        Some(self.signal(spoken))
    }

    fn signal(&self, spoken: Spoken) -> Signal {
        match spoken {
            Ok(Event::Outgoing(Outgoing::Publish(id))) => Signal::Written(id),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => Signal::Goodbye,
            Ok(Event::Incoming(Packet::PubAck(ack))) => Signal::Acked(ack.pkid, ack.reason),
            Ok(Event::Incoming(Packet::Publish(publish))) => self.message(publish),
            Ok(Event::Incoming(_)) => Signal::Heard,
            Ok(Event::Outgoing(_)) => Signal::Wrote,
            Err(error) => Signal::Down(Fault::classify(&error, &self.broker, true)),
        }
    }

    fn message(&self, publish: Publish) -> Signal {
        let mut inlets = self.inlets.iter();
        let Some((inlet, _)) = inlets.find(|(_, topic)| publish.topic == topic.as_bytes()) else {
            return Signal::Heard;
        };
        let receipt = Receipt {
            qos: publish.qos,
            packet_id: publish.pkid,
        };
        let properties = publish.properties.unwrap_or_default();
        let seconds = properties.message_expiry_interval;
        let message = Message {
            inlet: *inlet,
            payload: publish.payload.to_vec(),
            response_topic: properties.response_topic,
            correlation: properties.correlation_data.map(|data| data.to_vec()),
            expires_in: seconds.map(|seconds| Duration::from_secs(seconds.into())),
        };
        Signal::Command(message, receipt)
    }
}

/// The broker sends commands without waiting for an acknowledgement.
pub(super) fn too_many_commands(broker: &str) -> Fault {
    Fault::new(
        Cause::Garbled,
        broker,
        "more commands at once than it may send",
    )
}

fn lost(broker: &str) -> Fault {
    Fault::new(Cause::Cut, broker, "")
}

fn options(settings: &Settings, terms: Terms) -> MqttOptions {
    let mut options = MqttOptions::new(&settings.client_id, &settings.host, settings.port);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_tcp_send_buffer_size(SEND_BUFFER);
    options
        .set_keep_alive(settings.keep_alive)
        .set_connection_timeout(CONNECT_TIMEOUT_S)
        .set_network_options(network)
        // The broker keeps nothing of what we publish between connections: what is unacknowledged is in the outbox and
        // is sent again. It keeps commands for us, if we take any.
        .set_clean_start(terms.fresh || !terms.listen)
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
    if terms.listen {
        options
            .set_session_expiry_interval(Some(KEPT_FOR_S))
            .set_receive_maximum(Some(COMMANDS_AHEAD))
            .set_max_packet_size(Some(LARGEST_INCOMING))
            .set_manual_acks(true);
    }
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
    if said.and_then(|said| said.max_qos) == Some(0) {
        return Err(Fault::new(Cause::NoQos1, broker, ""));
    }
    let receive_max = said.and_then(|said| said.receive_max).unwrap_or(u16::MAX);
    if receive_max == 0 {
        return Err(Fault::new(Cause::Garbled, broker, "a receive maximum of 0"));
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
