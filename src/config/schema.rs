//! What the config file may say. `firmware-config/footfall.toml` documents every key with its default.
//!
//! Lengths on the picture are fractions of its width and height, 0..=1, origin top left.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub use crate::hours::HoursSettings as Hours;
pub use crate::sensor::camera::external::Settings as Ffmpeg;
pub use crate::sensor::camera::rtsp::{Decoder, Transport};
pub use crate::sensor::camera::v4l2::PixelFormat;
pub use crate::sensor::vision::count::geometry::Anchor;
pub use crate::sensor::vision::count::line::CountMode;
use crate::sensor::{gpio, scanner, wifi};

/// The whole file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Config {
    pub device: Device,
    #[serde(default)]
    pub outbox: Outbox,
    #[serde(default)]
    pub uplink: Uplink,
    #[serde(default)]
    pub command: Command,
    #[serde(default)]
    pub status: Status,
    #[serde(default)]
    pub vision: Vision,
    #[serde(default)]
    pub ffmpeg: Ffmpeg,
    #[serde(default)]
    pub camera: Vec<Camera>,
    #[serde(default)]
    pub place: Vec<Place>,
    /// When the shop is open; absent: interval events do not say.
    pub hours: Option<Hours>,
    #[serde(default)]
    pub gpio: gpio::Settings,
    #[serde(default)]
    pub scanner: Vec<scanner::Settings>,
    #[serde(default)]
    pub wifi: Vec<wifi::Settings>,
}

impl Config {
    /// `[ffmpeg]` with what a camera says otherwise.
    #[must_use]
    pub fn ffmpeg_of(&self, camera: &Camera) -> Ffmpeg {
        let mut ffmpeg = self.ffmpeg.clone();
        if let Some(input) = &camera.ffmpeg_input {
            ffmpeg.input.clone_from(input);
        }
        if let Some(output) = &camera.ffmpeg_output {
            ffmpeg.output.clone_from(output);
        }
        ffmpeg
    }
}

/// `[device]`: which box this is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Device {
    /// The company; one topic level, `[A-Za-z0-9._-]{1,64}` like `store` and `box`.
    pub tenant: String,
    pub store: String,
    #[serde(rename = "box")]
    pub box_id: String,
    /// IANA name, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    pub timezone: String,
    #[serde(default)]
    pub clock: ClockTrust,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Whom to believe about the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClockTrust {
    /// Synced once systemd-timesyncd says so.
    #[default]
    Auto,
    /// The owner vouches for the clock (real-time clock, or another time service).
    Trusted,
}

/// `[outbox]`: where events wait for the cloud.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Outbox {
    pub dir: PathBuf,
    /// sled's cache, MB, 1..=256.
    pub cache_mb: u32,
    /// What its files may take on disk, MB, 32..=1000000. Unset: 1024, and at most a quarter of the file system.
    pub quota_mb: Option<u32>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            dir: "/var/lib/footfall".into(),
            cache_mb: 8,
            quota_mb: None,
        }
    }
}

/// `[uplink]`: the way to the cloud. Without `broker` events stay on the box.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Uplink {
    /// `mqtt://host[:1883]` or `mqtts://host[:8883]`.
    pub broker: Option<String>,
    pub username: Option<String>,
    /// File that holds the password; one trailing line end is ignored.
    pub password_file: Option<PathBuf>,
    /// PEM of the certificate authority that signed the broker's certificate; needed for `mqtts`.
    pub ca_file: Option<PathBuf>,
    /// PEM of the box's own certificate; together with `key_file`.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// The version of MQTT.
    pub protocol: Protocol,
    /// Seconds between MQTT pings, 5..=3600.
    pub keep_alive_s: u16,
    /// Batches under way at once, 1..=100.
    pub inflight: u16,
    /// Events in one batch, 1..=1000.
    pub batch_events: usize,
    /// Size limit of one batch before compression, KiB, 4..=4096.
    pub batch_kib: usize,
    /// Largest packet the broker takes, KiB, 4..=262143. MQTT 5 brokers tell; the smaller limit counts.
    pub max_packet_kib: Option<usize>,
    pub compression: Compression,
}

/// The version of MQTT between box and broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Protocol {
    #[default]
    #[serde(rename = "5")]
    V5,
    #[serde(rename = "3.1.1")]
    V311,
}

/// How batches are made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    None,
    /// Zstandard (RFC 8878), where it makes a batch smaller.
    Zstd,
}

