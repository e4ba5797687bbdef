//! What a camera counts, as events: each crossing and visit at once, and the sums of lines, zones, queues, heatmap and
//! ways when their interval ends. Pure: takes values and stamps, returns bodies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Stamp;
use crate::event::{
    Body, CameraState, Direction, Flow, FlowInterval, HeatmapInterval, Identity, InOut, LeftReason,
    LineCrossed, LineInterval, QueueInterval, ZoneDwelled, ZoneEntered, ZoneInterval, ZoneLeft,
};
use crate::hours::Hours;
use crate::metric::Gauge;
use crate::sensor::vision::count::heatmap::{COLUMNS, ROWS};
use crate::sensor::vision::count::interval::{Interval, IntervalMeter};
use crate::sensor::vision::count::level::Level;
use crate::sensor::vision::count::line::Crossing;
use crate::sensor::vision::count::queue::Queue;
use crate::sensor::vision::count::scene::{Counted, Scene};
use crate::sensor::vision::count::stays::Stays;
use crate::sensor::vision::count::zone::{Visit, VisitChange};

/// Ways of one interval that are told, at most: those that most people took.
const MOST_FLOWS: usize = 100;

/// The names of one line, for events.
#[derive(Clone, Debug)]
pub struct LineNames {
    pub id: String,
    pub left: String,
    pub right: String,
}

/// One zone, for events and for the page.
#[derive(Clone, Debug)]
pub struct ZoneNames {
    pub id: String,
    /// Whether people queue in it.
    pub queue: bool,
    /// From when on a visit is a stay.
    pub dwell: Duration,
    pub live: ZoneLive,
}

/// The numbers of one zone, for the page.
#[derive(Clone, Debug, Default)]
pub struct ZoneLive {
    /// People inside.
    pub present: Gauge,
    /// People queueing.
    pub queueing: Gauge,
    /// What somebody who joins the queue now will wait, seconds; below zero while nobody knows.
    pub expected_wait_s: Gauge,
}

/// What a camera's events are about.
#[derive(Clone, Default)]
pub struct Subjects {
    pub lines: Vec<LineNames>,
    pub zones: Vec<ZoneNames>,
    /// Names of the classes that are told apart; empty where one is counted only.
    pub classes: BTreeMap<u16, String>,
    /// Whether heatmaps are told.
    pub heatmap: bool,
    pub hours: Option<Arc<Hours>>,
}

/// How often intervals end.
#[derive(Clone, Copy, Debug)]
pub struct Periods {
    /// Of lines, zones and queues.
    pub sums: Duration,
    /// Of heatmaps and ways.
    pub maps: Duration,
}

/// One camera's sums since their intervals began.
pub(super) struct Book {
    subjects: Subjects,
    identity: Identity,
    sums: IntervalMeter,
    maps: IntervalMeter,
    lines: Vec<LineSums>,
    zones: Vec<ZoneSums>,
}

#[derive(Default)]
struct LineSums {
    all: InOut,
    classes: BTreeMap<u16, InOut>,
}

struct ZoneSums {
    entered: u64,
    left: u64,
    dwelled: u64,
    present: Level,
    stays: Stays,
    queue: Option<Queue>,
}

impl Book {
    /// An empty book: all intervals begin now.
    pub(super) fn new(
        subjects: &Subjects,
        identity: &Identity,
        periods: Periods,
        now: Stamp,
    ) -> Self {
        let zone = |names: &ZoneNames| ZoneSums {
            entered: 0,
            left: 0,
            dwelled: 0,
            present: Level::new(0.0, now.boot),
            stays: Stays::default(),
            queue: names.queue.then(|| Queue::new(now.boot)),
        };
        Self {
            sums: IntervalMeter::new(periods.sums, now),
            maps: IntervalMeter::new(periods.maps, now),
            lines: subjects.lines.iter().map(|_| LineSums::default()).collect(),
            zones: subjects.zones.iter().map(zone).collect(),
            subjects: subjects.clone(),
            identity: identity.clone(),
        }
    }

