//! A small picture to draw on. Pure; whatever coordinates it is given, it stays inside.

use crate::sensor::camera::Frame;
use crate::sensor::vision::Rect;

const BOX: [u8; 3] = [64, 220, 120];
const LINE: [u8; 3] = [255, 176, 0];
const ZONE: [u8; 3] = [90, 160, 255];
/// Length of the arrow that shows the way in, in parts of the picture's smaller side.
const ARROW: f32 = 0.1;

/// RGB, 8 bits each, rows without padding.
pub(super) struct Canvas {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rgb: Vec<u8>,
}

impl Canvas {
    /// `frame`, at most `widest` pixels wide, each pixel the mean of those it stands for; and its scale. `None` when
    /// the frame is not what it says.
    pub(super) fn shrunk(frame: &Frame, widest: u32) -> Option<(Self, f32)> {
        let (from_width, from_height) = (frame.width as usize, frame.height as usize);
        if from_width == 0 || frame.rgb.len() != from_width * from_height * 3 {
            return None;
        }
        let width = frame.width.min(widest);
        let height = (u64::from(frame.height) * u64::from(width) / u64::from(frame.width)).max(1);
        let height = u32::try_from(height).ok()?;
        let mut rgb = Vec::with_capacity((width * height * 3) as usize);
        let span = |step: u32, steps: u32, all: usize| {
            let edge = |step: u32| step as usize * all / steps as usize;
            edge(step)..edge(step + 1).max(edge(step) + 1).min(all)
        };
        for y in 0..height {
            let rows = span(y, height, from_height);
            for x in 0..width {
                let columns = span(x, width, from_width);
                let row = |row: usize| {
                    let start = (row * from_width + columns.start) * 3;
                    frame
                        .rgb
                        .get(start..start + columns.len() * 3)
                        .unwrap_or_default()
                };
                rgb.extend(mean(rows.clone().map(row)));
            }
        }
        let canvas = Self { width, height, rgb };
        Some((canvas, width as f32 / frame.width as f32))
    }

    /// Replaces an area by blocks of `block` pixels, each in its mean colour.
    pub(super) fn coarsen(&mut self, area: &Rect, block: u32) {
        let (left, right) = (
            clamped(area.x0, self.width),
            clamped(area.x1.ceil(), self.width),
        );
        let (top, bottom) = (
            clamped(area.y0, self.height),
            clamped(area.y1.ceil(), self.height),
        );
        let step = block.max(1) as usize;
        for y in (top..bottom).step_by(step) {
            for x in (left..right).step_by(step) {
                let rows = y..(y + block).min(bottom);
                let columns = x..(x + block).min(right);
                let colour = mean(rows.clone().map(|row| self.row(row, &columns)));
                for row in rows {
                    for pixel in self.row_mut(row, &columns).chunks_exact_mut(3) {
                        pixel.copy_from_slice(&colour);
                    }
                }
            }
        }
    }

