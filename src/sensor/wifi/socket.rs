//! The packet socket of Linux (packet(7)): the one file with unsafe code, because nothing safe offers its address, its
//! filter and its statistics. Reading and waiting are done elsewhere, with safe calls on the descriptor.

#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_void, sock_filter, sock_fprog, sockaddr_ll, socklen_t, tpacket_stats};

/// Every protocol; in network byte order where the kernel wants it.
const ETH_P_ALL: u16 = 3;
/// Asked-for size of the receive buffer: 10 s of 1,000 frames a second. The kernel doubles it for its own bookkeeping.
const RECEIVE_BUFFER: c_int = 8 << 20;

/// A socket that receives what one interface receives, headers and all.
pub(super) struct PacketSocket(OwnedFd);

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl PacketSocket {
    /// A non-blocking socket on the interface with this index, with the filter in force before the first frame.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW`, `ENODEV` when the interface is gone.
    pub(super) fn open(interface: c_int, filter: &[sock_filter]) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // Protocol 0: nothing is received before `bind`.
        // SAFETY: takes no pointers.
        let fd = checked(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: the descriptor is new and nobody else owns it.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        attach(socket.as_fd(), filter)?;
        let big = set(
            socket.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            &RECEIVE_BUFFER,
        );
        if big.is_err() {
            // Without CAP_NET_ADMIN the system's limit holds (net.core.rmem_max).
            set(
                socket.as_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                &RECEIVE_BUFFER,
            )?;
        }
        // What this box itself sends is no visitor's. Kernels before 4.20 do not know the option.
        let _ = set(
            socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            &1,
        );
        socket.bind(interface)?;
        Ok(socket)
    }

    fn bind(&self, interface: c_int) -> io::Result<()> {
        // SAFETY: a plain C structure of integers; all zeros is a valid value.
        let mut address: sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ETH_P_ALL.to_be();
        address.sll_ifindex = interface;
        let fd = self.0.as_raw_fd();
        // SAFETY: the pointer is to a live `sockaddr_ll`, and the length is its size.
        checked(unsafe {
            libc::bind(fd, (&raw const address).cast(), length_of::<sockaddr_ll>())
        })?;
        Ok(())
    }

    /// Frames dropped since this was last asked, because the buffer was full.
    ///
    /// # Errors
    /// What the kernel says; it has no reason to.
    pub(super) fn drops(&self) -> io::Result<u64> {
        // SAFETY: a plain C structure of integers; all zeros is a valid value.
        let mut stats: tpacket_stats = unsafe { zeroed() };
        let mut length = length_of::<tpacket_stats>();
        let fd = self.0.as_raw_fd();
        // SAFETY: both pointers are to live values, and `length` is the size of the first.
        checked(unsafe {
            libc::getsockopt(
                fd,
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut length,
            )
        })?;
        Ok(stats.tp_drops.into())
    }
}

/// Puts a filter on a socket of any kind; an empty one is none.
///
/// # Errors
/// The kernel refuses the program.
pub(super) fn attach(socket: BorrowedFd<'_>, filter: &[sock_filter]) -> io::Result<()> {
    if filter.is_empty() {
        return Ok(());
    }
    let program = sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        // The kernel copies the instructions and does not write to them.
        filter: filter.as_ptr().cast_mut(),
    };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn set<T>(socket: BorrowedFd<'_>, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let value: *const T = value;
    // SAFETY: the pointer is to a live `T`, and the length is its size; each option above is given the type it takes.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            value.cast::<c_void>(),
            length_of::<T>(),
        )
    })?;
    Ok(())
}

const fn length_of<T>() -> socklen_t {
    size_of::<T>() as socklen_t
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
