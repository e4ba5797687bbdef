//! What the daemon says about itself: one value, shown as JSON and as a page.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use super::host::HostReport;
use super::tally::InOut;
use super::today::Today;
use crate::clock::{SharedClock, Stamp};
use crate::command::counters::{Counters, Counts};
use crate::event::{Identity, Stream};
use crate::metric::Metric;
use crate::occupancy::Inside;
use crate::outbox::{Outbox, Queue, StreamStat};
use crate::sensor::camera::preview::PreviewCell;
use crate::sensor::counting::ZoneNames;
use crate::sensor::{Roster, State};
use crate::supervise::Restarts;
use crate::system;
use crate::uplink::LinkStatus;
use crate::words::Words;

/// Everything a report is made from.
pub struct Sources {
    pub identity: Identity,
    pub clock: SharedClock,
    pub started: Stamp,
    /// SHA-256 of the config in force, hex.
    pub config_sha256: watch::Receiver<String>,
    pub data_dir: PathBuf,
    pub outbox: Outbox,
    pub link: watch::Receiver<LinkStatus>,
    pub today: Arc<Today>,
    pub restarts: Arc<Restarts>,
    pub sensors: Roster,
    pub commands: Counters,
}

/// The daemon's state at one moment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report {
    #[serde(rename = "box")]
    pub box_id: String,
    pub version: &'static str,
    /// RFC 3339, in the shop's time zone.
    pub time: String,
    /// `synced` or `unsynced`.
    pub clock: &'static str,
    pub uptime_s: u64,
    pub config_sha256: String,
    /// Every sensor works and the outbox stores. The cloud may be away: that is what the outbox is for.
    pub ready: bool,
    /// Why not, in plain words; empty when ready.
    pub not_ready: Vec<String>,
    pub today: TodayReport,
    pub sensors: Vec<SensorReport>,
    pub outbox: OutboxReport,
    pub uplink: LinkStatus,
    pub commands: Counts,
    pub process: ProcessReport,
    pub host: HostReport,
}

/// Crossings of all lines since local midnight.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TodayReport {
    #[serde(flatten)]
    pub sum: InOut,
    /// People inside the first place; see `places`.
    pub occupancy: u64,
    /// People inside each place of the config; `shop` where it has none.
    pub places: Vec<PlaceReport>,
    /// Only those in which somebody crossed, in their order.
    pub quarters: Vec<Quarter>,
}

/// A place.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlaceReport {
    pub id: String,
    /// People inside, never negative: the crossings of its lines since it was empty, or since `occupancy.set`.
    pub inside: u64,
    /// Most people who may be inside.
    pub capacity: Option<u64>,
}

/// A zone of a camera.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ZoneReport {
    pub id: String,
    /// Visits since local midnight.
    pub visits: u64,
    /// People inside.
    pub present: u64,
    /// For queues only.
    pub queue: Option<QueueReport>,
}

/// A queue.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueueReport {
    /// People queueing.
    pub length: u64,
    /// What somebody who joins now will wait, seconds; null while nobody was served lately.
    pub expected_wait_s: Option<u64>,
}

/// A quarter of an hour.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Quarter {
    /// Its beginning, local time, `HH:MM`.
    pub at: String,
    #[serde(flatten)]
    pub sum: InOut,
    /// Its number in the day, 0..=95.
    #[serde(skip)]
    pub number: u8,
}

/// One sensor.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SensorReport {
    /// `camera`, `wifi`, `scanner`, `gpio`.
    pub kind: &'static str,
    pub id: String,
    pub state: State,
    pub words: Words,
    pub since_s: u64,
    /// What it counts about itself, by name.
    pub metrics: BTreeMap<&'static str, serde_json::Number>,
    /// Today's crossings by line, for cameras.
    pub lines: BTreeMap<String, InOut>,
    /// For cameras.
    pub zones: Vec<ZoneReport>,
    /// The same numbers with what they are called, for people and for `/metrics`.
    #[serde(skip)]
    pub readings: Vec<Metric>,
    #[serde(skip)]
    pub preview: Option<PreviewCell>,
}

/// The durable queue.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OutboxReport {
    pub pending: u64,
    pub streams: BTreeMap<&'static str, StreamStat>,
    /// What its files take on disk.
    pub disk_bytes: u64,
    /// What they may take.
    pub quota_bytes: u64,
    pub disk_free_bytes: u64,
    /// Events since the start that could not wait for the storage any longer and were dropped without a number.
    pub not_stored: u64,
    /// Why events cannot be stored at the moment.
    pub trouble: Option<String>,
}

/// The daemon's process.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProcessReport {
    pub rss_bytes: u64,
    /// Processor time used since the start, all cores together, seconds.
    pub cpu_s: f64,
    /// How often a part was started again.
    pub restarts: u64,
}

