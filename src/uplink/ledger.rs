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
    /// The answer to a command, by its ticket.
    Answer(u64),
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

/// One stream's way through the current connection, or that of the answers to commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lane {
    /// Everything up to here (sequence number or ticket) was sent, is acknowledged, or is set aside.
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
    /// Answers to commands: few and small, so they need no share.
    answers: Lane,
}

impl Ledger {
    /// A connection is up: `window` publishes may be under way, and each stream starts behind `acked`.
    pub fn connected(&mut self, window: usize, acked: [u64; 4]) {
        self.sendings.clear();
        self.window = window.max(1);
        for (lane, acked) in self.lanes.iter_mut().zip(acked) {
            lane.connect(acked);
        }
        // Answers that the broker has are gone from where they are kept.
        self.answers.connect(0);
    }

    /// The connection is gone: everything unacknowledged returns. Gives the number of events in it.
    pub fn cut(&mut self, now: Duration) -> u64 {
        let returned: Vec<Content> = self
            .sendings
            .drain(..)
            .filter(|sending| !sending.done && sending.content != Content::State)
            .map(|sending| sending.content)
            .collect();
        self.window = 0;
        // The next connection starts from the oldest unacknowledged event, refused ones included. Pauses stay:
        // some brokers cut the connection at a refusal, and the other streams must get through all the same.
        let lanes = self.lanes.iter_mut().chain([&mut self.answers]);
        for aside in lanes.filter_map(|lane| lane.aside.as_mut()) {
            aside.again_at = None;
        }
        // Such a broker may not even say so. Brokers work in order, so the oldest unanswered publish is the suspect.
        if let Some((lane, ..)) = returned.first().and_then(|oldest| self.place_of(oldest)) {
            lane.suspect(now);
        }
        let events = |content: &Content| match content {
            Content::Batch(batch) => batch.events(),
            Content::State | Content::Answer(_) => 0,
        };
        returned.iter().map(events).sum()
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

    /// Whether an answer may go next. `last`: the highest ticket that waits. Answers go before events.
    pub fn may_answer(&mut self, last: u64, now: Duration) -> bool {
        let under_way = self.is_under_way(|content| matches!(content, Content::Answer(_)));
        if !under_way {
            self.answers.return_aside(now);
        }
        self.has_room() && self.answers.is_ready(last, now, under_way)
    }

    /// Which answer goes next: the first after this ticket.
    #[must_use]
    pub fn answer_cursor(&self) -> u64 {
        self.answers.cursor
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
        if let Some((lane, _, last)) = self.place_of(&content) {
            lane.share = lane.share.saturating_sub(1);
            lane.cursor = lane.cursor.max(last);
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
        if let Some((lane, first, last)) = self.place_of(&content) {
            if accepted {
                lane.accept(last);
            } else {
                lane.refuse(first, now);
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
            .chain([&self.answers])
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

    /// The lane of what is sent, and its first and last number there.
    fn place_of(&mut self, content: &Content) -> Option<(&mut Lane, u64, u64)> {
        match content {
            Content::State => None,
            Content::Answer(ticket) => Some((&mut self.answers, *ticket, *ticket)),
            Content::Batch(batch) => {
                let (first, last) = batch.span()?;
                Some((self.lane_mut(batch.stream), first, last))
            }
        }
    }

    fn is_ready(&self, stream: Stream, last: u64, now: Duration) -> bool {
        let under_way = self.stream_is_under_way(stream);
        self.lane(stream).is_ready(last, now, under_way)
    }

    fn stream_is_under_way(&self, stream: Stream) -> bool {
        self.is_under_way(
            |content| matches!(content, Content::Batch(batch) if batch.stream == stream),
        )
    }

    fn is_under_way(&self, of: impl Fn(&Content) -> bool) -> bool {
        let mut open = self.sendings.iter().filter(|sending| !sending.done);
        open.any(|sending| of(&sending.content))
    }

    fn return_aside(&mut self, stream: Stream, now: Duration) {
        if !self.stream_is_under_way(stream) {
            self.lane_mut(stream).return_aside(now);
        }
    }
}

impl Lane {
    fn connect(&mut self, acked: u64) {
        self.cursor = acked;
        self.accepted = false;
    }

    fn is_ready(&self, last: u64, now: Duration, under_way: bool) -> bool {
        // After a refusal one publish at a time feels its way, and what is set aside returns only once
        // nothing of its lane is under way, or it would be sent twice.
        let alone = self.refusals > 0 || self.aside_is_due(now);
        self.cursor < last && now >= self.paused_until && !(alone && under_way)
    }

    fn return_aside(&mut self, now: Duration) {
        if self.aside_is_due(now)
            && let Some(aside) = &mut self.aside
        {
            aside.again_at = None;
            self.cursor = self.cursor.min(aside.lowest.saturating_sub(1));
        }
    }

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
