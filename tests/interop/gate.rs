//! A TCP relay between box and broker that can be closed, cut and made mute, and that knows a ping when it sees one.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// PINGRESP, the same in both versions.
const PINGRESP: [u8; 2] = [0xD0, 0];

struct State {
    open: AtomicBool,
    mute: AtomicBool,
    cuts: watch::Sender<u64>,
    pings: watch::Sender<u64>,
}

pub struct Gate {
    pub port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Gate {
    /// Open, before the broker's port.
    pub async fn before(broker: u16) -> Self {
        Self::start(broker, None).await
    }

    /// Speaks TLS to the box, and plain to the broker.
    pub async fn with_tls(broker: u16, tls: Arc<rustls::ServerConfig>) -> Self {
        Self::start(broker, Some(tls)).await
    }

    async fn start(broker: u16, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            open: AtomicBool::new(true),
            mute: AtomicBool::new(false),
            cuts: watch::channel(0).0,
            pings: watch::channel(0).0,
        });
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.open.load(Ordering::SeqCst) {
                    tokio::spawn(relay(client, broker, tls.clone(), shared.clone()));
                }
            }
        });
        Self { port, state, task }
    }

    /// No new connections while it is closed.
    pub fn set_open(&self, open: bool) {
        self.state.open.store(open, Ordering::SeqCst);
    }

    /// What the broker says gets lost while it is mute.
    pub fn set_mute(&self, mute: bool) {
        self.state.mute.store(mute, Ordering::SeqCst);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many pings the broker has answered.
    pub fn pings(&self) -> watch::Receiver<u64> {
        self.state.pings.subscribe()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(
    client: TcpStream,
    broker: u16,
    tls: Option<Arc<rustls::ServerConfig>>,
    state: Arc<State>,
) {
    let mut cuts = state.cuts.subscribe();
    cuts.mark_unchanged();
    let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).await else {
        return;
    };
    let (from_broker, mut to_broker) = broker.into_split();
    let pumped = async {
        match tls {
            None => {
                let (from_client, mut to_client) = client.into_split();
                tokio::select! {
                    () = up(from_client, &mut to_broker) => {}
                    () = down(from_broker, &mut to_client, &state) => {}
                }
            }
            Some(tls) => {
                let acceptor = rumqttc::tokio_rustls::TlsAcceptor::from(tls);
                let Ok(client) = acceptor.accept(client).await else {
                    return;
                };
                let (from_client, mut to_client) = tokio::io::split(client);
                tokio::select! {
                    () = up(from_client, &mut to_broker) => {}
                    () = down(from_broker, &mut to_client, &state) => {}
                }
            }
        }
    };
    tokio::select! { () = pumped => {}, _ = cuts.changed() => {} }
}

async fn up(mut from: impl AsyncRead + Unpin, to: &mut (impl AsyncWriteExt + Unpin)) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..count]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

async fn down(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWriteExt + Unpin),
    state: &State,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if state.mute.load(Ordering::SeqCst) {
            continue;
        }
        if buffer[..count] == PINGRESP {
            state.pings.send_modify(|pings| *pings += 1);
        }
        if to.write_all(&buffer[..count]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}
