//! `occupancy.set`: how many people are inside a place at this moment, `{"value": 12, "place": "shop"}`. The box counts on
//! from there until the place is emptied for the night. Not done again after a restart: by then others may have come.

use std::io;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{Call, Handler, Nature, Work};
use crate::command::response::Trouble;

/// People at most.
const MOST: u64 = 100_000;

/// Sets the people in the place of that id, or in the first, for today, durably; false when there is none of that id. Blocks.
pub type Set = dyn Fn(Option<&str>, u64) -> io::Result<bool> + Send + Sync;

/// See the module.
pub struct OccupancySet {
    pub set: Arc<Set>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    value: u64,
    place: Option<String>,
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
            let Args { value, place } = call.arguments()?;
            if value > MOST {
                let message = format!("args.value: expected 0 to {MOST} people");
                return Err(Trouble::rejected("args", message));
            }
            let set = Arc::clone(&self.set);
            let wanted = place.clone();
            let stored = spawn_blocking(move || set(wanted.as_deref(), value)).await;
            let known = stored
                .unwrap_or_else(|why| Err(io::Error::other(why)))
                .map_err(|why| {
                    let message = format!("it is set until the next restart, but cannot be stored: {why}; check the box's disk");
                    Trouble::failed("storage", message)
                })?;
            match (known, place) {
                (true, None) => Ok(json!({"value": value})),
                (true, Some(place)) => Ok(json!({"value": value, "place": place})),
                (false, place) => {
                    let place = place.unwrap_or_default();
                    let message = format!(
                        "args.place: there is no place {place:?} in the config; leave it out for the first"
                    );
                    Err(Trouble::rejected("args", message))
                }
            }
        })
    }
}
