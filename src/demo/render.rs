//! Draws the synthetic shop into a frame and says where everybody really is on it. Pure and seeded.
//!
//! The empty shop is cast once ([`super::backdrop`]); people are drawn over it with a depth buffer, so that they
//! hide each other and vanish behind the wall and the furniture as they would.

use fastrand::Rng;

use super::backdrop::Backdrop;
use super::figure::{Capsule, Looks, body};
use super::path::Pose;
use super::scene::{HEIGHT, Light, Place, View, WALL_Z, WIDTH};
use super::script::Script;
use crate::sensor::camera::Frame;
use crate::sensor::vision::Rect;

/// Where one person truly is on a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueBox {
    /// Index into [`Script::people`].
    pub person: usize,
    /// The whole body with its hidden parts, from the ceiling head and torso only; clipped to the frame, pixels.
    pub rect: Rect,
    /// Share of the body that is neither hidden nor outside the frame, 0..=1.
    pub visible: f32,
}

/// Entries of the table that sensor noise is read from; a power of two.
const NOISE: usize = 1 << 15;

/// Draws one shop, frame by frame, into reused buffers.
#[derive(Debug)]
pub struct Renderer {
    seed: u64,
    place: Place,
    view: View,
    light: Light,
    backdrop: Backdrop,
    looks: Vec<Looks>,
    noise: Vec<i16>,
    depth: Vec<f32>,
    /// Who is in front at each pixel: an index into `people` plus one.
    owner: Vec<u8>,
    /// Who has last drawn at each pixel, hidden or not.
    touched: Vec<u8>,
    people: Vec<Standing>,
    limbs: Vec<Capsule>,
    boxes: Vec<TrueBox>,
}

/// One person on the frame at hand.
#[derive(Debug)]
struct Standing {
    person: usize,
    pose: Pose,
    height: f32,
    /// Extent of what the box holds, unclipped.
    extent: Rect,
    pixels: u32,
    visible: u32,
}

