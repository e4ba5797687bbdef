//! How somebody walks: knots in time and on the floor, with straight lines between them. Pure.

use crate::event::Direction;

/// Where a person is at one moment and how they stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    pub x: f32,
    pub z: f32,
    /// Unit vector of where the person faces, on the floor (x, z).
    pub facing: (f32, f32),
    /// Walking phase, radians; one turn is two steps.
    pub phase: f32,
    /// 0 standing, 1 walking.
    pub stride: f32,
}

#[derive(Clone, Copy, Debug)]
struct Knot {
    t: f32,
    x: f32,
    z: f32,
    /// Metres walked up to here.
    walked: f32,
}

/// Straight walks and waits, built front to back.
#[derive(Clone, Debug)]
pub struct Path {
    knots: Vec<Knot>,
    /// Metres per second.
    speed: f32,
    /// How far somebody who waits sways to and fro, metres.
    pub sway: f32,
}

impl Path {
    /// Starts at a place (x, z), at `t` seconds; walks at `speed` metres per second.
    #[must_use]
    pub fn start(t: f32, (x, z): (f32, f32), speed: f32) -> Self {
        let knots = vec![Knot {
            t,
            x,
            z,
            walked: 0.0,
        }];
        Self {
            knots,
            speed,
            sway: 0.0,
        }
    }

    /// Walks straight to a place.
    #[must_use]
    pub fn to(mut self, (x, z): (f32, f32)) -> Self {
        if let Some(&last) = self.knots.last() {
            let metres = (x - last.x).hypot(z - last.z);
            self.knots.push(Knot {
                t: last.t + metres / self.speed,
                x,
                z,
                walked: last.walked + metres,
            });
        }
        self
    }

    /// Stands there for some seconds.
    #[must_use]
    pub fn wait(mut self, seconds: f32) -> Self {
        if let Some(&last) = self.knots.last() {
            self.knots.push(Knot {
                t: last.t + seconds,
                ..last
            });
        }
        self
    }

    /// Walks to one place after another.
    #[must_use]
    pub fn all(self, stops: &[(f32, f32)]) -> Self {
        stops.iter().fold(self, |path, &stop| path.to(stop))
    }

    /// Seconds of the start and of the end.
    #[must_use]
    pub fn span(&self) -> (f32, f32) {
        let t = |knot: Option<&Knot>| knot.map_or(0.0, |k| k.t);
        (t(self.knots.first()), t(self.knots.last()))
    }

    /// The same path, later and more to the right.
    #[must_use]
    pub fn shift(mut self, seconds: f32, x: f32) -> Self {
        for knot in &mut self.knots {
            knot.t += seconds;
            knot.x += x;
        }
        self
    }

    /// When the path first walks through depth `z` in that direction, after `after` seconds.
    #[must_use]
    pub fn passes(&self, z: f32, direction: Direction, after: f32) -> Option<f32> {
        self.knots.windows(2).find_map(|pair| {
            let (a, b) = (pair.first()?, pair.last()?);
            let through = match direction {
                Direction::In => a.z > z && b.z <= z,
                Direction::Out => a.z < z && b.z >= z,
            };
            let t = a.t + (b.t - a.t) * (z - a.z) / (b.z - a.z);
            (through && t > after).then_some(t)
        })
    }

    /// Where somebody on that segment looks at `t` seconds.
    fn facing(&self, segment: usize, t: f32) -> (f32, f32) {
        let direction = |index: Option<usize>| {
            let pair = self.knots.get(index?..)?;
            let (a, b) = (pair.first()?, pair.get(1)?);
            let metres = (b.x - a.x).hypot(b.z - a.z);
            (metres > 1e-3).then(|| ((b.x - a.x) / metres, (b.z - a.z) / metres))
        };
        let here = direction(Some(segment));
        let before = direction(segment.checked_sub(1));
        let after = direction(segment.checked_add(1));
        let (start, end) = self
            .knots
            .get(segment..)
            .and_then(|k| Some((k.first()?.t, k.get(1)?.t)))
            .unwrap_or_default();
        // Turns take place in the last half second of a wait, or around the corner.
        let turn = |from: (f32, f32), to: (f32, f32), share: f32| {
            let a = from.0.atan2(from.1);
            let mut by = to.0.atan2(to.1) - a;
            if by > std::f32::consts::PI {
                by -= std::f32::consts::TAU;
            } else if by < -std::f32::consts::PI {
                by += std::f32::consts::TAU;
            }
            (a + by * share.clamp(0.0, 1.0)).sin_cos()
        };
        match (before, here, after) {
            (Some(before), None, Some(after)) => turn(before, after, 1.0 - (end - t) / 0.5),
            (Some(before), None, None) => before,
            (Some(before), Some(here), _) if t - start < 0.3 => {
                turn(before, here, 0.5 + (t - start) / 0.6)
            }
            (_, Some(here), Some(after)) if end - t < 0.3 => {
                turn(here, after, 0.5 - (end - t) / 0.6)
            }
            (_, Some(here), _) => here,
            (None, None, after) => after.unwrap_or((0.0, -1.0)),
        }
    }

    /// How somebody `height` metres tall stands at `t` seconds; `None` before the start and after the end.
    #[must_use]
    pub fn pose(&self, t: f32, height: f32) -> Option<Pose> {
        let segment = self
            .knots
            .windows(2)
            .position(|pair| matches!(pair, [a, b] if a.t <= t && t < b.t))?;
        let (a, b) = (self.knots.get(segment)?, self.knots.get(segment + 1)?);
        let share = (t - a.t) / (b.t - a.t);
        let waiting = b.walked - a.walked < 1e-3;
        let (mut x, mut z) = (a.x + (b.x - a.x) * share, a.z + (b.z - a.z) * share);
        if waiting {
            // Two slow sways that start and end at rest.
            let calm = (share * std::f32::consts::PI).sin().powi(2);
            x += self.sway * calm * (share * 13.0).sin();
            z += self.sway * calm * (share * 19.0).sin();
        }
        let walked = a.walked + (b.walked - a.walked) * share;
        let stops_before = segment == 0 || self.is_wait(segment.wrapping_sub(1));
        let stops_after = self.is_wait(segment + 1);
        let stride = if waiting {
            0.0
        } else {
            let from = if stops_before { (t - a.t) / 0.25 } else { 1.0 };
            let until = if stops_after { (b.t - t) / 0.25 } else { 1.0 };
            from.min(until).clamp(0.0, 1.0)
        };
        Some(Pose {
            x,
            z,
            facing: self.facing(segment, t),
            phase: walked / (0.43 * height) * std::f32::consts::PI,
            stride,
        })
    }

    fn is_wait(&self, segment: usize) -> bool {
        self.knots
            .get(segment..)
            .and_then(|k| Some(k.get(1)?.walked - k.first()?.walked < 1e-3))
            .unwrap_or(false)
    }
}
