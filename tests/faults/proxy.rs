//! A TCP proxy on loopback that can be slow, cut what goes through it, and hold it back for a while.
//! Where it has several targets, each connection goes to one of those that listen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chance::Chance;
use crate::process::free_port;

pub struct Proxy {
    pub port: u16,
    weather: Arc<Weather>,
    task: JoinHandle<()>,
}

/// What is done to what goes through.
struct Weather {
    latency_ms: AtomicU64,
    /// Of a thousand pieces, so many end their connection instead of going on.
    cut_permille: AtomicU64,
    /// Nothing goes on meanwhile, in either direction.
    held: AtomicBool,
    /// Nobody listens meanwhile.
    refused: watch::Sender<bool>,
    /// Counts up: everything that is open is cut.
    cut: watch::Sender<u64>,
}

const PIECE_BYTES: usize = 16_384;
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

impl Proxy {
    pub async fn start(targets: &[u16], seed: u64) -> anyhow::Result<Proxy> {
        let port = free_port()?;
        let listener = listen(port).await.context("a proxy")?;
        let weather = Arc::new(Weather {
            latency_ms: AtomicU64::new(0),
            cut_permille: AtomicU64::new(0),
            held: AtomicBool::new(false),
            refused: watch::channel(false).0,
            cut: watch::channel(0).0,
        });
        let (above, targets) = (weather.clone(), targets.to_vec());
        let task = tokio::spawn(async move {
            let mut chance = Chance::new(seed, 2_000 + u64::from(targets[0]));
            let mut refused = above.refused.subscribe();
            let mut listener = Some(listener);
            loop {
                if *refused.borrow_and_update() {
                    listener = None;
                    // The weather outlives this task.
                    let _ = refused.wait_for(|refused| !refused).await;
                }
                let open = match listener.take() {
                    Some(open) => Ok(open),
                    None => listen(port).await,
                };
                let taken = async { open.as_ref().ok()?.accept().await.ok() };
                let taken = tokio::select! {
                    taken = taken => taken,
                    _ = refused.changed() => continue,
                };
                listener = open.ok();
                let Some((near, _)) = taken else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let mut drawn = Chance::new(chance.next(), 0);
                let mut order = targets.clone();
                order.rotate_left(drawn.below(targets.len()));
                tokio::spawn(carry(near, order, above.clone(), drawn));
            }
        });
        Ok(Proxy {
            port,
            weather,
            task,
        })
    }

    pub fn latency(&self, latency: Duration) {
        let millis = latency.as_millis() as u64;
        self.weather.latency_ms.store(millis, Ordering::SeqCst);
    }

    pub fn cut_permille(&self, permille: u64) {
        self.weather.cut_permille.store(permille, Ordering::SeqCst);
    }

    pub fn hold(&self, held: bool) {
        self.weather.held.store(held, Ordering::SeqCst);
    }

    /// Connections are refused, as those to a machine on which nobody listens.
    pub fn refuse(&self, refused: bool) {
        self.weather.refused.send_replace(refused);
    }

    pub fn cut(&self) {
        self.weather.cut.send_modify(|cuts| *cuts += 1);
    }

    /// As if it were not there.
    pub fn calm(&self) {
        self.latency(Duration::ZERO);
        self.cut_permille(0);
        self.hold(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await
}

/// The first of these that listens.
async fn connect(targets: &[u16]) -> Option<TcpStream> {
    for target in targets {
        let far = TcpStream::connect(("127.0.0.1", *target));
        if let Ok(Ok(far)) = tokio::time::timeout(CONNECT_WITHIN, far).await {
            return Some(far);
        }
    }
    None
}

async fn carry(near: TcpStream, targets: Vec<u16>, weather: Arc<Weather>, mut chance: Chance) {
    let mut cut = weather.cut.subscribe();
    cut.mark_unchanged();
    let Some(far) = connect(&targets).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let back = Chance::new(chance.next(), 1);
    // Whichever end is gone first takes the other along.
    tokio::select! {
        _ = pass(near_in, far_out, &weather, chance) => {}
        _ = pass(far_in, near_out, &weather, back) => {}
        _ = cut.changed() => {}
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    weather: &Weather,
    mut chance: Chance,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        if chance.between(0, 1_000) < weather.cut_permille.load(Ordering::SeqCst) {
            return Ok(());
        }
        let latency = weather.latency_ms.load(Ordering::SeqCst);
        if latency > 0 {
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
        while weather.held.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        to.write_all(&piece[..length]).await?;
    }
}