impl Sources {
    /// Looks at everything once.
    #[must_use]
    pub fn report(&self) -> Report {
        let now = self.clock.now();
        let time = self.identity.local_time(now.wall);
        let tally = self.today.now();
        let seconds_since = |then: Stamp| now.boot.saturating_sub(then.boot).as_secs();
        let mut sum = InOut::default();
        let mut quarters = BTreeMap::<u8, InOut>::new();
        let sensors: Vec<_> = self
            .sensors
            .faces()
            .into_iter()
            .map(|face| {
                let health = face.health.get();
                let line = |id: &String| {
                    let line = tally.line(&face.id, id);
                    sum += line.sum;
                    for (number, crossed) in line.quarters {
                        *quarters.entry(number).or_default() += crossed;
                    }
                    (id.clone(), line.sum)
                };
                let zones = face.zones.iter();
                let zones = zones.map(|zone| {
                    let visits = tally.zone(&face.id, &zone.id);
                    zone_report(zone, visits)
                });
                SensorReport {
                    zones: zones.collect(),
                    kind: face.kind,
                    state: health.state,
                    words: health.words,
                    since_s: seconds_since(health.since),
                    metrics: face.metrics.iter().map(|m| (m.name, m.value())).collect(),
                    lines: face.lines.iter().map(line).collect(),
                    id: face.id,
                    readings: face.metrics,
                    preview: face.preview,
                }
            })
            .collect();
        let quarter = |(number, sum): (u8, InOut)| Quarter {
            at: format!("{:02}:{:02}", number / 4, number % 4 * 15),
            sum,
            number,
        };
        let place = |inside: Inside| PlaceReport {
            id: inside.place,
            inside: inside.inside,
            capacity: inside.capacity,
        };
        let places: Vec<_> = self.today.inside().into_iter().map(place).collect();
        let today = TodayReport {
            sum,
            occupancy: places.first().map_or(0, |place| place.inside),
            places,
            quarters: quarters.into_iter().map(quarter).collect(),
        };
        let outbox = self.outbox();
        let starting = (!self.sensors.set_up()).then(|| "the sensors are being set up".to_owned());
        let not_ready: Vec<String> = starting
            .into_iter()
            .chain(
                sensors
                    .iter()
                    .filter(|sensor| sensor.state != State::Ok)
                    .map(|sensor| format!("{} {}: {}", sensor.kind, sensor.id, sensor.words.en)),
            )
            .chain(outbox.trouble.iter().map(|why| format!("outbox: {why}")))
            .collect();
        Report {
            box_id: self.identity.box_id.clone(),
            version: env!("CARGO_PKG_VERSION"),
            clock: now.clock(),
            uptime_s: seconds_since(self.started),
            config_sha256: self.config_sha256.borrow().clone(),
            ready: not_ready.is_empty(),
            not_ready,
            today,
            sensors,
            outbox,
            uplink: self.link.borrow().clone(),
            commands: self.commands.read(),
            process: ProcessReport {
                rss_bytes: system::rss_bytes(),
                cpu_s: crate::clock::process_cpu().as_secs_f64(),
                restarts: self.restarts.count(),
            },
            host: HostReport::read(),
            time,
        }
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn metrics(&self) -> String {
        super::metrics::render(&self.report())
    }

    /// From now on `value` people are inside `place` (`None`: the first), and the crossings that follow count from there;
    /// false when there is no such place. Blocks.
    ///
    /// # Errors
    /// It cannot be stored; it then holds until a restart.
    pub fn set_occupancy(&self, place: Option<&str>, value: u64) -> std::io::Result<bool> {
        self.today.set_inside(place, value)
    }

    fn outbox(&self) -> OutboxReport {
        let streams: BTreeMap<_, _> = Stream::ALL
            .into_iter()
            .map(|s| (s.name(), Queue::stat(&self.outbox, s)))
            .collect();
        OutboxReport {
            pending: streams.values().map(|stat| stat.pending).sum(),
            streams,
            disk_bytes: self.outbox.disk_bytes(),
            quota_bytes: self.outbox.quota_bytes(),
            not_stored: self.outbox.not_stored(),
            disk_free_bytes: system::disk_free_bytes(&self.data_dir),
            trouble: self.outbox.store_error(),
        }
    }
}

fn zone_report(zone: &ZoneNames, visits: u64) -> ZoneReport {
    let live = &zone.live;
    let expected = live.expected_wait_s.get();
    ZoneReport {
        id: zone.id.clone(),
        visits,
        present: live.present.get() as u64,
        queue: zone.queue.then(|| QueueReport {
            length: live.queueing.get() as u64,
            expected_wait_s: (expected >= 0.0).then_some(expected as u64),
        }),
    }
}
