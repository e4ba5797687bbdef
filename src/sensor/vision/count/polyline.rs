//! A counting line of one or more pieces on the picture: which side a point is on, and whether a way led through it or
//! around its end.

use super::geometry::{Point, Segment, at_edge, distance, pixels};

/// Two points of a line, or two corners of a zone, that are this close are one; fraction of the picture.
pub const NEAREST_POINTS: f32 = 0.02;
/// How far a line's ends are prolonged to see whether it bends back on itself, in fractions of the picture.
const PROLONGED: f32 = 2.0;

/// A line in pixels. Its first and last piece go on for ever, so that every point has a side.
#[derive(Debug)]
pub struct Polyline {
    pieces: Vec<Segment>,
    /// Whether the ends lie at the picture's edge: what is beyond them belongs to the line too.
    reaches_beyond: (bool, bool),
}

/// Where a point is in relation to a line.
struct Nearest {
    /// Distance to the prolonged line, pixels; positive on the right hand of somebody who looks along it.
    offset: f32,
    /// Whether the nearest place is between the line's ends.
    between_ends: bool,
}

impl Polyline {
    /// `points`: at least two, as fractions of a picture of `size`; with fewer there is no line and nothing crosses it.
    #[must_use]
    pub fn new(points: &[[f32; 2]], size: (u32, u32)) -> Self {
        let corners: Vec<Point> = points.iter().map(|&point| pixels(point, size)).collect();
        let pieces = corners
            .windows(2)
            .filter_map(|two| match two {
                [from, to] => Some(Segment {
                    from: *from,
                    to: *to,
                }),
                _ => None,
            })
            .collect();
        let beyond = |end: Option<&[f32; 2]>| end.is_some_and(|&end| at_edge(end));
        Self {
            pieces,
            reaches_beyond: (beyond(points.first()), beyond(points.last())),
        }
    }

    /// Distance to the prolonged line, pixels; positive on the right hand of somebody who looks along it.
    #[must_use]
    pub fn offset(&self, p: Point) -> f32 {
        self.nearest(p)
            .map_or(f32::INFINITY, |nearest| nearest.offset)
    }

    /// Whether the place of the prolonged line that is nearest to `p` is between its ends.
    #[must_use]
    pub fn is_between_ends(&self, p: Point) -> bool {
        self.nearest(p).is_some_and(|nearest| nearest.between_ends)
    }

    fn nearest(&self, p: Point) -> Option<Nearest> {
        let last = self.pieces.len().checked_sub(1)?;
        let place = |(index, piece): (usize, &Segment)| {
            let (position, length) = (piece.position(p), piece.length());
            let (first, final_) = (index == 0, index == last);
            let before = position < 0.0;
            let after = position > length;
            let far = if (before && !first) || (after && !final_) {
                let corner = if before { piece.from } else { piece.to };
                distance(p, corner)
            } else {
                piece.offset(p).abs()
            };
            let around_first = before && first && !self.reaches_beyond.0;
            let around_last = after && final_ && !self.reaches_beyond.1;
            let between_ends = !around_first && !around_last;
            (far, piece.offset(p), between_ends)
        };
        // At a corner two pieces are equally near; the one that the point is more clearly beside of tells the side
        // (the rule for distances to meshes, in the plane: Bærentzen and Aanæs, IEEE TVCG 2005, section 3).
        let nearer = |a: &(f32, f32, bool), b: &(f32, f32, bool)| {
            let same = (a.0 - b.0).abs() <= 1e-3 * (1.0 + a.0);
            if same {
                b.1.abs().total_cmp(&a.1.abs())
            } else {
                a.0.total_cmp(&b.0)
            }
        };
        let (far, side, between_ends) = self.pieces.iter().enumerate().map(place).min_by(nearer)?;
        Some(Nearest {
            offset: far.copysign(side),
            between_ends,
        })
    }
}

/// What is wrong with a line's points (fractions of the picture); `None` when nothing is.
#[must_use]
pub fn flaw(points: &[[f32; 2]]) -> Option<&'static str> {
    if points.len() < 2 {
        return Some("expected two points or more, such as [[0.5, 1.0], [0.5, 0.0]]");
    }
    if points.len() > MOST_POINTS {
        return Some("expected 16 points at most");
    }
    if !points.iter().flatten().all(|v| (0.0..=1.0).contains(v)) {
        return Some("expected fractions of the picture, each from 0 to 1");
    }
    let corners: Vec<Point> = points.iter().map(|[x, y]| (*x, *y)).collect();
    let mut pieces: Vec<Segment> = corners
        .iter()
        .zip(corners.iter().skip(1))
        .map(|(&from, &to)| Segment { from, to })
        .collect();
    if pieces.iter().any(|piece| piece.length() < NEAREST_POINTS) {
        return Some("two of the points are the same place; a line needs two ends");
    }
    // Prolonged as the counting does it, as far as the picture goes.
    if let Some(first) = pieces.first_mut() {
        let along = first.along();
        first.from = (
            first.from.0 - along.0 * PROLONGED,
            first.from.1 - along.1 * PROLONGED,
        );
    }
    if let Some(last) = pieces.last_mut() {
        let along = last.along();
        last.to = (
            last.to.0 + along.0 * PROLONGED,
            last.to.1 + along.1 * PROLONGED,
        );
    }
    let on_picture: Vec<Option<Segment>> = pieces.iter().map(clipped).collect();
    for (index, piece) in on_picture.iter().enumerate() {
        let others = on_picture.iter().skip(index + 2).flatten();
        if let Some(piece) = piece
            && others.into_iter().any(|other| piece.meets(other))
        {
            return Some(
                "the line crosses itself, or would if its ends went on; draw it so that it has two clear sides",
            );
        }
    }
    None
}

