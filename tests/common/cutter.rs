//! A TCP relay that cuts connections at chosen points, so that acknowledgements get lost on the way.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How one connection fares: it is cut after `sent` bytes from the client, or once the broker has said
/// `answered` bytes, which reach the client, and `swallowed` more, which do not.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub sent: usize,
    pub answered: usize,
    pub swallowed: usize,
}

/// Listens on `port`; connections fare by the plans, first to last, and later ones are left alone.
pub struct Cutter {
    pub port: u16,
    task: JoinHandle<()>,
}

impl Cutter {
    pub async fn start(broker: u16, plans: Vec<Plan>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plans = Arc::new(Mutex::new(plans.into_iter()));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let plan = plans.lock().unwrap().next();
                tokio::spawn(relay(client, broker, plan));
            }
        });
        Self { port, task }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(client: TcpStream, broker: u16, plan: Option<Plan>) {
    let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).await else {
        return;
    };
    let plan = plan.unwrap_or(Plan {
        sent: usize::MAX,
        answered: usize::MAX,
        swallowed: 0,
    });
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let up = async {
        let (mut left, mut buffer) = (plan.sent, [0; 1024]);
        while left > 0 {
            let room = left.min(buffer.len());
            match from_client.read(&mut buffer[..room]).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    if to_broker.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                    left -= count;
                }
            }
        }
    };
    let down = async {
        let (mut passing, mut swallowing, mut buffer) = (plan.answered, plan.swallowed, [0; 1024]);
        loop {
            match from_broker.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let passed = count.min(passing);
                    if to_client.write_all(&buffer[..passed]).await.is_err() {
                        return;
                    }
                    passing -= passed;
                    swallowing = swallowing.saturating_sub(count - passed);
                    if passing == 0 && swallowing == 0 {
                        return;
                    }
                }
            }
        }
    };
    tokio::select! { () = up => {}, () = down => {} }
}
