//! A Raspberry Pi's pins, by rppal.
//!
//! rppal hands out interrupts to one caller at a time and keeps only the latest edge of a pin that nobody waits for. So
//! one thread waits for all pins and gives each edge to the sensor that asked for it; it ends with its last pin.
//! (rppal's own asynchronous interrupts would swallow it when another process holds the line.)

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rppal::gpio::{Bias, Error, Gpio, InputPin, OutputPin, Trigger};
use tracing::warn;

use super::cdev::Cdev;
use super::{Chip, DigitalIn, DigitalOut, Edge, LineSpec, PinError, Pull};
use crate::clock;

/// How long the thread waits before it looks for pins that came or went.
const LOOK_UP: Duration = Duration::from_millis(50);
/// Edges that are kept for a sensor that is busy; its levels are compared anyway.
const KEPT_EDGES: usize = 64;

/// Every pin that is watched in this process.
static WATCHED: Mutex<Watched> = Mutex::new(Watched {
    pins: Vec::new(),
    thread: false,
});

struct Watched {
    pins: Vec<WatchedPin>,
    /// Whether the thread is there.
    thread: bool,
}

struct WatchedPin {
    pin: Arc<InputPin>,
    line: usize,
    edges: SyncSender<Edge>,
    /// Gone once the sensor has let go of it.
    wanted: Weak<()>,
}

/// A Raspberry Pi.
pub(super) struct Pi;

/// A Raspberry Pi where this is one, the kernel's device elsewhere.
pub(super) struct PiOrCdev(Cdev);

impl PiOrCdev {
    pub fn new(chip: &Path) -> Self {
        Self(Cdev::new(chip))
    }

    fn chip(&self) -> &dyn Chip {
        match Gpio::new() {
            Err(Error::UnknownModel) => &self.0,
            _ => &Pi,
        }
    }
}

impl Chip for PiOrCdev {
    fn inputs(&self, lines: &[LineSpec]) -> Result<Box<dyn DigitalIn>, PinError> {
        self.chip().inputs(lines)
    }

    fn output(&self, pin: u32) -> Result<Box<dyn DigitalOut>, PinError> {
        self.chip().output(pin)
    }
}

impl Chip for Pi {
    fn inputs(&self, lines: &[LineSpec]) -> Result<Box<dyn DigitalIn>, PinError> {
        let gpio = Gpio::new().map_err(|why| error(0, &why))?;
        let (sender, edges) = sync_channel(KEPT_EDGES);
        let wanted = Arc::new(());
        // Held while pins are set up: the thread lets go of rppal's own lock only when it comes by here.
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        if !watched.thread {
            // What an attempt that failed half-way left behind.
            watched.let_go();
        }
        let mut pins = Vec::new();
        for (line, spec) in lines.iter().enumerate() {
            let pin = Arc::new(input(&gpio, spec)?);
            watched.pins.push(WatchedPin {
                pin: Arc::clone(&pin),
                line,
                edges: sender.clone(),
                wanted: Arc::downgrade(&wanted),
            });
            pins.push(pin);
        }
        if !watched.thread {
            std::thread::Builder::new()
                .name("gpio-pins".to_owned())
                .spawn(move || watch(&gpio))
                .map_err(|why| PinError::Failed {
                    why: why.to_string(),
                })?;
            watched.thread = true;
        }
        Ok(Box::new(Input {
            pins,
            edges,
            _wanted: wanted,
        }))
    }

    fn output(&self, pin: u32) -> Result<Box<dyn DigitalOut>, PinError> {
        let gpio = Gpio::new().map_err(|why| error(pin, &why))?;
        let number = u8::try_from(pin).map_err(|_| PinError::NoSuchPin { pin })?;
        let output = gpio.get(number).map_err(|why| error(pin, &why))?;
        Ok(Box::new(Output(output.into_output_low())))
    }
}

fn input(gpio: &Gpio, spec: &LineSpec) -> Result<InputPin, PinError> {
    let pin = spec.pin;
    let number = u8::try_from(pin).map_err(|_| PinError::NoSuchPin { pin })?;
    let mut input = gpio
        .get(number)
        .map_err(|why| error(pin, &why))?
        .into_input();
    input.set_bias(match spec.pull {
        Pull::Up => Bias::PullUp,
        Pull::Down => Bias::PullDown,
        Pull::None => Bias::Off,
    });
    input
        .set_interrupt(Trigger::Both, None)
        .map_err(|why| error(pin, &why))?;
    Ok(input)
}

