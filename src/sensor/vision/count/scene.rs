//! Everything that is counted on one camera's picture: tracks become walkers, and walkers cross lines, visit zones and
//! warm the heatmap.

use std::time::Duration;

use super::flow::Flows;
use super::geometry::Anchor;
use super::heatmap::Heatmap;
use super::line::{Crossing, LineCounter, LineSettings};
use super::walker::Walkers;
use super::zone::{Visit, ZoneCounter, ZoneSettings};
use crate::sensor::vision::track::Tracker;

/// A crossing of line number `line`, in the order of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCrossing {
    pub line: usize,
    pub crossing: Crossing,
}

/// Something that happened in zone number `zone`, in the order of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneVisit {
    pub zone: usize,
    pub visit: Visit,
}

/// What to count on a picture.
#[derive(Clone, Debug, Default)]
pub struct SceneSettings {
    pub anchor: Anchor,
    pub lines: Vec<LineSettings>,
    pub zones: Vec<ZoneSettings>,
}

/// What one frame came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub crossings: Vec<LineCrossing>,
    pub visits: Vec<ZoneVisit>,
}

/// Counters of one camera.
#[derive(Debug)]
pub struct Scene {
    walkers: Walkers,
    lines: Vec<LineCounter>,
    zones: Vec<ZoneCounter>,
    flows: Flows,
    heatmap: Heatmap,
    counted: Counted,
    crossings: Vec<Crossing>,
    visits: Vec<Visit>,
}

impl Scene {
    #[must_use]
    pub fn new(settings: SceneSettings) -> Self {
        Self {
            walkers: Walkers::new(settings.anchor),
            lines: settings.lines.into_iter().map(LineCounter::new).collect(),
            zones: settings.zones.into_iter().map(ZoneCounter::new).collect(),
            flows: Flows::default(),
            heatmap: Heatmap::default(),
            counted: Counted::default(),
            crossings: Vec::new(),
            visits: Vec::new(),
        }
    }

    /// Takes the tracker's state after the frame at `at`, of `size` (width, height in pixels).
    pub fn step(&mut self, at: Duration, tracker: &Tracker, size: (u32, u32)) -> &Counted {
        self.walkers.step(at, tracker.tracks(), tracker.ended());
        let (steps, gone) = (self.walkers.steps(), self.walkers.gone());
        self.counted.crossings.clear();
        self.counted.visits.clear();
        for (line, counter) in self.lines.iter_mut().enumerate() {
            counter.step(steps, gone, size, &mut self.crossings);
            let crossings = self.crossings.drain(..);
            let crossings = crossings.map(|crossing| LineCrossing { line, crossing });
            self.counted.crossings.extend(crossings);
        }
        for (zone, counter) in self.zones.iter_mut().enumerate() {
            counter.step(steps, gone, size, &mut self.visits);
            for visit in self.visits.drain(..) {
                self.flows.visit(zone, &visit);
                self.counted.visits.push(ZoneVisit { zone, visit });
            }
        }
        self.flows.forget(gone);
        self.heatmap.step(steps, size);
        &self.counted
    }

    /// Takes a frame on which nobody was looked for: nothing happened.
    pub fn passed_over(&mut self) -> &Counted {
        self.counted.crossings.clear();
        self.counted.visits.clear();
        &self.counted
    }

    /// The zones, in the order of the settings.
    #[must_use]
    pub fn zones(&self) -> &[ZoneCounter] {
        &self.zones
    }

    /// The ways between the zones.
    pub const fn flows(&mut self) -> &mut Flows {
        &mut self.flows
    }

    /// Where people were.
    pub const fn heatmap(&mut self) -> &mut Heatmap {
        &mut self.heatmap
    }

    /// How many entries it remembers, all together; bounded by the people of the last seconds.
    #[must_use]
    pub fn remembered(&self) -> usize {
        let lines = self.lines.iter().map(LineCounter::remembered);
        let zones = self.zones.iter().map(ZoneCounter::remembered);
        lines.chain(zones).sum::<usize>() + self.walkers.remembered() + self.flows.remembered()
    }
}
