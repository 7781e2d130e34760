//! BatchSendVoicemails: one use case and one audio for many recipients, repeatable as a whole.
//!
//! [`open`] stores the batch itself, before anything of it; [`accept_part`] then takes a run of its
//! recipients, each run in a transaction of its own, so that single sends get their turn in between.
//! Every voicemail is stored together with its place in the batch. So a repeat, after a crash in the
//! middle or beside the first call, makes only what is missing: the two take turns at each run.

use std::collections::HashMap;
use std::ops::Range;

use super::error::{OpError, Resource, Result, Violation};
use super::fingerprint::Fingerprint;
use super::route::Route;
use super::send_voicemail::{Accepting, Draft, content, make, reused};
use super::times::time_faults;
use crate::domain::ids::{AudioId, UseCaseId, VoicemailId};
use crate::domain::phone::PhoneNumber;
use crate::domain::time::Time;
use crate::domain::voicemail::Audio;
use crate::storage::{BatchMember, KnownRequest, Lock, NewVoicemail, StoredBatch, Tx};

/// Recipients of one batch.
pub const RECIPIENTS_MAX: usize = 10_000;
/// Recipients that are taken in one transaction. On SQLite a single send waits for one such run at most, and
/// hardly notices it (tests/outside/test_batch.py prints how long its single sends took).
pub const PART_MAX: usize = 200;

/// What a caller asks for, its own fields well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub id: String,
    pub use_case_id: UseCaseId,
    pub audio_id: AudioId,
    /// Those for all recipients that give none; the drafts have them already.
    pub schedule_time: Option<Time>,
    pub expire_time: Option<Time>,
    pub recipients: Vec<Recipient>,
    /// A hash of all that was given, but for the audio.
    pub content: Vec<u8>,
}

/// One recipient as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    Good(Draft),
    /// With the times that were readable: rules about them that depend on today's time are judged later.
    Bad {
        violations: Vec<Violation>,
        schedule_time: Option<Time>,
        expire_time: Option<Time>,
    },
}

/// What became of one recipient.
#[derive(Debug)]
pub enum Answered {
    /// Stored by this call.
    New(VoicemailId),
    /// Stored before, by this batch or under the recipient's request id.
    Known(VoicemailId),
    Refused(OpError),
}

/// Stores the batch, or finds it as it was stored. What is wrong with it as a whole, and with what it
/// goes through, is said here.
pub fn open(tx: &mut dyn Tx, batch: &Batch, accepting: &Accepting<'_>) -> Result<Audio> {
    let workspace = accepting.workspace;
    let audio = tx.find_audio(workspace, batch.audio_id)?;
    let missing = OpError::NotFound(Resource::Audio, batch.audio_id.uuid());
    if let Some(known) = tx.find_batch(workspace, &batch.id, Lock::None)? {
        let audio = audio.ok_or(missing)?;
        tx.touch_audio(audio.id)?;
        return same_content(batch, &audio, &known).map(|()| audio);
    }
    let now = tx.now()?;
    let faults = time_faults("", batch.schedule_time, batch.expire_time, now);
    OpError::unless_empty(faults)?;
    let use_case = tx
        .find_use_case(workspace, batch.use_case_id, Lock::Present)?
        .ok_or(OpError::NotFound(
            Resource::UseCase,
            batch.use_case_id.uuid(),
        ))?;
    let audio = audio.ok_or(missing)?;
    Route::find(tx, use_case, accepting, Lock::Present)?;
    // Once for all: until the first voicemail names it, and to hold no row of it for long.
    tx.touch_audio(audio.id)?;
    tx.insert_batch(&StoredBatch {
        workspace_id: workspace,
        batch_id: batch.id.clone(),
        content_hash: content_hash(batch, &audio),
        use_case_id: batch.use_case_id,
        audio_id: audio.id,
        recipient_count: i32::try_from(batch.recipients.len()).unwrap_or(i32::MAX),
        create_time: now,
    })?;
    // Another call of this batch may have been faster by a moment.
    let stored = tx.find_batch(workspace, &batch.id, Lock::None)?;
    let stored = stored
        .ok_or_else(|| OpError::Internal("a batch was neither stored nor found".to_owned()))?;
    same_content(batch, &audio, &stored).map(|()| audio)
}

fn content_hash(batch: &Batch, audio: &Audio) -> Vec<u8> {
    Fingerprint::default()
        .part(&batch.content)
        .part(audio.sha256)
        .finish()
}

