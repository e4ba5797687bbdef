//! `occupancy.set`: how many people are inside at this moment, `{"value": 12}`. The box counts on from there until local
//! midnight. Not done again after a restart: by then others may have come.

use std::io;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{Call, Handler, Nature, Work};
use crate::command::response::Trouble;

/// People at most.
const MOST: u64 = 100_000;

/// See the module.
pub struct OccupancySet {
    /// Sets it for today, durably. Blocks.
    pub set: Arc<dyn Fn(u64) -> io::Result<()> + Send + Sync>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    value: u64,
}

impl Handler for OccupancySet {
    fn name(&self) -> &'static str {
        "occupancy.set"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: false,
            ordered: false,
        }
    }

    fn run(&self, mut call: Call) -> Work<'_> {
        Box::pin(async move {
            let Args { value } = call.arguments()?;
            if value > MOST {
                let message = format!("args.value: expected 0 to {MOST} people");
                return Err(Trouble::rejected("args", message));
            }
            let set = Arc::clone(&self.set);
            let stored = spawn_blocking(move || set(value)).await;
            stored
                .unwrap_or_else(|why| Err(io::Error::other(why)))
                .map_err(|why| {
                    let message = format!("it is set until the next restart, but cannot be stored: {why}; check the box's disk");
                    Trouble::failed("storage", message)
                })?;
            Ok(json!({"value": value}))
        })
    }
}
