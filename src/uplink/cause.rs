//! Why there is no connection, and why the broker refuses a publish: one value for each thing that a person would
//! do something else about.

use rumqttc::v5::mqttbytes::v5::PubAckReason;
use schemars::JsonSchema;
use serde::Serialize;

use super::state::LinkState;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// DNS does not know the broker's name, or there is no DNS.
    NameNotFound,
    /// The machine is there, and no broker at this port.
    NothingListens,
    /// No route there.
    Unreachable,
    /// Neither a yes nor a no within the time to connect.
    NoAnswer,
    /// The broker closed the connection before it accepted it: not MQTT 5, or TLS on one side only.
    ClosedEarly,
    /// An accepted connection broke.
    Cut,
    /// An accepted connection was closed from the other side without a word.
    Closed,
    /// Nothing is heard any more, though nobody closed the connection.
    Silent,
    /// Pings may be answered, publishes or subscriptions are not.
    NoAcknowledgement,
    /// The broker has no time for us now.
    Busy,
    ShuttingDown,
    /// The broker said that it closes the connection, for another reason.
    ClosedByBroker,
    /// The broker says what MQTT does not allow, or the library cannot read.
    Garbled,
    /// User, password, or the right to connect at all.
    WrongCredentials,
    ClientIdRefused,
    /// Another client with the same id threw this one out.
    ClientIdTaken,
    /// Accepted and closed without a word, again and again: most often another client with the same id, when the broker
    /// does not say so, or says so in the short form (3.14.2.2.1) that the library does not read.
    ThrownOut,
    Banned,
    QuotaExceeded,
    /// The broker does not speak our version of MQTT.
    UnsupportedVersion,
    /// The broker takes no retained messages, which the box's state needs.
    NoRetain,
    /// The broker offers QoS 0 only, with which events would be lost.
    NoQos1,
    /// The broker refuses the connection for another reason.
    RefusedByBroker,
    /// The broker's certificate is not signed by our authority.
    CertificateUnknown,
    CertificateExpired,
    CertificateNotYetValid,
    /// The broker's certificate is for another name.
    CertificateName,
    CertificateRevoked,
    /// Not a certificate that can be used.
    CertificateUnusable,
    /// The broker asks for a certificate of the box.
    ClientCertificateMissing,
    ClientCertificateExpired,
    ClientCertificateRefused,
    /// The other side does not speak TLS.
    NotTls,
    /// Another failure of TLS.
    Tls,
}

impl Cause {
    /// The state of a link that has failed for this cause.
    #[must_use]
    pub const fn state(self) -> LinkState {
        match self {
            Self::NameNotFound
            | Self::NothingListens
            | Self::Unreachable
            | Self::NoAnswer
            | Self::ClosedEarly
            | Self::Cut
            | Self::Closed
            | Self::Silent
            | Self::NoAcknowledgement
            | Self::Busy
            | Self::ShuttingDown
            | Self::ClosedByBroker
            | Self::Garbled => LinkState::Disconnected,
            Self::WrongCredentials
            | Self::ClientIdRefused
            | Self::ClientIdTaken
            | Self::ThrownOut
            | Self::Banned
            | Self::QuotaExceeded
            | Self::UnsupportedVersion
            | Self::NoRetain
            | Self::NoQos1
            | Self::RefusedByBroker => LinkState::Refused,
            Self::CertificateUnknown
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::CertificateName
            | Self::CertificateRevoked
            | Self::CertificateUnusable
            | Self::ClientCertificateMissing
            | Self::ClientCertificateExpired
            | Self::ClientCertificateRefused
            | Self::NotTls
            | Self::Tls => LinkState::TlsError,
        }
    }
}

/// Why the broker refuses one of our topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    NotAuthorised,
    QuotaExceeded,
    /// The broker takes the payload for malformed.
    PayloadFormat,
    TopicName,
    /// It gives no usable reason.
    Unspecified,
}

impl From<PubAckReason> for Objection {
    fn from(reason: PubAckReason) -> Self {
        match reason {
            PubAckReason::NotAuthorized => Self::NotAuthorised,
            PubAckReason::QuotaExceeded => Self::QuotaExceeded,
            PubAckReason::PayloadFormatInvalid => Self::PayloadFormat,
            PubAckReason::TopicNameInvalid => Self::TopicName,
            _ => Self::Unspecified,
        }
    }
}
