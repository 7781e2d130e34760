//! The delivery of one voicemail: what a worker reads of it, and how each thing that can happen
//! changes it. Pure: the store writes what comes out, guarded by what went in.

mod gated;
mod in_doubt;
mod times;

use std::time::Duration;

use super::attempt::{Answer, CarrierWords, Outcome};
use super::doubt::DoubtTraits;
use super::failure::FailureReason;
use super::gate::Gate;
use super::hand_over::HandOver;
use super::ids::{
    AudioId, LeaseToken, PhoneNumberId, SetupId, UseCaseId, VoicemailId, WorkspaceId,
};
use super::phone::PhoneNumber;
use super::report::bucket_of;
use super::retry;
use super::status::{End, Event, Refused, Status, apply};
use super::time::Time;
use super::word::Effect;

/// The columns of a voicemail that delivery reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub voicemail_id: VoicemailId,
    pub workspace_id: WorkspaceId,
    pub use_case_id: UseCaseId,
    pub setup_id: SetupId,
    pub sender_id: PhoneNumberId,
    pub sender: PhoneNumber,
    pub recipient: PhoneNumber,
    pub audio_id: AudioId,
    pub status: Status,
    pub failure_reason: Option<FailureReason>,
    pub status_detail: String,
    pub simulated: bool,
    pub create_time: Time,
    pub due_time: Time,
    pub expire_time: Time,
    pub sent_time: Option<Time>,
    pub end_time: Option<Time>,
    /// When a worker may next touch it; none at an end.
    pub next_time: Option<Time>,
    /// Put aside until an operator says what shall become of it: after a restore from a backup it
    /// may have been sent already.
    pub held: bool,
    pub lease_token: Option<LeaseToken>,
    /// Tries that came to a passing error.
    pub tries: i32,
    pub attempt_count: i32,
    /// The carrier of the last attempt; empty before the first.
    pub carrier: String,
    pub latency_bucket: Option<i16>,
    /// The gate that holds it until `next_time`.
    pub hold_gate: Option<Gate>,
    /// Where the caller said that the recipient is.
    pub time_zone: Option<String>,
    pub postal_code: Option<String>,
}

/// The waits and deadlines of delivery: configuration `[delivery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub retry: retry::Policy,
    /// Waits between questions to a carrier; the last one repeats.
    pub ask_waits: Vec<Duration>,
    /// From SENT, or from the hand-over in doubt, to UNCONFIRMED.
    pub no_word_deadline: Duration,
    /// From the hand-over in doubt to UNCONFIRMED, where there is nothing to be done but to wait for the
    /// carrier's own word.
    pub doubt_wait: Duration,
    /// How long to wait where a use case has no number that may send.
    pub no_sender_wait: Duration,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            retry: retry::Policy::default(),
            ask_waits: [30, 60, 300, 900, 3_600].map(Duration::from_secs).to_vec(),
            no_word_deadline: Duration::from_secs(24 * 3_600),
            doubt_wait: Duration::from_secs(3_600),
            no_sender_wait: Duration::from_secs(60),
        }
    }
}

/// What stands around a change: settings, the store's time, and an even draw from 0 to 1.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub rules: &'a Rules,
    pub now: Time,
    pub chance: f64,
    pub others: Others,
}

/// The other carriers of the setup, as seen by a voicemail that one of them did not take. A round
/// tries each once, in order and at once; the waits of the retry schedule stand between rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// There is none, or none that another try would help with.
    None,
    /// One has not had its turn in this round, and may be called now.
    Left,
    /// All had their turns, and one of them may take it in the next round.
    NextRound,
}

impl Delivery {
    /// A worker takes it until `until`.
    pub fn claim(&mut self, token: LeaseToken, until: Time) -> Result<(), Refused> {
        self.status = apply(self.status, Event::Claimed)?;
        self.status_detail.clear();
        self.held = false;
        self.hold_gate = None;
        self.lease(token, until);
        Ok(())
    }

