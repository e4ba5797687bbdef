use super::super::testing::*;
use super::super::{open, probe};

const RED: u8 = 0;
const GREEN: u8 = 1;
const BLUE: u8 = 2;
const NOTHING: u8 = 3;

/// A piece of an animation in one colour: left, top, width, height, colour, delay in 10 ms, disposal.
type Piece = (u16, u16, u16, u16, u8, u16, gif::DisposalMethod);

fn animation(width: u16, height: u16, pieces: &[Piece]) -> Vec<u8> {
    let palette = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9];
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &palette).unwrap();
    for (left, top, width, height, colour, delay, dispose) in pieces.iter().copied() {
        let frame = gif::Frame {
            left,
            top,
            width,
            height,
            delay,
            dispose,
            transparent: Some(NOTHING),
            buffer: vec![colour; usize::from(width) * usize::from(height)].into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    bytes
}

/// A row of pixels as letters.
fn letters(rgb: &[u8]) -> String {
    let letter = |pixel: &[u8]| match pixel {
        [255, 0, 0] => 'r',
        [0, 255, 0] => 'g',
        [0, 0, 255] => 'b',
        _ => '.',
    };
    rgb.chunks(3).map(letter).collect()
}

#[test]
fn pieces_are_drawn_over_each_other_and_vanish_as_they_say() {
    use gif::DisposalMethod::{Background, Keep, Previous};
    let bytes = animation(
        4,
        1,
        &[
            (0, 0, 4, 1, RED, 7, Keep),
            (1, 0, 2, 1, GREEN, 0, Previous),
            (0, 0, 4, 1, NOTHING, 5, Keep),
            (2, 0, 1, 1, BLUE, 5, Background),
            (3, 0, 3, 1, GREEN, 5, Keep),
        ],
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("named.mp4"); // the content counts, not the name
    write(&path, &bytes);
    let mut rows = Vec::new();
    let played = play_file(&path, |frame| rows.push(letters(&frame.rgb)));
    assert!(played.end.is_ok());
    assert_eq!(rows, ["rrrr", "rggr", "rrrr", "rrbr", "rr.g"]);
    let times: Vec<u128> = played
        .times
        .iter()
        .map(std::time::Duration::as_millis)
        .collect();
    assert_eq!(times, [0, 70, 170, 220, 270]);
    let info = probe(&spec(&path)).unwrap();
    assert_eq!(
        (info.width, info.height, info.codec.as_str()),
        (4, 1, "gif")
    );
}

fn ten_frames() -> Vec<u8> {
    let piece = |n: u16| (n, n, 20, 20, (n % 3) as u8, 4, gif::DisposalMethod::Keep);
    animation(40, 30, &(0..10).map(piece).collect::<Vec<_>>())
}

#[test]
fn an_animation_cut_in_the_middle_plays_up_to_the_cut_and_says_so() {
    let bytes = ten_frames();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.gif");
    write(&path, &bytes[..bytes.len() * 2 / 3]);
    let played = play_file(&path, |_| {});
    let good = played.times.len();
    assert!((5..8).contains(&good), "{good}");
    let text = played.end.unwrap_err().to_string();
    assert!(
        text.contains(&format!("after {good} good frames")),
        "{text}"
    );
}

#[test]
fn an_animation_larger_than_any_camera_is_refused_before_memory_is_taken() {
    let mut bytes = ten_frames();
    bytes[6..10].copy_from_slice(&[255; 4]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.gif");
    write(&path, &bytes);
    let text = open(&spec(&path)).err().unwrap().to_string();
    assert!(
        text.contains("65535x65535") && text.contains("shrink"),
        "{text}"
    );
}

#[test]
fn damaged_bytes_never_panic_or_hang() {
    let bytes = ten_frames();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bad.gif");
    for seed in 0..500 {
        eprintln!("seed {seed}");
        let mut bad = damage(&bytes, seed);
        let kept = bad.len().min(6);
        bad[..kept].copy_from_slice(&bytes[..kept]);
        write(&path, &bad);
        if let Ok(mut source) = open(&spec(&path)) {
            play(source.as_mut(), |_| {});
        }
    }
}

#[test]
fn the_animations_among_the_test_data_look_as_ffmpeg_shows_them() {
    for (name, frames) in [
        ("clips/intel_store-aisle-detection.gif", 67),
        ("clips/intel_people-detection.gif", 23),
        ("clips/intel_worker-zone-detection.gif", 71),
    ] {
        let Some(path) = data(name) else { return };
        assert_eq!(play_file(&path, |_| {}).times.len(), frames);
        if have_ffmpeg() {
            same_as_ffmpeg(&path, 0.0);
        }
    }
}
