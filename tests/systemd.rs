//! The service as systemd sees it: readiness, the watchdog and what feeds it, the end, and the unit files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/program.rs"]
mod program;
#[path = "common/pty.rs"]
mod pty;

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use program::{Home, footfall, skipped};
use pty::SerialScanner;
use rustix::process::{Pid, Signal, kill_process};

/// Far more than any of it takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// systemd's patience in these tests; the daemon feeds eight times as often.
const WATCHDOG_USEC: &str = "4000000";

/// A daemon without sensors, and the socket on which systemd would listen.
struct Service {
    daemon: Child,
    socket: UnixDatagram,
    said: String,
}

impl Service {
    fn start(home: &Home, data: &Path) -> Self {
        let config = home.put(
            "service.toml",
            format!(
                "[device]\ntenant = \"t\"\nstore = \"s\"\nbox = \"b\"\n[outbox]\ndir = {data:?}\n[status]\nlisten = \"\"\n\
                 [[scanner]]\nid = \"shelf\"\ndevice = {:?}\n",
                home.path("scanner")
            )
            .as_bytes(),
        );
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = footfall(["run".as_ref(), "--config".as_ref(), config.as_os_str()]);
        let daemon = command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", WATCHDOG_USEC)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = String::new();
        Self {
            daemon,
            socket,
            said,
        }
    }

    /// Waits until the daemon says exactly this line.
    fn says(&mut self, line: &str) {
        let mut buffer = [0; 4096];
        loop {
            let length = self
                .socket
                .recv(&mut buffer)
                .unwrap_or_else(|why| panic!("no {line:?} ({why}); it said:\n{}", self.said));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            self.said += &text;
            if text.lines().any(|one| one == line) {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn the_daemon_says_when_it_is_ready_that_it_lives_and_that_it_leaves() {
    let home = Home::new();
    let mut service = Service::start(&home, &home.path("data"));
    service.says("READY=1");
    for _ in 0..3 {
        service.says("WATCHDOG=1");
    }
    service.signal(Signal::TERM);
    service.says("STOPPING=1");
    assert_eq!(service.daemon.wait().unwrap().code(), Some(0));
}

/// A small file system of its own that can be frozen: whoever writes to it then waits, as for a dying card.
struct Disk {
    place: PathBuf,
}

impl Disk {
    fn mount(home: &Home) -> Option<Self> {
        let image = home.path("disk.img");
        std::fs::File::create(&image)
            .unwrap()
            .set_len(64 << 20)
            .unwrap();
        let place = home.path("disk");
        std::fs::create_dir(&place).unwrap();
        let done = run(Command::new("mkfs.ext4").arg("-q").arg(&image))
            && run(Command::new("mount")
                .args(["-o", "loop"])
                .arg(&image)
                .arg(&place));
        done.then_some(Self { place })
    }

    /// Whoever writes now waits until the value is gone.
    fn freeze(&self) -> Frozen<'_> {
        let freeze = Command::new("fsfreeze")
            .arg("--freeze")
            .arg(&self.place)
            .status();
        assert!(freeze.unwrap().success());
        Frozen(&self.place)
    }
}

/// A frozen disk; it thaws with this value, also when a test fails, so that the daemon can be ended.
struct Frozen<'a>(&'a Path);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        run(Command::new("fsfreeze").arg("--unfreeze").arg(self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.place));
    }
}

fn run(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

#[test]
fn a_daemon_whose_disk_hangs_is_not_said_to_live_and_goes_on_when_it_wakes_up() {
    let home = Home::new();
    let Some(disk) = Disk::mount(&home) else {
        return skipped("a disk that hangs: mounting and freezing a file system needs root");
    };
    let mut scanner = SerialScanner::at(&home.path("scanner"));
    scanner.plug_in();
    let mut service = Service::start(&home, &disk.place.join("data"));
    service.says("WATCHDOG=1");
    let frozen = disk.freeze();
    // Something to store; the first codes come before the reader is there and are passed over.
    let scanning = std::thread::spawn(move || {
        for _ in 0..100 {
            scanner.send(b"9520000000011\r");
            std::thread::sleep(Duration::from_millis(600));
        }
    });
    let patience = Duration::from_micros(WATCHDOG_USEC.parse().unwrap());
    service.socket.set_read_timeout(Some(patience)).unwrap();
    let mut buffer = [0; 4096];
    let mut fed = 0;
    while service.socket.recv(&mut buffer).is_ok() {
        fed += 1;
        assert!(fed < 200, "still fed with a frozen disk");
    }
    drop(frozen);
    service.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    service.says("WATCHDOG=1");
    drop(service);
    drop(scanning);
}

#[test]
fn the_unit_is_valid_and_locked_down() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/footfall.service");
    let dir = tempfile::tempdir().unwrap();
    // `verify` wants the program to be there; it is not installed where this is tested.
    let text = std::fs::read_to_string(&unit).unwrap();
    let program = "/usr/bin/footfall";
    assert!(text.contains(program));
    let copy = dir.path().join("footfall.service");
    durable(
        &copy,
        &text.replace(program, env!("CARGO_BIN_EXE_footfall")),
    );
    let Ok(verify) = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output()
    else {
        return skipped("the unit files: systemd-analyze is not installed");
    };
    let complaints = String::from_utf8_lossy(&verify.stderr).into_owned();
    assert!(
        verify.status.success() && !complaints.contains("footfall.service"),
        "{complaints}"
    );

    // With and without the right to listen to Wi-Fi. The threshold is in tenths.
    let wifi = std::fs::read_to_string(unit.with_file_name("footfall-wifi.conf")).unwrap();
    for (name, text) in [("plain", text.clone()), ("wifi", text.clone() + &wifi)] {
        durable(&copy, &text);
        let security = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=20"])
            .arg(&copy)
            .output()
            .unwrap();
        assert!(
            security.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&security.stdout)
        );
    }
}

fn durable(path: &Path, text: &str) {
    footfall::durable::write(path, text.as_bytes()).unwrap();
}
