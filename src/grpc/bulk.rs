//! The calls of VoicemailService that are about many voicemails: in runs, each a unit of work, so that
//! others get their turn in between.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::convert::batch::{batch, cancel_filter, times_change, to_batch_answer};
use super::convert::voicemail::to_voicemail;
use super::pb;
use super::voicemail_service::Voicemails;
use crate::ops::batch::{Answered, PART_MAX, accept_part, open};
use crate::ops::cancel_voicemails::{check, others, step};
use crate::ops::error::{OpError, Result};
use crate::ops::voicemails;

/// How long one CancelVoicemails goes on.
const CANCELLING_MAX: Duration = Duration::from_secs(20);
/// Before those are looked for again that others had locked.
const LOCKED_WAIT: Duration = Duration::from_millis(20);

impl Voicemails {
    pub(super) async fn send_batch(
        &self,
        request: pb::BatchSendVoicemailsRequest,
    ) -> Result<pb::BatchSendVoicemailsResponse> {
        let _turn = self.0.batching().await?;
        // Thousands of numbers are too much work for a thread that others wait for.
        let api = self.0.clone();
        let read = tokio::task::spawn_blocking(move || batch(request, &api.gates));
        let batch = read
            .await
            .map_err(|panicked| OpError::Internal(panicked.to_string()))?;
        let batch = Arc::new(batch?);
        let opened = batch.clone();
        let audio = self
            .0
            .write(move |api, tx| open(tx, &opened, &api.accepting()))
            .await?;
        let mut answers = Vec::with_capacity(batch.recipients.len());
        while answers.len() < batch.recipients.len() {
            let start = answers.len();
            let run = start..batch.recipients.len().min(start + PART_MAX);
            let (batch, audio) = (batch.clone(), audio.clone());
            let part = self
                .0
                .write(move |api, tx| accept_part(tx, &batch, &audio, run, &api.accepting()))
                .await?;
            let is_new = |answered: &&Answered| matches!(answered, Answered::New(_));
            let new = part.iter().filter(is_new).count();
            if new > 0 {
                self.0.metrics.accepted(new);
                self.0.wake.wake();
            }
            answers.extend(part);
        }
        Ok(to_batch_answer(answers))
    }

    pub(super) async fn update(
        &self,
        request: pb::UpdateVoicemailRequest,
    ) -> Result<pb::UpdateVoicemailResponse> {
        let (id, change) = times_change(request)?;
        let updated = self
            .0
            .write(move |api, tx| {
                voicemails::update(tx, api.workspace, id, change, api.accepting().expire_after)
            })
            .await?;
        // It may be due earlier than what the worker waits for.
        self.0.wake.wake();
        Ok(pb::UpdateVoicemailResponse {
            voicemail: Some(to_voicemail(updated, true)),
        })
    }

    pub(super) async fn cancel_many(
        &self,
        request: pb::CancelVoicemailsRequest,
    ) -> Result<pb::CancelVoicemailsResponse> {
        let filter = Arc::new(cancel_filter(request)?);
        let named = filter.clone();
        self.0
            .read(move |api, tx| check(tx, api.workspace, &named))
            .await?;
        let until = Instant::now() + CANCELLING_MAX;
        let mut cancelled = 0;
        let mut complete = false;
        while !complete && Instant::now() < until {
            let (ended, passed_over, is_over) = self.cancel_round(&filter, until).await?;
            cancelled += ended;
            complete = is_over && passed_over == 0;
            if passed_over > 0 {
                tokio::time::sleep(LOCKED_WAIT).await;
            }
        }
        let counted = filter.clone();
        let others = self
            .0
            .read(move |api, tx| others(tx, api.workspace, &counted))
            .await?;
        Ok(pb::CancelVoicemailsResponse {
            cancelled_count: i64::try_from(cancelled).unwrap_or(i64::MAX),
            too_late_count: others.too_late,
            ended_count: others.ended,
            complete,
        })
    }

    /// Goes once through all that match and wait: how many it has cancelled, how many it has passed over, and
    /// whether it came to the end in time.
    async fn cancel_round(
        &self,
        filter: &Arc<crate::storage::VoicemailFilter>,
        until: Instant,
    ) -> Result<(usize, usize, bool)> {
        let (mut cancelled, mut passed_over, mut after) = (0, 0, None);
        loop {
            let (filter, from) = (filter.clone(), after);
            let done = self
                .0
                .write(move |api, tx| step(tx, api.workspace, &filter, from))
                .await?;
            cancelled += done.cancelled;
            passed_over += done.passed_over;
            after = done.next;
            if after.is_none() || Instant::now() >= until {
                return Ok((cancelled, passed_over, after.is_none()));
            }
        }
    }
}