impl Renderer {
    #[must_use]
    pub fn new(seed: u64, script: &Script, place: Place, light: Light) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x0015_e000);
        let more = match light {
            Light::Day => 1.0,
            Light::Evening => 1.6,
        };
        let sigma = (2.0 + 2.5 * rng.f32()) * more;
        // The sum of three uniform values is close enough to a sensor's noise.
        let noise = (0..NOISE)
            .map(|_| ((rng.f32() + rng.f32() + rng.f32() - 1.5) * 2.0 * sigma) as i16)
            .collect();
        let (pixels, view) = ((WIDTH * HEIGHT) as usize, View::from(place));
        Self {
            seed,
            place,
            backdrop: Backdrop::new(seed, &view),
            view,
            light,
            looks: script
                .people()
                .iter()
                .map(|p| Looks::new(p.looks))
                .collect(),
            noise,
            depth: vec![0.0; pixels],
            owner: vec![0; pixels],
            touched: vec![0; pixels],
            people: Vec::new(),
            limbs: Vec::new(),
            boxes: Vec::new(),
        }
    }

    /// Everybody of whom anything could be seen on the last frame, in no particular order.
    #[must_use]
    pub fn boxes(&self) -> &[TrueBox] {
        &self.boxes
    }

    /// Draws the moment `t` seconds; `index` seeds the noise. Sets size and pixels of the frame only.
    pub fn draw(&mut self, script: &Script, t: f32, index: u64, frame: &mut Frame) {
        frame.width = WIDTH;
        frame.height = HEIGHT;
        frame.rgb.clear();
        frame.rgb.extend_from_slice(&self.backdrop.rgb);
        self.depth.copy_from_slice(&self.backdrop.depth);
        self.owner.fill(0);
        self.touched.fill(0);
        self.gather(script, t);
        for slot in 0..self.people.len() {
            self.shadow(slot, &mut frame.rgb);
        }
        for slot in 0..self.people.len() {
            self.person(slot, &mut frame.rgb);
        }
        self.boxes.clear();
        self.boxes
            .extend(self.people.iter().filter_map(Standing::true_box));
        self.expose(t, index, &mut frame.rgb);
    }

    /// The people present, farthest first.
    fn gather(&mut self, script: &Script, t: f32) {
        self.people.clear();
        for (person, who) in script.people().iter().enumerate() {
            let (from, until) = who.present();
            if !(from..until).contains(&t) || self.people.len() >= usize::from(u8::MAX) {
                continue;
            }
            if let Some(pose) = who.pose(t) {
                self.people.push(Standing {
                    person,
                    pose,
                    height: who.height,
                    extent: Rect::default(),
                    pixels: 0,
                    visible: 0,
                });
            }
        }
        self.people.sort_by(|a, b| b.pose.z.total_cmp(&a.pose.z));
    }

    /// A soft shadow on the floor: dark under the feet, drawn out away from the door.
    fn shadow(&self, slot: usize, rgb: &mut [u8]) {
        let Some(Standing { pose, height, .. }) = self.people.get(slot) else {
            return;
        };
        if pose.z > WALL_Z {
            return;
        }
        let (long, reach) = (0.45 * height, 0.16 * height);
        let far = self.view.project([pose.x, 0.0, pose.z + 0.5]).v;
        let near = self
            .view
            .project([pose.x, 0.0, (pose.z - long - 0.6).max(0.3)])
            .v;
        for row in far.clamp(0.0, HEIGHT as f32) as u32..near.clamp(0.0, HEIGHT as f32) as u32 {
            let (from, along) = self.view.ray(WIDTH as f32 / 2.0, row as f32 + 0.5);
            let depth = -from[1] / along[1];
            let z = from[2] + along[2] * depth;
            let scale = self.view.project([0.0, 0.0, z]).scale;
            let centre = WIDTH as f32 / 2.0 + pose.x * scale;
            let span = |u: f32| u.clamp(0.0, WIDTH as f32) as usize;
            let (left, right) = (span(centre - 0.8 * scale), span(centre + 0.8 * scale));
            let start = row as usize * WIDTH as usize;
            let Some(floor) = self.backdrop.floor.get(start + left..start + right) else {
                continue;
            };
            let Some(pixels) = rgb.get_mut((start + left) * 3..(start + right) * 3) else {
                continue;
            };
            let away = pose.z - z;
            for (i, (pixel, floor)) in pixels.chunks_exact_mut(3).zip(floor).enumerate() {
                if !floor {
                    continue;
                }
                let x = ((left + i) as f32 + 0.5 - centre) / scale;
                let under = (x * x + away * away) / 0.07;
                let cast = (x - 0.15 * away).powi(2) / (reach * reach * 0.35)
                    + (away - long * 0.5).powi(2) / (long * long * 0.3);
                let dark = 0.42 / (1.0 + under * under) + 0.28 / (1.0 + cast * cast);
                if dark > 0.01 {
                    for channel in pixel {
                        *channel = (f32::from(*channel) * (1.0 - dark)) as u8;
                    }
                }
            }
        }
    }

    fn person(&mut self, slot: usize, rgb: &mut [u8]) {
        let mut limbs = std::mem::take(&mut self.limbs);
        if let Some(standing) = self.people.get(slot)
            && let Some(looks) = self.looks.get(standing.person)
        {
            body(&standing.pose, standing.height, looks, &mut limbs);
            let depth = |limb: &Capsule| {
                self.view.project(limb.from).depth + self.view.project(limb.to).depth
            };
            // Far limbs first, so that soft edges blend over what is behind them.
            limbs.sort_by(|a, b| depth(b).total_cmp(&depth(a)));
        }
        let mut extent = Rect {
            x0: f32::INFINITY,
            y0: f32::INFINITY,
            x1: f32::NEG_INFINITY,
            y1: f32::NEG_INFINITY,
        };
        for limb in &limbs {
            self.limb(slot, limb, &mut extent, rgb);
        }
        if let Some(standing) = self.people.get_mut(slot) {
            standing.extent = extent;
        }
        self.limbs = limbs;
    }

    /// Draws a capsule as a shaded stadium in the picture.
    fn limb(&mut self, slot: usize, limb: &Capsule, extent: &mut Rect, rgb: &mut [u8]) {
        let (a, b) = (self.view.project(limb.from), self.view.project(limb.to));
        let (ra, rb) = (limb.radii.0 * a.scale, limb.radii.1 * b.scale);
        let bounds = Rect {
            x0: (a.u - ra).min(b.u - rb),
            y0: (a.v - ra).min(b.v - rb),
            x1: (a.u + ra).max(b.u + rb),
            y1: (a.v + ra).max(b.v + rb),
        };
        if limb.core || self.place == Place::Oblique {
            extent.x0 = extent.x0.min(bounds.x0);
            extent.y0 = extent.y0.min(bounds.y0);
            extent.x1 = extent.x1.max(bounds.x1);
            extent.y1 = extent.y1.max(bounds.y1);
        }
        let column = |u: f32| u.clamp(0.0, WIDTH as f32) as usize;
        let (left, right) = (column(bounds.x0 - 1.0), column(bounds.x1 + 2.0));
        let row = |v: f32| v.clamp(0.0, HEIGHT as f32) as usize;
        let (along_u, along_v) = (b.u - a.u, b.v - a.v);
        let per_length = 1.0 / (along_u * along_u + along_v * along_v).max(1e-6);
        let mark = slot as u8 + 1;
        let (mut drawn, mut won) = (0u32, 0u32);
        for y in row(bounds.y0 - 1.0)..row(bounds.y1 + 2.0) {
            let start = y * WIDTH as usize;
            let range = start + left..start + right;
            let (Some(pixels), Some(depths), Some(owners), Some(touched)) = (
                rgb.get_mut(range.start * 3..range.end * 3),
                self.depth.get_mut(range.clone()),
                self.owner.get_mut(range.clone()),
                self.touched.get_mut(range),
            ) else {
                continue;
            };
            let dv = y as f32 + 0.5 - a.v;
            let places = depths.iter_mut().zip(owners).zip(touched);
            for (i, (pixel, ((depth, owner), touched))) in
                pixels.chunks_exact_mut(3).zip(places).enumerate()
            {
                let du = (left + i) as f32 + 0.5 - a.u;
                let share = ((du * along_u + dv * along_v) * per_length).clamp(0.0, 1.0);
                let (eu, ev) = (du - share * along_u, dv - share * along_v);
                let radius = ra + (rb - ra) * share;
                let off = eu * eu + ev * ev;
                if off > (radius + 0.5) * (radius + 0.5) {
                    continue;
                }
                let off = off.sqrt();
                let cover = (radius + 0.5 - off).min(1.0);
                let per_radius = 1.0 / radius.max(0.5);
                let bulge = (1.0 - (off * per_radius).powi(2)).max(0.0).sqrt();
                let solid = cover > 0.5;
                if solid && *touched != mark {
                    *touched = mark;
                    drawn += 1;
                }
                let thick = (limb.radii.0 + (limb.radii.1 - limb.radii.0) * share) * bulge;
                let here = a.depth + (b.depth - a.depth) * share - thick;
                if here >= *depth {
                    continue;
                }
                if solid {
                    *depth = here;
                    if *owner != mark {
                        if let Some(loser) = usize::from(*owner)
                            .checked_sub(1)
                            .and_then(|other| self.people.get_mut(other))
                        {
                            loser.visible = loser.visible.saturating_sub(1);
                        }
                        *owner = mark;
                        won += 1;
                    }
                }
                // Lamps from above and a little from the left.
                let lit = (-0.3 * eu * per_radius - 0.7 * ev * per_radius + 0.55 * bulge).max(0.0);
                let shade = (0.5 + 0.62 * lit) * 255.0;
                for (channel, colour) in pixel.iter_mut().zip(limb.colour) {
                    let under = f32::from(*channel);
                    *channel = (under + ((colour * shade).min(255.0) - under) * cover) as u8;
                }
            }
        }
        if let Some(standing) = self.people.get_mut(slot) {
            standing.pixels += drawn;
            standing.visible += won;
        }
    }

    /// Light, which changes with clouds and lamps, and the sensor's noise.
    fn expose(&self, t: f32, index: u64, rgb: &mut [u8]) {
        let mut rng = Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index);
        let mood = (self.seed % 97) as f32;
        let cloud = (t * 0.21 + mood).sin() + 0.6 * (t * 0.53 + 2.0 * mood).sin();
        let lamps = 0.97 + 0.05 * (t * 0.11 + mood).sin() + 0.006 * (rng.f32() - 0.5);
        let warm = 0.03 * (mood * 1.7).sin();
        let gains = [1.0 + warm, 1.0, 1.0 - warm].map(|tint| (lamps * tint * 256.0) as i32);
        let (gains, sun, street) = match self.light {
            Light::Day => (gains, ((0.16 + 0.09 * cloud) * 256.0) as i32, 256),
            Light::Evening => (gains.map(|gain| gain * 3 / 4), 0, 64),
        };
        let width = WIDTH as usize;
        let rows = rgb
            .chunks_exact_mut(width * 3)
            .zip(self.backdrop.daylight.chunks_exact(width))
            .zip(self.backdrop.floor.chunks_exact(width))
            .zip(self.owner.chunks_exact(width));
        for (((row, daylight), floor), owners) in rows {
            let start = rng.usize(0..NOISE - width * 3);
            let Some(noise) = self.noise.get(start..start + width * 3) else {
                continue;
            };
            let places = daylight.iter().zip(floor).zip(owners);
            let places = places.zip(noise.chunks_exact(3));
            for (pixel, (((&day, &floor), &owner), noise)) in row.chunks_exact_mut(3).zip(places) {
                let extra = (i32::from(day) * sun) >> 8;
                let outside = day > 0 && !floor && !self.is_inside(owner);
                let share = if outside { street } else { 256 };
                for ((channel, gain), noise) in pixel.iter_mut().zip(gains).zip(noise) {
                    let light = ((gain + extra) * share) >> 8;
                    let value = ((i32::from(*channel) * light) >> 8) + i32::from(*noise);
                    *channel = value.clamp(0, 255) as u8;
                }
            }
        }
    }
}

impl Renderer {
    /// Whether a pixel's owner is somebody in the shop, whom its lamps light.
    fn is_inside(&self, owner: u8) -> bool {
        let who = usize::from(owner).checked_sub(1);
        let who = who.and_then(|slot| self.people.get(slot));
        who.is_some_and(|who| who.pose.z < WALL_Z)
    }
}

impl Standing {
    fn true_box(&self) -> Option<TrueBox> {
        let rect = Rect {
            x0: self.extent.x0.clamp(0.0, WIDTH as f32),
            y0: self.extent.y0.clamp(0.0, HEIGHT as f32),
            x1: self.extent.x1.clamp(0.0, WIDTH as f32),
            y1: self.extent.y1.clamp(0.0, HEIGHT as f32),
        };
        if self.visible == 0 || self.pixels == 0 {
            return None;
        }
        let inside = rect.area() / self.extent.area();
        Some(TrueBox {
            person: self.person,
            rect,
            visible: self.visible as f32 / self.pixels as f32 * inside,
        })
    }
}
