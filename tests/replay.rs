//! `footfall replay` end to end: the truth of recordings that were counted by hand, the same bytes every time, and
//! recordings of every kind.

#[path = "common/program.rs"]
mod program;

use std::path::Path;

use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, Rgba, RgbaImage};
use program::{Home, data, ended, ffmpeg, footfall, library};
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const ONE_BY_ONE: (&str, &str) = ("one-by-one.toml", "one-by-one-person-detection.mp4");
const PETS: (&str, &str) = ("pets-middle.toml", "pets09-s2l1-view1.mp4");

/// Replays a clip of the test data with a config of the examples; what it printed.
fn replayed((config, clip): (&str, &str), data: &Path, model: &str) -> String {
    let mut command = footfall(["replay", "--json", "--model"]);
    command
        .arg(format!("{ROOT}/models/{model}.toml"))
        .arg("--config")
        .arg(format!("{ROOT}/firmware-config/examples/{config}"))
        .arg(data.join("clips").join(clip))
        .env("FOOTFALL_MODELS", data.join("models"));
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
    assert!((inward - 14).abs() + (outward - 18).abs() <= 4, "{summary}");
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
fn a_folder_a_gif_and_a_video_of_the_same_empty_room_all_count_nobody() {
    if !library() {
        return;
    }
    let home = Home::new();
    let pictures: Vec<RgbaImage> = (0..8u32)
        .map(|n| {
            RgbaImage::from_fn(160, 120, |x, _| {
                Rgba([90, 90, if x / 20 == n { 140 } else { 90 }, 255])
            })
        })
        .collect();
    std::fs::create_dir(home.path("room")).unwrap();
    for (number, picture) in pictures.iter().enumerate() {
        picture
            .save(home.path(&format!("room/{number:03}.png")))
            .unwrap();
    }
    let frames = pictures
        .into_iter()
        .map(|picture| Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(100, 1)));
    let file = std::fs::File::create(home.path("room.gif")).unwrap();
    GifEncoder::new(file).encode_frames(frames).unwrap();
    let mut clips = vec!["room", "room.gif"];
    let video = format!(
        "-framerate 10 -i {} -pix_fmt yuv420p",
        home.path("room/%03d.png").display()
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
        let ended = ended(home.footfall([
            "replay",
            "--config",
            "good.toml",
            "--json",
            "--boxes",
            "boxes",
            clip,
        ]));
        assert_eq!(ended.code, 0, "{clip}: {ended:?}");
        let summary = parsed(&ended.out);
        assert_eq!(summary["frames"], 8, "{clip}: {summary}");
        assert_eq!(summary["seconds"], 0.8, "{clip}: {summary}");
        assert_eq!(in_out(&summary, "door"), (0, 0), "{clip}: {summary}");
        let boxes = std::fs::read_to_string(home.path("boxes")).unwrap();
        assert_eq!(boxes.lines().count(), 8, "{clip}");
    }
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