    /// The outline of a box.
    pub(super) fn outline(&mut self, rect: &Rect) {
        let corners = [
            [rect.x0, rect.y0],
            [rect.x1, rect.y0],
            [rect.x1, rect.y1],
            [rect.x0, rect.y1],
        ];
        for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            self.stroke(*from, *to, 1, BOX);
        }
    }

    /// A zone's border (corners as fractions of the picture).
    pub(super) fn zone(&mut self, corners: &[[f32; 2]]) {
        let next = corners.iter().cycle().skip(1);
        for (&a, &b) in corners.iter().zip(next) {
            self.stroke(self.on_canvas(a), self.on_canvas(b), 2, ZONE);
        }
    }

    /// A counting line (points as fractions of the picture) with an arrow on its middle piece that points inwards: to
    /// the right hand of somebody who looks along the line.
    pub(super) fn counting_line(&mut self, points: &[[f32; 2]]) {
        for (&a, &b) in points.iter().zip(points.iter().skip(1)) {
            self.stroke(self.on_canvas(a), self.on_canvas(b), 3, LINE);
        }
        let mut middle = points.iter().skip(points.len().saturating_sub(1) / 2);
        let (Some(&a), Some(&b)) = (middle.next(), middle.next()) else {
            return;
        };
        let size = [self.width as f32, self.height as f32];
        let (a, b) = (self.on_canvas(a), self.on_canvas(b));
        let along = [b[0] - a[0], b[1] - a[1]];
        let length = along[0].hypot(along[1]);
        if !(length.is_finite() && length > 1.0) {
            return;
        }
        let reach = size[0].min(size[1]) * ARROW;
        let along = along.map(|part| part / length * reach);
        // A quarter turn clockwise on the screen, where y grows downwards.
        let inwards = [-along[1], along[0]];
        let middle = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        let tip = [middle[0] + inwards[0], middle[1] + inwards[1]];
        self.stroke(middle, tip, 3, LINE);
        for side in [-0.4, 0.4] {
            let barb = [0, 1].map(|i: usize| {
                let part = |of: [f32; 2]| if i == 0 { of[0] } else { of[1] };
                part(tip) - 0.4 * part(inwards) + side * part(along)
            });
            self.stroke(tip, barb, 3, LINE);
        }
    }

    fn on_canvas(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [x * self.width as f32, y * self.height as f32]
    }

    /// A straight stroke, `thick` pixels wide.
    fn stroke(&mut self, from: [f32; 2], to: [f32; 2], thick: i64, colour: [u8; 3]) {
        if ![from, to].iter().flatten().all(|part| part.is_finite()) {
            return;
        }
        // Boxes end far outside only when a tracker guesses; nothing of that would be seen.
        let reach = (self.width + self.height) as f32 * 2.0;
        let [from, to] = [from, to].map(|point| point.map(|part| part.clamp(-reach, reach)));
        let steps = (to[0] - from[0])
            .abs()
            .max((to[1] - from[1]).abs())
            .ceil()
            .max(1.0);
        for step in 0..=steps as u32 {
            let share = step as f32 / steps;
            let at = |a: f32, b: f32| (a + (b - a) * share).round() as i64;
            let (x, y) = (at(from[0], to[0]), at(from[1], to[1]));
            for dy in 0..thick {
                for dx in 0..thick {
                    self.dot(x + dx - thick / 2, y + dy - thick / 2, colour);
                }
            }
        }
    }

    fn dot(&mut self, x: i64, y: i64, colour: [u8; 3]) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if x < self.width && y < self.height {
            self.row_mut(y, &(x..x + 1)).copy_from_slice(&colour);
        }
    }

    fn place(&self, row: u32, columns: &std::ops::Range<u32>) -> std::ops::Range<usize> {
        let start = (row as usize * self.width as usize + columns.start as usize) * 3;
        start..start + columns.len() * 3
    }

    fn row(&self, row: u32, columns: &std::ops::Range<u32>) -> &[u8] {
        self.rgb.get(self.place(row, columns)).unwrap_or_default()
    }

    fn row_mut(&mut self, row: u32, columns: &std::ops::Range<u32>) -> &mut [u8] {
        let place = self.place(row, columns);
        self.rgb.get_mut(place).unwrap_or_default()
    }
}

fn clamped(edge: f32, limit: u32) -> u32 {
    // NaN becomes 0.
    edge.clamp(0.0, limit as f32) as u32
}

/// The mean colour of runs of pixels.
fn mean<'p>(runs: impl Iterator<Item = &'p [u8]>) -> [u8; 3] {
    let (mut sums, mut count) = ([0u64; 3], 0u64);
    for pixel in runs.flat_map(|run| run.chunks_exact(3)) {
        for (sum, part) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(*part);
        }
        count += 1;
    }
    sums.map(|sum| (sum / count.max(1)) as u8)
}
