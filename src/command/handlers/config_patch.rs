//! `config.patch`: another config, as a JSON merge patch (RFC 7386) of what the cloud has changed:
//! `{"camera": {"entrance": {"fps": 5, "line": [{…}]}}}`; `null` takes a change back.
//!
//! The whole config with the change in it is validated first; one fault and nothing changes. Then it is in force on
//! probation, and the answer waits for its end. Not done again after a restart, which rolls it back.

use std::sync::Arc;

use super::{Call, Handler, Nature, Work, interrupted};
use crate::command::configure::{Configurator, Wish, outcome};
use crate::command::handlers::Outcome;
use crate::command::id::CommandId;
use crate::command::response::Trouble;

/// See the module.
pub struct ConfigPatch {
    pub config: Arc<dyn Configurator>,
}

impl Handler for ConfigPatch {
    fn name(&self) -> &'static str {
        "config.patch"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: false,
            ordered: true,
        }
    }

    fn run(&self, call: Call) -> Work<'_> {
        Box::pin(async move {
            if call.args.is_empty() {
                let message = "args: expected what to change, such as {\"camera\": {\"entrance\": {\"fps\": 5}}}";
                return Err(Trouble::rejected("args", message));
            }
            let wish = Wish::Patch(call.args);
            outcome(self.config.change(&call.id, wish, &*call.progress).await)
        })
    }

    fn after_restart(&self, id: &CommandId) -> Outcome {
        self.config.cut_off(id).map_or_else(interrupted, outcome)
    }
}
