//! What events say: one type for each kind of event.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Stream;
use super::place::{
    FlowInterval, HeatmapInterval, OccupancyInterval, QueueInterval, ZoneDwelled, ZoneEntered,
    ZoneInterval, ZoneLeft,
};
use crate::clock::ClockSet;

/// Which way a line was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the line's left side to its right side.
    In,
    /// From the line's right side to its left side.
    Out,
}

/// `line.crossed`: one person crossed one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineCrossed {
    /// The line's id in the config.
    pub line: String,
    pub direction: Direction,
    /// The track's number; unique within one boot and camera, never an identity.
    pub track: u64,
    /// Name of the side the person came from.
    pub from: String,
    /// Name of the side the person went to.
    pub to: String,
    /// What the detector took them for; absent where the camera counts one class only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

/// How far an interval's numbers can be trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quality {
    pub status: CameraState,
    /// Frames analysed per second of the interval.
    pub fps: f64,
    /// Frames analysed.
    pub frames: u64,
    /// Frames that arrived and were replaced by a newer one before they were analysed.
    pub dropped: u64,
    /// Share of the interval in which frames were being analysed, 0..=1.
    pub uptime_ratio: f64,
}

/// `line.interval`: what crossed one line between two moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LineInterval {
    pub line: String,
    /// Start of the real coverage, RFC 3339.
    pub from: String,
    /// End of the real coverage (exclusive), RFC 3339.
    pub to: String,
    /// Whether the shop was open when the interval began; absent when no opening hours are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Crossings inwards.
    #[serde(rename = "in")]
    pub inward: u64,
    /// Crossings outwards.
    #[serde(rename = "out")]
    pub outward: u64,
    /// The same by class; empty where the camera counts one class only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, InOut>,
    pub quality: Quality,
}

/// Crossings in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InOut {
    #[serde(rename = "in")]
    pub inward: u64,
    #[serde(rename = "out")]
    pub outward: u64,
}

impl InOut {
    /// One more crossing.
    pub fn add(&mut self, direction: Direction) {
        match direction {
            Direction::In => self.inward += 1,
            Direction::Out => self.outward += 1,
        }
    }
}

impl std::ops::AddAssign for InOut {
    fn add_assign(&mut self, more: Self) {
        self.inward += more.inward;
        self.outward += more.outward;
    }
}

/// What a camera delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CameraState {
    /// Frames arrive and are analysed.
    Ok,
    /// No frames arrive.
    Lost,
    /// Frames arrive, but they are all the same picture.
    Frozen,
    /// Something lies over the lens, or it is out of focus.
    Covered,
    /// It is too dark to see anything.
    Dark,
    /// It is blinded by light.
    Bright,
    /// It sees another scene than the one it was hung for.
    Moved,
    /// Too few frames a second arrive to follow people.
    Slow,
}

impl CameraState {
    /// Whether the frames show nothing that could be counted.
    #[must_use]
    pub const fn blind(self) -> bool {
        matches!(
            self,
            Self::Lost | Self::Frozen | Self::Covered | Self::Dark | Self::Bright
        )
    }
}

/// `camera.status`: the camera's state changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CameraStatus {
    pub status: CameraState,
    /// Plain words for a technician: what is wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `device.started`: the daemon started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceStarted {
    /// The daemon's version.
    pub version: String,
    /// SHA-256 of the config file's bytes, hex.
    pub config_sha256: String,
}

/// `device.clock_synced`: the wall clock can be believed from now on, or was set anew. Places the events of this boot: a
/// moment's wall-clock time is `offset` + `boottime`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockSynced {
    /// The boot it is about, as in `bootid` of its events.
    pub bootid: String,
    /// Wall-clock time minus time since boot, seconds since 1970-01-01T00:00:00Z with milliseconds.
    pub offset: f64,
    /// How far the wall clock jumped since the daemon started or since the last such event, seconds with milliseconds;
    /// positive: forward. 0 when it was right from the start.
    pub step: f64,
}

impl ClockSynced {
    /// The event for what the watch over the clock has seen in the boot `bootid`.
    #[must_use]
    pub fn new(bootid: &str, set: ClockSet) -> Self {
        let seconds = |millis: i128| millis as f64 / 1000.0;
        Self {
            bootid: bootid.to_owned(),
            offset: seconds(set.booted_at.as_millisecond().into()),
            step: seconds(set.step.as_millis()),
        }
    }
}

/// `device.health`: facts about the process and the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceHealth {
    /// Resident memory of the daemon, bytes.
    pub rss_bytes: u64,
    /// Free space where the outbox lives, bytes.
    pub disk_free_bytes: u64,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// How often a part panicked or failed and was restarted since the daemon started.
    pub restarts: u64,
}

