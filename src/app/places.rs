//! From the config to places, and their occupancy as events.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::clock::SharedClock;
use crate::config::schema::{self, Config};
use crate::event::{Body, Draft, Identity, Sink};
use crate::hours::{self, Hours};
use crate::occupancy::PlaceSettings;
use crate::outbox::Outbox;
use crate::status::Today;

/// How soon a place is emptied at its hour, and an interval ends.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// From now on the places and opening hours of this config are in force.
pub(super) fn set(today: &Today, config: &Config, identity: &Identity) {
    let hours = config.hours.as_ref();
    let hours = hours.map(|hours| Arc::new(Hours::new(hours, identity.zone.clone())));
    today.set_places(config.place.iter().map(settings).collect(), hours);
}

fn settings(place: &schema::Place) -> PlaceSettings {
    PlaceSettings {
        id: place.id.clone(),
        lines: Some(place.lines.clone()),
        reversed: place.reversed.clone(),
        // The config's validation has read it already; an empty text means never.
        reset: hours::clock(&place.reset),
        learn: place.learn,
        capacity: place.capacity.map(u64::from),
    }
}

/// Stores the occupancy of every interval that is over, for as long as the daemon runs.
pub(super) async fn report(today: Arc<Today>, outbox: Outbox, clock: SharedClock) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for (place, body) in today.intervals(false) {
            if outbox.append(draft(&place, &clock, body)).await.is_err() {
                return;
            }
        }
    }
}

/// Hands over the intervals that are open: the daemon leaves.
pub(super) fn last_report(today: &Today, outbox: &Outbox, clock: &SharedClock) {
    for (place, body) in today.intervals(true) {
        let draft = draft(&place, clock, body);
        if tokio::task::block_in_place(|| outbox.submit(draft)).is_err() {
            warn!("the outbox is closed; the last occupancy is not stored");
        }
    }
}

fn draft(place: &str, clock: &SharedClock, body: Body) -> Draft {
    Draft {
        source: format!("place/{place}"),
        at: clock.now(),
        body,
    }
}
