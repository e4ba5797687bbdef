//! The band rule: counts a person once per crossing of a line, however long they stand on it.
//!
//! The signed distance of a person's anchor to the line, in box heights, puts them on side A, on side B or in the
//! undecided band between; two estimates of where they are, a calm one and a nimble one, have to agree. Only a change
//! from one side to the other counts, only for confirmed people, and only when the smoothed path passed between the
//! line's ends.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::geometry::{between, side};
use super::polyline::Polyline;
use super::walker::{Gone, Step};
use crate::event::Direction;

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
/// Stand on the first point and look along the line: a crossing from your left hand to your right is [`Direction::In`].
#[derive(Clone, Debug)]
pub struct LineSettings {
    /// Two or more.
    pub points: Vec<[f32; 2]>,
    pub mode: CountMode,
    /// Half-width of the undecided band, in box heights.
    pub half_band: f32,
}

/// One counted crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    pub track: u64,
    pub class: u16,
    pub direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// What is remembered of one walker.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    /// The latest side it was clearly on.
    side: Option<Side>,
    /// Whether the latest passage over the (endless) line was between its ends.
    between_ends: bool,
    /// Crossings inwards minus crossings outwards.
    net: i32,
}

/// Counts the crossings of one line.
#[derive(Debug)]
pub struct LineCounter {
    settings: LineSettings,
    /// The line on a picture of that size.
    drawn: Option<((u32, u32), Polyline)>,
    courses: BTreeMap<u64, Course>,
}

impl LineCounter {
    #[must_use]
    pub const fn new(settings: LineSettings) -> Self {
        Self {
            settings,
            drawn: None,
            courses: BTreeMap::new(),
        }
    }

    /// Takes what walkers did on one frame of `size` (width, height in pixels); adds what was counted to `out`.
    pub fn step(
        &mut self,
        steps: &[Step],
        gone: &[Gone],
        size: (u32, u32),
        out: &mut Vec<Crossing>,
    ) {
        let line = match self.drawn.take() {
            Some((drawn, line)) if drawn == size => line,
            _ => Polyline::new(&self.settings.points, size),
        };
        for step in steps {
            self.walk(&line, step, out);
        }
        self.drawn = Some((size, line));
        for gone in gone {
            let net = self
                .courses
                .remove(&gone.walker)
                .map_or(0, |course| course.net);
            if self.settings.mode == CountMode::Net && net != 0 {
                out.push(Crossing {
                    track: gone.track,
                    class: gone.class,
                    direction: if net > 0 {
                        Direction::In
                    } else {
                        Direction::Out
                    },
                });
            }
        }
    }

    /// Moves one course to its next observation; counts where the far side is reached.
    fn walk(&mut self, line: &Polyline, step: &Step, out: &mut Vec<Crossing>) {
        let course = self.courses.entry(step.walker).or_default();
        let (before, now) = (line.offset(step.from), line.offset(step.to));
        if (before < 0.0) != (now < 0.0) {
            let met = between(step.from, step.to, before / (before - now));
            course.between_ends = line.is_between_ends(met);
        }
        let band = self.settings.half_band * step.height;
        let Some(right) = side(now, line.offset(step.seen), band) else {
            return;
        };
        let side = if right { Side::Right } else { Side::Left };
        let crossed = course.side.is_some_and(|was| was != side) && course.between_ends;
        course.side = Some(side);
        if !crossed {
            return;
        }
        let direction = if side == Side::Right {
            Direction::In
        } else {
            Direction::Out
        };
        course.net += if direction == Direction::In { 1 } else { -1 };
        if self.settings.mode == CountMode::Immediate {
            out.push(Crossing {
                track: step.track,
                class: step.class,
                direction,
            });
        }
    }

    /// How many walkers are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.courses.len()
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
