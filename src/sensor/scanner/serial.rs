//! A scanner on a serial line (also USB and Bluetooth ones that look like one).

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocexcl, tcflush,
    tcgetattr, tcsetattr,
};
use zeroize::{Zeroize, Zeroizing};

use super::assemble::Input;
use super::reader::{Arrived, Device, DeviceError, Kind, Line, Why};
use super::settings::{Parity, Settings};

/// Bytes read at once.
const CHUNK: usize = 512;

/// The line as the config names it.
pub(super) struct SerialLine {
    path: PathBuf,
    baud: u32,
    parity: Parity,
}

impl SerialLine {
    pub fn new(settings: &Settings) -> Self {
        Self {
            path: settings.device.clone().unwrap_or_default(),
            baud: settings.baud,
            parity: settings.parity,
        }
    }

    fn open_raw(&self) -> Result<OwnedFd, Errno> {
        // Not blocking: a line whose modem signals are missing would not open.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = open(&self.path, flags, Mode::empty())?;
        // Two readers would each get half of a code. The lock keeps other footfalls away, the ioctl everybody but root.
        flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
        let mut line = tcgetattr(&fd)?;
        ioctl_tiocexcl(&fd)?;
        line.make_raw();
        line.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        line.control_modes -= ControlModes::CSTOPB
            | ControlModes::PARENB
            | ControlModes::PARODD
            | ControlModes::CRTSCTS;
        line.control_modes |= match self.parity {
            Parity::None => ControlModes::empty(),
            Parity::Even => ControlModes::PARENB,
            Parity::Odd => ControlModes::PARENB | ControlModes::PARODD,
        };
        // With a minimum of 0 a read without data would look like an unplugged line.
        line.special_codes[SpecialCodeIndex::VMIN] = 1;
        line.special_codes[SpecialCodeIndex::VTIME] = 0;
        line.set_speed(self.baud)?;
        tcsetattr(&fd, OptionalActions::Now, &line)?;
        // What was scanned before nobody waits for any more; the first of it may be half a code.
        tcflush(&fd, QueueSelector::IFlush)?;
        Ok(fd)
    }
}

impl Device for SerialLine {
    fn open(&mut self) -> Result<Box<dyn Line>, DeviceError> {
        let fd = self
            .open_raw()
            .map_err(|errno| DeviceError::opening(&self.path, Kind::Serial, errno))?;
        Ok(Box::new(OpenLine {
            path: self.path.clone(),
            fd,
            chunk: Zeroizing::new([0; CHUNK]),
        }))
    }
}

struct OpenLine {
    path: PathBuf,
    fd: OwnedFd,
    chunk: Zeroizing<[u8; CHUNK]>,
}

impl Line for OpenLine {
    fn read(
        &mut self,
        timeout: Duration,
        take: &mut dyn FnMut(Input),
    ) -> Result<Arrived, DeviceError> {
        let failed = |errno| DeviceError::reading(&self.path, Kind::Serial, errno);
        if !readable(&self.fd, timeout).map_err(failed)? {
            return Ok(Arrived::Nothing);
        }
        match rustix::io::read(&self.fd, self.chunk.as_mut_slice()) {
            // The end of a terminal is a hang-up.
            Ok(0) => Err(DeviceError {
                path: self.path.clone(),
                kind: Kind::Serial,
                why: Why::Unplugged,
            }),
            Ok(count) => {
                for byte in self.chunk.iter().take(count) {
                    take(match byte {
                        b'\r' | b'\n' | b'\t' => Input::End,
                        other => Input::Byte(*other),
                    });
                }
                self.chunk.zeroize();
                Ok(Arrived::Something)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Arrived::FalseAlarm),
            Err(errno) => Err(failed(errno)),
        }
    }
}

/// Whether there is something to read (or to be told about) within `timeout`.
pub(super) fn readable(fd: impl AsFd, timeout: Duration) -> Result<bool, Errno> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}