    /// A worker takes a row that stays as it is: to ask about it, or to rescue it.
    pub fn lease(&mut self, token: LeaseToken, until: Time) {
        self.lease_token = Some(token);
        self.next_time = Some(until);
    }

    /// The caller took it back.
    pub fn cancel(&mut self, now: Time) -> Result<(), Refused> {
        self.end(Event::Cancelled, None, String::new(), now)
    }

    /// One that was held may be sent: the carriers say that they never got it, or the operator does not
    /// mind a second time. What was under way is handed over anew.
    pub fn release(&mut self, now: Time) -> Result<(), Refused> {
        if self.status == Status::Sending {
            self.status = apply(self.status, Event::PutBack)?;
        }
        self.held = false;
        self.status_detail.clear();
        // It may have been put off since it was held.
        self.wait_until(now.max(self.due_time));
        Ok(())
    }

    /// The operator's word on one that was held: it is not sent again, and may have been delivered.
    pub fn close(&mut self, now: Time) -> Result<(), Refused> {
        if self.status == Status::Accepted {
            self.status = apply(self.status, Event::Claimed)?;
        }
        let detail = "it may have been sent before the database was restored from a backup; it is not sent again";
        self.end(
            Event::InDoubt,
            Some(FailureReason::CarrierAmbiguous),
            detail.to_owned(),
            now,
        )
    }

    /// It can't be sent by this process now; it is looked at again `wait` from now, by any.
    pub fn look_again(&mut self, why: String, wait: Duration, now: Time) {
        self.status_detail = why;
        self.hold_gate = None;
        self.wait_until(now.plus(wait));
    }

    /// It was claimed and no call was made; another worker may have it `wait` from now.
    pub fn put_back(&mut self, why: String, wait: Duration, now: Time) -> Result<(), Refused> {
        self.status = apply(self.status, Event::PutBack)?;
        self.look_again(why, wait, now);
        Ok(())
    }

    /// An attempt begins with this carrier.
    pub fn begin_attempt(&mut self, carrier: &str, simulated: bool, lease_end: Time) {
        self.attempt_count += 1;
        self.carrier = carrier.to_owned();
        self.simulated = simulated;
        self.next_time = Some(lease_end);
    }

    /// What the call of the carrier came to. The hand-over has been named by it already.
    pub fn record(
        &mut self,
        hand_over: &mut HandOver,
        outcome: &Outcome,
        words: &CarrierWords,
        traits: DoubtTraits,
        context: Context<'_>,
    ) -> Result<(), Refused> {
        hand_over.weigh_outcome(outcome, context.now);
        match outcome {
            Outcome::Delivered => self.word(End::Delivered, words, context.now),
            // The refusal of a repeat says nothing about the call that is in doubt, unless it is about
            // the recipient or the message itself.
            Outcome::Rejected { reason }
                if hand_over.is_in_doubt() && reason.is_about_the_way() =>
            {
                self.wait_in_doubt(hand_over, traits, None, context)
            }
            // It was not sent, and nothing is wrong with the message: it waits for the account.
            Outcome::Rejected { reason }
                if self.status == Status::Sending && reason.is_account_fault() =>
            {
                let why = format!("its carrier refuses our account ({})", reason.as_str());
                self.put_back(with_words(&why, words), Duration::ZERO, context.now)
            }
            // Nothing is wrong with the message, so another carrier may take it.
            Outcome::Rejected { reason }
                if self.status == Status::Sending
                    && reason.is_about_the_way()
                    && context.others != Others::None =>
            {
                self.try_again(hand_over, *reason, None, words, context)
            }
            Outcome::Rejected { reason } => self.word(End::Because(*reason), words, context.now),
            Outcome::Taken { ask_after } => self.taken(hand_over, traits, *ask_after, context),
            Outcome::Unknown => self.doubt(hand_over, traits, words, context),
            Outcome::TryAgain { wait, .. } if hand_over.is_in_doubt() => {
                self.wait_in_doubt(hand_over, traits, *wait, context)
            }
            Outcome::TryAgain { reason, wait } => {
                self.try_again(hand_over, *reason, *wait, words, context)
            }
        }
    }

