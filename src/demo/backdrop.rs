//! The empty shop: colours and depth of every pixel, cast once per shop. Pure and seeded.

use fastrand::Rng;

use super::scene::{DOOR_HALF, HEIGHT, View, WALL_Z, WIDTH};

/// Colour as fractions of full intensity, 0..=1.
pub type Colour = [f32; 3];

/// Half the width of the room.
const ROOM_HALF: f32 = 3.4;
/// Height of the door opening.
const DOOR_TOP: f32 = 2.25;
/// Depth of the house across the street.
const FACADE_Z: f32 = 13.0;

/// The empty shop as the camera sees it.
#[derive(Debug)]
pub struct Backdrop {
    /// RGB, interleaved, as [`crate::sensor::camera::Frame::rgb`].
    pub rgb: Vec<u8>,
    /// Distance along the optical axis, metres; one per pixel.
    pub depth: Vec<f32>,
    /// How much daylight from the door falls on a pixel, 0..=255.
    pub daylight: Vec<u8>,
    /// Whether the pixel is floor, so that shadows fall on it.
    pub floor: Vec<bool>,
}

/// What one ray met.
struct Hit {
    depth: f32,
    colour: Colour,
    daylight: f32,
    floor: bool,
}

/// What differs between shops.
struct Decor {
    tile: Colour,
    grout: Colour,
    planks: bool,
    wall: Colour,
    sign: Colour,
    mat: Colour,
    shelf: Colour,
    facade: Colour,
    salt: u32,
}

impl Backdrop {
    /// Casts four rays a pixel from where the camera hangs.
    #[must_use]
    pub fn new(seed: u64, view: &View) -> Self {
        let decor = Decor::new(&mut Rng::with_seed(seed ^ 0xbac6_d209));
        let pixels = (WIDTH * HEIGHT) as usize;
        let mut backdrop = Self {
            rgb: Vec::with_capacity(pixels * 3),
            depth: Vec::with_capacity(pixels),
            daylight: Vec::with_capacity(pixels),
            floor: Vec::with_capacity(pixels),
        };
        for row in 0..HEIGHT {
            for column in 0..WIDTH {
                let mut colour = [0.0; 3];
                let (mut depth, mut daylight, mut floor) = (f32::INFINITY, 0.0, 0u8);
                for (du, dv) in [
                    (0.375, 0.125),
                    (0.875, 0.375),
                    (0.625, 0.875),
                    (0.125, 0.625),
                ] {
                    let hit = decor.cast(view.ray(column as f32 + du, row as f32 + dv));
                    for (sum, part) in colour.iter_mut().zip(hit.colour) {
                        *sum += part / 4.0;
                    }
                    depth = depth.min(hit.depth);
                    daylight += hit.daylight / 4.0;
                    floor += u8::from(hit.floor);
                }
                backdrop
                    .rgb
                    .extend(colour.map(|c| (c.clamp(0.0, 1.0) * 255.0) as u8));
                backdrop.depth.push(depth);
                backdrop.daylight.push((daylight * 255.0) as u8);
                backdrop.floor.push(floor > 2);
            }
        }
        backdrop
    }
}

/// A value in 0..1 that depends on a cell of a texture.
fn hash(a: i32, b: i32, salt: u32) -> f32 {
    let mut h = (a as u32).wrapping_mul(0x9e37_79b1) ^ (b as u32).wrapping_mul(0x85eb_ca6b) ^ salt;
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 / 16_777_216.0
}

fn scaled(colour: Colour, by: f32) -> Colour {
    colour.map(|c| c * by)
}

fn mixed(a: Colour, b: Colour, share: f32) -> Colour {
    let [r, g, u] = a;
    let [s, h, v] = b;
    let mix = |from: f32, to: f32| from + (to - from) * share;
    [mix(r, s), mix(g, h), mix(u, v)]
}

/// A colour by hue (0..1), saturation and brightness.
pub fn hsv(hue: f32, saturation: f32, value: f32) -> Colour {
    [5.0f32, 3.0, 1.0].map(|offset| {
        let k = (offset + hue * 6.0) % 6.0;
        value * (1.0 - saturation * k.min(4.0 - k).clamp(0.0, 1.0))
    })
}

/// An axis-aligned box of furniture.
struct Block {
    low: [f32; 3],
    high: [f32; 3],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Shelf,
    Counter,
    Pot,
}

