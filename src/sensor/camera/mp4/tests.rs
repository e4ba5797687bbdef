use std::fs;

use super::super::testing::*;
use super::super::{CameraError, FileSpec, open, probe};
use super::*;

/// 3 s of moving content at 25 fps, 322x242, with B-frames that refer to B-frames.
const PYRAMID: &str = "-f lavfi -i testsrc2=s=322x242:r=25:d=3 -pix_fmt yuv420p \
                       -c:v libx264 -preset fast -bf 3 -b_strategy 0 -g 30 -threads 1";

fn clip(name: &str, arguments: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    have_ffmpeg().then(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        ffmpeg(arguments, &path);
        (dir, path)
    })
}

fn every(count: u32, fps: f64) -> Vec<u64> {
    (0..count)
        .map(|k| (f64::from(k) * 1000.0 / fps).round() as u64)
        .collect()
}

fn milliseconds(times: &[Duration]) -> Vec<u64> {
    times
        .iter()
        .map(|at| (at.as_secs_f64() * 1000.0).round() as u64)
        .collect()
}

/// The file is decoded here, not by `ffmpeg`.
fn ours(path: &Path) -> bool {
    Mp4::open(path, File::open(path).unwrap()).is_ok()
}

#[test]
fn frames_come_in_the_order_of_showing_at_their_times_whatever_the_b_frames() {
    for (bf, pyramid, refs) in [
        (0, "none", 1),
        (1, "none", 2),
        (3, "none", 3),
        (3, "normal", 4),
        (8, "normal", 6),
    ] {
        let arguments = format!(
            "-f lavfi -i testsrc2=s=160x96:r=10:d=40 -pix_fmt yuv420p -c:v libx264 -preset veryfast \
             -bf {bf} -b_strategy 0 -g 90 -x264-params b-pyramid={pyramid}:ref={refs} -threads 1"
        );
        let Some((_dir, path)) = clip("b.mp4", &arguments) else {
            return;
        };
        assert!(ours(&path));
        let played = same_as_ffmpeg(&path, 1.5);
        assert_eq!(played.times.len(), 400, "{bf} B-frames, pyramid {pyramid}");
        assert_eq!(milliseconds(&played.times), every(400, 10.0));
    }
}

#[test]
fn the_index_may_stand_before_or_behind_the_pictures_or_between_them() {
    for flags in [
        "0",
        "+faststart",
        "+frag_keyframe+empty_moov",
        "+frag_keyframe+empty_moov+default_base_moof",
        "+frag_every_frame+delay_moov",
    ] {
        let Some((_dir, path)) = clip("a.mp4", &format!("{PYRAMID} -movflags {flags}")) else {
            return;
        };
        assert!(ours(&path), "{flags}");
        let played = same_as_ffmpeg(&path, 2.0);
        assert_eq!(milliseconds(&played.times), every(75, 25.0), "{flags}");
        let info = probe(&spec(&path)).unwrap();
        assert_eq!((info.width, info.height, info.frames), (322, 242, Some(75)));
        assert!((info.fps - 25.0).abs() < 0.01, "{info:?}");
    }
}

#[test]
fn a_mov_with_sound_plays_its_pictures() {
    let sound = "-f lavfi -i sine=d=3 -c:a pcm_s16le";
    let arguments = PYRAMID.replace(" -pix_fmt", &format!(" {sound} -pix_fmt"));
    let Some((_dir, path)) = clip("a.mov", &arguments) else {
        return;
    };
    assert!(ours(&path));
    assert_eq!(same_as_ffmpeg(&path, 2.0).times.len(), 75);
}

#[test]
fn an_edit_list_that_cuts_the_start_off_is_obeyed() {
    let Some((dir, whole)) = clip("whole.mp4", PYRAMID) else {
        return;
    };
    let cut = dir.path().join("cut.mp4");
    // Copying from inside a group of pictures keeps the ones before it for decoding only.
    ffmpeg(&format!("-ss 1.6 -i {} -c copy", whole.display()), &cut);
    assert!(ours(&cut));
    let played = same_as_ffmpeg(&cut, 2.0);
    assert!(
        (30..=40).contains(&played.times.len()),
        "{}",
        played.times.len()
    );
    assert_eq!(played.times[0], Duration::ZERO);
}

