//! Turns a failed connection into a state and plain words: what is wrong, and what to do.

use std::io;

use rumqttc::v5::mqttbytes::Error as PacketError;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, PubAckReason};
use rumqttc::v5::{ConnectionError, StateError, TlsError};
use rustls::{AlertDescription, CertificateError, Error as RustlsError};

use super::state::LinkState;
use crate::config::schema::Protocol;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) state: LinkState,
    pub(super) message: String,
    /// The broker sent something the library cannot read; in a kept session it would come again.
    pub(super) unreadable: bool,
}

impl Fault {
    /// No connection, for a reason that may pass by itself.
    pub(super) fn disconnected(message: impl Into<String>) -> Self {
        Self {
            state: LinkState::Disconnected,
            message: message.into(),
            unreadable: false,
        }
    }

    fn refused(message: impl Into<String>) -> Self {
        Self {
            state: LinkState::Refused,
            message: message.into(),
            unreadable: false,
        }
    }

    fn tls(message: impl Into<String>) -> Self {
        Self {
            state: LinkState::TlsError,
            message: message.into(),
            unreadable: false,
        }
    }

    /// `broker`: `host:port`; `over_tls`: whether TLS is configured; `accepted`: whether the broker had
    /// accepted the connection before it failed.
    pub(super) fn classify(
        error: &ConnectionError,
        broker: &str,
        over_tls: bool,
        accepted: bool,
    ) -> Self {
        if let Some(error) = rustls_error(error) {
            return Self::tls(tls_words(error, broker));
        }
        match error {
            ConnectionError::MqttState(StateError::Deserialization(fault)) if accepted => Self {
                unreadable: !matches!(fault, PacketError::Io(_)),
                ..Self::disconnected(format!(
                    "the connection to {broker} broke ({error}); connecting again"
                ))
            },
            ConnectionError::ConnectionRefused(code) => connect_refused(*code, broker),
            ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
                thrown_out(*reason_code, broker)
            }
            ConnectionError::Timeout(_) => Self::disconnected(format!(
                "{broker} does not answer: check the network, the address and any firewall"
            )),
            ConnectionError::Tls(TlsError::Io(error)) => Self::disconnected(format!(
                "{broker} broke off the TLS handshake ({error}): check that it expects TLS on this port"
            )),
            ConnectionError::Tls(error) => Self::tls(format!(
                "TLS with {broker} failed ({error}): check the name in uplink.broker"
            )),
            ConnectionError::Io(error) => Self::disconnected(io_words(error, broker)),
            ConnectionError::MqttState(StateError::AwaitPingResp) => {
                Self::disconnected(format!("{broker} stopped answering; connecting again"))
            }
            _ if accepted => Self::disconnected(format!(
                "the connection to {broker} broke ({error}); connecting again"
            )),
            _ if over_tls => Self::disconnected(format!(
                "{broker} closed the connection before it accepted it ({error}): check that it expects TLS on this port, \
                 and whether it asks for a client certificate (uplink.cert_file, uplink.key_file)"
            )),
            _ => Self::disconnected(format!(
                "{broker} closed the connection before it accepted it ({error}): check that this is an MQTT broker, \
                 whether the port expects TLS (then use mqtts://) or another version (uplink.protocol), and user name and password"
            )),
        }
    }
}

/// Words for a publish that the broker answered with an error.
pub(super) fn publish_refused(reason: PubAckReason, topic: &str) -> String {
    let why = match reason {
        PubAckReason::NotAuthorized => {
            "not authorised; allow this box to write to it in the broker's access rules"
        }
        PubAckReason::QuotaExceeded => "quota exceeded; raise the broker's quota for this box",
        PubAckReason::PayloadFormatInvalid => {
            "it takes the payload for malformed; check the broker's validation rules"
        }
        PubAckReason::TopicNameInvalid => {
            "it does not allow this topic name; check the broker's topic rules"
        }
        _ => "it gives no usable reason; see the broker's log",
    };
    format!(
        "the broker refuses what is published to {topic}: {why}. What it refuses stays on the box and is tried again"
    )
}

