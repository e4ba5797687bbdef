//! What is under way to the broker, and what may go next. Pure: no I/O, no clock of its own.
//!
//! An event leaves the outbox only through [`Ledger::acked`] with a success; everything else (a refusal, a
//! cut, a restart) returns it. The client library numbers publishes in the order in which it was given them
//! and tells the number later, so packet ids are matched to sendings first in, first out.
//!
//! Each stream has two lanes with a boundary between them: what was stored before the connection came up is
//! backfill, what is stored after is live. Live goes first; backfill gets every fourth turn at least, and as
//! much of the window as leaves live events a free way: it grows with each prompt answer and halves with each
//! slow one, so that a slow line is never full of old events.
//!
//! The window counts from the oldest unacknowledged sending, also past later ones that are done. The library
//! hands out packet ids in a ring of that size, so an id is never needed while it is still taken.

use std::collections::VecDeque;
use std::time::Duration;

use super::batch::Batch;
use super::route::{Lane, Route};
use crate::event::Stream;
use progress::{Lanes, Progress};

mod progress;

/// Batches each stream may send per round of its lane, by falling priority: the first with any left goes first,
/// and none waits longer than one round.
const SHARES: [u32; 4] = [8, 4, 2, 1];
/// Live batches that may go in a row while backfill waits.
const LIVE_IN_A_ROW: u32 = 3;
/// A backfill batch that is answered within this time leaves room on the line for more of them at once.
const PROMPT: Duration = Duration::from_secs(1);

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
    sent_at: Duration,
    done: bool,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    window: usize,
    /// Oldest first; the front is never done.
    sendings: VecDeque<Sending>,
    streams: [Lanes; 4],
    /// Answers to commands: few and small, so they need no share.
    answers: Progress,
    /// Backfill batches that may be under way at once.
    allowance: usize,
    /// Live batches since the last backfill batch, up to [`LIVE_IN_A_ROW`].
    live_in_a_row: u32,
}

