//! A camera that counts: a capture thread keeps the newest frame, an analysis loop turns frames into crossings and
//! intervals. It goes on when the source fails, and says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tracing::{debug, info, warn};

use super::camera::live::{Slot, Taken, capture_loop};
use super::camera::{CameraError, Frame, FrameSource, Next};
use super::vision::VisionError;
use super::vision::count::interval::{Interval, IntervalMeter};
use super::vision::pipeline::{LineCrossing, Pipeline};
use super::{HealthCell, State};
use crate::clock::{SharedClock, Stamp};
use crate::event::{
    Body, CameraState, CameraStatus, Direction, Draft, Identity, LineCrossed, LineInterval, Sink,
};

/// How often intervals, silence and the wish to stop are looked at.
const LOOK_UP: Duration = Duration::from_millis(250);
/// A camera without a frame for so long is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);
/// Wait before a source is opened again; doubled each time up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The names of one line, for events.
#[derive(Clone, Debug)]
pub struct LineNames {
    pub id: String,
    pub left: String,
    pub right: String,
}

/// What the status page shows of a camera.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Live {
    /// Frames analysed since the daemon started.
    pub frames: u64,
    /// Frames replaced by a newer one before they were analysed.
    pub dropped: u64,
    /// Frames whose inference failed.
    pub failed: u64,
    /// Frames analysed per second, over the latest seconds.
    pub fps: f64,
    /// People tracked at the moment.
    pub tracks: usize,
}

/// [`Live`], shared with whoever shows it.
#[derive(Clone, Default)]
pub struct LiveCell(Arc<Mutex<Live>>);

impl LiveCell {
    /// A copy.
    #[must_use]
    pub fn get(&self) -> Live {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Live)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Opens the source; called again whenever it failed. The flag ends the source, also while it waits.
pub type Opener =
    Box<dyn Fn(Arc<AtomicBool>) -> Result<Box<dyn FrameSource>, CameraError> + Send + Sync>;
/// Builds detector, tracker and counters; called again after a panic.
pub type PipelineMaker = Box<dyn Fn() -> Result<Pipeline, VisionError> + Send + Sync>;

/// Which frames are analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The newest one; those that came while one was analysed are dropped and counted. For everything live.
    Newest,
    /// Each, however long it takes; the source's end is the camera's end. For a source that drives the clock itself.
    Each,
}

/// One camera and everything its events need.
pub struct CountingCamera {
    pub id: String,
    pub lines: Vec<LineNames>,
    pub identity: Identity,
    pub clock: SharedClock,
    pub sink: Arc<dyn Sink>,
    pub open: Opener,
    pub pipeline: PipelineMaker,
    /// Frames analysed per second at most.
    pub max_fps: Option<f64>,
    pub delivery: Delivery,
    /// Length of `line.interval`.
    pub interval: Duration,
    pub health: HealthCell,
    pub live: LiveCell,
}

