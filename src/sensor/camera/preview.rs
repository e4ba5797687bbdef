//! What a camera sees, for the technician who aligns it: small, about once a second, and only while somebody watches.
//!
//! People are coarsened to a few blocks before a picture leaves the camera's thread, boxes and counting lines are drawn
//! on it, and nobody ever holds a sharp one. Pictures live in memory alone and are dropped when nobody watches any more.

mod paint;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use tokio::sync::watch;

use self::paint::Canvas;
use super::Frame;
use crate::sensor::vision::Rect;
use crate::sensor::vision::pipeline::Pipeline;

/// Time between two pictures.
const EVERY: Duration = Duration::from_millis(900);
/// Somebody who has not asked for so long does not watch any more.
const WATCHED_FOR: Duration = Duration::from_secs(5);
/// Widest picture, pixels: enough to place a line, little to recognise.
const WIDEST: u32 = 480;
/// A person is at most so many blocks high: a head is about one.
const BLOCKS: f32 = 7.0;
/// Smallest block, pixels.
const SMALLEST_BLOCK: u32 = 8;
/// The coarse area reaches so far beyond the box, in box heights.
const MARGIN: f32 = 0.08;
const QUALITY: u8 = 70;

/// A counting line as the preview shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewLine {
    pub id: String,
    /// Names of the two sides; `in` is from left to right.
    pub left: String,
    pub right: String,
    /// Two or more, as fractions of the picture.
    pub points: Vec<[f32; 2]>,
}

/// Where a camera leaves its preview. Clones share it.
#[derive(Clone)]
pub struct PreviewCell(Arc<Inner>);

struct Inner {
    lines: Vec<PreviewLine>,
    /// Corners of each zone, as fractions of the picture.
    zones: Vec<Vec<[f32; 2]>>,
    /// Requests so far. Whoever asks raises it; that the camera sees it move means somebody watches.
    asked: AtomicU64,
    pace: Mutex<Pace>,
    /// The newest picture, JPEG; `None` while nobody watches.
    picture: watch::Sender<Option<Arc<[u8]>>>,
}

/// What the camera remembers between frames; moments are those of the frames.
#[derive(Default)]
struct Pace {
    seen_asked: u64,
    asked_at: Option<Duration>,
    drawn_at: Option<Duration>,
}

impl Pace {
    /// Whether a picture is due, after `asked` requests in all. The second value: whether anybody watches.
    fn due(&mut self, asked: u64, at: Duration) -> (bool, bool) {
        if asked != self.seen_asked {
            self.seen_asked = asked;
            self.asked_at = Some(at);
        }
        // A source that was opened again may begin at an earlier time.
        let age = |then: Duration| at.checked_sub(then).unwrap_or(Duration::MAX);
        let watched = self.asked_at.is_some_and(|then| age(then) < WATCHED_FOR);
        let due = watched && self.drawn_at.is_none_or(|then| age(then) >= EVERY);
        if due {
            self.drawn_at = Some(at);
        }
        (due, watched)
    }
}

impl std::fmt::Debug for PreviewCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PreviewCell").field(&self.0.lines).finish()
    }
}

impl PreviewCell {
    /// A preview that shows these lines, and zones by their corners (fractions of the picture).
    #[must_use]
    pub fn new(lines: Vec<PreviewLine>, zones: Vec<Vec<[f32; 2]>>) -> Self {
        Self(Arc::new(Inner {
            lines,
            zones,
            asked: AtomicU64::new(0),
            pace: Mutex::default(),
            picture: watch::Sender::new(None),
        }))
    }

    /// The counting lines on it.
    #[must_use]
    pub fn lines(&self) -> &[PreviewLine] {
        &self.0.lines
    }

    /// Called by the camera for every frame that was analysed; costs two loads while nobody watches.
    pub fn offer(&self, frame: &Frame, pipeline: &Pipeline) {
        let asked = self.0.asked.load(Ordering::Relaxed);
        let mut pace = self.0.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let (due, watched) = pace.due(asked, frame.at);
        drop(pace);
        if !watched && self.0.picture.borrow().is_some() {
            self.0.picture.send_replace(None);
        }
        if !due {
            return;
        }
        let tracks = pipeline.tracker().tracks();
        // Coarse wherever anybody might be: weak detections and tracks that are only guessed at included.
        let hidden = pipeline.detections().iter().map(|one| one.rect);
        let mut hidden: Vec<Rect> = hidden.chain(tracks.iter().map(|one| one.rect)).collect();
        if pipeline.by_motion() {
            // Who stands still is not known to be there: all of it is coarse.
            hidden.extend(tiles(frame));
        }
        let shown = tracks.iter().filter(|one| one.confirmed && one.seen);
        let shown: Vec<Rect> = shown.map(|one| one.rect).collect();
        if let Some(jpeg) = render(frame, &hidden, &shown, (&self.0.lines, &self.0.zones)) {
            self.0.picture.send_replace(Some(jpeg.into()));
        }
    }

    /// Says that somebody watches, and returns the next picture that comes within `patience`.
    pub async fn next(&self, patience: Duration) -> Option<Arc<[u8]>> {
        let mut picture = self.0.picture.subscribe();
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let next = async {
            loop {
                picture.changed().await.ok()?;
                if let Some(jpeg) = picture.borrow_and_update().clone() {
                    return Some(jpeg);
                }
            }
        };
        tokio::time::timeout(patience, next).await.ok().flatten()
    }
}

