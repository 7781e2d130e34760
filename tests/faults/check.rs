//! What must be true when everything has come to rest, whatever was killed: the database's word
//! against the callers' notebook and the carrier's own record.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::ensure;
use ringless::grpc::pb::{FailureReason, VoicemailStatus as Status};

use crate::wire::{Account, Line, What};

/// A voicemail as the service tells it at the end.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: String,
    pub request_id: String,
    pub account: Option<Account>,
    pub status: Status,
    pub reason: FailureReason,
}

#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// By request id, the voicemail ids that callers were answered; none where nobody was.
    pub accepted: BTreeMap<String, Vec<String>>,
    pub rows: Vec<Row>,
    /// The carrier's record, in its order.
    pub record: Vec<Line>,
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
}

impl Rule {
    pub const ALL: [Rule; 13] = [
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
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Rule::NothingLost => "what was answered ACCEPTED is there",
            Rule::OneVoicemailPerRequest => "one request_id is one voicemail",
            Rule::EverythingEnds => "every voicemail has come to an end",
            Rule::UnconfirmedHasACause => "UNCONFIRMED has a cause",
            Rule::RepeatableIsDelivered => "over the repeatable carrier everything is DELIVERED",
            Rule::AskableIsDelivered => "over the askable carrier everything is DELIVERED",
            Rule::OnceIsDeliveredOrUnconfirmed => "over the other one: DELIVERED or UNCONFIRMED",
            Rule::DeliveredIsDroppedOnce => "DELIVERED was dropped exactly once",
            Rule::NeverDroppedTwice => "nothing was dropped twice",
            Rule::NotDeliveredIsNotDropped => "neither DELIVERED nor UNCONFIRMED: not dropped",
            Rule::DropsAreKnown => "what was dropped is known to the database",
            Rule::SameKeySameBody => "the same key always had the same body",
            Rule::EndsStay => "an end was never left, but UNCONFIRMED by late word",
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
    let mut found = Vec::new();
    let mut say = |rule, voicemail: &str, text: String| {
        found.push(Violation {
            rule,
            voicemail: voicemail.to_owned(),
            text,
        });
    };
    let rows: HashMap<&str, &Row> = facts
        .rows
        .iter()
        .map(|row| (row.id.as_str(), row))
        .collect();
    let mut by_request: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in &facts.rows {
        by_request.entry(&row.request_id).or_default().push(&row.id);
    }
    for (request_id, ids) in &facts.accepted {
        for id in ids.iter().filter(|id| !rows.contains_key(id.as_str())) {
            say(
                Rule::NothingLost,
                id,
                format!("{request_id} was answered with it"),
            );
        }
        if ids.len() > 1 {
            let text = format!("{request_id} was answered with {ids:?}");
            say(Rule::OneVoicemailPerRequest, &ids[0], text);
        }
    }
    for (request_id, ids) in by_request.iter().filter(|(_, ids)| ids.len() > 1) {
        let text = format!("{request_id} has {ids:?}");
        say(Rule::OneVoicemailPerRequest, ids[0], text);
    }

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
        say(
            Rule::DropsAreKnown,
            voicemail,
            format!("dropped {count} times"),
        );
    }
    for (key, (voicemail, bodies)) in bodies.iter().filter(|(_, (_, bodies))| bodies.len() > 1) {
        let text = format!("key {key} came with {} bodies", bodies.len());
        say(Rule::SameKeySameBody, voicemail, text);
    }
    for row in &facts.rows {
        let dropped = drops.get(row.id.as_str()).copied().unwrap_or(0);
        let text = format!(
            "it is {} and was dropped {dropped} times",
            row.status.as_str_name()
        );
        if !is_end(row.status) {
            say(Rule::EverythingEnds, &row.id, text.clone());
        }
        if row.status == Status::Unconfirmed && row.reason == FailureReason::Unspecified {
            say(Rule::UnconfirmedHasACause, &row.id, text.clone());
        }
        let rule = match row.account {
            Some(Account::Repeatable) => Rule::RepeatableIsDelivered,
            Some(Account::Askable) => Rule::AskableIsDelivered,
            Some(Account::Once) | None => Rule::OnceIsDeliveredOrUnconfirmed,
        };
        let may_be_in_doubt = rule == Rule::OnceIsDeliveredOrUnconfirmed;
        let is_right =
            row.status == Status::Delivered || may_be_in_doubt && row.status == Status::Unconfirmed;
        if !is_right {
            say(rule, &row.id, text.clone());
        }
        if row.status == Status::Delivered && dropped != 1 {
            say(Rule::DeliveredIsDroppedOnce, &row.id, text.clone());
        }
        if dropped > 1 {
            say(Rule::NeverDroppedTwice, &row.id, text.clone());
        }
        let may_be_dropped = matches!(row.status, Status::Delivered | Status::Unconfirmed);
        if !may_be_dropped && dropped > 0 {
            say(Rule::NotDeliveredIsNotDropped, &row.id, text);
        }
    }
    for (voicemail, how) in &facts.left_ends {
        say(Rule::EndsStay, voicemail, how.clone());
    }
    found
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

/// Three voicemails, one over each account; the middle one in doubt.
fn sound() -> Facts {
    let mut facts = Facts::default();
    for (at, account) in Account::ALL.into_iter().enumerate() {
        let (id, request_id) = (format!("voicemail-{at}"), format!("request-{at}"));
        facts.accepted.insert(request_id.clone(), vec![id.clone()]);
        let (status, reason) = match account {
            Account::Once => (Status::Unconfirmed, FailureReason::CarrierAmbiguous),
            _ => (Status::Delivered, FailureReason::Unspecified),
        };
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
    }
}
