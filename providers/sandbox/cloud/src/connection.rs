//! TCP connections of the API: how many there are, for how long they may be idle, and how one is reset from inside a
//! request.
//!
//! An HTTP server ends a connection in order, whatever a handler does: it sends an answer, or closes after the last byte.
//! A client's worst case is a connection that is reset, and only the socket itself can do that. So the server accepts
//! through [`Connections`], and each request finds the handle of its connection among its extensions.
//!
//! A connection counts as idle while no request is under way on it, whatever bytes come: one that sends its headers byte by
//! byte is as idle as one that sends nothing. Where there are as many as there may be, the one that has been idle longest
//! makes room for a new one; so nobody keeps others out by opening connections and leaving them.

mod handle;
mod open;

pub use handle::{ConnectionHandle, attend};
pub use open::ConnectionLimits;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use open::Open;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

/// The pause after a connection could not be accepted: descriptors may be free again then.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener whose connections are bounded and can be reset; serve it with
/// `app.into_make_service_with_connect_info::<ConnectionHandle>()`, and [`attend`] as the outermost layer.
#[derive(Debug)]
pub struct Connections {
    listener: TcpListener,
    open: Open,
}

impl Connections {
    /// Accepts what comes to a listener.
    pub fn new(listener: TcpListener, limits: ConnectionLimits) -> Self {
        Self { listener, open: Open::new(limits) }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Most likely there are no descriptors left.
                    tracing::debug!(%error, "a connection cannot be accepted");
                    self.open.evict();
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // Answers are small and clients wait for them; without this they wait for a delayed acknowledgement too.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
            let (number, handle) = self.open.add().await;
            let limits = self.open.limits();
            let connection = Connection {
                stream,
                closing: Box::pin(handle.closing()),
                timer: Box::pin(tokio::time::sleep(limits.first)),
                idle: limits.idle,
                handle,
                number,
                open: self.open.clone(),
            };
            return (connection, address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Connections>> for ConnectionHandle {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.io().handle.clone()
    }
}

/// A client's TCP connection to the API. A fault can cut it through its handle; it closes by itself after an idle time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    handle: ConnectionHandle,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Fires when it is time to look whether the connection has been idle for too long.
    timer: Pin<Box<Sleep>>,
    idle: Duration,
    number: u64,
    open: Open,
}

impl Connection {
    /// Fails once the connection is to be reset; the reset itself is sent when the server drops the socket.
    fn check(&self) -> io::Result<()> {
        if self.handle.is_reset() {
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    /// Fails once the connection has to go: it was idle for too long, or it makes room.
    fn check_idle(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.check()?;
        if self.closing.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let until = self.handle.idle_since().unwrap_or(now) + self.idle;
            if until <= now || !self.handle.was_used() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(until);
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.remove(self.number);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_idle(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_idle(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_idle(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // An orderly end would reach the client before the reset.
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
