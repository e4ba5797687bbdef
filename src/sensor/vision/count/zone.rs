//! Who is in a zone, since when, and why they are not in it any more.
//!
//! As with lines there is an undecided band along the border: who is in stays in until they are clearly out. A walker
//! whose track broke inside and was found again is still on the same visit (see [`super::walker`]).

use std::collections::BTreeMap;
use std::time::Duration;

use super::geometry::side;
use super::polygon::Polygon;
use super::walker::{Gone, Step};
use crate::event::LeftReason;

/// The band is at most this share of the zone's depth, so that a narrow zone has an inside.
const MOST_OF_DEPTH: f32 = 0.5;

/// A zone, as fractions of the picture.
#[derive(Clone, Debug)]
pub struct ZoneSettings {
    /// Three corners or more.
    pub points: Vec<[f32; 2]>,
    /// Half-width of the undecided band along the border, in box heights.
    pub half_band: f32,
    /// A visit of this length is a stay.
    pub dwell: Duration,
    /// A visit is over after so long: what stands so long is a mannequin, or staff.
    pub longest: Duration,
}

/// What happened in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    pub walker: u64,
    pub track: u64,
    pub at: Duration,
    pub what: VisitChange,
}

/// See [`Visit`]. Lengths are from entering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitChange {
    Entered,
    /// They have been there for the zone's `dwell`.
    Dwelled {
        stayed: Duration,
    },
    Left {
        stayed: Duration,
        reason: LeftReason,
    },
}

#[derive(Clone, Copy, Debug)]
struct Guest {
    entered: Duration,
    dwelled: bool,
    /// Longer than the longest visit: not a guest any more, but still there.
    over: bool,
}

/// Follows the visits to one zone.
#[derive(Debug)]
pub struct ZoneCounter {
    settings: ZoneSettings,
    drawn: Option<((u32, u32), Polygon)>,
    /// By walker.
    guests: BTreeMap<u64, Guest>,
}

impl ZoneCounter {
    #[must_use]
    pub const fn new(settings: ZoneSettings) -> Self {
        Self {
            settings,
            drawn: None,
            guests: BTreeMap::new(),
        }
    }

    /// Takes what walkers did on one frame of `size` (width, height in pixels); adds what happened to `out`.
    pub fn step(&mut self, steps: &[Step], gone: &[Gone], size: (u32, u32), out: &mut Vec<Visit>) {
        let zone = match self.drawn.take() {
            Some((drawn, zone)) if drawn == size => zone,
            _ => Polygon::new(&self.settings.points, size),
        };
        for step in steps {
            self.walk(&zone, step, out);
        }
        self.drawn = Some((size, zone));
        for gone in gone {
            if let Some(guest) = self.guests.remove(&gone.walker).filter(|guest| !guest.over) {
                out.push(Visit {
                    walker: gone.walker,
                    track: gone.track,
                    at: gone.last_seen,
                    what: VisitChange::Left {
                        stayed: gone.last_seen.saturating_sub(guest.entered),
                        reason: LeftReason::Lost,
                    },
                });
            }
        }
    }

    fn walk(&mut self, zone: &Polygon, step: &Step, out: &mut Vec<Visit>) {
        let band = (self.settings.half_band * step.height).min(zone.depth() * MOST_OF_DEPTH);
        let inside = side(zone.inside(step.to), zone.inside(step.seen), band);
        let mut tell = |what| {
            out.push(Visit {
                walker: step.walker,
                track: step.track,
                at: step.at,
                what,
            });
        };
        let Some(guest) = self.guests.get_mut(&step.walker) else {
            if inside == Some(true) {
                let guest = Guest {
                    entered: step.at,
                    dwelled: false,
                    over: false,
                };
                self.guests.insert(step.walker, guest);
                tell(VisitChange::Entered);
            }
            return;
        };
        let stayed = step.at.saturating_sub(guest.entered);
        let left = inside == Some(false);
        if !guest.over && !guest.dwelled && stayed >= self.settings.dwell {
            guest.dwelled = true;
            tell(VisitChange::Dwelled { stayed });
        }
        if !guest.over && (left || stayed >= self.settings.longest) {
            guest.over = true;
            let reason = if left {
                LeftReason::Left
            } else {
                LeftReason::Timeout
            };
            tell(VisitChange::Left { stayed, reason });
        }
        if left {
            self.guests.remove(&step.walker);
        }
    }

    /// How many people are in it.
    #[must_use]
    pub fn present(&self) -> usize {
        self.guests.values().filter(|guest| !guest.over).count()
    }

    /// How many of them have stayed for the zone's `dwell`.
    #[must_use]
    pub fn staying(&self) -> usize {
        let staying = |guest: &&Guest| guest.dwelled && !guest.over;
        self.guests.values().filter(staying).count()
    }

    /// How many walkers are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.guests.len()
    }
}

#[cfg(test)]
#[path = "zone_tests.rs"]
mod tests;
