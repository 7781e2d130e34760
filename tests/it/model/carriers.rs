//! The carriers of a history, and with them the truth: what each really received and dropped. They
//! are honest: whatever they say is so, but they may say nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringless::carrier::{BoxFuture, Call, Carrier, Message, Particulars, Question, Registry};
use ringless::domain::attempt::{Answer, CarrierWords, Outcome};
use ringless::domain::doubt::DoubtTraits;
use ringless::domain::failure::FailureReason;
use ringless::domain::ids::HandOverId;
use ringless::domain::phone::PhoneNumber;
use ringless::domain::status::End;
use ringless::domain::word::Said;

use super::history::{Carriers, Kind, Reply, Says};

/// For how long a carrier knows a key that it has had.
const MEMORY: Duration = Duration::from_secs(3_600);
/// What its file says of it, less a margin: for a call under way, and for a clock that was put back.
const REPEATABLE_FOR: Duration = Duration::from_secs(2_700);
/// How far back all jumps of the clock together may put it within that margin.
pub const PUT_BACK_MAX: Duration = Duration::from_secs(600);

/// A call as the carrier sees it.
pub struct Received<'a> {
    pub voicemail: usize,
    pub carrier: &'a str,
    pub key: HandOverId,
    pub request: &'a [u8],
    /// Since the history began, by the carrier's own clock, which does not jump.
    pub at: Duration,
    /// The worker's lease was over, or another's, when the call was made.
    pub is_late: bool,
}

/// One message in a mailbox.
#[derive(Debug, Clone, Copy)]
struct Drop {
    /// By a call that its worker made after its lease, to a carrier that could say in the meantime
    /// that it never got it, or that has forgotten the key. No program can prevent it: between its
    /// last look at the clock and the call it may be stopped.
    is_beyond_us: bool,
}

/// A key that a carrier has.
#[derive(Debug)]
struct Had {
    first: Duration,
    end: End,
    /// Our account can't pay, so it was never tried.
    is_untried: bool,
}

/// Both carriers, and everything that they know.
#[derive(Debug)]
pub struct Truth {
    kinds: [Kind; 2],
    had: HashMap<HandOverId, Had>,
    requests: HashMap<HandOverId, Vec<u8>>,
    drops: Vec<Vec<Drop>>,
    /// The keys of each voicemail, in the order in which carriers got them.
    keys: Vec<Vec<HandOverId>>,
    /// Calls that reached a carrier.
    pub calls: usize,
    pub questions: usize,
    /// Words that carriers said by themselves.
    pub words: usize,
}

const NO_FUNDS: FailureReason = FailureReason::InsufficientFunds;

impl Truth {
    pub fn new(kinds: [Kind; 2], voicemails: usize) -> Truth {
        Truth {
            kinds,
            had: HashMap::new(),
            requests: HashMap::new(),
            drops: vec![Vec::new(); voicemails],
            keys: vec![Vec::new(); voicemails],
            calls: 0,
            questions: 0,
            words: 0,
        }
    }

    /// How often a voicemail was dropped.
    pub fn drops(&self, voicemail: usize) -> usize {
        self.drops[voicemail].len()
    }

    /// Did a call beyond anybody's reach drop it?
    pub fn is_beyond_us(&self, voicemail: usize) -> bool {
        self.drops[voicemail].iter().any(|drop| drop.is_beyond_us)
    }

    /// Has a carrier got it, whatever became of it?
    pub fn has(&self, key: HandOverId) -> bool {
        self.had.contains_key(&key)
    }

    /// A call reaches its carrier, which does as `reply` says, as far as that is true.
    pub fn receive(&mut self, call: &Received<'_>, reply: Reply) -> Result<Outcome, String> {
        self.calls += 1;
        let known = self
            .requests
            .entry(call.key)
            .or_insert_with(|| call.request.to_vec());
        if known != call.request {
            return Err("a repeat carries another request under the same key".to_owned());
        }
        let kind = self.kind(call.carrier);
        let had = self.had.get(&call.key);
        let remembers = kind.knows_repeats()
            && had.is_some_and(|had| call.at.saturating_sub(had.first) < MEMORY);
        let again = |reason, wait| Outcome::TryAgain { reason, wait };
        match reply {
            Reply::Breaks => return Ok(Outcome::Unknown),
            Reply::TooFast => {
                let wait = Some(Duration::from_secs(120));
                return Ok(again(FailureReason::CarrierRateLimited, wait));
            }
            Reply::PassingError => return Ok(again(FailureReason::CarrierTimeout, None)),
            Reply::RefusesTheWay => {
                let reason = FailureReason::AudioUnfetchable;
                return Ok(Outcome::Rejected { reason });
            }
            _ => {}
        }
        if !remembers {
            self.take(call, reply, kind);
        }
        Ok(match (reply, self.had[&call.key].end) {
            (Reply::DropsAndBreaks, _) => Outcome::Unknown,
            (Reply::Takes | Reply::TakesInVain | Reply::TakesUntried, _) => {
                Outcome::Taken { ask_after: None }
            }
            (_, End::Delivered) => Outcome::Delivered,
            (_, End::Because(reason)) => Outcome::Rejected { reason },
        })
    }