/// The picture in tiles of a person's size, for blocks of a sixtieth of its height.
fn tiles(frame: &Frame) -> impl Iterator<Item = Rect> {
    let (width, height) = (frame.width as f32, frame.height as f32);
    let side = height * BLOCKS / 60.0;
    (0..60).map_while(move |row| {
        let y0 = row as f32 * side;
        let tile = Rect {
            x0: 0.0,
            y0,
            x1: width,
            y1: y0 + side,
        };
        (y0 < height).then_some(tile)
    })
}

/// The picture as a JPEG: smaller, coarse inside `hidden`, with `shown` boxes, zones and lines drawn on it.
fn render(
    frame: &Frame,
    hidden: &[Rect],
    shown: &[Rect],
    (lines, zones): (&[PreviewLine], &[Vec<[f32; 2]>]),
) -> Option<Vec<u8>> {
    let (mut canvas, scale) = Canvas::shrunk(frame, WIDEST)?;
    let on_canvas = |rect: &Rect, margin: f32| Rect {
        x0: (rect.x0 - margin) * scale,
        y0: (rect.y0 - margin) * scale,
        x1: (rect.x1 + margin) * scale,
        y1: (rect.y1 + margin) * scale,
    };
    for rect in hidden {
        let block = (rect.height() * scale / BLOCKS).ceil().clamp(0.0, 4096.0) as u32;
        let area = on_canvas(rect, rect.height() * MARGIN);
        canvas.coarsen(&area, block.max(SMALLEST_BLOCK));
    }
    for rect in shown {
        canvas.outline(&on_canvas(rect, 0.0));
    }
    for zone in zones {
        canvas.zone(zone);
    }
    for line in lines {
        canvas.counting_line(&line.points);
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .write_image(
            &canvas.rgb,
            canvas.width,
            canvas.height,
            ExtendedColorType::Rgb8,
        )
        .ok()?;
    Some(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise, so that any pixel that survives would be found.
    fn noise(width: u32, height: u32) -> Frame {
        let mut random = fastrand::Rng::with_seed(7);
        Frame {
            width,
            height,
            rgb: (0..width * height * 3).map(|_| random.u8(..)).collect(),
            at: Duration::from_secs(1),
            index: 0,
        }
    }

    fn decoded(jpeg: &[u8]) -> image::RgbImage {
        image::load_from_memory(jpeg).unwrap().to_rgb8()
    }

    /// The mean difference between neighbours inside an area.
    fn detail(picture: &image::RgbImage, (x0, y0, x1, y1): (u32, u32, u32, u32)) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for y in y0..y1 {
            for x in x0 + 1..x1 {
                let [a, b] = [x - 1, x].map(|x| f64::from(picture.get_pixel(x, y)[1]));
                sum += (a - b).abs();
                count += 1.0;
            }
        }
        sum / count
    }

    #[test]
    fn a_person_is_a_few_blocks_and_the_shop_around_is_sharp() {
        let person = Rect {
            x0: 100.0,
            y0: 40.0,
            x1: 180.0,
            y1: 240.0,
        };
        let frame = noise(400, 300);
        let jpeg = render(&frame, &[person], &[], (&[], &[])).unwrap();
        let picture = decoded(&jpeg);
        assert_eq!(picture.dimensions(), (400, 300));
        let (inside, outside) = (
            detail(&picture, (100, 40, 180, 240)),
            detail(&picture, (220, 40, 390, 240)),
        );
        assert!(inside < 4.0, "{inside} inside the box");
        assert!(outside > 40.0, "{outside} outside of it");
    }

    #[test]
    fn odd_boxes_lines_and_sizes_do_no_harm() {
        let whole = |a: f32, b: f32| Rect {
            x0: a,
            y0: a,
            x1: b,
            y1: b,
        };
        let rects = [
            whole(-1e9, 1e9),
            whole(f32::NAN, 5.0),
            whole(50.0, 50.0),
            whole(900.0, 950.0),
            whole(f32::NEG_INFINITY, f32::INFINITY),
        ];
        let line = |points| PreviewLine {
            id: "a".into(),
            left: "l".into(),
            right: "r".into(),
            points,
        };
        let lines = [
            line(vec![[0.0, 0.0], [1.0, 1.0]]),
            line(vec![[0.5, 0.5], [0.5, 0.5]]),
            line(vec![[0.2, 0.5], [0.5, 0.5], [0.9, 0.2], [0.9, 0.1]]),
            line(vec![[f32::NAN, -1e20], [2.0, 1e20]]),
            line(vec![[0.5, 0.5]]),
            line(vec![]),
        ];
        let zones = lines.clone().map(|line| line.points);
        for (width, height) in [(1, 1), (3, 700), (4096, 2), (1920, 1080)] {
            let jpeg = render(&noise(width, height), &rects, &rects, (&lines, &zones)).unwrap();
            assert!(decoded(&jpeg).width() <= WIDEST);
        }
        let mut broken = noise(8, 8);
        broken.rgb.truncate(10);
        assert!(render(&broken, &[], &[], (&[], &[])).is_none());
        assert!(render(&Frame::default(), &[], &[], (&[], &[])).is_none());
    }

    #[test]
    fn pictures_are_made_only_while_somebody_watches_and_about_once_a_second() {
        let at = Duration::from_millis;
        let mut pace = Pace::default();
        assert_eq!(pace.due(0, at(0)), (false, false));
        let drawn: Vec<u64> = (0..100)
            .map(|step| step * 100)
            .filter(|ms| pace.due(1, at(*ms)).0)
            .collect();
        assert_eq!(drawn, [0, 900, 1800, 2700, 3600, 4500]);
        assert_eq!(pace.due(1, at(10_000)), (false, false));
        assert_eq!(pace.due(2, at(10_100)), (true, true));
        // The source's time began anew.
        assert_eq!(pace.due(3, at(100)), (true, true));
    }
}
