//! The band rule: counts a person once per crossing of a line, however long they stand on it.
//!
//! The signed distance of a person's anchor to the line, in box heights, puts them on side A, on side B or in the
//! undecided band between. Only a change from one side to the other counts, only for confirmed tracks, and only when
//! the smoothed path passed between the line's ends. A track that begins where another was just lost continues its
//! state, so that a broken track neither loses nor doubles a crossing.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::event::Direction;
use crate::sensor::vision::Rect;
use crate::sensor::vision::track::Track;

/// Point of a person's box that is held against lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// Where the feet are: right for oblique views.
    #[default]
    BottomCenter,
    /// Right for top-down views.
    Center,
    /// The head: where feet are hidden behind counters.
    TopCenter,
}

impl Anchor {
    fn of(self, rect: &Rect) -> Point {
        let x = (rect.x0 + rect.x1) / 2.0;
        match self {
            Self::BottomCenter => (x, rect.y1),
            Self::Center => (x, (rect.y0 + rect.y1) / 2.0),
            Self::TopCenter => (x, rect.y0),
        }
    }
}

/// When a crossing is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountMode {
    /// At the moment the far side of the band is reached.
    #[default]
    Immediate,
    /// When the person leaves the picture, and only if they end on the other side.
    Net,
}

/// A counting line, as fractions of the picture.
///
/// Stand on `from` and look at `to`: a crossing from your left hand to your right is [`Direction::In`].
#[derive(Clone, Copy, Debug)]
pub struct LineSettings {
    pub from: [f32; 2],
    pub to: [f32; 2],
    pub anchor: Anchor,
    pub mode: CountMode,
    /// Half-width of the undecided band, in box heights.
    pub half_band: f32,
}

/// One counted crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    pub track: u64,
    pub direction: Direction,
}

type Point = (f32, f32);

/// A new track continues a lost one's state when it begins this soon after ...
const HEIR_WITHIN: Duration = Duration::from_millis(700);
/// ... and this near to where the other was last seen, in box heights.
const HEIR_REACH: f32 = 0.5;
/// State of a track that is not heard of any more is dropped after this time; no heir can come later.
const FORGET_AFTER: Duration = Duration::from_secs(3);
/// Time constant of the smoothed box height: heights flicker when arms and bags come and go.
const HEIGHT_SMOOTHING_S: f32 = 0.5;
/// Observations kept while a track is not confirmed yet.
const MAX_WAITING: usize = 16;
/// A line end this close to the picture's edge reaches beyond it: nobody walks around it.
const EDGE: f32 = 0.02;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// What is remembered of one confirmed track.
#[derive(Clone, Copy, Debug)]
struct Course {
    /// The latest side it was clearly on.
    side: Option<Side>,
    /// Whether the latest passage over the (endless) line was between its ends.
    between_ends: bool,
    /// Crossings inwards minus crossings outwards.
    net: i32,
    anchor: Point,
    height: f32,
    last_seen: Duration,
}

#[derive(Debug)]
enum Memory {
    /// Not confirmed: the observations so far, time, anchor and box height each.
    Waiting(Vec<(Duration, Point, f32)>),
    Confirmed(Course),
}

/// Counts the crossings of one line.
#[derive(Debug)]
pub struct LineCounter {
    settings: LineSettings,
    memory: BTreeMap<u64, Memory>,
}

impl LineCounter {
    #[must_use]
    pub const fn new(settings: LineSettings) -> Self {
        Self {
            settings,
            memory: BTreeMap::new(),
        }
    }

    /// Takes the tracker's state after one frame of `width` x `height` pixels; adds what was counted to `out`.
    pub fn step(
        &mut self,
        at: Duration,
        tracks: &[Track],
        ended: &[Track],
        (width, height): (u32, u32),
        out: &mut Vec<Crossing>,
    ) {
        let line = Line::on(&self.settings, width as f32, height as f32);
        for track in tracks.iter().filter(|track| track.seen) {
            let rect = track.calm_rect();
            let point = (at, self.settings.anchor.of(&rect), rect.height());
            self.observe(&line, track, point, out);
        }
        for track in ended {
            if let Some(Memory::Confirmed(course)) = self.memory.get(&track.id) {
                let net = course.net;
                if self.settings.mode == CountMode::Net && net != 0 {
                    let direction = if net > 0 {
                        Direction::In
                    } else {
                        Direction::Out
                    };
                    out.push(Crossing {
                        track: track.id,
                        direction,
                    });
                }
                self.memory.remove(&track.id);
            }
        }
        self.memory.retain(|_, memory| {
            let last_seen = match memory {
                Memory::Waiting(points) => points.last().map_or(Duration::ZERO, |p| p.0),
                Memory::Confirmed(course) => course.last_seen,
            };
            at.saturating_sub(last_seen) <= FORGET_AFTER
        });
    }

