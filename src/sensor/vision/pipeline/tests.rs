use std::sync::{Arc, Mutex};

use super::*;
use crate::sensor::camera::preview::PreviewCell;
use crate::sensor::vision::Rect;
use crate::sensor::vision::count::geometry::Anchor;
use crate::sensor::vision::count::line::{CountMode, LineSettings};

const SIZE: (usize, usize) = (96, 64);
const GREY: [u8; 3] = [114; 3];

/// Finds boxes of one colour, and remembers the pictures it was given.
struct Sees {
    given: Arc<Mutex<Vec<Frame>>>,
}

/// What the detector takes for a person: anything that is red. Red is never part of the wall.
const PERSON: [u8; 3] = [200, 30, 40];

impl Detector for Sees {
    fn detect(&mut self, frame: &Frame, out: &mut Vec<Detection>) -> Result<(), VisionError> {
        out.clear();
        self.given.lock().unwrap().push(frame.clone());
        // Left half and right half apart: a poster at the right, a person at the left.
        for half in [0..SIZE.0 / 2, SIZE.0 / 2..SIZE.0] {
            let red = |at: &usize| frame.rgb[at * 3..at * 3 + 3] == PERSON;
            let all: Vec<usize> = (0..SIZE.0 * SIZE.1)
                .filter(|at| half.contains(&(at % SIZE.0)) && red(at))
                .collect();
            if all.is_empty() {
                continue;
            }
            let (xs, ys) = (
                all.iter().map(|at| at % SIZE.0),
                all.iter().map(|at| at / SIZE.0),
            );
            out.push(Detection {
                rect: Rect {
                    x0: xs.clone().min().unwrap() as f32,
                    y0: ys.clone().min().unwrap() as f32,
                    x1: xs.max().unwrap() as f32 + 1.0,
                    y1: ys.max().unwrap() as f32 + 1.0,
                },
                score: 0.9,
                class: 0,
            });
        }
        Ok(())
    }
}

struct Shop {
    wall: Vec<u8>,
    noise: fastrand::Rng,
}

impl Shop {
    fn new() -> Self {
        let mut random = fastrand::Rng::with_seed(5);
        let wall = (0..SIZE.0 * SIZE.1 * 3).map(|at| {
            let tile = (at / 3 % SIZE.0 / 8 + at / 3 / SIZE.0 / 8) % 2;
            100 + 60 * tile as u8 + random.u8(0..6)
        });
        Self {
            wall: wall.collect(),
            noise: fastrand::Rng::with_seed(6),
        }
    }

    /// The shop with red boxes of 10 x 30 pixels at these left edges.
    fn frame(&mut self, ms: u64, people: &[usize]) -> Frame {
        let mut rgb = self.wall.clone();
        for level in &mut rgb {
            *level += self.noise.u8(0..4);
        }
        for left in people {
            for y in 20..50 {
                for x in *left..(left + 10).min(SIZE.0) {
                    let at = (y * SIZE.0 + x) * 3;
                    rgb[at..at + 3].copy_from_slice(&PERSON);
                }
            }
        }
        Frame {
            width: SIZE.0 as u32,
            height: SIZE.1 as u32,
            rgb,
            at: Duration::from_millis(ms),
            index: ms / 100,
        }
    }
}

fn settings(view: ViewSettings) -> PipelineSettings {
    PipelineSettings {
        threshold: 0.5,
        first_track: 1,
        view,
        scene: SceneSettings {
            anchor: Anchor::Center,
            lines: vec![LineSettings {
                points: vec![[0.25, 1.0], [0.25, 0.0]],
                mode: CountMode::Immediate,
                half_band: 0.15,
            }],
            zones: Vec::new(),
        },
    }
}

fn sees(view: ViewSettings) -> (Pipeline, Arc<Mutex<Vec<Frame>>>) {
    let given = Arc::new(Mutex::new(Vec::new()));
    let detector = Sees {
        given: Arc::clone(&given),
    };
    (
        Pipeline::new(Some(Box::new(detector)), settings(view)),
        given,
    )
}

