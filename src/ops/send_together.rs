//! Many single sends in one unit of work, so that each costs a share of what one alone does: what they need is read once
//! or with one statement for all of them, their rows are stored with one statement a table, and they share a commit.
//!
//! Only what is plain is answered here. Whatever stands in the way of one, or a request id that is known, gives `None` for
//! it, and [`judge`](super::send_voicemail::judge) or [`accept`](super::send_voicemail::accept) says alone what it is.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::error::{OpError, Result};
use super::route::Route;
use super::send_voicemail::{Accepted, Accepting, AudioInput, Draft, content, make};
use crate::domain::ids::{AudioId, UseCaseId};
use crate::domain::phone::PhoneNumber;
use crate::domain::sender::Candidate;
use crate::domain::time::Time;
use crate::domain::voicemail::Audio;
use crate::storage::{Lock, NewVoicemail, Tx};

/// A send whose audio has come.
#[derive(Debug)]
pub struct ReadySend {
    pub draft: Draft,
    pub input: AudioInput,
}

/// [`judge`](super::send_voicemail::judge) for many.
pub fn judge_together(
    tx: &mut dyn Tx,
    drafts: &[Draft],
    accepting: &Accepting<'_>,
) -> Result<Vec<Option<()>>> {
    tx.together();
    let drafts: Vec<&Draft> = drafts.iter().collect();
    let mut group = Group::read(tx, &drafts, accepting, Lock::None)?;
    let mut judged = Vec::with_capacity(drafts.len());
    for draft in drafts {
        judged.push(group.place(tx, draft)?.map(drop));
    }
    Ok(judged)
}

/// Accepts those that are new. A caller who hears of one is answered after the commit.
pub fn accept_together(
    tx: &mut dyn Tx,
    sends: &[&ReadySend],
    accepting: &Accepting<'_>,
) -> Result<Vec<Option<Accepted>>> {
    tx.together();
    let drafts: Vec<&Draft> = sends.iter().map(|send| &send.draft).collect();
    let mut group = Group::read(tx, &drafts, accepting, Lock::Present)?;
    let mut made: Vec<Option<NewVoicemail>> = Vec::with_capacity(sends.len());
    for ReadySend { draft, input } in sends {
        let place = match draft.validate_only {
            true => None,
            false => group.place(tx, draft)?,
        };
        made.push(match place {
            Some(Place { sender, named }) => match plain(input.choose(named.as_ref()))? {
                Some(audio) => Some(group.make(draft, &sender, audio)?),
                None => None,
            },
            None => None,
        });
    }
    let new: Vec<(&mut NewVoicemail, &AudioInput)> = made
        .iter_mut()
        .zip(sends)
        .filter_map(|(made, send)| Some((made.as_mut()?, &send.input)))
        .collect();
    store_audios(tx, new, accepting, group.now)?;
    let new: Vec<NewVoicemail> = made.iter().flatten().cloned().collect();
    let stored = match new.is_empty() {
        true => HashSet::new(),
        false => tx.insert_voicemails(&new)?,
    };
    // One that is not among them: another call with its request id was faster by a moment.
    let voicemail = |made: Option<NewVoicemail>| {
        let voicemail = made?.voicemail;
        stored
            .contains(&voicemail.id)
            .then_some(Accepted::New(voicemail))
    };
    Ok(made.into_iter().map(voicemail).collect())
}

/// Stores what is new of their audio, and tells each voicemail what it is stored as.
fn store_audios(
    tx: &mut dyn Tx,
    new: Vec<(&mut NewVoicemail, &AudioInput)>,
    accepting: &Accepting<'_>,
    now: Time,
) -> Result<()> {
    let mut used: BTreeSet<AudioId> = BTreeSet::new();
    let mut fresh: Vec<(Audio, &[u8])> = Vec::new();
    let mut owners = Vec::new();
    for (new, input) in new {
        match input {
            AudioInput::Named => {
                used.insert(new.voicemail.audio.id);
            }
            AudioInput::New { audio, bytes, .. } => {
                let audio = Audio {
                    create_time: now,
                    ..audio.clone()
                };
                fresh.push((audio, bytes));
                owners.push(new);
            }
        }
    }
    for id in used {
        tx.touch_audio(id)?;
    }
    if fresh.is_empty() {
        return Ok(());
    }
    let fresh: Vec<(&Audio, &[u8])> = fresh.iter().map(|(audio, bytes)| (audio, *bytes)).collect();
    let stored = tx.put_audios(accepting.workspace, &fresh)?;
    for (new, audio) in owners.into_iter().zip(stored) {
        new.voicemail.audio = audio;
    }
    Ok(())
}