#[test]
fn times_of_a_varying_frame_rate_are_kept() {
    let arguments = "-f lavfi -i testsrc2=s=160x96:r=30:d=2 -vf select=not(eq(mod(n\\,7)\\,3)) \
                     -fps_mode vfr -pix_fmt yuv420p -c:v libx264 -bf 2 -threads 1";
    let Some((_dir, path)) = clip("vfr.mp4", arguments) else {
        return;
    };
    let played = same_as_ffmpeg(&path, 2.0);
    let expected: Vec<u64> = (0..60)
        .filter(|n| n % 7 != 3)
        .map(|n| (f64::from(n) * 1000.0 / 30.0).round() as u64)
        .collect();
    assert_eq!(milliseconds(&played.times), expected);
}

#[test]
fn colours_follow_what_the_stream_says_about_them() {
    for (matrix, range) in [
        ("bt709", "tv"),
        ("smpte170m", "tv"),
        ("bt709", "pc"),
        ("smpte170m", "pc"),
    ] {
        let arguments = format!(
            "-f lavfi -i testsrc2=s=320x240:r=10:d=1 -vf scale=out_color_matrix={matrix}:out_range={range},format=yuv420p \
             -colorspace {matrix} -color_range {range} -c:v libx264 -qp 4 -threads 1"
        );
        let Some((_dir, path)) = clip("c.mp4", &arguments) else {
            return;
        };
        assert!(ours(&path), "{matrix} {range}");
        same_as_ffmpeg(&path, 1.0);
    }
}

#[test]
fn video_that_this_decoder_does_not_know_goes_to_ffmpeg() {
    for arguments in [
        "-f lavfi -i testsrc2=s=322x242:r=25:d=1 -c:v libx265 -x265-params log-level=error",
        "-f lavfi -i testsrc2=s=320x240:r=25:d=1 -pix_fmt yuv444p -c:v libx264",
        "-f lavfi -i testsrc2=s=320x240:r=25:d=1 -pix_fmt yuv420p10le -c:v libx264",
        "-f lavfi -i testsrc2=s=320x240:r=25:d=1 -pix_fmt yuv420p -c:v libx264 -flags +ilme+ildct -x264opts interlaced",
        "-f lavfi -i testsrc2=s=320x240:r=25:d=1 -c:v mpeg4",
    ] {
        let Some((_dir, path)) = clip("other.mp4", arguments) else {
            return;
        };
        assert!(!ours(&path), "{arguments}");
        assert_eq!(same_as_ffmpeg(&path, 3.0).times.len(), 25, "{arguments}");
    }
}

#[test]
fn a_phone_held_upright_gives_upright_pictures() {
    let Some((dir, path)) = clip("level.mp4", PYRAMID) else {
        return;
    };
    let upright = dir.path().join("upright.mp4");
    ffmpeg(
        &format!("-i {} -c copy -metadata:s:v rotate=90", path.display()),
        &upright,
    );
    assert!(!ours(&upright));
    assert_eq!(same_as_ffmpeg(&upright, 2.0).size, (242, 322));
}

#[test]
fn a_recording_cut_anywhere_plays_up_to_the_cut_and_says_how_far_it_got() {
    for flags in ["+faststart", "+frag_keyframe+empty_moov"] {
        let Some((dir, path)) = clip("a.mp4", &format!("{PYRAMID} -movflags {flags}")) else {
            return;
        };
        let bytes = fs::read(&path).unwrap();
        let reference = reference(&path);
        let mut last = 0;
        for tenth in 3..10 {
            let cut = dir.path().join("cut.mp4");
            write(&cut, &bytes[..bytes.len() * tenth / 10]);
            let size = 322 * 242 * 3;
            let played = play_file(&cut, |frame| {
                // The last ones before the cut may lack a neighbour, so they are found by their time.
                let at = (frame.at.as_secs_f64() * 25.0).round() as usize * size;
                let expected = &reference[at..at + size];
                assert!(
                    difference(&frame.rgb, expected) < 2.0,
                    "frame {}",
                    frame.index
                );
            });
            let probed = probe(&spec(&cut)).unwrap_err().to_string();
            assert!(probed.contains("the file ends"), "{probed}");
            let good = played.times.len();
            let text = played.end.unwrap_err().to_string();
            assert!(
                text.contains(&format!("after {good} good frames")),
                "{text}"
            );
            assert!(
                good >= last && good < 75,
                "{good} of 75 frames at {tenth}/10"
            );
            last = good;
        }
        assert!(last >= 45, "only {last} frames of nine tenths, {flags}");
    }
}