#[test]
fn a_still_shop_needs_few_inferences_and_a_walker_gets_one_for_every_picture() {
    let (mut shop, (mut pipeline, _)) = (Shop::new(), sees(ViewSettings::default()));
    for ms in (0..5000).step_by(100) {
        pipeline.process(&mut shop.frame(ms, &[])).unwrap();
    }
    let before = pipeline.looked();
    for ms in (5000..65_000).step_by(100) {
        pipeline.process(&mut shop.frame(ms, &[])).unwrap();
    }
    let still = pipeline.looked() - before;
    assert!(still <= 600 * 15 / 100, "{still} of 600");
    let before = pipeline.looked();
    let mut crossings = 0;
    for step in 0..36_usize {
        let mut frame = shop.frame(65_000 + 100 * step as u64, &[2 + step]);
        crossings += pipeline.process(&mut frame).unwrap().crossings.len();
    }
    assert_eq!(pipeline.looked() - before, 36);
    assert_eq!(crossings, 1);
}

#[test]
fn somebody_who_walks_in_and_stands_for_minutes_keeps_one_track_at_few_inferences() {
    let (mut shop, (mut pipeline, _)) = (Shop::new(), sees(ViewSettings::default()));
    for ms in (0..5000).step_by(100) {
        pipeline.process(&mut shop.frame(ms, &[])).unwrap();
    }
    for step in 0..20_usize {
        let mut frame = shop.frame(5000 + 100 * step as u64, &[2 + step]);
        pipeline.process(&mut frame).unwrap();
    }
    let before = pipeline.looked();
    for ms in (7000..127_000).step_by(100) {
        pipeline.process(&mut shop.frame(ms, &[21])).unwrap();
        assert_eq!(pipeline.tracker().tracks().len(), 1, "{ms}");
    }
    assert_eq!(pipeline.tracker().started(), 1);
    let looked = pipeline.looked() - before;
    assert!(looked < 1200 * 45 / 100, "{looked} of 1200");
}

#[test]
fn a_poster_is_nobody_and_a_person_who_stops_after_walking_stays_somebody() {
    let view = || ViewSettings {
        min_moving_share: 0.4,
        gate: false,
        ..ViewSettings::default()
    };
    let (mut shop, (mut pipeline, _)) = (Shop::new(), sees(view()));
    const POSTER: usize = 80;
    for ms in (0..6000).step_by(100) {
        pipeline.process(&mut shop.frame(ms, &[POSTER])).unwrap();
    }
    // Tracks that began while the background was still being learned.
    let early = pipeline.tracker().started();
    assert!(early <= 1);
    for step in 0..20_usize {
        let mut frame = shop.frame(6000 + 100 * step as u64, &[2 + step, POSTER]);
        pipeline.process(&mut frame).unwrap();
    }
    for ms in (8000..60_000).step_by(100) {
        pipeline
            .process(&mut shop.frame(ms, &[21, POSTER]))
            .unwrap();
        let stands = |track: &crate::sensor::vision::track::Track| {
            track.confirmed && track.seen && track.rect.x0 < 48.0
        };
        assert!(pipeline.tracker().tracks().iter().any(stands), "{ms}");
    }
    assert_eq!(pipeline.tracker().started(), early + 1);
    // Without the setting the poster is somebody.
    let (mut pipeline, _) = sees(ViewSettings::default());
    for ms in (0..1000).step_by(100) {
        pipeline.process(&mut shop.frame(ms, &[POSTER])).unwrap();
    }
    assert_eq!(pipeline.tracker().started(), 1);
}

#[test]
fn without_a_detector_what_walks_over_the_line_is_counted() {
    let mut shop = Shop::new();
    let mut pipeline = Pipeline::new(None, settings(ViewSettings::default()));
    let mut crossings = Vec::new();
    for ms in (0..4000).step_by(100) {
        pipeline.process(&mut shop.frame(ms, &[])).unwrap();
    }
    for step in 0..36_usize {
        let mut frame = shop.frame(4000 + 100 * step as u64, &[2 + step]);
        crossings.extend_from_slice(&pipeline.process(&mut frame).unwrap().crossings);
    }
    assert_eq!(crossings.len(), 1);
    assert_eq!(pipeline.tracker().started(), 1);
}

