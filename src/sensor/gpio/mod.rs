//! Doors, light beams, buttons and the status LED on the pins of the board.
//!
//! ```text
//!  chip (rppal | gpiocdev | fake) ─ edges ─► watch ─► debounce ─► door | beam | button ─► events
//!  mood of the house ─► led ─► chip
//! ```
//!
//! Each door, beam and button is a sensor of its own, so that each has its own line on the page. What they conclude is
//! pure: it depends on the times that the kernel put on the edges, not on when this process looked.

mod beam;
mod button;
mod cdev;
mod debounce;
mod door;
pub mod fake;
mod led;
mod pi;
mod settings;
mod watch;

use std::sync::Arc;
use std::time::Duration;

pub use self::led::{Mood, MoodCell};
pub use self::settings::{Backend, Beam, Button, Door, Led, Polarity, Pull, Settings};

use self::beam::BeamPair;
use self::button::PushButton;
use self::door::DoorContact;
use self::led::StatusLed;
use self::watch::{Machine, Watch};
use super::{Fitted, House};
use crate::words::Words;

/// One input line as it is asked from the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSpec {
    /// The line's number on the chip; on a Raspberry Pi the BCM number.
    pub pin: u32,
    pub pull: Pull,
    /// The level that means "active".
    pub active: Polarity,
}

/// A line changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Position among the lines that were asked for.
    pub line: usize,
    /// The level after it.
    pub high: bool,
    /// When, since boot with suspend included.
    pub at: Duration,
}

/// Input lines that are watched together.
pub trait DigitalIn: Send {
    /// The levels now, in the order in which the lines were asked for.
    ///
    /// # Errors
    /// The chip is gone.
    fn levels(&mut self) -> Result<Vec<bool>, PinError>;

    /// The oldest edge that was not taken yet; waits `timeout` at most.
    ///
    /// # Errors
    /// The chip is gone.
    fn next_edge(&mut self, timeout: Duration) -> Result<Option<Edge>, PinError>;
}

/// One output line. It goes back to what it was when this is dropped.
pub trait DigitalOut: Send {
    /// # Errors
    /// The chip is gone.
    fn set(&mut self, high: bool) -> Result<(), PinError>;
}

/// Where lines come from.
pub trait Chip: Send + Sync {
    /// # Errors
    /// The chip or a line cannot be had; the words say what to do.
    fn inputs(&self, lines: &[LineSpec]) -> Result<Box<dyn DigitalIn>, PinError>;

    /// An output line, low at first.
    ///
    /// # Errors
    /// The chip or the line cannot be had; the words say what to do.
    fn output(&self, pin: u32) -> Result<Box<dyn DigitalOut>, PinError>;
}

/// Why a line cannot be used. All of it may heal while the daemon runs, so all of it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    #[error("{}", self.words().en)]
    NoChip { chip: String },
    #[error("{}", self.words().en)]
    NoRights { chip: String },
    #[error("{}", self.words().en)]
    NotAChip { chip: String },
    #[error("{}", self.words().en)]
    NotAPi { why: String },
    #[error("{}", self.words().en)]
    NoSuchPin { pin: u32 },
    #[error("{}", self.words().en)]
    InUse { pin: u32 },
    #[error("{}", self.words().en)]
    Failed { why: String },
}

impl PinError {
    /// What is the matter and what to do, for a technician.
    #[must_use]
    pub fn words(&self) -> Words {
        match self {
            Self::NoChip { chip } => Words::new(
                format!(
                    "there is no GPIO chip {chip}; list them with `ls /dev/gpiochip*` and set gpio.chip"
                ),
                format!("找不到 GPIO 芯片 {chip}；请用 `ls /dev/gpiochip*` 查看并修改 gpio.chip"),
            ),
            Self::NoRights { chip } => Words::new(
                format!(
                    "footfall may not use {chip}; add its user to the group gpio and restart it"
                ),
                format!("没有使用 {chip} 的权限；请把运行用户加入 gpio 组并重启"),
            ),
            Self::NotAChip { chip } => Words::new(
                format!(
                    "{chip} is no GPIO chip; list them with `ls /dev/gpiochip*` and set gpio.chip"
                ),
                format!("{chip} 不是 GPIO 芯片；请用 `ls /dev/gpiochip*` 查看并修改 gpio.chip"),
            ),
            Self::NotAPi { why } => Words::new(
                format!(
                    "this board's pins cannot be used as a Raspberry Pi's ({why}); set gpio.backend = \"gpiocdev\""
                ),
                format!("无法按树莓派方式使用引脚（{why}）；请设置 gpio.backend = \"gpiocdev\""),
            ),
            Self::NoSuchPin { pin } => Words::new(
                format!("the chip has no line {pin}; correct the pin's number in the config"),
                format!("芯片没有 {pin} 号引脚；请在配置中改正引脚号"),
            ),
            Self::InUse { pin } => Words::new(
                format!(
                    "pin {pin} is used by something else; see who with `gpioinfo`, or choose another pin"
                ),
                format!("引脚 {pin} 已被占用；请用 `gpioinfo` 查看占用者，或换一个引脚"),
            ),
            Self::Failed { why } => Words::new(
                format!("the GPIO chip fails ({why}); check the board and its cable"),
                format!("GPIO 芯片出错（{why}）；请检查主板和接线"),
            ),
        }
    }
}

/// The sensors of `[gpio]`, and its LED, which shows `mood`.
#[must_use]
pub fn fit(settings: &Settings, house: &House, mood: &MoodCell) -> Vec<Fitted> {
    let chip: Arc<dyn Chip> = match settings.backend {
        Backend::Auto => Arc::new(pi::PiOrCdev::new(&settings.chip)),
        Backend::Rppal => Arc::new(pi::Pi),
        Backend::Gpiocdev => Arc::new(cdev::Cdev::new(&settings.chip)),
        Backend::Fake => Arc::new(fake::Board::new(Arc::clone(&house.clock))),
    };
    fit_on(settings, house, mood, &chip)
}

/// Like [`fit`], on a chip that the caller has: for tests and the synthetic shop.
#[must_use]
pub fn fit_on(
    settings: &Settings,
    house: &House,
    mood: &MoodCell,
    chip: &Arc<dyn Chip>,
) -> Vec<Fitted> {
    let watch = |machine: Box<dyn Machine>, id: &str, lines: Vec<LineSpec>, text: String| {
        let text = format!("{:?} {:?} {text}", settings.backend, settings.chip);
        Watch::fitted(id, lines, machine, house, chip, text)
    };
    let mut fitted = Vec::new();
    for door in &settings.door {
        let machine = Box::new(DoorContact::new(&door.id));
        fitted.push(watch(
            machine,
            &door.id,
            vec![door.line()],
            format!("{door:?}"),
        ));
    }
    for beam in &settings.beam {
        let machine = Box::new(BeamPair::new(&beam.id));
        fitted.push(watch(machine, &beam.id, beam.lines(), format!("{beam:?}")));
    }
    for button in &settings.button {
        let machine = Box::new(PushButton::new(&button.id));
        fitted.push(watch(
            machine,
            &button.id,
            vec![button.line()],
            format!("{button:?}"),
        ));
    }
    if let Some(led) = &settings.led {
        let text = format!("{:?} {:?} {led:?}", settings.backend, settings.chip);
        fitted.push(StatusLed::fitted(led, house, mood, chip, text));
    }
    fitted
}

#[cfg(test)]
mod tests;
