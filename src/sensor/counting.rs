//! A camera that counts: a capture thread keeps the newest frame, an analysis loop turns frames into crossings, visits
//! and intervals. It goes on when the source fails, and says so.

mod book;
mod capture;
mod live;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

pub use self::book::{LineNames, Periods, Subjects, ZoneLive, ZoneNames};
pub use self::live::Live;

use self::book::Book;
use self::capture::Capture;
use self::live::{Effort, Rate};
use super::camera::frozen::Frozen;
use super::camera::live::Taken;
use super::camera::preview::PreviewCell;
use super::camera::{CameraError, Frame, FrameSource, Next};
use super::vision::VisionError;
use super::vision::count::scene::Counted;
use super::vision::pipeline::Pipeline;
use super::{Face, HealthCell, House, Sensor, State};
use crate::clock::Stamp;
use crate::event::{Body, CameraState, CameraStatus};
use crate::stop::Stop;
use crate::words::Words;

/// How often intervals, silence and the wish to stop are looked at.
const LOOK_UP: Duration = Duration::from_millis(250);
/// A camera without a frame for so long is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);
/// A fault of the source is over when there was none for so long: a loose plug is one fault, not fifty.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// A capturing thread that was asked to end has so long before it is left behind.
const CAPTURE_ENDS_WITHIN: Duration = Duration::from_secs(2);
/// Wait before a source is opened again; doubled each time up to [`LONGEST_WAIT`], so that a camera counts within ten
/// seconds of its return.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(4);

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
    /// What its events are about.
    pub subjects: Subjects,
    pub house: House,
    pub open: Opener,
    pub pipeline: PipelineMaker,
    /// Frames analysed per second at most.
    pub max_fps: Option<f64>,
    /// The same while nothing moves and nobody is followed.
    pub idle_fps: Option<f64>,
    pub delivery: Delivery,
    /// A picture that stays the same for so long is a fault; `None` for recordings, which may be still.
    pub frozen_after: Option<Duration>,
    /// How often intervals end.
    pub periods: Periods,
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
        let pipeline = (self.pipeline)().map_err(|why| {
            self.say(CameraState::Lost, words::not_analysed(&why.to_string()));
            why.to_string()
        })?;
        let now = self.house.clock.now();
        let book = Book::new(&self.subjects, &self.house.identity, self.periods, now);
        let mut shift = Shift {
            pipeline,
            book,
            state: CameraState::Lost,
            troubled_at: None,
        };
        let mut wait = FIRST_WAIT;
        let result = loop {
            if stop.asked() {
                break Ok(());
            }
            match self.watch(&mut shift, stop) {
                Ok(Watched { over: true, .. }) => break Ok(()),
                Ok(Watched { frames, .. }) if frames > 0 => wait = FIRST_WAIT,
                Ok(_) => {}
                Err(why) => break Err(why),
            }
            let until = self.house.clock.now().boot + wait;
            wait = (wait * 2).min(LONGEST_WAIT);
            while !stop.asked() && self.house.clock.now().boot < until {
                stop.wait(LOOK_UP);
                self.close_interval(&mut shift, false)?;
            }
        };
        let at = self.house.clock.now();
        let due = shift.pipeline.finish(at.boot).clone();
        self.report(at, &due, &mut shift)?;
        self.close_interval(&mut shift, true)?;
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
            lines: self
                .subjects
                .lines
                .iter()
                .map(|line| line.id.clone())
                .collect(),
            zones: self.subjects.zones.clone(),
            preview: Some(self.preview.clone()),
        }
    }

    /// Opens the source and analyses it until it ends, fails or `stop` is asked.
    fn watch(&self, shift: &mut Shift, stop: &Stop) -> Result<Watched, String> {
        let quit = Arc::new(Stop::default());
        let mut source = match (self.open)(Arc::clone(&quit)) {
            Ok(source) => source,
            Err(why) => {
                self.trouble(shift, CameraState::Lost, why.words());
                return Ok(Watched::default());
            }
        };
        if self.delivery == Delivery::Each {
            let pull = |frame: &mut Frame| match source.next_frame(frame) {
                Ok(Next::Frame) => Taken::Frame,
                Ok(Next::End) => Taken::Closed(None),
                Err(why) => Taken::Closed(Some(why)),
            };
            return self.analyse(pull, || 0, shift, stop);
        }
        let capture = Capture::start(
            &self.id,
            source,
            quit,
            &self.house.clock,
            self.max_fps,
            (self.idle_fps, &self.live),
        )
        .map_err(|why| format!("no thread for the camera: {why}"))?;
        let take = |frame: &mut Frame| capture.slot.take(frame, LOOK_UP);
        let watched = self.analyse(take, || capture.slot.stats().dropped, shift, stop);
        if !capture.end(CAPTURE_ENDS_WITHIN) {
            warn!(
                camera = self.id,
                "the camera's driver does not come back; its thread is left behind"
            );
        }
        watched
    }

    fn analyse(
        &self,
        mut take: impl FnMut(&mut Frame) -> Taken,
        all_dropped: impl Fn() -> u64,
        shift: &mut Shift,
        stop: &Stop,
    ) -> Result<Watched, String> {
        let mut frame = Frame::default();
        let mut watched = Watched::default();
        let mut last_frame = self.house.clock.now().boot;
        let mut rate = Rate::default();
        let mut effort = Effort::begin();
        let mut still = self.frozen_after.map(Frozen::new);
        let mut dropped_before = 0;
        while !stop.asked() {
            let taken = take(&mut frame);
            let now = self.house.clock.now();
            self.close_interval(shift, false)?;
            match taken {
                Taken::Frame => {
                    last_frame = now.boot;
                    let dropped = all_dropped() - dropped_before;
                    dropped_before += dropped;
                    watched.frames += 1;
                    self.live.opened.add(u64::from(watched.frames == 1));
                    self.live.dropped.add(dropped);
                    // The same picture again has nothing new to count, and is no coverage either.
                    if still.as_mut().is_some_and(|still| still.sees(&frame)) {
                        self.live.fps.set(0.0);
                        self.trouble(shift, CameraState::Frozen, words::frozen());
                        continue;
                    }
                    if shift.state == CameraState::Frozen
                        && still.as_ref().is_some_and(Frozen::repeats)
                    {
                        shift.troubled_at = Some(now.boot);
                    }
                    self.look_at(&mut frame, now, dropped, shift)?;
                    self.live.fps.set(rate.frame(now.boot));
                    effort.add_to(&self.live.cpu_ms);
                }
                Taken::Timeout if now.boot.saturating_sub(last_frame) > LOST_AFTER => {
                    self.live.fps.set(0.0);
                    self.trouble(shift, CameraState::Lost, words::no_picture());
                }
                Taken::Timeout => {}
                Taken::Closed(None) => {
                    watched.over = true;
                    break;
                }
                Taken::Closed(Some(why)) => {
                    self.trouble(shift, CameraState::Lost, why.words());
                    break;
                }
            }
        }
        let wait_for_stop = watched.over && self.delivery == Delivery::Newest;
        if wait_for_stop && !stop.asked() {
            self.trouble(shift, CameraState::Lost, words::over());
        }
        while wait_for_stop && !stop.asked() {
            stop.wait(LOOK_UP);
            self.close_interval(shift, false)?;
        }
        self.live.fps.set(0.0);
        self.live.tracks.set(0.0);
        Ok(watched)
    }

    /// Finds, follows and counts on one picture.
    fn look_at(
        &self,
        frame: &mut Frame,
        now: Stamp,
        dropped: u64,
        shift: &mut Shift,
    ) -> Result<(), String> {
        let looked_before = shift.pipeline.looked();
        let (counted, failed) = match shift.pipeline.process(frame) {
            Ok(counted) => (counted.clone(), false),
            Err(why) => {
                let words = words::not_analysed(&why.to_string());
                self.trouble(shift, CameraState::Lost, words);
                (Counted::default(), true)
            }
        };
        let state = shift.pipeline.view().state();
        if !failed {
            self.preview.offer(frame, &shift.pipeline);
            self.seen(state, now, shift);
        }
        // A picture that shows nothing is no coverage.
        if !state.blind() {
            shift.book.frame(now, dropped);
        }
        self.report(now, &counted, shift)?;
        self.live
            .lively
            .store(shift.pipeline.lively(frame.at), Ordering::Relaxed);
        self.live.frames.add(1);
        self.live
            .looked
            .add(shift.pipeline.looked() - looked_before);
        self.live
            .motion
            .set(f64::from(shift.pipeline.view().motion().share));
        self.live.failed.add(u64::from(failed));
        let tracks = shift.pipeline.tracker().tracks().iter();
        self.live
            .tracks
            .set(tracks.filter(|track| track.confirmed).count() as f64);
        Ok(())
    }

    fn report(&self, at: Stamp, counted: &Counted, shift: &mut Shift) -> Result<(), String> {
        let bodies = shift.book.enter(at, counted, shift.pipeline.scene());
        for body in bodies {
            if let Body::LineCrossed(crossed) = &body {
                let (line, direction) = (&crossed.line, crossed.direction);
                debug!(camera = self.id, line, ?direction, "crossing");
            }
            self.submit(at, body)?;
        }
        Ok(())
    }

    fn close_interval(&self, shift: &mut Shift, now_whatever: bool) -> Result<(), String> {
        let now = self.house.clock.now();
        let (state, scene) = (shift.state, shift.pipeline.scene());
        let due = if now_whatever {
            shift.book.close(now, state, scene)
        } else {
            shift.book.tick(now, state, scene)
        };
        due.into_iter().try_for_each(|body| self.submit(now, body))
    }

    fn submit(&self, at: Stamp, body: Body) -> Result<(), String> {
        self.house
            .submit(&format!("camera/{}", self.id), at, body)
            .map_err(|why| why.to_string())
    }

    fn trouble(&self, shift: &mut Shift, state: CameraState, words: Words) {
        shift.state = state;
        shift.troubled_at = Some(self.house.clock.now().boot);
        self.say(state, words);
    }

    /// A picture came, and this is what it tells of the camera.
    fn seen(&self, state: CameraState, now: Stamp, shift: &mut Shift) {
        let since = |then| now.boot.saturating_sub(then);
        if shift
            .troubled_at
            .is_none_or(|then| since(then) >= SETTLED_AFTER)
        {
            shift.state = state;
            self.say(state, words::seen(state));
        }
    }

    /// Shows, logs and announces a state that is new.
    fn say(&self, state: CameraState, words: Words) {
        let (health, reason) = match state {
            CameraState::Ok => (State::Ok, None),
            _ => (State::Trouble, Some(words.en.clone())),
        };
        let now = self.house.clock.now();
        if !self.health.set(health, words, now) {
            return;
        }
        match &reason {
            None => info!(camera = self.id, "camera counts"),
            Some(why) if state == CameraState::Slow || state == CameraState::Moved => {
                warn!(camera = self.id, ?state, why, "camera counts badly");
            }
            Some(why) => warn!(camera = self.id, ?state, why, "camera does not count"),
        }
        let body = Body::CameraStatus(CameraStatus {
            status: state,
            reason,
        });
        // Only fails when the daemon is shutting down, and then nobody is left to tell.
        let _ = self.submit(now, body);
    }
}

/// What one run of the camera carries from source to source.
struct Shift {
    pipeline: Pipeline,
    book: Book,
    state: CameraState,
    /// When the source or the detector was last at fault, since boot.
    troubled_at: Option<Duration>,
}

#[derive(Default)]
struct Watched {
    frames: u64,
    /// The recording ended by itself.
    over: bool,
}
