//! From tracks to walkers: confirmed people, each followed across a broken track.
//!
//! A track that begins where another was just lost, or where that one would be by now, continues its walk, so that a
//! broken track neither loses nor doubles what is counted. Lines, zones and heatmaps see walkers only; what they remember of one, they may forget when
//! it is [`Gone`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::geometry::{Anchor, Point, distance};
use crate::sensor::vision::track::Track;

/// A new track continues a lost one's walk when it begins this soon after ...
const HEIR_WITHIN: Duration = Duration::from_millis(700);
/// ... and this near to where the other was last seen, or would be had it gone on as it did, in box heights.
const HEIR_REACH: f32 = 0.5;
/// A walker that is not heard of any more is gone after this time; no heir can come later.
const FORGET_AFTER: Duration = Duration::from_secs(3);
/// Time constant of the smoothed box height: heights flicker when arms and bags come and go.
const HEIGHT_SMOOTHING_S: f32 = 0.5;
/// Observations kept while a track is not confirmed yet.
const MAX_WAITING: usize = 16;

/// A walker moved, or stood where they were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Unique within the life of [`Walkers`]; outlives a broken track.
    pub walker: u64,
    /// The track that carries the walker at the moment.
    pub track: u64,
    /// The class most of the walker's observations have.
    pub class: u16,
    pub at: Duration,
    /// When the walker was seen before; the same as `at` on their first step.
    pub before: Duration,
    /// Where the walker was seen before, pixels; the same as `to` on their first step.
    pub from: Point,
    /// Where they steadily walk or stand, pixels; slow to follow who stops at once.
    pub to: Point,
    /// Where they were seen, pixels; quick to follow a box that jumps.
    pub seen: Point,
    /// Smoothed height of their box, pixels, at least 1.
    pub height: f32,
}

/// A walker will not be heard of again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    pub walker: u64,
    pub track: u64,
    pub class: u16,
    pub last_seen: Duration,
}

/// What is remembered of one walker.
#[derive(Clone, Copy, Debug)]
struct Walker {
    id: u64,
    anchor: Point,
    /// Pixels per second, as the track had it.
    velocity: Point,
    height: f32,
    last_seen: Duration,
    majority: Majority,
}

impl Walker {
    /// How far a track begins from where this one was last seen, or would be by now.
    fn far_from(&self, first: &Sighting) -> f32 {
        let since = first.at.saturating_sub(self.last_seen).as_secs_f32();
        let ahead = (
            self.anchor.0 + self.velocity.0 * since,
            self.anchor.1 + self.velocity.1 * since,
        );
        distance(self.anchor, first.anchor).min(distance(ahead, first.anchor))
    }
}

/// The majority vote of Boyer and Moore (1981): the class that has more than half of the votes, in constant space.
#[derive(Clone, Copy, Debug)]
struct Majority {
    class: u16,
    lead: u32,
}

