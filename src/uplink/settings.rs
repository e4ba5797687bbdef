//! What the uplink needs to know, checked and with all files read.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::address::{self, Address, AddressError};
use super::encoding::Encoding;
use super::tls::{self, TlsFileError};
use super::topics::{TopicError, Topics};
use super::wire::LARGEST_PACKET;
use crate::config::schema::{self, Compression, Protocol};
use crate::event::Identity;

/// Longest password file that is read, bytes.
const LONGEST_PASSWORD: usize = 4096;

/// Why the uplink cannot start. All of them are faults of the config.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("uplink: {0}")]
    Combination(&'static str),
    #[error(
        "uplink.password_file: {path} cannot be used ({why}); it must hold the password alone and be readable for the daemon"
    )]
    Password { path: PathBuf, why: String },
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error(transparent)]
    Topic(#[from] TopicError),
}

/// A text that never shows in logs.
#[derive(Clone)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// See the module. Reading the files again takes a restart.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) credentials: Option<(String, Secret)>,
    pub(super) client_id: String,
    pub(super) boot_id: String,
    pub(super) topics: Topics,
    pub(super) protocol: Protocol,
    pub(super) keep_alive: Duration,
    pub(super) inflight: u16,
    pub(super) batch_events: usize,
    /// Bytes, before compression.
    pub(super) batch_bytes: usize,
    /// Bytes of one packet, whatever the broker says.
    pub(super) largest_packet: usize,
    /// Of batches.
    pub(super) encoding: Encoding,
}

impl Settings {
    /// `None` when no broker is configured.
    ///
    /// # Errors
    /// [`UplinkError`], with the key and what to do.
    pub fn from_config(
        config: &schema::Uplink,
        identity: &Identity,
    ) -> Result<Option<Self>, UplinkError> {
        let Some(url) = config.broker.as_deref() else {
            return Ok(None);
        };
        let Address {
            over_tls,
            host,
            port,
        } = address::parse(url)?;
        Ok(Some(Self {
            host,
            port,
            tls: tls_client(config, over_tls)?.map(Arc::new),
            credentials: credentials(config)?,
            // The id must be unique at the broker, or two boxes would throw each other out for ever.
            client_id: format!(
                "footfall-{}-{}-{}",
                identity.tenant, identity.store, identity.box_id
            ),
            boot_id: identity.boot_id.clone(),
            topics: Topics::new(identity)?,
            // The config's checks reject other values; clamped all the same, since the MQTT library
            // panics below 5 s and a window of 0 would send nothing.
            protocol: config.protocol,
            keep_alive: Duration::from_secs(config.keep_alive_s.clamp(5, 3600).into()),
            inflight: config.inflight.clamp(1, 100),
            batch_events: config.batch_events.clamp(1, 1000),
            batch_bytes: config.batch_kib.clamp(4, 4096) * 1024,
            largest_packet: config.max_packet_kib.map_or(LARGEST_PACKET, |kib| {
                kib.saturating_mul(1024).clamp(1024, LARGEST_PACKET)
            }),
            encoding: match config.compression {
                Compression::None => Encoding::Identity,
                Compression::Zstd => Encoding::Zstd,
            },
        }))
    }

    /// The box's topics.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// `host:port`, for messages.
    #[must_use]
    pub fn broker(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

fn credentials(config: &schema::Uplink) -> Result<Option<(String, Secret)>, UplinkError> {
    let (user, file) = match (&config.username, &config.password_file) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            return Err(UplinkError::Combination(
                "password_file without username; set username too",
            ));
        }
        (Some(user), None) => return Ok(Some((user.clone(), Secret(String::new())))),
        (Some(user), Some(file)) => (user, file),
    };
    let fault = |why: String| UplinkError::Password {
        path: file.clone(),
        why,
    };
    let bytes = fs::read(file).map_err(|error: io::Error| fault(error.to_string()))?;
    if bytes.len() > LONGEST_PASSWORD {
        return Err(fault(format!("longer than {LONGEST_PASSWORD} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| fault("not UTF-8 text".to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let password = text.strip_suffix('\r').unwrap_or(text);
    if password.is_empty() {
        return Err(fault("empty".to_owned()));
    }
    Ok(Some((user.clone(), Secret(password.to_owned()))))
}

fn tls_client(
    config: &schema::Uplink,
    over_tls: bool,
) -> Result<Option<ClientConfig>, UplinkError> {
    let identity = match (&config.cert_file, &config.key_file) {
        (Some(cert), Some(key)) => Some((cert.as_path(), key.as_path())),
        (None, None) => None,
        _ => {
            return Err(UplinkError::Combination(
                "cert_file and key_file belong together; set both or none",
            ));
        }
    };
    match (&config.ca_file, over_tls) {
        (Some(ca), true) => Ok(Some(tls::client(ca, identity)?)),
        (None, true) => Err(UplinkError::Combination(
            "mqtts:// needs ca_file, the certificate of the authority that signed the broker's",
        )),
        (None, false) if identity.is_none() => Ok(None),
        (_, false) => Err(UplinkError::Combination(
            "ca_file, cert_file and key_file are for TLS, but broker says mqtt:// (plain); write mqtts://",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use std::io::Write;

    fn identity() -> Identity {
        Identity {
            tenant: "acme".into(),
            store: "shop-7".into(),
            box_id: "box-0042".into(),
            boot_id: "5f0c".into(),
            zone: TimeZone::UTC,
        }
    }

    fn with_broker(url: &str) -> schema::Uplink {
        schema::Uplink {
            broker: Some(url.into()),
            ..schema::Uplink::default()
        }
    }

    #[test]
    fn without_a_broker_there_is_no_uplink_and_that_is_no_error() {
        let none = Settings::from_config(&schema::Uplink::default(), &identity()).unwrap();
        assert!(none.is_none());
    }

    #[test]
    fn the_password_loses_one_line_end_and_never_shows() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"s3cret\r\n").unwrap();
        let config = schema::Uplink {
            username: Some("box".into()),
            password_file: Some(file.path().into()),
            ..with_broker("mqtt://broker")
        };
        let settings = Settings::from_config(&config, &identity())
            .unwrap()
            .unwrap();
        assert_eq!(settings.credentials.as_ref().unwrap().1.0, "s3cret");
        assert!(!format!("{settings:?}").contains("s3cret"));
        assert_eq!(settings.client_id, "footfall-acme-shop-7-box-0042");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused_with_what_to_do() {
        let cases = [
            (with_broker("mqtts://broker"), "needs ca_file"),
            (
                schema::Uplink {
                    ca_file: Some("ca.pem".into()),
                    ..with_broker("mqtt://broker")
                },
                "write mqtts://",
            ),
            (
                schema::Uplink {
                    cert_file: Some("box.pem".into()),
                    ..with_broker("mqtts://broker")
                },
                "belong together",
            ),
            (
                schema::Uplink {
                    password_file: Some("p".into()),
                    ..with_broker("mqtt://broker")
                },
                "without username",
            ),
        ];
        for (config, expected) in cases {
            let text = Settings::from_config(&config, &identity())
                .unwrap_err()
                .to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
