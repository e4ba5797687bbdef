//! Lines, zones, places and opening hours: shapes that can be counted on, and names that lead somewhere.

use std::collections::BTreeSet;

use super::Faulty;
use crate::config::schema::{Camera, Config, Line, Place, Zone};
use crate::hours;
use crate::sensor::vision::count::{line_flaw, zone_flaw};

/// Lines and zones of one camera, and places, at most.
const MOST: usize = 32;

/// What is counted on one camera's picture.
pub(super) fn picture(key: &str, camera: &Camera, faults: &mut Faulty<'_, '_>) {
    if ![5, 10, 15, 20, 30, 60].contains(&camera.maps_min) {
        let key = format!("{key}.maps_min");
        faults.add(&key, "expected 5, 10, 15, 20, 30 or 60 minutes");
    }
    let mut ids = BTreeSet::new();
    for (index, one) in camera.line.iter().enumerate() {
        let key = format!("{key}.line[{index}]");
        if !ids.insert(&one.id) {
            faults.add(
                &format!("{key}.id"),
                "another line of this camera has this id already; ids are unique",
            );
        }
        line(&key, one, faults);
    }
    let mut ids = BTreeSet::new();
    for (index, one) in camera.zone.iter().enumerate() {
        let key = format!("{key}.zone[{index}]");
        if !ids.insert(&one.id) {
            faults.add(
                &format!("{key}.id"),
                "another zone of this camera has this id already; ids are unique",
            );
        }
        zone(&key, one, faults);
    }
    if camera.line.len() > MOST || camera.zone.len() > MOST {
        faults.add(key, "expected 32 lines and 32 zones at most");
    }
}

fn line(key: &str, line: &Line, faults: &mut Faulty<'_, '_>) {
    faults.id(&format!("{key}.id"), &line.id);
    faults.range(&format!("{key}.half_band"), line.half_band, 0.02, 1.0);
    if let Some(flaw) = line_flaw(&fractions(&line.points)) {
        faults.add(&format!("{key}.points"), flaw);
    }
    for (name, side) in [("left", &line.left), ("right", &line.right)] {
        if side.is_empty() || side.chars().count() > 64 {
            faults.add(
                &format!("{key}.{name}"),
                "expected a name of 1 to 64 characters",
            );
        }
    }
    if line.left == line.right {
        faults.add(
            &format!("{key}.right"),
            "the two sides need different names",
        );
    }
}

fn zone(key: &str, zone: &Zone, faults: &mut Faulty<'_, '_>) {
    faults.id(&format!("{key}.id"), &zone.id);
    faults.range(&format!("{key}.half_band"), zone.half_band, 0.02, 1.0);
    faults.range(&format!("{key}.dwell_s"), zone.dwell_s, 1.0, 3600.0);
    let longest = format!("{key}.longest_s");
    faults.range(&longest, zone.longest_s.into(), 60.0, 86_400.0);
    if f64::from(zone.longest_s) <= zone.dwell_s {
        faults.add(
            &longest,
            "expected more than `dwell_s`; nobody would ever stay",
        );
    }
    if let Some(flaw) = zone_flaw(&fractions(&zone.points)) {
        faults.add(&format!("{key}.points"), flaw);
    }
}

/// Places, and when the shop is open.
pub(super) fn places(config: &Config, faults: &mut Faulty<'_, '_>) {
    let known: BTreeSet<String> = config
        .camera
        .iter()
        .flat_map(|camera| {
            camera
                .line
                .iter()
                .map(|line| format!("{}/{}", camera.id, line.id))
        })
        .collect();
    let mut ids = BTreeSet::new();
    for (index, one) in config.place.iter().enumerate() {
        let key = format!("place[{index}]");
        if !ids.insert(&one.id) {
            let key = format!("{key}.id");
            faults.add(&key, "another place has this id already; ids are unique");
        }
        place(&key, one, &known, faults);
    }
    if config.place.len() > MOST {
        faults.add("place", "expected 32 places at most");
    }
    let hours = config.hours.iter().flat_map(|hours| hours.flaws());
    faults.section("hours", hours.collect());
}

