//! What must be true when everything has come to rest, whatever was killed: the database's word
//! against the callers' notebook and the carriers' own records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::ensure;
use ringless::grpc::pb::{FailureReason, VoicemailStatus as Status};

use crate::carriers::Carriers;
use crate::wire::{Account, Line, What};

/// A voicemail as the service tells it at the end.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: String,
    pub request_id: String,
    pub account: Option<Account>,
    pub recipient: String,
    pub status: Status,
    pub reason: FailureReason,
}

/// A callback of a vendor's, as it wrote it down.
#[derive(Debug, Clone)]
pub struct Word {
    pub voicemail: String,
    /// That it was delivered.
    pub is_delivery: bool,
    /// The status that we answered; none where no answer came.
    pub answer: Option<u16>,
}

impl Word {
    fn is_acknowledged(&self) -> bool {
        self.answer
            .is_some_and(|status| (200..300).contains(&status))
    }
}

#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// By request id, the voicemail ids that callers were answered; none where nobody was.
    pub accepted: BTreeMap<String, Vec<String>>,
    pub rows: Vec<Row>,
    /// The carriers' record, each in its order.
    pub record: Vec<Line>,
    /// What vendors called back.
    pub words: Vec<Word>,
    /// What vendors found fault with.
    pub faults: Vec<String>,
    /// Ends that were seen to be left: voicemail and how.
    pub left_ends: Vec<(String, String)>,
}

/// What is checked. Each is shown with how often it was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    NothingLost,
    OneVoicemailPerRequest,
    EverythingEnds,
    UnconfirmedHasACause,
    RepeatableIsDelivered,
    AskableIsDelivered,
    OnceIsDeliveredOrUnconfirmed,
    DeliveredIsDroppedOnce,
    NeverDroppedTwice,
    NotDeliveredIsNotDropped,
    DropsAreKnown,
    SameKeySameBody,
    EndsStay,
    KeyedIsDelivered,
    AcknowledgedIsDelivered,
    NoWordIsRefused,
    VendorsFindNoFault,
}

