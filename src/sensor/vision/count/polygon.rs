//! An area on the picture: whether a point is in it, and how far from its border.

use super::geometry::{Point, Segment, at_edge, distance, pixels};
use super::polyline::{MOST_POINTS, NEAREST_POINTS};

/// Places per side of the grid on which an area's depth is looked for.
const GRID: u32 = 24;

/// An area in pixels.
#[derive(Debug)]
pub struct Polygon {
    corners: Vec<Point>,
    /// The sides that somebody can step over: not those along the picture's edge.
    border: Vec<Segment>,
    size: (f32, f32),
    /// How far its deepest place is from its border, pixels.
    depth: f32,
}

impl Polygon {
    /// `points`: at least three corners, as fractions of a picture of `size`; with fewer nothing is inside.
    #[must_use]
    pub fn new(points: &[[f32; 2]], size: (u32, u32)) -> Self {
        let corners: Vec<Point> = points.iter().map(|&point| pixels(point, size)).collect();
        let fractions = points.iter().zip(points.iter().cycle().skip(1));
        let border = sides(&corners)
            .zip(fractions)
            .filter(|(_, (a, b))| !along_edge(**a, **b))
            .map(|(side, _)| side)
            .collect();
        let mut polygon = Self {
            corners,
            border,
            size: (size.0 as f32, size.1 as f32),
            depth: 0.0,
        };
        polygon.depth = polygon.deepest();
        polygon
    }

    /// Distance to the border that can be stepped over, pixels; positive inside. A point beyond the picture's edge
    /// counts as at it.
    #[must_use]
    pub fn inside(&self, p: Point) -> f32 {
        let on_picture = (p.0.clamp(0.0, self.size.0), p.1.clamp(0.0, self.size.1));
        let far = self.border.iter().map(|side| far_from(side, on_picture));
        let far = far.fold(self.size.0 + self.size.1, f32::min);
        if self.holds(on_picture) { far } else { -far }
    }

    /// How far the deepest place is from the border, pixels.
    #[must_use]
    pub const fn depth(&self) -> f32 {
        self.depth
    }

    /// The even-odd rule: a ray to the right meets the sides an odd number of times.
    fn holds(&self, p: Point) -> bool {
        // A hair inside, for points on the picture's own edge.
        let p = (
            p.0.clamp(0.01, (self.size.0 - 0.01).max(0.01)),
            p.1.clamp(0.01, (self.size.1 - 0.01).max(0.01)),
        );
        let met = sides(&self.corners).filter(|side| {
            let (a, b) = (side.from, side.to);
            (a.1 > p.1) != (b.1 > p.1) && p.0 < a.0 + (p.1 - a.1) / (b.1 - a.1) * (b.0 - a.0)
        });
        met.count() % 2 == 1
    }

    fn deepest(&self) -> f32 {
        let extent = |of: fn(&Point) -> f32| {
            let values = || self.corners.iter().map(of);
            (
                values().fold(f32::MAX, f32::min),
                values().fold(f32::MIN, f32::max),
            )
        };
        let ((left, right), (top, bottom)) = (extent(|p| p.0), extent(|p| p.1));
        let at = |least: f32, most: f32, step: u32| {
            least + (most - least) * (step as f32 + 0.5) / GRID as f32
        };
        let places = (0..GRID).flat_map(|y| (0..GRID).map(move |x| (x, y)));
        places
            .map(|(x, y)| self.inside((at(left, right, x), at(top, bottom, y))))
            .filter(|depth| depth.is_finite())
            .fold(0.0, f32::max)
    }
}

/// The sides of an area, the last one back to the first corner.
fn sides(corners: &[Point]) -> impl Iterator<Item = Segment> + '_ {
    let next = corners.iter().cycle().skip(1);
    corners
        .iter()
        .zip(next)
        .map(|(&from, &to)| Segment { from, to })
}

fn along_edge(a: [f32; 2], b: [f32; 2]) -> bool {
    let at = |value: f32| at_edge([value, 0.5]);
    let same = |a: f32, b: f32| at(a) && at(b) && (a - b).abs() < 0.5;
    same(a[0], b[0]) || same(a[1], b[1])
}

fn far_from(side: &Segment, p: Point) -> f32 {
    let position = side.position(p);
    if position < 0.0 {
        distance(p, side.from)
    } else if position > side.length() {
        distance(p, side.to)
    } else {
        side.offset(p).abs()
    }
}