fn place(key: &str, place: &Place, known: &BTreeSet<String>, faults: &mut Faulty<'_, '_>) {
    faults.id(&format!("{key}.id"), &place.id);
    if let Some(capacity) = place.capacity {
        faults.range(&format!("{key}.capacity"), capacity.into(), 1.0, 100_000.0);
    }
    if !place.reset.is_empty() && hours::clock(&place.reset).is_none() {
        let expected = "expected a time of day, such as \"04:00\" (or \"\" for never)";
        faults.add(&format!("{key}.reset"), expected);
    }
    if place.lines.is_empty() && place.reversed.is_empty() {
        let expected = "expected at least one line, such as [\"entrance/door\"] (camera/line)";
        faults.add(&format!("{key}.lines"), expected);
    }
    let mut named = BTreeSet::new();
    for (name, lines) in [("lines", &place.lines), ("reversed", &place.reversed)] {
        let key = format!("{key}.{name}");
        for line in lines {
            if !known.contains(line) {
                let known = known.iter().map(String::as_str);
                faults.unknown(
                    &key,
                    &format!("no line is called {line:?}; expected camera/line"),
                    line,
                    known,
                );
            }
            if !named.insert(line) {
                faults.add(
                    &key,
                    &format!("{line:?} is named twice; it would be counted twice"),
                );
            }
        }
    }
}

/// What can be counted on, and yet will disappoint: one text each.
#[must_use]
pub fn advice(config: &Config) -> Vec<String> {
    let mut advice = Vec::new();
    for camera in &config.camera {
        for line in &camera.line {
            if room_beside(&fractions(&line.points)) < TYPICAL_PERSON {
                advice.push(format!(
                    "camera {}, line {}: it is close to the picture's edge; people who come in there are first seen when they \
                     are on the line already. Move it at least one person's height away from the edge",
                    camera.id, line.id
                ));
            }
        }
        if let Some(fps) = camera.fps.filter(|fps| *fps < 5.0) {
            advice.push(format!(
                "camera {}: people are counted well from 5 pictures a second on; fps is {fps}",
                camera.id
            ));
        }
    }
    advice
}

/// A person's height on a picture of which nothing is known, in heights of the picture.
const TYPICAL_PERSON: f32 = 0.15;
/// Width of a picture in its heights, between 4:3 and 16:9.
const ASPECT: f32 = 1.5;

/// How much room there is to walk straight off the line before the picture ends, on the side that has less, in heights
/// of the picture. Looked at in the middle of each piece.
fn room_beside(points: &[[f32; 2]]) -> f32 {
    let room = |(a, b): (&[f32; 2], &[f32; 2])| {
        let (x, y) = ((a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0);
        let (dx, dy) = ((b[0] - a[0]) * ASPECT, b[1] - a[1]);
        let length = dx.hypot(dy).max(f32::EPSILON);
        // Straight off the line, in heights of the picture.
        let off = (-dy / length, dx / length);
        let until = |at: f32, end: f32, way: f32| {
            let far = if way > 0.0 {
                (end - at) / way
            } else {
                -at / way
            };
            if way.abs() < 1e-6 { f32::MAX } else { far }
        };
        [1.0, -1.0]
            .map(|side| until(x * ASPECT, ASPECT, off.0 * side).min(until(y, 1.0, off.1 * side)))
            .into_iter()
            .fold(f32::MAX, f32::min)
    };
    points
        .iter()
        .zip(points.iter().skip(1))
        .map(room)
        .fold(f32::MAX, f32::min)
}

fn fractions(points: &[[f64; 2]]) -> Vec<[f32; 2]> {
    points
        .iter()
        .map(|point| point.map(|share| share as f32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_along_the_edge_has_no_room_and_one_that_ends_there_has() {
        assert!(room_beside(&[[0.2, 0.95], [0.8, 0.95]]) < 0.06);
        assert!(room_beside(&[[0.02, 0.2], [0.02, 0.8]]) < 0.04);
        assert!(room_beside(&[[0.5, 1.0], [0.5, 0.0]]) > 0.7);
        assert!(room_beside(&[[0.0, 0.5], [1.0, 0.5]]) > 0.45);
    }
}