impl Majority {
    fn vote(&mut self, class: u16) {
        if self.class == class {
            self.lead = self.lead.saturating_add(1);
        } else if self.lead == 0 {
            (self.class, self.lead) = (class, 1);
        } else {
            self.lead -= 1;
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    at: Duration,
    anchor: Point,
    seen: Point,
    velocity: Point,
    height: f32,
    class: u16,
}

#[derive(Debug)]
enum Memory {
    /// Not confirmed: the observations so far.
    Waiting(Vec<Sighting>),
    Confirmed(Walker),
}

/// Follows people across the tracker's tracks. Bounded by the tracks of the last three seconds.
#[derive(Debug)]
pub struct Walkers {
    anchor: Anchor,
    /// By track.
    memory: BTreeMap<u64, Memory>,
    next: u64,
    steps: Vec<Step>,
    gone: Vec<Gone>,
}

impl Walkers {
    /// `anchor`: the point of a box that stands for the person.
    #[must_use]
    pub const fn new(anchor: Anchor) -> Self {
        Self {
            anchor,
            memory: BTreeMap::new(),
            next: 1,
            steps: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Takes the tracker's state after the frame at `at`. A track's first steps come when it is confirmed.
    pub fn step(&mut self, at: Duration, tracks: &[Track], ended: &[Track]) {
        self.steps.clear();
        self.gone.clear();
        for track in tracks.iter().filter(|track| track.seen) {
            let rect = track.calm_rect();
            let sighting = Sighting {
                at,
                anchor: self.anchor.of(&rect),
                seen: self.anchor.of(&track.rect),
                velocity: track.velocity(),
                height: rect.height(),
                class: track.class,
            };
            self.observe(track, sighting);
        }
        for track in ended {
            if let Some(Memory::Confirmed(walker)) = self.memory.remove(&track.id) {
                self.gone.push(farewell(track.id, &walker));
            }
        }
        let gone = &mut self.gone;
        self.memory.retain(|&track, memory| {
            let last_seen = match memory {
                Memory::Waiting(sightings) => sightings.last().map_or(Duration::ZERO, |s| s.at),
                Memory::Confirmed(walker) => walker.last_seen,
            };
            let kept = at.saturating_sub(last_seen) <= FORGET_AFTER;
            if let (false, Memory::Confirmed(walker)) = (kept, &memory) {
                gone.push(farewell(track, walker));
            }
            kept
        });
    }

    fn observe(&mut self, track: &Track, sighting: Sighting) {
        let mut sightings = match self.memory.remove(&track.id) {
            Some(Memory::Confirmed(mut walker)) => {
                self.walk(track.id, &mut walker, sighting);
                self.memory.insert(track.id, Memory::Confirmed(walker));
                return;
            }
            Some(Memory::Waiting(sightings)) => sightings,
            None => Vec::new(),
        };
        if sightings.len() < MAX_WAITING {
            sightings.push(sighting);
        }
        if !track.confirmed {
            self.memory.insert(track.id, Memory::Waiting(sightings));
            return;
        }
        let Some(first) = sightings.first() else {
            return;
        };
        let mut walker = self.inherit(first).unwrap_or_else(|| {
            self.next += 1;
            Walker {
                id: self.next - 1,
                anchor: first.anchor,
                velocity: first.velocity,
                height: first.height,
                last_seen: first.at,
                majority: Majority {
                    class: first.class,
                    lead: 0,
                },
            }
        });
        for sighting in sightings {
            self.walk(track.id, &mut walker, sighting);
        }
        self.memory.insert(track.id, Memory::Confirmed(walker));
    }

    /// The walker that was lost just before and just where a new track begins; taken away from the track that had it.
    fn inherit(&mut self, first: &Sighting) -> Option<Walker> {
        let (_, track, walker) = self
            .memory
            .iter()
            .filter_map(|(track, memory)| match memory {
                Memory::Confirmed(walker) => Some((*track, *walker)),
                Memory::Waiting(_) => None,
            })
            .filter(|(_, walker)| {
                walker.last_seen < first.at && first.at - walker.last_seen <= HEIR_WITHIN
            })
            .map(|(track, walker)| (walker.far_from(first), track, walker))
            // The larger of the two heights: what breaks a track is often that half of the person is hidden.
            .filter(|(far, _, walker)| *far <= HEIR_REACH * walker.height.max(first.height))
            .min_by(|a, b| a.0.total_cmp(&b.0))?;
        self.memory.remove(&track);
        Some(walker)
    }

    fn walk(&mut self, track: u64, walker: &mut Walker, sighting: Sighting) {
        let Sighting {
            at,
            anchor,
            seen,
            velocity,
            height,
            class,
        } = sighting;
        let dt = at.saturating_sub(walker.last_seen).as_secs_f32();
        walker.height += (height - walker.height) * (1.0 - (-dt / HEIGHT_SMOOTHING_S).exp());
        walker.majority.vote(class);
        self.steps.push(Step {
            walker: walker.id,
            track,
            class: walker.majority.class,
            at,
            before: walker.last_seen.min(at),
            from: walker.anchor,
            to: anchor,
            seen,
            height: walker.height.max(1.0),
        });
        (walker.anchor, walker.velocity, walker.last_seen) = (anchor, velocity, at);
    }

    /// The steps of the latest frame, each walker's in the order of time.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Who was lost for good with the latest frame.
    #[must_use]
    pub fn gone(&self) -> &[Gone] {
        &self.gone
    }

    /// How many tracks are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }
}

fn farewell(track: u64, walker: &Walker) -> Gone {
    Gone {
        walker: walker.id,
        track,
        class: walker.majority.class,
        last_seen: walker.last_seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::vision::track::{Settings, Tracker};
    use crate::sensor::vision::{Detection, Rect};

    fn person(x: f32, top: f32, class: u16) -> Detection {
        let rect = Rect {
            x0: x - 20.0,
            y0: top,
            x1: x + 20.0,
            y1: 300.0,
        };
        Detection {
            rect,
            score: 0.9,
            class,
        }
    }

    /// Walkers seen, and farewells, of one person who walks to the right at 10 frames a second.
    fn follow(
        settings: Settings,
        frames: u64,
        see: impl Fn(u64, f32) -> Option<Detection>,
    ) -> (Vec<Step>, Vec<Gone>) {
        let (mut tracker, mut walkers) =
            (Tracker::new(settings, 1), Walkers::new(Anchor::default()));
        let (mut steps, mut gone) = (Vec::new(), Vec::new());
        for frame in 0..frames {
            let at = Duration::from_millis(frame * 100);
            let seen = see(frame, 100.0 + 6.0 * frame as f32);
            tracker.step(at, seen.as_slice());
            walkers.step(at, tracker.tracks(), tracker.ended());
            steps.extend_from_slice(walkers.steps());
            gone.extend_from_slice(walkers.gone());
        }
        (steps, gone)
    }

    #[test]
    fn a_track_that_breaks_behind_a_shelf_goes_on_as_the_same_walker() {
        let (steps, gone) = follow(Settings::with_threshold(0.5), 60, |frame, x| match frame {
            0..20 => Some(person(x, 200.0, 0)),
            20..24 => None,
            // Only the lower half is seen from here on: another track.
            _ => Some(person(x, 250.0, 0)),
        });
        let tracks: std::collections::BTreeSet<_> = steps.iter().map(|step| step.track).collect();
        assert_eq!(tracks.len(), 2, "the track must really have broken");
        assert!(steps.iter().all(|step| step.walker == 1));
        assert!(steps.windows(2).all(|two| two[0].to == two[1].from));
        assert_eq!(gone, [], "nobody left");
    }

    #[test]
    fn a_walker_who_leaves_is_gone_once_and_nothing_is_remembered() {
        let (steps, gone) = follow(Settings::with_threshold(0.5), 60, |frame, x| {
            (frame < 20).then(|| person(x, 200.0, 0))
        });
        assert_eq!(steps.len(), 20);
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].last_seen, Duration::from_millis(1900));
    }

    #[test]
    fn a_class_that_flickers_does_not_change_who_somebody_is() {
        let (steps, _) = follow(Settings::with_threshold(0.5), 60, |frame, x| {
            Some(person(x, 200.0, u16::from(frame % 3 == 1)))
        });
        assert!(steps.iter().skip(10).all(|step| step.class == 0));
    }
}
