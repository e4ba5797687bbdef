use super::line::*;
use super::scene::*;
use crate::sensor::vision::track::{Settings, Tracker};
use crate::sensor::vision::{Detection, Rect};
use std::time::Duration;

#[test]
fn pets_scratch() {
    let text = std::fs::read_to_string(std::env::var("SCRATCH").unwrap()).unwrap();
    let mut tracker = Tracker::new(Settings::with_threshold(0.3), 1);
    let line = |points: &[[f32; 2]]| LineSettings {
        points: points.to_vec(),
        mode: CountMode::Immediate,
        half_band: 0.15,
    };
    let mut scene = Scene::new(SceneSettings {
        lines: vec![
            line(&[[0.5, 1.0], [0.5, 0.0]]),
            line(&[[0.0, 0.5], [1.0, 0.5]]),
        ],
        ..Default::default()
    });
    let mut sums = [[0; 2]; 2];
    for row in text.lines() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let at = Duration::from_millis(row["frame"].as_u64().unwrap() * 100);
        let all: Vec<Detection> = row["boxes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| {
                let v = |i: usize| b[i].as_f64().unwrap() as f32;
                Detection {
                    rect: Rect {
                        x0: v(0),
                        y0: v(1),
                        x1: v(2),
                        y1: v(3),
                    },
                    score: v(4),
                    class: 0,
                }
            })
            .collect();
        tracker.step(at, &all);
        for found in &scene.step(at, &tracker, (480, 360)).crossings {
            sums[found.line][found.crossing.direction as usize] += 1;
            println!(
                "{:.1} line {} {:?} track {}",
                at.as_secs_f32(),
                found.line,
                found.crossing.direction,
                found.crossing.track
            );
        }
    }
    println!(
        "middle {:?} across {:?} tracks {}",
        sums[0],
        sums[1],
        tracker.started()
    );
}
