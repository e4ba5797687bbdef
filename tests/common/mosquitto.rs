//! A real mosquitto on a loopback port of its own, for tests: start, stop, kill and restart on the same
//! port, with persistence in a temporary directory.

#![allow(dead_code)] // each test file uses its own part

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Where Debian installs it, then wherever the path says.
const PROGRAMS: [&str; 2] = ["/usr/sbin/mosquitto", "mosquitto"];
/// How often a port is tried before a test gives up: 30 s in all.
const ATTEMPTS: usize = 3000;

/// A broker; dropping it kills it and removes its directory.
pub struct Mosquitto {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker that lets everybody in, with `more` lines of configuration. `None`, and a loud line,
    /// where mosquitto is not installed.
    pub fn start(more: &str) -> Option<Self> {
        Self::start_with(|_| format!("allow_anonymous true\n{more}"))
    }

    /// Starts a broker whose configuration (all but port and persistence) is made by `configure`, which may
    /// put files into the directory it is given.
    pub fn start_with(configure: impl FnOnce(&Path) -> String) -> Option<Self> {
        if program().is_none() {
            eprintln!("SKIPPED: mosquitto is not installed (apt-get install mosquitto)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let more = configure(dir.path());
        let port = free_port();
        let path = dir.path().display();
        // Started by root it would become the user `mosquitto`, who may not write here.
        let config = format!(
            "user root\nlistener {port} 127.0.0.1\npersistence true\npersistence_location {path}/\n\
             log_dest file {path}/log\nlog_type all\nmax_queued_messages 1000000\n{more}\n"
        );
        put(&dir.path().join("mosquitto.conf"), &config);
        let mut broker = Self {
            dir,
            port,
            child: None,
        };
        broker.run();
        Some(broker)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `mqtt://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// The directory with its configuration, log and stored messages.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it again after [`Mosquitto::stop`] or [`Mosquitto::kill`]; returns once it listens.
    pub fn run(&mut self) {
        let child = Command::new(program().unwrap())
            .arg("-c")
            .arg(self.dir.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        for _ in 0..ATTEMPTS {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "mosquitto ended: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("mosquitto does not listen: {}", self.log());
    }

    /// Ends it in order: it stores its sessions and messages.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, signal);
            }
            let _ = child.wait();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A TCP port of 127.0.0.1 that is free at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Writes a small file; tests need no durability.
pub fn put(path: &Path, content: &str) {
    use std::io::Write;
    fs::File::create(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .unwrap();
}

fn program() -> Option<PathBuf> {
    PROGRAMS.into_iter().map(PathBuf::from).find(|program| {
        Command::new(program)
            .arg("-h")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    })
}
