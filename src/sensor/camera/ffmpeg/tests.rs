use super::super::testing::*;
use super::super::{open, probe};
use super::*;

const SECOND: &str = "-f lavfi -i testsrc2=s=322x242:r=25:d=1";

fn clip(name: &str, arguments: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    have_ffmpeg().then(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        ffmpeg(&format!("{SECOND} {arguments}"), &path);
        (dir, path)
    })
}

#[test]
fn other_containers_and_codecs_give_every_frame_at_its_time() {
    for (name, arguments, codec) in [
        ("a.avi", "-c:v mpeg4 -q:v 3", "mpeg4"),
        ("a.mkv", "-c:v libx264 -pix_fmt yuv420p -bf 3", "h264"),
        (
            "a.mkv",
            "-c:v libx265 -x265-params log-level=error -pix_fmt yuv420p",
            "hevc",
        ),
        ("a.avi", "-c:v mjpeg -q:v 3", "mjpeg"),
        (
            "odd.avi",
            "-vf crop=321:241 -c:v ffv1 -pix_fmt yuv444p",
            "ffv1",
        ),
    ] {
        let Some((_dir, path)) = clip(name, arguments) else {
            return;
        };
        let played = same_as_ffmpeg(&path, 3.0);
        assert_eq!(played.times.len(), 25, "{name} {codec}");
        for (n, at) in played.times.iter().enumerate() {
            let expected = n as f64 / 25.0;
            assert!(
                (at.as_secs_f64() - expected).abs() < 0.0015,
                "{name} {codec}: {at:?}"
            );
        }
        let info = probe(&spec(&path)).unwrap();
        assert_eq!((info.width, info.height), played.size);
        assert_eq!(info.codec, codec);
    }
}

#[test]
fn a_name_that_looks_like_something_else_is_still_a_file() {
    let Some((dir, path)) = clip("a.avi", "-c:v mpeg4") else {
        return;
    };
    let odd = dir.path().join("-i concat:%03d [a] \u{e9}.avi");
    std::fs::rename(path, &odd).unwrap();
    assert_eq!(play_file(&odd, |_| {}).times.len(), 25);
    assert_eq!(probe(&spec(&odd)).unwrap().width, 322);
}

#[test]
fn a_cut_recording_plays_up_to_the_cut_and_says_so() {
    for name in ["a.avi", "a.mkv"] {
        let Some((dir, path)) = clip(name, "-c:v mpeg4 -q:v 3") else {
            return;
        };
        let bytes = std::fs::read(path).unwrap();
        let cut = dir.path().join("cut");
        write(&cut, &bytes[..bytes.len() * 6 / 10]);
        let played = play_file(&cut, |_| {});
        let good = played.times.len();
        assert!((10..20).contains(&good), "{name}: {good} frames");
        let text = played.end.unwrap_err().to_string();
        assert!(
            text.contains(&format!("after {good} good frames: ffmpeg says: ")),
            "{text}"
        );
    }
}

#[test]
fn noise_is_one_clear_error() {
    if !have_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("noise");
    let noise: Vec<u8> = (0..50_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    write(&path, &noise);
    for error in [
        open(&spec(&path)).err().unwrap(),
        probe(&spec(&path)).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("cannot be played") && text.len() < 600,
            "{text}"
        );
    }
}

#[test]
fn without_ffmpeg_the_error_says_what_needs_it_and_how_to_get_it() {
    let missing = "/nowhere/ffmpeg";
    let error = Ffmpeg::open_with(
        missing,
        Path::new("shop.avi"),
        "it is not an MP4 with H.264",
    )
    .err()
    .unwrap();
    assert!(matches!(error, CameraError::Unavailable { .. }));
    let text = error.to_string();
    assert!(
        text.contains("shop.avi: it is not an MP4") && text.ends_with("apt install ffmpeg"),
        "{text}"
    );
}

#[test]
fn a_source_that_is_dropped_leaves_no_process_behind() {
    let Some((_dir, path)) = clip("a.avi", "-c:v mpeg4") else {
        return;
    };
    let mut source = Ffmpeg::open(&path, "").unwrap();
    source.next_frame(&mut Frame::default()).unwrap();
    let id = source.running.as_ref().unwrap().child.id();
    let process = PathBuf::from(format!("/proc/{id}"));
    assert!(process.exists());
    drop(source);
    assert!(!process.exists(), "a zombie or a process is left");
}

#[test]
fn what_ffprobe_says_is_read_with_its_gaps() {
    let text = "codec_name=hevc\nwidth=640\nheight=480\navg_frame_rate=30000/1001\nnb_frames=N/A\nrotation=-90\n";
    let info = parse_probe(text).unwrap();
    assert_eq!((info.width, info.height, info.frames), (480, 640, None));
    assert!((info.fps - 29.97).abs() < 0.01);
    assert_eq!(parse_probe("codec_name=hevc\n"), None);
    let unknown = parse_probe("codec_name=h264\nwidth=2\nheight=2\navg_frame_rate=0/0\n").unwrap();
    assert_eq!(unknown.fps, 0.0);
}

#[test]
fn the_bus_among_the_test_data_gives_every_frame() {
    let Some(path) = data("clips/koba_bus.avi") else {
        return;
    };
    if !have_ffmpeg() {
        return;
    }
    let played = same_as_ffmpeg(&path, 2.0);
    assert_eq!(played.times.len(), 947);
    assert_eq!(played.size, (320, 240));
    // 40 of its 987 pictures are left out; the others keep their times.
    assert_eq!(played.times[946].as_millis(), 65_733);
}
