//! One connection of the MQTT library, polled in a task of its own.
//!
//! Polling must never be cancelled while connecting, nor wait for whoever publishes; and the library's own
//! memory of unacknowledged publishes loses some of them. So each connection gets a fresh client, nothing
//! is ever polled inside a `select!`, and whatever is kept is kept elsewhere (the ledger, the outbox).

use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Events that may wait for their reader before polling pauses.
const EVENTS_AHEAD: usize = 64;

/// What a connection says; an error is the last thing.
pub(super) type Spoken = Result<Event, ConnectionError>;

/// A connection; dropping it closes the socket without a goodbye.
pub(super) struct Connection {
    pub(super) client: AsyncClient,
    spoken: mpsc::Receiver<Spoken>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Starts to connect. `capacity`: publishes and other requests that can be handed over at once.
    pub(super) fn start(options: MqttOptions, capacity: usize) -> Self {
        let keep_alive = options.keep_alive();
        let (client, events) = AsyncClient::new(options, capacity);
        let (tx, spoken) = mpsc::channel(EVENTS_AHEAD);
        let task = tokio::spawn(poll(events, keep_alive, tx));
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

async fn poll(mut events: EventLoop, keep_alive: Duration, spoken: mpsc::Sender<Spoken>) {
    loop {
        let said = match events.poll().await {
            Ok(event) => event,
            Err(error) => {
                // Acknowledgements that came in one read with the fault are still to be heard.
                for event in std::mem::take(&mut events.state.events) {
                    if spoken.send(Ok(event)).await.is_err() {
                        return;
                    }
                }
                let _ = spoken.send(Err(error)).await;
                return;
            }
        };
        // A broker may switch keep-alive off (0); the library would then ping without a pause.
        if matches!(said, Event::Incoming(Packet::ConnAck(_)))
            && events.options.keep_alive().is_zero()
        {
            events.options.set_keep_alive(keep_alive);
        }
        if spoken.send(Ok(said)).await.is_err() {
            return;
        }
    }
}
