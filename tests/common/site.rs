//! A daemon with a page, and a client that sends it exactly the bytes a test wants.

#![allow(dead_code)] // each test file uses its own part

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use footfall::demo::SyntheticShop;

use crate::program::{Daemon, Home};
use crate::recording;

pub const PIN: &str = "274916";
/// A name under which a caller is not on the box.
pub const ELSEWHERE: &str = "192.168.7.7:8080";
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon with a page.
pub struct Site {
    pub port: u16,
    pub daemon: Daemon,
}

/// An answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The session that was opened, as a `Cookie` header.
    pub fn session(&self) -> String {
        let cookie = self.header("set-cookie").unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
            assert!(cookie.contains(part), "{cookie}");
        }
        format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
    }
}

impl Site {
    /// Starts a daemon whose `[status]` has these further lines and whose config ends with `sensors`.
    pub fn start(home: &Home, status: &str, sensors: &str) -> Self {
        let port = free_port();
        let listen = format!("listen = \"127.0.0.1:{port}\"\n{status}");
        let path = home.config("page.toml", "listen = \"\"", &listen);
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.split("[[camera]]").next().unwrap().to_owned() + sensors;
        let config = home.put("page.toml", text.as_bytes());
        let mut daemon = Daemon::start(home, &config);
        daemon.says("status page");
        Self { port, daemon }
    }

    /// A daemon that asks for [`PIN`].
    pub fn with_pin(home: &Home, status: &str, sensors: &str) -> Self {
        set_pin(home, PIN);
        Self::start(home, &format!("pin_file = \"pin\"\n{status}"), sensors)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request with these further header lines to the page under the name `host`.
    pub fn ask(&self, line: &str, host: &str, headers: &str, body: &str) -> Answer {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(request.as_bytes())
    }

    pub fn send(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has heard enough answers and closes; what it says is looked at, not what it did not take.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = end.map_or_else(Vec::new, |end| answer.split_off(end + 4));
        let head = String::from_utf8_lossy(&answer).into_owned();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head,
            body,
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &self.host(), "", "")
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn log_in(&self, pin: &str) -> Answer {
        let form = "Origin: http://192.168.7.7:8080\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        self.ask("POST /login", ELSEWHERE, form, &format!("pin={pin}"))
    }
}

pub fn set_pin(home: &Home, pin: &str) {
    let path = home.path("pin");
    let mut command = home.footfall(["status", "pin", "--file", path.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let line = format!("{pin}\n");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(line.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A camera that sees the synthetic shop for ever.
pub fn shop_camera(home: &Home) -> String {
    recording::record(&home.path("shop"));
    let line = SyntheticShop::new(1, 1.0, 10.0).line();
    format!(
        "[[camera]]\nid = \"door\"\nfile = \"shop\"\nrepeat = true\npicture_fps = 20.0\nmodel = \"person-oblique-int8.toml\"\n\
         [[camera.line]]\nid = \"line\"\npoints = {:?}\nleft = \"street\"\nright = \"shop\"\n",
        line.points
    )
}
