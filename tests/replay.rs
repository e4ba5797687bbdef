//! `footfall replay` end to end: the truth of recordings that were counted by hand, the same bytes every time, and
//! recordings of every kind.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/program.rs"]
mod program;

use std::io::BufWriter;
use std::path::Path;

use footfall::demo::{DEFAULT_SEED, SyntheticShop};
use footfall::sensor::camera::{Frame, FrameSource, Next};
use image::codecs::gif::GifEncoder;
use image::imageops::FilterType;
use image::{Delay, DynamicImage, RgbImage, imageops};
use program::{Home, data, ended, example, ffmpeg, footfall, library, models};
use serde_json::Value;

const ONE_BY_ONE: (&str, &str) = ("one-by-one.toml", "one-by-one-person-detection.mp4");
const PETS: (&str, &str) = ("pets-middle.toml", "pets09-s2l1-view1.mp4");

/// Replays a clip of the test data with a config of the examples; what it printed.
fn replayed((config, clip): (&str, &str), data: &Path, model: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let shop = home.path().join("shop.toml");
    // People are 40 to 60 pixels tall there, and a post hides them on the line: a sensitive threshold keeps their tracks whole.
    let threshold = Some(0.3).filter(|_| config == PETS.0);
    example(config, model, threshold, &shop);
    let mut command = footfall(["replay", "--json", "--config"]);
    command
        .arg(shop)
        .arg(data.join("clips").join(clip))
        .env("FOOTFALL_MODELS", models(data));
    let ended = ended(command);
    assert_eq!(ended.code, 0, "{ended:?}");
    ended.out
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn in_out(summary: &Value, line: &str) -> (i64, i64) {
    let line = &summary["lines"][line];
    (line["in"].as_i64().unwrap(), line["out"].as_i64().unwrap())
}

#[test]
fn six_people_who_leave_one_by_one_are_six_with_a_line_where_they_are_whole() {
    let Some(data) = data().filter(|_| library()) else {
        return;
    };
    let summary = parsed(&replayed(ONE_BY_ONE, &data, "yolox-nano-416"));
    assert_eq!(summary["frames"], 1394);
    assert_eq!(in_out(&summary, "exit"), (0, 6), "{summary}");
    let nanodet = parsed(&replayed(ONE_BY_ONE, &data, "nanodet-m-320"));
    assert_eq!(in_out(&nanodet, "exit"), (0, 6), "{nanodet}");
    println!(
        "one by one: the line at the picture's edge counts {:?}; true are (0, 6)",
        in_out(&summary, "bottom")
    );
}

#[test]
fn a_crossing_of_paths_is_counted_nearly_as_by_hand() {
    let Some(data) = data().filter(|_| library()) else {
        return;
    };
    let summary = parsed(&replayed(PETS, &data, "yolox-nano-416"));
    assert_eq!(summary["frames"], 795);
    assert_eq!(summary["seconds"], 79.5);
    let (inward, outward) = in_out(&summary, "middle");
    println!(
        "PETS: middle {inward} in, {outward} out (true 14, 18); across {:?} (true 12, 18)",
        in_out(&summary, "across")
    );
    assert!((inward - 14).abs() + (outward - 18).abs() <= 2, "{summary}");
    let (down, up) = in_out(&summary, "across");
    assert!((down - 12).abs() + (up - 18).abs() <= 3, "{summary}");
}

#[test]
fn a_light_model_plays_to_the_end_and_two_runs_are_the_same_to_the_byte() {
    let Some(data) = data().filter(|_| library()) else {
        return;
    };
    for (recording, frames) in [(ONE_BY_ONE, 1394), (PETS, 795)] {
        let first = replayed(recording, &data, "fastestdet-352");
        let summary = parsed(&first);
        assert_eq!(summary["frames"], frames);
        println!("fastestdet-352 on {}: {}", recording.1, summary["lines"]);
        assert_eq!(first, replayed(recording, &data, "fastestdet-352"));
    }
}

#[test]
fn the_synthetic_shop_counts_true_as_a_folder_a_gif_and_a_video() {
    if !library() {
        return;
    }
    let home = Home::new();
    let mut shop = SyntheticShop::new(DEFAULT_SEED, 20.0, 10.0);
    let pictures = pictures_of(&mut shop);
    let truth = shop.truth();
    let true_sums = (truth.inward as i64, truth.outward as i64);
    assert!(true_sums.0 > 0 && true_sums.1 > 0, "too short: {truth:?}");
    let points = format!("{:?}", shop.line().points);
    home.config("shop.toml", "[[0.5, 1.0], [0.5, 0.0]]", &points);

    std::fs::create_dir(home.path("room")).unwrap();
    for (number, picture) in pictures.iter().enumerate() {
        let name = format!("room/{number:03}.png");
        picture.save(home.path(&name)).unwrap();
    }
    let file = std::fs::File::create(home.path("room.gif")).unwrap();
    let frames = pictures.iter().map(|picture| {
        let colours = DynamicImage::from(picture.clone()).into_rgba8();
        image::Frame::from_parts(colours, 0, 0, Delay::from_numer_denom_ms(100, 1))
    });
    GifEncoder::new_with_speed(BufWriter::new(file), 10)
        .encode_frames(frames)
        .unwrap();
    let mut clips = vec!["room", "room.gif"];
    let room = home.path("room/%03d.png");
    let video = format!(
        "-framerate 10 -i {} -pix_fmt yuv420p -crf 12",
        room.display()
    );
    for (clip, codec) in [
        ("room.mp4", "-c:v libx264"),
        ("room.mkv", "-c:v libx265 -x265-params log-level=none"),
    ] {
        if ffmpeg(&format!("{video} {codec}"), &home.path(clip)) {
            clips.push(clip);
        }
    }
    for clip in clips {
        let args = [
            "replay",
            "--config",
            "shop.toml",
            "--json",
            "--boxes",
            "boxes",
            clip,
        ];
        let ended = ended(home.footfall(args));
        assert_eq!(ended.code, 0, "{clip}: {ended:?}");
        let summary = parsed(&ended.out);
        assert_eq!(summary["frames"], 200, "{clip}: {summary}");
        assert_eq!(summary["seconds"], 20.0, "{clip}: {summary}");
        assert_eq!(in_out(&summary, "door"), true_sums, "{clip}: {summary}");
        let boxes = std::fs::read_to_string(home.path("boxes")).unwrap();
        assert_eq!(boxes.lines().count(), 200, "{clip}");
    }
}

/// Every frame of the shop, at the size that its model looks at anyway.
fn pictures_of(shop: &mut SyntheticShop) -> Vec<RgbImage> {
    let (mut frame, mut pictures) = (Frame::default(), Vec::new());
    while shop.next_frame(&mut frame).unwrap() == Next::Frame {
        let whole = RgbImage::from_raw(frame.width, frame.height, frame.rgb.clone()).unwrap();
        pictures.push(imageops::resize(&whole, 256, 192, FilterType::Triangle));
    }
    pictures
}

#[test]
fn a_replay_in_words_says_frames_tracks_and_lines() {
    if !library() {
        return;
    }
    let home = Home::new();
    let ended = ended(home.footfall(["replay", "--config", "good.toml", "clip"]));
    assert_eq!(
        ended.out, "3 frames, 0.3 s, 0 tracks\nline door: in 0, out 0\n",
        "{ended:?}"
    );
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[test]
fn a_replay_counts_the_visits_to_zones() {
    if !library() {
        return;
    }
    let home = Home::new();
    let mut shop = SyntheticShop::new(DEFAULT_SEED, 20.0, 10.0);
    std::fs::create_dir(home.path("room")).unwrap();
    for (number, picture) in pictures_of(&mut shop).iter().enumerate() {
        picture
            .save(home.path(&format!("room/{number:03}.png")))
            .unwrap();
    }
    let zones = "[[camera.zone]]\nid = \"room\"\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\ndwell_s = 1\n\
        [[camera.zone]]\nid = \"corner\"\npoints = [[0.0, 0.0], [0.05, 0.0], [0.05, 0.05]]\n[[camera.line]]";
    home.config("zones.toml", "[[camera.line]]", zones);
    let replay = |json: &[&str]| {
        let args = ["replay", "--config", "zones.toml", "room"];
        let ended = ended(home.footfall(args.iter().chain(json)));
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.out
    };
    let zones = &parsed(&replay(&["--json"]))["zones"];
    let room = &zones["room"];
    assert!(room["entered"].as_u64().unwrap() > 3, "{zones}");
    // Everybody has left when the recording is over.
    assert_eq!(room["entered"], room["left"], "{zones}");
    assert!(
        room["dwelled"].as_u64() > Some(0) && room["dwell"]["max_s"].as_f64() > Some(1.0),
        "{zones}"
    );
    assert_eq!(zones["corner"]["entered"], 0, "{zones}");
    assert!(replay(&[]).contains("zone corner: 0 visits, 0 stayed\n"));
}
