use std::collections::HashSet;

use super::scene::{HALF_BAND, HEIGHT, View, WIDTH};
use super::script::{Behaviour, Script};
use super::*;
use crate::event::Direction;
use crate::sensor::camera::{Frame, FrameSource, Next};
use crate::sensor::vision::Rect;

/// Crossings by feet alone: which side of the band they were last clear of.
fn recount(script: &Script) -> Vec<(usize, Direction)> {
    let view = View::oblique();
    let mut seen = Vec::new();
    for (index, person) in script.people().iter().enumerate() {
        let (from, until) = person.present();
        let mut inside = None;
        let mut t = from;
        while t < until {
            if let Some(pose) = person.pose(t) {
                let heights = view.heights_from_line(pose.z, person.height);
                if heights.abs() >= HALF_BAND {
                    let now = heights > 0.0;
                    match inside {
                        Some(false) if now => seen.push((index, Direction::In)),
                        Some(true) if !now => seen.push((index, Direction::Out)),
                        _ => {}
                    }
                    inside = Some(now);
                }
            }
            t += 0.01;
        }
    }
    seen
}

/// The truth in the order of people, then of time.
fn by_person(script: &Script) -> Vec<(usize, Direction)> {
    let truth = script.crossings().iter();
    let mut truth: Vec<_> = truth.map(|c| (c.person, c.direction)).collect();
    truth.sort_by_key(|&(person, _)| person);
    truth
}

#[test]
fn the_truth_equals_a_recount_of_the_feet_for_many_seeds() {
    for seed in 0..60 {
        for place in [Place::Oblique, Place::Overhead] {
            let script = Script::new(seed, 90.0, place);
            assert_eq!(
                by_person(&script),
                recount(&script),
                "seed {seed} {place:?}"
            );
        }
    }
}

/// The same from the boxes of the drawn bodies at 10 frames a second, as a perfect detector would see them.
#[test]
fn the_lower_edges_of_perfect_boxes_cross_as_the_truth_says() {
    let view = View::oblique();
    let line_v = view.project([0.0, 0.0, scene::LINE_Z]).v;
    let mut limbs = Vec::new();
    for seed in 0..40 {
        let script = Script::new(seed, 90.0, Place::Oblique);
        let mut seen = Vec::new();
        for (index, person) in script.people().iter().enumerate() {
            let looks = figure::Looks::new(person.looks);
            let mut inside = None;
            for frame in 0..900 {
                let Some(pose) = person.pose(frame as f32 / 10.0) else {
                    continue;
                };
                figure::body(&pose, person.height, &looks, &mut limbs);
                let (mut top, mut bottom) = (f32::MAX, f32::MIN);
                for limb in &limbs {
                    for (end, radius) in [(limb.from, limb.radii.0), (limb.to, limb.radii.1)] {
                        let p = view.project(end);
                        top = top.min(p.v - radius * p.scale);
                        bottom = bottom.max(p.v + radius * p.scale);
                    }
                }
                if top >= HEIGHT as f32 {
                    continue;
                }
                let bottom = bottom.min(HEIGHT as f32);
                let heights = (bottom - line_v) / (bottom - top);
                if heights.abs() >= HALF_BAND {
                    let now = heights > 0.0;
                    match inside {
                        Some(false) if now => seen.push((index, Direction::In)),
                        Some(true) if !now => seen.push((index, Direction::Out)),
                        _ => {}
                    }
                    inside = Some(now);
                }
            }
        }
        assert_eq!(seen, by_person(&script), "seed {seed}");
    }
}

