//! The listening side: HTTP/1.1 on loopback, with connections that can be broken by RST.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

/// At once; more of them wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// In a response's extensions: break the connection instead of answering.
#[derive(Debug, Clone, Copy)]
pub struct Break;

/// What a handler returns to break its connection.
pub fn broken() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Break);
    response
}

/// Serves until it is dropped; its connections end with it.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub fn start(listener: TcpListener, router: Router) -> Server {
        let task = tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            let mut connections = JoinSet::new();
            loop {
                // The semaphore is never closed, so a permit always comes.
                let permit = room.clone().acquire_owned().await;
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let router = router.clone();
                connections.spawn(async move {
                    let _permit = permit;
                    serve_one(stream, router).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Server { task }
    }
}

/// Loopback only: nothing here is meant for a network.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    if !addr.ip().is_loopback() {
        let text = format!("{addr} is not on loopback; a played vendor listens nowhere else");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    TcpListener::bind(addr).await
}

async fn serve_one(stream: TcpStream, router: Router) {
    let is_broken = Arc::new(AtomicBool::new(false));
    let wire = Wire {
        stream,
        is_broken: is_broken.clone(),
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        let is_broken = is_broken.clone();
        async move {
            let response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<Break>().is_some() {
                is_broken.store(true, Ordering::SeqCst);
                // An error of the service drops the connection with nothing written.
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            Ok(response)
        }
    });
    // How a connection ends is the script's doing or the caller's; neither is news here.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(wire), service)
        .await;
}

/// A stream that says RST, not FIN, when it is dropped broken.
struct Wire {
    stream: TcpStream,
    is_broken: Arc<AtomicBool>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.is_broken.load(Ordering::SeqCst) {
            // With no time to linger the kernel throws away what is unsent and resets.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