impl Default for Uplink {
    fn default() -> Self {
        Self {
            broker: None,
            username: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            protocol: Protocol::default(),
            keep_alive_s: 30,
            inflight: 20,
            batch_events: 100,
            batch_kib: 128,
            max_packet_kib: None,
            compression: Compression::default(),
        }
    }
}

/// `[command]`: whom the box obeys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Command {
    /// Public keys of those who may sign commands; none: the box takes no commands.
    pub keys: Vec<PathBuf>,
    /// How long a changed config is watched before it may stay, seconds, 5..=3600.
    pub probation_s: u32,
    /// Whether `device.reboot` is obeyed.
    pub reboot: bool,
}

impl Default for Command {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            probation_s: 120,
            reboot: false,
        }
    }
}

/// `[status]`: the technician's page.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Status {
    /// `address:port` to listen on; an empty text switches the page off.
    pub listen: String,
    /// File with the hash of the technician's PIN (`footfall status pin --file FILE`); needed to listen beyond the box.
    pub pin_file: Option<PathBuf>,
    pub metrics: MetricsAccess,
}

/// Who may read `/metrics`. Programs on the box always may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricsAccess {
    /// Whoever is logged in.
    #[default]
    Login,
    /// Everybody who reaches the page's address.
    Open,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            pin_file: None,
            metrics: MetricsAccess::default(),
        }
    }
}

/// `[vision]`: shared by all cameras.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Vision {
    /// The ONNX Runtime library; searched for when absent (see the guide).
    pub onnxruntime: Option<PathBuf>,
    /// More directories with model manifests and weights, searched first.
    pub models: Vec<PathBuf>,
    /// Threads of one inference, 1..=8.
    pub threads: Option<u8>,
}

/// `[[camera]]`: one camera and what is counted on its picture. Exactly one of `device`, `rtsp` and `file`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Camera {
    /// `[a-z0-9-]{1,32}`, unique.
    pub id: String,
    /// A USB or built-in camera: `/dev/v4l/by-id/…` or `/dev/videoN`.
    pub device: Option<PathBuf>,
    /// Size asked of `device`, pixels `[width, height]`, 16..=8192; the nearest that it has is taken.
    #[serde(default = "vga")]
    pub size: [u32; 2],
    /// How `device` packs its pictures.
    #[serde(default)]
    pub format: PixelFormat,
    /// A network camera: `rtsp://host:554/path`, without user and password.
    pub rtsp: Option<String>,
    pub username: Option<String>,
    /// File that holds the password of `username`; one trailing line end is ignored.
    pub password_file: Option<PathBuf>,
    /// How the pictures of `rtsp` travel.
    #[serde(default)]
    pub transport: Transport,
    /// Who decodes the pictures of `rtsp`.
    #[serde(default)]
    pub decoder: Decoder,
    /// In place of `input` and `output` of `[ffmpeg]`.
    pub ffmpeg_input: Option<Vec<String>>,
    pub ffmpeg_output: Option<Vec<String>>,
    /// A recording: a video, a GIF, or a folder of pictures.
    pub file: Option<PathBuf>,
    /// Start the recording again when it ends (`run` only).
    #[serde(default)]
    pub repeat: bool,
    /// Frame rate of a folder of pictures, 0.1..=120.
    #[serde(default = "ten")]
    pub picture_fps: f64,
    /// Frames analysed per second at most, 0.2..=60; absent: all of them.
    pub fps: Option<f64>,
    /// The same while nothing moves and nobody is followed, 0.2..=60; absent: as always.
    pub idle_fps: Option<f64>,
    /// Who finds people on the picture.
    #[serde(default)]
    pub detector: DetectorKind,
    /// A model's name (`models/NAME.toml`) or the path of a manifest; needed unless `detector` is `motion`.
    #[serde(default)]
    pub model: String,
    /// Which pictures people are looked for on.
    #[serde(default)]
    pub gate: Gate,
    /// Share of a person's box that must move for them to be counted from then on, 0..=0.9; 0: people who never moved
    /// are people, too.
    #[serde(default)]
    pub min_moving_share: f64,
    /// Of `detector = "motion"`: the smallest person, as a share of the picture's area, 0.0005..=0.5.
    #[serde(default = "two_percent")]
    pub min_area: f64,
    /// Score from which a detection may start a track, 0.01..=0.99; absent: the manifest's.
    pub threshold: Option<f64>,
    /// Which classes count as a person.
    #[serde(default = "person")]
    pub classes: Vec<String>,
    /// Point of a person's box that is held against lines; absent: the one for the model's view ([`View::anchor`]).
    pub anchor: Option<Anchor>,
    /// What is painted over before anything looks at the picture.
    #[serde(default)]
    pub mask: Vec<Mask>,
    /// Whether `heatmap.interval` is told.
    #[serde(default)]
    pub heatmap: bool,
    /// Length of `heatmap.interval` and `flow.interval`, minutes: 5, 10, 15, 20, 30 or 60.
    #[serde(default = "quarter")]
    pub maps_min: u32,
    #[serde(default)]
    pub line: Vec<Line>,
    #[serde(default)]
    pub zone: Vec<Zone>,
}