/// The broker does not speak the version of MQTT that is configured.
pub(super) fn wrong_version(configured: Protocol, broker: &str) -> Fault {
    let (not, but) = match configured {
        Protocol::V5 => ("5", "3.1.1"),
        Protocol::V311 => ("3.1.1", "5"),
    };
    Fault::refused(format!(
        "{broker} does not speak MQTT {not}: set uplink.protocol = \"{but}\", or use another broker"
    ))
}

/// Words for a subscription the broker did not grant.
pub(super) fn subscription_refused(topic: &str) -> String {
    format!(
        "the broker does not let this box listen to {topic}, so no command reaches it: \
         allow it to subscribe there with QoS 1 in the broker's access rules"
    )
}

fn connect_refused(code: ConnectReturnCode, broker: &str) -> Fault {
    use ConnectReturnCode as Code;
    let message = match code {
        Code::BadUserNamePassword | Code::NotAuthorized | Code::BadAuthenticationMethod => format!(
            "{broker} does not accept this box: wrong user name or password, or not allowed to connect; \
             check uplink.username and the content of uplink.password_file"
        ),
        Code::ClientIdentifierNotValid | Code::BadClientId => format!(
            "{broker} does not accept the client id; check device.tenant, device.store, device.box and the broker's rules"
        ),
        Code::Banned => format!("{broker} has banned this box; ask the broker's operator"),
        Code::RetainNotSupported => format!(
            "{broker} does not allow retained messages, which the box's state needs; allow them"
        ),
        Code::QoSNotSupported => {
            format!("{broker} does not offer QoS 1, without which events would be lost; allow it")
        }
        Code::ServerUnavailable
        | Code::ServiceUnavailable
        | Code::ServerBusy
        | Code::ConnectionRateExceeded => {
            return Fault::disconnected(format!(
                "{broker} is busy ({code:?}); trying again by itself"
            ));
        }
        other => format!("{broker} refuses the connection ({other:?}); see the broker's log"),
    };
    Fault::refused(message)
}

fn thrown_out(code: DisconnectReasonCode, broker: &str) -> Fault {
    match code {
        DisconnectReasonCode::SessionTakenOver => Fault::refused(format!(
            "another client with this box's client id connected to {broker}: two boxes must not share one tenant, store and box name"
        )),
        DisconnectReasonCode::ServerShuttingDown => {
            Fault::disconnected(format!("{broker} is shutting down; connecting again"))
        }
        other => Fault::disconnected(format!(
            "{broker} closed the connection ({other:?}); see the broker's log"
        )),
    }
}

fn io_words(error: &io::Error, broker: &str) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at {broker}: check that the broker runs, and the port")
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            format!("{broker} cannot be reached: check the network cable and the router")
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            format!("the connection to {broker} was cut; connecting again")
        }
        _ => format!("no connection to {broker} ({error}): check the network, DNS and the address"),
    }
}

fn tls_words(error: &RustlsError, broker: &str) -> String {
    match error {
        RustlsError::InvalidCertificate(fault) => match fault {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "the certificate of {broker} is not signed by the authority in uplink.ca_file: wrong CA file, or not the broker it should be"
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "the certificate of {broker} has expired, or this box's clock is ahead: renew it, or set the clock"
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate of {broker} is not valid yet; most likely this box's clock is behind: set the clock"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "the certificate of {broker} is for another name: use the name that is in the certificate in uplink.broker"
                )
            }
            CertificateError::Revoked => {
                format!("the certificate of {broker} is revoked: do not trust it; ask its operator")
            }
            other => format!(
                "the certificate of {broker} cannot be used ({other:?}): it must be X.509 version 3"
            ),
        },
        RustlsError::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure => format!(
                "{broker} asks for a client certificate: set uplink.cert_file and uplink.key_file"
            ),
            AlertDescription::CertificateExpired => {
                format!(
                    "{broker} says that this box's certificate has expired: renew uplink.cert_file"
                )
            }
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError => format!(
                "{broker} does not accept this box's certificate ({alert:?}): check uplink.cert_file and who signed it"
            ),
            other => {
                format!("{broker} broke off the TLS handshake ({other:?}); see the broker's log")
            }
        },
        RustlsError::InvalidMessage(_) => {
            format!(
                "{broker} does not speak TLS on this port: check the port, or use mqtt:// for a plain one"
            )
        }
        other => format!("TLS with {broker} failed: {other}"),
    }
}