impl CountingCamera {
    /// Counts until `stop`. A source that fails is opened again; a recording that ended is not.
    ///
    /// # Errors
    /// The detector cannot be built, or the sink is closed.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), String> {
        let mut pipeline = (self.pipeline)().map_err(|why| {
            self.trouble(&why.to_string());
            why.to_string()
        })?;
        let mut meter = IntervalMeter::new(self.interval, self.lines.len(), self.clock.now());
        let mut wait = FIRST_WAIT;
        let result = loop {
            if stop.load(Ordering::Relaxed) {
                break Ok(());
            }
            let quit = Arc::new(AtomicBool::new(false));
            match (self.open)(Arc::clone(&quit)) {
                Ok(source) => match self.watch(source, &quit, &mut pipeline, &mut meter, stop) {
                    Ok(Watched { over: true, .. }) => break Ok(()),
                    Ok(Watched { frames, .. }) if frames > 0 => wait = FIRST_WAIT,
                    Ok(_) => {}
                    Err(why) => break Err(why),
                },
                Err(why) => self.trouble(&why.to_string()),
            }
            let until = self.clock.now().boot + wait;
            wait = (wait * 2).min(LONGEST_WAIT);
            while !stop.load(Ordering::Relaxed) && self.clock.now().boot < until {
                std::thread::sleep(LOOK_UP);
                self.close_interval(&mut meter, false)?;
            }
        };
        let at = self.clock.now();
        let due = pipeline.finish(at.boot).to_vec();
        self.report(at, &due, &mut meter)?;
        self.close_interval(&mut meter, true)?;
        result
    }

    /// Analyses one source until it ends, fails or `stop` is asked.
    fn watch(
        &self,
        mut source: Box<dyn FrameSource>,
        quit: &AtomicBool,
        pipeline: &mut Pipeline,
        meter: &mut IntervalMeter,
        stop: &AtomicBool,
    ) -> Result<Watched, String> {
        if self.delivery == Delivery::Each {
            let pull = |frame: &mut Frame| match source.next_frame(frame) {
                Ok(Next::Frame) => Taken::Frame,
                Ok(Next::End) => Taken::Closed(None),
                Err(why) => Taken::Closed(Some(why)),
            };
            return self.analyse(pull, || 0, pipeline, meter, stop);
        }
        let mut source = Stamped {
            source,
            clock: Arc::clone(&self.clock),
        };
        let slot = Slot::new();
        std::thread::scope(|scope| {
            let slot = &slot;
            // Whatever ends this scope also ends the capture thread.
            let _quit_at_the_end = Quit { quit, slot };
            let name = format!("cam-{}", self.id);
            std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, move || {
                    capture_loop(&mut source, slot, quit, self.max_fps)
                })
                .map_err(|why| format!("no thread for the camera: {why}"))?;
            let take = |frame: &mut Frame| slot.take(frame, LOOK_UP);
            self.analyse(take, || slot.stats().dropped, pipeline, meter, stop)
        })
    }

    fn analyse(
        &self,
        mut take: impl FnMut(&mut Frame) -> Taken,
        all_dropped: impl Fn() -> u64,
        pipeline: &mut Pipeline,
        meter: &mut IntervalMeter,
        stop: &AtomicBool,
    ) -> Result<Watched, String> {
        let mut frame = Frame::default();
        let mut watched = Watched::default();
        let mut last_frame = self.clock.now().boot;
        let mut rate = Rate::default();
        let mut dropped_before = 0;
        while !stop.load(Ordering::Relaxed) {
            let taken = take(&mut frame);
            let now = self.clock.now();
            self.close_interval(meter, false)?;
            match taken {
                Taken::Frame => {
                    last_frame = now.boot;
                    let dropped = all_dropped() - dropped_before;
                    dropped_before += dropped;
                    watched.frames += 1;
                    let (crossings, failed) = match pipeline.process(&frame) {
                        Ok(crossings) => (crossings.to_vec(), false),
                        Err(why) => {
                            self.trouble(&why.to_string());
                            (Vec::new(), true)
                        }
                    };
                    meter.frame(now, dropped);
                    if !failed {
                        self.fine();
                    }
                    self.report(now, &crossings, meter)?;
                    let fps = rate.frame(now.boot);
                    self.live.change(|live| {
                        live.frames += 1;
                        live.dropped += dropped;
                        live.failed += u64::from(failed);
                        live.fps = fps;
                        live.tracks = pipeline
                            .tracker()
                            .tracks()
                            .iter()
                            .filter(|t| t.confirmed)
                            .count();
                    });
                }
                Taken::Timeout if now.boot.saturating_sub(last_frame) > LOST_AFTER => {
                    self.live.change(|live| live.fps = 0.0);
                    self.trouble("no picture; check the camera's cable and power");
                }
                Taken::Timeout => {}
                Taken::Closed(None) => {
                    watched.over = true;
                    break;
                }
                Taken::Closed(Some(why)) => {
                    self.trouble(&why.to_string());
                    break;
                }
            }
        }
        let wait_for_stop = watched.over && self.delivery == Delivery::Newest;
        if wait_for_stop {
            self.trouble("the recording is over; set `repeat = true` to play it again");
        }
        while wait_for_stop && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_UP);
            self.close_interval(meter, false)?;
        }
        self.live.change(|live| (live.fps, live.tracks) = (0.0, 0));
        Ok(watched)
    }

    fn report(
        &self,
        at: Stamp,
        crossings: &[LineCrossing],
        meter: &mut IntervalMeter,
    ) -> Result<(), String> {
        for LineCrossing { line, crossing } in crossings {
            let Some(names) = self.lines.get(*line) else {
                continue;
            };
            meter.crossing(*line, crossing.direction);
            let (from, to) = match crossing.direction {
                Direction::In => (&names.left, &names.right),
                Direction::Out => (&names.right, &names.left),
            };
            debug!(camera = self.id, line = names.id, direction = ?crossing.direction, "crossing");
            self.submit(
                at,
                Body::LineCrossed(LineCrossed {
                    line: names.id.clone(),
                    direction: crossing.direction,
                    track: crossing.track,
                    from: from.clone(),
                    to: to.clone(),
                }),
            )?;
        }
        Ok(())
    }

    fn close_interval(&self, meter: &mut IntervalMeter, now_whatever: bool) -> Result<(), String> {
        let now = self.clock.now();
        let state = self.state();
        let due = if now_whatever {
            Some(meter.close(now, state))
        } else {
            meter.tick(now, state)
        };
        let Some(Interval {
            from,
            to,
            lines,
            quality,
        }) = due
        else {
            return Ok(());
        };
        for (names, (inward, outward)) in self.lines.iter().zip(lines) {
            self.submit(
                now,
                Body::LineInterval(LineInterval {
                    line: names.id.clone(),
                    from: self.identity.local_time(from),
                    to: self.identity.local_time(to),
                    inward,
                    outward,
                    quality: quality.clone(),
                }),
            )?;
        }
        Ok(())
    }

    fn submit(&self, at: Stamp, body: Body) -> Result<(), String> {
        let source = format!("camera/{}", self.id);
        // The receipt is not waited for: the outbox numbers events in the order they were handed over.
        self.sink
            .submit(Draft { source, at, body })
            .map(drop)
            .map_err(|why| why.to_string())
    }

    fn state(&self) -> CameraState {
        match self.health.get().state {
            State::Ok => CameraState::Ok,
            State::Starting | State::Trouble => CameraState::Lost,
        }
    }

    fn fine(&self) {
        if self.health.set(State::Ok, "counting", self.clock.now()) {
            info!(camera = self.id, "camera counts");
            self.announce(CameraState::Ok, None);
        }
    }

    fn trouble(&self, words: &str) {
        if self.health.set(State::Trouble, words, self.clock.now()) {
            warn!(camera = self.id, why = words, "camera does not count");
            self.announce(CameraState::Lost, Some(words.to_owned()));
        }
    }

    fn announce(&self, status: CameraState, reason: Option<String>) {
        let body = Body::CameraStatus(CameraStatus { status, reason });
        // Only fails when the daemon is shutting down, and then nobody is left to tell.
        let _ = self.submit(self.clock.now(), body);
    }
}

