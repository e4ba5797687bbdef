//! Points on the picture, and the point of a person's box that stands for them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::sensor::vision::Rect;

/// Pixels, origin top left, y downwards.
pub type Point = (f32, f32);

/// Whoever is this close to the picture's edge, as a fraction of the picture, is at it: nobody walks around there.
pub const EDGE: f32 = 0.02;

/// Point of a person's box that is held against lines and zones.
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
    /// The point of this box.
    #[must_use]
    pub fn of(self, rect: &Rect) -> Point {
        let x = (rect.x0 + rect.x1) / 2.0;
        match self {
            Self::BottomCenter => (x, rect.y1),
            Self::Center => (x, (rect.y0 + rect.y1) / 2.0),
            Self::TopCenter => (x, rect.y0),
        }
    }
}

/// A straight piece between two points, in the units of its points.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub from: Point,
    pub to: Point,
}

impl Segment {
    /// Unit vector from `from` to `to`; `(1, 0)` when they are the same point.
    #[must_use]
    pub fn along(&self) -> Point {
        let (dx, dy) = (self.to.0 - self.from.0, self.to.1 - self.from.1);
        let length = dx.hypot(dy);
        if length > f32::EPSILON {
            (dx / length, dy / length)
        } else {
            (1.0, 0.0)
        }
    }

    #[must_use]
    pub fn length(&self) -> f32 {
        distance(self.from, self.to)
    }

    /// Where `p` falls on the endless line through this piece, measured from `from`.
    #[must_use]
    pub fn position(&self, p: Point) -> f32 {
        let along = self.along();
        along.0 * (p.0 - self.from.0) + along.1 * (p.1 - self.from.1)
    }

    /// Distance to the endless line; positive on the right hand of somebody who looks along it.
    #[must_use]
    pub fn offset(&self, p: Point) -> f32 {
        let along = self.along();
        along.0 * (p.1 - self.from.1) - along.1 * (p.0 - self.from.0)
    }

    /// Whether the two pieces meet, their ends included.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let side = |of: &Self, p: Point| {
            let cross = (of.to.0 - of.from.0) * (p.1 - of.from.1)
                - (of.to.1 - of.from.1) * (p.0 - of.from.0);
            (cross > 1e-9) as i8 - (cross < -1e-9) as i8
        };
        let (a, b) = (side(self, other.from), side(self, other.to));
        let (c, d) = (side(other, self.from), side(other, self.to));
        if (a, b, c, d) != (0, 0, 0, 0) {
            return a * b <= 0 && c * d <= 0;
        }
        // All on one line: they meet when their extents do.
        let overlap = |a0: f32, a1: f32, b0: f32, b1: f32| {
            a0.min(a1) <= b0.max(b1) && b0.min(b1) <= a0.max(a1)
        };
        overlap(self.from.0, self.to.0, other.from.0, other.to.0)
            && overlap(self.from.1, self.to.1, other.from.1, other.to.1)
    }
}

#[must_use]
pub fn distance(a: Point, b: Point) -> f32 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// The point `share` of the way from `a` to `b`.
#[must_use]
pub fn between(a: Point, b: Point, share: f32) -> Point {
    (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share)
}

/// The nimble estimate is sure of a side from this share of the band on: it errs to both sides of where people are.
const NIMBLE_SHARE: f32 = 0.8;

/// The side of a border that somebody is clearly on (`true`: the positive one), by the two estimates of their signed
/// distance to it; `None` within the undecided band of that half-width.
///
/// Both have to agree: who stops at once is over the border for a moment in the calm one, a box that jumps in the nimble
/// one.
#[must_use]
pub fn side(calm: f32, nimble: f32, band: f32) -> Option<bool> {
    if calm >= band && nimble >= band * NIMBLE_SHARE {
        Some(true)
    } else if calm <= -band && nimble <= -band * NIMBLE_SHARE {
        Some(false)
    } else {
        None
    }
}

/// Fractions of the picture as pixels.
#[must_use]
pub fn pixels([x, y]: [f32; 2], (width, height): (u32, u32)) -> Point {
    (x * width as f32, y * height as f32)
}

/// Whether a point given as fractions of the picture lies at the picture's edge.
#[must_use]
pub fn at_edge([x, y]: [f32; 2]) -> bool {
    [x, y]
        .into_iter()
        .any(|v| !(EDGE..=1.0 - EDGE).contains(&v))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(from: Point, to: Point) -> Segment {
        Segment { from, to }
    }

    #[test]
    fn pieces_meet_when_they_cross_touch_or_overlap() {
        let level = segment((0.0, 0.0), (10.0, 0.0));
        assert!(level.meets(&segment((5.0, -1.0), (5.0, 1.0))));
        assert!(level.meets(&segment((5.0, 0.0), (5.0, 1.0))));
        assert!(level.meets(&segment((8.0, 0.0), (20.0, 0.0))));
        assert!(!level.meets(&segment((11.0, 0.0), (20.0, 0.0))));
        assert!(!level.meets(&segment((5.0, 1.0), (5.0, 2.0))));
        assert!(!level.meets(&segment((12.0, -1.0), (12.0, 1.0))));
    }

    #[test]
    fn the_right_hand_of_somebody_who_looks_along_a_line_is_positive() {
        // Upwards on the picture: the right hand is to the right.
        let upwards = segment((5.0, 10.0), (5.0, 0.0));
        assert_eq!(upwards.offset((7.0, 3.0)), 2.0);
        assert_eq!(upwards.position((7.0, 3.0)), 7.0);
        // A piece without length has a direction all the same.
        assert!(
            segment((1.0, 1.0), (1.0, 1.0))
                .offset((2.0, 3.0))
                .is_finite()
        );
    }

    #[test]
    fn the_anchor_is_the_feet_the_middle_or_the_head() {
        let rect = Rect {
            x0: 10.0,
            y0: 20.0,
            x1: 30.0,
            y1: 80.0,
        };
        assert_eq!(Anchor::BottomCenter.of(&rect), (20.0, 80.0));
        assert_eq!(Anchor::Center.of(&rect), (20.0, 50.0));
        assert_eq!(Anchor::TopCenter.of(&rect), (20.0, 20.0));
    }
}
