//! What the uplink hands to whoever obeys the cloud, and what it takes from there. The uplink knows nothing of what a
//! message means.

use std::time::Duration;

use tokio::sync::{oneshot, watch};

/// Largest packet the broker may send us, bytes: the longest envelope and MQTT's own properties. A broker drops what is
/// larger (MQTT 5, 3.1.2.11.4).
pub const LARGEST_INCOMING: u32 = 128 * 1024;
/// Commands the broker may send before the first of them is acknowledged (MQTT 5, 3.1.2.11.3).
pub const COMMANDS_AHEAD: u16 = 16;
/// Commands that are held before they are acknowledged, because brokers send more than they may: mosquitto 2.0.11 had 29
/// under way where 16 were allowed. Whoever sends more than this is left, and connected to again.
pub const COMMANDS_HELD: usize = 128;
/// How long the broker keeps commands for a box that is away, seconds.
pub const KEPT_FOR_S: u32 = 7 * 86_400;

/// Content type of answers.
pub const JSON: &str = "application/json";

/// Where a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inlet {
    /// `{base}/command`
    Command,
    /// `{base}/config/desired`; the broker brings the newest one again with every connection.
    Desired,
}

/// One message from the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub inlet: Inlet,
    pub payload: Vec<u8>,
    /// MQTT 5 properties, where the sender set them.
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
    pub expires_in: Option<Duration>,
}

/// One message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub topic: String,
    pub content_type: &'static str,
    pub correlation: Option<Vec<u8>>,
    /// The broker keeps it for whoever subscribes later.
    pub retain: bool,
    pub payload: Vec<u8>,
}

/// Who takes messages and gives answers. Answers have tickets, ascending in the order in which they are published.
pub trait Desk: Send + Sync {
    /// Takes a message. The receipt comes once it is durable and may be acknowledged to the broker; one that never
    /// comes means that the broker should bring the message again. `None`: [`COMMANDS_HELD`] wait already.
    fn deliver(&self, message: Message) -> Option<oneshot::Receiver<()>>;

    /// The answer with the lowest ticket above `ticket` that nobody has yet.
    fn answer_after(&self, ticket: u64) -> Option<(u64, Answer)>;

    /// The highest ticket of the answers that nobody has yet; 0 when there are none.
    fn last_ticket(&self) -> u64;

    /// The broker has the answer.
    fn answered(&self, ticket: u64);

    /// The broker refuses the answer; gives its topic. It stays for a later try unless its sender is told instead.
    fn refused(&self, ticket: u64) -> Option<String>;

    /// The broker takes no payload as large as this answer, but one of up to `most` bytes.
    fn too_large(&self, ticket: u64, most: usize);

    /// Changes with every new answer.
    fn changed(&self) -> watch::Receiver<u64>;
}
