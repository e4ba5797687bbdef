//! What events say about zones, queues, places and ways between them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Quality;

/// `zone.entered`: one person is clearly inside a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneEntered {
    /// The zone's id in the config.
    pub zone: String,
    /// The track's number; unique within one boot and camera, never an identity.
    pub track: u64,
}

/// `zone.dwelled`: somebody has been in a zone for its `dwell_s`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneDwelled {
    pub zone: String,
    pub track: u64,
    /// Seconds since they entered.
    pub dwell_s: f64,
}

/// `zone.left`: a visit is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneLeft {
    pub zone: String,
    /// The track at the end; a track that broke and was found again has another number than at the beginning.
    pub track: u64,
    pub reason: LeftReason,
    /// Length of the visit, seconds.
    pub dwell_s: f64,
}

/// Why a visit is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LeftReason {
    /// They were seen walking out.
    Left,
    /// They were not seen any more while inside: hidden for long, or out of the picture.
    Lost,
    /// They stayed longer than the zone's `longest_s`; whatever it is, it is counted no further.
    Timeout,
}

/// Lengths of the stays that ended in an interval, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StayLengths {
    pub mean_s: f64,
    pub median_s: f64,
    pub max_s: f64,
}

/// `zone.interval`: visits to one zone between two moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZoneInterval {
    pub zone: String,
    /// Start of the real coverage, RFC 3339.
    pub from: String,
    /// End of the real coverage (exclusive), RFC 3339.
    pub to: String,
    /// Whether the shop was open when the interval began; absent when no opening hours are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Visits that began.
    pub entered: u64,
    /// Visits that ended, for whatever reason.
    pub left: u64,
    /// Visits that reached the zone's `dwell_s`.
    pub dwelled: u64,
    /// People inside at the end.
    pub present: u64,
    /// People inside, mean over time.
    pub present_mean: f64,
    /// Most people inside at once.
    pub present_max: u64,
    /// Lengths of the visits that ended, those cut off by `longest_s` left out; absent when none ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dwell: Option<StayLengths>,
    pub quality: Quality,
}

/// `queue.interval`: a queue between two moments. Whoever has stayed in its zone for `dwell_s` is queueing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueInterval {
    /// The zone's id in the config.
    pub zone: String,
    /// Start of the real coverage, RFC 3339.
    pub from: String,
    /// End of the real coverage (exclusive), RFC 3339.
    pub to: String,
    /// Whether the shop was open when the interval began; absent when no opening hours are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// People queueing at the end.
    pub length: u64,
    /// People queueing, mean over time.
    pub length_mean: f64,
    /// Most people queueing at once.
    pub length_max: u64,
    /// People who queued and were then seen leaving.
    pub served: u64,
    /// How long they waited; absent when nobody was served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<StayLengths>,
    /// How long somebody who joins at the end will wait, seconds: length by people served a second over the latest
    /// quarter of an hour (Little's law). Absent while nobody is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_wait_s: Option<f64>,
    pub quality: Quality,
}

/// `heatmap.interval`: where people were on a camera's picture between two moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeatmapInterval {
    /// Start of the real coverage, RFC 3339.
    pub from: String,
    /// End of the real coverage (exclusive), RFC 3339.
    pub to: String,
    /// Whether the shop was open when the interval began; absent when no opening hours are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Cells in a row.
    pub columns: u32,
    pub rows: u32,
    /// Seconds of presence in each cell, all people together, row by row from the top left.
    pub seconds: Vec<u32>,
    pub quality: Quality,
}

/// `flow.interval`: ways between the zones of one camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowInterval {
    /// Start of the real coverage, RFC 3339.
    pub from: String,
    /// End of the real coverage (exclusive), RFC 3339.
    pub to: String,
    /// Whether the shop was open when the interval began; absent when no opening hours are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Only ways that somebody took.
    pub flows: Vec<Flow>,
    pub quality: Quality,
}

/// People who went from one zone to another next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flow {
    /// The zone they were in before.
    pub from: String,
    pub to: String,
    pub count: u64,
}

/// `occupancy.interval`: how many people were in a place, worked out from its lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OccupancyInterval {
    /// The place's id in the config; `shop` when none is set.
    pub place: String,
    /// Start of the real coverage, RFC 3339.
    pub from: String,
    /// End of the real coverage (exclusive), RFC 3339.
    pub to: String,
    /// Whether the shop was open when the interval began; absent when no opening hours are set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// People inside at the end.
    pub inside: u64,
    /// Mean over time.
    pub inside_mean: f64,
    pub inside_min: u64,
    pub inside_max: u64,
    /// Most people who may be inside, from the config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// People who had to be added because more left than were inside: what was missed at the entrance, at least.
    pub added: f64,
    /// How many were counted in for each counted out on past days, which is taken out; 1 when nothing is known.
    pub drift: f64,
}
