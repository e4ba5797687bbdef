//! `service.restart`: the daemon drains and ends in order, so that systemd starts it again. The answer is on the disk
//! before, and published while it drains or by the next start.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use super::{Call, Handler, Nature, Nothing, Work};
use crate::command::handlers::Outcome;
use crate::command::id::CommandId;
use crate::command::response::State;

/// See the module.
pub struct ServiceRestart {
    /// Ends the daemon.
    pub leave: Arc<Notify>,
}

impl Handler for ServiceRestart {
    fn name(&self) -> &'static str {
        "service.restart"
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
            Ok(json!({}))
        })
    }

    /// What cut it off is what it asks for.
    fn after_restart(&self, _id: &CommandId) -> Outcome {
        Ok(json!({}))
    }

    fn settled(&self, state: State) {
        if state == State::Succeeded {
            self.leave.notify_one();
        }
    }
}
