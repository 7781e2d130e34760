//! Taking in streamed audio: order, time limits, the check while it streams, and where the bytes
//! stay meanwhile. No stream is left unread: what does not fit into memory goes to a spool.

mod arrivals;
mod body;
mod budget;
mod lines;

pub use arrivals::Arrivals;
pub use body::Body;
pub use budget::{Budget, Meter, Reservation, Uploads};
pub use lines::{Line, Lines};

use std::pin::Pin;
use std::time::Duration;

use prost::bytes::Bytes;
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt};

use crate::audio::{Judge, Walked};
use crate::ops::error::{OpError, Result};

/// The largest chunk of audio in one message: 1 MiB.
pub const CHUNK_BYTES_MAX: u64 = 1_024 * 1_024;
/// An upload ends after this long in which we wait for a byte ...
pub const IDLE_MAX: Duration = Duration::from_secs(30);
/// ... and after this long in all.
pub const TOTAL_MAX: Duration = Duration::from_secs(120);

/// One message of an upload.
#[derive(Debug)]
pub enum Part<M> {
    Metadata(M),
    Chunk(Bytes),
    /// Neither: the caller filled in nothing.
    Nothing,
}

/// The messages of one upload, under its time limits.
pub struct Incoming<'s, M> {
    parts: Pin<Box<dyn Stream<Item = Result<Part<M>>> + Send + 's>>,
    arrivals: Arrivals,
    started: Instant,
}

impl<'s, M> Incoming<'s, M> {
    pub fn new(
        parts: impl Stream<Item = Result<Part<M>>> + Send + 's,
        arrivals: Arrivals,
    ) -> Incoming<'s, M> {
        Incoming {
            parts: Box::pin(parts),
            arrivals,
            started: Instant::now(),
        }
    }

    /// The next message; `None` where the caller has ended the stream.
    pub async fn next(&mut self) -> Result<Option<Part<M>>> {
        let waiting_since = Instant::now();
        let end_of_all = self.started + TOTAL_MAX;
        loop {
            let idle_from = self.arrivals.last().max(waiting_since);
            let limit = end_of_all.min(idle_from + IDLE_MAX);
            match tokio::time::timeout_at(limit, self.parts.next()).await {
                Ok(None) => return Ok(None),
                Ok(Some(part)) => return part.map(Some),
                Err(_) if Instant::now() >= end_of_all => {
                    return Err(OpError::UploadStalled {
                        limit: TOTAL_MAX,
                        kind: "total",
                    });
                }
                // Bytes of a message that is not whole yet have come meanwhile: the wait is younger.
                Err(_) if self.arrivals.last().max(waiting_since) > idle_from => {}
                Err(_) => {
                    return Err(OpError::UploadStalled {
                        limit: IDLE_MAX,
                        kind: "idle",
                    });
                }
            }
        }
    }

    /// The metadata, which comes first and once.
    pub async fn metadata(&mut self) -> Result<M> {
        let expected = "metadata";
        match self.next().await? {
            Some(Part::Metadata(metadata)) => Ok(metadata),
            Some(Part::Chunk(_)) => Err(OpError::StreamOrder {
                number: 1,
                got: "audio_chunk",
                expected,
            }),
            Some(Part::Nothing) => Err(OpError::StreamOrder {
                number: 1,
                got: "an empty message",
                expected,
            }),
            None => Err(OpError::StreamOrder {
                number: 1,
                got: "the end of the stream",
                expected,
            }),
        }
    }

    /// The end of the stream, where no audio may come.
    pub async fn end(&mut self) -> Result<()> {
        let wrong = |got| {
            Err(OpError::StreamOrder {
                number: 2,
                got,
                expected: "the end of the stream, because metadata.audio_id names the audio",
            })
        };
        match self.next().await? {
            None => Ok(()),
            Some(Part::Metadata(_)) => wrong("a second metadata"),
            Some(Part::Chunk(_)) => wrong("audio_chunk"),
            Some(Part::Nothing) => wrong("an empty message"),
        }
    }

    /// All the audio, judged as it comes: refused at the chunk that makes it certain.
    pub async fn audio(&mut self, mut body: Body) -> Result<Received> {
        let mut judge = Judge::new();
        let mut number = 1;
        while let Some(part) = self.next().await? {
            number += 1;
            let expected = "audio_chunk or the end of the stream";
            match part {
                Part::Chunk(chunk) => {
                    check_chunk(chunk.len() as u64)?;
                    judge.push(&chunk)?;
                    body.push(chunk).await?;
                }
                Part::Metadata(_) => {
                    return Err(OpError::StreamOrder {
                        number,
                        got: "a second metadata",
                        expected,
                    });
                }
                Part::Nothing => {
                    return Err(OpError::StreamOrder {
                        number,
                        got: "an empty message",
                        expected,
                    });
                }
            }
        }
        Ok(Received {
            walked: judge.finish()?,
            body,
        })
    }
}

/// Audio that came whole and passed the walk; its sound is still to be checked.
pub struct Received {
    pub walked: Walked,
    pub body: Body,
}

pub fn check_chunk(given: u64) -> Result<()> {
    match given > CHUNK_BYTES_MAX {
        true => Err(OpError::ChunkTooLarge {
            given: Some(given),
            allowed: CHUNK_BYTES_MAX,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