#[test]
fn nobody_turns_or_stands_where_a_crossing_would_be_a_matter_of_taste() {
    let view = View::oblique();
    for seed in 0..60 {
        let script = Script::new(seed, 90.0, Place::Oblique);
        for (index, person) in script.people().iter().enumerate() {
            let (from, until) = person.present();
            let crossings = script
                .crossings()
                .iter()
                .filter(|c| c.person == index)
                .count();
            let mut distances = Vec::new();
            let mut t = from;
            while t < until {
                if let Some(pose) = person.pose(t) {
                    distances.push(view.heights_from_line(pose.z, person.height));
                }
                t += 0.02;
            }
            let (low, high) = distances
                .iter()
                .fold((f32::MAX, f32::MIN), |(l, h), &d| (l.min(d), h.max(d)));
            let context = format!("seed {seed} person {index} {:?}", person.behaviour);
            match person.behaviour {
                Behaviour::PassBy => {
                    assert_eq!(crossings, 0, "{context}");
                    assert!(high < -0.6, "{context}: {low}..{high}");
                }
                Behaviour::TurnBefore => {
                    assert_eq!(crossings, 0, "{context}");
                    assert!(high < -0.35 || low > 0.35, "{context}: {low}..{high}");
                }
                Behaviour::LingerBack => {
                    assert_eq!(crossings, 0, "{context}");
                    // Into the band, but never near its far side.
                    assert!(high < 0.1 || low > -0.1, "{context}: {low}..{high}");
                    assert!(high > -HALF_BAND && low < HALF_BAND, "{context}");
                }
                Behaviour::TurnBeyond => {
                    assert_eq!(crossings, 2, "{context}");
                    assert!(low < -0.4 && high > 0.4, "{context}: {low}..{high}");
                }
                _ => {
                    assert_eq!(crossings, 1, "{context}");
                    assert!(low < -0.45 && high > 0.45, "{context}: {low}..{high}");
                }
            }
        }
    }
}

/// No camera could count who is hidden behind a companion. Shop 13 has a child and an adult side by side, off the middle.
#[test]
fn whoever_crosses_can_be_seen_crossing() {
    for place in [Place::Oblique, Place::Overhead] {
        let mut shop = SyntheticShop::seen(place, Light::Day, 13, 60.0, 5.0);
        let crossings = shop.truth().crossings;
        let (mut frame, mut seen) = (Frame::default(), vec![Vec::new(); crossings.len()]);
        while shop.next_frame(&mut frame).unwrap() == Next::Frame {
            for (crossing, seen) in crossings.iter().zip(&mut seen) {
                if crossing.at.abs_diff(frame.at).as_secs_f32() < 0.5 {
                    let its = shop.boxes().iter().find(|b| b.person == crossing.person);
                    seen.push(its.map_or(0.0, |its| its.visible));
                }
            }
        }
        for (crossing, seen) in crossings.iter().zip(seen) {
            let least = seen.into_iter().fold(1.0, f32::min);
            assert!(least > 0.5, "{place:?} {crossing:?}: {least}");
        }
    }
}

#[test]
fn the_default_shop_shows_every_behaviour_and_is_busy_but_not_absurd() {
    let script = Script::new(DEFAULT_SEED, DEFAULT_SECONDS as f32, Place::Oblique);
    let shown: HashSet<_> = script.people().iter().map(|p| p.behaviour).collect();
    assert_eq!(shown.len(), 9, "{shown:?}");
    let (inward, outward) = script.totals();
    assert!(
        (25..=40).contains(&(inward + outward)),
        "{inward} {outward}"
    );
    assert!(inward >= 8 && outward >= 8, "{inward} {outward}");
}

#[test]
fn the_shop_is_empty_at_both_ends_and_the_truth_lies_within() {
    for seed in 0..30 {
        let script = Script::new(seed, 60.0, Place::Oblique);
        for person in script.people() {
            let (from, until) = person.present();
            assert!(from > 0.0 && until < 60.0, "seed {seed}: {from}..{until}");
            assert!((1.2..=1.95).contains(&person.height));
        }
        let times: Vec<_> = script.crossings().iter().map(|c| c.at).collect();
        assert!(times.is_sorted(), "seed {seed}");
    }
    assert!(Script::new(1, 0.0, Place::Oblique).people().is_empty());
}

#[test]
fn the_same_seed_gives_the_same_frames_and_truth_and_another_seed_does_not() {
    let play = |seed| {
        let mut shop = SyntheticShop::new(seed, 12.0, 10.0);
        let mut frame = Frame::default();
        let mut frames = Vec::new();
        for index in [0, 60, 85] {
            shop.seek(index);
            assert_eq!(shop.next_frame(&mut frame).unwrap(), Next::Frame);
            frames.push((frame.clone().rgb, shop.boxes().to_vec()));
        }
        (frames, shop.truth())
    };
    assert!(play(3) == play(3));
    assert!(play(3).0 != play(4).0);
}

