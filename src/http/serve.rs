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
