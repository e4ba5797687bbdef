use super::*;

const WIDTH: usize = 80;
const HEIGHT: usize = 60;

/// A textured wall seen by a noisy sensor; things are put before it.
struct Stage {
    wall: Vec<[f32; 3]>,
    noise: fastrand::Rng,
    /// What the exposure makes of a level.
    tone: fn(f32) -> f32,
}

/// A box of one colour: left, top, width, height.
type Thing = (usize, usize, usize, usize, [f32; 3]);

const COAT: [f32; 3] = [30.0, 34.0, 48.0];

impl Stage {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let wall = (0..WIDTH * HEIGHT).map(|at| {
            let tile = (at % WIDTH / 8 + at / WIDTH / 8) % 3;
            let level = 80.0 + 40.0 * tile as f32 + 8.0 * random.f32();
            [level, level * 0.9, level * 0.7]
        });
        Self {
            wall: wall.collect(),
            noise: fastrand::Rng::with_seed(seed + 1),
            tone: |level| level,
        }
    }

    fn shows(&mut self, ms: u64, things: &[Thing], shadow: Option<Thing>) -> Frame {
        let mut picture = self.wall.clone();
        let within = |(x, y, w, h, _): &Thing, at: usize| {
            (*x..x + w).contains(&(at % WIDTH)) && (*y..y + h).contains(&(at / WIDTH))
        };
        for (at, pixel) in picture.iter_mut().enumerate() {
            if shadow.is_some_and(|shadow| within(&shadow, at)) {
                *pixel = pixel.map(|level| level * 0.7);
            }
            for thing in things.iter().filter(|thing| within(thing, at)) {
                *pixel = thing.4;
            }
        }
        let (noise, tone) = (&mut self.noise, self.tone);
        let level = |level: f32| {
            let noisy = tone(level) + 3.0 * (noise.f32() + noise.f32() - 1.0);
            noisy.round().clamp(0.0, 255.0) as u8
        };
        Frame {
            width: WIDTH as u32,
            height: HEIGHT as u32,
            rgb: picture.into_iter().flatten().map(level).collect(),
            at: Duration::from_millis(ms),
            index: 0,
        }
    }
}

fn person(x: usize) -> Thing {
    (x, 20, 10, 28, COAT)
}

/// A background that has seen five seconds of the empty stage at ten pictures a second.
fn learned(stage: &mut Stage) -> Background {
    let mut background = Background::default();
    for ms in (0..5000).step_by(100) {
        background.look(&stage.shows(ms, &[], None));
    }
    background
}

#[test]
fn on_a_still_scene_nothing_moves_whatever_the_sensor_s_noise() {
    let mut stage = Stage::new(1);
    let mut background = learned(&mut stage);
    for ms in (5000..20_000).step_by(100) {
        let motion = background.look(&stage.shows(ms, &[], None));
        assert!(!motion.learning && motion.changing == 0, "{ms}: {motion:?}");
        assert!(motion.share < 0.001, "{ms}: {motion:?}");
    }
}

#[test]
fn somebody_who_walks_is_one_area_where_they_are() {
    let mut stage = Stage::new(2);
    let mut background = learned(&mut stage);
    let mut blobs = Vec::new();
    for step in 0..30_usize {
        let x = 2 + 2 * step;
        let frame = stage.shows(5000 + 100 * step as u64, &[person(x)], None);
        let motion = background.look(&frame);
        assert!(motion.changing > 14, "{step}: {motion:?}");
        background.blobs(0.01, &mut blobs);
        assert_eq!(blobs.len(), 1, "{step}: {blobs:?}");
        let truth = Rect {
            x0: x as f32,
            y0: 20.0,
            x1: x as f32 + 10.0,
            y1: 48.0,
        };
        assert!(blobs[0].rect.iou(&truth) > 0.75, "{step}: {blobs:?}");
        assert!(background.moving_share(&truth) > 0.8);
        let elsewhere = Rect {
            y0: 0.0,
            y1: 18.0,
            ..truth
        };
        assert!(background.moving_share(&elsewhere) < 0.05);
    }
}

#[test]
fn what_is_put_down_is_background_after_half_a_minute_at_any_rate_of_pictures() {
    for step in [40, 200, 500] {
        let mut stage = Stage::new(3);
        let mut background = learned(&mut stage);
        let gone = (5000..60_000).step_by(step).find(|ms| {
            background.look(&stage.shows(*ms, &[person(30)], None));
            *ms > 6000 && background.mask().share() < 0.01
        });
        let after = gone.unwrap() - 5000;
        assert!(
            (25_000..36_000).contains(&after),
            "{after} ms, every {step}"
        );
        // It has not moved since the first moments.
        let motion = background.look(&stage.shows(61_000, &[person(30)], None));
        assert_eq!(motion.changing, 0);
    }
}

