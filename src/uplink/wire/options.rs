//! How a box connects, in both versions of MQTT.

use std::time::Duration;

use rumqttc::v5;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::LastWill;
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};

use super::{CONNECT_TIMEOUT, Options};
use crate::config::schema::Protocol;
use crate::uplink::desk::{COMMANDS_AHEAD, KEPT_FOR_S, LARGEST_INCOMING};
use crate::uplink::settings::Settings;

/// Published by the broker when the box vanishes.
pub(in crate::uplink) const OFFLINE: &str = r#"{"online":false}"#;
/// The largest packet MQTT can express.
pub(in crate::uplink) const LARGEST_PACKET: usize = 268_435_455;
/// What the kernel may buffer on the way out. With more, pings of a slow uplink would queue behind
/// megabytes of batches and the connection would be taken for dead.
const SEND_BUFFER: u32 = 64 * 1024;
/// The library gives up a write in 3.1.1 after its time for connecting. The uplink's own patience is shorter, so that
/// it is the same in both versions.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// Largest packet that is read in 3.1.1, bytes. A box cannot tell the broker of a limit, and a packet above it costs the
/// connection and the commands that wait; so this is more than any command needs.
pub(super) const LARGEST_READ: u32 = 1024 * 1024;

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub(in crate::uplink) struct Terms {
    /// Subscribe to the command topic.
    pub(in crate::uplink) listen: bool,
    /// Only ask the broker to forget what it keeps for this box.
    pub(in crate::uplink) fresh: bool,
}

/// The box's own connection.
pub(in crate::uplink) fn options(settings: &Settings, terms: Terms) -> Options {
    match settings.protocol {
        Protocol::V5 => Options::V5(Box::new(v5_options(settings, terms))),
        Protocol::V311 => Options::V311(Box::new(v311_options(settings, terms))),
    }
}

/// A connection in 3.1.1 that only asks whether the broker speaks it. Under a name of its own, or it would throw out the
/// box's session.
pub(in crate::uplink) fn probe(settings: &Settings) -> Options {
    let id = format!("{}-probe", settings.client_id);
    Options::V311(Box::new(base_v311(settings, &id)))
}

pub(super) fn network() -> NetworkOptions {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_tcp_send_buffer_size(SEND_BUFFER);
    network.set_connection_timeout(WRITE_TIMEOUT.as_secs());
    network
}

fn v5_options(settings: &Settings, terms: Terms) -> v5::MqttOptions {
    let mut options = v5::MqttOptions::new(&settings.client_id, &settings.host, settings.port);
    options
        .set_keep_alive(settings.keep_alive)
        .set_connection_timeout(CONNECT_TIMEOUT.as_secs())
        .set_network_options(network())
        // The broker keeps nothing of what we publish between connections: what is unacknowledged is in the outbox and
        // is sent again. It keeps commands for us, if we take any.
        .set_clean_start(terms.fresh || !terms.listen)
        // Bounds the library's tables (one slot for each possible packet id) and makes its ring of packet
        // ids as long as our window.
        .set_outgoing_inflight_upper_limit(settings.inflight);
    if !terms.fresh {
        options.set_last_will(LastWill::new(
            settings.topics.state(),
            OFFLINE,
            QoS::AtLeastOnce,
            true,
            None,
        ));
    }
    if terms.listen {
        options
            .set_session_expiry_interval((!terms.fresh).then_some(KEPT_FOR_S))
            .set_receive_maximum(Some(COMMANDS_AHEAD))
            .set_max_packet_size(Some(LARGEST_INCOMING))
            .set_manual_acks(true);
    }
    if let Some((user, password)) = &settings.credentials {
        options.set_credentials(user, &password.0);
    }
    if let Some(tls) = transport(settings) {
        options.set_transport(tls);
    }
    options
}

fn v311_options(settings: &Settings, terms: Terms) -> rumqttc::MqttOptions {
    let mut options = base_v311(settings, &settings.client_id);
    options
        .set_clean_session(terms.fresh || !terms.listen)
        .set_manual_acks(terms.listen);
    if !terms.fresh {
        options.set_last_will(rumqttc::LastWill::new(
            settings.topics.state(),
            OFFLINE,
            rumqttc::QoS::AtLeastOnce,
            true,
        ));
    }
    options
}

fn base_v311(settings: &Settings, client_id: &str) -> rumqttc::MqttOptions {
    let mut options = rumqttc::MqttOptions::new(client_id, &settings.host, settings.port);
    options
        .set_keep_alive(settings.keep_alive)
        .set_max_packet_size(LARGEST_READ as usize, LARGEST_PACKET)
        .set_inflight(settings.inflight);
    if let Some((user, password)) = &settings.credentials {
        options.set_credentials(user, &password.0);
    }
    if let Some(tls) = transport(settings) {
        options.set_transport(tls);
    }
    options
}

fn transport(settings: &Settings) -> Option<Transport> {
    let tls = settings.tls.clone()?;
    Some(Transport::tls_with_config(TlsConfiguration::Rustls(tls)))
}