    fn observe(
        &mut self,
        line: &Line,
        track: &Track,
        point: (Duration, Point, f32),
        out: &mut Vec<Crossing>,
    ) {
        let mut points = match self.memory.remove(&track.id) {
            Some(Memory::Confirmed(mut course)) => {
                self.walk(line, track.id, &mut course, point, out);
                self.memory.insert(track.id, Memory::Confirmed(course));
                return;
            }
            Some(Memory::Waiting(points)) => points,
            None => Vec::new(),
        };
        if points.len() < MAX_WAITING {
            points.push(point);
        }
        if !track.confirmed {
            self.memory.insert(track.id, Memory::Waiting(points));
            return;
        }
        let Some(&(born, anchor, height)) = points.first() else {
            return;
        };
        let mut course = self.inherit(born, anchor, height).unwrap_or(Course {
            side: None,
            between_ends: false,
            net: 0,
            anchor,
            height,
            last_seen: born,
        });
        for point in points {
            self.walk(line, track.id, &mut course, point, out);
        }
        self.memory.insert(track.id, Memory::Confirmed(course));
    }

    /// The state of a track that was lost just before and just where this one begins; it is taken away from that one.
    fn inherit(&mut self, born: Duration, anchor: Point, height: f32) -> Option<Course> {
        let reach = HEIR_REACH * height;
        let (id, course) = self
            .memory
            .iter()
            .filter_map(|(id, memory)| match memory {
                Memory::Confirmed(course) => Some((*id, *course)),
                Memory::Waiting(_) => None,
            })
            .filter(|(_, course)| course.last_seen < born && born - course.last_seen <= HEIR_WITHIN)
            .map(|(id, course)| (distance(course.anchor, anchor), id, course))
            .filter(|(far, ..)| *far <= reach)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, id, course)| (id, course))?;
        self.memory.remove(&id);
        Some(course)
    }

    /// Moves one course to its next observation; counts where the far side is reached.
    fn walk(
        &self,
        line: &Line,
        track: u64,
        course: &mut Course,
        (at, anchor, height): (Duration, Point, f32),
        out: &mut Vec<Crossing>,
    ) {
        let dt = at.saturating_sub(course.last_seen).as_secs_f32();
        course.height += (height - course.height) * (1.0 - (-dt / HEIGHT_SMOOTHING_S).exp());
        let (before, now) = (
            line.signed_distance(course.anchor),
            line.signed_distance(anchor),
        );
        if (before < 0.0) != (now < 0.0) {
            let share = before / (before - now);
            let met = (
                course.anchor.0 + (anchor.0 - course.anchor.0) * share,
                course.anchor.1 + (anchor.1 - course.anchor.1) * share,
            );
            course.between_ends = line.is_between_ends(met);
        }
        (course.anchor, course.last_seen) = (anchor, at);
        let band = self.settings.half_band * course.height.max(1.0);
        let side = if now >= band {
            Side::Right
        } else if now <= -band {
            Side::Left
        } else {
            return;
        };
        let crossed = course.side.is_some_and(|was| was != side) && course.between_ends;
        course.side = Some(side);
        if crossed {
            let direction = if side == Side::Right {
                Direction::In
            } else {
                Direction::Out
            };
            course.net += if direction == Direction::In { 1 } else { -1 };
            if self.settings.mode == CountMode::Immediate {
                out.push(Crossing { track, direction });
            }
        }
    }
}

/// The line in pixels.
struct Line {
    from: Point,
    /// Unit vector from `from` to `to`.
    along: Point,
    /// Range of positions along the line that belong to it, pixels from `from`.
    reach: (f32, f32),
}

impl Line {
    fn on(settings: &LineSettings, width: f32, height: f32) -> Self {
        let pixels = |p: [f32; 2]| (p[0] * width, p[1] * height);
        let (from, to) = (pixels(settings.from), pixels(settings.to));
        let length = distance(from, to).max(1.0);
        let at_edge = |p: [f32; 2]| p.into_iter().any(|v| !(EDGE..=1.0 - EDGE).contains(&v));
        let reach = (
            if at_edge(settings.from) {
                f32::NEG_INFINITY
            } else {
                0.0
            },
            if at_edge(settings.to) {
                f32::INFINITY
            } else {
                length
            },
        );
        Self {
            from,
            along: ((to.0 - from.0) / length, (to.1 - from.1) / length),
            reach,
        }
    }

    /// Pixels; positive on the right hand of somebody who looks along the line (y grows downwards).
    fn signed_distance(&self, p: Point) -> f32 {
        self.along.0 * (p.1 - self.from.1) - self.along.1 * (p.0 - self.from.0)
    }

    fn is_between_ends(&self, p: Point) -> bool {
        let position = self.along.0 * (p.0 - self.from.0) + self.along.1 * (p.1 - self.from.1);
        (self.reach.0..=self.reach.1).contains(&position)
    }
}

fn distance(a: Point, b: Point) -> f32 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