/// Gives each frame the box's own time at which it was captured: tracks outlive a source that is opened again, and the
/// time that inference takes must not look like movement.
struct Stamped {
    source: Box<dyn FrameSource>,
    clock: SharedClock,
}

impl FrameSource for Stamped {
    fn next_frame(&mut self, frame: &mut Frame) -> Result<Next, CameraError> {
        self.next_kept(frame, &mut |_| true)
    }

    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        let next = self.source.next_kept(frame, keep)?;
        frame.at = self.clock.now().boot;
        Ok(next)
    }
}

#[derive(Default)]
struct Watched {
    frames: u64,
    /// The recording ended by itself.
    over: bool,
}

struct Quit<'a> {
    quit: &'a AtomicBool,
    slot: &'a Slot,
}

impl Drop for Quit<'_> {
    fn drop(&mut self) {
        self.quit.store(true, Ordering::Relaxed);
        self.slot.close(None);
    }
}

/// Frames per second over about the last five seconds.
#[derive(Default)]
struct Rate {
    since: Option<Duration>,
    frames: u32,
    fps: f64,
}

impl Rate {
    fn frame(&mut self, at: Duration) -> f64 {
        let since = *self.since.get_or_insert(at);
        let elapsed = at.saturating_sub(since).as_secs_f64();
        if elapsed >= 5.0 {
            self.fps = f64::from(self.frames) / elapsed;
            (self.since, self.frames) = (Some(at), 0);
        } else if self.fps == 0.0 && elapsed >= 1.0 {
            self.fps = f64::from(self.frames) / elapsed;
        }
        self.frames += 1;
        self.fps
    }
}
