//! A daemon with one camera as a process of its own, and what it says.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::mosquitto::{free_port, put};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Patience for a condition; far more than it needs, so that a slow machine only makes the test slow.
const TRIES: u32 = 1200;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// Vertical middle of the picture, and the horizontal one where feet cross it.
const LINES: &str = "[[camera.line]]\nid = \"middle\"\npoints = [[0.5, 1.0], [0.5, 0.0]]\n\
                     [[camera.line]]\nid = \"across\"\npoints = [[0.0, 0.5], [1.0, 0.5]]\n";

/// A daemon with one camera, in a directory of its own.
pub struct Shop {
    dir: tempfile::TempDir,
    page: u16,
    daemon: Child,
}

impl Shop {
    /// `camera`: the lines of `[[camera]]` that say where its pictures come from.
    pub fn open(camera: &str) -> Self {
        Self::open_with(camera, "")
    }

    /// `more`: further sections of the config.
    pub fn open_with(camera: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let page = free_port();
        let config = dir.path().join("footfall.toml");
        put(&config, &(config_text(page, camera) + more));
        put(&dir.path().join("password"), "right\n");
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args(["run", "--config"])
            .arg(config)
            .env("FOOTFALL_LOG", "debug")
            .current_dir(ROOT)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { dir, page, daemon }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The camera's part of the running daemon's report; `None` while it does not answer.
    pub fn camera(&self) -> Option<Value> {
        let out = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args(["status", "--json", "--at"])
            .arg(format!("127.0.0.1:{}", self.page))
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&out.stdout).ok()?;
        report["sensors"].get(0).cloned()
    }

    pub fn wait_for(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..TRIES {
            if let Some(camera) = self.camera().filter(&condition) {
                return camera;
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        panic!(
            "never: {what}; last {:?}; log:\n{}",
            self.camera(),
            self.log()
        );
    }

    /// The processes that the daemon has started.
    pub fn helpers(&self) -> Vec<PathBuf> {
        let mine = self.daemon.id().to_string();
        let is_child = |process: &PathBuf| {
            let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
            let parent = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.split(' ').nth(1));
            parent == Some(&mine)
        };
        let all = std::fs::read_dir("/proc").unwrap();
        let all = all.filter_map(|entry| Some(entry.ok()?.path()));
        all.filter(is_child).collect()
    }

    /// Threads, open files and resident memory (KiB) of the daemon.
    pub fn weight(&self) -> (usize, usize, u64) {
        let proc = PathBuf::from(format!("/proc/{}", self.daemon.id()));
        let count = |dir: &str| std::fs::read_dir(proc.join(dir)).unwrap().count();
        let status = std::fs::read_to_string(proc.join("status")).unwrap();
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        (count("task"), count("fd"), rss.unwrap())
    }

    /// Stops the daemon and gives back its events, oldest first.
    pub fn close(mut self) -> (Vec<Value>, String) {
        let pid = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert!(self.daemon.wait().unwrap().success(), "{}", self.log());
        let out = Command::new(env!("CARGO_BIN_EXE_footfall"))
            .args(["outbox", "dump", "--data"])
            .arg(self.dir.path().join("data"))
            .output()
            .unwrap();
        let events = out.stdout.split(|byte| *byte == b'\n');
        let events = events.filter_map(|line| serde_json::from_slice(line).ok());
        (events.collect(), self.log())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

pub fn config_text(page: u16, camera: &str) -> String {
    let weights = std::env::var_os("FOOTFALL_DATA").map(|data| Path::new(&data).join("models"));
    format!(
        "[device]\ntenant = \"t\"\nstore = \"s\"\nbox = \"b\"\n[outbox]\ndir = \"data\"\n\
         [status]\nlisten = \"127.0.0.1:{page}\"\n[vision]\nmodels = [{:?}]\n\
         [[camera]]\nid = \"door\"\nmodel = \"fastestdet-352\"\n{camera}\n{LINES}",
        weights.unwrap_or_default()
    )
}