impl Ledger {
    /// A connection is up: `window` publishes may be under way. By stream, everything up to `acked` is
    /// acknowledged, and what is stored above it, up to `last`, is backfill from now on.
    pub fn connected(&mut self, window: usize, acked: [u64; 4], last: [u64; 4]) {
        self.sendings.clear();
        self.window = window.max(1);
        (self.allowance, self.live_in_a_row) = (1, 0);
        for ((lanes, acked), last) in self.streams.iter_mut().zip(acked).zip(last) {
            lanes.connect(acked, last);
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
        let lanes = self
            .streams
            .iter_mut()
            .flat_map(|lanes| [&mut lanes.live, &mut lanes.backfill]);
        for aside in lanes
            .chain([&mut self.answers])
            .filter_map(|progress| progress.aside.as_mut())
        {
            aside.again_at = None;
        }
        // Such a broker may not even say so. Brokers work in order, so the oldest unanswered publish is the suspect.
        if let Some((progress, ..)) = returned.first().and_then(|oldest| self.place_of(oldest)) {
            progress.suspect(now);
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

    /// Which lane of which stream goes next. `last`: highest sequence number stored per stream; `now`: any clock
    /// that does not jump. `None`: nothing may be sent now.
    pub fn next_route(&mut self, last: [u64; 4], now: Duration) -> Option<Route> {
        if !self.has_room() {
            return None;
        }
        for stream in Stream::ALL {
            self.renew(stream, last[stream.index()], now);
        }
        let live = self.ready(Lane::Live, last, now);
        let backfill = self.ready(Lane::Backfill, last, now);
        let live_first = backfill.is_empty() || self.live_in_a_row < LIVE_IN_A_ROW;
        let (lane, ready) = if live_first && !live.is_empty() {
            (Lane::Live, live)
        } else {
            (Lane::Backfill, backfill)
        };
        let share = |ledger: &Self, stream: Stream| ledger.streams[stream.index()].of(lane).share;
        if ready.iter().all(|stream| share(self, *stream) == 0) {
            for (lanes, share) in self.streams.iter_mut().zip(SHARES) {
                lanes.of_mut(lane).share = share;
            }
        }
        let stream = ready.into_iter().find(|stream| share(self, *stream) > 0)?;
        Some(Route { lane, stream })
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

    /// Where to read on: after this sequence number.
    #[must_use]
    pub fn cursor(&self, route: Route) -> u64 {
        self.progress(route).cursor
    }

    /// Where to stop reading: the last sequence number that belongs to the lane.
    #[must_use]
    pub fn end(&self, route: Route) -> u64 {
        match route.lane {
            Lane::Live => u64::MAX,
            Lane::Backfill => self.streams[route.stream.index()].boundary,
        }
    }

    /// Everything up to `upto` needs no sending on this connection (acknowledged, missing, or oversized).
    pub fn skip(&mut self, route: Route, upto: u64) {
        let progress = self.progress_mut(route);
        progress.cursor = progress.cursor.max(upto);
    }

    /// The library has taken a publish.
    pub fn sent(&mut self, content: Content, now: Duration) {
        if let Some((progress, _, last)) = self.place_of(&content) {
            progress.share = progress.share.saturating_sub(1);
            progress.cursor = progress.cursor.max(last);
        }
        if let Content::Batch(batch) = &content {
            self.live_in_a_row = match batch.route.lane {
                Lane::Live => LIVE_IN_A_ROW.min(self.live_in_a_row + 1),
                Lane::Backfill => 0,
            };
        }
        self.sendings.push_back(Sending {
            content,
            packet_id: None,
            sent_at: now,
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
        let prompt = now.saturating_sub(sending.sent_at) <= PROMPT;
        while self.sendings.front().is_some_and(|oldest| oldest.done) {
            self.sendings.pop_front();
        }
        if matches!(&content, Content::Batch(batch) if batch.route.lane == Lane::Backfill) {
            self.allow(prompt);
        }
        if let Some((progress, first, last)) = self.place_of(&content) {
            if accepted {
                progress.accept(last);
            } else {
                progress.refuse(first, now);
            }
        }
        Ok(if accepted {
            Settled::Delivered(content)
        } else {
            Settled::Refused(content)
        })
    }

    /// Whether the broker has refused events of this stream, on either lane, and taken none of them since.
    #[must_use]
    pub fn is_refused(&self, stream: Stream) -> bool {
        self.streams[stream.index()].is_refused()
    }

    /// The next moment after `now` at which a pause ends or refused events are tried again.
    #[must_use]
    pub fn wakes_at(&self, now: Duration) -> Option<Duration> {
        self.streams
            .iter()
            .flat_map(|lanes| [&lanes.live, &lanes.backfill])
            .chain([&self.answers])
            .flat_map(|progress| {
                let again = progress.aside.as_ref().and_then(|aside| aside.again_at);
                [Some(progress.paused_until), again]
            })
            .flatten()
            .filter(|moment| *moment > now)
            .min()
    }

    fn progress(&self, route: Route) -> &Progress {
        self.streams[route.stream.index()].of(route.lane)
    }

    fn progress_mut(&mut self, route: Route) -> &mut Progress {
        self.streams[route.stream.index()].of_mut(route.lane)
    }

    /// The progress of what is sent, and its first and last number there.
    fn place_of(&mut self, content: &Content) -> Option<(&mut Progress, u64, u64)> {
        match content {
            Content::State => None,
            Content::Answer(ticket) => Some((&mut self.answers, *ticket, *ticket)),
            Content::Batch(batch) => {
                let (first, last) = batch.span()?;
                Some((self.progress_mut(batch.route), first, last))
            }
        }
    }

    /// The streams that have something to send on this lane, by falling priority.
    fn ready(&self, lane: Lane, last: [u64; 4], now: Duration) -> Vec<Stream> {
        if lane == Lane::Backfill && self.backfill_under_way() >= self.allowance {
            return Vec::new();
        }
        let is_ready = |stream: &Stream| {
            let route = Route {
                lane,
                stream: *stream,
            };
            let last = last[stream.index()].min(self.end(route));
            let under_way = self.route_is_under_way(route);
            self.progress(route).is_ready(last, now, under_way)
        };
        Stream::ALL.into_iter().filter(is_ready).collect()
    }

    /// A backfill batch was answered. A quarter of the window always stays for live batches.
    fn allow(&mut self, prompt: bool) {
        let most = self.window - self.window / 4;
        self.allowance = if prompt {
            most.min(self.allowance + 1)
        } else {
            (self.allowance / 2).max(1)
        };
    }

    fn backfill_under_way(&self) -> usize {
        let backfill = |sending: &&Sending| matches!(&sending.content, Content::Batch(batch) if batch.route.lane == Lane::Backfill);
        let open = self.sendings.iter().filter(|sending| !sending.done);
        open.filter(backfill).count()
    }

    fn route_is_under_way(&self, route: Route) -> bool {
        self.is_under_way(
            |content| matches!(content, Content::Batch(batch) if batch.route == route),
        )
    }

    fn is_under_way(&self, of: impl Fn(&Content) -> bool) -> bool {
        let mut open = self.sendings.iter().filter(|sending| !sending.done);
        open.any(|sending| of(&sending.content))
    }

    /// What was refused comes again, in the backfill.
    fn renew(&mut self, stream: Stream, last: u64, now: Duration) {
        let live = self.route_is_under_way(Route::live(stream));
        let backfill = self.route_is_under_way(Route::backfill(stream));
        let lanes = &mut self.streams[stream.index()];
        if !live {
            lanes.give_up_refused_live(last, now);
        }
        if !backfill {
            lanes.backfill.return_aside(now);
        }
    }
}

#[cfg(test)]
mod tests;
