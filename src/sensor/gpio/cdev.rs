//! The kernel's GPIO character device, for every board that has one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Value, Values};
use gpiocdev::{Error, Request};
use rustix::io::Errno;

use super::{Chip, DigitalIn, DigitalOut, Edge, LineSpec, PinError, Pull};
use crate::clock;

const CONSUMER: &str = "footfall";
/// Edges that the kernel keeps until they are read.
const KEPT_EDGES: u32 = 256;

/// One chip.
pub(super) struct Cdev(PathBuf);

impl Cdev {
    pub fn new(chip: &Path) -> Self {
        Self(chip.to_owned())
    }

    /// The chip, if it is there and has all these lines, and nobody else has one of them.
    fn check(&self, pins: &[u32]) -> Result<(), PinError> {
        let error = |why: Error| self.error(&why);
        let chip = gpiocdev::Chip::from_path(&self.0).map_err(error)?;
        let lines = chip.info().map_err(error)?.num_lines;
        for pin in pins.iter().copied() {
            if pin >= lines {
                return Err(PinError::NoSuchPin { pin });
            }
            if chip.line_info(pin).map_err(error)?.used {
                return Err(PinError::InUse { pin });
            }
        }
        Ok(())
    }

    fn error(&self, why: &Error) -> PinError {
        let chip = self.0.display().to_string();
        if matches!(why, Error::GpioChip(..)) {
            PinError::NotAChip { chip }
        } else if is(why, Errno::NOENT) || is(why, Errno::NODEV) || is(why, Errno::NXIO) {
            PinError::NoChip { chip }
        } else if is(why, Errno::ACCESS) || is(why, Errno::PERM) {
            PinError::NoRights { chip }
        } else if is(why, Errno::NOTTY) {
            PinError::NotAChip { chip }
        } else {
            let why = why.to_string();
            PinError::Failed { why }
        }
    }
}

/// Whether the operating system said this. The error's type cannot be named here, but its text is the system's.
fn is(why: &Error, errno: Errno) -> bool {
    let text = std::io::Error::from(errno).to_string();
    match why {
        Error::Os(os) => os.to_string() == text,
        Error::Uapi(_, os) => os.to_string() == text,
        _ => false,
    }
}

impl Chip for Cdev {
    fn inputs(&self, lines: &[LineSpec]) -> Result<Box<dyn DigitalIn>, PinError> {
        let pins: Vec<u32> = lines.iter().map(|line| line.pin).collect();
        self.check(&pins)?;
        let mut builder = Request::builder();
        builder.on_chip(&self.0).with_consumer(CONSUMER);
        builder.with_kernel_event_buffer_size(KEPT_EDGES);
        for line in lines {
            let bias = match line.pull {
                Pull::Up => Bias::PullUp,
                Pull::Down => Bias::PullDown,
                Pull::None => Bias::Disabled,
            };
            builder
                .with_line(line.pin)
                .as_input()
                .with_bias(bias)
                .with_edge_detection(EdgeDetection::BothEdges);
        }
        let request = builder.request().map_err(|why| self.error(&why))?;
        Ok(Box::new(Input {
            chip: Self(self.0.clone()),
            request,
            pins,
        }))
    }

    fn output(&self, pin: u32) -> Result<Box<dyn DigitalOut>, PinError> {
        self.check(&[pin])?;
        let request = Request::builder()
            .on_chip(&self.0)
            .with_consumer(CONSUMER)
            .with_line(pin)
            .as_output(Value::Inactive)
            .request()
            .map_err(|why| self.error(&why))?;
        let chip = Self(self.0.clone());
        Ok(Box::new(Output { chip, request, pin }))
    }
}

struct Input {
    chip: Cdev,
    request: Request,
    pins: Vec<u32>,
}

impl DigitalIn for Input {
    fn levels(&mut self) -> Result<Vec<bool>, PinError> {
        let mut values = Values::from_offsets(&self.pins);
        self.request
            .values(&mut values)
            .map_err(|why| self.chip.error(&why))?;
        let high = |pin: &u32| values.get(*pin) == Some(Value::Active);
        Ok(self.pins.iter().map(high).collect())
    }

    fn next_edge(&mut self, timeout: Duration) -> Result<Option<Edge>, PinError> {
        let event = match self.request.wait_edge_event(timeout) {
            Ok(true) => self.request.read_edge_event(),
            Ok(false) => return Ok(None),
            Err(why) if is(&why, Errno::INTR) => return Ok(None),
            Err(why) => Err(why),
        };
        let event = event.map_err(|why| self.chip.error(&why))?;
        let edge = |line| Edge {
            line,
            high: event.kind == EdgeKind::Rising,
            at: clock::boot_of_monotonic(Duration::from_nanos(event.timestamp_ns)),
        };
        let line = self.pins.iter().position(|pin| *pin == event.offset);
        Ok(line.map(edge))
    }
}

struct Output {
    chip: Cdev,
    request: Request,
    pin: u32,
}

impl DigitalOut for Output {
    fn set(&mut self, high: bool) -> Result<(), PinError> {
        self.request
            .set_value(self.pin, Value::from(high))
            .map_err(|why| self.chip.error(&why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: LineSpec = LineSpec {
        pin: 3,
        pull: Pull::Up,
        active: super::super::Polarity::High,
    };

    #[test]
    fn a_chip_that_is_missing_or_something_else_is_named_with_the_next_step() {
        let missing = Cdev::new(Path::new("/dev/no-such-gpiochip"));
        let why = missing.inputs(&[LINE]).err().unwrap();
        assert_eq!(
            why.to_string(),
            "there is no GPIO chip /dev/no-such-gpiochip; list them with `ls /dev/gpiochip*` and set gpio.chip"
        );
        assert_eq!(missing.output(3).err(), Some(why));
        let null = Cdev::new(Path::new("/dev/null"));
        assert!(matches!(
            null.inputs(&[LINE]).err(),
            Some(PinError::NotAChip { .. })
        ));
    }
}
