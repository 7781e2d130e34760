//! Serves the routes, each connection for a limited time, so that callers come to know servers that
//! were added, and leave those that are to go.
//!
//! An old connection is told to go (GOAWAY): what is under way on it may finish within a grace, and
//! new calls open another. tonic has such an age too, but one for all connections, so that callers
//! who came together would come again together, for ever; and with its grace no GOAWAY is sent. So
//! each connection is served by a small server of its own, which stops when its connection is old.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};
use tokio_stream::StreamExt;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use super::{
    CONNECTION_WINDOW_BYTES, CallLayer, FEW_CONNECTIONS, STREAM_WINDOW_BYTES,
    STREAM_WINDOW_OF_MANY_BYTES, STREAMS_PER_CONNECTION_MAX,
};
use crate::chance::even_draw;
use crate::config::ConnectionLimits;
use crate::domain::retry::spread;

/// After an accept that failed, for want of file handles say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Pings on an idle connection, so that a caller who vanished is noticed.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves until `stop` turns true, and then until the last call has ended.
pub async fn serve(
    routes: Routes,
    layer: CallLayer,
    listener: TcpListener,
    limits: ConnectionLimits,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = incoming.next() => match accepted {
                Some(Ok(stream)) => {
                    let age_max = spread(limits.age_max, even_draw());
                    let until = Until { age_max, grace: limits.grace, stop: stop.clone() };
                    let window = stream_window(connections.len());
                    connections.spawn(serve_connection(routes.clone(), layer.clone(), stream, window, until));
                }
                Some(Err(error)) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
                None => bail!("the gRPC listener ended by itself"),
            },
        }
    }
    // From here on nobody can connect; who is connected may finish.
    drop(incoming);
    while let Some(ended) = connections.join_next().await {
        ended.context("the server of a connection panicked")?;
    }
    Ok(())
}

/// When a connection ends, if its caller does not end it.
struct Until {
    age_max: Duration,
    grace: Duration,
    stop: watch::Receiver<bool>,
}

/// Of a connection that comes to so many others.
fn stream_window(others: usize) -> u32 {
    match others < FEW_CONNECTIONS {
        true => STREAM_WINDOW_BYTES,
        false => STREAM_WINDOW_OF_MANY_BYTES,
    }
}

async fn serve_connection(
    routes: Routes,
    layer: CallLayer,
    stream: TcpStream,
    window: u32,
    mut until: Until,
) {
    let (open, closed) = oneshot::channel();
    let stream = Limited {
        stream,
        cut: Box::pin(sleep(until.age_max + until.grace)),
        _open: open,
    };
    // The server ends when its incoming connections do, so there has to be the hope of another.
    let incoming = tokio_stream::once(Ok::<_, io::Error>(stream)).chain(tokio_stream::pending());
    let end = async move {
        tokio::select! {
            () = stopped(&mut until.stop) => {}
            () = sleep(until.age_max) => {}
            // The other end of the channel went with the connection.
            _ = closed => {}
        }
    };
    let served = Server::builder()
        .initial_stream_window_size(window)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(layer)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, end)
        .await;
    if let Err(error) = served {
        tracing::warn!(error = %error, "a connection could not be served");
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the other end is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A connection that is cut off when its time is up, whatever is under way on it.
struct Limited {
    stream: TcpStream,
    cut: Pin<Box<Sleep>>,
    _open: oneshot::Sender<()>,
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A connection is always read from, so this is looked at when the time comes.
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Limited {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_beyond_the_first_may_send_less_unread() {
        for (others, kib) in [(0, 64), (127, 64), (128, 16), (129, 16)] {
            assert_eq!(stream_window(others), kib * 1_024, "{others}");
        }
    }
}
