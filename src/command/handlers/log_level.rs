//! `log.level`: more, or less, in the log for a while. `{"level": "debug", "part": "uplink", "for_s": 600}`; afterwards
//! the level of the start is back by itself. Not done again after a restart, which brings that level back, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Call, Handler, Nature, Work};
use crate::clock::SharedClock;
use crate::command::response::Trouble;
use crate::event::Identity;
use crate::logging::{self, Level};

/// How long without `for_s`, and at most, seconds.
const DEFAULT_S: u64 = 3600;
const LONGEST_S: u64 = 86_400;

/// See the module.
pub struct LogLevel {
    pub identity: Identity,
    pub clock: SharedClock,
    /// Which call was the latest: only that one turns the level back.
    pub latest: Arc<AtomicU64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    level: Level,
    /// A room of the daemon, such as `uplink` or `sensor::camera`; absent: all of it.
    part: Option<String>,
    for_s: Option<u64>,
}

impl Handler for LogLevel {
    fn name(&self) -> &'static str {
        "log.level"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: false,
            ordered: false,
        }
    }

    fn run(&self, mut call: Call) -> Work<'_> {
        Box::pin(async move {
            let args: Args = call.arguments()?;
            let seconds = args.for_s.unwrap_or(DEFAULT_S);
            if !(1..=LONGEST_S).contains(&seconds) {
                let message = format!("args.for_s: expected 1 to {LONGEST_S} seconds");
                return Err(Trouble::rejected("args", message));
            }
            if let Some(part) = &args.part
                && !logging::is_part(part)
            {
                let message = "args.part: expected a part's name, such as uplink or sensor::camera";
                return Err(Trouble::rejected("args", message));
            }
            logging::set(args.level, args.part.as_deref())
                .map_err(|why| Trouble::failed("log", why.to_string()))?;
            let mine = self.latest.fetch_add(1, Ordering::Relaxed) + 1;
            let latest = Arc::clone(&self.latest);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                if latest.load(Ordering::Relaxed) == mine
                    && let Err(why) = logging::reset()
                {
                    tracing::warn!(%why, "the log's level cannot be turned back");
                }
            });
            let end = self.clock.now().wall + Duration::from_secs(seconds);
            Ok(json!({
                "level": args.level,
                "part": args.part,
                "until": self.identity.local_time(end),
            }))
        })
    }
}
