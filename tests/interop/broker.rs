//! A broker of either kind, and the box's side of it.

use std::path::Path;
use std::process::Command;

use footfall::config::schema::{self, Protocol};

use crate::mosquitto::{Mosquitto, put};
use crate::rumqttd::Rumqttd;
use crate::uplink_rig::plain;

pub const PASSWORD: &str = "open-sesame";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mosquitto,
    Rumqttd,
}

/// Where a case runs: the broker, and the version of MQTT the box speaks. The cloud always speaks 5.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub kind: Kind,
    pub protocol: Protocol,
}

/// What a case needs of its broker.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The box must come as user `box` with [`PASSWORD`].
    pub password: bool,
    /// Largest packet taken, bytes.
    pub largest_packet: Option<usize>,
    /// Mosquitto only: more lines of its configuration.
    pub lines: String,
}

impl At {
    pub fn is(self, kind: Kind, protocol: Protocol) -> bool {
        (self.kind, self.protocol) == (kind, protocol)
    }

    /// Starts the broker. `None`, and a loud line, where Mosquitto is not installed.
    pub fn broker(self, wishes: &Wishes) -> Option<Broker> {
        let program = match self.kind {
            Kind::Mosquitto => Program::Mosquitto(Mosquitto::start_with(|dir| lines(dir, wishes))?),
            Kind::Rumqttd => Program::Rumqttd(Rumqttd::start(wishes)),
        };
        Some(Broker { program, at: self })
    }

    /// Says loudly what cannot be done here, and why; the case then asserts what happens instead.
    pub fn gap(self, reason: &str) {
        eprintln!("GAP {:?} with {:?}: {reason}", self.kind, self.protocol);
    }

    /// The config of a box that connects to `port`.
    pub fn config(self, port: u16) -> schema::Uplink {
        schema::Uplink {
            protocol: self.protocol,
            ..plain(format!("mqtt://127.0.0.1:{port}"))
        }
    }
}

fn lines(dir: &Path, wishes: &Wishes) -> String {
    let mut lines = wishes.lines.clone();
    if wishes.password {
        let file = dir.join("passwords");
        put(&file, &format!("box:{PASSWORD}\n"));
        let hashed = Command::new("mosquitto_passwd")
            .arg("-U")
            .arg(&file)
            .status();
        assert!(hashed.unwrap().success());
        lines += &format!("allow_anonymous false\npassword_file {}\n", file.display());
    } else {
        lines += "allow_anonymous true\n";
    }
    if let Some(bytes) = wishes.largest_packet {
        lines += &format!("max_packet_size {bytes}\n");
    }
    lines
}

enum Program {
    Mosquitto(Mosquitto),
    Rumqttd(Rumqttd),
}

pub struct Broker {
    program: Program,
    at: At,
}

impl Broker {
    /// Where a version is spoken.
    pub fn port_for(&self, protocol: Protocol) -> u16 {
        match &self.program {
            Program::Mosquitto(mosquitto) => mosquitto.port(),
            Program::Rumqttd(rumqttd) => rumqttd.port(protocol),
        }
    }

    pub fn cloud_port(&self) -> u16 {
        self.port_for(Protocol::V5)
    }

    /// Where the box's version is spoken.
    pub fn port(&self) -> u16 {
        self.port_for(self.at.protocol)
    }

    pub fn config(&self) -> schema::Uplink {
        self.at.config(self.port())
    }

    pub fn stop(&mut self) {
        match &mut self.program {
            Program::Mosquitto(mosquitto) => mosquitto.stop(),
            Program::Rumqttd(rumqttd) => rumqttd.stop(),
        }
    }

    pub fn run(&mut self) {
        match &mut self.program {
            Program::Mosquitto(mosquitto) => mosquitto.run(),
            Program::Rumqttd(rumqttd) => rumqttd.run(),
        }
    }
}
