//! How far each stream got on the current connection, lane by lane; and refusals, pauses, second tries.

use std::time::Duration;

use crate::uplink::route::Lane;

/// Wait after a lane's first refusal, heard or suspected; doubles with each further one heard.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest wait after a refusal.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long refused events stay set aside before they are tried again on the same connection.
pub(super) const SET_ASIDE: Duration = Duration::from_secs(600);

/// One lane of one stream, or the answers to commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Progress {
    /// Everything up to here (sequence number or ticket) was sent, is acknowledged, or is set aside.
    pub(super) cursor: u64,
    /// Batches left in this round.
    pub(super) share: u32,
    /// Refusals since the last success, bursts counted once, and silent ones as one.
    pub(super) refusals: u32,
    /// No sending before this moment.
    pub(super) paused_until: Duration,
    /// Whether the broker took a batch on this connection.
    accepted: bool,
    /// Connections in a row that broke over a batch of this lane before the broker took any.
    suspicions: u32,
    pub(super) aside: Option<Aside>,
}

/// Refused events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Aside {
    /// Lowest refused number.
    lowest: u64,
    /// When to try again from `lowest`; `None`: being tried.
    pub(super) again_at: Option<Duration>,
}

impl Progress {
    pub(super) fn connect(&mut self, cursor: u64) {
        self.cursor = cursor;
        self.accepted = false;
    }

    pub(super) fn is_ready(&self, last: u64, now: Duration, under_way: bool) -> bool {
        // After a refusal one publish at a time feels its way, and what is set aside returns only once
        // nothing of its lane is under way, or it would be sent twice.
        let alone = self.refusals > 0 || self.aside_is_due(now);
        self.cursor < last && now >= self.paused_until && !(alone && under_way)
    }

    /// Only while nothing of it is under way.
    pub(super) fn return_aside(&mut self, now: Duration) {
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

    pub(super) fn accept(&mut self, last: u64) {
        self.accepted = true;
        self.suspicions = 0;
        self.refusals = 0;
        self.paused_until = Duration::ZERO;
        // Tried again, and the batch that reaches the lowest one was taken.
        self.aside
            .take_if(|aside| aside.again_at.is_none() && last >= aside.lowest);
    }

    /// Once is the network; twice in a row may be a silent refusal, so the others go first for a while.
    pub(super) fn suspect(&mut self, now: Duration) {
        if self.accepted {
            return;
        }
        self.suspicions = self.suspicions.saturating_add(1).min(2);
        if self.suspicions == 2 {
            self.paused_until = self.paused_until.max(now + FIRST_PAUSE);
            self.refusals = self.refusals.max(1);
        }
    }

    pub(super) fn refuse(&mut self, first: u64, now: Duration) {
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

/// The two lanes of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Lanes {
    /// The highest sequence number of the backfill; what is above is live.
    pub(super) boundary: u64,
    pub(super) backfill: Progress,
    pub(super) live: Progress,
}

impl Lanes {
    pub(super) fn of(&self, lane: Lane) -> &Progress {
        match lane {
            Lane::Live => &self.live,
            Lane::Backfill => &self.backfill,
        }
    }

    pub(super) fn of_mut(&mut self, lane: Lane) -> &mut Progress {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backfill => &mut self.backfill,
        }
    }

    /// What is stored (up to `last`) and not acknowledged (`acked`: everything up to here is) becomes backfill.
    pub(super) fn connect(&mut self, acked: u64, last: u64) {
        self.backfill.connect(acked);
        self.live.connect(last);
        self.move_boundary(last);
    }

    /// Once the pause after a refusal of live events is over, they and what was stored meanwhile are no longer
    /// new: the backfill takes them, and the live lane tries its luck with what comes then. Only while no live
    /// batch is under way, or it would be sent on both lanes.
    pub(super) fn give_up_refused_live(&mut self, last: u64, now: Duration) {
        let over = self.live.aside.is_some() && now >= self.live.paused_until;
        if over && last >= self.live.cursor {
            self.live.cursor = last;
            self.move_boundary(last);
        }
    }

    fn move_boundary(&mut self, last: u64) {
        self.boundary = last;
        if let Some(live) = self.live.aside.take() {
            // What the backfill has set aside already is older, and counts.
            self.backfill.aside.get_or_insert(Aside {
                lowest: live.lowest,
                again_at: None,
            });
        }
    }

    /// Whether the broker refuses either lane. Live events that it refused are with the backfill after a while,
    /// but the refusal is over only once it takes a live one.
    pub(super) fn is_refused(&self) -> bool {
        self.backfill.aside.is_some() || self.live.refusals > 0
    }
}
