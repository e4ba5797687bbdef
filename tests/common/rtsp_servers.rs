//! RTSP servers that others have written, with one recording at `/shop`: GStreamer's and VLC.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};

/// GStreamer's server with one recording at `/shop`.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    /// `None` and a word where it is not installed. Port 0: any that is free.
    pub fn start(clip: &Path, port: u16, more: &[&str]) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtsp_server.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(clip)
            .args(["--port", &port.to_string()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .inspect_err(|why| eprintln!("SKIPPED: /usr/bin/python3: {why}"))
            .ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if let Some(port) = line.strip_prefix("ready ") {
            let port = port.trim().parse().unwrap();
            return Some(Self { child, port });
        }
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(77), "the RTSP server does not start");
        eprintln!(
            "SKIPPED: no RTSP server; apt install python3-gi gir1.2-gst-rtsp-server-1.0 \
             gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
        );
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// VLC, which plays a recording once, to whoever is there.
pub struct Vlc(Child);

impl Vlc {
    /// `None` and a word where it is not installed. It does not run as root, so there it runs as nobody.
    pub fn start(clip: &Path, port: u16) -> Option<Self> {
        let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if !has("cvlc") {
            eprintln!(
                "SKIPPED: no VLC; apt install --no-install-recommends vlc-bin vlc-plugin-base"
            );
            return None;
        }
        let mut command = match geteuid().is_root() {
            true if has("runuser") => {
                let mut command = Command::new("runuser");
                command.args(["-u", "nobody", "--", "cvlc"]);
                command
            }
            _ => Command::new("cvlc"),
        };
        // A group of its own: what runuser starts must go with it.
        command.process_group(0);
        let child = command
            .args(["-I", "dummy", "--quiet", "--no-audio", "--loop"])
            .arg(clip)
            .arg(format!("--sout=#rtp{{sdp=rtsp://127.0.0.1:{port}/shop}}"))
            .arg("--sout-keep")
            .env("HOME", "/tmp")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self(child))
    }
}

impl Drop for Vlc {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
    }
}
