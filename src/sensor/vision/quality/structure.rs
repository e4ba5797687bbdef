//! The edges of the scene: where they usually are, and whether they are still there.
//!
//! An edge is a gradient of the brightness, divided by its own length plus a constant, so that a lamp that is switched
//! on changes it little, as in the normalised gradients of Dalal & Triggs, "Histograms of oriented gradients", CVPR 2005.
//! The running mean of that vector at each pixel is long where the same edge is always there, and nothing where
//! people pass or noise flickers. A cell of the picture is *there* when the picture's vectors, projected on the
//! reference, reach a good share of it. Blur, darkness and a hand take the edges away; a turned camera has as many as
//! before, elsewhere.

use std::time::Duration;

/// Cells along the width and the height.
const COLUMNS: usize = 12;
const ROWS: usize = 9;
/// Time constant of the reference, and of the first one.
const MEMORY: Duration = Duration::from_secs(300);
/// The reference is made from the first pictures; before so many it says nothing.
const FIRST_LOOKS: u32 = 20;
/// A cell has edges worth watching from this on: the sum of squares of its reference, a tenth of a cell of clear edges.
const TEXTURED: f32 = 0.02;
/// With fewer such cells nothing can be said.
const FEWEST_CELLS: usize = 6;
/// A cell is there when so much of its reference is found again, and its edges are this much alike (correlation).
const THERE: f32 = 0.3;
const ALIKE: f32 = 0.5;
/// It is gone when it was not there for so long.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// The reference goes on learning while no more than this is gone: it must not follow a fault.
const LEARNS_BELOW: f32 = 0.25;
/// So many medians of the curvature are noise: 2.7 standard deviations.
const NOISE: f32 = 4.0;
/// Divisor of a gradient's length: at least this, and twice the median gradient of the first pictures. Grey levels.
const LEAST_SOFTENING: f32 = 3.0;

/// What is known of one cell.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// Mean square of its reference vectors.
    texture: f32,
    last_there: Duration,
}

/// The edges of one camera's scene.
#[derive(Clone, Debug, Default)]
pub(super) struct Structure {
    /// Size of the halved picture.
    width: usize,
    height: usize,
    halved: Vec<f32>,
    /// The latest picture's vectors, and their running mean.
    now: Vec<[f32; 2]>,
    usual: Vec<[f32; 2]>,
    softening: f32,
    looks: u32,
    cells: Vec<Cell>,
    /// How much detail the latest picture has, and what is usual.
    detail: f32,
    usual_detail: f32,
    share_gone: Option<f32>,
}

impl Structure {
    /// Takes a picture's brightness, rows top to bottom.
    pub(super) fn look(&mut self, at: Duration, luma: &[f32], size: (usize, usize)) {
        let (width, height) = (size.0 / 2, size.1 / 2);
        if (width, height) != (self.width, self.height) {
            *self = Self {
                width,
                height,
                cells: vec![Cell::default(); COLUMNS * ROWS],
                usual: vec![[0.0; 2]; width * height],
                ..Self::default()
            };
        }
        if width < 2 * COLUMNS || height < 2 * ROWS {
            return;
        }
        self.halve(luma, size.0);
        self.gradients();
        self.detail = self.sharpness();
        self.share_gone = self.find(at);
    }

    /// Share of the watched cells that are gone, 0..=1; `None` while the scene is not known.
    pub(super) const fn share_gone(&self) -> Option<f32> {
        self.share_gone
    }

    /// How much detail the picture has, against the usual.
    pub(super) fn detail(&self) -> f32 {
        self.detail / self.usual_detail.max(1e-6)
    }

    /// Takes the latest picture into the reference.
    pub(super) fn learn(&mut self, step: Duration) {
        if self.share_gone.is_some_and(|gone| gone > LEARNS_BELOW) || self.now.is_empty() {
            return;
        }
        self.looks = self.looks.saturating_add(1);
        let slow = 1.0 - (-step.as_secs_f32() / MEMORY.as_secs_f32()).exp();
        // The mean of all so far, until that is slower than the memory; a scene without edges is learned anew.
        let first = 1.0 / self.looks as f32;
        let rate = if self.share_gone.is_some() {
            slow.max(first)
        } else {
            first.max(1.0 / FIRST_LOOKS as f32)
        };
        for (usual, now) in self.usual.iter_mut().zip(&self.now) {
            usual[0] += rate * (now[0] - usual[0]);
            usual[1] += rate * (now[1] - usual[1]);
        }
        self.usual_detail += rate * (self.detail - self.usual_detail);
    }