const BLOCKS: [Block; 5] = [
    Block {
        low: [-3.4, 0.0, 4.5],
        high: [-2.65, 1.75, 7.4],
        kind: Kind::Shelf,
    },
    Block {
        low: [2.65, 0.0, 4.5],
        high: [3.4, 1.75, 7.4],
        kind: Kind::Shelf,
    },
    Block {
        low: [1.95, 0.0, 2.2],
        high: [3.1, 0.8, 2.8],
        kind: Kind::Counter,
    },
    Block {
        low: [-2.45, 0.0, 7.45],
        high: [-2.05, 0.45, 7.85],
        kind: Kind::Pot,
    },
    Block {
        low: [2.05, 0.0, 7.45],
        high: [2.45, 0.45, 7.85],
        kind: Kind::Pot,
    },
];

/// Leaves above the pots: centre and radius.
const LEAVES: [([f32; 3], f32); 6] = [
    ([-2.25, 0.72, 7.65], 0.3),
    ([-2.4, 1.0, 7.6], 0.22),
    ([-2.12, 1.12, 7.7], 0.2),
    ([2.25, 0.72, 7.65], 0.3),
    ([2.4, 1.02, 7.6], 0.21),
    ([2.14, 1.1, 7.7], 0.23),
];

impl Decor {
    fn new(rng: &mut Rng) -> Self {
        let mut grey = |low: f32, high: f32, tint: f32| {
            hsv(rng.f32(), rng.f32() * tint, low + (high - low) * rng.f32())
        };
        let tile = grey(0.45, 0.78, 0.16);
        let wall = grey(0.62, 0.85, 0.18);
        let facade = grey(0.45, 0.75, 0.35);
        let mat = grey(0.16, 0.32, 0.5);
        let shelf = grey(0.35, 0.7, 0.3);
        let planks = rng.bool();
        Self {
            tile: if planks {
                hsv(
                    0.06 + 0.04 * rng.f32(),
                    0.3 + 0.2 * rng.f32(),
                    0.45 + 0.2 * rng.f32(),
                )
            } else {
                tile
            },
            grout: scaled(tile, 0.72),
            planks,
            wall,
            sign: hsv(rng.f32(), 0.65, 0.55),
            mat,
            shelf,
            facade,
            salt: rng.u32(..),
        }
    }

    fn cast(&self, (from, along): ([f32; 3], [f32; 3])) -> Hit {
        let [ox, oy, oz] = from;
        let [dx, dy, dz] = along;
        let at = |t: f32| [ox + dx * t, oy + dy * t, oz + dz * t];
        let mut best = (f32::INFINITY, Hit::dark());
        let mut meet = |t: f32, hit: &dyn Fn([f32; 3]) -> Option<Hit>| {
            if t > 0.05
                && t < best.0
                && let Some(hit) = hit(at(t))
            {
                best = (t, hit);
            }
        };
        meet(-oy / dy, &|p| self.ground(p));
        meet((WALL_Z - oz) / dz, &|p| self.front(p));
        meet((FACADE_Z - oz) / dz, &|p| self.across(p));
        for side in [-ROOM_HALF, ROOM_HALF] {
            meet((side - ox) / dx, &|p| self.side(p));
        }
        for block in &BLOCKS {
            if let Some((t, face)) = block.entry(from, along) {
                meet(t, &|p| Some(self.block(block.kind, face, p)));
            }
        }
        for (centre, radius) in LEAVES {
            let rel = [ox - centre[0], oy - centre[1], oz - centre[2]];
            let (a, b, c) = (
                dx * dx + dy * dy + dz * dz,
                rel[0] * dx + rel[1] * dy + rel[2] * dz,
                rel[0] * rel[0] + rel[1] * rel[1] + rel[2] * rel[2] - radius * radius,
            );
            let under = b * b - a * c;
            if under > 0.0 {
                meet((-b - under.sqrt()) / a, &|p| self.leaf(p, centre, radius));
            }
        }
        let (t, hit) = best;
        Hit { depth: t, ..hit }
    }

