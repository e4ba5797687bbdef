//! Where frames come from: an interface in monitor mode, or a script in tests.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::Timespec;

use super::filter;
use super::link::Link;
use super::socket::PacketSocket;
use crate::words::Words;

/// Where the kernel describes its network interfaces.
const INTERFACES: &str = "/sys/class/net";
/// `IFF_UP` of `net/if.h`.
const UP: u64 = 1;

/// A source of captured frames.
pub trait Radio: Send {
    /// The headers its frames come with.
    fn link(&self) -> Link;

    /// Fills `buffer` with the next frame and returns its length, or `None` after `timeout` without one.
    ///
    /// # Errors
    /// The radio is gone; open it again.
    fn next(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>, RadioError>;

    /// Frames dropped since this was last asked because nobody took them in time.
    fn drops(&mut self) -> u64;
}

/// Opens a radio; called again and again while it cannot be.
pub type Opener = Box<dyn Fn() -> Result<Box<dyn Radio>, RadioError> + Send>;

/// Why nothing is heard.
#[derive(Debug, thiserror::Error)]
pub enum RadioError {
    #[error(
        "there is no network interface {0}; plug the Wi-Fi adapter in, or make the monitor interface (iw phy phy0 interface add {0} type monitor)"
    )]
    Missing(String),
    #[error("the interface {0} is switched off; switch it on (ip link set {0} up)")]
    Down(String),
    #[error(
        "the interface {0} is not in monitor mode; make one that is (iw phy phy0 interface add mon0 type monitor) and name it in the config"
    )]
    NotMonitor(String),
    #[error(
        "footfall may not listen on {0}; give it CAP_NET_RAW (the service's AmbientCapabilities=)"
    )]
    NoRights(String),
    #[error(
        "listening on {0} failed ({1}); it is tried again; unplug the adapter and plug it in when this stays"
    )]
    Failed(String, io::Error),
}

impl RadioError {
    /// For the page.
    #[must_use]
    pub fn words(&self) -> Words {
        let chinese = match self {
            Self::Missing(name) => format!(
                "没有网络接口 {name};请插上无线网卡,或创建监听接口(iw phy phy0 interface add {name} type monitor)"
            ),
            Self::Down(name) => format!("接口 {name} 已关闭;请启用(ip link set {name} up)"),
            Self::NotMonitor(name) => format!(
                "接口 {name} 不是监听模式;请创建监听接口(iw phy phy0 interface add mon0 type monitor)并写入配置"
            ),
            Self::NoRights(name) => {
                format!("footfall 无权监听 {name};请授予 CAP_NET_RAW(服务的 AmbientCapabilities=)")
            }
            Self::Failed(name, why) => {
                format!("监听 {name} 失败({why});正在重试;若一直如此,请拔下网卡再插上")
            }
        };
        Words::new(self.to_string(), chinese)
    }
}

/// Opens the interface of that name.
#[must_use]
pub fn opener(interface: &str) -> Opener {
    let interface = interface.to_owned();
    Box::new(move || Monitor::open(&interface).map(|radio| Box::new(radio) as Box<dyn Radio>))
}

/// An interface in monitor mode.
struct Monitor {
    interface: String,
    link: Link,
    socket: PacketSocket,
}

impl Monitor {
    fn open(interface: &str) -> Result<Self, RadioError> {
        let facts = Facts::read(&Path::new(INTERFACES).join(interface))
            .ok_or_else(|| RadioError::Missing(interface.to_owned()))?;
        let link = facts
            .link
            .ok_or_else(|| RadioError::NotMonitor(interface.to_owned()))?;
        if !facts.up {
            return Err(RadioError::Down(interface.to_owned()));
        }
        let socket = PacketSocket::open(facts.index, &filter::probe_requests(link)).map_err(
            |why| match why.kind() {
                io::ErrorKind::PermissionDenied => RadioError::NoRights(interface.to_owned()),
                _ => RadioError::Failed(interface.to_owned(), why),
            },
        )?;
        Ok(Self {
            interface: interface.to_owned(),
            link,
            socket,
        })
    }
}

impl Radio for Monitor {
    fn link(&self) -> Link {
        self.link
    }

    fn next(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>, RadioError> {
        let failed = |why: Errno| RadioError::Failed(self.interface.clone(), why.into());
        let mut waited = false;
        loop {
            match rustix::io::read(&self.socket, &mut *buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if waited || timeout.is_zero() => return Ok(None),
                Err(Errno::AGAIN) => {
                    let timeout = Timespec::try_from(timeout).unwrap_or_default();
                    let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
                    match poll(&mut fds, Some(&timeout)) {
                        Ok(_) | Err(Errno::INTR) => waited = true,
                        Err(why) => return Err(failed(why)),
                    }
                }
                // Also the way the kernel says that the interface was switched off or taken away.
                Err(why) => return Err(failed(why)),
            }
        }
    }

    fn drops(&mut self) -> u64 {
        self.socket.drops().unwrap_or(0)
    }
}

/// What the kernel says of an interface.
struct Facts {
    index: i32,
    /// `None` for what is no monitor interface.
    link: Option<Link>,
    up: bool,
}

impl Facts {
    fn read(directory: &Path) -> Option<Self> {
        let text = |name: &str| std::fs::read_to_string(directory.join(name)).ok();
        let flags = text("flags")?;
        let flags = u64::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
        Some(Self {
            index: text("ifindex")?.trim().parse().ok()?,
            link: text("type")?
                .trim()
                .parse()
                .ok()
                .and_then(Link::from_hardware),
            up: flags & UP != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_interface_that_is_not_there_when_opened_then_the_words_name_it_and_the_next_step() {
        let Err(why) = opener("no-such-if0")() else {
            panic!("it opened");
        };
        let words = why.words();
        for said in [&words.en, &words.zh] {
            assert!(
                said.contains("no-such-if0") && said.contains("iw phy"),
                "{said}"
            );
        }
    }

    #[test]
    fn given_the_loopback_interface_when_opened_then_it_is_no_monitor() {
        assert!(matches!(opener("lo")(), Err(RadioError::NotMonitor(_))));
    }
}