    fn halve(&mut self, luma: &[f32], stride: usize) {
        self.halved.clear();
        let rows = luma.chunks_exact(2 * stride).take(self.height);
        for two in rows {
            let (above, below) = two.split_at(stride);
            let pairs = above.chunks_exact(2).zip(below.chunks_exact(2));
            let means = pairs.map(|(a, b)| (a[0] + a[1] + b[0] + b[1]) / 4.0);
            self.halved.extend(means.take(self.width));
        }
    }

    fn gradients(&mut self) {
        let (width, height) = (self.width, self.height);
        self.now.clear();
        self.now.resize(width * height, [0.0; 2]);
        for y in 1..height - 1 {
            for x in 1..width - 1 {
                let at = y * width + x;
                self.now[at] = [
                    self.halved[at + 1] - self.halved[at - 1],
                    self.halved[at + width] - self.halved[at - width],
                ];
            }
        }
        if self.looks < FIRST_LOOKS {
            let mut lengths: Vec<f32> = self.now.iter().map(length).collect();
            let middle = lengths.len() / 2;
            let median = *lengths.select_nth_unstable_by(middle, f32::total_cmp).1;
            let wanted = (2.0 * median).max(LEAST_SOFTENING);
            self.softening += (wanted - self.softening) / (self.looks + 1) as f32;
        }
        for vector in &mut self.now {
            let scale = 1.0 / (length(vector) + self.softening);
            vector[0] *= scale;
            vector[1] *= scale;
        }
    }

    /// Mean curvature of the brightness along the rows, where it stands out from the noise: what blur takes away first.
    fn sharpness(&self) -> f32 {
        let rows = self.halved.chunks_exact(self.width);
        let threes = rows.flat_map(|row| row.windows(3));
        let mut curves: Vec<f32> = threes
            .map(|of| (2.0 * of[1] - of[0] - of[2]).abs())
            .collect();
        let middle = curves.len() / 2;
        let noise = *curves.select_nth_unstable_by(middle, f32::total_cmp).1;
        let above = curves.iter().map(|one| (one - NOISE * noise).max(0.0));
        above.sum::<f32>() / curves.len() as f32
    }

    /// Looks for every cell's reference on the picture; the share of cells that are gone.
    fn find(&mut self, at: Duration) -> Option<f32> {
        let (columns, rows) = (self.width.div_ceil(COLUMNS), self.height.div_ceil(ROWS));
        let mut sums = vec![[0.0_f32; 3]; COLUMNS * ROWS];
        let lines = self.now.chunks_exact(self.width);
        let usual = self.usual.chunks_exact(self.width);
        for (y, (now, usual)) in lines.zip(usual).enumerate() {
            for (x, (now, usual)) in now.iter().zip(usual).enumerate() {
                let [found, whole, all] = &mut sums[y / rows * COLUMNS + x / columns];
                *found += now[0] * usual[0] + now[1] * usual[1];
                *whole += usual[0] * usual[0] + usual[1] * usual[1];
                *all += now[0] * now[0] + now[1] * now[1];
            }
        }
        if self.looks < FIRST_LOOKS {
            return None;
        }
        let area = (columns * rows) as f32;
        let (mut watched, mut gone) = (0, 0);
        for (cell, [found, whole, all]) in self.cells.iter_mut().zip(sums) {
            let known = cell.texture >= TEXTURED;
            cell.texture = whole / area;
            if cell.texture < TEXTURED {
                continue;
            }
            watched += 1;
            // A source that was opened again may begin at an earlier time.
            let there = found >= THERE * whole && found >= ALIKE * (whole * all).sqrt();
            if there || !known || cell.last_there > at {
                cell.last_there = at;
            }
            gone += usize::from(at - cell.last_there >= GONE_AFTER);
        }
        (watched >= FEWEST_CELLS).then(|| gone as f32 / watched as f32)
    }
}

/// Unlike `hypot` this is one instruction for several vectors, and nothing here is near the ends of what a float holds.
fn length([x, y]: &[f32; 2]) -> f32 {
    (x * x + y * y).sqrt()
}