#[test]
fn a_shadow_does_not_move_and_a_dark_coat_does() {
    let mut stage = Stage::new(4);
    let mut background = learned(&mut stage);
    let shadow = (40, 10, 25, 40, COAT);
    let motion = background.look(&stage.shows(5000, &[person(10)], Some(shadow)));
    let (x, y, w, h, _) = shadow;
    let rect = |x: usize, y: usize, w: usize, h: usize| Rect {
        x0: x as f32,
        y0: y as f32,
        x1: (x + w) as f32,
        y1: (y + h) as f32,
    };
    assert!(background.moving_share(&rect(x, y, w, h)) < 0.1);
    assert!(background.moving_share(&rect(10, 20, 10, 28)) > 0.8);
    assert!(motion.share < 0.1);
}

#[test]
fn when_the_exposure_changes_only_the_person_moves() {
    let mut stage = Stage::new(5);
    let mut background = learned(&mut stage);
    // Step by step, the shadows more than the lights: as cameras do.
    let tones: [fn(f32) -> f32; 4] = [
        |level| 6.0 + level,
        |level| 13.0 + 0.98 * level,
        |level| 20.0 + 0.96 * level,
        |level| 26.0 + 0.95 * level,
    ];
    for (step, tone) in tones.into_iter().enumerate() {
        stage.tone = tone;
        let x = 20 + 4 * step;
        let motion = background.look(&stage.shows(5000 + 100 * step as u64, &[person(x)], None));
        assert!(!motion.light_switched);
        let area = (10 * 28) as f32 / (WIDTH * HEIGHT) as f32;
        assert!(
            (0.7 * area..1.4 * area).contains(&motion.share),
            "{step}: {motion:?}, the person is {area}"
        );
    }
}

#[test]
fn a_light_switch_is_reported_once_and_soon_learned() {
    let mut stage = Stage::new(6);
    let mut background = learned(&mut stage);
    stage.tone = |level| 0.25 * level;
    let seen: Vec<Motion> = (5000..9000)
        .step_by(100)
        .map(|ms| background.look(&stage.shows(ms, &[], None)))
        .collect();
    assert_eq!(
        seen.iter().filter(|motion| motion.light_switched).count(),
        1
    );
    assert!(seen[0].light_switched, "{:?}", seen[0]);
    assert!(seen.iter().all(|motion| motion.share < 0.01));
    assert!(!seen[seen.len() - 1].learning);
    let dim: Thing = (30, 20, 10, 28, [200.0, 190.0, 180.0]);
    let motion = background.look(&stage.shows(9000, &[dim], None));
    assert!(motion.changing > 100, "{motion:?}");
}

#[test]
fn pictures_that_are_none_and_times_that_go_back_begin_anew() {
    let mut stage = Stage::new(7);
    let mut background = learned(&mut stage);
    let empty = Frame::default();
    assert!(background.look(&empty).learning);
    assert!(background.look(&stage.shows(5200, &[], None)).learning);
    assert!(background.look(&stage.shows(100, &[], None)).learning);
    let short = Frame {
        rgb: vec![0; 10],
        ..stage.shows(300, &[], None)
    };
    assert!(background.look(&short).learning);
    for (width, height) in [(1, 1), (2, 900), (5000, 1), (641, 479)] {
        for ms in 0..40_u64 {
            let frame = Frame {
                width,
                height,
                rgb: vec![(ms * 5) as u8; (width * height * 3) as usize],
                at: Duration::from_millis(ms * 100),
                index: ms,
            };
            background.look(&frame);
        }
    }
}

#[test]
fn areas_are_those_of_a_flood_that_leaps_over_small_gaps() {
    let seed = 20_261_122;
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..200 {
        let (width, height) = (random.usize(1..24), random.usize(1..24));
        let density = random.f32();
        let pixels: Vec<u8> = (0..width * height)
            .map(|_| {
                if random.f32() < density * 0.4 {
                    mask::FOREGROUND
                } else {
                    0
                }
            })
            .collect();
        let mut found = Vec::new();
        let mut labels = blobs::Labels::default();
        blobs::find(&pixels, (width, height), 1, &mut labels, &mut found);
        let mut left: Vec<usize> = (0..pixels.len()).filter(|at| pixels[*at] != 0).collect();
        let mut sizes = Vec::new();
        while let Some(first) = left.pop() {
            let (mut area, mut size) = (vec![first], 0);
            while let Some(at) = area.pop() {
                size += 1;
                let near = |other: &mut usize| {
                    let apart = |a: usize, b: usize| a.abs_diff(b);
                    apart(*other % width, at % width) <= 3 && apart(*other / width, at / width) <= 3
                };
                area.extend(left.extract_if(.., near));
            }
            sizes.push(size);
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.truncate(64);
        let sizes_found: Vec<u32> = found.iter().map(|blob| blob.pixels).collect();
        assert_eq!(sizes_found, sizes, "seed {seed}, round {round}");
    }
}
