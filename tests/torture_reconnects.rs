//! Cameras that go away and come back, thousands of times: nothing grows, no thread, file or process is left, and each
//! time there are pictures.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may

#[path = "common/fake_camera.rs"]
mod fake_camera;
#[path = "common/scale.rs"]
mod scale;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fake_camera::{Codec, FakeCamera, H265_BYTES};
use footfall::clock::{Clock, FakeClock, SharedClock, SystemClock};
use footfall::event::{Collected, Identity};
use footfall::metric::Counter;
use footfall::sensor::camera::preview::PreviewCell;
use footfall::sensor::camera::rtsp::{Decoder, Rtsp, RtspSpec, Transport, address};
use footfall::sensor::camera::{CameraError, Frame, FrameSource, Next, external};
use footfall::sensor::counting::{CountingCamera, Delivery, LineNames, Live, Periods, Subjects};
use footfall::sensor::vision::pipeline::{Pipeline, PipelineSettings};
use footfall::sensor::vision::{Detection, Detector, VisionError};
use footfall::sensor::{HealthCell, House, Sensor};
use footfall::stop::Stop;
use footfall::system::rss_bytes;
use footfall::words::Words;

/// Threads, open files and child processes of this very process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
struct Weight {
    threads: usize,
    files: usize,
    children: usize,
}

fn weight() -> Weight {
    let count = |dir: &str| std::fs::read_dir(dir).unwrap().count();
    let me = std::process::id().to_string();
    let child = |entry: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)? == me;
        parent.then_some(())
    };
    Weight {
        threads: count("/proc/self/task"),
        files: count("/proc/self/fd"),
        children: std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(child)
            .count(),
    }
}

/// Does `round` so often and holds what the process weighs after the first tenth against what it weighs in the end.
fn nothing_grows(rounds: usize, mut round: impl FnMut(usize)) {
    let early = rounds / 10;
    let mut before = (weight(), 0);
    for at in 0..rounds {
        round(at);
        if at == early {
            before = (weight(), rss_bytes());
        }
    }
    let after = (weight(), rss_bytes());
    eprintln!(
        "{rounds} rounds: {:?}, {} KiB; after the first {early}: {:?}, {} KiB",
        after.0,
        after.1 / 1024,
        before.0,
        before.1 / 1024
    );
    assert_eq!(after.0, before.0);
    assert!(after.1 < before.1 + (8 << 20), "memory grows");
}

/// Watches the camera until there are three pictures, and then until it has hung up.
fn watch(camera: &FakeCamera, ffmpeg: &external::Settings, frame: &mut Frame) {
    let spec = RtspSpec {
        url: address(&format!("rtsp://127.0.0.1:{}/live", camera.port)).unwrap(),
        username: None,
        password_file: None,
        transport: Transport::Tcp,
        decoder: Decoder::Auto,
        ffmpeg: ffmpeg.clone(),
    };
    let clock = Arc::new(SystemClock::new(true));
    let mut source = Rtsp::new(spec, clock, Arc::default(), Counter::default());
    for picture in 1..=3 {
        let next = source.next_frame(frame);
        assert_eq!(next.unwrap(), Next::Frame, "picture {picture}");
    }
    camera.hang_up.store(true, Ordering::Relaxed);
    let words = loop {
        if let Err(why) = source.next_frame(frame) {
            break why.words();
        }
    };
    assert!(words.en.contains("closed the connection"), "{}", words.en);
}

#[test]
fn a_network_camera_that_hangs_up_again_and_again_leaves_nothing_behind() {
    let camera = fake_camera::start(Codec::H264);
    let (ffmpeg, mut frame) = (external::Settings::default(), Frame::default());
    nothing_grows(scale::rounds(200, 10_000), |_| {
        watch(&camera, &ffmpeg, &mut frame);
    });
    assert_eq!((frame.width, frame.height), (64, 48));
}

#[test]
fn the_helper_that_decodes_a_camera_is_started_and_ended_with_every_connection() {
    // Gives a picture of 4x2 for each that it takes, and has something else to do besides.
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("ffmpeg");
    let script = format!(
        "#!/bin/sh\nsleep 1000 &\nprintf 'YUV4MPEG2 W4 H2 F1:1 C420jpeg\\n'\n\
         while [ -n \"$(dd bs={H265_BYTES} count=1 2>/dev/null)\" ]; do printf 'FRAME\\nabcdefghijkl'; done\n"
    );
    footfall::durable::write(&program, script.as_bytes()).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let ffmpeg = external::Settings {
        program: program.to_str().unwrap().to_owned(),
        ..external::Settings::default()
    };
    let camera = fake_camera::start(Codec::H265);
    let mut frame = Frame::default();
    nothing_grows(scale::rounds(60, 10_000), |_| {
        watch(&camera, &ffmpeg, &mut frame);
    });
    assert_eq!((frame.width, frame.height), (4, 2));
}

