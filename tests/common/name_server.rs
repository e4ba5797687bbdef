//! A DNS server that knows one address, in a network of the test's own.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Set in the process that has its own network.
const INSIDE: &str = "FOOTFALL_TEST_OWN_NETWORK";

/// Runs the test `name` of this program again, in a network and with a resolver's configuration of its own, and says
/// whether this is already that run. Prints SKIPPED where the kernel does not allow it.
pub fn in_own_network(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let isolate = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "--net", "--"]);
        command
    };
    let allowed = isolate().args(["ip", "link", "set", "lo", "up"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this machine allows no network of our own (unshare, iproute2)");
        return false;
    }
    let dir = tempfile::tempdir().unwrap();
    let resolver = "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n";
    put(&dir.path().join("resolv.conf"), resolver);
    put(&dir.path().join("nsswitch.conf"), "hosts: dns\n");
    let script = format!(
        "set -e; ip link set lo up; for file in resolv.conf nsswitch.conf; do mount --bind {}/$file /etc/$file; done; exec \"$@\"",
        dir.path().display()
    );
    let ended = isolate()
        .args(["sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(ended.success(), "in its own network: {ended}");
    false
}

fn put(path: &Path, text: &str) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Answers every question for an address with the one it knows, or that there is none.
pub struct NameServer(Arc<Mutex<Option<Ipv4Addr>>>);

impl NameServer {
    /// Runs until the process ends.
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
        let known = Arc::new(Mutex::new(None));
        let server = Self(Arc::clone(&known));
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let address = *known.lock().unwrap();
                let _ = socket.send_to(&answer(&question[..length], address), from);
            }
        });
        server
    }

    /// `None`: the name does not exist.
    pub fn set(&self, address: Option<Ipv4Addr>) {
        *self.0.lock().unwrap() = address;
    }
}

/// RFC 1035, section 4; one question.
fn answer(question: &[u8], address: Option<Ipv4Addr>) -> Vec<u8> {
    // The question itself: labels up to an empty one, type and class; what follows it is left out.
    let labels = question[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &question[..12 + labels + 5];
    let of_address = question[question.len() - 4..question.len() - 2] == [0, 1];
    let found = address.filter(|_| of_address);
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, if address.is_some() { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
    answer.extend(&question[12..]);
    if let Some(address) = found {
        // The name as in the question, an address, for an hour: whoever kept it would not ask again in this test.
        answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0x0E, 0x10, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