    /// What the carrier says when it is asked about a key.
    pub fn answer(&mut self, key: HandOverId, reply: Reply) -> Answer {
        self.questions += 1;
        match (reply, self.had.get(&key)) {
            (Reply::Breaks | Reply::DropsAndBreaks | Reply::TooFast | Reply::RefusesTheWay, _) => {
                Answer::NoAnswer
            }
            (_, None) => Answer::NeverReceived,
            (
                Reply::Takes | Reply::TakesInVain | Reply::TakesUntried | Reply::PassingError,
                Some(_),
            ) => Answer::Pending { again_after: None },
            (_, Some(had)) => Answer::Ended(had.end),
        }
    }

    /// What the carrier says by itself of one of a voicemail's keys, where it has had any.
    pub fn word(&mut self, voicemail: usize, key: usize, says: Says) -> Option<(HandOverId, Said)> {
        let keys = &self.keys[voicemail];
        let key = *keys.get(key.checked_rem(keys.len())?)?;
        let had = self.had.get(&key)?;
        self.words += 1;
        let said = match says {
            Says::Riddle => Said::Unheard,
            Says::ItHasIt => Said::Pending,
            Says::TheEnd if had.is_untried => Said::NotTried(NO_FUNDS),
            Says::TheEnd => Said::Ended(had.end),
        };
        Some((key, said))
    }

    /// The carrier takes a message that is new to it.
    fn take(&mut self, call: &Received<'_>, reply: Reply, kind: Kind) {
        let before = self.had.get(&call.key).map(|had| had.end);
        let forgot = before.is_some();
        let end = match reply {
            _ if before == Some(End::Delivered) => End::Delivered,
            Reply::TakesInVain => End::Because(FailureReason::NoMailbox),
            Reply::TakesUntried => End::Because(NO_FUNDS),
            Reply::RefusesRecipient => End::Because(FailureReason::MailboxFull),
            Reply::Shrugs => End::Because(FailureReason::CarrierAmbiguous),
            _ => End::Delivered,
        };
        let is_untried = end == End::Because(NO_FUNDS);
        if !matches!(reply, Reply::TakesInVain | Reply::RefusesRecipient) && !is_untried {
            self.drops[call.voicemail].push(Drop {
                is_beyond_us: call.is_late
                    && (kind.can_be_asked() || (kind.knows_repeats() && forgot)),
            });
        }
        let had = Had {
            first: call.at,
            end,
            is_untried,
        };
        if self.had.insert(call.key, had).is_none() {
            self.keys[call.voicemail].push(call.key);
        }
    }

    fn kind(&self, carrier: &str) -> Kind {
        self.kinds[usize::from(carrier == "second")]
    }
}

/// A worker's configured carriers. `claimed` is what their files say of each, true or not.
pub fn configured(carriers: Carriers, claimed: [Kind; 2]) -> Registry {
    Registry::of(carriers.names().iter().map(|name| {
        let kind = claimed[usize::from(*name == "second")];
        let carrier: Arc<dyn Carrier> = Arc::new(Configured(kind));
        ((*name).to_owned(), carrier)
    }))
}

/// What the steps see of a carrier. The calls are made by the history.
struct Configured(Kind);

impl Carrier for Configured {
    fn request(&self, message: &Message, _: &Particulars) -> Vec<u8> {
        format!("{} {}", message.voicemail_id, message.sender.e164()).into_bytes()
    }

    fn doubt_traits(&self, _: &PhoneNumber, _: &str) -> DoubtTraits {
        DoubtTraits {
            repeatable_for: self.0.knows_repeats().then_some(REPEATABLE_FOR),
            askable: self.0.can_be_asked(),
            word_comes: self.0 == Kind::CallsBack,
        }
    }

    fn hand_over(&self, _: Call) -> BoxFuture<'_, (Outcome, CarrierWords)> {
        unreachable!("a history makes the calls itself")
    }

    fn ask(&self, _: Question) -> BoxFuture<'_, (Answer, CarrierWords)> {
        unreachable!("a history asks the questions itself")
    }
}
