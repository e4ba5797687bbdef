//! `footfall model bench`: several models, each in a process of its own, with a recording and without.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/program.rs"]
mod program;

use footfall::demo::{DEFAULT_SEED, SyntheticShop};
use footfall::sensor::camera::{Frame, FrameSource};
use program::{Home, ended, library};
use serde_json::Value;

#[test]
fn models_are_measured_and_it_is_said_what_the_box_can_hold() {
    if !library() {
        return;
    }
    let home = Home::new();
    let manifest = std::fs::read_to_string(home.path("person-oblique-int8.toml")).unwrap();
    home.put(
        "broken.toml",
        manifest
            .replace("person-oblique-int8.onnx", "gone.onnx")
            .as_bytes(),
    );
    let bench = |more: &[&str]| {
        let args = [
            "model",
            "bench",
            "--frames",
            "3",
            "person-oblique-int8.toml",
        ];
        ended(home.footfall(args.iter().chain(more)))
    };

    let plain = bench(&[]);
    assert_eq!(plain.code, 0, "{plain:?}");
    assert!(
        plain
            .out
            .contains("person-oblique-int8: 3 pictures of 1280×720 on 1 thread"),
        "{plain:?}"
    );
    assert!(plain.out.contains("pictures a second"), "{plain:?}");

    let two = bench(&["./person-oblique-int8.toml", "--threads", "2", "--json"]);
    assert_eq!(two.code, 0, "{two:?}");
    let json: Value = serde_json::from_str(&two.out).unwrap();
    assert_eq!(json.as_array().map(Vec::len), Some(2), "{json}");
    let first = &json[0];
    assert_eq!(
        (&first["model"], &first["threads"]),
        (&"person-oblique-int8".into(), &2.into())
    );
    for number in ["median_ms", "p95_ms", "cpu_ms", "memory_mb"] {
        assert!(first[number].as_f64() > Some(0.0), "{number} of {first}");
    }
    assert_eq!(first["holds"][3]["cameras"], 8, "{first}");
    assert_eq!(first["people"], Value::Null, "{first}");

    let broken = bench(&["broken.toml"]);
    assert_eq!(broken.code, 69, "{broken:?}");
    assert!(broken.err.contains("get gone.onnx from"), "{broken:?}");
    assert!(
        broken.out.contains("person-oblique-int8: 3 pictures"),
        "{broken:?}"
    );
}

#[test]
fn with_a_recording_it_is_said_how_large_the_model_sees_people() {
    if !library() {
        return;
    }
    let home = Home::new();
    let bench = |clip: &str| {
        let args = [
            "model",
            "bench",
            "person-oblique-int8.toml",
            "--frames",
            "12",
            "--clip",
            clip,
        ];
        ended(home.footfall(args))
    };
    // Three grey pictures.
    let nobody = bench("clip");
    assert_eq!(nobody.code, 0, "{nobody:?}");
    assert!(
        nobody.out.contains("WARNING: nobody was found"),
        "{nobody:?}"
    );
    assert!(nobody.out.contains("3 pictures of 64×48"), "{nobody:?}");

    std::fs::create_dir(home.path("room")).unwrap();
    let (mut shop, mut frame) = (
        SyntheticShop::new(DEFAULT_SEED, 20.0, 10.0),
        Frame::default(),
    );
    // One picture a second.
    for number in 0..12 {
        let mut passed = 0;
        let mut tenth = |_| {
            passed += 1;
            passed == 10
        };
        shop.next_kept(&mut frame, &mut tenth).unwrap();
        let rgb = frame.rgb.clone();
        let picture = image::RgbImage::from_raw(frame.width, frame.height, rgb).unwrap();
        picture
            .save(home.path(&format!("room/{number:03}.png")))
            .unwrap();
    }
    let people = bench("room");
    assert_eq!(people.code, 0, "{people:?}");
    assert!(people.out.contains("12 pictures of"), "{people:?}");
    assert!(people.out.contains("ms to decode it"), "{people:?}");
    assert!(
        people.out.contains("pixels long on the model's input"),
        "{people:?}"
    );

    let camera = |id: &str, from: &str| {
        let config = format!(
            "[device]\ntenant = \"t\"\nstore = \"s\"\nbox = \"b\"\n\n[[camera]]\nid = \"door\"\n{from}\n\
             model = \"person-oblique-int8.toml\"\n"
        );
        home.put("shop.toml", config.as_bytes());
        let args = [
            "model",
            "bench",
            "person-oblique-int8.toml",
            "--frames",
            "12",
        ];
        let chosen = ["--config", "shop.toml", "--camera", id];
        ended(home.footfall(args.iter().chain(&chosen)))
    };
    let room = "file = \"room\"\npicture_fps = 60";
    let installed = camera("door", room);
    assert_eq!(installed.code, 0, "{installed:?}");
    assert!(
        installed.out.contains("pixels long on the model's input"),
        "{installed:?}"
    );
    let unknown = camera("window", room);
    assert_eq!(unknown.code, 64, "{unknown:?}");
    assert!(unknown.err.contains("it has: door"), "{unknown:?}");
    let unplugged = camera("door", "device = \"/dev/v4l/by-id/none\"");
    assert_eq!(unplugged.code, 69, "{unplugged:?}");
    assert!(
        unplugged.err.contains("/dev/v4l/by-id/none"),
        "{unplugged:?}"
    );

    let gone = bench("gone.mp4");
    assert_eq!(gone.code, 69, "{gone:?}");
    assert!(gone.err.contains("gone.mp4"), "{gone:?}");
}
