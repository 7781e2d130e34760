//! The bytes of one upload while it comes in: in memory while its share of the budget lasts, then on the spool.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use prost::bytes::Bytes;

use super::Reservation;
use crate::ops::error::{OpError, Result};
use crate::storage::Error;

#[derive(Debug)]
pub struct Body {
    reservation: Reservation,
    /// The first bytes, in pieces as they came: growing one buffer would hold twice as much.
    memory: Vec<Box<[u8]>>,
    /// What came after the share of the memory budget was used up.
    spool: Option<Arc<File>>,
    size: u64,
}

impl Body {
    pub fn new(reservation: Reservation) -> Body {
        Body {
            reservation,
            memory: Vec::new(),
            spool: None,
            size: 0,
        }
    }

    pub async fn push(&mut self, chunk: Bytes) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.size += chunk.len() as u64;
        if self.spool.is_none() && self.reservation.take_memory(chunk.len() as u64) {
            // A copy: the chunk may lie in a larger buffer, which would stay as long.
            self.memory.push(chunk.as_ref().into());
            return Ok(());
        }
        // The other chunks wait where they are, and not each with a thread.
        let _turn = self.reservation.turn_to_spool().await;
        let spool = match &self.spool {
            Some(spool) => spool.clone(),
            None => {
                let folder = self.reservation.spool_folder();
                let opened = Arc::new(blocking(move || open_spool(&folder)).await?);
                self.spool.insert(opened).clone()
            }
        };
        blocking(move || (&*spool).write_all(&chunk)).await
    }

    /// Bytes that have come.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it in one piece, read from the disk where it is there. The room is given back once the bytes are no more
    /// held here.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        for piece in self.memory {
            bytes.extend_from_slice(&piece);
        }
        if let Some(spool) = self.spool {
            let mut spool = &*spool;
            let whole = spool.seek(SeekFrom::Start(0));
            whole
                .and_then(|_| spool.read_to_end(&mut bytes))
                .map_err(failed)?;
        }
        Ok(bytes)
    }
}

/// An unlinked file of its own: gone with its handle, also after a crash.
fn open_spool(folder: &Path) -> std::io::Result<File> {
    std::fs::create_dir_all(folder)?;
    tempfile::tempfile_in(folder)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(failed),
        Err(panicked) => Err(OpError::Internal(panicked.to_string())),
    }
}

/// A spool that can't be written is a database that can't be: the caller may come again.
fn failed(error: std::io::Error) -> OpError {
    Error::Unavailable(format!("the upload spool: {error}")).into()
}
