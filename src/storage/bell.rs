//! The bell between processes on one Postgres: LISTEN and NOTIFY, on connections of their own.
//!
//! It is rung after a commit and never inside a transaction, because transactions that notify commit
//! one after the other. What is rung may be lost (the connection breaks, a pooler in between swallows
//! it), so nobody may rely on it: it only spares the wait for the next look at the queue.

use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

use super::error::{Error, Result};
use super::libpq::Session;

const CHANNEL: &str = "ringless_wake";
/// A ring waits for nothing but the network and Postgres' own lock on its queue.
const SETTINGS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '5s'; \
                        SET application_name = 'ringless bell'";

/// How this process rings the others and hears them.
#[derive(Clone)]
pub struct Bell {
    url: String,
    /// Tells this process's own rings from those of others.
    name: String,
}

/// Who rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    Own,
    Other,
}

impl Bell {
    pub(super) fn new(url: String) -> Bell {
        Bell {
            url,
            name: uuid::Uuid::new_v4().simple().to_string(),
        }
    }

    pub fn ringer(&self) -> Ringer {
        Ringer {
            bell: self.clone(),
            session: None,
        }
    }

    /// Connects and listens.
    pub async fn listen(&self) -> Result<Listener> {
        let url = self.url.clone();
        let mut session = blocking(move || {
            let mut session = connect(&url)?;
            session.run(&format!("LISTEN {CHANNEL}"))?;
            Ok(session)
        })
        .await?;
        Ok(Listener {
            socket: session.socket()?,
            session,
            name: self.name.clone(),
        })
    }
}

/// Rings every process that listens, this one too. Keeps its connection from ring to ring.
pub struct Ringer {
    bell: Bell,
    session: Option<Session>,
}

impl Ringer {
    pub async fn ring(&mut self) -> Result<()> {
        let kept = self.session.take();
        let bell = self.bell.clone();
        let session = blocking(move || {
            let ring = format!("NOTIFY {CHANNEL}, '{}'", bell.name);
            // The kept connection may have died since; only a fresh one says that nobody is there.
            if let Some(mut session) = kept
                && session.run(&ring).is_ok()
            {
                return Ok(session);
            }
            let mut session = connect(&bell.url)?;
            session.run(&ring)?;
            Ok(session)
        })
        .await?;
        self.session = Some(session);
        Ok(())
    }
}

/// Hears rings, waiting on the connection's socket.
pub struct Listener {
    socket: AsyncFd<OwnedFd>,
    session: Session,
    name: String,
}

impl Listener {
    /// The next ring. May be dropped while it waits: nothing is lost.
    pub async fn heard(&mut self) -> Result<Ring> {
        loop {
            self.session.take_in()?;
            if let Some(name) = self.session.notification() {
                return Ok(match name == self.name {
                    true => Ring::Own,
                    false => Ring::Other,
                });
            }
            let ready = self.socket.readable().await;
            ready
                .map_err(|error| Error::Unavailable(error.to_string()))?
                .clear_ready();
        }
    }
}

fn connect(url: &str) -> Result<Session> {
    let mut session = Session::connect(url)?;
    session.run(SETTINGS)?;
    Ok(session)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => Err(Error::Internal(panicked.to_string())),
    }
}
