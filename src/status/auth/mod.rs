//! Who may see what: the PIN, its sessions, and the callers on the box itself.
//!
//! | caller | page | `/api/v1/*` | `/metrics` |
//! |---|---|---|---|
//! | on the box, no PIN set up | yes | yes | yes |
//! | on the box | with the PIN | yes | yes |
//! | elsewhere | with the PIN | with the PIN | with the PIN, or when `status.metrics = "open"` |
//!
//! `/healthz` and `/readyz` are for everybody. "On the box" is a connection over loopback to a loopback name: a web page
//! that points a name of its own at 127.0.0.1 is not.

mod lockout;
pub mod pin;
mod sessions;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tracing::{info, warn};
use zeroize::Zeroizing;

use self::lockout::Lockout;
use self::sessions::Sessions;
use crate::clock::SharedClock;
use crate::config::schema::{MetricsAccess, Status};
use crate::words::Words;

/// The session's cookie.
const COOKIE: &str = "footfall_session";

/// What the config says about access.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Where the PIN's hash is; without it only callers on the box are let in.
    pub pin_file: Option<PathBuf>,
    /// `/metrics` is for everybody.
    pub metrics_open: bool,
}

impl From<&Status> for Access {
    fn from(status: &Status) -> Self {
        Self {
            pin_file: status.pin_file.clone(),
            metrics_open: status.metrics == MetricsAccess::Open,
        }
    }
}

/// What came of an attempt to log in.
pub enum Entry {
    /// The session's token.
    In(String),
    /// Wrong PIN; so many tries are left.
    Wrong(u32),
    /// No PIN is looked at for so long.
    Locked(Duration),
    /// There is no PIN to compare with.
    NoPin(Words),
}

/// Watches over the page.
pub struct Gate {
    access: Access,
    clock: SharedClock,
    book: Mutex<Book>,
    /// One attempt after the other: hashing takes 19 MiB, and none may slip past the lock.
    attempt: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Book {
    lockout: Lockout,
    sessions: Sessions,
    /// The hash that the sessions were opened with.
    hash: String,
}

impl Gate {
    #[must_use]
    pub fn new(access: Access, clock: SharedClock) -> Self {
        Self {
            access,
            clock,
            book: Mutex::default(),
            attempt: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the page asks for a PIN.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.access.pin_file.is_some()
    }

    /// Whether `/metrics` is for everybody.
    #[must_use]
    pub const fn metrics_open(&self) -> bool {
        self.access.metrics_open
    }

    /// Tries to log in. The PIN's file is read each time: a new PIN counts at once, and the first login with it ends
    /// the sessions of the old one.
    pub async fn enter(&self, pin: Zeroizing<String>) -> Entry {
        let Some(path) = self.access.pin_file.clone() else {
            return Entry::NoPin(Words::new(
                "no PIN is set up; name its file as status.pin_file in the config",
                "未设置 PIN；请在配置文件中设置 status.pin_file",
            ));
        };
        let _one = self.attempt.lock().await;
        if let Some(left) = self.book().lockout.locked(self.now()) {
            return Entry::Locked(left);
        }
        let checked = tokio::task::spawn_blocking(move || {
            let hash = pin::read(&path)?;
            let right = pin::is_right(&pin, &hash);
            Ok::<_, pin::PinError>((hash, right))
        });
        let (hash, right) = match checked.await {
            Ok(Ok(checked)) => checked,
            Ok(Err(why)) => {
                warn!(%why, "nobody can log in");
                return Entry::NoPin(why.words());
            }
            Err(_) => return Entry::NoPin(Words::new("try again", "请重试")),
        };
        let now = self.now();
        let mut book = self.book();
        if !right {
            let left = book.lockout.wrong(now);
            warn!(tries_left = left, "wrong PIN on the page");
            return match book.lockout.locked(now) {
                Some(time) => Entry::Locked(time),
                None => Entry::Wrong(left),
            };
        }
        let Ok(token) = random::<32>() else {
            return Entry::NoPin(Words::new(
                "the system gives no random numbers; try again",
                "系统无法提供随机数；请重试",
            ));
        };
        let token = URL_SAFE_NO_PAD.encode(token);
        book.lockout.right();
        if book.hash != hash {
            book.sessions.clear();
            book.hash = hash;
        }
        book.sessions.open(&token, now);
        info!("a technician logged in on the page");
        Entry::In(token)
    }

    /// Whether the request carries a session; `used` tells whether a person is at work.
    #[must_use]
    pub fn knows(&self, headers: &HeaderMap, used: bool) -> bool {
        token(headers).is_some_and(|token| self.book().sessions.holds(token, used, self.now()))
    }

    /// Ends the request's session.
    pub fn leave(&self, headers: &HeaderMap) {
        if let Some(token) = token(headers) {
            self.book().sessions.close(token);
        }
    }

    fn now(&self) -> Duration {
        self.clock.now().boot
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `Set-Cookie` of a new session. Not `Secure`: the box speaks plain HTTP in the shop's own network.
#[must_use]
pub fn cookie(token: &str) -> String {
    let seconds = sessions::LONGEST.as_secs();
    format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}")
}

/// The `Set-Cookie` that forgets it.
#[must_use]
pub fn no_cookie() -> String {
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// The value of the request's cookie `name`.
#[must_use]
pub fn cookie_value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    cookie_value(headers, COOKIE)
}

/// Whether the request comes from a program on the box itself.
#[must_use]
pub fn on_the_box(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"];
    let named = host(headers).is_some_and(|host| {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let ip = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || ip
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    });
    peer.ip().to_canonical().is_loopback()
        && named
        && !forwarded.iter().any(|name| headers.contains_key(*name))
}

/// Whether a request that changes something was sent by our own page. Browsers add `Origin` to every POST.
#[must_use]
pub fn same_origin(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
    let authority = origin.and_then(|origin| {
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
    });
    authority.is_some() && authority == host(headers)
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// Random bytes of the system.
fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(why) => return Err(why.into()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