#[test]
fn a_recording_without_its_index_is_one_clear_error() {
    let Some((dir, path)) = clip("a.mp4", PYRAMID) else {
        return;
    };
    let bytes = fs::read(&path).unwrap();
    let cut = dir.path().join("cut.mp4");
    write(&cut, &bytes[..bytes.len() / 2]);
    for error in [
        open(&spec(&cut)).err().unwrap(),
        probe(&spec(&cut)).unwrap_err(),
    ] {
        assert!(matches!(error, CameraError::BadData { .. }));
        assert!(
            error.to_string().contains("index (moov) is missing"),
            "{error}"
        );
    }
}

#[test]
fn skipped_frames_are_counted_but_not_converted() {
    let Some((_dir, path)) = clip("a.mp4", PYRAMID) else {
        return;
    };
    let mut source = open(&spec(&path)).unwrap();
    let mut frame = Frame::default();
    let (mut asked, mut kept) = (0, Vec::new());
    loop {
        let mut keep = |_| {
            asked += 1;
            asked % 5 == 1
        };
        match source.next_kept(&mut frame, &mut keep).unwrap() {
            Next::Frame => kept.push((frame.index, frame.at.as_millis())),
            Next::End => break,
        }
    }
    assert_eq!(asked, 75);
    let expected: Vec<_> = (0..15).map(|k| (5 * k, u128::from(5 * k) * 40)).collect();
    assert_eq!(kept, expected);
}

#[test]
fn damaged_bytes_never_panic_or_hang() {
    for (first_seed, flags) in [(0, "+faststart"), (10_000, "+frag_keyframe+empty_moov")] {
        let arguments = format!(
            "-f lavfi -i testsrc2=s=96x64:r=10:d=1 -pix_fmt yuv420p -c:v libx264 -bf 2 -threads 1 -movflags {flags}"
        );
        let Some((dir, path)) = clip("a.mp4", &arguments) else {
            return;
        };
        let bytes = fs::read(&path).unwrap();
        for seed in first_seed..first_seed + 300 {
            eprintln!("seed {seed}");
            let path = dir.path().join("bad.mp4");
            write(&path, &damage(&bytes, seed));
            if let Ok(mut mp4) = Mp4::open(&path, File::open(&path).unwrap()) {
                let played = play(&mut mp4, |_| {});
                assert!(played.times.len() <= 1000, "seed {seed}");
            }
        }
    }
}

#[test]
fn the_recordings_among_the_test_data_give_every_frame() {
    for (name, frames) in [
        ("clips/one-by-one-person-detection.mp4", 1394),
        ("clips/pets09-s2l1-view1.mp4", 795),
    ] {
        let Some(path) = data(name) else { return };
        assert!(ours(&path));
        let played = play_file(&path, |_| {});
        assert!(played.end.is_ok());
        assert_eq!(milliseconds(&played.times), every(frames, 10.0));
        let spec = FileSpec {
            path,
            picture_fps: 10.0,
        };
        assert_eq!(probe(&spec).unwrap().frames, Some(u64::from(frames)));
    }
}

#[test]
fn the_recordings_among_the_test_data_look_as_ffmpeg_shows_them() {
    let Some(path) = data("clips/pets09-s2l1-view1.mp4") else {
        return;
    };
    if !have_ffmpeg() {
        return;
    }
    let size = 480 * 360 * 3;
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("some.rgb");
    let arguments = format!(
        "-i {} -vf select=not(mod(n\\,100)) -fps_mode passthrough -f rawvideo -pix_fmt rgb24",
        path.display()
    );
    ffmpeg(&arguments, &raw);
    let expected = fs::read(&raw).unwrap();
    assert_eq!(expected.len(), 8 * size);
    play_file(&path, |frame| {
        if frame.index % 100 == 0 {
            let at = frame.index as usize / 100 * size;
            let difference = difference(&frame.rgb, &expected[at..at + size]);
            assert!(difference <= 1.0, "frame {}: {difference}", frame.index);
        }
    });
}