fn same_content(batch: &Batch, audio: &Audio, stored: &StoredBatch) -> Result<()> {
    match stored.content_hash == content_hash(batch, audio) {
        true => Ok(()),
        false => Err(OpError::BatchIdReused {
            batch_id: batch.id.clone(),
        }),
    }
}

/// Takes a run of the batch's recipients, and answers for each, in order. A fault of what all of them go
/// through is an error; what was stored before stays, and a repeat goes on from there.
pub fn accept_part(
    tx: &mut dyn Tx,
    batch: &Batch,
    audio: &Audio,
    run: Range<usize>,
    accepting: &Accepting<'_>,
) -> Result<Vec<Answered>> {
    // Calls of one batch take turns here.
    tx.find_batch(accepting.workspace, &batch.id, Lock::Change)?;
    let mut part = Part::read(tx, batch, audio, run.clone(), accepting)?;
    let mut answers = Vec::with_capacity(run.len());
    for (number, recipient) in run.clone().zip(&batch.recipients[run]) {
        answers.push(part.answer(tx, number_of(number), recipient)?);
    }
    part.store(tx, &mut answers)?;
    Ok(answers)
}

fn number_of(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// A run of recipients, with what is known of them and what is to be stored.
struct Part<'a> {
    batch: &'a Batch,
    audio: &'a Audio,
    accepting: &'a Accepting<'a>,
    now: Time,
    /// The voicemails that the batch has made already.
    members: HashMap<i32, VoicemailId>,
    /// By request id: what is stored, and what this run makes.
    requests: HashMap<String, KnownRequest>,
    last_senders: HashMap<PhoneNumber, PhoneNumber>,
    /// Looked up for the first recipient that needs it: where all are known, nothing is asked of it.
    route: Option<Route>,
    new: Vec<(i32, NewVoicemail)>,
}

