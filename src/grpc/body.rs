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
use crate::ops::error::{OpError, Violation};

/// Bytes of all messages of a call but CreateVoicemail and the two uploads: of one unary message, or
/// of a whole stream of reflection.
pub const UNARY_BYTES_MAX: u64 = 1_024 * 1_024;

/// Bytes of the message of BatchSendVoicemails.
pub const BATCH_BYTES_MAX: u64 = super::DECODED_BYTES_MAX as u64;
/// What gRPC puts before a message.
const FRAME_BYTES: u64 = 5;

/// The refusal of a batch of more bytes than that, which is not read any further.
pub fn batch_too_large() -> OpError {
    let why = format!(
        "the request has more than {BATCH_BYTES_MAX} bytes, which is the most. Send its recipients in several batches, each with an id of its own"
    );
    OpError::InvalidFields(vec![Violation::field("recipients", why)])
}

/// How a method's request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Message by message, under the time limits of `intake`.
    Stream,
    /// In one message with audio: CreateVoicemail.
    WholeWithAudio,
    /// In one message with many recipients: BatchSendVoicemails.
    WholeBatch,
    /// In one small message.
    Whole,
    /// Not a method of ours: health and reflection.
    Foreign,
}

impl Reading {
    pub fn of(method: &str) -> Reading {
        match method.strip_prefix("ringless.v1.") {
            None => Reading::Foreign,
            Some(
                "VoicemailService/SendVoicemail"
                | "VoicemailService/UploadAudio"
                | "SuppressionService/ImportSuppressions",
            ) => Reading::Stream,
            Some("VoicemailService/CreateVoicemail") => Reading::WholeWithAudio,
            Some("VoicemailService/BatchSendVoicemails") => Reading::WholeBatch,
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

/// How long a request has been read, and how much of it.
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
        let is_small = matches!(self.reading, Reading::Whole | Reading::Foreign);
        if is_small && self.limits.bytes > UNARY_BYTES_MAX {
            return Err(OpError::Undecodable);
        }
        if self.reading == Reading::WholeBatch && self.limits.bytes > BATCH_BYTES_MAX + FRAME_BYTES
        {
            return Err(batch_too_large());
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
        let is_whole = matches!(
            self.reading,
            Reading::Whole | Reading::WholeBatch | Reading::WholeWithAudio
        );
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use tonic::Code;

    use super::*;
    use crate::intake::Budget;

    /// Frames, then silence or an end.
    struct Played {
        frames: VecDeque<usize>,
        then: Then,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Then {
        Silence,
        End,
        Reset,
    }

    impl http_body::Body for Played {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match (self.frames.pop_front(), self.then) {
                (Some(size), _) => Poll::Ready(Some(Ok(Frame::data(vec![0; size].into())))),
                (None, Then::Silence) => Poll::Pending,
                (None, Then::End | Then::Reset) => Poll::Ready(None),
            }
        }

        fn is_end_stream(&self) -> bool {
            self.frames.is_empty() && self.then == Then::End
        }
    }

    fn watched(reading: Reading, frames: &[usize], then: Then, budget: &Budget) -> Watched {
        let frames = frames.iter().copied().collect();
        Watched {
            body: Body::new(Played { frames, then }),
            reading,
            arrivals: Arrivals::new(),
            meter: Arc::new(budget.meter()),
            uploads: Uploads::new(0, 0, std::env::temp_dir()),
            limits: Limits::new(),
        }
    }

    /// Reads to the end, or to an error.
    async fn read(mut body: Watched) -> Result<u64, Code> {
        let mut bytes = 0;
        loop {
            let frame =
                std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
            match frame {
                None => return Ok(bytes),
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(status)) => return Err(status.code()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_in_one_message_ends_after_30_seconds_of_silence() {
        let budget = Budget::new(1_000);
        for reading in [Reading::Whole, Reading::WholeWithAudio] {
            let start = Instant::now();
            let ended = read(watched(reading, &[10], Then::Silence, &budget)).await;
            assert_eq!(
                (ended, start.elapsed()),
                (Err(Code::DeadlineExceeded), IDLE_MAX)
            );
        }
        // An upload has its limits elsewhere, and health may be watched for ever.
        for reading in [Reading::Stream, Reading::Foreign] {
            let silent = read(watched(reading, &[10], Then::Silence, &budget));
            assert!(tokio::time::timeout(TOTAL_MAX * 2, silent).await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_in_one_message_ends_after_120_seconds_in_all() {
        let body = watched(Reading::Whole, &[], Then::Silence, &Budget::new(1_000));
        let arrivals = body.arrivals.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(7)).await;
                arrivals.note();
            }
        });
        let start = Instant::now();
        assert_eq!(read(body).await, Err(Code::DeadlineExceeded));
        assert_eq!(start.elapsed(), TOTAL_MAX);
    }

    #[tokio::test]
    async fn a_small_call_has_at_most_one_mebibyte() {
        const MAX: usize = UNARY_BYTES_MAX as usize;
        let budget = Budget::new(u64::MAX);
        for reading in [Reading::Whole, Reading::Foreign] {
            for (last, wanted) in [
                (0, Ok(MAX as u64 - 1)),
                (1, Ok(MAX as u64)),
                (2, Err(Code::InvalidArgument)),
            ] {
                let body = watched(reading, &[MAX - 1, last], Then::End, &budget);
                assert_eq!(read(body).await, wanted, "{reading:?} {last}");
            }
        }
        let audio = watched(Reading::WholeWithAudio, &[MAX, 1], Then::End, &budget);
        assert_eq!(read(audio).await, Ok(MAX as u64 + 1));
    }

    #[tokio::test]
    async fn a_batch_has_at_most_four_mebibytes() {
        const MAX: usize = (BATCH_BYTES_MAX + FRAME_BYTES) as usize;
        let budget = Budget::new(u64::MAX);
        for (last, wanted) in [
            (0, Ok(MAX as u64 - 1)),
            (1, Ok(MAX as u64)),
            (2, Err(Code::InvalidArgument)),
        ] {
            let body = watched(Reading::WholeBatch, &[MAX - 1, last], Then::End, &budget);
            assert_eq!(read(body).await, wanted, "{last}");
        }
    }

    #[tokio::test]
    async fn what_is_not_whole_yet_is_held_to_its_budget_over_all_calls() {
        let budget = Budget::new(100);
        let held = budget.meter();
        assert!(held.take(41));
        for (size, wanted) in [
            (58, Ok(58)),
            (59, Ok(59)),
            (60, Err(Code::ResourceExhausted)),
        ] {
            let body = watched(Reading::Stream, &[size], Then::End, &budget);
            assert_eq!(read(body).await, wanted, "{size}");
        }
        assert_eq!(budget.used(), 41, "what a call held is given back");
    }

    #[tokio::test]
    async fn a_reset_is_no_end() {
        let budget = Budget::new(100);
        let ended = read(watched(Reading::Stream, &[10], Then::End, &budget)).await;
        assert_eq!(ended, Ok(10));
        let reset = read(watched(Reading::Stream, &[10], Then::Reset, &budget)).await;
        assert_eq!(reset, Err(Code::Aborted));
    }
}
