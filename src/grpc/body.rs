//! The body of a request on its way in: what it may hold, how long it may take, and whether its
//! caller is still there. The library reads a message whole before we see it, so this is the only
//! place where a message that never ends can be ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body as _, Frame, SizeHint};
use prost::bytes::Bytes;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use super::status::{Repeat, to_status};
use crate::intake::{Arrivals, IDLE_MAX, Meter, TOTAL_MAX, Uploads};
use crate::ops::error::OpError;

/// Bytes of all messages of a unary call but CreateVoicemail's.
pub const UNARY_BYTES_MAX: u64 = 1_024 * 1_024;

/// How a method's request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Message by message, under the time limits of `intake`.
    Stream,
    /// In one message with audio: CreateVoicemail.
    WholeWithAudio,
    /// In one small message.
    Whole,
    /// Not a method of ours: health and reflection.
    Foreign,
}

impl Reading {
    pub fn of(method: &str) -> Reading {
        match method.strip_prefix("ringless.v1.") {
            None => Reading::Foreign,
            Some("VoicemailService/SendVoicemail" | "VoicemailService/UploadAudio") => {
                Reading::Stream
            }
            Some("VoicemailService/CreateVoicemail") => Reading::WholeWithAudio,
            Some(_) => Reading::Whole,
        }
    }
}

pub struct Watched {
    pub body: Body,
    pub reading: Reading,
    pub arrivals: Arrivals,
    /// What its bytes are counted against until they are a message that somebody has taken.
    pub meter: Arc<Meter>,
    pub uploads: Uploads,
    pub limits: Limits,
}

/// The time and size limits of a request that is read whole.
pub struct Limits {
    started: Instant,
    timer: Pin<Box<Sleep>>,
    bytes: u64,
}

impl Limits {
    pub fn new() -> Limits {
        let started = Instant::now();
        Limits {
            started,
            timer: Box::pin(tokio::time::sleep_until(started + IDLE_MAX)),
            bytes: 0,
        }
    }
}

impl Watched {
    fn count(&mut self, bytes: u64) -> Result<(), OpError> {
        self.limits.bytes += bytes;
        if self.reading == Reading::Whole && self.limits.bytes > UNARY_BYTES_MAX {
            return Err(OpError::Undecodable);
        }
        match self.meter.take(bytes) {
            true => Ok(()),
            false => Err(self.uploads.refusal()),
        }
    }

    /// Has a request that is read whole taken too long?
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<OpError> {
        loop {
            let end_of_all = self.limits.started + TOTAL_MAX;
            let limit = end_of_all.min(self.arrivals.last() + IDLE_MAX);
            if Instant::now() >= limit {
                let (limit, kind) = match limit == end_of_all {
                    true => (TOTAL_MAX, "total"),
                    false => (IDLE_MAX, "idle"),
                };
                return Poll::Ready(OpError::UploadStalled { limit, kind });
            }
            self.limits.timer.as_mut().reset(limit);
            if self.limits.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The library takes a cancelled request for one that has ended; what follows would then be done
    /// for a caller who took it back.
    fn is_gone(&self, frame: &Option<Result<Frame<Bytes>, Status>>) -> bool {
        match frame {
            None => !self.body.is_end_stream(),
            Some(Err(status)) => status.code() == tonic::Code::Cancelled,
            Some(Ok(_)) => false,
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let refused = |error| Poll::Ready(Some(Err(to_status(error, Repeat::Safe))));
        let is_whole = matches!(self.reading, Reading::Whole | Reading::WholeWithAudio);
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending if is_whole => match self.poll_stalled(context) {
                Poll::Ready(stalled) => refused(stalled),
                Poll::Pending => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
            Poll::Ready(frame) if self.is_gone(&frame) => {
                Poll::Ready(Some(Err(Status::aborted("the caller went away"))))
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.arrivals.note();
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.count(bytes) {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(error) => refused(error),
                }
            }
            over => over,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
