//! Connected areas of a mask.

use super::mask::FOREGROUND;
use crate::sensor::vision::Rect;

/// Most areas that are told apart; a picture with more is rain or snow, not people.
const MAX_AREAS: usize = 64;
/// Runs this close, in both directions, belong together: parts of one body that looks in places like what is behind it.
const GAP: usize = 3;

/// A connected moving area.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blob {
    /// Pixels of the picture.
    pub rect: Rect,
    /// Moving pixels of the small picture.
    pub pixels: u32,
}

/// Buffers that are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    runs: Vec<Run>,
    parent: Vec<usize>,
}

/// Moving pixels next to each other in one row.
#[derive(Clone, Copy, Debug)]
struct Run {
    y: usize,
    from: usize,
    /// Exclusive.
    to: usize,
}

/// Finds areas of at least `least` pixels, largest first, on a mask of `size`. Runs of moving pixels are joined with
/// union-find; the work is bounded by the picture's size.
pub(super) fn find(
    pixels: &[u8],
    (width, _): (usize, usize),
    least: u32,
    labels: &mut Labels,
    out: &mut Vec<Blob>,
) {
    out.clear();
    let Labels { runs, parent } = labels;
    runs.clear();
    for (y, row) in pixels.chunks_exact(width.max(1)).enumerate() {
        let mut from = None;
        for (x, one) in row.iter().chain([&0]).enumerate() {
            match (from, *one == FOREGROUND) {
                (None, true) => from = Some(x),
                (Some(start), false) => {
                    runs.push(Run {
                        y,
                        from: start,
                        to: x,
                    });
                    from = None;
                }
                _ => {}
            }
        }
    }
    parent.clear();
    parent.extend(0..runs.len());
    // The first run that may still touch a later one.
    let mut oldest = 0;
    for at in 0..runs.len() {
        let run = runs[at];
        while runs[oldest].y + GAP < run.y {
            oldest += 1;
        }
        for (back, other) in runs[oldest..at].iter().enumerate() {
            if other.from < run.to + GAP && run.from < other.to + GAP {
                let (a, b) = (root(parent, oldest + back), root(parent, at));
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    let mut areas: Vec<(usize, Blob)> = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let home = root(parent, at);
        let rect = Rect {
            x0: run.from as f32,
            y0: run.y as f32,
            x1: run.to as f32,
            y1: (run.y + 1) as f32,
        };
        let pixels = (run.to - run.from) as u32;
        // A root is the first run of its area, so areas are found in the order of their roots.
        match areas.binary_search_by_key(&home, |(root, _)| *root) {
            Ok(place) => {
                let area = &mut areas[place].1;
                area.pixels += pixels;
                area.rect = Rect {
                    x0: area.rect.x0.min(rect.x0),
                    y0: area.rect.y0.min(rect.y0),
                    x1: area.rect.x1.max(rect.x1),
                    y1: area.rect.y1.max(rect.y1),
                };
            }
            Err(place) => areas.insert(place, (home, Blob { rect, pixels })),
        }
    }
    out.extend(areas.into_iter().map(|(_, area)| area));
    out.retain(|area| area.pixels >= least);
    out.sort_by_key(|area| std::cmp::Reverse(area.pixels));
    out.truncate(MAX_AREAS);
}

/// The first run of an area, with the way to it made shorter.
fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}
