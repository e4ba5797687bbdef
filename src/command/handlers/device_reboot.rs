//! `device.reboot`: the whole box starts anew. Only where the owner's config allows it. The answer is on the disk before.

use serde_json::json;

use super::{Call, Handler, Nature, Nothing, Work};
use crate::command::response::{State, Trouble};

/// See the module.
pub struct DeviceReboot {
    /// Whether the owner allows it.
    pub allowed: bool,
    /// Begins the reboot; blocks for as long as that takes.
    pub reboot: Box<dyn Fn() + Send + Sync>,
}

impl Handler for DeviceReboot {
    fn name(&self) -> &'static str {
        "device.reboot"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: false,
            ordered: false,
        }
    }

    fn run(&self, mut call: Call) -> Work<'_> {
        Box::pin(async move {
            call.arguments::<Nothing>()?;
            if !self.allowed {
                let message = "the owner's config does not allow it; set command.reboot = true on the box and restart footfall";
                return Err(Trouble::rejected("forbidden", message));
            }
            Ok(json!({}))
        })
    }

    fn settled(&self, state: State) {
        if state == State::Succeeded {
            (self.reboot)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::command::id::CommandId;

    #[tokio::test]
    async fn it_reboots_once_its_answer_is_stored_and_only_where_that_is_allowed() {
        for allowed in [true, false] {
            let reboots = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&reboots);
            let handler = DeviceReboot {
                allowed,
                reboot: Box::new(move || {
                    let _ = count.fetch_add(1, Ordering::SeqCst);
                }),
            };
            let call = Call {
                id: CommandId::from_random([1; 16]),
                args: serde_json::Map::new(),
                progress: Box::new(|_| {}),
                post: Box::new(|_| tokio::sync::oneshot::channel().1),
            };
            let outcome = handler.run(call).await;
            assert_eq!(reboots.load(Ordering::SeqCst), 0);
            let state = outcome
                .as_ref()
                .map_or_else(Trouble::state, |_| State::Succeeded);
            handler.settled(state);
            assert_eq!(reboots.load(Ordering::SeqCst), u64::from(allowed));
            assert_eq!(
                outcome.err().map(|why| why.code == "forbidden"),
                (!allowed).then_some(true)
            );
        }
    }
}
