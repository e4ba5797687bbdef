//! Turns a failed connection into a state and plain words: what is wrong, and what to do.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use rumqttc::v5::mqttbytes::Error as PacketError;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::v5::{ConnectionError, StateError, TlsError};
use rustls::{AlertDescription, CertificateError, Error as RustlsError};

use super::cause::Cause;
use super::state::LinkState;
use crate::config::schema::Protocol;
use crate::words::Words;

pub(super) mod words;

/// So many connections closed without a word within this time are no coincidence.
const CLOSINGS: usize = 4;
const CLOSINGS_WITHIN: Duration = Duration::from_secs(600);

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) cause: Cause,
    pub(super) message: Words,
    /// The broker sent something the library cannot read; in a kept session it would come again.
    pub(super) unreadable: bool,
}

impl Fault {
    /// `broker`: `host:port`; `detail`: what the other side or the library said; may be empty.
    pub(super) fn new(cause: Cause, broker: &str, detail: impl ToString) -> Self {
        Self {
            cause,
            message: words::of(cause, broker, &detail.to_string()),
            unreadable: false,
        }
    }

    /// The state of a link that failed like this.
    pub(super) fn state(&self) -> LinkState {
        self.cause.state()
    }

    /// `broker`: `host:port`; `accepted`: whether the broker had accepted the connection before it failed.
    pub(super) fn classify(error: &ConnectionError, broker: &str, accepted: bool) -> Self {
        let (cause, detail) = match rustls_error(error) {
            Some(error) => tls_cause(error),
            None => cause_of(error, accepted),
        };
        let unreadable = match error {
            ConnectionError::MqttState(StateError::Deserialization(fault)) => {
                // A DISCONNECT without a reason is legal (3.14.2.1), though the library cannot read it.
                !matches!(fault, PacketError::Io(_) | PacketError::PayloadRequired)
            }
            _ => false,
        };
        Self {
            unreadable: accepted && unreadable,
            ..Self::new(cause, broker, detail)
        }
    }
}

/// Remembers when accepted connections were closed without a word, and tells when that is no coincidence any more.
#[derive(Debug, Default)]
pub(super) struct Closings(VecDeque<Duration>);

impl Closings {
    /// The fault itself, or what it amounts to after those before it.
    pub(super) fn judge(&mut self, fault: Fault, broker: &str, now: Duration) -> Fault {
        if fault.cause != Cause::Closed {
            return fault;
        }
        self.0.push_back(now);
        if self.0.len() > CLOSINGS {
            self.0.pop_front();
        }
        let within = |first: &Duration| now.saturating_sub(*first) <= CLOSINGS_WITHIN;
        if self.0.len() == CLOSINGS && self.0.front().is_some_and(within) {
            return Fault::new(Cause::ThrownOut, broker, "");
        }
        fault
    }
}

fn cause_of(error: &ConnectionError, accepted: bool) -> (Cause, String) {
    let cause = match error {
        ConnectionError::ConnectionRefused(code) => {
            return (connect_cause(*code), format!("{code:?}"));
        }
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            return (disconnect_cause(*reason_code), format!("{reason_code:?}"));
        }
        ConnectionError::Tls(TlsError::Io(_)) => Cause::ClosedEarly,
        ConnectionError::Tls(_) => Cause::Tls,
        ConnectionError::Timeout(_) => return (Cause::NoAnswer, String::new()),
        ConnectionError::MqttState(StateError::AwaitPingResp) => Cause::Silent,
        ConnectionError::Io(error) => io_cause(error),
        _ if !accepted => Cause::ClosedEarly,
        ConnectionError::MqttState(StateError::Deserialization(fault))
            if !matches!(fault, PacketError::Io(_)) =>
        {
            Cause::Garbled
        }
        ConnectionError::MqttState(StateError::Unsolicited(_) | StateError::WrongPacket) => {
            Cause::Garbled
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => Cause::Closed,
        _ => Cause::Cut,
    };
    (cause, error.to_string())
}

/// The broker does not speak the version of MQTT that is configured.
pub(super) fn wrong_version(configured: Protocol, broker: &str) -> Fault {
    Fault {
        message: words::wrong_version(configured, broker),
        ..Fault::new(Cause::UnsupportedVersion, broker, "")
    }
}

fn connect_cause(code: ConnectReturnCode) -> Cause {
    use ConnectReturnCode as Code;
    match code {
        Code::BadUserNamePassword | Code::NotAuthorized | Code::BadAuthenticationMethod => {
            Cause::WrongCredentials
        }
        Code::ClientIdentifierNotValid | Code::BadClientId => Cause::ClientIdRefused,
        Code::Banned => Cause::Banned,
        Code::QuotaExceeded => Cause::QuotaExceeded,
        Code::UnsupportedProtocolVersion | Code::RefusedProtocolVersion => {
            Cause::UnsupportedVersion
        }
        Code::RetainNotSupported => Cause::NoRetain,
        Code::QoSNotSupported => Cause::NoQos1,
        Code::ServerUnavailable
        | Code::ServiceUnavailable
        | Code::ServerBusy
        | Code::ConnectionRateExceeded => Cause::Busy,
        _ => Cause::RefusedByBroker,
    }
}

fn disconnect_cause(code: DisconnectReasonCode) -> Cause {
    use DisconnectReasonCode as Code;
    match code {
        Code::SessionTakenOver => Cause::ClientIdTaken,
        Code::ServerShuttingDown => Cause::ShuttingDown,
        Code::QuotaExceeded => Cause::QuotaExceeded,
        Code::ServerBusy | Code::ConnectionRateExceeded => Cause::Busy,
        Code::RetainNotSupported => Cause::NoRetain,
        Code::QoSNotSupported => Cause::NoQos1,
        _ => Cause::ClosedByBroker,
    }
}

fn io_cause(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::NothingListens,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Cause::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Cause::Cut,
        // The kernel's own limit for connecting is longer than ours; a keep-alive of TCP may end like this, too.
        io::ErrorKind::TimedOut => Cause::NoAnswer,
        // What the standard library makes of a failed getaddrinfo has no kind of its own.
        _ if error.to_string().contains("lookup address")
            || error.kind() == io::ErrorKind::InvalidInput =>
        {
            Cause::NameNotFound
        }
        _ => Cause::Unreachable,
    }
}

fn tls_cause(error: &RustlsError) -> (Cause, String) {
    use CertificateError as Certificate;
    let cause = match error {
        RustlsError::InvalidCertificate(fault) => match fault {
            Certificate::UnknownIssuer | Certificate::BadSignature => Cause::CertificateUnknown,
            Certificate::Expired | Certificate::ExpiredContext { .. } => Cause::CertificateExpired,
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                Cause::CertificateNotYetValid
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                Cause::CertificateName
            }
            Certificate::Revoked => Cause::CertificateRevoked,
            other => return (Cause::CertificateUnusable, format!("{other:?}")),
        },
        RustlsError::AlertReceived(alert) => {
            let cause = match alert {
                AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure => {
                    Cause::ClientCertificateMissing
                }
                AlertDescription::CertificateExpired => Cause::ClientCertificateExpired,
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError => Cause::ClientCertificateRefused,
                _ => Cause::Tls,
            };
            return (cause, format!("{alert:?}"));
        }
        RustlsError::InvalidMessage(_) => return (Cause::NotTls, String::new()),
        _ => Cause::Tls,
    };
    (cause, error.to_string())
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
mod tests;