/// Sees nobody.
struct Nobody;

impl Detector for Nobody {
    fn detect(&mut self, _: &Frame, out: &mut Vec<Detection>) -> Result<(), VisionError> {
        out.clear();
        Ok(())
    }
}

/// Three pictures, and then it is pulled out.
struct Pulled {
    clock: SharedClock,
    given: u8,
}

impl FrameSource for Pulled {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        self.given += 1;
        if self.given > 3 {
            return Err(CameraError::Live(Words::new("pulled out", "已拔出")));
        }
        let at = self.clock.now().boot;
        let _ = keep(at);
        (frame.width, frame.height) = (64, 48);
        frame.rgb.clear();
        frame.rgb.resize(64 * 48 * 3, self.given);
        frame.at = at;
        Ok(Next::Frame)
    }
}

fn camera(at: usize, clock: &Arc<FakeClock>, sink: &Arc<Collected>) -> CountingCamera {
    let shared = Arc::clone(clock) as SharedClock;
    CountingCamera {
        id: format!("door-{at}"),
        subjects: Subjects {
            lines: vec![LineNames {
                id: "line".into(),
                left: "outside".into(),
                right: "inside".into(),
            }],
            ..Subjects::default()
        },
        house: House {
            identity: Identity {
                tenant: "t".into(),
                store: "s".into(),
                box_id: "b".into(),
                boot_id: clock.boot_id().to_owned(),
                zone: jiff::tz::TimeZone::UTC,
            },
            clock: Arc::clone(&shared),
            sink: Arc::clone(sink) as _,
        },
        open: Box::new(move |_| {
            let clock = Arc::clone(&shared);
            Ok(Box::new(Pulled { clock, given: 0 }))
        }),
        pipeline: Box::new(|| {
            let settings = PipelineSettings {
                threshold: 0.5,
                first_track: 1,
                view: Default::default(),
                scene: Default::default(),
            };
            Ok(Pipeline::new(Some(Box::new(Nobody)), settings))
        }),
        max_fps: None,
        idle_fps: None,
        delivery: Delivery::Newest,
        frozen_after: Some(Duration::from_secs(10)),
        periods: Periods {
            sums: Duration::from_secs(60),
            maps: Duration::from_secs(900),
        },
        health: HealthCell::starting(clock.now()),
        live: Live::default(),
        preview: PreviewCell::new(Vec::new(), Vec::new()),
    }
}

#[test]
fn twenty_cameras_at_once_that_are_pulled_out_again_and_again_all_come_back_each_time() {
    const CAMERAS: usize = 20;
    let rounds = scale::rounds(8, 500) as u64;
    eprintln!("of each of {CAMERAS} cameras");
    let clock = Arc::new(FakeClock::at("2026-11-22T10:00:00Z".parse().unwrap()));
    let sink = Arc::new(Collected::default());
    let before = weight();
    let stop = Arc::new(Stop::default());
    let mut lives = Vec::new();
    let running: Vec<_> = (0..CAMERAS)
        .map(|at| {
            let mut camera = camera(at, &clock, &sink);
            lives.push(camera.live.clone());
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || camera.run(&stop))
        })
        .collect();
    let least = |lives: &[Live]| lives.iter().map(|live| live.opened.get()).min().unwrap();
    let mut early = None;
    while least(&lives) < rounds {
        clock.advance(Duration::from_millis(400));
        std::thread::sleep(Duration::from_millis(20));
        // What is told is not what is looked at here.
        drop(sink.take());
        if early.is_none() && least(&lives) > rounds / 10 {
            early = Some(rss_bytes());
        }
    }
    let late = rss_bytes();
    stop.ask();
    for one in running {
        one.join().unwrap().unwrap();
    }
    let early = early.unwrap();
    let after = weight();
    eprintln!(
        "{after:?}; before the cameras: {before:?}; {} KiB, early: {} KiB",
        late / 1024,
        early / 1024
    );
    assert_eq!(after, before);
    assert!(late < early + (16 << 20), "memory grows");
}
