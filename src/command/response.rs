//! What a box says about a command.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::CommandId;

/// Where a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Durable, and about to be begun.
    Accepted,
    /// Begun; more follows.
    Executing,
    /// Done.
    Succeeded,
    /// Begun, and not done.
    Failed,
    /// Too late when its turn came; never begun.
    Expired,
    /// Not obeyed; never begun.
    Rejected,
}

impl State {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Accepted | Self::Executing)
    }
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// For programs: `signature`, `unknown_name`, `interrupted`, …
    pub code: String,
    /// For people: what, why, what to do.
    pub message: String,
    /// One line for each fault, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// [`State::Rejected`] instead of [`State::Failed`]: it changed nothing.
    #[serde(skip)]
    pub rejected: bool,
}

impl Trouble {
    /// It was begun and did not work.
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            faults: Vec::new(),
            rejected: false,
        }
    }

    /// It was not begun.
    pub fn rejected(code: &str, message: impl Into<String>) -> Self {
        Self {
            rejected: true,
            ..Self::failed(code, message)
        }
    }

    /// The state it ends a command with.
    #[must_use]
    pub const fn state(&self) -> State {
        if self.rejected {
            State::Rejected
        } else {
            State::Failed
        }
    }
}

/// The payload of `{base}/response/{id}`.
#[derive(Debug, Serialize)]
pub struct Response<'a> {
    pub id: &'a CommandId,
    /// The box that answers.
    #[serde(rename = "box")]
    pub box_id: &'a str,
    /// The command's name; absent where no signature vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    pub state: State,
    /// When the state was reached, RFC 3339 in the shop's time zone.
    pub time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a Trouble>,
}

impl Response<'_> {
    /// The JSON bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // A JSON value and strings: nothing in it can fail to serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
