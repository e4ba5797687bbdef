//! The numbers of one camera, for the page.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::clock::thread_cpu;
use crate::metric::{Counter, Gauge, Metric};

/// What a camera counts about itself.
#[derive(Clone, Default)]
pub struct Live {
    /// Frames analysed since the camera was fitted.
    pub frames: Counter,
    /// Frames on which people were looked for; on the others nothing moved.
    pub looked: Counter,
    /// Frames replaced by a newer one before they were analysed.
    pub dropped: Counter,
    /// Frames whose inference failed.
    pub failed: Counter,
    /// Pictures that arrived damaged, or not at all.
    pub damaged: Counter,
    /// Times the camera began to deliver.
    pub opened: Counter,
    /// CPU time of the camera's own threads, milliseconds: capture and decoding, scene, inference on one thread.
    pub cpu_ms: Counter,
    /// Whether anything moves or anybody is followed: then every frame is wanted.
    pub lively: Arc<AtomicBool>,
    /// Frames analysed per second, over the latest seconds.
    pub fps: Gauge,
    /// Share of the picture that moves, 0..=1.
    pub motion: Gauge,
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
                "looked",
                "pictures searched for people",
                "已检测行人的画面",
                &self.looked,
            ),
            Metric::gauge(
                "motion",
                "share of the picture that moves",
                "画面中运动的比例",
                &self.motion,
            ),
            Metric::counter(
                "cpu_ms",
                "CPU time of this camera, milliseconds",
                "此摄像头占用的处理器时间（毫秒）",
                &self.cpu_ms,
            ),
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
            Metric::counter(
                "damaged",
                "pictures that arrived damaged",
                "损坏的画面",
                &self.damaged,
            ),
            Metric::counter(
                "opened",
                "times the camera began to deliver",
                "连接次数",
                &self.opened,
            ),
        ]
    }
}

/// Passes the CPU time of one thread on, in whole milliseconds.
#[derive(Default)]
pub(super) struct Effort {
    passed_on: u64,
}

impl Effort {
    /// Begins at what the calling thread has used so far.
    pub(super) fn begin() -> Self {
        let mut effort = Self::default();
        effort.add_to(&Counter::default());
        effort
    }

    /// Adds what the calling thread, always the same one, has used since.
    pub(super) fn add_to(&mut self, total: &Counter) {
        let used = u64::try_from(thread_cpu().as_millis()).unwrap_or(u64::MAX);
        total.add(used.saturating_sub(self.passed_on));
        self.passed_on = used;
    }
}

/// Frames per second over about the last five seconds.
#[derive(Default)]
pub(super) struct Rate {
    since: Option<Duration>,
    frames: u32,
    fps: f64,
}

impl Rate {
    /// One more frame, at that time since boot; returns the rate so far.
    pub(super) fn frame(&mut self, at: Duration) -> f64 {
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
