//! What is under way to the broker, and what may go next. Pure: no I/O, no clock of its own.
//!
//! An event leaves the outbox only through [`Ledger::acked`] with a success; everything else (a refusal, a
//! cut, a restart) returns it. The client library numbers publishes in the order in which it was given them
//! and tells the number later, so packet ids are matched to sendings first in, first out.
//!
//! The window counts from the oldest unacknowledged sending, also past later ones that are done. The library
//! hands out packet ids in a ring of that size, so an id is never needed while it is still taken.

use std::collections::VecDeque;
use std::time::Duration;

use super::batch::Batch;
use crate::event::Stream;

/// Batches each stream may send per round, by falling priority: the first with any left goes first, and
/// none waits longer than one round.
const SHARES: [u32; 4] = [8, 4, 2, 1];
/// Wait after a stream's first refusal, heard or suspected; doubles with each further one heard.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest wait after a refusal.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long refused events stay set aside before they are tried again on the same connection.
const SET_ASIDE: Duration = Duration::from_secs(600);

/// What one publish carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    Batch(Batch),
    /// The box's state; not kept anywhere, so there is nothing to return.
    State,
}

/// What an acknowledgement settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The cloud has it: acknowledge it to the outbox.
    Delivered(Content),
    /// The broker does not want it: set aside, still in the outbox.
    Refused(Content),
}

/// The library said something about a publish that was never made; only a new connection helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Confusion {
    #[error("a packet id ({0}) was given to a publish that nobody made")]
    Unknown(u16),
    #[error("an acknowledgement came for packet id {0}, which is not under way")]
    Unsolicited(u16),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sending {
    content: Content,
    /// Known once the library has written the packet.
    packet_id: Option<u16>,
    done: bool,
}

/// One stream's way through the current connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lane {
    /// Everything up to here was sent, is acknowledged, or is set aside.
    cursor: u64,
    /// Batches left in this round.
    share: u32,
    /// Refusals since the last success, bursts counted once, and silent ones as one.
    refusals: u32,
    /// No sending before this moment.
    paused_until: Duration,
    /// Whether the broker took a batch on this connection.
    accepted: bool,
    /// Connections in a row that broke over a batch of this stream before the broker took any.
    suspicions: u32,
    aside: Option<Aside>,
}

/// Refused events of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Aside {
    /// Lowest refused sequence number.
    lowest: u64,
    /// When to try again from `lowest`; `None`: being tried.
    again_at: Option<Duration>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    window: usize,
    /// Oldest first; the front is never done.
    sendings: VecDeque<Sending>,
    lanes: [Lane; 4],
}

impl Ledger {
    /// A connection is up: `window` publishes may be under way, and each stream starts behind `acked`.
    pub fn connected(&mut self, window: usize, acked: [u64; 4]) {
        self.sendings.clear();
        self.window = window.max(1);
        for (lane, acked) in self.lanes.iter_mut().zip(acked) {
            lane.cursor = acked;
            lane.accepted = false;
        }
    }

    /// The connection is gone: everything unacknowledged returns. Gives the number of events in it.
    pub fn cut(&mut self, now: Duration) -> u64 {
        let unanswered = |sending: Sending| match sending.content {
            Content::Batch(batch) if !sending.done => Some(batch),
            _ => None,
        };
        let returned: Vec<Batch> = self.sendings.drain(..).filter_map(unanswered).collect();
        self.window = 0;
        // The next connection starts from the oldest unacknowledged event, refused ones included. Pauses stay:
        // some brokers cut the connection at a refusal, and the other streams must get through all the same.
        for aside in self.lanes.iter_mut().filter_map(|lane| lane.aside.as_mut()) {
            aside.again_at = None;
        }
        // Such a broker may not even say so. Brokers work in order, so the oldest unanswered batch is the suspect.
        if let Some(oldest) = returned.first() {
            self.lane_mut(oldest.stream).suspect(now);
        }
        returned.iter().map(Batch::events).sum()
    }

