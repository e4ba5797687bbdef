//! The two lanes to the cloud: what happens now does not wait behind what happened during an outage.

use crate::event::Stream;

/// How old the events of a batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Stored since the connection came up.
    Live,
    /// Stored before, and not acknowledged by then.
    Backfill,
}

/// One lane of one stream; each has its own topic, order, pauses and refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    pub lane: Lane,
    pub stream: Stream,
}

impl Route {
    #[must_use]
    pub fn live(stream: Stream) -> Self {
        let lane = Lane::Live;
        Self { lane, stream }
    }

    #[must_use]
    pub fn backfill(stream: Stream) -> Self {
        let lane = Lane::Backfill;
        Self { lane, stream }
    }
}
