//! `config.rollback`: back to the config before the last committed change, or with `{"to": "owner"}` to the owner's file.
//! Under probation like `config.patch`.

use std::sync::Arc;

use serde::Deserialize;

use super::{Call, Handler, Nature, Work, interrupted};
use crate::command::configure::{Configurator, Wish, outcome};
use crate::command::handlers::Outcome;
use crate::command::id::CommandId;

/// See the module.
pub struct ConfigRollback {
    pub config: Arc<dyn Configurator>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    to: To,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum To {
    #[default]
    Before,
    Owner,
}

impl Handler for ConfigRollback {
    fn name(&self) -> &'static str {
        "config.rollback"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: false,
            ordered: true,
        }
    }

    fn run(&self, mut call: Call) -> Work<'_> {
        Box::pin(async move {
            let wish = match call.arguments::<Args>()?.to {
                To::Before => Wish::Before,
                To::Owner => Wish::Owners,
            };
            outcome(self.config.change(&call.id, wish, &*call.progress).await)
        })
    }

    fn after_restart(&self, id: &CommandId) -> Outcome {
        self.config.cut_off(id).map_or_else(interrupted, outcome)
    }
}