    /// Whether one more publish may be given to the library.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.sendings.len() < self.window
    }

    /// Publishes that wait for their acknowledgement.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.sendings.iter().filter(|sending| !sending.done).count()
    }

    /// Which stream goes next. `last`: highest sequence number stored per stream; `now`: any clock that
    /// does not jump. `None`: nothing may be sent now.
    pub fn next_stream(&mut self, last: [u64; 4], now: Duration) -> Option<Stream> {
        if !self.has_room() {
            return None;
        }
        for stream in Stream::ALL {
            self.return_aside(stream, now);
        }
        let ready: Vec<Stream> = Stream::ALL
            .into_iter()
            .filter(|stream| self.is_ready(*stream, last[stream.index()], now))
            .collect();
        if ready.iter().all(|stream| self.lane(*stream).share == 0) {
            for (lane, share) in self.lanes.iter_mut().zip(SHARES) {
                lane.share = share;
            }
        }
        ready
            .into_iter()
            .find(|stream| self.lane(*stream).share > 0)
    }

    /// Where to read on in a stream: after this sequence number.
    #[must_use]
    pub fn cursor(&self, stream: Stream) -> u64 {
        self.lane(stream).cursor
    }

    /// Everything up to `upto` needs no sending on this connection (acknowledged, missing, or oversized).
    pub fn skip(&mut self, stream: Stream, upto: u64) {
        let lane = self.lane_mut(stream);
        lane.cursor = lane.cursor.max(upto);
    }

    /// The library has taken a publish.
    pub fn sent(&mut self, content: Content) {
        if let Content::Batch(batch) = &content {
            let lane = self.lane_mut(batch.stream);
            lane.share = lane.share.saturating_sub(1);
            if let Some((_, last)) = batch.span() {
                lane.cursor = lane.cursor.max(last);
            }
        }
        self.sendings.push_back(Sending {
            content,
            packet_id: None,
            done: false,
        });
    }

    /// The library has written the oldest publish that had no packet id yet, under this one.
    ///
    /// # Errors
    /// [`Confusion`]: drop the connection.
    pub fn written(&mut self, packet_id: u16) -> Result<(), Confusion> {
        let sending = self
            .sendings
            .iter_mut()
            .find(|sending| sending.packet_id.is_none())
            .ok_or(Confusion::Unknown(packet_id))?;
        sending.packet_id = Some(packet_id);
        Ok(())
    }

    /// The broker has answered a publish.
    ///
    /// # Errors
    /// [`Confusion`]: drop the connection.
    pub fn acked(
        &mut self,
        packet_id: u16,
        accepted: bool,
        now: Duration,
    ) -> Result<Settled, Confusion> {
        let sending = self
            .sendings
            .iter_mut()
            .find(|sending| !sending.done && sending.packet_id == Some(packet_id))
            .ok_or(Confusion::Unsolicited(packet_id))?;
        sending.done = true;
        let content = sending.content.clone();
        while self.sendings.front().is_some_and(|oldest| oldest.done) {
            self.sendings.pop_front();
        }
        if let Content::Batch(batch) = &content {
            let lane = self.lane_mut(batch.stream);
            match batch.span() {
                Some((_, last)) if accepted => lane.accept(last),
                Some((first, _)) => lane.refuse(first, now),
                None => {}
            }
        }
        Ok(if accepted {
            Settled::Delivered(content)
        } else {
            Settled::Refused(content)
        })
    }

    /// Whether the broker has refused events of this stream and taken none of them since.
    #[must_use]
    pub fn is_refused(&self, stream: Stream) -> bool {
        self.lane(stream).aside.is_some()
    }

    /// The next moment after `now` at which a pause ends or refused events are tried again.
    #[must_use]
    pub fn wakes_at(&self, now: Duration) -> Option<Duration> {
        self.lanes
            .iter()
            .flat_map(|lane| {
                let again = lane.aside.as_ref().and_then(|aside| aside.again_at);
                [Some(lane.paused_until), again]
            })
            .flatten()
            .filter(|moment| *moment > now)
            .min()
    }

    fn lane(&self, stream: Stream) -> &Lane {
        &self.lanes[stream.index()]
    }

    fn lane_mut(&mut self, stream: Stream) -> &mut Lane {
        &mut self.lanes[stream.index()]
    }

    fn is_ready(&self, stream: Stream, last: u64, now: Duration) -> bool {
        let lane = self.lane(stream);
        // After a refusal one batch at a time feels its way, and what is set aside returns only once
        // nothing of its stream is under way, or it would be sent twice.
        let alone = lane.refusals > 0 || lane.aside_is_due(now);
        lane.cursor < last && now >= lane.paused_until && !(alone && self.is_under_way(stream))
    }

    fn is_under_way(&self, stream: Stream) -> bool {
        self.sendings.iter().any(|sending| {
            !sending.done
                && matches!(&sending.content, Content::Batch(batch) if batch.stream == stream)
        })
    }

    fn return_aside(&mut self, stream: Stream, now: Duration) {
        if self.is_under_way(stream) {
            return;
        }
        let lane = self.lane_mut(stream);
        if lane.aside_is_due(now)
            && let Some(aside) = &mut lane.aside
        {
            aside.again_at = None;
            lane.cursor = lane.cursor.min(aside.lowest.saturating_sub(1));
        }
    }
}

impl Lane {
    fn aside_is_due(&self, now: Duration) -> bool {
        self.aside
            .as_ref()
            .and_then(|aside| aside.again_at)
            .is_some_and(|again_at| now >= again_at)
    }

    fn accept(&mut self, last: u64) {
        self.accepted = true;
        self.suspicions = 0;
        self.refusals = 0;
        self.paused_until = Duration::ZERO;
        // Tried again, and the batch that reaches the lowest one was taken.
        self.aside
            .take_if(|aside| aside.again_at.is_none() && last >= aside.lowest);
    }

    /// Once is the network; twice in a row may be a silent refusal, so the others go first for a while.
    fn suspect(&mut self, now: Duration) {
        if self.accepted {
            return;
        }
        self.suspicions = self.suspicions.saturating_add(1).min(2);
        if self.suspicions == 2 {
            self.paused_until = self.paused_until.max(now + FIRST_PAUSE);
            self.refusals = self.refusals.max(1);
        }
    }

    fn refuse(&mut self, first: u64, now: Duration) {
        if now >= self.paused_until {
            let pause = FIRST_PAUSE.saturating_mul(1 << self.refusals.min(10));
            self.paused_until = now + pause.min(LONGEST_PAUSE);
            self.refusals = self.refusals.saturating_add(1);
        }
        let aside = self.aside.get_or_insert(Aside {
            lowest: first,
            again_at: None,
        });
        aside.lowest = aside.lowest.min(first);
        aside.again_at.get_or_insert(now + SET_ASIDE);
    }
}

#[cfg(test)]
mod tests;