fn quarter() -> u32 {
    15
}

/// `[[camera.mask]]`: a part of the picture that must not be seen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Mask {
    /// The corners of a polygon, three at least, each `[x, y]` as fractions of the picture.
    pub points: Vec<[f64; 2]>,
}

/// Who finds people on a camera's picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DetectorKind {
    /// The model.
    #[default]
    Model,
    /// Whatever moves and is large enough is a person.
    Motion,
}

/// Which of a camera's pictures people are looked for on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// Those on which something moves; the others now and then.
    #[default]
    Motion,
    /// All of them.
    Off,
}

fn two_percent() -> f64 {
    0.02
}

fn vga() -> [u32; 2] {
    [640, 480]
}

fn ten() -> f64 {
    10.0
}

fn person() -> Vec<String> {
    vec!["person".to_owned()]
}

/// `[[camera.line]]`: a counting line.
///
/// Stand on the first point and look along the line: a crossing from your left hand to your right is `in`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Line {
    /// `[a-z0-9-]{1,32}`, unique within the camera.
    pub id: String,
    /// Two to sixteen points, each `[x, y]` as fractions of the picture.
    pub points: Vec<[f64; 2]>,
    /// Name of the left side.
    #[serde(default = "outside")]
    pub left: String,
    /// Name of the right side.
    #[serde(default = "inside")]
    pub right: String,
    #[serde(default)]
    pub mode: CountMode,
    /// Half-width of the undecided band around the line, in box heights, 0.02..=1.
    #[serde(default = "half_band")]
    pub half_band: f64,
}

fn outside() -> String {
    "outside".to_owned()
}

fn inside() -> String {
    "inside".to_owned()
}

fn half_band() -> f64 {
    0.15
}

/// `[[camera.zone]]`: an area in which people stay or queue.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Zone {
    /// `[a-z0-9-]{1,32}`, unique within the camera.
    pub id: String,
    #[serde(default)]
    pub kind: ZoneKind,
    /// Three to sixteen corners in their order, each `[x, y]` as fractions of the picture.
    pub points: Vec<[f64; 2]>,
    /// Seconds after which a visit is a stay, or somebody is queueing, 1..=3600.
    #[serde(default = "ten")]
    pub dwell_s: f64,
    /// Seconds after which a visit is over, because it is a mannequin's, or staff's, 60..=86400.
    #[serde(default = "an_hour")]
    pub longest_s: u32,
    /// Half-width of the undecided band along the border, in box heights, 0.02..=1.
    #[serde(default = "half_band")]
    pub half_band: f64,
}

/// What a zone is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ZoneKind {
    /// People stay or pass.
    #[default]
    Area,
    /// People queue in it.
    Queue,
}

fn an_hour() -> u32 {
    3600
}

/// `[[place]]`: where people are inside, and which lines lead into it. Without any: the shop, and all lines.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Place {
    /// `[a-z0-9-]{1,32}`, unique.
    pub id: String,
    /// `camera/line` of the lines whose `in` leads into it.
    #[serde(default)]
    pub lines: Vec<String>,
    /// `camera/line` of the lines whose `in` leads out of it.
    #[serde(default)]
    pub reversed: Vec<String>,
    /// Most people who may be inside, 1..=100000.
    pub capacity: Option<u32>,
    /// When nobody is inside, `HH:MM` in the shop's time zone; empty: never.
    #[serde(default = "four")]
    pub reset: String,
    /// Whether the drift that past days had in common is taken out.
    #[serde(default = "yes")]
    pub learn: bool,
}

fn four() -> String {
    "04:00".to_owned()
}

fn yes() -> bool {
    true
}
