//! What the capture counts about itself, for the page and for the quality of intervals.

use super::frame::{Heard, Probe};
use crate::event::WifiQuality;
use crate::metric::{Counter, Gauge, Metric};

/// The counters of one radio; they only grow.
#[derive(Clone, Default)]
pub struct Meters {
    /// Frames that arrived. Live, the kernel passes on little but probe requests.
    pub frames: Counter,
    pub probe_requests: Counter,
    pub kernel_drops: Counter,
    pub queue_drops: Counter,
    pub bad_fcs: Counter,
    pub truncated: Counter,
    pub malformed: Counter,
    /// Probe requests from the address of a group.
    pub no_sender: Counter,
    /// Probe requests whose signal the adapter did not tell.
    pub no_signal: Counter,
    /// Probe requests of senders for whom there was no room.
    pub untracked: Counter,
    /// Senders remembered at the moment; fewer than five are shown as none.
    pub devices: Gauge,
}

impl Meters {
    /// Counts what a frame turned out to be, and passes a probe request on.
    pub fn heard(&self, heard: Heard) -> Option<Probe> {
        self.frames.add(1);
        match heard {
            Heard::Probe(probe) => {
                self.probe_requests.add(1);
                self.truncated.add(probe.truncated.into());
                self.no_signal.add(probe.signal.is_none().into());
                return Some(probe);
            }
            Heard::NoSender => self.no_sender.add(1),
            Heard::BadFcs => self.bad_fcs.add(1),
            Heard::TooShort => self.truncated.add(1),
            Heard::Malformed => self.malformed.add(1),
            Heard::Other => {}
        }
        None
    }

    /// Where the counters stand, as the quality of an interval that began with the first frame.
    #[must_use]
    pub fn quality(&self) -> WifiQuality {
        WifiQuality {
            uptime_ratio: 0.0,
            probe_requests: self.probe_requests.get(),
            untracked: self.untracked.get(),
            kernel_drops: self.kernel_drops.get(),
            queue_drops: self.queue_drops.get(),
            bad_fcs: self.bad_fcs.get(),
            truncated: self.truncated.get(),
            malformed: self.malformed.get(),
        }
    }

    /// The numbers with their names.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let one = Metric::counter;
        vec![
            one("frames", "frames received", "收到的帧", &self.frames),
            one(
                "probe_requests",
                "probe requests",
                "探测请求",
                &self.probe_requests,
            ),
            Metric::gauge(
                "devices",
                "senders remembered (below 5 shown as 0)",
                "暂记的发送方(少于5显示为0)",
                &self.devices,
            ),
            one(
                "kernel_drops",
                "frames the system dropped",
                "系统丢弃的帧",
                &self.kernel_drops,
            ),
            one(
                "queue_drops",
                "frames dropped before counting",
                "计数前丢弃的帧",
                &self.queue_drops,
            ),
            one(
                "bad_fcs",
                "frames with a wrong checksum",
                "校验错误的帧",
                &self.bad_fcs,
            ),
            one(
                "truncated",
                "frames cut short",
                "不完整的帧",
                &self.truncated,
            ),
            one(
                "malformed",
                "frames with unreadable headers",
                "帧头无法识别",
                &self.malformed,
            ),
            one(
                "no_sender",
                "probe requests without a valid sender",
                "发送方无效的请求",
                &self.no_sender,
            ),
            one(
                "no_signal",
                "probe requests without a signal",
                "没有信号强度的请求",
                &self.no_signal,
            ),
            one(
                "untracked",
                "probe requests beyond the memory",
                "超出容量的请求",
                &self.untracked,
            ),
        ]
    }
}