/// Points of a line, and corners of a zone, at most.
pub const MOST_POINTS: usize = 16;

/// The part of a piece that is on the picture (Liang and Barsky, ACM TOG 3(1), 1984).
fn clipped(piece: &Segment) -> Option<Segment> {
    let (dx, dy) = (piece.to.0 - piece.from.0, piece.to.1 - piece.from.1);
    let (mut enter, mut leave) = (0.0f32, 1.0f32);
    for (way, room) in [
        (-dx, piece.from.0),
        (dx, 1.0 - piece.from.0),
        (-dy, piece.from.1),
        (dy, 1.0 - piece.from.1),
    ] {
        if way == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if way < 0.0 {
            enter = enter.max(room / way);
        } else {
            leave = leave.min(room / way);
        }
    }
    let at = |share: f32| (piece.from.0 + dx * share, piece.from.1 + dy * share);
    (enter <= leave).then(|| Segment {
        from: at(enter),
        to: at(leave),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (100, 100);

    #[test]
    fn both_sides_of_a_corner_are_told_apart_everywhere_around_it() {
        // Up, then to the right: the lower right quarter is the right hand.
        let line = Polyline::new(&[[0.5, 0.9], [0.5, 0.5], [0.9, 0.5]], SIZE);
        for (p, right) in [
            ((70.0, 70.0), true),
            ((55.0, 51.0), true),
            ((51.0, 55.0), true),
            ((49.0, 49.0), false),
            ((20.0, 20.0), false),
            ((40.0, 51.0), false),
            ((51.0, 40.0), false),
            // Beyond both ends.
            ((51.0, 99.0), true),
            ((99.0, 51.0), true),
            ((49.0, 99.0), false),
        ] {
            assert_eq!(line.offset(p) > 0.0, right, "{p:?}: {}", line.offset(p));
        }
        assert!((line.offset((40.0, 40.0)) + 10.0f32.hypot(10.0)).abs() < 0.01);
        assert!(!line.is_between_ends((51.0, 95.0)) && line.is_between_ends((51.0, 60.0)));
    }

    #[test]
    fn an_end_at_the_pictures_edge_reaches_beyond_it() {
        let line = Polyline::new(&[[0.5, 1.0], [0.5, 0.4]], SIZE);
        assert!(line.is_between_ends((50.0, 120.0)));
        assert!(!line.is_between_ends((50.0, 30.0)));
    }

    #[test]
    fn lines_without_two_clear_sides_are_found() {
        assert_eq!(flaw(&[[0.2, 0.2], [0.8, 0.8]]), None);
        assert_eq!(
            flaw(&[[0.2, 0.8], [0.2, 0.2], [0.8, 0.2], [0.8, 0.8]]),
            None
        );
        let itself = [[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]];
        assert!(flaw(&itself).unwrap().contains("crosses itself"));
        let bends_back = [[0.5, 0.9], [0.5, 0.3], [0.8, 0.3], [0.7, 0.5]];
        assert!(flaw(&bends_back).unwrap().contains("if its ends went on"));
        assert!(flaw(&[[0.5, 0.5]]).unwrap().contains("two points"));
        assert!(
            flaw(&[[0.5, 0.5], [0.505, 0.5]])
                .unwrap()
                .contains("same place")
        );
        assert!(flaw(&[[0.5, 0.5], [1.2, 0.5]]).unwrap().contains("0 to 1"));
        assert!(
            flaw(&[[0.5, 0.5], [f32::NAN, 0.5]])
                .unwrap()
                .contains("0 to 1")
        );
        assert!(flaw(&[[0.5; 2]; 17]).unwrap().contains("16"));
    }

    #[test]
    fn a_line_without_points_crosses_nothing_and_harms_nobody() {
        let line = Polyline::new(&[], SIZE);
        assert!(line.offset((1.0, 1.0)) > 0.0 && !line.is_between_ends((1.0, 1.0)));
    }
}
