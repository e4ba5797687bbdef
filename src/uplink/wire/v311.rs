//! MQTT 3.1.1 in the words of MQTT 5. Pure.
//!
//! What 3.1.1 cannot say is absent: properties, and reasons. A PUBACK is a success; a broker that does not want a publish
//! cuts the connection or drops it silently (3.1.1, 3.3.5).

use std::io;

use rumqttc::mqttbytes::Error as OldPacketError;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, Filter, Packet, PingResp, PubAck, PubAckReason, Publish, SubAck,
    SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use rumqttc::v5::{ConnectionError, Event, StateError};

use crate::uplink::desk::LARGEST_INCOMING;

/// What a broker that only speaks MQTT 5 answers to a CONNECT of 3.1.1 (MQTT 5, 3.1.2.2).
const UNSUPPORTED_VERSION: u8 = 0x84;

pub(super) fn filter(filter: Filter) -> v4::SubscribeFilter {
    v4::SubscribeFilter::new(filter.path, old_qos(filter.qos))
}

/// What stands for a received message when it is acknowledged.
pub(super) fn received(qos: QoS, packet_id: u16) -> v4::Publish {
    let mut publish = v4::Publish::new(String::new(), old_qos(qos), Vec::new());
    publish.pkid = packet_id;
    publish
}

pub(super) fn event(event: rumqttc::Event) -> Event {
    match event {
        rumqttc::Event::Outgoing(outgoing) => Event::Outgoing(outgoing),
        rumqttc::Event::Incoming(packet) => Event::Incoming(incoming(packet)),
    }
}

fn incoming(packet: v4::Packet) -> Packet {
    match packet {
        v4::Packet::ConnAck(ack) => Packet::ConnAck(ConnAck {
            session_present: ack.session_present,
            code: return_code(ack.code),
            properties: None,
        }),
        v4::Packet::PubAck(ack) => Packet::PubAck(PubAck {
            pkid: ack.pkid,
            reason: PubAckReason::Success,
            properties: None,
        }),
        v4::Packet::SubAck(ack) => Packet::SubAck(SubAck {
            pkid: ack.pkid,
            return_codes: ack.return_codes.into_iter().map(granted).collect(),
            properties: None,
        }),
        v4::Packet::Publish(publish) => Packet::Publish(message(publish)),
        // Nobody asks for more than a sign of life.
        _ => Packet::PingResp(PingResp),
    }
}

fn message(publish: v4::Publish) -> Publish {
    // In MQTT 5 the broker holds back what is longer. It is no command whatever it says, so its start will do to refuse it.
    let longest = usize::try_from(LARGEST_INCOMING).unwrap_or(usize::MAX);
    let length = publish.payload.len().min(longest);
    Publish {
        dup: publish.dup,
        qos: new_qos(publish.qos),
        retain: publish.retain,
        topic: publish.topic.into(),
        pkid: publish.pkid,
        payload: publish.payload.slice(..length),
        properties: None,
    }
}

pub(super) fn connection_error(error: rumqttc::ConnectionError) -> ConnectionError {
    use rumqttc::ConnectionError as Old;
    let timed_out =
        |what: &str| io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long"));
    match error {
        Old::MqttState(error) => state_error(error),
        Old::NetworkTimeout => ConnectionError::Io(timed_out("connecting")),
        Old::FlushTimeout => ConnectionError::MqttState(StateError::Io(timed_out("writing"))),
        Old::Tls(error) => ConnectionError::Tls(error),
        Old::Io(error) => ConnectionError::Io(error),
        Old::ConnectionRefused(code) => ConnectionError::ConnectionRefused(return_code(code)),
        Old::NotConnAck(_) => ConnectionError::MqttState(StateError::WrongPacket),
        Old::RequestsDone => ConnectionError::RequestsDone,
    }
}

fn state_error(error: rumqttc::StateError) -> ConnectionError {
    use rumqttc::StateError as Old;
    ConnectionError::MqttState(match error {
        Old::Io(error) => StateError::Io(error),
        Old::InvalidState => StateError::InvalidState,
        Old::Unsolicited(id) => StateError::Unsolicited(id),
        Old::AwaitPingResp => StateError::AwaitPingResp,
        Old::WrongPacket => StateError::WrongPacket,
        Old::CollisionTimeout => StateError::CollisionTimeout,
        Old::EmptySubscription => StateError::EmptySubscription,
        Old::ConnectionAborted => StateError::ConnectionAborted,
        Old::Deserialization(OldPacketError::InvalidConnectReturnCode(UNSUPPORTED_VERSION)) => {
            let code = ConnectReturnCode::UnsupportedProtocolVersion;
            return ConnectionError::ConnectionRefused(code);
        }
        Old::Deserialization(error) => StateError::Deserialization(packet_error(error)),
    })
}

