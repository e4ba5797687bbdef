//! `diagnostics.collect`: everything somebody far away needs to see what is the matter, in one file without secrets. It is
//! published in parts on `{base}/diagnostics/{id}/{n}`, then answered with its size and SHA-256. Takes nothing.
//!
//! The file is kept under the command's id, so after a restart the same bytes go out again.

use std::io;
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{Call, Handler, Nature, Nothing, Taken, Work};
use crate::command::id::CommandId;
use crate::command::response::Trouble;
use crate::uplink::desk::Answer;
use crate::uplink::topics::Topics;

/// One part, bytes: as much as a batch of the backfill.
const PART_BYTES: usize = 32 * 1024;
/// Smaller parts make no sense.
const LEAST_BYTES: usize = 128;

/// Makes and keeps the bundle of a command, or gives the one that is kept. Blocks.
pub type Collect = Arc<dyn Fn(&CommandId) -> io::Result<Vec<u8>> + Send + Sync>;

/// See the module.
pub struct DiagnosticsCollect {
    pub collect: Collect,
    pub topics: Topics,
    /// One bundle at a time.
    pub one: Semaphore,
}

impl Handler for DiagnosticsCollect {
    fn name(&self) -> &'static str {
        "diagnostics.collect"
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
            let Ok(_one) = self.one.try_acquire() else {
                let message = "another bundle is being collected; wait for its answer";
                return Err(Trouble::rejected("busy", message));
            };
            let (collect, id) = (Arc::clone(&self.collect), call.id.clone());
            let bundle = spawn_blocking(move || collect(&id)).await;
            let bundle = bundle
                .unwrap_or_else(|why| Err(io::Error::other(why)))
                .map_err(|why| {
                    let message = format!("the bundle cannot be made and kept: {why}; check the box's disk, or download it from the box's page");
                    Trouble::failed("storage", message)
                })?;
            let parts = self.publish(&call, &bundle).await?;
            let sha256: String = Sha256::digest(&bundle)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            Ok(json!({"bytes": bundle.len(), "sha256": sha256, "parts": parts}))
        })
    }
}

impl DiagnosticsCollect {
    /// Publishes all parts, again from the first one when the broker takes only smaller ones; gives their number.
    async fn publish(&self, call: &Call, bundle: &[u8]) -> Result<usize, Trouble> {
        let mut size = PART_BYTES;
        'again: loop {
            let parts = bundle.chunks(size);
            let count = parts.len();
            for (number, part) in parts.enumerate() {
                let part = Answer {
                    topic: self.topics.diagnostics(call.id.as_str(), number),
                    content_type: "application/octet-stream",
                    correlation: None,
                    retain: false,
                    payload: part.to_vec(),
                };
                match call.publish(&part).await? {
                    Taken::Whole => (call.progress)(&format!("part {} of {count}", number + 1)),
                    Taken::TooLarge(most) if most >= LEAST_BYTES => {
                        size = most;
                        continue 'again;
                    }
                    Taken::TooLarge(most) => {
                        let message = format!(
                            "the broker takes {most} bytes at a time; raise its maximum packet size"
                        );
                        return Err(Trouble::failed("refused", message));
                    }
                }
            }
            return Ok(count);
        }
    }
}
