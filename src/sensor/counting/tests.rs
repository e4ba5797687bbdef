use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::clock::{Clock, FakeClock, SharedClock};
use crate::event::{Collected, Identity};
use crate::sensor::vision::pipeline::PipelineSettings;
use crate::sensor::vision::view::ViewSettings;
use crate::sensor::vision::{Detection, Detector};

/// Sees nobody.
struct Nobody;

impl Detector for Nobody {
    fn detect(&mut self, _: &Frame, out: &mut Vec<Detection>) -> Result<(), VisionError> {
        out.clear();
        Ok(())
    }
}

fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::at(
        "2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap(),
    ))
}

fn camera(clock: &Arc<FakeClock>, sink: &Arc<Collected>, open: Opener) -> CountingCamera {
    let identity = Identity {
        tenant: "t".into(),
        store: "s".into(),
        box_id: "b".into(),
        boot_id: clock.boot_id().to_owned(),
        zone: TimeZone::UTC,
    };
    CountingCamera {
        id: "door".into(),
        subjects: Subjects {
            lines: vec![LineNames {
                id: "line".into(),
                left: "outside".into(),
                right: "inside".into(),
            }],
            ..Subjects::default()
        },
        house: House {
            identity,
            clock: Arc::clone(clock) as SharedClock,
            sink: Arc::clone(sink) as _,
        },
        open,
        pipeline: Box::new(|| {
            let settings = PipelineSettings {
                threshold: 0.5,
                first_track: 1,
                view: ViewSettings {
                    // One picture a second is all that these scripts show.
                    least_fps: 0.0,
                    ..ViewSettings::default()
                },
                scene: Default::default(),
            };
            Ok(Pipeline::new(Some(Box::new(Nobody)), settings))
        }),
        max_fps: None,
        idle_fps: None,
        delivery: Delivery::Each,
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

/// One picture a second, by a clock that it moves; each as bright as the script says.
struct Script {
    clock: Arc<FakeClock>,
    brightness: Vec<u8>,
    index: usize,
}

impl FrameSource for Script {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        _: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        let Some(brightness) = self.brightness.get(self.index) else {
            return Ok(Next::End);
        };
        self.clock.advance(Duration::from_secs(1));
        (frame.width, frame.height) = (8, 8);
        frame.rgb.clear();
        frame.rgb.resize(192, *brightness);
        frame.at = self.clock.now().boot;
        frame.index = self.index as u64;
        self.index += 1;
        Ok(Next::Frame)
    }
}

/// A camera that shows pictures of this brightness, and then ends.
fn scripted(clock: &Arc<FakeClock>, sink: &Arc<Collected>, brightness: Vec<u8>) -> CountingCamera {
    let source_clock = Arc::clone(clock);
    camera(
        clock,
        sink,
        Box::new(move |_| {
            Ok(Box::new(Script {
                clock: Arc::clone(&source_clock),
                brightness: brightness.clone(),
                index: 0,
            }))
        }),
    )
}

/// Everything the camera says until its source ends.
fn told(camera: &mut CountingCamera, sink: &Collected) -> Vec<Body> {
    camera.run(&Stop::default()).unwrap();
    sink.take().into_iter().map(|draft| draft.body).collect()
}

fn states(events: &[Body]) -> Vec<CameraState> {
    let status = |body: &Body| match body {
        Body::CameraStatus(status) => Some(status.status),
        _ => None,
    };
    events.iter().filter_map(status).collect()
}

#[test]
fn a_picture_that_freezes_is_announced_ends_the_coverage_and_is_taken_back_when_it_moves() {
    let (clock, sink) = (clock(), Arc::new(Collected::default()));
    // Twenty pictures that move, fifty that do not, five that move.
    let brightness: Vec<u8> = (101..=120).chain([99; 50]).chain(101..=105).collect();
    let mut camera = scripted(&clock, &sink, brightness);
    let events = told(&mut camera, &sink);
    let (ok, frozen) = (CameraState::Ok, CameraState::Frozen);
    assert_eq!(states(&events), [ok, frozen, ok]);
    let intervals: Vec<_> = events
        .iter()
        .filter_map(|body| match body {
            Body::LineInterval(interval) => Some(interval.quality.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(intervals[0].status, frozen);
    assert_eq!(intervals[0].frames, 30, "the still ones are not analysed");
    assert!(
        (0.45..0.55).contains(&intervals[0].uptime_ratio),
        "{intervals:?}"
    );
    assert_eq!(intervals[1].status, ok);
    assert_eq!(camera.live.frames.get(), 35);
    assert_eq!(camera.health.get().state, State::Ok);
}

#[test]
fn a_picture_that_moves_now_and_then_is_one_fault_until_it_has_settled() {
    let (clock, sink) = (clock(), Arc::new(Collected::default()));
    // A picture that moves every fifteen seconds only, and then every second.
    let stutter = (0..10).flat_map(|step| [100 + step; 15]);
    let brightness: Vec<u8> = stutter.chain(120..130).collect();
    let mut camera = scripted(&clock, &sink, brightness);
    let events = told(&mut camera, &sink);
    let (ok, frozen) = (CameraState::Ok, CameraState::Frozen);
    assert_eq!(states(&events), [ok, frozen, ok]);
}

#[test]
fn a_night_is_in_its_intervals_and_is_no_coverage() {
    let (clock, sink) = (clock(), Arc::new(Collected::default()));
    let brightness: Vec<u8> = (0..30)
        .map(|step| 100 + step)
        .chain((0..90).map(|step| 2 + step % 2))
        .chain((0..30).map(|step| 100 + step))
        .collect();
    let mut camera = scripted(&clock, &sink, brightness);
    let events = told(&mut camera, &sink);
    let (ok, dark) = (CameraState::Ok, CameraState::Dark);
    assert_eq!(states(&events), [ok, dark, ok]);
    let quality = |body: &Body| match body {
        Body::LineInterval(interval) => Some(interval.quality.clone()),
        _ => None,
    };
    let intervals: Vec<_> = events.iter().filter_map(quality).collect();
    let said: Vec<_> = intervals.iter().map(|quality| quality.status).collect();
    assert_eq!(said, [dark, dark, ok]);
    // Until the fifth dark second nobody can know, and the light is believed after three.
    assert!((0.5..0.65).contains(&intervals[0].uptime_ratio));
    assert!(intervals[1].uptime_ratio < 0.05, "{intervals:?}");
}

#[test]
fn a_recording_may_stand_still() {
    let (clock, sink) = (clock(), Arc::new(Collected::default()));
    let mut camera = scripted(&clock, &sink, vec![107; 40]);
    camera.frozen_after = None;
    let events = told(&mut camera, &sink);
    assert_eq!(states(&events), [CameraState::Ok]);
    assert_eq!(camera.live.frames.get(), 40);
}

/// Says that it waits, and then waits until the test ends, whatever it is asked, as a driver that hangs does.
struct Hangs {
    waits: SyncSender<()>,
    never: Receiver<()>,
}

impl FrameSource for Hangs {
    fn next_kept(
        &mut self,
        _: &mut Frame,
        _: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        let _ = self.waits.send(());
        let _ = self.never.recv();
        Ok(Next::End)
    }
}

#[test]
fn a_camera_whose_driver_hangs_is_lost_and_can_still_be_stopped() {
    let (clock, sink) = (clock(), Arc::new(Collected::default()));
    let (waits, hanging) = sync_channel(1);
    let (keep, never) = sync_channel(1);
    let never = std::sync::Mutex::new(Some(never));
    let mut camera = camera(
        &clock,
        &sink,
        Box::new(move |_| {
            let never = never.lock().unwrap().take().unwrap();
            Ok(Box::new(Hangs {
                waits: waits.clone(),
                never,
            }))
        }),
    );
    camera.delivery = Delivery::Newest;
    let health = camera.health.clone();
    let stop = Arc::new(Stop::default());
    let theirs = Arc::clone(&stop);
    let running = std::thread::spawn(move || camera.run(&theirs));
    hanging.recv().unwrap();
    while health.get().state != State::Trouble {
        clock.advance(Duration::from_secs(5));
        stop.wait(Duration::from_millis(20));
    }
    assert!(health.get().words.en.starts_with("no picture"));
    stop.ask();
    running.join().unwrap().unwrap();
    let events: Vec<Body> = sink.take().into_iter().map(|draft| draft.body).collect();
    assert_eq!(states(&events), [CameraState::Lost]);
    drop(keep);
}

#[test]
fn a_camera_that_cannot_be_opened_says_why_in_both_languages_and_is_opened_again() {
    let (clock, sink) = (clock(), Arc::new(Collected::default()));
    let source_clock = Arc::clone(&clock);
    let tries = std::sync::atomic::AtomicU32::new(0);
    let mut camera = camera(
        &clock,
        &sink,
        Box::new(move |_| {
            // The wait before the next try.
            source_clock.advance(Duration::from_secs(20));
            match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Err(CameraError::Live(Words::new("plug it in", "请插好"))),
                _ => Ok(Box::new(Script {
                    clock: Arc::clone(&source_clock),
                    brightness: vec![101, 102],
                    index: 0,
                })),
            }
        }),
    );
    let running = {
        let (health, clock) = (camera.health.clone(), Arc::clone(&clock));
        let running = std::thread::spawn(move || camera.run(&Stop::default()));
        while health.get().state != State::Ok && !running.is_finished() {
            clock.advance(Duration::from_secs(1));
            Stop::default().wait(Duration::from_millis(20));
        }
        running
    };
    running.join().unwrap().unwrap();
    let events: Vec<Body> = sink.take().into_iter().map(|draft| draft.body).collect();
    assert_eq!(states(&events), [CameraState::Lost, CameraState::Ok]);
}