/// The TLS fault inside the library's nested errors: it comes wrapped in an I/O error, at different depths
/// before and after the handshake (TLS 1.3 reports a bad client certificate on the first read).
fn rustls_error(error: &ConnectionError) -> Option<&RustlsError> {
    let io = match error {
        ConnectionError::Tls(TlsError::TLS(error)) => return Some(error),
        ConnectionError::Tls(TlsError::Io(io))
        | ConnectionError::Io(io)
        | ConnectionError::MqttState(StateError::Io(io))
        | ConnectionError::MqttState(StateError::Deserialization(PacketError::Io(io))) => io,
        _ => return None,
    };
    io.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(error: &ConnectionError) -> Fault {
        Fault::classify(error, "broker:8883", true, false)
    }

    #[test]
    fn a_wrong_password_is_told_apart_from_a_busy_broker() {
        let code = ConnectReturnCode::BadUserNamePassword;
        let fault = classify(&ConnectionError::ConnectionRefused(code));
        assert_eq!(fault.state, LinkState::Refused);
        assert!(
            fault.message.contains("uplink.password_file"),
            "{}",
            fault.message
        );
        let busy = classify(&ConnectionError::ConnectionRefused(
            ConnectReturnCode::ServerBusy,
        ));
        assert_eq!(busy.state, LinkState::Disconnected);
    }

    #[test]
    fn a_tls_fault_is_found_at_both_depths_and_a_wrong_clock_is_suspected() {
        let wrapped = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let early = RustlsError::InvalidCertificate(CertificateError::NotValidYet);
        let fault = classify(&ConnectionError::Tls(TlsError::Io(wrapped(early))));
        assert_eq!(fault.state, LinkState::TlsError);
        assert!(fault.message.contains("clock"), "{}", fault.message);
        let late = RustlsError::AlertReceived(AlertDescription::CertificateRequired);
        let late = StateError::Deserialization(PacketError::Io(wrapped(late)));
        let fault = classify(&ConnectionError::MqttState(late));
        assert_eq!(fault.state, LinkState::TlsError);
        assert!(
            fault.message.contains("uplink.cert_file"),
            "{}",
            fault.message
        );
    }

    #[test]
    fn what_the_library_cannot_read_is_told_apart_from_a_broken_line() {
        let fault = |error| {
            let error = ConnectionError::MqttState(StateError::Deserialization(error));
            Fault::classify(&error, "b:1883", false, true)
        };
        let max = 10;
        assert!(fault(PacketError::PayloadSizeLimitExceeded { pkt_size: 20, max }).unreadable);
        assert!(fault(PacketError::MalformedPacket).unreadable);
        assert!(!fault(PacketError::Io(io::ErrorKind::BrokenPipe.into())).unreadable);
    }

    #[test]
    fn a_cut_before_the_brokers_answer_points_at_the_other_kind_of_port() {
        let aborted = || ConnectionError::MqttState(StateError::ConnectionAborted);
        let plain = Fault::classify(&aborted(), "b:8883", false, false);
        assert!(plain.message.contains("mqtts://"), "{}", plain.message);
        let later = Fault::classify(&aborted(), "b:8883", false, true);
        assert!(later.message.contains("broke"), "{}", later.message);
    }
}
