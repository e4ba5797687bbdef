//! The synthetic shop's devices: what happens in the shop reaches real sensors as a radio frame, as bytes on a serial line
//! and as a level on a pin, and the shop waits until it has been taken.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde::Deserialize;

use super::around::{Around, Happening, Probe};
use crate::clock::SharedClock;
use crate::metric::{Counter, Gauge, Reading};
use crate::sensor::gpio::fake::Board;
use crate::sensor::gpio::{Chip, MoodCell};
use crate::sensor::wifi::link::Link;
use crate::sensor::wifi::listener::Listener;
use crate::sensor::wifi::radio::{Radio, RadioError};
use crate::sensor::{Fitted, House, gpio, scanner, wifi};

/// The pin of the door's contact.
const DOOR_PIN: u32 = 17;
/// Frames on their way to the radio.
const AIR: usize = 64;
/// How long a sensor may take for one thing; it takes milliseconds.
const TRIES: u32 = 10_000;
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// The demo's sensors but the camera, as a config file would say it.
#[derive(Deserialize)]
struct Config {
    wifi: wifi::Settings,
    scanner: scanner::Settings,
    gpio: gpio::Settings,
}

/// The shop's side of its devices.
pub struct Devices {
    around: Around,
    air: SyncSender<Vec<u8>>,
    line: File,
    /// Kept open, so that the line does not hang up when the reader closes it.
    _slave: OwnedFd,
    board: Board,
    seen: Seen,
    /// Frames and scans so far.
    sent: [u64; 2],
    /// How often the door has been opened, and whether it is open now.
    door: (u64, bool),
}

/// What the sensors say they have taken.
struct Seen {
    frames: Counter,
    codes: Counter,
    repeated: Counter,
    opened: Counter,
    open: Gauge,
}

impl Devices {
    /// Devices for what happens in `around`, and the sensors on their other end.
    ///
    /// # Errors
    /// No pseudo-terminal can be had.
    pub fn new(around: Around, house: &House) -> anyhow::Result<(Self, Vec<Fitted>)> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let slave = ptsname(&master, Vec::new())?.into_string()?;
        let config: Config = toml::from_str(&format!(
            "[wifi]\nid = \"door\"\ninterface = \"synthetic\"\ninterval_min = 5\n\
             [scanner]\nid = \"shelf\"\ndevice = {slave:?}\ntouchpoint = [{{ id = \"shelf-1\", kind = \"shelf\" }}]\n\
             [[gpio.door]]\nid = \"front\"\npin = {DOOR_PIN}\n"
        ))?;
        let (air, frames) = sync_channel(AIR);
        let frames = Arc::new(Mutex::new(frames));
        let open = Box::new(move || Ok(Box::new(Air(Arc::clone(&frames))) as Box<dyn Radio>));
        let listener = Listener::new(&config.wifi, house, open);
        let board = Board::new(Arc::clone(&house.clock) as SharedClock);
        board.set(DOOR_PIN, false);
        let chip: Arc<dyn Chip> = Arc::new(board.clone());
        let mut fitted = vec![Fitted {
            face: listener.face(),
            settings: String::new(),
            sensor: Box::new(listener),
        }];
        fitted.extend(scanner::fit(&[config.scanner], house));
        fitted.extend(gpio::fit_on(
            &config.gpio,
            house,
            &MoodCell::default(),
            &chip,
        ));
        let of = |kind: &str, name: &str| match reading(&fitted, kind, name)? {
            Reading::Counter(counter) => Ok(counter),
            Reading::Gauge(_) => anyhow::bail!("{name} of {kind} is no counter"),
        };
        let Reading::Gauge(open) = reading(&fitted, "gpio", "open")? else {
            anyhow::bail!("the door does not say whether it is open");
        };
        let seen = Seen {
            frames: of("wifi", "frames")?,
            codes: of("scanner", "codes")?,
            repeated: of("scanner", "duplicates")?,
            opened: of("gpio", "opened")?,
            open,
        };
        let devices = Self {
            around,
            air,
            _slave: rustix::fs::open(
                &slave,
                rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            )?,
            line: File::from(master),
            board,
            seen,
            sent: [0; 2],
            door: (0, false),
        };
        Ok((devices, fitted))
    }

    /// Lets happen what happens after `after` and until `until`, and waits until the sensors have taken it.
    ///
    /// # Errors
    /// A sensor does not take what happens.
    pub fn advance(&mut self, after: Duration, until: Duration) -> anyhow::Result<()> {
        let happenings: Vec<_> = self.around.between(after, until).cloned().collect();
        for (_, happening) in happenings {
            match happening {
                Happening::Probe(probe) => {
                    self.air.send(frame(probe))?;
                    self.sent[0] += 1;
                }
                Happening::Scan(code) | Happening::ScanAgain(code) => {
                    self.line.write_all(code.payload.as_bytes())?;
                    self.line.write_all(b"\r\n")?;
                    self.sent[1] += 1;
                }
                Happening::Door { open } => {
                    self.board.set(DOOR_PIN, open);
                    self.door = (self.door.0 + u64::from(open), open);
                }
            }
        }
        let seen = &self.seen;
        settle("radio", || seen.frames.get() >= self.sent[0])?;
        settle("scanner", || {
            seen.codes.get() + seen.repeated.get() >= self.sent[1]
        })
    }

    /// Waits until the door's last change is past its debounce time, which the shop's clock must have passed.
    ///
    /// # Errors
    /// The contact's sensor does not take it.
    pub fn settle_door(&self) -> anyhow::Result<()> {
        let seen = &self.seen;
        settle("door", || {
            let (opened, open) = self.door;
            seen.opened.get() == opened && (seen.open.get() > 0.0) == open
        })
    }
}

