//! The vocabulary: every event type of footfall and its CloudEvents 1.0 envelope.
//!
//! One event is one JSON object on one line of bytes. It is encoded once, when the outbox gives it
//! its sequence number, and never rewritten.

mod body;
mod place;

use std::fmt;

use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::clock::Stamp;

pub use body::*;
pub use place::*;

/// The four streams, by falling priority. Each numbers its events from 1 without a gap.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// What somebody must look at.
    Alarm,
    /// Crossings, zone visits, scans, doors.
    Count,
    /// Sums over time, with their quality.
    Interval,
    /// How the box is doing.
    Diagnostic,
}

impl Stream {
    /// All streams, highest priority first.
    pub const ALL: [Self; 4] = [Self::Alarm, Self::Count, Self::Interval, Self::Diagnostic];

    /// The name in topics, ids and file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Count => "count",
            Self::Interval => "interval",
            Self::Diagnostic => "diagnostic",
        }
    }

    /// Position in [`Stream::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The stream of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event that has no sequence number yet: what happened, where and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The part that saw it, below the box: `camera/entrance`; empty for the box itself.
    pub source: String,
    pub at: Stamp,
    pub body: Body,
}

/// Who is speaking: goes into every envelope.
#[derive(Clone, Debug)]
pub struct Identity {
    pub tenant: String,
    pub store: String,
    /// The box's id.
    pub box_id: String,
    pub boot_id: String,
    /// The shop's time zone, for the offset in `time`.
    pub zone: TimeZone,
}

impl Identity {
    /// A moment in the shop's time zone, RFC 3339 with milliseconds.
    #[must_use]
    pub fn local_time(&self, wall: jiff::Timestamp) -> String {
        local_time(wall, &self.zone)
    }
}

/// RFC 3339 with milliseconds and the zone's offset at that moment.
#[must_use]
pub fn local_time(wall: jiff::Timestamp, zone: &TimeZone) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    PRINTER.timestamp_with_offset_to_string(&wall, zone.to_offset(wall))
}

/// Room for an event that is being encoded, bytes; most need less.
const USUAL_BYTES: usize = 512;

/// The CloudEvents 1.0 envelope (JSON format, section 2) with footfall's extension attributes.
#[derive(Serialize, JsonSchema)]
pub struct Envelope<'a> {
    specversion: &'static str,
    /// `box/stream/sequence`: the idempotency key.
    id: String,
    stream: Stream,
    /// Contiguous per box and stream, from 1; a decimal string.
    sequence: String,
    source: String,
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    /// `synced` or `unsynced`.
    clock: &'static str,
    bootid: &'a str,
    /// Seconds since boot, suspend included; a decimal string with milliseconds.
    boottime: String,
    datacontenttype: &'static str,
    data: &'a Body,
}

impl Draft {
    /// The event's final bytes: one line of JSON without the line end.
    ///
    /// # Errors
    /// Serialisation fails only for a body that JSON cannot hold (a map with non-string keys).
    pub fn encode(&self, identity: &Identity, sequence: u64) -> Result<Vec<u8>, serde_json::Error> {
        let stream = self.body.stream();
        let mut source = format!(
            "/{}/{}/{}",
            identity.tenant, identity.store, identity.box_id
        );
        if !self.source.is_empty() {
            source.push('/');
            source.push_str(&self.source);
        }
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(
            &mut bytes,
            &Envelope {
                specversion: "1.0",
                id: format!("{}/{}/{}", identity.box_id, stream, sequence),
                stream,
                sequence: sequence.to_string(),
                source,
                kind: self.body.kind(),
                time: identity.local_time(self.at.wall),
                clock: self.at.clock(),
                bootid: &identity.boot_id,
                boottime: self.at.boottime(),
                datacontenttype: "application/json",
                data: &self.body,
            },
        )?;
        Ok(bytes)
    }
}

/// Resolves to the event's sequence number once it is durable; dropping it is allowed.
pub type Receipt = oneshot::Receiver<u64>;

/// Nobody takes events any more: the daemon is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is closed")]
pub struct SinkClosed;

/// Where sensors put their events. The outbox implements it; tests use [`Collected`].
pub trait Sink: Send + Sync {
    /// Hands over one event. Waits, for a bounded time, while the queue is full; then the lowest event that waits gives
    /// way. Must not be called from async code.
    ///
    /// # Errors
    /// [`SinkClosed`] once the outbox is draining.
    fn submit(&self, draft: Draft) -> Result<Receipt, SinkClosed>;
}

/// A sink that keeps everything in memory, for tests and `replay`.
#[derive(Default)]
pub struct Collected(std::sync::Mutex<Vec<Draft>>);

impl Collected {
    /// Takes what has been collected so far.
    #[must_use]
    pub fn take(&self) -> Vec<Draft> {
        std::mem::take(
            &mut *self
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }
}

impl Sink for Collected {
    fn submit(&self, draft: Draft) -> Result<Receipt, SinkClosed> {
        let (tx, rx) = oneshot::channel();
        let mut all = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        all.push(draft);
        let _ = tx.send(all.len() as u64);
        Ok(rx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn identity() -> Identity {
        Identity {
            tenant: "acme".into(),
            store: "shop-7".into(),
            box_id: "box-0042".into(),
            boot_id: "5f0c".into(),
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
        }
    }

    #[test]
    fn an_event_is_encoded_exactly_as_the_contract_shows_it() {
        let draft = Draft {
            source: "camera/entrance".into(),
            at: Stamp {
                wall: "2026-11-21T02:15:30.120Z".parse().unwrap(),
                boot: Duration::from_millis(93_211_402),
                synced: true,
            },
            body: Body::LineCrossed(LineCrossed {
                line: "entrance".into(),
                direction: Direction::In,
                track: 812,
                from: "street".into(),
                to: "shop".into(),
                class: None,
            }),
        };
        let bytes = draft.encode(&identity(), 1_187_734).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            concat!(
                r#"{"specversion":"1.0","id":"box-0042/count/1187734","stream":"count","sequence":"1187734","#,
                r#""source":"/acme/shop-7/box-0042/camera/entrance","type":"footfall.line.crossed.v1","#,
                r#""time":"2026-11-21T10:15:30.120+08:00","clock":"synced","bootid":"5f0c","boottime":"93211.402","#,
                r#""datacontenttype":"application/json","data":{"line":"entrance","direction":"in","track":812,"from":"street","to":"shop"}}"#
            )
        );
    }

    #[test]
    fn streams_have_one_name_each_and_keep_their_priority() {
        for (position, stream) in Stream::ALL.into_iter().enumerate() {
            assert_eq!(stream.index(), position);
            assert_eq!(Stream::from_name(stream.name()), Some(stream));
        }
        assert!(Stream::Alarm < Stream::Count && Stream::Interval < Stream::Diagnostic);
    }

    /// `FOOTFALL_UPDATE=1 cargo nextest run published_schema` writes it anew.
    #[test]
    fn the_published_schema_is_the_one_of_the_code() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/docs/reference/events.schema.json"
        );
        let schema = schemars::schema_for!(Envelope<'static>);
        let now = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("FOOTFALL_UPDATE").is_some() {
            crate::durable::write(path.as_ref(), now.as_bytes()).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == now,
            "{path} is out of date"
        );
    }
}
