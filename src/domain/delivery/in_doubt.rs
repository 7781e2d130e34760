//! A delivery whose call came to nobody knows what: what may be done about it, and until when.

use std::time::Duration;

use super::{Context, Delivery, with_words};
use crate::domain::attempt::CarrierWords;
use crate::domain::doubt::{self, DoubtTraits};
use crate::domain::failure::FailureReason;
use crate::domain::hand_over::HandOver;
use crate::domain::retry;
use crate::domain::status::{Event, Refused};
use crate::domain::time::Time;

impl Delivery {
    /// A call's outcome is unknown: wait for what the carrier allows, or give up.
    pub fn doubt(
        &mut self,
        hand_over: &mut HandOver,
        traits: DoubtTraits,
        words: &CarrierWords,
        context: Context<'_>,
    ) -> Result<(), Refused> {
        hand_over.doubt(context.now);
        match self.next_step(hand_over, traits, context) {
            doubt::Step::Repeat | doubt::Step::Ask | doubt::Step::Wait => {
                self.wait_in_doubt(hand_over, traits, None, context)
            }
            doubt::Step::GiveUp => self.give_up(words, context.now),
        }
    }

    /// What may be done now about a hand-over in doubt.
    pub fn next_step(
        &self,
        hand_over: &HandOver,
        traits: DoubtTraits,
        context: Context<'_>,
    ) -> doubt::Step {
        let since = hand_over.doubt_time.unwrap_or(context.now);
        if context.now.since(since) >= context.rules.no_word_deadline {
            return doubt::Step::GiveUp;
        }
        match doubt::next_step(traits, hand_over.create_time, context.now) {
            doubt::Step::Wait if context.now.since(since) >= context.rules.doubt_wait => {
                doubt::Step::GiveUp
            }
            step => step,
        }
    }

    /// It may have been delivered, and nothing more can be learned.
    pub fn give_up(&mut self, words: &CarrierWords, now: Time) -> Result<(), Refused> {
        let detail = with_words(
            "the hand-over broke off, and what became of it can't be learned (any more); it may have been delivered and is not sent again",
            words,
        );
        self.end(
            Event::InDoubt,
            Some(FailureReason::CarrierAmbiguous),
            detail,
            now,
        )
    }

    /// Stay in SENDING without a lease until the next repeat or question, or until the carrier's own word
    /// is not waited for any more.
    pub fn wait_in_doubt(
        &mut self,
        hand_over: &HandOver,
        traits: DoubtTraits,
        wait: Option<Duration>,
        context: Context<'_>,
    ) -> Result<(), Refused> {
        match self.next_step(hand_over, traits, context) {
            doubt::Step::GiveUp => return self.give_up(&CarrierWords::default(), context.now),
            doubt::Step::Wait => {
                let since = hand_over.doubt_time.unwrap_or(context.now);
                self.status_detail = "the outcome of the hand-over is unknown; the carrier's own word is waited for, and it is not sent again".to_owned();
                self.lease_token = None;
                self.next_time = Some(since.plus(context.rules.doubt_wait));
                return Ok(());
            }
            doubt::Step::Repeat | doubt::Step::Ask => {}
        }
        let calls = self.attempt_count.max(1).unsigned_abs() + hand_over.asks.unsigned_abs();
        let last = u32::try_from(context.rules.retry.waits.len()).unwrap_or(u32::MAX);
        // The carrier's own wish may lengthen our wait and not shorten it: there is no bound of repeats
        // in doubt but the growing waits between them.
        let ours = context
            .rules
            .retry
            .wait(calls.min(last), None, context.chance);
        let wished = wait.map(|wait| wait.min(retry::CARRIER_WAIT_MAX));
        let wait = ours
            .unwrap_or(context.rules.no_sender_wait)
            .max(wished.unwrap_or_default());
        self.status_detail =
            "the outcome of the hand-over is unknown; the carrier is asked, or sent the same request under the same key".to_owned();
        self.lease_token = None;
        self.next_time = Some(context.now.plus(wait));
        Ok(())
    }
}