/// `device.alarm`: something a person must look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceAlarm {
    /// The part it is about, such as `outbox` or `camera/entrance`.
    pub part: String,
    /// Plain words: what happened and what to do.
    pub message: String,
}

/// `outbox.gap`: these events are gone for good, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutboxGap {
    pub stream: Stream,
    /// First missing sequence number.
    pub first: u64,
    /// Last missing sequence number.
    pub last: u64,
    /// How many are missing.
    pub count: u64,
    pub reason: GapReason,
}

/// Why events are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// The stored bytes were damaged.
    Corruption,
    /// The disk budget was used up.
    Quota,
    /// Numbers skipped after a damaged tail so that none is ever used twice; no event was acknowledged under them.
    Skipped,
}

/// `wifi.interval`: devices around between two moments, as counts only. A count of 1 to 4 is null, and so is one from which
/// such a count could be worked out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WifiInterval {
    /// Start of the real coverage, RFC 3339.
    pub from: String,
    /// End of the real coverage (exclusive), RFC 3339.
    pub to: String,
    /// Distinct senders with a random (locally administered) address; one device can be several.
    pub random: Option<u64>,
    /// Distinct senders with a global address.
    pub global: Option<u64>,
    /// Senders that were near for long enough to be called visitors.
    pub visitors: Option<u64>,
    /// The other senders.
    pub passers_by: Option<u64>,
    /// Visitors whose stay ended in the interval, by its length.
    pub dwell: Vec<DwellBucket>,
    pub quality: WifiQuality,
}

/// How many stays were this long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DwellBucket {
    /// Shortest stay of the bucket, seconds.
    pub from_s: u64,
    /// Longest stay (exclusive), seconds; open when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_s: Option<u64>,
    pub visitors: Option<u64>,
}

/// How far a Wi-Fi interval can be trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WifiQuality {
    /// Share of the interval in which the radio was listening, 0..=1.
    pub uptime_ratio: f64,
    /// Probe requests that were heard.
    pub probe_requests: u64,
    /// Probe requests among them that no longer fitted in and are in no other number.
    pub untracked: u64,
    /// Frames the kernel dropped because nobody took them in time.
    pub kernel_drops: u64,
    /// Frames dropped between capture and count.
    pub queue_drops: u64,
    /// Frames with a wrong checksum.
    pub bad_fcs: u64,
    /// Frames that were cut short.
    pub truncated: u64,
    /// Frames whose headers could not be right.
    pub malformed: u64,
}

/// `code.scanned`: a scanner read a code. What could tell who somebody is or how they pay is not in here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CodeScanned {
    /// What the code is: `gs1`, `ean`, `url`, `phone`, `email`, `contact`, `wifi`, `text`, `binary`, `payment_code` (of
    /// which nothing else is told), or a word of a rule in the config, such as `member`.
    pub kind: String,
    /// Such as `EAN13` or `QRCode`; absent where the scanner does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbology: Option<String>,
    /// As scanned, without the AIM identifier, where its kind or a rule of the config allows it: the digits of a retail
    /// number, scheme, host and readable path of an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// GTIN-14.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtin: Option<String>,
    /// GS1 element string: Application Identifier to value. Elements about people are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elements: BTreeMap<String, String>,
    /// Whether every check digit is right; absent where the code has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_digit_ok: Option<bool>,
    /// What is wrong with the element string, in plain words without values; at most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Whether something was left out because it could tell who somebody is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub redacted: bool,
    /// Where the code hangs, from the config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touchpoint: Option<Touchpoint>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Where a code hangs or a scanner stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Touchpoint {
    pub id: String,
    pub kind: TouchpointKind,
}

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TouchpointKind {
    Shelf,
    Poster,
    Till,
    Guide,
}

/// `door.opened`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoorOpened {
    /// The door's id in the config.
    pub door: String,
}

/// `door.closed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DoorClosed {
    /// The door's id in the config.
    pub door: String,
    /// How long it was open, seconds; absent when its opening was not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_s: Option<f64>,
}

/// `beam.crossed`: something went through a pair of light beams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BeamCrossed {
    /// The pair's id in the config.
    pub beam: String,
    /// `in`: the outer beam was broken first.
    pub direction: Direction,
}

/// `button.pressed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ButtonPressed {
    /// The button's id in the config.
    pub button: String,
    /// Held for three seconds or more.
    pub long: bool,
}

/// `config.applied`: a config from the cloud is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigApplied {
    /// SHA-256 of the config's text, hex.
    pub config_sha256: String,
    /// The command that brought it.
    pub command: String,
}

