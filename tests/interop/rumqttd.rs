//! rumqttd as a process of its own, which is this test program once more: so it can be stopped and started again.
//! It keeps everything in memory.

use std::collections::HashMap;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use footfall::config::schema::Protocol;
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

use crate::broker::{PASSWORD, Wishes};
use crate::mosquitto::free_port;

/// Makes this program a broker: both ports, the largest packet, whether a password is asked for.
const ROLE: &str = "FOOTFALL_TEST_RUMQTTD";
const LARGEST: usize = 16 << 20;

pub struct Rumqttd {
    v5: u16,
    v311: u16,
    role: String,
    child: Option<Child>,
}

impl Rumqttd {
    pub fn start(wishes: &Wishes) -> Self {
        let (v5, v311) = (free_port(), free_port());
        let largest = wishes.largest_packet.unwrap_or(LARGEST);
        let mut broker = Self {
            v5,
            v311,
            role: format!("{v5} {v311} {largest} {}", u8::from(wishes.password)),
            child: None,
        };
        broker.run();
        broker
    }

    pub fn port(&self, protocol: Protocol) -> u16 {
        match protocol {
            Protocol::V5 => self.v5,
            Protocol::V311 => self.v311,
        }
    }

    pub fn run(&mut self) {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "rumqttd::runs_as_a_process_of_its_own",
                "--nocapture",
            ])
            .env(ROLE, &self.role)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        for port in [self.v5, self.v311] {
            let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            let mut tries = 0..3000;
            while !listens() {
                assert!(tries.next().is_some(), "rumqttd does not listen on {port}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Rumqttd {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn runs_as_a_process_of_its_own() {
    if let Ok(role) = std::env::var(ROLE) {
        be_a_broker(&role);
    }
    let mut broker = Rumqttd::start(&Wishes::default());
    broker.stop();
    let gone = TcpStream::connect((Ipv4Addr::LOCALHOST, broker.v5));
    assert!(gone.is_err(), "it still listens");
    broker.run();
}

fn be_a_broker(role: &str) -> ! {
    let numbers: Vec<usize> = role.split(' ').map(|word| word.parse().unwrap()).collect();
    let [v5, v311, largest, password] = numbers[..] else {
        panic!("{ROLE}={role}");
    };
    let listener = |name: &str, port: usize| {
        let users = HashMap::from([("box".to_owned(), PASSWORD.to_owned())]);
        let settings = ServerSettings {
            name: name.to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap())),
            tls: None,
            next_connection_delay_ms: 1,
            connections: ConnectionSettings {
                connection_timeout_ms: 5000,
                max_payload_size: largest,
                max_inflight_count: 100,
                auth: (password == 1).then_some(users),
                external_auth: None,
                dynamic_filters: true,
            },
        };
        Some(HashMap::from([(name.to_owned(), settings)]))
    };
    let config = Config {
        router: RouterConfig {
            max_connections: 32,
            max_outgoing_packet_count: 200,
            max_segment_size: LARGEST,
            max_segment_count: 8,
            ..RouterConfig::default()
        },
        v5: listener("v5", v5),
        v4: listener("v4", v311),
        ..Config::default()
    };
    // It ends with whoever started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let ended = Broker::new(config).start();
    panic!("rumqttd ended: {ended:?}");
}