impl Rule {
    pub const ALL: [Rule; 17] = [
        Rule::NothingLost,
        Rule::OneVoicemailPerRequest,
        Rule::EverythingEnds,
        Rule::UnconfirmedHasACause,
        Rule::RepeatableIsDelivered,
        Rule::AskableIsDelivered,
        Rule::OnceIsDeliveredOrUnconfirmed,
        Rule::DeliveredIsDroppedOnce,
        Rule::NeverDroppedTwice,
        Rule::NotDeliveredIsNotDropped,
        Rule::DropsAreKnown,
        Rule::SameKeySameBody,
        Rule::EndsStay,
        Rule::KeyedIsDelivered,
        Rule::AcknowledgedIsDelivered,
        Rule::NoWordIsRefused,
        Rule::VendorsFindNoFault,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Rule::NothingLost => "what was answered ACCEPTED is there",
            Rule::OneVoicemailPerRequest => "one request_id is one voicemail",
            Rule::EverythingEnds => "every voicemail has come to an end",
            Rule::UnconfirmedHasACause => "UNCONFIRMED has a cause",
            Rule::RepeatableIsDelivered => "over the repeatable carrier everything is DELIVERED",
            Rule::AskableIsDelivered => "over the askable carrier everything is DELIVERED",
            Rule::OnceIsDeliveredOrUnconfirmed => "over the others: DELIVERED or UNCONFIRMED",
            Rule::DeliveredIsDroppedOnce => "DELIVERED was dropped exactly once",
            Rule::NeverDroppedTwice => "nothing was dropped twice",
            Rule::NotDeliveredIsNotDropped => "neither DELIVERED nor UNCONFIRMED: not dropped",
            Rule::DropsAreKnown => "what was dropped is known to the database",
            Rule::SameKeySameBody => "the same key always had the same body",
            Rule::EndsStay => "an end was never left, but UNCONFIRMED by late word",
            Rule::KeyedIsDelivered => "over Drop Cowboy: DELIVERED, or its word was lost",
            Rule::AcknowledgedIsDelivered => "what we acknowledged as delivered is DELIVERED",
            Rule::NoWordIsRefused => "no callback was turned away",
            Rule::VendorsFindNoFault => "the vendors found fault with nothing",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Violation {
    pub rule: Rule,
    /// Empty where it is about none.
    pub voicemail: String,
    pub text: String,
}

/// Is nothing more to come?
pub fn is_end(status: Status) -> bool {
    !matches!(
        status,
        Status::Unspecified | Status::Accepted | Status::Sending | Status::Sent
    )
}

pub fn check(facts: &Facts) -> Vec<Violation> {
    let mut found = Found::default();
    let rows: HashMap<&str, &Row> = facts
        .rows
        .iter()
        .map(|row| (row.id.as_str(), row))
        .collect();
    check_requests(facts, &rows, &mut found);
    check_record(facts, &rows, &mut found);
    check_words(facts, &rows, &mut found);
    for (voicemail, how) in &facts.left_ends {
        found.say(Rule::EndsStay, voicemail, how.clone());
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn say(&mut self, rule: Rule, voicemail: &str, text: String) {
        self.0.push(Violation {
            rule,
            voicemail: voicemail.to_owned(),
            text,
        });
    }
}

/// What callers were answered, against what is there.
fn check_requests(facts: &Facts, rows: &HashMap<&str, &Row>, found: &mut Found) {
    let mut by_request: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in &facts.rows {
        by_request.entry(&row.request_id).or_default().push(&row.id);
    }
    for (request_id, ids) in &facts.accepted {
        for id in ids.iter().filter(|id| !rows.contains_key(id.as_str())) {
            let text = format!("{request_id} was answered with it");
            found.say(Rule::NothingLost, id, text);
        }
        if ids.len() > 1 {
            let text = format!("{request_id} was answered with {ids:?}");
            found.say(Rule::OneVoicemailPerRequest, &ids[0], text);
        }
    }
    for (request_id, ids) in by_request.iter().filter(|(_, ids)| ids.len() > 1) {
        let text = format!("{request_id} has {ids:?}");
        found.say(Rule::OneVoicemailPerRequest, ids[0], text);
    }
}

/// What carriers dropped, and how each voicemail ended.
fn check_record(facts: &Facts, rows: &HashMap<&str, &Row>, found: &mut Found) {
    let mut drops: HashMap<&str, u64> = HashMap::new();
    let mut bodies: BTreeMap<&str, (&str, BTreeSet<&str>)> = BTreeMap::new();
    for line in &facts.record {
        if line.what == What::Drop {
            *drops.entry(&line.voicemail).or_default() += 1;
        }
        if line.what != What::Never {
            let body = bodies
                .entry(&line.key)
                .or_insert((&line.voicemail, BTreeSet::new()));
            body.1.insert(&line.sha256);
        }
    }
    for (voicemail, count) in drops.iter().filter(|(id, _)| !rows.contains_key(*id)) {
        let text = format!("dropped {count} times");
        found.say(Rule::DropsAreKnown, voicemail, text);
    }
    for (key, (voicemail, bodies)) in bodies.iter().filter(|(_, (_, bodies))| bodies.len() > 1) {
        let text = format!("key {key} came with {} bodies", bodies.len());
        found.say(Rule::SameKeySameBody, voicemail, text);
    }
    for row in &facts.rows {
        let dropped = drops.get(row.id.as_str()).copied().unwrap_or(0);
        let text = format!(
            "it is {} and was dropped {dropped} times",
            row.status.as_str_name()
        );
        for rule in broken_ends(row, dropped) {
            found.say(rule, &row.id, text.clone());
        }
    }
}

/// What this end breaks by itself.
fn broken_ends(row: &Row, dropped: u64) -> Vec<Rule> {
    let (is_delivered, is_in_doubt) = (
        row.status == Status::Delivered,
        row.status == Status::Unconfirmed,
    );
    let (rule, may_be_in_doubt) = match row.account {
        Some(Account::Repeatable) => (Rule::RepeatableIsDelivered, false),
        Some(Account::Askable) => (Rule::AskableIsDelivered, false),
        // Which doubt it may be in, its words tell.
        Some(Account::DropCowboy) => (Rule::KeyedIsDelivered, true),
        Some(Account::Once | Account::VoiceDrop | Account::Both) | None => {
            (Rule::OnceIsDeliveredOrUnconfirmed, true)
        }
    };
    let has_no_cause = is_in_doubt && row.reason == FailureReason::Unspecified;
    let broken = [
        (Rule::EverythingEnds, !is_end(row.status)),
        (Rule::UnconfirmedHasACause, has_no_cause),
        (rule, !(is_delivered || may_be_in_doubt && is_in_doubt)),
        (Rule::DeliveredIsDroppedOnce, is_delivered && dropped != 1),
        (Rule::NeverDroppedTwice, dropped > 1),
        (
            Rule::NotDeliveredIsNotDropped,
            !is_delivered && !is_in_doubt && dropped > 0,
        ),
    ];
    let broken = broken.into_iter().filter(|(_, is_broken)| *is_broken);
    broken.map(|(rule, _)| rule).collect()
}

/// What vendors called back, against what became of it.
fn check_words(facts: &Facts, rows: &HashMap<&str, &Row>, found: &mut Found) {
    let mut deliveries: HashMap<&str, Vec<&Word>> = HashMap::new();
    for word in &facts.words {
        if word.is_delivery {
            deliveries.entry(&word.voicemail).or_default().push(word);
        }
        // Not heard at all, or heard while the database was away: nobody is told that it was kept.
        if !word.is_acknowledged() && !matches!(word.answer, None | Some(503)) {
            let text = format!("a callback was answered {:?}", word.answer);
            found.say(Rule::NoWordIsRefused, &word.voicemail, text);
        }
    }
    for (voicemail, words) in &deliveries {
        let is_acknowledged = words.iter().any(|word| word.is_acknowledged());
        let status = rows.get(voicemail).map(|row| row.status);
        if is_acknowledged && status != Some(Status::Delivered) {
            let text = format!("it is {status:?}, and its word of delivery was answered as heard");
            found.say(Rule::AcknowledgedIsDelivered, voicemail, text);
        }
    }
    let is_over_it = |row: &&Row| row.account == Some(Account::DropCowboy);
    for row in facts.rows.iter().filter(is_over_it) {
        // One that was never taken could have been sent again, so it must have been.
        if row.status == Status::Unconfirmed && !deliveries.contains_key(row.id.as_str()) {
            let text = "it is UNCONFIRMED, and no word of its delivery was lost".to_owned();
            found.say(Rule::KeyedIsDelivered, &row.id, text);
        }
    }
    for fault in &facts.faults {
        found.say(Rule::VendorsFindNoFault, "", fault.clone());
    }
}

/// A checker that can't fail checks nothing: each rule is shown a record that breaks it.
pub fn self_test() -> anyhow::Result<()> {
    let sound = sound();
    let found = check(&sound);
    ensure!(found.is_empty(), "a sound record is blamed: {found:?}");
    for rule in Rule::ALL {
        let mut doctored = sound.clone();
        doctor(&mut doctored, rule);
        let found = check(&doctored);
        ensure!(
            found.iter().any(|violation| violation.rule == rule),
            "a record in which {:?} is broken passes: {found:?}",
            rule.as_str()
        );
    }
    Ok(())
}

/// A voicemail over each account, the second one in doubt; and one more over Drop Cowboy, whose word was
/// lost.
fn sound() -> Facts {
    let mut facts = Facts::default();
    let recorded = Carriers::Recorded.accounts().into_iter();
    let all = recorded.chain(Carriers::Vendors.accounts());
    for (at, account) in all.chain([Account::DropCowboy]).enumerate() {
        let (id, request_id) = (format!("voicemail-{at}"), format!("request-{at}"));
        facts.accepted.insert(request_id.clone(), vec![id.clone()]);
        let is_lost = at == 6;
        let (status, reason) = match account {
            Account::Once => (Status::Unconfirmed, FailureReason::CarrierAmbiguous),
            _ if is_lost => (Status::Unconfirmed, FailureReason::CarrierNoCallback),
            _ => (Status::Delivered, FailureReason::Unspecified),
        };
        if at >= 3 {
            facts.words.push(Word {
                voicemail: id.clone(),
                is_delivery: true,
                answer: (!is_lost).then_some(200),
            });
        }
        facts.record.push(Line {
            what: What::Drop,
            account,
            key: format!("key-{at}"),
            voicemail: id.clone(),
            attempt: 1,
            sha256: "body".to_owned(),
        });
        facts.rows.push(Row {
            id,
            request_id,
            account: Some(account),
            recipient: String::new(),
            status,
            reason,
        });
    }
    facts
}

fn doctor(facts: &mut Facts, rule: Rule) {
    match rule {
        Rule::NothingLost => {
            facts.rows.remove(0);
        }
        Rule::OneVoicemailPerRequest => {
            let mut second = facts.rows[0].clone();
            second.id = "another".to_owned();
            facts.rows.push(second);
        }
        Rule::EverythingEnds => facts.rows[0].status = Status::Sending,
        Rule::UnconfirmedHasACause => facts.rows[1].reason = FailureReason::Unspecified,
        Rule::RepeatableIsDelivered => facts.rows[0].status = Status::Unconfirmed,
        Rule::AskableIsDelivered => facts.rows[2].status = Status::Unconfirmed,
        Rule::OnceIsDeliveredOrUnconfirmed => facts.rows[1].status = Status::Skipped,
        Rule::DeliveredIsDroppedOnce => {
            facts.record.remove(0);
        }
        Rule::NeverDroppedTwice => facts.record.push(facts.record[1].clone()),
        Rule::NotDeliveredIsNotDropped => facts.rows[1].status = Status::Failed,
        Rule::DropsAreKnown => facts.record[0].voicemail = "nobody's".to_owned(),
        Rule::SameKeySameBody => {
            let mut repeat = facts.record[0].clone();
            repeat.what = What::Repeat;
            repeat.sha256 = "another body".to_owned();
            facts.record.push(repeat);
        }
        Rule::EndsStay => {
            let left = (
                "voicemail-0".to_owned(),
                "DELIVERED became SENDING".to_owned(),
            );
            facts.left_ends.push(left);
        }
        Rule::KeyedIsDelivered => {
            facts.words.pop();
        }
        Rule::AcknowledgedIsDelivered => facts.words[3].answer = Some(200),
        Rule::NoWordIsRefused => facts.words[3].answer = Some(404),
        Rule::VendorsFindNoFault => facts.faults.push("a key came with another body".to_owned()),
    }
}