/// What is wrong with an area's corners (fractions of the picture); `None` when nothing is.
#[must_use]
pub fn flaw(points: &[[f32; 2]]) -> Option<&'static str> {
    if points.len() < 3 {
        return Some(
            "expected three corners or more, such as [[0.1, 0.1], [0.4, 0.1], [0.4, 0.6]]",
        );
    }
    if points.len() > MOST_POINTS {
        return Some("expected 16 corners at most");
    }
    if !points.iter().flatten().all(|v| (0.0..=1.0).contains(v)) {
        return Some("expected fractions of the picture, each from 0 to 1");
    }
    let corners: Vec<Point> = points.iter().map(|[x, y]| (*x, *y)).collect();
    let sides: Vec<Segment> = sides(&corners).collect();
    if sides.iter().any(|side| side.length() < NEAREST_POINTS) {
        return Some(
            "two of the corners are the same place; the last side goes back to the first by itself",
        );
    }
    for (index, side) in sides.iter().enumerate() {
        // Neighbours share a corner.
        let last = sides.len() - usize::from(index == 0);
        let others = sides.iter().take(last).skip(index + 2);
        if others.into_iter().any(|other| side.meets(other)) {
            return Some(
                "its sides cross each other; name the corners in their order around the area",
            );
        }
    }
    let doubled: f32 = sides
        .iter()
        .map(|s| s.from.0 * s.to.1 - s.to.0 * s.from.1)
        .sum();
    (doubled.abs() < 2.0 * NEAREST_POINTS * NEAREST_POINTS)
        .then_some("the area is too small; draw it larger")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_inside_by_its_distance_to_the_border() {
        let square = Polygon::new(
            &[[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]],
            (100, 100),
        );
        assert!((square.inside((40.0, 30.0)) - 10.0).abs() < 1e-3);
        assert!((square.inside((70.0, 30.0)) + 10.0).abs() < 1e-3);
        assert!((square.depth() - 20.0).abs() < 1.0, "{}", square.depth());
    }

    #[test]
    fn nobody_steps_over_a_side_along_the_pictures_edge() {
        let right_half = Polygon::new(
            &[[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]],
            (100, 100),
        );
        assert!((right_half.inside((99.0, 50.0)) - 49.0).abs() < 1e-3);
        // Feet below the picture.
        assert!((right_half.inside((80.0, 130.0)) - 30.0).abs() < 1e-3);
        let everything = Polygon::new(
            &[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
            (100, 100),
        );
        assert!(everything.inside((0.0, 0.0)) > 100.0);
    }

    #[test]
    fn a_bent_area_has_a_hole_where_it_bends() {
        let bent = [
            [0.1, 0.1],
            [0.9, 0.1],
            [0.9, 0.9],
            [0.7, 0.9],
            [0.7, 0.3],
            [0.1, 0.3],
        ];
        let bent = Polygon::new(&bent, (100, 100));
        assert!(bent.inside((80.0, 80.0)) > 0.0 && bent.inside((20.0, 20.0)) > 0.0);
        assert!(bent.inside((40.0, 60.0)) < 0.0);
    }

    #[test]
    fn corners_that_make_no_area_are_found() {
        assert_eq!(flaw(&[[0.1, 0.1], [0.4, 0.1], [0.4, 0.6]]), None);
        let bow_tie = [[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]];
        assert!(flaw(&bow_tie).unwrap().contains("cross each other"));
        assert!(
            flaw(&[[0.1, 0.1], [0.4, 0.1]])
                .unwrap()
                .contains("three corners")
        );
        assert!(
            flaw(&[[0.1, 0.1], [0.4, 0.1], [0.1, 0.1]])
                .unwrap()
                .contains("same place")
        );
        assert!(
            flaw(&[[0.1, 0.1], [0.4, 0.1], [0.4, 1.1]])
                .unwrap()
                .contains("0 to 1")
        );
        assert!(
            flaw(&[[0.1, 0.1], [0.5, 0.1], [0.9, 0.1005]])
                .unwrap()
                .contains("too small")
        );
    }

    #[test]
    fn an_area_without_corners_holds_nobody() {
        let nothing = Polygon::new(&[], (100, 100));
        assert!(nothing.inside((50.0, 50.0)) < 0.0);
        assert_eq!(nothing.depth(), 0.0);
    }
}
