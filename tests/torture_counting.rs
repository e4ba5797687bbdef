//! Tracker and counting together, with more people than a shop ever sees and with detections that are none: memory stays
//! where it is, and nothing panics.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/scale.rs"]
mod scale;

use std::time::Duration;

use fastrand::Rng;
use footfall::sensor::vision::count::geometry::Anchor;
use footfall::sensor::vision::count::line::{CountMode, LineSettings};
use footfall::sensor::vision::count::scene::{Scene, SceneSettings};
use footfall::sensor::vision::count::zone::{VisitChange, ZoneSettings};
use footfall::sensor::vision::track::{Settings, Tracker};
use footfall::sensor::vision::{Detection, Rect};
use footfall::system::rss_bytes;

const SIZE: (u32, u32) = (640, 480);
const FRAME: Duration = Duration::from_millis(100);

fn seed() -> u64 {
    let given = std::env::var("FOOTFALL_SEED").ok();
    let seed = given
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_261_122);
    eprintln!("seed {seed} (again: FOOTFALL_SEED={seed})");
    seed
}

/// Two lines, one of them bent, and three zones that overlap.
fn scene() -> Scene {
    let line = |points: &[[f32; 2]], mode| LineSettings {
        points: points.to_vec(),
        mode,
        half_band: 0.15,
    };
    let zone = |points: &[[f32; 2]]| ZoneSettings {
        points: points.to_vec(),
        half_band: 0.15,
        dwell: Duration::from_secs(2),
        longest: Duration::from_secs(60),
    };
    Scene::new(SceneSettings {
        anchor: Anchor::BottomCenter,
        lines: vec![
            line(&[[0.5, 1.0], [0.5, 0.0]], CountMode::Immediate),
            line(&[[0.2, 0.8], [0.2, 0.4], [0.7, 0.4]], CountMode::Net),
        ],
        zones: vec![
            zone(&[[0.1, 0.3], [0.4, 0.3], [0.4, 0.9], [0.1, 0.9]]),
            zone(&[[0.3, 0.3], [0.9, 0.3], [0.6, 0.95]]),
            zone(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]),
        ],
    })
}

fn person(x: f32, y: f32) -> Detection {
    Detection {
        rect: Rect {
            x0: x - 15.0,
            y0: y - 80.0,
            x1: x + 15.0,
            y1: y,
        },
        score: 0.9,
        class: 0,
    }
}

#[test]
fn a_million_people_leave_nothing_behind() {
    let mut rng = Rng::with_seed(seed());
    let wanted = scale::rounds(20_000, 1_000_000) as u64;
    let (mut tracker, mut scene) = (Tracker::new(Settings::with_threshold(0.5), 1), scene());
    let (mut at, mut warm, mut visits) = (Duration::ZERO, None, 0u64);
    while tracker.started() < wanted {
        // Six people far from each other, for six frames each; then they are gone, before anybody takes their place.
        let shift = rng.f32() * 20.0;
        let speed = 4.0 + 4.0 * rng.f32();
        for frame in 0..26 {
            at += FRAME;
            let people = (0..6u8).filter(|_| frame < 6).map(|one| {
                let (column, row) = (f32::from(one % 3), f32::from(one / 3));
                person(
                    100.0 + 180.0 * column + shift + speed * frame as f32,
                    200.0 + 200.0 * row,
                )
            });
            let people: Vec<_> = people.collect();
            tracker.step(at, &people);
            let counted = scene.step(at, &tracker, SIZE);
            let left = |visit: &VisitChange| matches!(visit, VisitChange::Left { .. });
            visits += counted
                .visits
                .iter()
                .filter(|found| left(&found.visit.what))
                .count() as u64;
        }
        assert_eq!(scene.remembered(), 0, "after {} tracks", tracker.started());
        if warm.is_none() && tracker.started() >= wanted / 10 {
            warm = Some(rss_bytes());
        }
    }
    let grown = rss_bytes().saturating_sub(warm.unwrap()) / 1024;
    println!(
        "{} tracks, {visits} visits over, {grown} KiB more than after a tenth",
        tracker.started()
    );
    assert!(visits >= 1000, "{visits}");
    assert!(grown < 2048, "{grown} KiB");
}

#[test]
fn detections_that_are_none_never_panic_and_are_nobody() {
    let mut rng = Rng::with_seed(seed());
    let frames = scale::rounds(10_000, 100_000);
    let (mut tracker, mut scene) = (Tracker::new(Settings::with_threshold(0.5), 1), scene());
    let (mut at, mut most) = (Duration::ZERO, 0);
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        1e30,
        -1e30,
        9e5,
        -9e5,
        0.0,
        f32::MIN_POSITIVE,
    ];
    for frame in 0..frames {
        // Now and then time stands still, or leaps.
        at += match rng.u8(..) {
            0 => Duration::ZERO,
            1 => Duration::from_secs(rng.u64(0..100_000)),
            _ => FRAME,
        };
        let size = if rng.u8(..) == 0 {
            (rng.u32(0..3), rng.u32(0..9000))
        } else {
            SIZE
        };
        let detections: Vec<_> = (0..rng.usize(0..12))
            .map(|_| {
                let mut value = || match rng.u8(0..6) {
                    0 => odd[rng.usize(0..odd.len())],
                    1 => (rng.f32() - 0.5) * 1e6,
                    _ => rng.f32() * 640.0,
                };
                Detection {
                    // Inverted as often as not.
                    rect: Rect {
                        x0: value(),
                        y0: value(),
                        x1: value(),
                        y1: value(),
                    },
                    score: if value() > 600.0 {
                        f32::NAN
                    } else {
                        value() / 640.0
                    },
                    class: value() as u16,
                }
            })
            .collect();
        tracker.step(at, &detections);
        scene.step(at, &tracker, size);
        most = most.max(scene.remembered());
        for zone in scene.zones() {
            assert!(zone.present() <= 512, "frame {frame}");
        }
    }
    tracker.finish();
    scene.step(at + Duration::from_secs(10), &tracker, SIZE);
    println!("{frames} frames, at most {most} entries remembered");
    assert_eq!(scene.remembered(), 0);
    // The heatmap holds seconds of presence, not of nonsense.
    let seconds: u64 = scene.heatmap().take().into_iter().map(u64::from).sum();
    assert!(seconds <= at.as_secs() * 512, "{seconds}");
}
