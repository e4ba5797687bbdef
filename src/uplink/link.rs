//! One connection's life as the uplink sees it: open, listen, publish, hear answers, say goodbye.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::Event;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, Filter, Packet, PubAckReason, Publish, PublishProperties,
    RetainForwardRule, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use rumqttc::v5::{ConnectionError, StateError};

use super::batch::PayloadLimit;
use super::cause::{Cause, Objection};
use super::desk::{COMMANDS_HELD, Inlet, Message};
use super::encoding::Encoding;
use super::fault::{Fault, words, wrong_version};
use super::pump::Connection;
use super::settings::Settings;
use super::state::Refusal;
use super::wire::{self, LARGEST_PACKET, Spoken, Terms};
use crate::config::schema::Protocol;

/// Time for the broker's answer to a subscription.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(20);

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

/// One publish.
pub(super) struct Parcel<'a> {
    pub(super) topic: &'a str,
    pub(super) content_type: &'a str,
    pub(super) encoding: Encoding,
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
        if terms.fresh && terms.listen {
            // A clean session of 3.1.1 ends with its connection (3.1.1, 3.1.2.4), and rumqttd 0.20 takes a clean start of
            // MQTT 5 for that, too. So the session that lasts comes on a connection after it.
            Self::connect(settings, terms).await?.leave().await;
        }
        let lasting = Terms {
            fresh: false,
            ..terms
        };
        let mut link = Self::connect(settings, lasting).await?;
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
        let mut connection = Connection::start(wire::options(settings, terms), capacity);
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
                Some(Err(error)) if is_wrong_version(settings, &error).await => {
                    return Err(wrong_version(settings.protocol, &broker));
                }
                Some(Err(error)) => {
                    return Err(Fault::classify(&error, &broker, false));
                }
                None => return Err(lost(&broker)),
            }
        }
    }

    async fn leave(mut self) {
        if self.say_goodbye() {
            let until_left =
                async { while !matches!(self.next().await, Signal::Goodbye | Signal::Down(_)) {} };
            let _ = tokio::time::timeout(SUBSCRIBE_TIMEOUT, until_left).await;
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
        if !self.connection.client.subscribe(filters) {
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
        // Fixed header 5, topic 2 + n, packet id 2, property length 1, content type 3 + n, and the encoding.
        let overhead =
            5 + 2 + topic.len() + 2 + 1 + 3 + content_type.len() + Encoding::PROPERTY_BYTES;
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
            user_properties: parcel.encoding.property().into_iter().collect(),
            ..PublishProperties::default()
        };
        let retain = parcel.retain && self.limits.retain;
        let client = &self.connection.client;
        client.publish(parcel.topic, retain, parcel.payload, properties)
    }

    /// Acknowledges a command to the broker. False when the library takes nothing more.
    pub(super) fn acknowledge(&self, receipt: &Receipt) -> bool {
        let client = &self.connection.client;
        client.acknowledge(receipt.qos, receipt.packet_id)
    }

    /// Asks the library to say DISCONNECT; [`Signal::Goodbye`] follows.
    pub(super) fn say_goodbye(&self) -> bool {
        self.connection.client.disconnect()
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

/// Whether the broker does not speak the configured version of MQTT. One for 3.1.1 says so in a form that the library
/// does not understand as MQTT 5, or just closes: then it is asked in 3.1.1, and any answer in it will do.
async fn is_wrong_version(settings: &Settings, error: &ConnectionError) -> bool {
    use ConnectReturnCode as Code;
    match error {
        ConnectionError::ConnectionRefused(
            Code::UnsupportedProtocolVersion | Code::RefusedProtocolVersion,
        ) => return true,
        ConnectionError::MqttState(StateError::ConnectionAborted) => {}
        ConnectionError::MqttState(StateError::Deserialization(fault)) if !is_tls(fault) => {}
        _ => return false,
    }
    if settings.protocol == Protocol::V311 {
        return false;
    }
    let mut probe = Connection::start(wire::probe(settings), 1);
    match probe.next().await {
        Some(Ok(_)) => {
            probe.client.disconnect();
            while let Some(Ok(said)) = probe.next().await {
                if said == Event::Outgoing(Outgoing::Disconnect) {
                    break;
                }
            }
            true
        }
        Some(Err(ConnectionError::ConnectionRefused(code))) => {
            code != Code::RefusedProtocolVersion && code != Code::UnsupportedProtocolVersion
        }
        Some(Err(_)) | None => false,
    }
}

fn is_tls(fault: &PacketError) -> bool {
    matches!(fault, PacketError::Io(error) if error.kind() == io::ErrorKind::InvalidData)
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
        packet: packet.min(settings.largest_packet),
        retain: said.and_then(|said| said.retain_available) != Some(0),
        // The library pings once per keep-alive and gives up at the second ping; this is the net below it,
        // for a library that is stuck in a write.
        silence: keep_alive * 2 + Duration::from_secs(30),
    })
}