fn error(pin: u32, why: &Error) -> PinError {
    let busy = std::io::Error::from(rustix::io::Errno::BUSY).raw_os_error();
    match why {
        Error::UnknownModel => PinError::NotAPi {
            why: why.to_string(),
        },
        Error::PinUsed(_) => PinError::InUse { pin },
        Error::PinNotAvailable(_) => PinError::NoSuchPin { pin },
        Error::PermissionDenied(chip) => PinError::NoRights { chip: chip.clone() },
        Error::Io(io) if io.raw_os_error() == busy => PinError::InUse { pin },
        _ => PinError::Failed {
            why: why.to_string(),
        },
    }
}

/// The thread: waits for all pins until none is wanted any more.
fn watch(gpio: &Gpio) {
    loop {
        let Some(pins) = wanted_pins() else { return };
        let references: Vec<&InputPin> = pins.iter().map(AsRef::as_ref).collect();
        let (pin, event) = match gpio.poll_interrupts(&references, false, Some(LOOK_UP)) {
            Ok(Some(edge)) => edge,
            Ok(None) => continue,
            Err(Error::Io(why)) if why.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(why) => {
                warn!(%why, "GPIO pins cannot be watched; trying again");
                let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
                watched.thread = false;
                // Every sensor sees its channel end, and opens its pins anew.
                watched.pins.clear();
                return;
            }
        };
        let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = watched.pins.iter().find(|one| one.pin.pin() == pin.pin()) {
            // Full: the sensor compares levels and finds out.
            let _ = owner.edges.try_send(Edge {
                line: owner.line,
                high: event.trigger == Trigger::RisingEdge,
                at: clock::boot_of_monotonic(event.timestamp),
            });
        }
    }
}

/// The pins that are still wanted; the others are given back. `None`: there is none, and the thread ends.
fn wanted_pins() -> Option<Vec<Arc<InputPin>>> {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.let_go();
    watched.thread = !watched.pins.is_empty();
    let pins = watched
        .pins
        .iter()
        .map(|one| Arc::clone(&one.pin))
        .collect();
    watched.thread.then_some(pins)
}

impl Watched {
    /// Gives back the pins that nobody wants any more.
    fn let_go(&mut self) {
        let (kept, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pins)
            .into_iter()
            .partition(|one| one.wanted.strong_count() > 0);
        self.pins = kept;
        for gone in left {
            // A pin that is only dropped keeps its interrupt, and with it the line.
            if let Some(Err(why)) = Arc::into_inner(gone.pin).map(|mut pin| pin.clear_interrupt()) {
                warn!(%why, "a GPIO pin was not given back");
            }
        }
    }
}

// Fields are dropped in this order: the pins' last owner must be the thread, which clears their interrupts.
struct Input {
    pins: Vec<Arc<InputPin>>,
    edges: Receiver<Edge>,
    _wanted: Arc<()>,
}

impl DigitalIn for Input {
    fn levels(&mut self) -> Result<Vec<bool>, PinError> {
        Ok(self.pins.iter().map(|pin| pin.is_high()).collect())
    }

    fn next_edge(&mut self, timeout: Duration) -> Result<Option<Edge>, PinError> {
        match self.edges.recv_timeout(timeout) {
            Ok(edge) => Ok(Some(edge)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(PinError::Failed {
                why: "its interrupts ended".to_owned(),
            }),
        }
    }
}

struct Output(OutputPin);

impl DigitalOut for Output {
    fn set(&mut self, high: bool) -> Result<(), PinError> {
        self.0.write(if high {
            rppal::gpio::Level::High
        } else {
            rppal::gpio::Level::Low
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: LineSpec = LineSpec {
        pin: 17,
        pull: Pull::Up,
        active: super::super::Polarity::High,
    };

    #[test]
    fn a_machine_that_is_no_raspberry_pi_says_what_to_set_and_auto_uses_the_kernels_device() {
        if Gpio::new().is_ok() {
            eprintln!("SKIPPED: this is a Raspberry Pi");
            return;
        }
        let why = Pi.inputs(&[LINE]).err().unwrap();
        assert!(
            why.to_string().contains("set gpio.backend = \"gpiocdev\""),
            "{why}"
        );
        let chip = PiOrCdev::new(Path::new("/dev/no-such-gpiochip"));
        assert!(matches!(
            chip.inputs(&[LINE]).err(),
            Some(PinError::NoChip { .. })
        ));
        assert!(matches!(
            chip.output(17).err(),
            Some(PinError::NoChip { .. })
        ));
    }
}