    /// What the carrier said when it was asked.
    pub fn record_answer(
        &mut self,
        hand_over: &mut HandOver,
        answer: &Answer,
        words: &CarrierWords,
        traits: DoubtTraits,
        context: Context<'_>,
    ) -> Result<(), Refused> {
        hand_over.asks += 1;
        hand_over.weigh_answer(answer, self.status, context.now);
        match (answer, self.status) {
            (Answer::Ended(end), _) => self.word(*end, words, context.now),
            (Answer::Pending { again_after }, Status::Sending) => {
                self.taken(hand_over, traits, *again_after, context)
            }
            (Answer::NeverReceived, Status::Sending) => {
                hand_over.doubt_time = None;
                self.try_again(
                    hand_over,
                    FailureReason::CarrierUnknown,
                    None,
                    words,
                    context,
                )
            }
            (Answer::NoAnswer, Status::Sending) => {
                self.wait_in_doubt(hand_over, traits, None, context)
            }
            // It was asked for the last time.
            (Answer::Pending { .. } | Answer::NeverReceived | Answer::NoAnswer, _)
                if self.is_past_deadline(context) =>
            {
                self.no_word(context.now)
            }
            (Answer::Pending { again_after }, _) => {
                self.ask_later(hand_over, traits, *again_after, context);
                Ok(())
            }
            // "Never got it" for one that it had taken is a contradiction: wait for better word.
            (Answer::NeverReceived | Answer::NoAnswer, _) => {
                self.ask_later(hand_over, traits, None, context);
                Ok(())
            }
        }
    }

    /// The deadline passed without the carrier's word.
    pub fn no_word(&mut self, now: Time) -> Result<(), Refused> {
        let detail = format!(
            "carrier `{}` took it and gave no word by the deadline; it may have been delivered",
            self.carrier
        );
        self.end(
            Event::NoWord,
            Some(FailureReason::CarrierNoCallback),
            detail,
            now,
        )
    }

    /// Has the deadline for the carrier's word passed?
    pub fn is_past_deadline(&self, context: Context<'_>) -> bool {
        self.sent_time
            .is_some_and(|sent| context.now.since(sent) >= context.rules.no_word_deadline)
    }

    /// What the carrier said by itself, where it moves the voicemail.
    pub fn hear(
        &mut self,
        hand_over: &mut HandOver,
        effect: Effect,
        words: &CarrierWords,
        traits: DoubtTraits,
        context: Context<'_>,
    ) -> Result<(), Refused> {
        hand_over.weigh_word(effect, context.now);
        if self.status == Status::Accepted {
            // It is spoken of, so it has left whatever its call came to; now it stands at this one.
            self.status = apply(self.status, Event::Claimed)?;
            self.held = false;
            self.carrier.clone_from(&hand_over.carrier);
        }
        match effect {
            Effect::End(end) => self.word(end, words, context.now),
            Effect::Take => {
                self.held = false;
                self.taken(hand_over, traits, None, context)
            }
            Effect::GoBack(reason) => self.go_back(hand_over, reason, words, context.now),
            Effect::Keep | Effect::Contradict => Ok(()),
        }
    }

    /// The carrier had taken it and did not try, because our account is at fault: it waits for the account.
    fn go_back(
        &mut self,
        hand_over: &mut HandOver,
        reason: FailureReason,
        words: &CarrierWords,
        now: Time,
    ) -> Result<(), Refused> {
        let event = match self.status {
            Status::Sent => Event::NotTried,
            _ => Event::PutBack,
        };
        self.status = apply(self.status, event)?;
        self.sent_time = None;
        hand_over.is_void = true;
        hand_over.doubt_time = None;
        let why = format!("its carrier refuses our account ({})", reason.as_str());
        self.look_again(with_words(&why, words), Duration::ZERO, now);
        if self.held {
            // What the operator is to decide about stays put aside.
            self.next_time = None;
        }
        Ok(())
    }

