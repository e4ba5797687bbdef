//! Connections, within limits: clients that are many, slow or silent get no more than their share of the box.
//!
//! One rule covers slow requests, idle connections and readers that do not read: a connection on which nothing could be
//! written for a while is closed. Live updates write more often than that.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tracing::warn;

/// Connections at once, from everybody and from one address.
const MOST: usize = 64;
const MOST_OF_ONE: usize = 24;
/// Nothing written for so long closes a connection.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of one request; a browser's own is about 1 KiB.
const LONGEST_REQUEST: usize = 32 * 1024;

/// A listener that keeps the limits.
pub struct Limited {
    listener: TcpListener,
    places: Arc<Semaphore>,
    peers: Arc<Peers>,
}

/// Connections by address; at most [`MOST`] entries.
#[derive(Default)]
struct Peers(Mutex<HashMap<IpAddr, usize>>);

impl Peers {
    /// One more of `peer`, unless it has its share.
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place {
            peers: Arc::clone(self),
            peer,
        })
    }
}

/// A place of one address; given back when dropped.
struct Place {
    peers: Arc<Peers>,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

impl Limited {
    /// Puts the limits around `listener`.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(MOST)),
            peers: Arc::default(),
        }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // While there is no place, clients wait in the kernel's own bounded queue.
            let Ok(permit) = Arc::clone(&self.places).acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Over its share: closed at once.
                    if let Some(place) = self.peers.enter(peer.ip()) {
                        return (Connection::new(stream, permit, place), peer);
                    }
                }
                Err(why) => {
                    // Out of file descriptors, or the client is gone already: neither may become a busy loop.
                    warn!(%why, "the page cannot take a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The address a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Limited>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// One connection and its places.
pub struct Connection {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    read_since_write: usize,
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

impl Connection {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit, place: Place) -> Self {
        Self {
            stream,
            silence: Box::pin(tokio::time::sleep(SILENCE)),
            read_since_write: 0,
            _permit: permit,
            _place: place,
        }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.read_since_write > LONGEST_REQUEST {
            return Err(io::Error::other("the request is too long"));
        }
        match self.silence.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn written(&mut self, result: &Poll<io::Result<usize>>) {
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.read_since_write = 0;
            self.silence.as_mut().reset(Instant::now() + SILENCE);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read_since_write += buffer.filled().len() - before;
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn pair() -> (Limited, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let limited = Limited::new(listener);
        let address = limited.local_addr().unwrap();
        (limited, address)
    }

    #[tokio::test]
    async fn one_address_has_its_share_and_gets_a_place_back_when_it_leaves() {
        let (mut limited, address) = pair().await;
        let (mut clients, mut served) = (Vec::new(), Vec::new());
        for _ in 0..MOST_OF_ONE {
            clients.push(TcpStream::connect(address).await.unwrap());
            served.push(limited.accept().await.0);
        }
        let mut refused = TcpStream::connect(address).await.unwrap();
        let waiting = tokio::spawn(async move { limited.accept().await.0 });
        assert_eq!(refused.read(&mut [0]).await.unwrap_or(0), 0);
        served.pop();
        let _again = TcpStream::connect(address).await.unwrap();
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_only_drips_is_cut_off_and_one_that_is_answered_is_not() {
        let (mut limited, address) = pair().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = limited.accept().await;
        tokio::time::pause();
        for _ in 0..3 {
            tokio::time::advance(SILENCE / 2).await;
            connection.write_all(b"x").await.unwrap();
        }
        client.write_all(b"a").await.unwrap();
        let mut byte = [0];
        connection.read_exact(&mut byte).await.unwrap();
        tokio::time::advance(SILENCE / 2).await;
        client.write_all(b"b").await.unwrap();
        connection.read_exact(&mut byte).await.unwrap();
        tokio::time::advance(SILENCE / 2).await;
        let why = connection.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_request_without_end_is_cut_off() {
        let (mut limited, address) = pair().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = limited.accept().await;
        let flood = tokio::spawn(async move { client.write_all(&vec![b'x'; 1 << 20]).await });
        let mut taken = Vec::new();
        assert!(connection.read_to_end(&mut taken).await.is_err());
        assert!(taken.len() < 2 * LONGEST_REQUEST + 8192, "{}", taken.len());
        drop(connection);
        let _ = flood.await.unwrap();
    }
}