#[test]
fn frames_are_paced_numbered_and_end_and_boxes_stay_within_them() {
    let mut shop = SyntheticShop::new(11, 20.0, 2.5);
    let mut frame = Frame::default();
    let (mut count, mut seen) = (0u64, 0);
    while shop.next_frame(&mut frame).unwrap() == Next::Frame {
        assert_eq!(frame.index, count);
        assert_eq!(frame.at.as_millis(), u128::from(count) * 400);
        assert_eq!((frame.width, frame.height), (WIDTH, HEIGHT));
        assert_eq!(frame.rgb.len(), (WIDTH * HEIGHT * 3) as usize);
        for person in shop.boxes() {
            let rect = person.rect;
            assert!(rect.x0 >= 0.0 && rect.x0 < rect.x1 && rect.x1 <= WIDTH as f32);
            assert!(rect.y0 >= 0.0 && rect.y0 < rect.y1 && rect.y1 <= HEIGHT as f32);
            assert!(person.visible > 0.0 && person.visible <= 1.0);
            seen += 1;
        }
        count += 1;
    }
    assert_eq!(count, shop.frames());
    assert_eq!(count, 50);
    assert!(seen > 30, "{seen}");
    assert_eq!(shop.next_frame(&mut frame).unwrap(), Next::End);
}

#[test]
fn boxes_hold_the_people_and_all_of_the_people() {
    let mut shop = SyntheticShop::new(5, 40.0, 10.0);
    let (mut empty, mut frame) = (Frame::default(), Frame::default());
    shop.next_frame(&mut empty).unwrap();
    assert!(shop.boxes().is_empty());
    let mut bright = 0;
    for index in (20..400).step_by(20) {
        shop.seek(index);
        shop.next_frame(&mut frame).unwrap();
        let boxes: Vec<_> = shop.boxes().iter().map(|b| b.rect).collect();
        let pixels = frame.rgb.chunks_exact(3).zip(empty.rgb.chunks_exact(3));
        for (at, (now, before)) in pixels.enumerate() {
            // Shadows only darken, and daylight changes by less than this.
            if now
                .iter()
                .zip(before)
                .all(|(n, b)| i16::from(*n) - i16::from(*b) < 75)
            {
                continue;
            }
            bright += 1;
            let (x, y) = (at as u32 % WIDTH, at as u32 / WIDTH);
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            let held =
                |r: &Rect| x > r.x0 - 1.0 && x < r.x1 + 1.0 && y > r.y0 - 1.0 && y < r.y1 + 1.0;
            assert!(boxes.iter().any(held), "frame {index} at {x},{y}");
        }
    }
    assert!(bright > 5_000, "{bright}");
}

#[test]
fn a_nonsensical_length_or_rate_is_held_to_its_limits() {
    let mut frame = Frame::default();
    let mut none = SyntheticShop::new(1, f64::NAN, 10.0);
    assert_eq!(none.next_frame(&mut frame).unwrap(), Next::End);
    let shop = SyntheticShop::new(1, 10.0, f64::INFINITY);
    assert_eq!(shop.frames(), 600);
    assert_eq!(SyntheticShop::new(1, -5.0, 0.0).frames(), 0);
}

#[test]
fn the_weights_in_the_repository_are_small_and_the_ones_their_manifests_name() {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for name in ["overhead", "overhead-int8", "oblique", "oblique-int8"] {
        let text = std::fs::read_to_string(models.join(format!("person-{name}.toml"))).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let weights = std::fs::read(models.join(manifest["file"].as_str().unwrap())).unwrap();
        assert!(weights.len() <= 2_500_000, "{name}: {}", weights.len());
        let sum: String = <sha2::Sha256 as sha2::Digest>::digest(&weights)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(manifest["sha256"].as_str(), Some(sum.as_str()), "{name}");
    }
}
