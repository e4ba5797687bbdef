use super::*;
use crate::sensor::camera::Frame;

const WIDTH: usize = 240;
const HEIGHT: usize = 180;

/// Shelves, boxes and a floor, drawn from a seed; looked at from `(dx, dy)` pixels aside.
fn scene(seed: u64, (dx, dy): (usize, usize)) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (width, height) = (WIDTH + 80, HEIGHT + 80);
    let mut grey = vec![120_u8; width * height];
    for _ in 0..70 {
        let (x, y) = (random.usize(..width), random.usize(..height));
        let (w, h) = (random.usize(10..60), random.usize(10..60));
        let level = random.u8(40..220);
        for row in y..(y + h).min(height) {
            grey[row * width + x..row * width + (x + w).min(width)].fill(level);
        }
    }
    let row = |y: usize| grey[(y + dy) * width + dx..][..WIDTH].to_vec();
    (0..HEIGHT).flat_map(row).collect()
}

/// Means of the pixels up to `reach` steps of `step` away.
fn means(grey: &[u8], step: usize, reach: usize) -> Vec<u8> {
    let mean = |at: usize| {
        let from = (0..=reach).rev().find_map(|k| at.checked_sub(k * step));
        let run = grey[from.unwrap_or(at)..]
            .iter()
            .step_by(step)
            .take(2 * reach + 1);
        let (count, sum) = run.fold((0, 0), |(n, sum), level| (n + 1, sum + u32::from(*level)));
        (sum / count) as u8
    };
    (0..grey.len()).map(mean).collect()
}

struct Feed {
    monitor: Monitor,
    small: Small,
    noise: fastrand::Rng,
    now: Duration,
    /// Changes of the state, with their times.
    said: Vec<(u64, CameraState)>,
}

impl Feed {
    fn new(least_fps: f32) -> Self {
        Self {
            monitor: Monitor::new(least_fps),
            small: Small::default(),
            noise: fastrand::Rng::with_seed(9),
            now: Duration::ZERO,
            said: vec![(0, CameraState::Ok)],
        }
    }

    /// Shows a picture for some seconds, `fps` times a second; returns the state at the end.
    fn shows(
        &mut self,
        seconds: u64,
        fps: u64,
        mut picture: impl FnMut(usize) -> u8,
    ) -> CameraState {
        let mut state = CameraState::Ok;
        for _ in 0..seconds * fps {
            self.now += Duration::from_millis(1000 / fps);
            let mut rgb = Vec::with_capacity(WIDTH * HEIGHT * 3);
            for at in 0..WIDTH * HEIGHT {
                let level = picture(at).saturating_add(self.noise.u8(0..4));
                rgb.extend([level; 3]);
            }
            self.small.shrink(&Frame {
                width: WIDTH as u32,
                height: HEIGHT as u32,
                rgb,
                ..Frame::default()
            });
            state = self.monitor.look(self.now, Some(&self.small));
            if self.said.last().unwrap().1 != state {
                self.said.push((self.now.as_secs(), state));
            }
        }
        state
    }
}

#[test]
fn each_fault_is_said_within_a_minute_and_taken_back_soon_after() {
    let home = scene(1, (40, 40));
    // A lens that somebody touched: means over 21 x 21 pixels.
    let touched = means(&means(&home, 1, 10), WIDTH, 10);
    let aside = scene(1, (58, 46));
    type Fault<'a> = Box<dyn Fn(usize) -> u8 + 'a>;
    let faults: [(CameraState, Fault); 5] = [
        (CameraState::Dark, Box::new(|at| home[at] / 40)),
        (
            CameraState::Bright,
            Box::new(|at| home[at].saturating_mul(6)),
        ),
        (
            CameraState::Covered,
            Box::new(|at| 90 + (at % WIDTH / 16) as u8),
        ),
        (CameraState::Moved, Box::new(|at| aside[at])),
        (CameraState::Covered, Box::new(|at| touched[at])),
    ];
    for (expected, fault) in faults {
        let mut feed = Feed::new(0.0);
        assert_eq!(feed.shows(40, 2, |at| home[at]), CameraState::Ok);
        assert_eq!(feed.shows(59, 2, fault), expected, "{:?}", feed.said);
        assert_eq!(
            feed.shows(10, 2, |at| home[at]),
            CameraState::Ok,
            "{:?}",
            feed.said
        );
        assert_eq!(feed.said.len(), 3, "{:?}", feed.said);
    }
}