    /// The carrier's word on how it ended.
    fn word(&mut self, end: End, words: &CarrierWords, now: Time) -> Result<(), Refused> {
        self.end(Event::Word(end), end.reason(), words.detail.clone(), now)?;
        if end == End::Delivered {
            // A carrier that says so at once has taken it too.
            self.sent_time.get_or_insert(now);
            self.latency_bucket = Some(bucket_of(now.since(self.due_time)));
        }
        Ok(())
    }

    fn taken(
        &mut self,
        hand_over: &HandOver,
        traits: DoubtTraits,
        ask_after: Option<Duration>,
        context: Context<'_>,
    ) -> Result<(), Refused> {
        self.status = apply(self.status, Event::Taken)?;
        self.status_detail.clear();
        self.sent_time = Some(context.now);
        self.ask_later(hand_over, traits, ask_after, context);
        Ok(())
    }

    /// The carrier certainly does not have it: the next one is tried at once, or this one after a wait.
    fn try_again(
        &mut self,
        hand_over: &mut HandOver,
        reason: FailureReason,
        wait: Option<Duration>,
        words: &CarrierWords,
        context: Context<'_>,
    ) -> Result<(), Refused> {
        hand_over.refused_round = Some(self.tries);
        if context.others == Others::Left {
            let why = format!(
                "carrier `{}` did not take it ({}); the next one is tried",
                hand_over.carrier,
                reason.as_str()
            );
            return self.put_back(with_words(&why, words), Duration::ZERO, context.now);
        }
        self.tries += 1;
        let tries = self.tries.unsigned_abs();
        let Some(wait) = context.rules.retry.wait(tries, wait, context.chance) else {
            let last = format!(
                "{tries} tries came to passing errors, the last one {}",
                reason.as_str()
            );
            let end = End::Because(FailureReason::RetriesExhausted);
            return self.end(
                Event::Word(end),
                end.reason(),
                with_words(&last, words),
                context.now,
            );
        };
        let why = format!(
            "try {tries} came to a passing error ({}); it is tried again",
            reason.as_str()
        );
        self.put_back(with_words(&why, words), wait, context.now)
    }

    /// SENT: the next question where the carrier can be asked, at the latest the deadline.
    fn ask_later(
        &mut self,
        hand_over: &HandOver,
        traits: DoubtTraits,
        ask_after: Option<Duration>,
        context: Context<'_>,
    ) {
        let deadline = self
            .sent_time
            .unwrap_or(context.now)
            .plus(context.rules.no_word_deadline);
        let asks = usize::try_from(hand_over.asks).unwrap_or(0);
        let ours = context
            .rules
            .ask_waits
            .get(asks)
            .or(context.rules.ask_waits.last());
        let ask = match (traits.askable, ask_after, ours) {
            (true, Some(wait), _) => context
                .now
                .plus(wait.clamp(retry::CARRIER_WAIT_MIN, retry::CARRIER_WAIT_MAX)),
            (true, None, Some(wait)) => context.now.plus(retry::spread(*wait, context.chance)),
            _ => deadline,
        };
        self.lease_token = None;
        self.next_time = Some(ask.min(deadline));
    }

    /// ACCEPTED again until `time`, at the latest until it expires.
    fn wait_until(&mut self, time: Time) {
        self.lease_token = None;
        self.next_time = Some(time.min(self.expire_time));
    }

    fn end(
        &mut self,
        event: Event,
        reason: Option<FailureReason>,
        detail: String,
        now: Time,
    ) -> Result<(), Refused> {
        self.status = apply(self.status, event)?;
        self.failure_reason = reason;
        self.status_detail = detail;
        self.end_time = Some(now);
        self.next_time = None;
        self.held = false;
        self.hold_gate = None;
        self.lease_token = None;
        Ok(())
    }
}

/// Our sentence with the carrier's words behind it.
fn with_words(sentence: &str, words: &CarrierWords) -> String {
    match words.detail.is_empty() {
        true => sentence.to_owned(),
        false => format!("{sentence}: {}", words.detail),
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
