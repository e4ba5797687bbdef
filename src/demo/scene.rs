//! The synthetic shop's geometry: one room, one counting line, a camera in one of two places. Pure.
//!
//! Floor coordinates are metres: `x` to the right of the picture, `y` up, `z` down the room to the door. The camera hangs at
//! `x = 0` and has no roll: one row of the picture is one depth of the floor, and the door is above its middle.

use crate::config::schema::{CountMode, Line};

/// Width of the picture, pixels.
pub const WIDTH: u32 = 640;
/// Height of the picture, pixels.
pub const HEIGHT: u32 = 480;

/// Depth of the wall with the door.
pub const WALL_Z: f32 = 8.0;
/// Half the width of the door opening.
pub const DOOR_HALF: f32 = 1.7;
/// Depth of the counting line.
pub const LINE_Z: f32 = 5.0;
/// Half-width of the undecided band around the line, in box heights, as the config's default has it.
pub const HALF_BAND: f32 = 0.15;

/// Where the camera hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Place {
    /// On the wall across the room: it sees people whole
    #[default]
    Oblique,
    /// On the ceiling above the counting line, looking straight down
    Overhead,
}

impl Place {
    /// How far from the middle of the passage people walk over the line, metres. From the ceiling less of it can be seen.
    #[must_use]
    pub const fn lanes(self) -> f32 {
        match self {
            Self::Oblique => 1.6,
            Self::Overhead => 1.0,
        }
    }
}

/// What lights the shop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Light {
    /// Lamps, and the sun through the door with clouds before it
    #[default]
    Day,
    /// Fewer lamps, a dark street, and a sensor that makes up for it with noise
    Evening,
}

/// A point on the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projected {
    /// Pixels from the left.
    pub u: f32,
    /// Pixels from the top.
    pub v: f32,
    /// Distance along the optical axis, metres.
    pub depth: f32,
    /// Pixels per metre at that depth.
    pub scale: f32,
}

/// The pinhole camera above the shop floor.
#[derive(Clone, Copy, Debug)]
pub struct View {
    focal: f32,
    height: f32,
    z: f32,
    sin: f32,
    cos: f32,
}

impl View {
    #[must_use]
    pub fn from(place: Place) -> Self {
        match place {
            Place::Oblique => Self::oblique(),
            Place::Overhead => Self::new(3.4, LINE_Z, 90.0, 84.0),
        }
    }

    /// 3.2 m high, pitched 30° down, 70° wide. What a crossing is, is said in its terms, wherever the camera hangs.
    #[must_use]
    pub fn oblique() -> Self {
        Self::new(3.2, 0.0, 30.0, 70.0)
    }

    /// Metres above the floor and down the room, degrees below the horizon and across the picture.
    fn new(height: f32, z: f32, pitch: f32, wide: f32) -> Self {
        let (sin, cos) = pitch.to_radians().sin_cos();
        Self {
            focal: WIDTH as f32 / 2.0 / (wide / 2.0).to_radians().tan(),
            height,
            z,
            sin,
            cos,
        }
    }

    /// Where a point of the room appears; depths under 0.2 m are held there.
    #[must_use]
    pub fn project(&self, [x, y, z]: [f32; 3]) -> Projected {
        let (y, z) = (y - self.height, z - self.z);
        let depth = (z * self.cos - y * self.sin).max(0.2);
        let scale = self.focal / depth;
        Projected {
            u: WIDTH as f32 / 2.0 + x * scale,
            v: HEIGHT as f32 / 2.0 - (y * self.cos + z * self.sin) * scale,
            depth,
            scale,
        }
    }

    /// Origin and direction of the ray through a point of the picture; a step of 1 along it is 1 m of depth.
    #[must_use]
    pub fn ray(&self, u: f32, v: f32) -> ([f32; 3], [f32; 3]) {
        let right = (u - WIDTH as f32 / 2.0) / self.focal;
        let up = (HEIGHT as f32 / 2.0 - v) / self.focal;
        (
            [0.0, self.height, self.z],
            [right, up * self.cos - self.sin, up * self.sin + self.cos],
        )
    }

    /// Signed distance of feet at depth `z` from the line, in heights of the person's box: the quantity the
    /// counting rule looks at. Positive inside, negative towards the street.
    #[must_use]
    pub fn heights_from_line(&self, z: f32, height: f32) -> f32 {
        let feet = self.project([0.0, 0.0, z]).v;
        let head = self.project([0.0, height, z]).v;
        let line = self.project([0.0, 0.0, LINE_Z]).v;
        (feet - line) / (feet - head)
    }

    /// Depth at which the feet of a person are that many box heights from the line (bisection).
    #[must_use]
    pub fn depth_at(&self, heights: f32, height: f32) -> f32 {
        let (mut inside, mut outside) = (1.0f32, 12.0f32);
        for _ in 0..40 {
            let middle = (inside + outside) / 2.0;
            if self.heights_from_line(middle, height) > heights {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        (inside + outside) / 2.0
    }
}

/// The counting line as the config file would say it: from left to right, so that `in` is towards the lower edge.
#[must_use]
pub fn line(place: Place) -> Line {
    let view = View::from(place);
    let point = |x: f32| {
        let p = view.project([x, 0.0, LINE_Z]);
        [
            f64::from(p.u / WIDTH as f32),
            f64::from(p.v / HEIGHT as f32),
        ]
    };
    Line {
        id: "entrance".to_owned(),
        points: vec![point(-2.5), point(2.5)],
        left: "street".to_owned(),
        right: "shop".to_owned(),
        mode: CountMode::Immediate,
        half_band: f64::from(HALF_BAND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ray_through_a_projected_point_comes_back_to_that_point() {
        for place in [Place::Oblique, Place::Overhead] {
            let view = View::from(place);
            let point = [0.7, 1.1, 4.2];
            let seen = view.project(point);
            let (from, along) = view.ray(seen.u, seen.v);
            for axis in 0..3 {
                let back = from[axis] + along[axis] * seen.depth;
                let difference = (back - point[axis]).abs();
                assert!(difference < 1e-3, "{place:?} {axis}: {back}");
            }
        }
    }

    #[test]
    fn a_depth_found_for_a_distance_from_the_line_has_that_distance() {
        let view = View::oblique();
        for height in [1.2, 1.6, 1.95] {
            for heights in [-0.6, -0.15, 0.0, 0.15, 0.8] {
                let z = view.depth_at(heights, height);
                assert!((view.heights_from_line(z, height) - heights).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn the_line_lies_in_the_picture_and_inside_is_on_its_right_hand() {
        for place in [Place::Oblique, Place::Overhead] {
            let line = line(place);
            for point in &line.points {
                assert!(point.iter().all(|c| (0.05..=0.95).contains(c)));
            }
            // Right hand of somebody who looks from the first point to the second is further down, and that is inside.
            assert!(line.points[0][0] < line.points[1][0]);
            let view = View::from(place);
            let row = |z: f32| view.project([0.0, 0.0, z]).v;
            assert!(row(LINE_Z - 1.0) > row(LINE_Z) && row(LINE_Z) > row(LINE_Z + 1.0));
        }
        let view = View::oblique();
        assert!(view.heights_from_line(LINE_Z - 1.0, 1.7) > HALF_BAND);
        assert!(view.heights_from_line(LINE_Z + 1.0, 1.7) < -HALF_BAND);
    }
}