fn settle(what: &str, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        if done() {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    anyhow::bail!("the {what} does not take what happens in the shop")
}

/// A number that a sensor of this kind counts about itself.
fn reading(fitted: &[Fitted], kind: &str, name: &str) -> anyhow::Result<Reading> {
    let mut metrics = fitted
        .iter()
        .filter(|fitted| fitted.face.kind == kind)
        .flat_map(|fitted| &fitted.face.metrics);
    let metric = metrics.find(|metric| metric.name == name);
    let metric = metric.with_context(|| format!("no {kind} counts {name}"))?;
    Ok(metric.reading.clone())
}

/// The radio's end of the synthetic air.
struct Air(Arc<Mutex<Receiver<Vec<u8>>>>);

impl Radio for Air {
    fn link(&self) -> Link {
        Link::Radiotap
    }

    fn next(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>, RadioError> {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = match frames.recv_timeout(timeout) {
            Ok(frame) => frame,
            Err(RecvTimeoutError::Timeout) => return Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(RadioError::Missing("synthetic".to_owned()));
            }
        };
        let Some(space) = buffer.get_mut(..frame.len()) else {
            return Ok(None);
        };
        space.copy_from_slice(&frame);
        Ok(Some(frame.len()))
    }

    fn drops(&mut self) -> u64 {
        0
    }
}

/// A probe request as a radio hands it over: radiotap (radiotap.org) with flags, channel and signal, then IEEE 802.11-2020,
/// 9.3.3.9, with an empty network name, two rates, and the place of a checksum.
fn frame(probe: Probe) -> Vec<u8> {
    /// Flags, channel, antenna signal.
    const PRESENT: u32 = 1 << 1 | 1 << 3 | 1 << 5;
    /// The frame ends with its checksum.
    const FCS: u8 = 0x10;
    let mut bytes = vec![0, 0, 15, 0];
    bytes.extend(PRESENT.to_le_bytes());
    bytes.extend([FCS, 0]);
    // Channel 6, 2.4 GHz CCK.
    bytes.extend(2437u16.to_le_bytes());
    bytes.extend(0x00a0u16.to_le_bytes());
    bytes.extend(probe.signal.to_le_bytes());
    bytes.extend([0x40, 0, 0, 0]);
    bytes.extend([0xff; 6]);
    bytes.extend(probe.sender);
    bytes.extend([0xff; 6]);
    bytes.extend((probe.sequence << 4).to_le_bytes());
    bytes.extend([0, 0, 1, 2, 0x82, 0x84]);
    bytes.extend([0; 4]);
    bytes
}
