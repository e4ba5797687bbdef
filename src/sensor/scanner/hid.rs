//! A scanner that types like a keyboard.
//!
//! The device is grabbed: what is scanned goes to footfall alone, not also to a console.

use std::path::{Path, PathBuf};
use std::time::Duration;

use evdev::KeyCode;
use evdev::raw_stream::RawDevice;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use zeroize::{Zeroize, Zeroizing};

use super::assemble::Input;
use super::layout::{Held, Layout};
use super::reader::{Arrived, Device, DeviceError, Kind, Line, Why};
use super::serial::readable;

/// Event types and codes of `linux/input-event-codes.h`.
const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const SYN_REPORT: u16 = 0;
const SYN_DROPPED: u16 = 3;
const KEY_TAB: u16 = 15;
const KEY_RIGHTBRACE: u16 = 27;
const KEY_ENTER: u16 = 28;
const KEY_LEFTCTRL: u16 = 29;
const KEY_LEFTSHIFT: u16 = 42;
const KEY_RIGHTSHIFT: u16 = 54;
const KEY_LEFTALT: u16 = 56;
const KEY_CAPSLOCK: u16 = 58;
const KEY_NUMLOCK: u16 = 69;
const KEY_KPENTER: u16 = 96;
const KEY_RIGHTCTRL: u16 = 97;
const KEY_RIGHTALT: u16 = 100;

const RELEASED: i32 = 0;
const PRESSED: i32 = 1;

/// The group separator, which GS1 codes have between their elements; typed as Ctrl+].
const GROUP_SEPARATOR: u8 = 0x1d;

/// `struct input_event` of 64-bit Linux: two 8-byte words of time, then type, code and value.
const EVENT_BYTES: usize = 24;
const EVENTS: usize = 64;

/// One input event. Has no `Debug`: it may be a part of a payment code.
#[derive(Clone, Copy)]
pub(super) struct KeyEvent {
    pub kind: u16,
    pub code: u16,
    pub value: i32,
}

/// Where input events come from.
pub(super) trait Keys: Send {
    /// Waits `timeout` at most and passes on what arrived.
    ///
    /// # Errors
    /// The device was unplugged or fails.
    fn read(
        &mut self,
        timeout: Duration,
        take: &mut dyn FnMut(KeyEvent),
    ) -> Result<Arrived, DeviceError>;
}

/// The keyboard as the config names it.
pub(super) struct Keyboard {
    path: PathBuf,
    layout: Layout,
}

impl Keyboard {
    pub fn new(path: &Path, layout: Layout) -> Self {
        Self {
            path: path.to_owned(),
            layout,
        }
    }

    fn grabbed(&self) -> Result<RawDevice, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = open(&self.path, flags, Mode::empty())?;
        let errno = |why: std::io::Error| Errno::from_io_error(&why).unwrap_or(Errno::IO);
        let mut device = RawDevice::from_fd(fd).map_err(errno)?;
        let types = |keys: &evdev::AttributeSetRef<KeyCode>| keys.contains(KeyCode::KEY_1);
        if !device.supported_keys().is_some_and(types) {
            return Err(Errno::NOTTY);
        }
        device.grab().map_err(errno)?;
        Ok(device)
    }
}

impl Device for Keyboard {
    fn open(&mut self) -> Result<Box<dyn Line>, DeviceError> {
        let device = self
            .grabbed()
            .map_err(|errno| DeviceError::opening(&self.path, Kind::Hid, errno))?;
        let keys = Evdev {
            path: self.path.clone(),
            device,
            buffer: Zeroizing::new([0; EVENT_BYTES * EVENTS]),
        };
        Ok(Box::new(Typing::new(keys, self.layout)))
    }
}

/// A device of the kernel. Read here and not by `evdev`, whose buffer nobody wipes.
struct Evdev {
    path: PathBuf,
    device: RawDevice,
    buffer: Zeroizing<[u8; EVENT_BYTES * EVENTS]>,
}

