//! What the box does at a command: one file for each. A handler checks its arguments before it changes anything.

pub mod config_patch;
pub mod config_rollback;
pub mod device_reboot;
pub mod diagnostics_collect;
pub mod log_level;
pub mod occupancy_set;
pub mod outbox_resend;
pub mod ping;
pub mod service_restart;
pub mod status;

use std::pin::Pin;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::id::CommandId;
use super::response::{State, Trouble};
use super::tray::Posted;
use crate::uplink::desk::Answer;

/// How long something to publish waits for the broker: an outage may be longer, and then the command ends.
const PATIENCE: Duration = Duration::from_secs(900);

/// How a command ended: its result, or why there is none.
pub type Outcome = Result<Value, Trouble>;
/// A command at work.
pub type Work<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// One command.
pub trait Handler: Send + Sync {
    /// Its name in the claims.
    fn name(&self) -> &'static str;

    /// What may be done with it.
    fn nature(&self) -> Nature;

    /// Does it. Ends by itself within a bounded time.
    fn run(&self, call: Call) -> Work<'_>;

    /// How one ended that a restart cut off and that is not done again.
    ///
    /// # Errors
    /// `interrupted`, unless the handler knows better.
    fn after_restart(&self, _id: &CommandId) -> Outcome {
        interrupted()
    }

    /// Called once its result is on the disk and on its way, for what ends the daemon.
    fn settled(&self, _state: State) {}
}

/// How a command ends of which nobody knows how far it came.
///
/// # Errors
/// Always.
pub fn interrupted() -> Outcome {
    Err(Trouble::failed(
        "interrupted",
        "the daemon was restarted while this was at work; look at what it did, then send it again with a new id",
    ))
}

/// What may be done with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nature {
    /// Doing it twice is the same as doing it once: it is done again when a restart cut it off.
    pub idempotent: bool,
    /// A later one must never be overtaken by an earlier one: `seq` has to grow.
    pub ordered: bool,
}

/// One call of a handler.
pub struct Call {
    pub id: CommandId,
    pub args: Map<String, Value>,
    /// Tells whoever asked how far it is; for what takes long.
    pub progress: Box<dyn Fn(&str) + Send + Sync>,
    /// Publishes something besides the answer; see [`Call::publish`].
    pub post: Post,
}

/// Hands something to the uplink, which says what became of it, or nothing when it has no room.
pub type Post = Box<dyn Fn(Answer) -> oneshot::Receiver<Posted> + Send + Sync>;

impl Call {
    /// Publishes something besides the answer and waits until the broker has it. One at a time, so that nothing else
    /// waits long behind it.
    ///
    /// # Errors
    /// The broker refuses it, or is away for too long.
    pub async fn publish(&self, answer: &Answer) -> Result<Taken, Trouble> {
        let heard = async {
            loop {
                // Nothing heard: it gave way to other answers.
                if let Ok(posted) = (self.post)(answer.clone()).await {
                    return posted;
                }
            }
        };
        match timeout(PATIENCE, heard).await {
            Ok(Posted::Delivered) => Ok(Taken::Whole),
            Ok(Posted::TooLarge(most)) if most < answer.payload.len() => Ok(Taken::TooLarge(most)),
            Ok(_) => {
                let message = format!(
                    "the broker refuses {}: allow the box to write there, then sign the command again",
                    answer.topic
                );
                Err(Trouble::failed("refused", message))
            }
            Err(_) => {
                let message = format!(
                    "the broker was not there, or took nothing, for {} minutes; sign the command again",
                    PATIENCE.as_secs() / 60
                );
                Err(Trouble::failed("offline", message))
            }
        }
    }

    /// The arguments as the handler wants them.
    ///
    /// # Errors
    /// Rejects the command and says which argument is wrong.
    pub fn arguments<T: DeserializeOwned>(&mut self) -> Result<T, Trouble> {
        let args = Value::Object(std::mem::take(&mut self.args));
        serde_path_to_error::deserialize(args).map_err(|why| {
            let path = why.path().to_string();
            let place = if path == "." {
                "args".to_owned()
            } else {
                format!("args.{path}")
            };
            Trouble::rejected("args", format!("{place}: {}", why.inner()))
        })
    }
}

/// How the broker took something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Whole,
    /// It takes no payload larger than this, bytes; less than what it was given.
    TooLarge(usize),
}

/// For commands that take no arguments.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
