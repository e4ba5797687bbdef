//! A camera that counts: a capture thread keeps the newest frame, an analysis loop turns frames into crossings and
//! intervals. It goes on when the source fails, and says so.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::camera::live::{Slot, Taken, capture_loop};
use super::camera::preview::PreviewCell;
use super::camera::{CameraError, Frame, FrameSource, Next};
use super::vision::VisionError;
use super::vision::count::interval::{Interval, IntervalMeter};
use super::vision::pipeline::{LineCrossing, Pipeline};
use super::{Face, HealthCell, House, Sensor, State};
use crate::clock::{SharedClock, Stamp};
use crate::event::{Body, CameraState, CameraStatus, Direction, LineCrossed, LineInterval};
use crate::metric::{Counter, Gauge, Metric};
use crate::stop::Stop;

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

/// What a camera counts about itself.
#[derive(Clone, Default)]
pub struct Live {
    /// Frames analysed since the camera was fitted.
    pub frames: Counter,
    /// Frames replaced by a newer one before they were analysed.
    pub dropped: Counter,
    /// Frames whose inference failed.
    pub failed: Counter,
    /// Frames analysed per second, over the latest seconds.
    pub fps: Gauge,
    /// People tracked at the moment.
    pub tracks: Gauge,
}

impl Live {
    /// The numbers with their names.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::gauge(
                "fps",
                "pictures analysed a second",
                "每秒分析画面",
                &self.fps,
            ),
            Metric::gauge("tracks", "people in view", "画面中的人数", &self.tracks),
            Metric::counter("frames", "pictures analysed", "已分析画面", &self.frames),
            Metric::counter(
                "dropped",
                "pictures passed over",
                "跳过的画面",
                &self.dropped,
            ),
            Metric::counter(
                "failed",
                "pictures that failed",
                "分析失败的画面",
                &self.failed,
            ),
        ]
    }
}

/// Opens the source; called again whenever it failed. The wish ends the source, also while it waits.
pub type Opener = Box<dyn Fn(Arc<Stop>) -> Result<Box<dyn FrameSource>, CameraError> + Send + Sync>;
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
    pub house: House,
    pub open: Opener,
    pub pipeline: PipelineMaker,
    /// Frames analysed per second at most.
    pub max_fps: Option<f64>,
    pub delivery: Delivery,
    /// Length of `line.interval`.
    pub interval: Duration,
    pub health: HealthCell,
    pub live: Live,
    pub preview: PreviewCell,
}

impl Sensor for CountingCamera {
    /// Counts until `stop`. A source that fails is opened again; a recording that ended is not.
    ///
    /// # Errors
    /// The detector cannot be built, or the sink is closed.
    fn run(&mut self, stop: &Stop) -> Result<(), String> {
        let mut pipeline = (self.pipeline)().map_err(|why| {
            self.trouble(&why.to_string());
            why.to_string()
        })?;
        let mut meter = IntervalMeter::new(self.interval, self.lines.len(), self.house.clock.now());
        let mut wait = FIRST_WAIT;
        let result = loop {
            if stop.asked() {
                break Ok(());
            }
            let quit = Arc::new(Stop::default());
            match (self.open)(Arc::clone(&quit)) {
                Ok(source) => match self.watch(source, &quit, &mut pipeline, &mut meter, stop) {
                    Ok(Watched { over: true, .. }) => break Ok(()),
                    Ok(Watched { frames, .. }) if frames > 0 => wait = FIRST_WAIT,
                    Ok(_) => {}
                    Err(why) => break Err(why),
                },
                Err(why) => self.trouble(&why.to_string()),
            }
            let until = self.house.clock.now().boot + wait;
            wait = (wait * 2).min(LONGEST_WAIT);
            while !stop.asked() && self.house.clock.now().boot < until {
                stop.wait(LOOK_UP);
                self.close_interval(&mut meter, false)?;
            }
        };
        let at = self.house.clock.now();
        let due = pipeline.finish(at.boot).to_vec();
        self.report(at, &due, &mut meter)?;
        self.close_interval(&mut meter, true)?;
        result
    }
}

impl CountingCamera {
    /// What others may know of it.
    #[must_use]
    pub fn face(&self) -> Face {
        Face {
            kind: "camera",
            id: self.id.clone(),
            health: self.health.clone(),
            metrics: self.live.metrics(),
            lines: self.lines.iter().map(|line| line.id.clone()).collect(),
            preview: Some(self.preview.clone()),
        }
    }

    /// Analyses one source until it ends, fails or `stop` is asked.
    fn watch(
        &self,
        mut source: Box<dyn FrameSource>,
        quit: &Stop,
        pipeline: &mut Pipeline,
        meter: &mut IntervalMeter,
        stop: &Stop,
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
            clock: Arc::clone(&self.house.clock),
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
        stop: &Stop,
    ) -> Result<Watched, String> {
        let mut frame = Frame::default();
        let mut watched = Watched::default();
        let mut last_frame = self.house.clock.now().boot;
        let mut rate = Rate::default();
        let mut dropped_before = 0;
        while !stop.asked() {
            let taken = take(&mut frame);
            let now = self.house.clock.now();
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
                        self.preview.offer(&frame, pipeline);
                        self.fine();
                    }
                    self.report(now, &crossings, meter)?;
                    let fps = rate.frame(now.boot);
                    self.live.frames.add(1);
                    self.live.dropped.add(dropped);
                    self.live.failed.add(u64::from(failed));
                    self.live.fps.set(fps);
                    let tracks = pipeline.tracker().tracks().iter();
                    self.live
                        .tracks
                        .set(tracks.filter(|track| track.confirmed).count() as f64);
                }
                Taken::Timeout if now.boot.saturating_sub(last_frame) > LOST_AFTER => {
                    self.live.fps.set(0.0);
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
        while wait_for_stop && !stop.asked() {
            stop.wait(LOOK_UP);
            self.close_interval(meter, false)?;
        }
        self.live.fps.set(0.0);
        self.live.tracks.set(0.0);
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
        let now = self.house.clock.now();
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
                    from: self.house.identity.local_time(from),
                    to: self.house.identity.local_time(to),
                    inward,
                    outward,
                    quality: quality.clone(),
                }),
            )?;
        }
        Ok(())
    }

    fn submit(&self, at: Stamp, body: Body) -> Result<(), String> {
        self.house
            .submit(&format!("camera/{}", self.id), at, body)
            .map_err(|why| why.to_string())
    }

    fn state(&self) -> CameraState {
        match self.health.get().state {
            State::Ok => CameraState::Ok,
            State::Starting | State::Trouble => CameraState::Lost,
        }
    }

    fn fine(&self) {
        if self
            .health
            .set(State::Ok, "counting", self.house.clock.now())
        {
            info!(camera = self.id, "camera counts");
            self.announce(CameraState::Ok, None);
        }
    }

    fn trouble(&self, words: &str) {
        if self
            .health
            .set(State::Trouble, words, self.house.clock.now())
        {
            warn!(camera = self.id, why = words, "camera does not count");
            self.announce(CameraState::Lost, Some(words.to_owned()));
        }
    }

    fn announce(&self, status: CameraState, reason: Option<String>) {
        let body = Body::CameraStatus(CameraStatus { status, reason });
        // Only fails when the daemon is shutting down, and then nobody is left to tell.
        let _ = self.submit(self.house.clock.now(), body);
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
    quit: &'a Stop,
    slot: &'a Slot,
}

impl Drop for Quit<'_> {
    fn drop(&mut self) {
        self.quit.ask();
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
