//! `config.patch`: other counting lines for one camera. `{"camera": "entrance", "line": [{…}, …]}` replaces all lines of
//! that camera, written like `[[camera.line]]` in the config; `"line": null` brings those of the owner's file back.
//!
//! The whole config with the change in it is validated first; one fault and nothing changes. Then it is stored, and the
//! sensors it concerns are replaced. Done again after a restart: that ends in the same config.

use std::pin::Pin;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Call, Handler, Nature, Work};
use crate::command::id::CommandId;
use crate::command::response::Trouble;

/// Lines of one camera at most.
const MOST_LINES: usize = 64;

/// Other lines for one camera.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    pub camera: String,
    /// `None`: those of the owner's file.
    pub lines: Option<Vec<Map<String, Value>>>,
}

/// Why a patch is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchFault {
    /// The config with the patch in it is wrong: one line for each fault.
    Invalid(Vec<String>),
    /// It cannot be stored.
    Storage(String),
}

/// Who puts a changed config into force; gives its SHA-256, hex.
pub trait Configurator: Send + Sync {
    /// Validates, stores and applies a patch. `progress` is called once it is stored.
    fn patch<'a>(
        &'a self,
        command: &'a CommandId,
        patch: Patch,
        progress: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Pin<Box<dyn Future<Output = Result<String, PatchFault>> + Send + 'a>>;
}

/// See the module.
pub struct ConfigPatch<C> {
    pub config: C,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    camera: String,
    #[serde(deserialize_with = "Option::deserialize")] // must be written, even if it is null
    line: Option<Vec<Map<String, Value>>>,
}

impl<C: Configurator> Handler for ConfigPatch<C> {
    fn name(&self) -> &'static str {
        "config.patch"
    }

    fn nature(&self) -> Nature {
        Nature {
            idempotent: true,
            ordered: true,
        }
    }

    fn run(&self, mut call: Call) -> Work<'_> {
        Box::pin(async move {
            let Args { camera, line } = call.arguments()?;
            if line.as_ref().is_some_and(|lines| lines.len() > MOST_LINES) {
                let message = format!("args.line: {MOST_LINES} lines at most");
                return Err(Trouble::rejected("args", message));
            }
            let patch = Patch {
                camera,
                lines: line,
            };
            let applied = self.config.patch(&call.id, patch, &*call.progress).await;
            match applied {
                Ok(config_sha256) => Ok(json!({"config_sha256": config_sha256})),
                Err(PatchFault::Invalid(faults)) => {
                    let message = "the config with this patch in it is wrong; nothing was changed";
                    let trouble = Trouble::rejected("invalid_config", message);
                    Err(Trouble { faults, ..trouble })
                }
                Err(PatchFault::Storage(why)) => Err(Trouble::failed("storage", why)),
            }
        })
    }
}
