//! A daemon that obeys commands, in a directory of its own.

#![allow(dead_code)] // each test file uses its own part

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use footfall::command::id::CommandId;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::mosquitto::put;
use crate::operator::{Operator, Said, command, keygen};

/// A box that trusts the key `ops`, and somebody who holds it.
pub struct Shop {
    pub dir: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Shop {
    pub fn new(broker: &str, clock: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        keygen(dir.path(), "ops");
        let shop = Self { dir, daemon: None };
        put(
            &shop.path("footfall.toml"),
            &format!(
                "[device]\ntenant = \"t\"\nstore = \"s\"\nbox = \"b\"\nclock = \"{clock}\"\n\
                 [outbox]\ndir = \"data\"\n[uplink]\nbroker = \"{}\"\n[status]\nlisten = \"\"\n\
                 [command]\nkeys = [\"ops.pub\"]\n{more}",
                broker
            ),
        );
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts with these environment variables besides.
    pub fn start_with(&mut self, variables: &[(&str, &str)]) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args(["run", "--config"])
            .arg(self.path("footfall.toml"))
            .env_remove("FOOTFALL_LOG")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
    }

    pub fn end(&mut self, signal: Signal) {
        let mut child = self.daemon.take().unwrap();
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended:\n{}",
            self.log()
        );
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap();
    }

    /// kill -9, also where it has ended by itself meanwhile.
    pub fn kill_if_there(&mut self) {
        let mut child = self.daemon.take().unwrap();
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Waits for a daemon that was asked to end.
    pub fn ends_by_itself(&mut self) -> std::process::ExitStatus {
        let mut child = self.daemon.take().unwrap();
        for _ in 0..600 {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        self.daemon = Some(child);
        panic!("it does not end:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A command by the key `kid`: its id, and the text to publish.
    pub fn sign(&self, kid: &str, name: &str, more: &[&str]) -> (String, String) {
        let id = CommandId::from_random(rand()).to_string();
        let key = self.path(&format!("{kid}.key"));
        let mut args = vec![
            "sign",
            "--key",
            key.to_str().unwrap(),
            "--name",
            name,
            "--id",
            &id,
        ];
        if !more.contains(&"--box") {
            args.extend(["--box", "b"]);
        }
        args.extend(more);
        let text = command(args);
        (id, text)
    }

    /// Publishes a command and waits for its answer.
    pub async fn ask(&self, operator: &mut Operator, name: &str, args: &Value) -> Value {
        let (id, text) = self.sign("ops", name, &["--args", &args.to_string()]);
        operator.publish(text).await;
        operator.answer(&id).await
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(child) = &mut self.daemon {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

pub fn rand() -> [u8; 16] {
    fastrand::u128(..).to_be_bytes()
}

/// The first state after which the box takes commands.
pub async fn online(operator: &mut Operator, nth: usize) -> Value {
    let online = |said: &Said| said.topic == "state" && said.json()["online"] == true;
    operator.hears_nth("online", nth, online).await.json()
}
