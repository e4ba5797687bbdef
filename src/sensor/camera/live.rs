//! A camera as `run` sees it: frames come at their own speed, and only the newest one waits to be looked at.
//!
//! One thread runs [`capture_loop`] and fills the [`Slot`]; another takes from it. Three buffers go round
//! (capturing, waiting, being looked at), so no frame is ever copied or allocated anew.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::decimate::Decimator;
use super::{CameraError, Frame, FrameSource, Next};
use crate::clock::SharedClock;
use crate::stop::Stop;

/// Longest single sleep of [`Paced`]: how late it may notice that it is to stop.
const NAP: Duration = Duration::from_millis(100);
/// A recording that falls behind by more than this goes on from here instead of catching up.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between the last frame of one round and the first of the next when nothing tells the frame rate.
const ONE_FRAME: Duration = Duration::from_millis(100);

/// Opens a recording from its start; called again for every repetition.
pub type Reopen = Box<dyn FnMut() -> Result<Box<dyn FrameSource>, CameraError> + Send>;

/// Plays a recording at its own speed, once or forever.
///
/// Times and indices keep rising over repetitions.
pub struct Paced {
    reopen: Reopen,
    source: Option<Box<dyn FrameSource>>,
    repeat: bool,
    clock: SharedClock,
    stop: Arc<Stop>,
    /// Replaced in tests, where nobody sleeps.
    sleep: Box<dyn Fn(Duration) + Send>,
    /// Time since boot at which time 0 of this source was due.
    start: Option<Duration>,
    round: Round,
}

/// Where a repetition stands within the endless source.
#[derive(Clone, Copy, Default)]
struct Round {
    /// Time and index of its first frame.
    at: Duration,
    index: u64,
    /// Frames so far, kept or not.
    frames: u64,
    /// Time of the newest one and the gap before it.
    newest: Duration,
    gap: Duration,
}

impl Paced {
    /// `stop` ends the source, also while it waits.
    #[must_use]
    pub fn new(reopen: Reopen, repeat: bool, clock: SharedClock, stop: Arc<Stop>) -> Self {
        Self {
            reopen,
            source: None,
            repeat,
            clock,
            stop,
            sleep: Box::new(std::thread::sleep),
            start: None,
            round: Round::default(),
        }
    }

    /// Waits until the frame of time `at` is due; `false` when the source is to stop.
    fn wait(&mut self, at: Duration) -> bool {
        let now = self.clock.now().boot;
        let mut start = *self.start.get_or_insert(now.saturating_sub(at));
        if now > start + at + PATIENCE {
            start = now.saturating_sub(at);
            self.start = Some(start);
        }
        loop {
            if self.stop.asked() {
                return false;
            }
            let left = (start + at).saturating_sub(self.clock.now().boot);
            if left.is_zero() {
                return true;
            }
            (self.sleep)(left.min(NAP));
        }
    }
}

impl FrameSource for Paced {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        loop {
            if self.stop.asked() {
                return Ok(Next::End);
            }
            let source = match &mut self.source {
                Some(source) => source,
                None => self.source.insert((self.reopen)()?),
            };
            let round = &mut self.round;
            let next = source.next_kept(frame, &mut |at| {
                let at = round.at + at;
                if round.frames > 0 {
                    round.gap = at.saturating_sub(round.newest);
                }
                round.newest = at;
                round.frames += 1;
                keep(at)
            })?;
            match next {
                Next::Frame => {
                    frame.at = self.round.newest;
                    frame.index = self.round.index + self.round.frames - 1;
                    let due = self.wait(frame.at);
                    return Ok(if due { Next::Frame } else { Next::End });
                }
                // A round without a frame would spin forever.
                Next::End if !self.repeat || self.round.frames == 0 => return Ok(Next::End),
                Next::End => {
                    let round = self.round;
                    let gap = if round.gap.is_zero() {
                        ONE_FRAME
                    } else {
                        round.gap
                    };
                    self.round = Round {
                        at: round.newest + gap,
                        index: round.index + round.frames,
                        newest: round.newest,
                        ..Round::default()
                    };
                    self.source = None;
                }
            }
        }
    }
}

/// What [`Slot::take`] found.
#[derive(Debug)]
pub enum Taken {
    /// The frame was swapped in.
    Frame,
    /// No new frame came in time.
    Timeout,
    /// No frame will come any more; the reason is told once.
    Closed(Option<CameraError>),
}

/// How many frames went through a [`Slot`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotStats {
    /// Frames put in.
    pub captured: u64,
    /// Frames replaced by a newer one before anybody took them.
    pub dropped: u64,
}

/// Holds the newest frame until somebody takes it.
#[derive(Default)]
pub struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    frame: Frame,
    /// `frame` has not been taken yet.
    fresh: bool,
    closed: bool,
    error: Option<CameraError>,
    stats: SlotStats,
}

impl Slot {
    /// Empty and open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Swaps `frame` in, replacing one that nobody took. `false`: the slot is closed.
    pub fn put(&self, frame: &mut Frame) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        std::mem::swap(&mut state.frame, frame);
        state.stats.captured += 1;
        state.stats.dropped += u64::from(state.fresh);
        state.fresh = true;
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Waits up to `timeout` for a frame newer than the last one taken and swaps it into `frame`.
    /// A frame that was put in before the slot was closed can still be taken.
    pub fn take(&self, frame: &mut Frame, timeout: Duration) -> Taken {
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |state| !state.fresh && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.fresh {
            state.fresh = false;
            std::mem::swap(&mut state.frame, frame);
            Taken::Frame
        } else if state.closed {
            Taken::Closed(state.error.take())
        } else {
            Taken::Timeout
        }
    }

    /// No more frames: wakes whoever waits. The first reason given stays.
    pub fn close(&self, reason: Option<CameraError>) {
        let mut state = self.lock();
        if !state.closed {
            state.closed = true;
            state.error = reason;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// How many frames came and how many of them were never looked at.
    #[must_use]
    pub fn stats(&self) -> SlotStats {
        self.lock().stats
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves frames from `source` into `slot` until the source ends or fails, `stop` is set or the slot is
/// closed; then closes the slot. `max_fps` caps the frames by their timestamps before they are converted.
pub fn capture_loop(source: &mut dyn FrameSource, slot: &Slot, stop: &Stop, max_fps: Option<f64>) {
    let _closes = CloseOnUnwind(slot);
    let mut decimator = Decimator::new(max_fps);
    let mut frame = Frame::default();
    let reason = loop {
        if stop.asked() {
            break None;
        }
        match source.next_kept(&mut frame, &mut |at| decimator.keep(at)) {
            Ok(Next::Frame) if slot.put(&mut frame) => {}
            Ok(_) => break None,
            Err(error) => break Some(error),
        }
    };
    slot.close(reason);
}

/// Closes the slot when the capturing thread panics, so that nobody waits for it.
struct CloseOnUnwind<'a>(&'a Slot);

impl Drop for CloseOnUnwind<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close(Some(CameraError::Unavailable {
                what: "the camera".to_owned(),
                why: "its part of footfall failed".to_owned(),
                fix: "it is restarted; report the message in the log".to_owned(),
            }));
        }
    }
}

#[cfg(test)]
mod tests;
