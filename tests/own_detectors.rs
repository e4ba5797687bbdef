//! Our own detectors where it counts: recordings that were counted by hand, and the synthetic shop from the wall and from
//! the ceiling, by day and in the evening.
//!
//! One shop of each by default; twenty with `FOOTFALL_TORTURE=full cargo nextest run --profile torture --test own_detectors`.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/program.rs"]
mod program;
#[path = "common/scale.rs"]
mod scale;

use footfall::demo::{
    DEFAULT_SEED, Light, Moment, Place, SyntheticShop, match_crossings, pipeline,
};
use footfall::sensor::camera::{Frame, FrameSource, Next};
use footfall::sensor::vision::count::scene::Counted;
use footfall::sensor::vision::runtime;
use program::{data, ended, footfall, library};
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Of a shop; about thirty crossings.
const SECONDS: f64 = 90.0;

/// What a line of a recording counts, in and out, with the example config of that name as it stands.
fn counted(config: &str, clip: &str, line: &str) -> Option<(i64, i64)> {
    let data = data().filter(|_| library())?;
    let mut command = footfall(["replay", "--json", "--config"]);
    command
        .arg(format!("{ROOT}/firmware-config/examples/{config}.toml"))
        .arg(data.join("clips").join(clip))
        .env("FOOTFALL_MODELS", format!("{ROOT}/models"));
    let ended = ended(command);
    assert_eq!(ended.code, 0, "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.out).unwrap();
    let line = &summary["lines"][line];
    Some((line["in"].as_i64().unwrap(), line["out"].as_i64().unwrap()))
}

/// Crossings too many and too few.
fn wrong((ins, outs): (i64, i64), (true_ins, true_outs): (i64, i64)) -> i64 {
    (ins - true_ins).abs() + (outs - true_outs).abs()
}

#[test]
fn the_aisle_of_a_bus_from_above() {
    let Some(counted) = counted("koba-middle", "koba_bus.avi", "middle") else {
        return;
    };
    println!("koba_bus, middle: in and out {counted:?}; true are (7, 7)");
    assert!(wrong(counted, (7, 7)) <= 1, "{counted:?}");
}

#[test]
fn a_crossing_of_paths_from_a_mast() {
    let Some(counted) = counted("pets-middle", "pets09-s2l1-view1.mp4", "middle") else {
        return;
    };
    println!("PETS09 S2.L1, middle: in and out {counted:?}; true are (14, 18)");
    assert!(wrong(counted, (14, 18)) <= 3, "{counted:?}");
}

#[test]
fn six_who_leave_one_by_one() {
    let Some(counted) = counted("one-by-one", "one-by-one-person-detection.mp4", "exit") else {
        return;
    };
    println!("one by one, exit: in and out {counted:?}; true are (0, 6)");
    assert_eq!(counted, (0, 6));
}

/// Plays a shop; its true crossings, and those that were missed and invented.
fn played(place: Place, light: Light, seed: u64) -> (usize, Vec<Moment>, Vec<Moment>) {
    let mut shop = SyntheticShop::seen(place, light, seed, SECONDS, 10.0);
    let truth = shop.truth().crossings;
    let truth: Vec<Moment> = truth
        .iter()
        .map(|crossing| Moment {
            at: crossing.at.as_secs_f64(),
            direction: crossing.direction,
        })
        .collect();
    let runtime = runtime::load(None).unwrap();
    let mut pipeline = pipeline(place, &shop.line(), &runtime).unwrap();
    let (mut frame, mut counted) = (Frame::default(), Vec::new());
    let mut count = |at: f64, found: &Counted| {
        counted.extend(found.crossings.iter().map(|crossing| Moment {
            at,
            direction: crossing.crossing.direction,
        }));
    };
    while shop.next_frame(&mut frame).unwrap() == Next::Frame {
        let at = frame.at.as_secs_f64();
        count(at, pipeline.process(&mut frame).unwrap());
    }
    count(SECONDS, pipeline.finish(frame.at));
    let matching = match_crossings(&truth, &counted);
    (truth.len(), matching.missed, matching.invented)
}

/// Every crossing of every shop of one place and light.
fn shops(place: Place, light: Light) {
    if !library() {
        return;
    }
    let (mut all, mut wrong) = (0, Vec::new());
    for seed in DEFAULT_SEED..DEFAULT_SEED + scale::rounds(1, 20) as u64 {
        let (truth, missed, invented) = played(place, light, seed);
        all += truth;
        if !missed.is_empty() || !invented.is_empty() {
            wrong.push(format!(
                "shop {seed}: missed {missed:?}, invented {invented:?}"
            ));
        }
    }
    eprintln!(
        "the demo's shop, {place:?}, {light:?}: {all} true crossings; shops with a mistake: {}",
        wrong.len()
    );
    assert!(all > 20, "{all}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_shop_from_the_wall_by_day() {
    shops(Place::Oblique, Light::Day);
}

#[test]
fn the_shop_from_the_wall_in_the_evening() {
    shops(Place::Oblique, Light::Evening);
}

#[test]
fn the_shop_from_the_ceiling_by_day() {
    shops(Place::Overhead, Light::Day);
}

#[test]
fn the_shop_from_the_ceiling_in_the_evening() {
    shops(Place::Overhead, Light::Evening);
}
