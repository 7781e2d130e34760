//! A carrier that does what a test tells it, and remembers what it was given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

use ringless::carrier::{BoxFuture, Call, Carrier, Message, Particulars, Question};
use ringless::domain::attempt::{Answer, CarrierWords, Outcome};
use ringless::domain::doubt::DoubtTraits;
use ringless::domain::ids::{HandOverId, VoicemailId};
use ringless::domain::phone::PhoneNumber;

pub const NEITHER: DoubtTraits = DoubtTraits::NONE;
pub const ASKABLE: DoubtTraits = DoubtTraits {
    askable: true,
    ..DoubtTraits::NONE
};
pub const REPEATABLE: DoubtTraits = DoubtTraits {
    repeatable_for: Some(Duration::from_secs(3_600)),
    ..DoubtTraits::NONE
};

/// What it was given in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub voicemail_id: VoicemailId,
    pub hand_over_id: HandOverId,
    pub attempt_number: i32,
    pub request: Vec<u8>,
    pub sender: PhoneNumber,
}

#[derive(Clone)]
pub struct Scripted {
    traits: DoubtTraits,
    outcomes: Arc<Mutex<VecDeque<Outcome>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    given: Arc<Mutex<Vec<Given>>>,
    asked: Arc<Mutex<usize>>,
    gate: Option<Arc<Semaphore>>,
}

impl Scripted {
    /// Outcomes one after the other; DELIVERED once they are used up.
    pub fn new(traits: DoubtTraits, outcomes: impl IntoIterator<Item = Outcome>) -> Scripted {
        Scripted {
            traits,
            outcomes: Arc::new(Mutex::new(outcomes.into_iter().collect())),
            answers: Arc::default(),
            given: Arc::default(),
            asked: Arc::default(),
            gate: None,
        }
    }

    /// Each call waits for a permit and uses it up.
    pub fn waiting_at(self, gate: &Arc<Semaphore>) -> Scripted {
        Scripted {
            gate: Some(gate.clone()),
            ..self
        }
    }

    /// Answers one after the other; none at all once they are used up.
    pub fn answering(self, answers: impl IntoIterator<Item = Answer>) -> Scripted {
        self.answers.lock().unwrap().extend(answers);
        self
    }

    /// More answers.
    pub fn answers_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub fn given(&self) -> Vec<Given> {
        self.given.lock().unwrap().clone()
    }

    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

impl Carrier for Scripted {
    fn request(&self, message: &Message, _: &Particulars) -> Vec<u8> {
        format!("{} {}", message.voicemail_id, message.sender.e164()).into_bytes()
    }

    fn doubt_traits(&self, _: &PhoneNumber, _: &str) -> DoubtTraits {
        self.traits
    }

    fn hand_over(&self, call: Call) -> BoxFuture<'_, (Outcome, CarrierWords)> {
        assert!(!call.audio.is_empty());
        self.given.lock().unwrap().push(Given {
            voicemail_id: call.message.voicemail_id,
            hand_over_id: call.hand_over_id,
            attempt_number: call.attempt_number,
            request: call.request,
            sender: call.message.sender,
        });
        let outcome = self
            .outcomes
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Outcome::Delivered);
        let gate = self.gate.clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            (
                outcome,
                CarrierWords::new("ref-1", "code", "the carrier's words"),
            )
        })
    }

    fn ask(&self, _: Question) -> BoxFuture<'_, (Answer, CarrierWords)> {
        *self.asked.lock().unwrap() += 1;
        let answer = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Answer::NoAnswer);
        Box::pin(async move { (answer, CarrierWords::default()) })
    }
}