impl Keys for Evdev {
    fn read(
        &mut self,
        timeout: Duration,
        take: &mut dyn FnMut(KeyEvent),
    ) -> Result<Arrived, DeviceError> {
        let failed = |errno| DeviceError::reading(&self.path, Kind::Hid, errno);
        if !readable(&self.device, timeout).map_err(failed)? {
            return Ok(Arrived::Nothing);
        }
        match rustix::io::read(&self.device, self.buffer.as_mut_slice()) {
            Ok(0) => Err(DeviceError {
                path: self.path.clone(),
                kind: Kind::Hid,
                why: Why::Unplugged,
            }),
            Ok(count) => {
                let (whole, _) = self.buffer.as_chunks::<EVENT_BYTES>();
                whole
                    .iter()
                    .take(count / EVENT_BYTES)
                    .map(parsed)
                    .for_each(take);
                self.buffer.zeroize();
                Ok(Arrived::Something)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Arrived::FalseAlarm),
            Err(errno) => Err(failed(errno)),
        }
    }
}

fn parsed(bytes: &[u8; EVENT_BYTES]) -> KeyEvent {
    let [.., k0, k1, c0, c1, v0, v1, v2, v3] = *bytes;
    KeyEvent {
        kind: u16::from_ne_bytes([k0, k1]),
        code: u16::from_ne_bytes([c0, c1]),
        value: i32::from_ne_bytes([v0, v1, v2, v3]),
    }
}

/// Turns keys into characters.
pub(super) struct Typing<K> {
    keys: K,
    translator: Translator,
}

impl<K: Keys> Typing<K> {
    pub fn new(keys: K, layout: Layout) -> Self {
        let translator = Translator {
            layout,
            down: Modifiers::default(),
            caps: false,
            skipping: false,
        };
        Self { keys, translator }
    }
}

impl<K: Keys> Line for Typing<K> {
    fn read(
        &mut self,
        timeout: Duration,
        take: &mut dyn FnMut(Input),
    ) -> Result<Arrived, DeviceError> {
        let Self { keys, translator } = self;
        keys.read(timeout, &mut |event| translator.take(event, take))
    }
}

/// Which modifiers are down.
#[derive(Default)]
struct Modifiers {
    left_shift: bool,
    right_shift: bool,
    ctrl: bool,
    alt: bool,
    altgr: bool,
}

struct Translator {
    layout: Layout,
    down: Modifiers,
    caps: bool,
    /// Events were lost; the rest of their packet means nothing.
    skipping: bool,
}

impl Translator {
    fn take(&mut self, event: KeyEvent, give: &mut dyn FnMut(Input)) {
        match (event.kind, event.code) {
            (EV_SYN, SYN_DROPPED) => {
                self.skipping = true;
                // Scanners let go of Shift after every character; what was down before is not any more.
                self.down = Modifiers::default();
                give(Input::Lost);
            }
            (EV_SYN, SYN_REPORT) => self.skipping = false,
            (EV_KEY, key) if !self.skipping => self.key(key, event.value, give),
            _ => {}
        }
    }

    fn key(&mut self, key: u16, value: i32, give: &mut dyn FnMut(Input)) {
        let modifier = match key {
            KEY_LEFTSHIFT => &mut self.down.left_shift,
            KEY_RIGHTSHIFT => &mut self.down.right_shift,
            KEY_LEFTCTRL | KEY_RIGHTCTRL => &mut self.down.ctrl,
            KEY_LEFTALT => &mut self.down.alt,
            KEY_RIGHTALT => &mut self.down.altgr,
            // A key that is held repeats itself; no scanner holds one.
            _ if value != PRESSED => return,
            _ => return self.pressed(key, give),
        };
        *modifier = value != RELEASED;
    }

    fn pressed(&mut self, key: u16, give: &mut dyn FnMut(Input)) {
        let held = Held {
            shift: self.down.left_shift || self.down.right_shift,
            altgr: self.down.altgr,
            caps: self.caps,
        };
        match key {
            KEY_ENTER | KEY_KPENTER | KEY_TAB => give(Input::End),
            KEY_CAPSLOCK => self.caps = !self.caps,
            KEY_NUMLOCK => {}
            KEY_RIGHTBRACE if self.down.ctrl => give(Input::Byte(GROUP_SEPARATOR)),
            _ if self.down.ctrl || self.down.alt => give(Input::Unknown),
            _ => match self.layout.character(key, held) {
                Some(character) => {
                    let mut bytes = Zeroizing::new([0; 4]);
                    character
                        .encode_utf8(bytes.as_mut_slice())
                        .bytes()
                        .map(Input::Byte)
                        .for_each(give);
                }
                None => give(Input::Unknown),
            },
        }
    }
}

#[cfg(test)]
#[path = "hid_tests.rs"]
mod tests;