/// `config.rejected`: a config from the cloud was wrong; the old one stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigRejected {
    pub command: String,
    /// One line for each fault.
    pub faults: Vec<String>,
}

/// `config.rolled_back`: a config did not work; the one before is in force again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigRolledBack {
    /// SHA-256 of the config that is in force again, hex.
    pub config_sha256: String,
    pub reason: String,
}

/// What an event says, by type.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Body {
    LineCrossed(LineCrossed),
    LineInterval(LineInterval),
    ZoneEntered(ZoneEntered),
    ZoneLeft(ZoneLeft),
    ZoneDwelled(ZoneDwelled),
    ZoneInterval(ZoneInterval),
    QueueInterval(QueueInterval),
    HeatmapInterval(HeatmapInterval),
    FlowInterval(FlowInterval),
    OccupancyInterval(OccupancyInterval),
    WifiInterval(WifiInterval),
    CodeScanned(CodeScanned),
    DoorOpened(DoorOpened),
    DoorClosed(DoorClosed),
    BeamCrossed(BeamCrossed),
    ButtonPressed(ButtonPressed),
    ConfigApplied(ConfigApplied),
    ConfigRejected(ConfigRejected),
    ConfigRolledBack(ConfigRolledBack),
    CameraStatus(CameraStatus),
    DeviceStarted(DeviceStarted),
    ClockSynced(ClockSynced),
    DeviceHealth(DeviceHealth),
    DeviceAlarm(DeviceAlarm),
    OutboxGap(OutboxGap),
}

impl Body {
    /// The CloudEvents `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LineCrossed(_) => "footfall.line.crossed.v1",
            Self::LineInterval(_) => "footfall.line.interval.v1",
            Self::ZoneEntered(_) => "footfall.zone.entered.v1",
            Self::ZoneLeft(_) => "footfall.zone.left.v1",
            Self::ZoneDwelled(_) => "footfall.zone.dwelled.v1",
            Self::ZoneInterval(_) => "footfall.zone.interval.v1",
            Self::QueueInterval(_) => "footfall.queue.interval.v1",
            Self::HeatmapInterval(_) => "footfall.heatmap.interval.v1",
            Self::FlowInterval(_) => "footfall.flow.interval.v1",
            Self::OccupancyInterval(_) => "footfall.occupancy.interval.v1",
            Self::WifiInterval(_) => "footfall.wifi.interval.v1",
            Self::CodeScanned(_) => "footfall.code.scanned.v1",
            Self::DoorOpened(_) => "footfall.door.opened.v1",
            Self::DoorClosed(_) => "footfall.door.closed.v1",
            Self::BeamCrossed(_) => "footfall.beam.crossed.v1",
            Self::ButtonPressed(_) => "footfall.button.pressed.v1",
            Self::ConfigApplied(_) => "footfall.config.applied.v1",
            Self::ConfigRejected(_) => "footfall.config.rejected.v1",
            Self::ConfigRolledBack(_) => "footfall.config.rolled_back.v1",
            Self::CameraStatus(_) => "footfall.camera.status.v1",
            Self::DeviceStarted(_) => "footfall.device.started.v1",
            Self::ClockSynced(_) => "footfall.device.clock_synced.v1",
            Self::DeviceHealth(_) => "footfall.device.health.v1",
            Self::DeviceAlarm(_) => "footfall.device.alarm.v1",
            Self::OutboxGap(_) => "footfall.outbox.gap.v1",
        }
    }

    /// The stream it belongs to.
    #[must_use]
    pub const fn stream(&self) -> Stream {
        match self {
            Self::DeviceAlarm(_) | Self::OutboxGap(_) | Self::ConfigRolledBack(_) => Stream::Alarm,
            Self::LineCrossed(_)
            | Self::ZoneEntered(_)
            | Self::ZoneLeft(_)
            | Self::ZoneDwelled(_)
            | Self::CodeScanned(_)
            | Self::DoorOpened(_)
            | Self::DoorClosed(_)
            | Self::BeamCrossed(_)
            | Self::ButtonPressed(_)
            // Kept for as long as the counts that it places, and behind them.
            | Self::ClockSynced(_) => Stream::Count,
            Self::LineInterval(_)
            | Self::ZoneInterval(_)
            | Self::QueueInterval(_)
            | Self::HeatmapInterval(_)
            | Self::FlowInterval(_)
            | Self::OccupancyInterval(_)
            | Self::WifiInterval(_) => Stream::Interval,
            Self::ConfigApplied(_)
            | Self::ConfigRejected(_)
            | Self::CameraStatus(_)
            | Self::DeviceStarted(_)
            | Self::DeviceHealth(_) => Stream::Diagnostic,
        }
    }
}
