//! One connection of the MQTT library, polled in a task of its own.
//!
//! Polling must never be cancelled while connecting, nor wait for whoever publishes; and the library's own
//! memory of unacknowledged publishes loses some of them. So each connection gets a fresh client, nothing
//! is ever polled inside a `select!`, and whatever is kept is kept elsewhere (the ledger, the outbox).

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::wire::{self, Client, Engine, Options, Spoken};

/// Events that may wait for their reader before polling pauses.
const EVENTS_AHEAD: usize = 64;

/// A connection; dropping it closes the socket without a goodbye.
pub(super) struct Connection {
    pub(super) client: Client,
    spoken: mpsc::Receiver<Spoken>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Starts to connect. `capacity`: publishes and other requests that can be handed over at once.
    pub(super) fn start(options: Options, capacity: usize) -> Self {
        let (client, engine) = wire::start(options, capacity);
        let (tx, spoken) = mpsc::channel(EVENTS_AHEAD);
        let task = tokio::spawn(poll(engine, tx));
        Self {
            client,
            spoken,
            task,
        }
    }

    /// The next thing said. Cancel-safe. `None` after an error.
    pub(super) async fn next(&mut self) -> Option<Spoken> {
        self.spoken.recv().await
    }

    /// The next thing said, if it has been said already.
    pub(super) fn try_next(&mut self) -> Option<Spoken> {
        self.spoken.try_recv().ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn poll(mut engine: Engine, spoken: mpsc::Sender<Spoken>) {
    loop {
        let said = match engine.poll().await {
            Ok(event) => event,
            Err(error) => {
                // Acknowledgements that came in one read with the fault are still to be heard.
                for event in engine.left_over() {
                    if spoken.send(Ok(event)).await.is_err() {
                        return;
                    }
                }
                let _ = spoken.send(Err(error)).await;
                return;
            }
        };
        if spoken.send(Ok(said)).await.is_err() {
            return;
        }
    }
}
