//! The thread that waits for a camera's pictures. A driver may never come back from that; then the camera stays lost on
//! its one thread until the driver answers, and a daemon that leaves does not wait for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::live::{Effort, Live};
use crate::clock::SharedClock;
use crate::metric::Counter;
use crate::sensor::camera::decimate::Idle;
use crate::sensor::camera::live::{Slot, capture_loop};
use crate::sensor::camera::{CameraError, Frame, FrameSource, Next};
use crate::stop::Stop;

/// A thread at work.
pub(super) struct Capture {
    pub(super) slot: Arc<Slot>,
    quit: Arc<Stop>,
    /// Nothing is ever sent; the other end is dropped when the thread ends.
    ended: Receiver<()>,
}

impl Capture {
    /// Starts capturing from `source`, which `quit` ends.
    ///
    /// # Errors
    /// The operating system refuses another thread.
    pub(super) fn start(
        camera: &str,
        source: Box<dyn FrameSource>,
        quit: Arc<Stop>,
        clock: &SharedClock,
        max_fps: Option<f64>,
        (idle_fps, live): (Option<f64>, &Live),
    ) -> std::io::Result<Self> {
        let slot = Arc::new(Slot::new());
        let (running, ended) = sync_channel(0);
        let (their_slot, their_quit) = (Arc::clone(&slot), Arc::clone(&quit));
        let mut source = Stamped {
            source,
            clock: Arc::clone(clock),
            idle: Idle::new(idle_fps, &live.lively),
            cpu_ms: live.cpu_ms.clone(),
            effort: None,
        };
        std::thread::Builder::new()
            .name(format!("cam-{camera}"))
            .spawn(move || {
                let running: SyncSender<()> = running;
                capture_loop(&mut source, &their_slot, &their_quit, max_fps);
                drop(source);
                drop(running);
            })?;
        Ok(Self { slot, quit, ended })
    }

    /// Asks the thread to end and waits for it, `patience` at most; returns whether it has ended.
    pub(super) fn end(&self, patience: Duration) -> bool {
        self.quit.ask();
        self.slot.close(None);
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Whatever ends the watching, a panic too, ends the thread.
impl Drop for Capture {
    fn drop(&mut self) {
        self.quit.ask();
        self.slot.close(None);
    }
}

/// Passes frames over while nothing moves, and gives each the box's own time at which it was captured: tracks outlive a
/// source that is opened again, and the time that inference takes must not look like movement.
struct Stamped {
    source: Box<dyn FrameSource>,
    clock: SharedClock,
    idle: Idle,
    cpu_ms: Counter,
    /// Of the capturing thread, which is not the one that made this.
    effort: Option<Effort>,
}

impl FrameSource for Stamped {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        let idle = &mut self.idle;
        let next = self
            .source
            .next_kept(frame, &mut |at| keep(at) && idle.keep(at))?;
        self.effort
            .get_or_insert_with(Effort::begin)
            .add_to(&self.cpu_ms);
        frame.at = self.clock.now().boot;
        Ok(next)
    }
}
