//! What the commands that change the config have in common: their wishes, and who fulfils them.

use std::pin::Pin;

use serde_json::{Map, Value, json};

use super::handlers::Outcome;
use super::id::CommandId;
use super::response::Trouble;

/// Which config shall be in force.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// That of now with this merge patch (RFC 7386) of the changes.
    Patch(Map<String, Value>),
    /// The owner's file with exactly this merge patch over it.
    Whole(Map<String, Value>),
    /// That before the last committed change.
    Before,
    /// The owner's file alone.
    Owners,
}

/// Why a wish was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeFault {
    /// The config would be wrong: one line for each fault.
    Invalid(Vec<String>),
    /// Another change is on probation.
    Busy,
    /// It cannot be stored.
    Storage(String),
    /// It was in force and did not work: why.
    RolledBack(String),
}

/// Tells whoever asked how far it is.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A change at work; ends with the SHA-256 of the config in force, hex.
pub type Change<'a> = Pin<Box<dyn Future<Output = Result<String, ChangeFault>> + Send + 'a>>;

/// Who puts a changed config into force.
pub trait Configurator: Send + Sync {
    /// Validates, stores, applies, watches, and commits or rolls back.
    fn change<'a>(
        &'a self,
        command: &'a CommandId,
        wish: Wish,
        progress: Progress<'a>,
    ) -> Change<'a>;

    /// What became of a change that a restart cut off; `None`: it was not in force yet.
    fn cut_off(&self, command: &CommandId) -> Option<Result<String, ChangeFault>>;
}

/// The answer to such a command.
///
/// # Errors
/// The trouble of each [`ChangeFault`].
pub fn outcome(changed: Result<String, ChangeFault>) -> Outcome {
    match changed {
        Ok(config_sha256) => Ok(json!({"config_sha256": config_sha256})),
        Err(ChangeFault::Invalid(faults)) => {
            let message = "the config with this change in it is wrong; nothing was changed";
            let trouble = Trouble::rejected("invalid_config", message);
            Err(Trouble { faults, ..trouble })
        }
        Err(ChangeFault::Busy) => {
            let message = "another change of the config is on probation; nothing was changed; wait for its answer, then sign this one again";
            Err(Trouble::rejected("on_probation", message))
        }
        Err(ChangeFault::Storage(why)) => Err(Trouble::failed("storage", why)),
        Err(ChangeFault::RolledBack(why)) => {
            let message = format!("{why}; the config before is in force again");
            Err(Trouble::failed("rolled_back", message))
        }
    }
}
