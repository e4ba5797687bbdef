//! A network camera and the helper that decodes it, through the whole source: what hangs is given up by the clock, and
//! H.264 goes through the real `ffmpeg` where the config says so.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/fake_camera.rs"]
mod fake_camera;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fake_camera::Codec;
use footfall::clock::{FakeClock, SharedClock, SystemClock};
use footfall::metric::Counter;
use footfall::sensor::camera::rtsp::{Decoder, Rtsp, RtspSpec, Transport, address};
use footfall::sensor::camera::{Frame, FrameSource, Next, external};

fn source(port: u16, decoder: Decoder, program: &str, clock: SharedClock) -> Rtsp {
    let spec = RtspSpec {
        url: address(&format!("rtsp://127.0.0.1:{port}/live?key=s3cret")).unwrap(),
        username: None,
        password_file: None,
        transport: Transport::Tcp,
        decoder,
        ffmpeg: external::Settings {
            program: program.to_owned(),
            ..external::Settings::default()
        },
    };
    Rtsp::new(spec, clock, Arc::default(), Counter::default())
}

/// What is said in the end about a helper that does this.
fn trouble(script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("ffmpeg");
    footfall::durable::write(&program, format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let camera = fake_camera::start(Codec::H265);
    let clock = Arc::new(FakeClock::at("2026-11-22T10:00:00Z".parse().unwrap()));
    let shared = Arc::clone(&clock) as SharedClock;
    let mut source = source(
        camera.port,
        Decoder::Auto,
        program.to_str().unwrap(),
        shared,
    );
    let watching = std::thread::spawn(move || {
        let mut frame = Frame::default();
        loop {
            match source.next_frame(&mut frame) {
                Ok(Next::Frame) => {}
                Ok(Next::End) => panic!("nobody has ended it"),
                Err(why) => {
                    assert_eq!(source.next_frame(&mut frame).unwrap(), Next::End);
                    return why.words();
                }
            }
        }
    });
    while !watching.is_finished() {
        clock.advance(Duration::from_millis(200));
        std::thread::sleep(Duration::from_millis(10));
    }
    let words = watching.join().unwrap();
    assert!(
        !words.en.contains("s3cret") && words.en != words.zh,
        "{words:?}"
    );
    words.en
}

#[test]
fn a_helper_that_takes_pictures_and_gives_none_is_given_up_and_named() {
    let words = trouble("exec cat > /dev/null");
    assert!(
        words.contains("decodes the camera's H.265, failed"),
        "{words}"
    );
    assert!(
        words.contains("closed its output") || words.contains("gives none"),
        "{words}"
    );
    let words = trouble("sleep 1000; true");
    assert!(
        words.contains("it takes pictures and gives none"),
        "{words}"
    );
}

#[test]
fn a_helper_that_stops_giving_after_some_pictures_is_given_up_too() {
    let words = trouble(
        "printf 'YUV4MPEG2 W4 H2 F1:1 C420jpeg\\nFRAME\\nabcdefghijklFRAME\\nabcdefghijkl'; cat > /dev/null; sleep 1000",
    );
    assert!(
        words.contains("it takes pictures and gives none"),
        "{words}"
    );
}

#[test]
fn h264_goes_through_ffmpeg_where_the_config_says_so() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("SKIPPED: ffmpeg is not installed");
        return;
    }
    let camera = fake_camera::start(Codec::H264);
    let clock = || Arc::new(SystemClock::new(true));
    let (mut own, mut through) = (Frame::default(), Frame::default());
    source(camera.port, Decoder::Auto, "/nowhere/ffmpeg", clock())
        .next_frame(&mut own)
        .unwrap();
    let mut outside = source(camera.port, Decoder::Ffmpeg, "ffmpeg", clock());
    for picture in 0..20 {
        assert_eq!(outside.next_frame(&mut through).unwrap(), Next::Frame);
        assert_eq!(through.index, picture);
    }
    assert_eq!((through.width, through.height), (own.width, own.height));
    let away = own
        .rgb
        .iter()
        .zip(&through.rgb)
        .map(|(a, b)| u64::from(a.abs_diff(*b)));
    let mean = away.sum::<u64>() as f64 / own.rgb.len() as f64;
    assert!(mean < 4.0, "{mean} away");
}
