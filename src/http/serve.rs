//! The listening side of public HTTP: strangers can reach it, so connections are bounded in number, and
//! in the time that they may be silent, and in the time that they may last.

use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Duration;

/// At once; one more waits to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// For the head of a request, and for the next one on a connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A connection is told to end with the call that it has, and is cut off where it does not.
const LASTS: Duration = Duration::from_secs(240);
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// Bytes of a head.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// After an accept that failed, such as for want of file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Serves until `stop` turns true, and then to the end of the calls under way.
pub async fn serve_public(
    routes: Router,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // It is never closed, so a permit always comes.
            let permit = room.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, stream) = tokio::select! {
            accepted = accepted => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = stream else {
            tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            continue;
        };
        let (routes, stop) = (routes.clone(), stop.clone());
        connections.spawn(async move {
            let _permit = permit;
            serve_one(stream, routes, stop).await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn serve_one(stream: TcpStream, routes: Router, mut stop: watch::Receiver<bool>) {
    // The routes take any body that hyper reads.
    let service = TowerToHyperService::new(routes.into_service());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let stopped = async {
        // An error means that the other end is gone, which is a stop too.
        let _ = tokio::time::timeout(LASTS, stop.wait_for(|stop| *stop)).await;
    };
    // How a connection ends is the other end's affair, and no news.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(ENDS_WITHIN, connection).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn served() -> (std::net::SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let (stop, stopped) = watch::channel(false);
        let routes = Router::new().route("/", axum::routing::get(|| async { "here" }));
        tokio::spawn(serve_public(routes, listener, stopped));
        (addr, stop)
    }

    /// The status that a request's head of so many bytes is answered with.
    async fn answer(stream: &mut TcpStream, bytes: usize) -> String {
        let start = "GET / HTTP/1.1\r\nhost: x\r\nx-more: ";
        let more = "x".repeat(bytes - start.len() - 4);
        let head = format!("{start}{more}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("written");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        String::from_utf8_lossy(&answer[9..]).into_owned()
    }

    #[tokio::test]
    async fn a_head_may_have_16_kib() {
        let (addr, _stop) = served().await;
        for (bytes, status) in [(16_383, "200"), (16_384, "200"), (16_385, "431")] {
            let mut stream = TcpStream::connect(addr).await.expect("connected");
            assert_eq!(answer(&mut stream, bytes).await, status, "{bytes}");
        }
    }

    #[tokio::test]
    async fn one_connection_more_than_512_is_served_when_another_ends() {
        let (addr, _stop) = served().await;
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            let mut stream = TcpStream::connect(addr).await.expect("connected");
            assert_eq!(answer(&mut stream, 100).await, "200");
            open.push(stream);
        }
        let mut more = TcpStream::connect(addr).await.expect("connected");
        let mut answered = Box::pin(answer(&mut more, 100));
        // It can't be answered however long one looks.
        let early = tokio::time::timeout(Duration::from_millis(100), answered.as_mut());
        assert!(early.await.is_err());
        open.pop();
        assert_eq!(answered.await, "200");
    }
}
