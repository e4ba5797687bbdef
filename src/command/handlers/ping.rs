//! `ping`: the box is there. Takes nothing; answers with its version and both of its clocks.

use serde_json::json;

use super::{Call, Handler, Nature, Nothing, Work};
use crate::clock::SharedClock;
use crate::event::Identity;

/// See the module.
pub struct Ping {
    pub identity: Identity,
    pub clock: SharedClock,
}

impl Handler for Ping {
    fn name(&self) -> &'static str {
        "ping"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: true,
            ordered: false,
        }
    }

    fn run(&self, mut call: Call) -> Work<'_> {
        Box::pin(async move {
            call.arguments::<Nothing>()?;
            let now = self.clock.now();
            Ok(json!({
                "version": env!("CARGO_PKG_VERSION"),
                "time": self.identity.local_time(now.wall),
                "clock": now.clock(),
                "bootid": self.identity.boot_id,
                "boottime": now.boottime(),
            }))
        })
    }
}