#[test]
fn the_light_of_the_day_and_people_who_come_close_are_no_faults() {
    let home = scene(2, (40, 40));
    let mut feed = Feed::new(0.0);
    feed.shows(30, 2, |at| home[at]);
    // Dusk, a lamp, and dusk again.
    for tenths in [8, 6, 5, 4, 6, 11, 13, 7] {
        feed.shows(20, 2, |at| {
            (u32::from(home[at]) * tenths / 10).min(255) as u8
        });
    }
    // Somebody's back fills four fifths of the picture for eight seconds, again and again.
    for _ in 0..5 {
        feed.shows(8, 2, |at| {
            if at % WIDTH < WIDTH * 4 / 5 {
                60
            } else {
                home[at]
            }
        });
        feed.shows(3, 2, |at| home[at]);
    }
    assert_eq!(feed.said, [(0, CameraState::Ok)]);
}

#[test]
fn a_night_is_dark_from_its_first_seconds_to_its_last_even_when_the_daemon_starts_in_it() {
    let home = scene(3, (40, 40));
    let mut feed = Feed::new(0.0);
    assert_eq!(feed.shows(120, 2, |_| 2), CameraState::Dark);
    assert_eq!(feed.shows(60, 2, |at| home[at]), CameraState::Ok);
    assert_eq!(feed.shows(60, 2, |_| 2), CameraState::Dark);
    assert_eq!(feed.shows(10, 2, |at| home[at]), CameraState::Ok);
    assert_eq!(feed.said.len(), 5, "{:?}", feed.said);
}

#[test]
fn too_few_pictures_a_second_are_said_and_enough_of_them_are_not() {
    let home = scene(4, (40, 40));
    let mut feed = Feed::new(3.0);
    assert_eq!(feed.shows(60, 5, |at| home[at]), CameraState::Ok);
    assert_eq!(feed.shows(60, 2, |at| home[at]), CameraState::Slow);
    assert_eq!(feed.shows(60, 5, |at| home[at]), CameraState::Ok);
    assert_eq!(feed.said.len(), 3, "{:?}", feed.said);
}

#[test]
fn a_camera_that_was_away_for_a_while_is_not_slow_when_it_is_back() {
    let home = scene(5, (40, 40));
    let mut feed = Feed::new(3.0);
    for away in [9, 70] {
        for seconds in [7, 22] {
            assert_eq!(feed.shows(seconds, 4, |at| home[at]), CameraState::Ok);
            feed.now += Duration::from_secs(away);
        }
    }
    assert_eq!(feed.shows(22, 4, |at| home[at]), CameraState::Ok);
    assert_eq!(feed.said, [(0, CameraState::Ok)]);
}

#[test]
fn a_scene_without_edges_and_pictures_of_any_size_are_no_faults() {
    let mut feed = Feed::new(0.0);
    assert_eq!(feed.shows(60, 2, |_| 128), CameraState::Ok);
    let mut monitor = Monitor::new(0.0);
    let mut small = Small::default();
    for (step, (width, height)) in [(1, 1), (24, 18), (3, 500), (640, 480)]
        .into_iter()
        .enumerate()
    {
        for second in 0..30 {
            small.shrink(&Frame {
                width,
                height,
                rgb: vec![100; (width * height * 3) as usize],
                ..Frame::default()
            });
            let at = Duration::from_secs(1000 * step as u64 + second);
            assert_eq!(monitor.look(at, Some(&small)), CameraState::Ok);
        }
    }
    assert_eq!(
        monitor.look(Duration::ZERO, Some(&Small::default())),
        CameraState::Ok
    );
}
