use super::*;

fn detection(x: f32, y: f32, score: f32) -> Detection {
    Detection {
        rect: Rect {
            x0: x,
            y0: y,
            x1: x + 40.0,
            y1: y + 100.0,
        },
        score,
        class: 0,
    }
}

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn tracker() -> Tracker {
    Tracker::new(Settings::with_threshold(0.5), 1)
}

#[test]
fn a_walker_keeps_one_track_and_is_confirmed_by_the_third_observation() {
    let mut tracker = tracker();
    for frame in 0..30u64 {
        tracker.step(
            ms(frame * 100),
            &[detection(10.0 * frame as f32, 50.0, 0.9)],
        );
        assert_eq!(tracker.tracks().len(), 1);
        assert_eq!(tracker.tracks()[0].confirmed, frame >= 2);
    }
    assert_eq!(tracker.started(), 1);
}

#[test]
fn a_weak_detection_keeps_a_track_alive_but_never_starts_one() {
    let mut tracker = tracker();
    for frame in 0..5u64 {
        tracker.step(ms(frame * 100), &[detection(0.0, 0.0, 0.9)]);
    }
    for frame in 5..40u64 {
        tracker.step(
            ms(frame * 100),
            &[detection(0.0, 0.0, 0.2), detection(300.0, 0.0, 0.2)],
        );
    }
    assert_eq!(tracker.started(), 1);
    assert!(tracker.tracks()[0].seen);
}

#[test]
fn a_person_hidden_for_a_second_keeps_their_number() {
    let mut tracker = tracker();
    for frame in 0..60u64 {
        let hidden = (25..35).contains(&frame);
        let seen = [detection(8.0 * frame as f32, 50.0, 0.9)];
        tracker.step(ms(frame * 100), if hidden { &[] } else { &seen });
    }
    assert_eq!(tracker.started(), 1);
}

#[test]
fn two_people_who_pass_each_other_keep_their_numbers() {
    let mut tracker = tracker();
    for frame in 0..60u64 {
        let x = 8.0 * frame as f32;
        tracker.step(
            ms(frame * 100),
            &[detection(x, 50.0, 0.9), detection(480.0 - x, 70.0, 0.85)],
        );
    }
    assert_eq!(tracker.started(), 2);
    assert!(tracker.tracks()[0].rect.x0 > tracker.tracks()[1].rect.x0);
}

#[test]
fn a_person_hidden_by_a_post_does_not_take_the_box_of_one_who_comes_the_other_way() {
    let mut tracker = tracker();
    for frame in 0..40u64 {
        let x = 400.0 - 8.0 * frame as f32;
        let hidden = (20..26).contains(&frame);
        let other = detection(x + 34.0, 75.0, 0.8);
        let one = detection(x, 50.0, 0.9);
        let seen: &[Detection] = match frame {
            21 => &[other],
            _ if hidden => &[],
            _ => &[one],
        };
        tracker.step(ms(frame * 100), seen);
    }
    let first = &tracker.tracks()[0];
    assert!(first.id == 1 && first.seen, "track {}", first.id);
    assert!((first.rect.x0 - 88.0).abs() < 8.0, "{:?}", first.rect);
}

#[test]
fn the_outcome_does_not_depend_on_the_frame_rate() {
    for step in [40u64, 100, 200] {
        let mut tracker = tracker();
        let mut now = 0;
        while now < 6000 {
            tracker.step(ms(now), &[detection(0.08 * now as f32, 50.0, 0.9)]);
            now += step;
        }
        assert_eq!(tracker.started(), 1, "a frame every {step} ms");
        assert!(tracker.tracks()[0].velocity().0 > 70.0);
    }
}

#[test]
fn a_track_that_is_over_is_reported_once() {
    let mut tracker = tracker();
    for frame in 0..5u64 {
        tracker.step(ms(frame * 100), &[detection(0.0, 0.0, 0.9)]);
    }
    let mut ended = 0;
    for frame in 5..60u64 {
        tracker.step(ms(frame * 100), &[]);
        ended += tracker.ended().len();
    }
    assert_eq!((ended, tracker.tracks().len()), (1, 0));
}

#[test]
fn time_that_does_not_move_forward_is_ignored() {
    let mut tracker = tracker();
    tracker.step(ms(100), &[detection(0.0, 0.0, 0.9)]);
    tracker.step(ms(100), &[detection(500.0, 0.0, 0.9)]);
    tracker.step(ms(50), &[detection(500.0, 0.0, 0.9)]);
    assert_eq!(tracker.started(), 1);
}

#[test]
fn garbage_detections_never_panic_and_never_become_tracks() {
    let mut tracker = tracker();
    let seed = 7;
    let mut rng = fastrand::Rng::with_seed(seed);
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30];
    for frame in 0..2000u64 {
        let garbage: Vec<Detection> = (0..8)
            .map(|_| {
                let mut coordinates = [0.0; 4].map(|_: f32| rng.f32() * 1000.0);
                coordinates[rng.usize(0..4)] = bad[rng.usize(0..bad.len())];
                let [x0, y0, x1, y1] = coordinates;
                Detection {
                    rect: Rect { x0, y0, x1, y1 },
                    score: rng.f32(),
                    class: 0,
                }
            })
            .collect();
        tracker.step(ms(frame * 100), &garbage);
    }
    assert_eq!(tracker.started(), 0, "seed {seed}");
}

#[test]
fn a_crowd_beyond_the_limit_does_not_grow_memory() {
    let mut tracker = Tracker::new(
        Settings {
            max_tracks: 10,
            ..Settings::with_threshold(0.5)
        },
        1,
    );
    let crowd: Vec<_> = (0..100)
        .map(|i| detection(i as f32 * 200.0, 0.0, 0.9))
        .collect();
    for frame in 0..5u64 {
        tracker.step(ms(frame * 100), &crowd);
    }
    assert_eq!(tracker.tracks().len(), 10);
}
