//! Which pixels of the small picture move.

use super::blobs::{self, Blob, Labels};
use crate::sensor::vision::Rect;

/// Values of a mask's pixels; 0 is background.
pub(super) const SHADOW: u8 = 1;
pub(super) const FOREGROUND: u8 = 2;

/// The picture is cut into so many parts along each side to see whether all of it changed.
const PARTS: usize = 3;

/// Of the nine pixels around and with one, so many must move for it to move.
const MAJORITY: u8 = 5;

/// What moves, one byte a pixel, rows top to bottom.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    width: usize,
    height: usize,
    pub(super) pixels: Vec<u8>,
    /// Pixels that move.
    moving: usize,
    spare: Vec<u8>,
    labels: Labels,
}

impl Mask {
    /// Nothing moves on a picture of this size.
    pub(super) fn clear(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(width * height, 0);
        self.moving = 0;
    }

    /// Width and height, pixels of the small picture.
    #[must_use]
    pub const fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Whether a pixel moves, row by row.
    pub fn moving(&self) -> impl Iterator<Item = bool> + '_ {
        self.pixels.iter().map(|verdict| *verdict == FOREGROUND)
    }

    /// Share of the picture that moves, without shadows.
    #[must_use]
    pub fn share(&self) -> f32 {
        self.moving as f32 / self.pixels.len().max(1) as f32
    }

    /// Share of the picture that is not as the background, shadows included, before tidying.
    pub(super) fn changed_share(&self) -> f32 {
        let changed = self.pixels.iter().filter(|verdict| **verdict != 0).count();
        changed as f32 / self.pixels.len().max(1) as f32
    }

    /// The same of the part of the picture that changed least.
    pub(super) fn least_changed_part(&self) -> f32 {
        let (columns, rows) = (self.width.div_ceil(PARTS), self.height.div_ceil(PARTS));
        if columns == 0 || rows == 0 {
            return 0.0;
        }
        let mut least = 1.0_f32;
        for band in self.pixels.chunks(rows * self.width) {
            let mut changed = [0usize; PARTS];
            for row in band.chunks_exact(self.width) {
                for (sum, part) in changed.iter_mut().zip(row.chunks(columns)) {
                    *sum += part.iter().filter(|verdict| **verdict != 0).count();
                }
            }
            let area = (band.len() / self.width * columns) as f32;
            let of_band = changed.iter().map(|sum| *sum as f32 / area);
            least = of_band.fold(least, f32::min);
        }
        least
    }

    /// Drops lone pixels and fills pinholes: each becomes what most of the nine around it are. Shadows go.
    pub(super) fn tidy(&mut self) {
        let (width, height) = (self.width, self.height);
        if width < 3 || height < 3 {
            return;
        }
        // Sums of three in each row first, then of three rows.
        self.spare.clear();
        self.spare.resize(width * height, 0);
        for verdict in &mut self.pixels {
            *verdict = u8::from(*verdict == FOREGROUND);
        }
        let rows = self.pixels.chunks_exact(width);
        for (sums, row) in self.spare.chunks_exact_mut(width).zip(rows) {
            for (sum, three) in sums[1..width - 1].iter_mut().zip(row.windows(3)) {
                *sum = three[0] + three[1] + three[2];
            }
        }
        let mut moving = 0;
        for y in 0..height {
            let row = &mut self.pixels[y * width..(y + 1) * width];
            if y == 0 || y == height - 1 {
                row.fill(0);
                continue;
            }
            let sums = |y: usize| &self.spare[y * width..(y + 1) * width];
            let (above, here, below) = (sums(y - 1), sums(y), sums(y + 1));
            for x in 0..width {
                let most = above[x] + here[x] + below[x] >= MAJORITY;
                row[x] = if most { FOREGROUND } else { 0 };
                moving += usize::from(most);
            }
        }
        self.moving = moving;
    }

    /// Share of a rectangle (pixels of the small picture) that moves; of its part inside.
    pub(super) fn share_of(&self, rect: &Rect) -> f32 {
        let range = |from: f32, to: f32, limit: usize| {
            let from = from.floor().clamp(0.0, limit as f32) as usize;
            from..(to.ceil().clamp(0.0, limit as f32) as usize).max(from)
        };
        let columns = range(rect.x0, rect.x1, self.width);
        let rows = range(rect.y0, rect.y1, self.height);
        let area = columns.len() * rows.len();
        if area == 0 {
            return 0.0;
        }
        let row = |y: usize| &self.pixels[y * self.width..][columns.clone()];
        let moving = |y| row(y).iter().filter(|one| **one == FOREGROUND).count();
        rows.map(moving).sum::<usize>() as f32 / area as f32
    }

    /// Connected areas of at least `least` pixels, largest first.
    pub(super) fn blobs(&mut self, least: u32, out: &mut Vec<Blob>) {
        let size = (self.width, self.height);
        blobs::find(&self.pixels, size, least, &mut self.labels, out);
    }
}