/// What is known of a group of sends.
struct Group<'a> {
    accepting: &'a Accepting<'a>,
    lock: Lock,
    now: Time,
    /// Request ids that are stored, or that one of the group has.
    taken: HashSet<String>,
    last_senders: HashMap<(UseCaseId, PhoneNumber), PhoneNumber>,
    /// `None` where nothing may be accepted for the use case.
    routes: HashMap<UseCaseId, Option<Route>>,
    made: u64,
}

/// What nothing stands in the way of.
struct Place {
    sender: Candidate,
    /// The audio that `audio_id` names.
    named: Option<Audio>,
}

impl<'a> Group<'a> {
    fn read(
        tx: &mut dyn Tx,
        drafts: &[&Draft],
        accepting: &'a Accepting<'a>,
        lock: Lock,
    ) -> Result<Group<'a>> {
        let workspace = accepting.workspace;
        let request_ids = drafts
            .iter()
            .filter_map(|draft| draft.request_id.as_deref());
        let known = tx.find_requests(workspace, &request_ids.collect::<Vec<_>>())?;
        let mut recipients: HashMap<UseCaseId, Vec<&PhoneNumber>> = HashMap::new();
        for draft in drafts {
            recipients
                .entry(draft.use_case_id)
                .or_default()
                .push(&draft.recipient);
        }
        let mut last_senders = HashMap::new();
        for (use_case, recipients) in recipients {
            let senders = tx.last_senders(workspace, use_case, &recipients)?;
            let of_use_case = |(recipient, sender)| ((use_case, recipient), sender);
            last_senders.extend(senders.into_iter().map(of_use_case));
        }
        Ok(Group {
            accepting,
            lock,
            now: tx.now()?,
            taken: known.into_keys().collect(),
            last_senders,
            routes: HashMap::new(),
            made: 0,
        })
    }

    fn place(&mut self, tx: &mut dyn Tx, draft: &Draft) -> Result<Option<Place>> {
        let workspace = self.accepting.workspace;
        let is_taken = |id: &String| self.taken.contains(id);
        if draft.request_id.as_ref().is_some_and(is_taken)
            || !draft.time_faults(self.now).is_empty()
        {
            return Ok(None);
        }
        let named = match draft.audio_id {
            None => None,
            Some(id) => match tx.find_audio(workspace, id)? {
                Some(audio) => Some(audio),
                None => return Ok(None),
            },
        };
        if !self.routes.contains_key(&draft.use_case_id) {
            let route = find_route(tx, draft.use_case_id, self.accepting, self.lock)?;
            self.routes.insert(draft.use_case_id, route);
        }
        let Some(Some(route)) = self.routes.get(&draft.use_case_id) else {
            return Ok(None);
        };
        let last = self
            .last_senders
            .get(&(draft.use_case_id, draft.recipient.clone()));
        let Some(sender) = plain(route.sender(&draft.recipient, last))? else {
            return Ok(None);
        };
        let room = plain(self.accepting.queue.check(tx, workspace))?;
        Ok(room.map(|()| Place { sender, named }))
    }

    fn make(&mut self, draft: &Draft, sender: &Candidate, audio: &Audio) -> Result<NewVoicemail> {
        let Some(Some(route)) = self.routes.get_mut(&draft.use_case_id) else {
            return Err(OpError::Internal("a send has no route".to_owned()));
        };
        // A microsecond apart, so that the numbers take turns within the group.
        route.used(sender, self.now.plus(Duration::from_micros(self.made)));
        self.made += 1;
        self.accepting.queue.add();
        self.taken.extend(draft.request_id.clone());
        let key = (draft.use_case_id, draft.recipient.clone());
        self.last_senders.insert(key, sender.number.clone());
        Ok(NewVoicemail {
            voicemail: make(draft, route, sender, audio, self.accepting, self.now),
            request_hash: content(draft),
        })
    }
}

fn find_route(
    tx: &mut dyn Tx,
    id: UseCaseId,
    accepting: &Accepting<'_>,
    lock: Lock,
) -> Result<Option<Route>> {
    match tx.find_use_case(accepting.workspace, id, lock)? {
        Some(use_case) => plain(Route::find(tx, use_case, accepting, lock)),
        None => Ok(None),
    }
}

/// `None` for what is said to the caller alone; what is of the database stops all of them.
fn plain<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error @ (OpError::Storage(_) | OpError::Internal(_))) => Err(error),
        Err(_) => Ok(None),
    }
}