impl<'a> Part<'a> {
    /// What is known of these recipients, in a query each for all of them.
    fn read(
        tx: &mut dyn Tx,
        batch: &'a Batch,
        audio: &'a Audio,
        run: Range<usize>,
        accepting: &'a Accepting<'a>,
    ) -> Result<Part<'a>> {
        let workspace = accepting.workspace;
        let numbers = number_of(run.start)..number_of(run.end);
        let members = tx.batch_members(workspace, &batch.id, numbers)?;
        let unknown: Vec<&Draft> = run
            .clone()
            .zip(&batch.recipients[run])
            .filter(|(number, _)| !members.contains_key(&number_of(*number)))
            .filter_map(|(_, recipient)| match recipient {
                Recipient::Good(draft) => Some(draft),
                Recipient::Bad { .. } => None,
            })
            .collect();
        let ids: Vec<&str> = unknown
            .iter()
            .filter_map(|draft| draft.request_id.as_deref())
            .collect();
        let requests = tx.find_requests(workspace, &ids)?;
        let recipients: Vec<&PhoneNumber> = unknown.iter().map(|draft| &draft.recipient).collect();
        let last_senders = match recipients.is_empty() {
            true => HashMap::new(),
            false => tx.last_senders(workspace, batch.use_case_id, &recipients)?,
        };
        Ok(Part {
            batch,
            audio,
            accepting,
            now: tx.now()?,
            members,
            requests,
            last_senders,
            route: None,
            new: Vec::new(),
        })
    }

    fn answer(&mut self, tx: &mut dyn Tx, number: i32, recipient: &Recipient) -> Result<Answered> {
        if let Some(id) = self.members.get(&number) {
            return Ok(Answered::Known(*id));
        }
        let draft = match recipient {
            Recipient::Good(draft) => draft,
            Recipient::Bad {
                violations,
                schedule_time,
                expire_time,
            } => {
                let mut violations = violations.clone();
                violations.extend(time_faults("", *schedule_time, *expire_time, self.now));
                return Ok(Answered::Refused(OpError::InvalidFields(violations)));
            }
        };
        if let Some(known) = self.known(draft) {
            return Ok(known);
        }
        let faults = time_faults("", draft.schedule_time, draft.expire_time, self.now);
        if let Err(refused) = OpError::unless_empty(faults) {
            return Ok(Answered::Refused(refused));
        }
        match self.make(tx, number, draft) {
            Ok(id) => Ok(Answered::New(id)),
            // These are of the one recipient, who may know another number than the main one; all else is of
            // what every one goes through.
            Err(
                refused @ (OpError::SenderIsRecipient { .. }
                | OpError::MainNumberInactive { .. }
                | OpError::QueueFull { .. }),
            ) => Ok(Answered::Refused(refused)),
            Err(other) => Err(other),
        }
    }

    /// What its request id stands for, where it is taken.
    fn known(&self, draft: &Draft) -> Option<Answered> {
        let known = self.requests.get(draft.request_id.as_ref()?)?;
        let is_same = known.hash == content(draft) && known.audio_sha256 == self.audio.sha256;
        Some(match is_same {
            true => Answered::Known(known.voicemail_id),
            false => Answered::Refused(reused(draft)),
        })
    }

    /// Makes the voicemail, to be stored with all others of the run.
    fn make(&mut self, tx: &mut dyn Tx, number: i32, draft: &Draft) -> Result<VoicemailId> {
        let route = match &mut self.route {
            Some(route) => route,
            none => none.insert(find_route(tx, self.batch, self.accepting)?),
        };
        let last = self.last_senders.get(&draft.recipient);
        let sender = route.sender(&draft.recipient, last)?;
        self.accepting.queue.check(tx, self.accepting.workspace)?;
        self.accepting.queue.add();
        let nth = u64::try_from(self.new.len()).unwrap_or(0);
        // A microsecond apart, so that the numbers take turns within the run.
        let used_at = self.now.plus(std::time::Duration::from_micros(nth));
        route.used(&sender, used_at);
        let voicemail = make(draft, route, &sender, self.audio, self.accepting, self.now);
        let (id, request_hash) = (voicemail.id, content(draft));
        self.last_senders
            .insert(draft.recipient.clone(), sender.number);
        if let Some(request_id) = &draft.request_id {
            let known = KnownRequest {
                voicemail_id: id,
                hash: request_hash.clone(),
                audio_sha256: self.audio.sha256,
            };
            self.requests.insert(request_id.clone(), known);
        }
        let new = NewVoicemail {
            voicemail,
            request_hash,
        };
        self.new.push((number, new));
        Ok(id)
    }

    /// Stores what the run has made, each with its place in the batch.
    fn store(mut self, tx: &mut dyn Tx, answers: &mut [Answered]) -> Result<()> {
        if self.new.is_empty() {
            return Ok(());
        }
        let workspace = self.accepting.workspace;
        let (numbers, new): (Vec<i32>, Vec<NewVoicemail>) = self.new.drain(..).unzip();
        let stored = tx.insert_voicemails(&new)?;
        let members: Vec<BatchMember> = numbers
            .into_iter()
            .zip(new.iter().map(|new| &new.voicemail))
            .filter(|(_, voicemail)| stored.contains(&voicemail.id))
            .map(|(number, voicemail)| BatchMember {
                number,
                voicemail_id: voicemail.id,
                create_time: voicemail.create_time,
            })
            .collect();
        if !members.is_empty() {
            tx.insert_batch_members(workspace, &self.batch.id, &members)?;
        }
        if stored.len() == new.len() {
            return Ok(());
        }
        // Single sends with these request ids were faster by a moment.
        let lost = new.iter().filter(|new| !stored.contains(&new.voicemail.id));
        let lost: HashMap<VoicemailId, &NewVoicemail> =
            lost.map(|new| (new.voicemail.id, new)).collect();
        let ids: Vec<&str> = lost
            .values()
            .filter_map(|new| new.voicemail.request_id.as_deref())
            .collect();
        let winners = tx.find_requests(workspace, &ids)?;
        for answer in answers {
            if let Answered::New(id) | Answered::Known(id) = answer
                && let Some(new) = lost.get(id)
            {
                *answer = won_by(new, &winners)?;
            }
        }
        Ok(())
    }
}

fn find_route(tx: &mut dyn Tx, batch: &Batch, accepting: &Accepting<'_>) -> Result<Route> {
    let id = batch.use_case_id;
    let use_case = tx
        .find_use_case(accepting.workspace, id, Lock::Present)?
        .ok_or(OpError::NotFound(Resource::UseCase, id.uuid()))?;
    Route::find(tx, use_case, accepting, Lock::Present)
}

/// The answer to a recipient whose request id was taken in the last moment.
fn won_by(new: &NewVoicemail, winners: &HashMap<String, KnownRequest>) -> Result<Answered> {
    let request_id = new.voicemail.request_id.clone().unwrap_or_default();
    let winner = winners
        .get(&request_id)
        .ok_or_else(|| OpError::Internal("a voicemail was neither stored nor found".to_owned()))?;
    let is_same =
        winner.hash == new.request_hash && winner.audio_sha256 == new.voicemail.audio.sha256;
    Ok(match is_same {
        true => Answered::Known(winner.voicemail_id),
        false => Answered::Refused(OpError::RequestIdReused { request_id }),
    })
}
