//! A scanner as a sensor: opens its device, makes scans of what arrives, hands over events, and looks for the device
//! again when it was unplugged.
//!
//! A payload lives in the assembler alone, from its first character until [`code::read`] has said what may be kept of
//! it; then it is wiped. Nothing here logs it, copies it or puts it into an error.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use tracing::{debug, info, warn};

use super::assemble::{Assembler, Input, Scan};
use super::code;
use super::hid::Keyboard;
use super::rules::Rules;
use super::serial::SerialLine;
use super::settings::Settings;
use super::touchpoint::{self, Place};
use super::window::DuplicateWindow;
use crate::event::Body;
use crate::metric::{Counter, Metric};
use crate::sensor::reopen::Waits;
use crate::sensor::{Face, Fitted, HealthCell, House, Sensor, State};
use crate::stop::Stop;
use crate::words::Words;

/// How often the wish to stop is looked at.
const LOOK_UP: Duration = Duration::from_millis(150);
/// Rest after a device said that there is something to read and then had nothing.
const REST: Duration = Duration::from_millis(20);

/// Where scans come from.
pub(super) trait Device: Send {
    /// # Errors
    /// It is not there or cannot be used; the words say what to do.
    fn open(&mut self) -> Result<Box<dyn Line>, DeviceError>;
}

/// A device that is open.
pub(super) trait Line: Send {
    /// Waits `timeout` at most and passes on what arrived.
    ///
    /// # Errors
    /// It was unplugged or failed.
    fn read(
        &mut self,
        timeout: Duration,
        take: &mut dyn FnMut(Input),
    ) -> Result<Arrived, DeviceError>;
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    Something,
    /// The time is over.
    Nothing,
    /// Woken for nothing.
    FalseAlarm,
}

/// Why a device cannot be used. All of it may heal while the daemon runs, so all of it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words().en)]
pub(super) struct DeviceError {
    pub path: PathBuf,
    pub kind: Kind,
    pub why: Why,
}

/// What is expected at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Serial,
    Hid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Missing,
    NoRights,
    InUse,
    WrongKind,
    Unplugged,
    Failed(Errno),
}

impl DeviceError {
    /// What the operating system said when a device was opened.
    pub fn opening(path: &Path, kind: Kind, errno: Errno) -> Self {
        let why = match errno {
            Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::IO | Errno::NOTDIR => Why::Missing,
            Errno::ACCESS | Errno::PERM => Why::NoRights,
            Errno::BUSY | Errno::AGAIN => Why::InUse,
            Errno::NOTTY | Errno::INVAL | Errno::ISDIR => Why::WrongKind,
            other => Why::Failed(other),
        };
        let path = path.to_owned();
        Self { path, kind, why }
    }

    /// What the operating system said when a device was read.
    pub fn reading(path: &Path, kind: Kind, errno: Errno) -> Self {
        let why = match errno {
            Errno::IO | Errno::NXIO | Errno::NODEV => Why::Unplugged,
            other => Why::Failed(other),
        };
        let path = path.to_owned();
        Self { path, kind, why }
    }

    /// What is the matter and what to do, for a technician.
    pub fn words(&self) -> Words {
        let path = self.path.display();
        let (group, list) = match self.kind {
            Kind::Serial => ("dialout", "/dev/serial/by-id/"),
            Kind::Hid => ("input", "/dev/input/by-id/"),
        };
        match self.why {
            Why::Missing => Words::new(
                format!(
                    "no scanner at {path}; plug it in, or see with `ls {list}` what it is called"
                ),
                format!("{path} 没有扫码枪；请插上，或用 `ls {list}` 查看名称"),
            ),
            Why::NoRights => Words::new(
                format!(
                    "footfall may not use {path}; add its user to the group {group} and restart it"
                ),
                format!("没有使用 {path} 的权限；请把运行用户加入 {group} 组并重启"),
            ),
            Why::InUse => Words::new(
                format!(
                    "{path} is used by another program; see which with `fuser {path}` and end it"
                ),
                format!("{path} 被其他程序占用；请用 `fuser {path}` 查看并结束它"),
            ),
            Why::WrongKind => match self.kind {
                Kind::Serial => Words::new(
                    format!(
                        "{path} is no serial line; for a scanner that types use `hid` instead of `device`"
                    ),
                    format!("{path} 不是串口；键盘式扫码枪请用 hid 代替 device"),
                ),
                Kind::Hid => Words::new(
                    format!("{path} is no keyboard; choose the one whose name ends in -event-kbd"),
                    format!("{path} 不是键盘设备；请选择名称以 -event-kbd 结尾的设备"),
                ),
            },
            Why::Unplugged => Words::new(
                "the scanner was unplugged; plug it in again and check its cable",
                "扫码枪已拔出；请重新插上并检查线缆",
            ),
            Why::Failed(errno) => Words::new(
                format!("{path} fails ({errno}); unplug the scanner and plug it in again"),
                format!("{path} 出错（{errno}）；请拔下扫码枪后重新插上"),
            ),
        }
    }
}

/// The sensors of all `[[scanner]]`.
#[must_use]
pub fn fit(all: &[Settings], house: &House) -> Vec<Fitted> {
    let device = |one: &Settings| -> Box<dyn Device> {
        match &one.hid {
            Some(path) => Box::new(Keyboard::new(path, one.layout)),
            None => Box::new(SerialLine::new(one)),
        }
    };
    all.iter()
        .map(|one| Reader::fitted(one, device(one), house))
        .collect()
}