#[test]
fn nothing_behind_a_mask_reaches_the_detector_the_background_or_the_preview() {
    let masks = vec![vec![[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]]];
    let (mut pipeline, given) = sees(ViewSettings {
        masks,
        gate: false,
        ..ViewSettings::default()
    });
    let mut shop = Shop::new();
    let preview = PreviewCell::new(Vec::new(), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    // Somebody walks up and down behind the mask.
    let mut shown = None;
    for step in 0..60_u64 {
        let x = 50 + (step as usize % 10) * 3;
        let mut frame = shop.frame(step * 100, &[x]);
        pipeline.process(&mut frame).unwrap();
        assert_eq!(pipeline.view().motion().changing, 0);
        runtime.block_on(async {
            let next = preview.next(Duration::from_secs(60));
            let offer = async { preview.offer(&frame, &pipeline) };
            tokio::pin!(next);
            tokio::select! {
                biased;
                jpeg = &mut next => shown = jpeg,
                () = offer => {}
            }
            if shown.is_none() {
                shown = tokio::time::timeout(Duration::from_millis(50), next)
                    .await
                    .ok()
                    .flatten();
            }
        });
    }
    let given = given.lock().unwrap();
    assert_eq!(given.len(), 60);
    for frame in given.iter() {
        let masked = (0..SIZE.0 * SIZE.1).filter(|at| at % SIZE.0 >= SIZE.0 / 2);
        for at in masked {
            assert_eq!(frame.rgb[at * 3..at * 3 + 3], GREY);
        }
    }
    assert_eq!(pipeline.tracker().started(), 0);
    let jpeg = shown.expect("a preview");
    let picture = image::load_from_memory(&jpeg).unwrap().to_rgb8();
    for (x, _, pixel) in picture.enumerate_pixels() {
        // A JPEG's blocks are 8 or 16 pixels wide; beyond the mask's edge block nothing is left but grey.
        if x >= SIZE.0 as u32 / 2 + 16 {
            assert!(
                pixel.0.iter().all(|level| level.abs_diff(114) <= 6),
                "{pixel:?}"
            );
        }
    }
}

/// Finds boxes wherever it likes, beyond the picture too.
struct Wild(fastrand::Rng);

impl Detector for Wild {
    fn detect(&mut self, _: &Frame, out: &mut Vec<Detection>) -> Result<(), VisionError> {
        out.clear();
        for _ in 0..self.0.usize(0..4) {
            let (x0, y0) = (self.0.f32() * 900.0 - 100.0, self.0.f32() * 900.0 - 100.0);
            out.push(Detection {
                rect: Rect {
                    x0,
                    y0,
                    x1: x0 + self.0.f32() * 200.0,
                    y1: y0 + self.0.f32() * 200.0,
                },
                score: self.0.f32(),
                class: self.0.u16(..),
            });
        }
        Ok(())
    }
}

#[test]
fn pictures_of_any_size_and_time_are_no_panic_and_nothing_grows() {
    let sizes = [
        (0, 0),
        (1, 1),
        (1, 640),
        (640, 1),
        (2, 3),
        (96, 64),
        (97, 63),
        (320, 240),
        (2000, 2),
    ];
    for seed in 0..4 {
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let view = ViewSettings {
            gate: random.bool(),
            min_moving_share: if random.bool() { 0.4 } else { 0.0 },
            min_area: 0.001,
            masks: vec![vec![[0.2, 0.0], [0.9, 0.5], [0.1, 1.0]]],
            ..ViewSettings::default()
        };
        let detector = (seed % 2 == 0).then(|| Box::new(Wild(random.fork())) as _);
        let mut pipeline = Pipeline::new(detector, settings(view));
        let (mut ms, mut size) = (0_u64, (96, 64));
        for index in 0..200 {
            if random.u8(0..8) == 0 {
                size = *random.choice(sizes.iter()).unwrap();
            }
            ms = match random.u8(0..30) {
                0 => ms.saturating_sub(random.u64(0..5000)),
                1 => ms + random.u64(0..100_000),
                _ => ms + random.u64(0..300),
            };
            let bytes = (size.0 * size.1 * 3) as usize;
            // Now and then the bytes are not those of the size.
            let bytes = match random.u8(0..20) {
                0 => random.usize(0..=bytes),
                _ => bytes,
            };
            let mut rgb = vec![random.u8(..); bytes];
            let noisy = random.usize(0..=bytes.min(9000));
            random.fill(&mut rgb[..noisy]);
            let mut frame = Frame {
                width: size.0,
                height: size.1,
                rgb,
                at: Duration::from_millis(ms),
                index,
            };
            pipeline.process(&mut frame).unwrap();
            // At most some new ones on every picture of the latest seconds.
            assert!(pipeline.tracker().tracks().len() <= 400, "seed {seed}");
        }
        pipeline.finish(Duration::from_millis(ms + 10_000));
        assert_eq!(pipeline.tracker().tracks().len(), 0, "seed {seed}");
    }
}