fn packet_error(error: OldPacketError) -> PacketError {
    match error {
        OldPacketError::Io(error) => PacketError::Io(error),
        OldPacketError::PayloadSizeLimitExceeded(size) => PacketError::PayloadSizeLimitExceeded {
            pkt_size: size,
            max: super::options::LARGEST_READ,
        },
        OldPacketError::TopicNotUtf8 => PacketError::TopicNotUtf8,
        other => {
            tracing::debug!(error = %other, "a packet of MQTT 3.1.1 cannot be read");
            PacketError::MalformedPacket
        }
    }
}

fn return_code(code: v4::ConnectReturnCode) -> ConnectReturnCode {
    use v4::ConnectReturnCode as Old;
    match code {
        Old::Success => ConnectReturnCode::Success,
        Old::RefusedProtocolVersion => ConnectReturnCode::RefusedProtocolVersion,
        Old::BadClientId => ConnectReturnCode::BadClientId,
        Old::ServiceUnavailable => ConnectReturnCode::ServiceUnavailable,
        Old::BadUserNamePassword => ConnectReturnCode::BadUserNamePassword,
        Old::NotAuthorized => ConnectReturnCode::NotAuthorized,
    }
}

fn granted(code: v4::SubscribeReasonCode) -> SubscribeReasonCode {
    match code {
        v4::SubscribeReasonCode::Success(qos) => SubscribeReasonCode::Success(new_qos(qos)),
        v4::SubscribeReasonCode::Failure => SubscribeReasonCode::Failure,
    }
}

fn new_qos(qos: rumqttc::QoS) -> QoS {
    match qos {
        rumqttc::QoS::AtMostOnce => QoS::AtMostOnce,
        rumqttc::QoS::AtLeastOnce => QoS::AtLeastOnce,
        rumqttc::QoS::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn old_qos(qos: QoS) -> rumqttc::QoS {
    match qos {
        QoS::AtMostOnce => rumqttc::QoS::AtMostOnce,
        QoS::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
        QoS::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_subscription_is_no_success_and_a_puback_is_one() {
        let codes = vec![
            v4::SubscribeReasonCode::Success(rumqttc::QoS::AtLeastOnce),
            v4::SubscribeReasonCode::Failure,
        ];
        let packet = incoming(v4::Packet::SubAck(v4::SubAck::new(7, codes)));
        let Packet::SubAck(ack) = packet else {
            panic!("{packet:?}");
        };
        assert_eq!(ack.pkid, 7);
        let granted = SubscribeReasonCode::Success(QoS::AtLeastOnce);
        assert_eq!(ack.return_codes, [granted, SubscribeReasonCode::Failure]);
        let packet = incoming(v4::Packet::PubAck(v4::PubAck::new(3)));
        assert!(
            matches!(packet, Packet::PubAck(ack) if ack.pkid == 3 && ack.reason == PubAckReason::Success)
        );
    }

    #[test]
    fn a_message_longer_than_any_command_comes_cut_short() {
        let longest = LARGEST_INCOMING as usize;
        for (length, expected) in [(10, 10), (longest, longest), (longest + 1, longest)] {
            let mut publish =
                v4::Publish::new("a/command", rumqttc::QoS::AtLeastOnce, vec![7; length]);
            (publish.pkid, publish.retain) = (9, true);
            let message = message(publish);
            assert_eq!(message.payload.len(), expected);
            assert_eq!(
                (
                    &message.topic[..],
                    message.pkid,
                    message.qos,
                    message.retain
                ),
                (&b"a/command"[..], 9, QoS::AtLeastOnce, true)
            );
        }
    }

    #[test]
    fn a_broker_for_mqtt_5_only_is_told_apart_from_garbage() {
        let translated = |code| {
            let error = OldPacketError::InvalidConnectReturnCode(code);
            let error = rumqttc::StateError::Deserialization(error);
            connection_error(rumqttc::ConnectionError::MqttState(error))
        };
        assert!(matches!(
            translated(0x84),
            ConnectionError::ConnectionRefused(ConnectReturnCode::UnsupportedProtocolVersion)
        ));
        assert!(matches!(
            translated(0x77),
            ConnectionError::MqttState(StateError::Deserialization(PacketError::MalformedPacket))
        ));
    }
}