    /// One frame was analysed, and `dropped` newer ones replaced older ones before it.
    pub(super) fn frame(&mut self, now: Stamp, dropped: u64) {
        self.sums.frame(now, dropped);
        self.maps.frame(now, dropped);
    }

    /// Enters what a frame came to; returns its events.
    pub(super) fn enter(&mut self, now: Stamp, counted: &Counted, scene: &Scene) -> Vec<Body> {
        let mut bodies = Vec::new();
        for found in &counted.crossings {
            bodies.extend(self.crossing(found.line, &found.crossing));
        }
        for found in &counted.visits {
            bodies.extend(self.visit(found.zone, &found.visit, now));
        }
        let zones = self.zones.iter_mut().zip(&self.subjects.zones);
        for ((sums, names), zone) in zones.zip(scene.zones()) {
            sums.present.set(zone.present() as f64, now.boot);
            names.live.present.set(zone.present() as f64);
            if let Some(queue) = &mut sums.queue {
                queue.length(zone.staying(), now.boot);
                names.live.queueing.set(zone.staying() as f64);
                let expected = queue.expected(now.boot).unwrap_or(-1.0);
                names.live.expected_wait_s.set(expected);
            }
        }
        bodies
    }

    fn crossing(&mut self, line: usize, crossing: &Crossing) -> Option<Body> {
        let (names, sums) = (self.subjects.lines.get(line)?, self.lines.get_mut(line)?);
        let direction = crossing.direction;
        sums.all.add(direction);
        let class = self.subjects.classes.get(&crossing.class);
        if class.is_some() {
            sums.classes
                .entry(crossing.class)
                .or_default()
                .add(direction);
        }
        let (from, to) = match direction {
            Direction::In => (&names.left, &names.right),
            Direction::Out => (&names.right, &names.left),
        };
        Some(Body::LineCrossed(LineCrossed {
            line: names.id.clone(),
            direction,
            track: crossing.track,
            from: from.clone(),
            to: to.clone(),
            class: class.cloned(),
        }))
    }

    fn visit(&mut self, zone: usize, visit: &Visit, now: Stamp) -> Option<Body> {
        let (names, sums) = (self.subjects.zones.get(zone)?, self.zones.get_mut(zone)?);
        let (zone, track) = (names.id.clone(), visit.track);
        let seconds = |stayed: Duration| (stayed.as_secs_f64() * 10.0).round() / 10.0;
        if let Some(queue) = &mut sums.queue {
            queue.visit(visit.what, names.dwell, now.boot);
        }
        Some(match visit.what {
            VisitChange::Entered => {
                sums.entered += 1;
                Body::ZoneEntered(ZoneEntered { zone, track })
            }
            VisitChange::Dwelled { stayed } => {
                sums.dwelled += 1;
                let dwell_s = seconds(stayed);
                Body::ZoneDwelled(ZoneDwelled {
                    zone,
                    track,
                    dwell_s,
                })
            }
            VisitChange::Left { stayed, reason } => {
                sums.left += 1;
                if reason != LeftReason::Timeout {
                    sums.stays.add(stayed);
                }
                Body::ZoneLeft(ZoneLeft {
                    zone,
                    track,
                    reason,
                    dwell_s: seconds(stayed),
                })
            }
        })
    }

    /// The events of the intervals that are over. Call it at least once a second, before anything newer is entered.
    pub(super) fn tick(&mut self, now: Stamp, state: CameraState, scene: &mut Scene) -> Vec<Body> {
        let sums = self.sums.tick(now, state);
        let maps = self.maps.tick(now, state);
        self.tell(now, sums, maps, scene)
    }

    /// Ends all intervals now, whatever the time: the camera or the daemon stops.
    pub(super) fn close(&mut self, now: Stamp, state: CameraState, scene: &mut Scene) -> Vec<Body> {
        let sums = Some(self.sums.close(now, state));
        let maps = Some(self.maps.close(now, state));
        self.tell(now, sums, maps, scene)
    }