    fn ground(&self, [x, _, z]: [f32; 3]) -> Option<Hit> {
        if z > WALL_Z {
            // The pavement: slabs in daylight.
            let slab = hash(
                (x * 1.6).floor() as i32,
                (z * 1.6).floor() as i32,
                self.salt ^ 7,
            );
            return Some(Hit {
                colour: scaled([0.62, 0.62, 0.64], 0.88 + 0.16 * slab),
                daylight: 1.0,
                ..Hit::dark()
            });
        }
        let colour = if x.abs() < 1.35 && (6.75..7.8).contains(&z) {
            let ribs = if (z * 22.0).fract() < 0.35 { 0.8 } else { 1.0 };
            scaled(self.mat, ribs)
        } else if self.planks {
            let board = (x / 0.18).floor();
            let along = z / 1.3 + 0.37 * board;
            let seam = (x / 0.18).fract().rem_euclid(1.0) < 0.05 || along.rem_euclid(1.0) < 0.012;
            let grain = 0.04 * (z * 9.0 + 5.0 * hash(board as i32, 3, self.salt)).sin();
            let shade = 0.86 + 0.26 * hash(board as i32, along.floor() as i32, self.salt) + grain;
            scaled(self.tile, if seam { shade * 0.72 } else { shade })
        } else {
            let (i, j) = ((x / 0.6).floor(), (z / 0.6).floor());
            let edge = |c: f32| (c / 0.6).rem_euclid(1.0) < 0.03;
            let fleck = hash((x * 60.0) as i32, (z * 60.0) as i32, self.salt ^ 1);
            let shade = 0.93 + 0.1 * hash(i as i32, j as i32, self.salt) + 0.05 * fleck;
            if edge(x) || edge(z) {
                self.grout
            } else {
                scaled(self.tile, shade)
            }
        };
        // Less light reaches the floor next to walls and furniture; lamps make pools on it.
        let corner = |distance: f32| 1.0 - 0.45 * (-distance.max(0.0) / 0.35).exp();
        let shelf = corner(if z > 4.5 {
            2.65 - x.abs()
        } else {
            (4.5 - z).hypot((2.65 - x.abs()).max(0.0))
        });
        let wall = if x.abs() > DOOR_HALF {
            corner(WALL_Z - z)
        } else {
            1.0
        };
        let lamps = 0.92 + 0.09 * (x * 1.9).cos() * (z * 1.6).cos();
        let sun = (1.0 - (x - 0.12 * (WALL_Z - z)).abs() / DOOR_HALF).clamp(0.0, 0.25) * 4.0;
        Some(Hit {
            colour: scaled(colour, shelf * wall * lamps),
            daylight: sun * (1.0 - (WALL_Z - z) / 2.6).clamp(0.0, 1.0),
            floor: true,
            ..Hit::dark()
        })
    }

    fn front(&self, [x, y, _]: [f32; 3]) -> Option<Hit> {
        if x.abs() < DOOR_HALF && y < DOOR_TOP {
            return None;
        }
        let frame = x.abs() < DOOR_HALF + 0.1 && y < DOOR_TOP + 0.1;
        let poster = (2.05..2.95).contains(&x.abs()) && (0.95..2.05).contains(&y);
        let colour = if frame {
            [0.24, 0.25, 0.27]
        } else if poster {
            let hue = hash(x.signum() as i32, 5, self.salt);
            let band = ((y - 0.95) / 1.1 + 0.3 * (x * 3.0).sin()).rem_euclid(1.0);
            mixed(
                hsv(hue, 0.55, 0.8),
                hsv(hue + 0.15, 0.3, 0.95),
                (band * 4.0).floor() / 3.0,
            )
        } else if y > DOOR_TOP + 0.18 {
            let letter = hash((x * 5.0).floor() as i32, 11, self.salt);
            let lettering = x.abs() < 1.4
                && (DOOR_TOP + 0.3..DOOR_TOP + 0.5).contains(&y)
                && (x * 5.0).rem_euclid(1.0) < 0.35 + 0.4 * letter;
            if lettering {
                [0.95, 0.94, 0.9]
            } else {
                self.sign
            }
        } else {
            scaled(self.wall, 0.9 + 0.05 * (y * 0.8))
        };
        Some(Hit {
            colour,
            ..Hit::dark()
        })
    }

