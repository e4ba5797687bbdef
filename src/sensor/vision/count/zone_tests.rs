use super::*;
use crate::sensor::vision::count::geometry::{Anchor, Point};
use crate::sensor::vision::count::walker::Walkers;
use crate::sensor::vision::track::{Settings, Tracker};
use crate::sensor::vision::{Detection, Rect};

const SIZE: (u32, u32) = (640, 480);

/// From 240 to 400 pixels across, 240 to 400 down.
fn shelf() -> ZoneSettings {
    ZoneSettings {
        points: vec![[0.375, 0.5], [0.625, 0.5], [0.625, 0.8333], [0.375, 0.8333]],
        half_band: 0.15,
        dwell: Duration::from_secs(5),
        longest: Duration::from_secs(60),
    }
}

/// A person with their feet at that point, whose head is so far above them.
fn person((x, y): Point, height: f32) -> Detection {
    Detection {
        rect: Rect {
            x0: x - 20.0,
            y0: y - height,
            x1: x + 20.0,
            y1: y,
        },
        score: 0.9,
        class: 0,
    }
}

/// What happens in the zone when people are seen so, at 10 frames a second.
fn visits(
    settings: ZoneSettings,
    seconds: f32,
    see: impl Fn(f32) -> Vec<Detection>,
) -> (Vec<VisitChange>, usize) {
    let mut tracker = Tracker::new(Settings::with_threshold(0.5), 1);
    let mut walkers = Walkers::new(Anchor::BottomCenter);
    let (mut zone, mut out) = (ZoneCounter::new(settings), Vec::new());
    for frame in 0..(seconds * 10.0) as u64 {
        let at = Duration::from_millis(frame * 100);
        tracker.step(at, &see(at.as_secs_f32()));
        walkers.step(at, tracker.tracks(), tracker.ended());
        zone.step(walkers.steps(), walkers.gone(), SIZE, &mut out);
    }
    (out.iter().map(|visit| visit.what).collect(), zone.present())
}

fn lengths(visits: &[VisitChange]) -> Vec<(LeftReason, u64)> {
    let left = |what: &VisitChange| match *what {
        VisitChange::Left { stayed, reason } => Some((reason, stayed.as_secs())),
        _ => None,
    };
    visits.iter().filter_map(left).collect()
}

#[test]
fn a_walk_through_a_zone_is_one_visit_without_a_stay() {
    let (visits, present) = visits(shelf(), 9.0, |t| {
        vec![person((80.0 + 60.0 * t, 320.0), 100.0)]
    });
    assert_eq!(visits.first(), Some(&VisitChange::Entered));
    assert_eq!(lengths(&visits), [(LeftReason::Left, 2)]);
    assert_eq!((visits.len(), present), (2, 0), "{visits:?}");
}

#[test]
fn who_stays_is_told_after_the_dwell_time_and_once() {
    let to = |t: f32| 80.0 + 60.0 * t.min(4.0) + 60.0 * (t - 20.0).max(0.0);
    let (visits, present) = visits(shelf(), 30.0, |t| vec![person((to(t), 320.0), 100.0)]);
    let stays: Vec<_> = visits
        .iter()
        .filter(|what| matches!(what, VisitChange::Dwelled { .. }))
        .collect();
    assert_eq!(
        stays,
        [&VisitChange::Dwelled {
            stayed: Duration::from_secs(5)
        }]
    );
    assert_eq!(present, 0);
    let [(LeftReason::Left, seconds)] = lengths(&visits)[..] else {
        panic!("{visits:?}")
    };
    assert!((17..=20).contains(&seconds), "{seconds}");
}

#[test]
fn somebody_who_shifts_on_the_border_for_five_minutes_is_at_most_one_visit() {
    let seed = 20_261_121;
    let rng = std::cell::RefCell::new(fastrand::Rng::with_seed(seed));
    let settings = ZoneSettings {
        longest: Duration::from_secs(3600),
        ..shelf()
    };
    let (visits, _) = visits(settings, 300.0, |t| {
        let jitter = 4.0 * (rng.borrow_mut().f32() - 0.5);
        vec![person(
            (240.0 + 9.0 * (t * 1.3).sin() + jitter, 320.0),
            100.0,
        )]
    });
    let entered = visits
        .iter()
        .filter(|what| **what == VisitChange::Entered)
        .count();
    assert!(
        entered <= 1 && lengths(&visits).is_empty(),
        "{visits:?}, seed {seed}"
    );
}

#[test]
fn who_is_hidden_inside_for_a_moment_is_on_one_visit_even_as_another_track() {
    // Hidden for 0.4 s; then only the upper body shows, which is another track to the tracker.
    let (visits, present) = visits(shelf(), 15.0, |t| match t {
        ..6.0 => vec![person((320.0, 330.0), 100.0)],
        ..6.4 => vec![],
        _ => vec![person((320.0, 330.0), 60.0)],
    });
    let entered = visits
        .iter()
        .filter(|what| **what == VisitChange::Entered)
        .count();
    assert_eq!((entered, present), (1, 1), "{visits:?}");
    assert_eq!(lengths(&visits), []);
}

#[test]
fn who_vanishes_inside_is_lost_and_counts_up_to_when_they_were_seen() {
    let (visits, present) = visits(shelf(), 15.0, |t| match t {
        ..8.0 => vec![person((320.0, 330.0), 100.0)],
        _ => vec![],
    });
    assert_eq!(lengths(&visits), [(LeftReason::Lost, 7)]);
    assert_eq!(present, 0);
}

#[test]
fn a_mannequin_is_timed_out_once_and_is_nobody_from_then_on() {
    let (visits, present) = visits(shelf(), 200.0, |_| vec![person((320.0, 330.0), 100.0)]);
    assert_eq!(lengths(&visits), [(LeftReason::Timeout, 60)]);
    assert_eq!((visits.len(), present), (3, 0), "{visits:?}");
}

#[test]
fn a_zone_that_is_narrower_than_its_band_still_has_an_inside() {
    // Ten pixels deep, for people of 100 pixels with a band of 15 on either side.
    let narrow = ZoneSettings {
        points: vec![[0.2, 0.66], [0.8, 0.66], [0.8, 0.68], [0.2, 0.68]],
        ..shelf()
    };
    let (visits, present) = visits(narrow, 10.0, |_| vec![person((320.0, 321.6), 100.0)]);
    assert_eq!((visits.first(), present), (Some(&VisitChange::Entered), 1));
}