    fn tell(
        &mut self,
        now: Stamp,
        sums: Option<Interval>,
        maps: Option<Interval>,
        scene: &mut Scene,
    ) -> Vec<Body> {
        let mut bodies = Vec::new();
        if let Some(interval) = sums {
            self.line_sums(&interval, &mut bodies);
            self.zone_sums(&interval, now, &mut bodies);
        }
        if let Some(interval) = maps {
            self.maps(&interval, scene, &mut bodies);
        }
        bodies
    }

    fn line_sums(&mut self, interval: &Interval, bodies: &mut Vec<Body>) {
        let (from, to, open) = self.coverage(interval);
        for (names, sums) in self.subjects.lines.iter().zip(&mut self.lines) {
            let sums = std::mem::take(sums);
            // Every class, so that a zero is told too.
            let class = |(class, name): (&u16, &String)| {
                let crossed = sums.classes.get(class).copied().unwrap_or_default();
                (name.clone(), crossed)
            };
            bodies.push(Body::LineInterval(LineInterval {
                line: names.id.clone(),
                from: from.clone(),
                to: to.clone(),
                open,
                inward: sums.all.inward,
                outward: sums.all.outward,
                classes: self.subjects.classes.iter().map(class).collect(),
                quality: interval.quality.clone(),
            }));
        }
    }

    fn zone_sums(&mut self, interval: &Interval, now: Stamp, bodies: &mut Vec<Body>) {
        let (from, to, open) = self.coverage(interval);
        for (names, sums) in self.subjects.zones.iter().zip(&mut self.zones) {
            let present = sums.present.take(now.boot);
            bodies.push(Body::ZoneInterval(ZoneInterval {
                zone: names.id.clone(),
                from: from.clone(),
                to: to.clone(),
                open,
                entered: std::mem::take(&mut sums.entered),
                left: std::mem::take(&mut sums.left),
                dwelled: std::mem::take(&mut sums.dwelled),
                present: present.last as u64,
                present_mean: hundredth(present.mean),
                present_max: present.most as u64,
                dwell: sums.stays.take(),
                quality: interval.quality.clone(),
            }));
            let Some(queue) = &mut sums.queue else {
                continue;
            };
            let span = queue.take(now.boot);
            bodies.push(Body::QueueInterval(QueueInterval {
                zone: names.id.clone(),
                from: from.clone(),
                to: to.clone(),
                open,
                length: span.length.last as u64,
                length_mean: hundredth(span.length.mean),
                length_max: span.length.most as u64,
                served: span.served,
                wait: span.waits,
                expected_wait_s: span.expected,
                quality: interval.quality.clone(),
            }));
        }
    }

    fn maps(&self, interval: &Interval, scene: &mut Scene, bodies: &mut Vec<Body>) {
        let (from, to, open) = self.coverage(interval);
        if self.subjects.heatmap {
            bodies.push(Body::HeatmapInterval(HeatmapInterval {
                from: from.clone(),
                to: to.clone(),
                open,
                columns: COLUMNS as u32,
                rows: ROWS as u32,
                seconds: scene.heatmap().take(),
                quality: interval.quality.clone(),
            }));
        }
        if self.subjects.zones.len() < 2 {
            return;
        }
        let name = |zone: usize| self.subjects.zones.get(zone).map(|names| names.id.clone());
        let flow = |((from, to), count)| {
            Some(Flow {
                from: name(from)?,
                to: name(to)?,
                count,
            })
        };
        let mut flows: Vec<_> = scene.flows().take().into_iter().filter_map(flow).collect();
        flows.sort_by_key(|flow| std::cmp::Reverse(flow.count));
        flows.truncate(MOST_FLOWS);
        bodies.push(Body::FlowInterval(FlowInterval {
            from,
            to,
            open,
            flows,
            quality: interval.quality.clone(),
        }));
    }

    /// From, to, and whether the shop was open when the interval began.
    fn coverage(&self, interval: &Interval) -> (String, String, Option<bool>) {
        let hours = self.subjects.hours.as_ref();
        (
            self.identity.local_time(interval.from),
            self.identity.local_time(interval.to),
            hours.map(|hours| hours.open_at(interval.from)),
        )
    }
}

fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