    fn across(&self, [x, y, _]: [f32; 3]) -> Option<Hit> {
        let brick = hash(
            (x * 3.0 + 0.5 * (y * 9.0).floor()).floor() as i32,
            (y * 9.0).floor() as i32,
            self.salt ^ 3,
        );
        let window = x.rem_euclid(2.2) < 1.2 && (0.8..2.4).contains(&y);
        let colour = if window {
            mixed(
                [0.35, 0.42, 0.5],
                [0.7, 0.78, 0.85],
                (x * 0.7 + y).rem_euclid(1.0),
            )
        } else {
            scaled(self.facade, 0.85 + 0.2 * brick)
        };
        Some(Hit {
            colour,
            daylight: 1.0,
            ..Hit::dark()
        })
    }

    fn side(&self, [_, y, z]: [f32; 3]) -> Option<Hit> {
        (z < WALL_Z).then(|| Hit {
            colour: scaled(
                self.wall,
                (0.72 + 0.03 * z) * if y < 0.12 { 0.6 } else { 1.0 },
            ),
            ..Hit::dark()
        })
    }

    fn block(&self, kind: Kind, face: Face, [x, y, z]: [f32; 3]) -> Hit {
        let across = if face == Face::Side { z } else { x };
        let light = match face {
            Face::Top => 1.12,
            Face::Side => 0.9,
            Face::Front => 0.78,
        };
        let colour = match kind {
            Kind::Pot => scaled([0.45, 0.33, 0.27], 0.8 + 0.3 * y),
            Kind::Counter if face == Face::Top => {
                let (i, j) = ((x / 0.19).floor() as i32, (z / 0.2).floor() as i32);
                let inside = (x / 0.19).rem_euclid(1.0) > 0.15 && (z / 0.2).rem_euclid(1.0) > 0.2;
                if inside && hash(i, j, self.salt ^ 9) > 0.3 {
                    hsv(hash(i, j, self.salt ^ 10), 0.5, 0.75)
                } else {
                    [0.78, 0.72, 0.62]
                }
            }
            Kind::Counter => scaled([0.55, 0.45, 0.36], 0.8 + 0.2 * y),
            Kind::Shelf if face == Face::Top => scaled(self.shelf, 0.8),
            Kind::Shelf => {
                let level = (y / 0.43).floor();
                let up = y / 0.43 - level;
                let slot = (across / 0.17).floor();
                let goods = hash(slot as i32, level as i32, self.salt ^ 21);
                let tall = 0.45 + 0.4 * hash((slot / 3.0) as i32, level as i32, self.salt ^ 22);
                if up < 0.1 {
                    self.shelf
                } else if up < tall && (across / 0.17).rem_euclid(1.0) > 0.12 && goods > 0.08 {
                    let kind = hash((slot / 3.0).floor() as i32, level as i32, self.salt ^ 23);
                    scaled(hsv(kind, 0.42, 0.45 + 0.4 * goods), 1.1 - 0.3 * up)
                } else {
                    scaled(self.shelf, 0.35)
                }
            }
        };
        Hit {
            colour: scaled(colour, light),
            ..Hit::dark()
        }
    }

    fn leaf(&self, [x, y, z]: [f32; 3], centre: [f32; 3], radius: f32) -> Option<Hit> {
        let leaf = hash(
            (x * 16.0).floor() as i32,
            ((y + z) * 16.0).floor() as i32,
            self.salt ^ 31,
        );
        (leaf > 0.18).then(|| Hit {
            colour: hsv(
                0.3,
                0.55,
                0.22 + 0.25 * leaf + 0.25 * (y - centre[1]) / radius,
            ),
            ..Hit::dark()
        })
    }
}

impl Hit {
    /// Lit by the shop's lamps alone.
    const fn dark() -> Self {
        Self {
            depth: f32::INFINITY,
            colour: [0.0; 3],
            daylight: 0.0,
            floor: false,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Face {
    Top,
    Side,
    Front,
}

impl Block {
    /// Where a ray enters the box (slab method), and through which face.
    fn entry(&self, from: [f32; 3], along: [f32; 3]) -> Option<(f32, Face)> {
        let (mut near, mut far, mut face) = (0.0f32, f32::INFINITY, Face::Front);
        for (axis, name) in [Face::Side, Face::Top, Face::Front].into_iter().enumerate() {
            let (o, d) = (from.get(axis)?, along.get(axis)?);
            let (a, b) = (
                (self.low.get(axis)? - o) / d,
                (self.high.get(axis)? - o) / d,
            );
            if a.min(b) > near {
                near = a.min(b);
                face = name;
            }
            far = far.min(a.max(b));
        }
        (near < far && near > 0.0).then_some((near, face))
    }
}
