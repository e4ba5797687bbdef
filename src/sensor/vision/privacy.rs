//! Places that must not be seen: a till's display, a neighbour's door, a desk. They are painted over before anything
//! looks at the picture, in the picture's own memory, so that nothing behind this ever has them.

use std::ops::Range;

use crate::sensor::camera::Frame;

/// The grey around a letterboxed picture, too: detectors are used to nothing being there.
const GREY: u8 = 114;

/// A polygon to paint over; corners as fractions of the picture, origin top left.
pub type Polygon = Vec<[f32; 2]>;

/// Paints polygons over; keeps what it worked out for the latest size.
#[derive(Clone, Debug, Default)]
pub struct PrivacyMask {
    polygons: Vec<Polygon>,
    size: (u32, u32),
    /// Bytes of the picture.
    spans: Vec<Range<usize>>,
}

impl PrivacyMask {
    #[must_use]
    pub fn new(polygons: Vec<Polygon>) -> Self {
        Self {
            polygons,
            ..Self::default()
        }
    }

    /// Paints over every pixel that a polygon touches.
    pub fn paint(&mut self, frame: &mut Frame) {
        if self.polygons.is_empty() {
            return;
        }
        let size = (frame.width, frame.height);
        if self.size != size {
            self.size = size;
            self.spans.clear();
            for polygon in &self.polygons {
                add_spans(polygon, size, &mut self.spans);
            }
        }
        for span in &self.spans {
            if let Some(bytes) = frame.rgb.get_mut(span.clone()) {
                bytes.fill(GREY);
            }
        }
    }
}

/// The byte ranges of all pixels that the polygon (even-odd rule) touches.
fn add_spans(polygon: &Polygon, (width, height): (u32, u32), out: &mut Vec<Range<usize>>) {
    let corners: Vec<(f32, f32)> = polygon
        .iter()
        .map(|[x, y]| (x * width as f32, y * height as f32))
        .collect();
    let nexts = corners.iter().cycle().skip(1);
    let sides: Vec<_> = corners.iter().copied().zip(nexts.copied()).collect();
    for row in 0..height {
        let (top, bottom) = (row as f32, (row + 1) as f32);
        let mut add = |from: f32, to: f32| {
            let from = from.floor().clamp(0.0, width as f32) as usize;
            let to = to.ceil().clamp(0.0, width as f32) as usize;
            if from < to {
                let start = row as usize * width as usize;
                out.push((start + from) * 3..(start + to) * 3);
            }
        };
        // What lies inside along the middle of the row ...
        let middle = (top + bottom) / 2.0;
        let mut crossings: Vec<f32> = sides
            .iter()
            .filter(|((_, y0), (_, y1))| (*y0 <= middle) != (*y1 <= middle))
            .map(|((x0, y0), (x1, y1))| x0 + (x1 - x0) * (middle - y0) / (y1 - y0))
            .collect();
        crossings.sort_unstable_by(f32::total_cmp);
        for pair in crossings.chunks_exact(2) {
            add(pair[0], pair[1]);
        }
        // ... and what a side touches anywhere in the row.
        for ((x0, y0), (x1, y1)) in &sides {
            let (low, high) = (y0.min(*y1), y0.max(*y1));
            if high < top || low > bottom {
                continue;
            }
            let at = |y: f32| {
                let share = (y.clamp(low, high) - y0) / (y1 - y0);
                if share.is_finite() {
                    x0 + (x1 - x0) * share
                } else {
                    *x0
                }
            };
            let (a, b) = if (y1 - y0).abs() < f32::EPSILON {
                (*x0, *x1)
            } else {
                (at(top), at(bottom))
            };
            add(a.min(b), a.max(b).max(a.min(b) + 0.01));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: u32, height: u32, seed: u64) -> Frame {
        let mut random = fastrand::Rng::with_seed(seed);
        // Never the grey itself.
        let rgb = (0..width * height * 3).map(|_| random.u8(..GREY)).collect();
        Frame {
            width,
            height,
            rgb,
            ..Frame::default()
        }
    }

    /// Even-odd rule, point by point.
    fn inside(polygon: &Polygon, x: f32, y: f32) -> bool {
        let mut inside = false;
        for (at, [x1, y1]) in polygon.iter().enumerate() {
            let [x0, y0] = polygon[(at + polygon.len() - 1) % polygon.len()];
            if (y0 <= y) != (*y1 <= y) && x < x0 + (x1 - x0) * (y - y0) / (y1 - y0) {
                inside = !inside;
            }
        }
        inside
    }

    #[test]
    fn no_point_of_any_polygon_is_left_and_the_rest_of_the_picture_is() {
        let seed = 20_261_122;
        let mut random = fastrand::Rng::with_seed(seed);
        for round in 0..60 {
            let corners = random.usize(3..8);
            let mut corner = || [random.f32() * 1.2 - 0.1, random.f32() * 1.2 - 0.1];
            let polygon: Polygon = (0..corners).map(|_| corner()).collect();
            let mut mask = PrivacyMask::new(vec![polygon.clone()]);
            for (width, height) in [(64, 48), (31, 77)] {
                let clear = noise(width, height, round);
                let mut frame = clear.clone();
                mask.paint(&mut frame);
                let mut kept = 0;
                for at in 0..(width * height) as usize {
                    let pixel = &frame.rgb[at * 3..at * 3 + 3];
                    let (x, y) = (at % width as usize, at / width as usize);
                    let touched = (0..25).any(|k| {
                        let (u, v) = ((k % 5) as f32 / 4.0, (k / 5) as f32 / 4.0);
                        let (x, y) = (x as f32 + u, y as f32 + v);
                        inside(&polygon, x / width as f32, y / height as f32)
                    });
                    let painted = pixel == [GREY; 3];
                    assert!(painted || !touched, "seed {seed} {polygon:?} {x},{y}");
                    kept += usize::from(pixel == &clear.rgb[at * 3..at * 3 + 3]);
                    assert!(painted || pixel == &clear.rgb[at * 3..at * 3 + 3]);
                }
                // Not simply everything.
                let area = (width * height) as usize;
                let points = (0..area).filter(|at| {
                    let (x, y) = ((at % width as usize) as f32, (at / width as usize) as f32);
                    inside(
                        &polygon,
                        (x + 0.5) / width as f32,
                        (y + 0.5) / height as f32,
                    )
                });
                let rim = 4 * corners * (width + height) as usize;
                assert!(area - kept <= points.count() + rim, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_rectangle_is_painted_to_its_edge_and_no_further() {
        let mut mask = PrivacyMask::new(vec![vec![
            [0.25, 0.25],
            [0.5, 0.25],
            [0.5, 0.75],
            [0.25, 0.75],
        ]]);
        let mut frame = noise(40, 40, 1);
        mask.paint(&mut frame);
        let painted = frame.rgb.chunks(3).filter(|pixel| **pixel == [GREY; 3]);
        // One row and one column more where a side lies between two pixels.
        assert!((10 * 20..=12 * 22).contains(&painted.count()));
        let mut broken = Frame {
            width: 40,
            height: 40,
            ..Frame::default()
        };
        mask.paint(&mut broken);
        assert!(broken.rgb.is_empty());
    }
}
