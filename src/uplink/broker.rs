//! An MQTT broker inside the process, on a loopback port: `footfall demo` on machines without one.
//! It keeps nothing and checks nothing; never for real use.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Largest payload taken, bytes; above the largest batch the config allows.
const LARGEST_PAYLOAD: usize = 16 * 1024 * 1024;

/// The broker could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the built-in broker cannot be started ({0}); use another one and set uplink.broker")]
pub struct BrokerError(#[from] std::io::Error);

/// Starts the broker on a free port of 127.0.0.1 and gives the port. It runs, and holds a few threads,
/// until the process ends. It may take a moment until it listens: clients try again.
///
/// # Errors
/// [`BrokerError`]: no free port, or no more threads.
pub fn start() -> Result<u16, BrokerError> {
    // The library takes an address, not a socket: find a free port, then let go of it.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let listener = ServerSettings {
        name: "footfall-broker".into(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 5000,
            max_payload_size: LARGEST_PAYLOAD,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    let config = Config {
        router: RouterConfig {
            max_connections: 16,
            max_outgoing_packet_count: 200,
            max_segment_size: LARGEST_PAYLOAD,
            max_segment_count: 4,
            ..RouterConfig::default()
        },
        v5: Some(HashMap::from([("loopback".to_owned(), listener)])),
        ..Config::default()
    };
    thread::Builder::new()
        .name("footfall-broker".into())
        .spawn(move || {
            if let Err(error) = Broker::new(config).start() {
                tracing::error!(%error, "the built-in broker stopped");
            }
        })?;
    Ok(port)
}
