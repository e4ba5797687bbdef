//! Tells systemd that the daemon is ready, and that it lives: only while every critical part makes progress.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::{error, info, warn};

use super::fleet::Fleet;
use crate::clock::SharedClock;
use crate::outbox::Outbox;
use crate::supervise::watchdog::Watchdog;

/// Says something to systemd; nobody listens when the daemon was not started by it.
pub(super) fn tell(state: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(state) {
        warn!(%why, "systemd cannot be told");
    }
}

/// Feeds systemd's watchdog for as long as the sensors and the outbox make progress; this task itself stands for the
/// runtime of the sockets. A part that is stuck for half of systemd's patience stops the feeding, and systemd starts the
/// daemon anew. Returns at once where no watchdog is wanted.
pub(super) async fn feed(fleet: Arc<Fleet>, outbox: Outbox, clock: SharedClock) {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    info!(
        patience_s = patience.as_secs_f64(),
        "systemd watches over this daemon"
    );
    let mut watchdog = Watchdog::new(patience / 2);
    let mut known_stuck = Vec::new();
    let mut tick = tokio::time::interval((patience / 8).max(Duration::from_millis(100)));
    loop {
        tick.tick().await;
        let mut signs = fleet.signs_of_life().await;
        signs.push(("outbox".to_owned(), outbox.turns()));
        let stuck = watchdog.stuck(signs, clock.now().boot);
        if stuck.is_empty() {
            tell(&[NotifyState::Watchdog]);
        } else if stuck != known_stuck {
            error!(
                parts = stuck.join(", "),
                "no progress: systemd is not told that all is well and will restart the daemon"
            );
        }
        known_stuck = stuck;
    }
}