/// What a scanner counts about itself.
#[derive(Clone, Default)]
pub(super) struct Tally {
    pub codes: Counter,
    pub duplicates: Counter,
    pub too_long: Counter,
    pub unreadable: Counter,
    pub reconnects: Counter,
}

impl Tally {
    fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::counter("codes", "codes read", "已扫码", &self.codes),
            Metric::counter(
                "duplicates",
                "repeats passed over",
                "重复扫码（已忽略）",
                &self.duplicates,
            ),
            Metric::counter(
                "too_long",
                "too long, dropped",
                "过长（已丢弃）",
                &self.too_long,
            ),
            Metric::counter(
                "unreadable",
                "not readable as text",
                "无法识别",
                &self.unreadable,
            ),
            Metric::counter(
                "reconnects",
                "times plugged in again",
                "重新连接次数",
                &self.reconnects,
            ),
        ]
    }
}

/// One scanner at work.
pub(super) struct Reader {
    id: String,
    device: Box<dyn Device>,
    house: House,
    health: HealthCell,
    tally: Tally,
    assembler: Assembler,
    window: DuplicateWindow,
    rules: Rules,
    places: Vec<Place>,
    opened_before: bool,
}

impl Reader {
    pub fn new(settings: &Settings, device: Box<dyn Device>, house: &House, tally: Tally) -> Self {
        Self {
            id: settings.id.clone(),
            device,
            house: house.clone(),
            health: HealthCell::starting(house.clock.now()),
            tally,
            assembler: Assembler::new(settings.idle()),
            window: DuplicateWindow::new(settings.window()),
            rules: settings.rule.clone(),
            places: settings.touchpoint.clone(),
            opened_before: false,
        }
    }

    pub fn fitted(settings: &Settings, device: Box<dyn Device>, house: &House) -> Fitted {
        let reader = Self::new(settings, device, house, Tally::default());
        Fitted {
            face: reader.face(),
            settings: format!("{settings:?}"),
            sensor: Box::new(reader),
        }
    }

    pub fn face(&self) -> Face {
        Face::new("scanner", &self.id, &self.health, self.tally.metrics())
    }

    /// Until `stop` (`None`) or until the device fails. `Err`: the daemon is leaving.
    fn listen(
        &mut self,
        line: &mut dyn Line,
        stop: &Stop,
        waits: &mut Waits,
    ) -> Result<Option<DeviceError>, String> {
        while !stop.asked() {
            let before = self.house.clock.now().boot;
            let timeout = self.assembler.left(before).unwrap_or(LOOK_UP).min(LOOK_UP);
            let mut told = Ok(());
            let arrived = line.read(timeout, &mut |input| {
                let now = self.house.clock.now().boot;
                if let Some(scan) = self.assembler.push(input, now) {
                    let submitted = self.scanned(scan);
                    told = std::mem::replace(&mut told, Ok(())).and(submitted);
                }
            });
            told?;
            match arrived {
                Ok(Arrived::Something) => waits.reset(),
                Ok(Arrived::Nothing) => {
                    if let Some(scan) = self.assembler.step(before) {
                        self.scanned(scan)?;
                    }
                }
                Ok(Arrived::FalseAlarm) => drop(stop.wait(REST)),
                Err(why) => return Ok(Some(why)),
            }
        }
        Ok(None)
    }

    /// A scan has ended: it is told or counted, and wiped.
    fn scanned(&mut self, scan: Scan) -> Result<(), String> {
        let told = match scan {
            Scan::Whole => self.tell(),
            Scan::TooLong => {
                self.tally.too_long.add(1);
                Ok(())
            }
            Scan::Unreadable => {
                self.tally.unreadable.add(1);
                Ok(())
            }
        };
        self.assembler.wipe();
        told
    }

    fn tell(&mut self) -> Result<(), String> {
        let at = self.house.clock.now();
        let payload = self.assembler.payload();
        // A scanner names the symbology before every code or before none: it is a part of what is compared.
        if !self.window.pass(at.boot, None, payload) {
            self.tally.duplicates.add(1);
            return Ok(());
        }
        let mut scanned = code::read(payload, None, &self.rules);
        scanned.touchpoint = touchpoint::find(&self.places, &scanned.kind, payload);
        self.tally.codes.add(1);
        self.tally
            .unreadable
            .add(u64::from(scanned.kind == "binary"));
        debug!(scanner = self.id, kind = scanned.kind, "code");
        self.house
            .submit(
                &format!("scanner/{}", self.id),
                at,
                Body::CodeScanned(scanned),
            )
            .map_err(|why| why.to_string())
    }

    fn trouble(&self, why: &DeviceError) {
        if self
            .health
            .set(State::Trouble, why.words(), self.house.clock.now())
        {
            warn!(scanner = self.id, %why, "scanner cannot be read");
        }
    }
}

impl Sensor for Reader {
    fn run(&mut self, stop: &Stop) -> Result<(), String> {
        let mut waits = Waits::default();
        self.assembler.wipe();
        while !stop.asked() {
            let opened = self.device.open();
            let why = match opened {
                Ok(mut line) => {
                    self.tally.reconnects.add(u64::from(self.opened_before));
                    self.opened_before = true;
                    let ready = Words::new("ready to scan", "可以扫码");
                    if self.health.set(State::Ok, ready, self.house.clock.now()) {
                        info!(scanner = self.id, "scanner ready");
                    }
                    let ended = self.listen(line.as_mut(), stop, &mut waits)?;
                    // Half a scan is no scan.
                    self.assembler.wipe();
                    match ended {
                        None => return Ok(()),
                        Some(why) => why,
                    }
                }
                Err(why) => why,
            };
            self.trouble(&why);
            stop.wait(waits.next_wait());
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
