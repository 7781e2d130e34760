//! What is listed and reported, each as a call and as the one statement that gives the same rows.

use prost_types::Timestamp;
use ringless::grpc::pb::{self, FailureReason, ReportDimension, VoicemailStatus};

use super::sets::Set;
use crate::database::Engine;

/// 2026-10-01T00:00:00Z, with which the sets begin.
const START: i64 = 1_790_812_800;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The filter whose statement reads another table first.
const BATCH: &str = "batch";

type Fields = Box<dyn Fn(&mut pb::ListVoicemailsRequest)>;

/// A filter: its fields of the request, and the condition in SQL.
struct Filter {
    name: &'static str,
    fields: Fields,
    condition: String,
}

/// A list.
pub struct List {
    pub name: String,
    pub request: pb::ListVoicemailsRequest,
    pub condition: String,
    pub source: Source,
}

/// Where a statement reads voicemails in their order: a table, and its columns of the order.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    pub table: &'static str,
    pub create_time: &'static str,
    pub id: &'static str,
}

const VOICEMAILS: Source = Source {
    table: "voicemails",
    create_time: "voicemails.create_time",
    id: "voicemails.id",
};
const BATCH_MEMBERS: Source = Source {
    table: "batch_members JOIN voicemails ON voicemails.id = voicemail_id",
    create_time: "batch_members.create_time",
    id: "batch_members.voicemail_id",
};

/// Filters of which the useful pairs are listed too.
const PAIRS: [(&str, &str); 7] = [
    ("use case", "status"),
    ("setup", "status"),
    ("use case", "recipient"),
    ("status", "create time"),
    ("use case", "create time"),
    ("use case", "failure reason"),
    ("use case", "label"),
];

pub fn lists(set: &Set) -> Vec<List> {
    let filters = filters(set);
    let mut lists = vec![List {
        name: "no filter".to_owned(),
        request: pb::ListVoicemailsRequest::default(),
        condition: "true".to_owned(),
        source: VOICEMAILS,
    }];
    lists.extend(filters.iter().map(|filter| filter.list(None)));
    let named = |name: &str| filters.iter().find(|filter| filter.name == name);
    for (one, other) in PAIRS {
        if let (Some(one), Some(other)) = (named(one), named(other)) {
            lists.push(one.list(Some(other)));
        }
    }
    lists
}

impl Filter {
    /// By this filter, or by it and another.
    fn list(&self, other: Option<&Filter>) -> List {
        let mut list = List {
            name: self.name.to_owned(),
            request: pb::ListVoicemailsRequest::default(),
            condition: self.condition.clone(),
            source: match self.name {
                BATCH => BATCH_MEMBERS,
                _ => VOICEMAILS,
            },
        };
        (self.fields)(&mut list.request);
        if let Some(other) = other {
            list.name = format!("{} and {}", list.name, other.name);
            list.condition = format!("{} AND {}", list.condition, other.condition);
            (other.fields)(&mut list.request);
        }
        list
    }
}

fn filters(set: &Set) -> Vec<Filter> {
    let filter = |name, condition: String, fields: Fields| Filter {
        name,
        fields,
        condition,
    };
    let is = |column: &str, text: &str| format!("{column} = '{text}'");
    let within = |column: &str, from: i64, to: i64| {
        let (from, to) = (set.time(from, 0), set.time(to, 0));
        format!("{column} >= {from} AND {column} < {to}")
    };
    // One that somebody got, as the sets have it.
    let middle = i64::try_from(set.size / 2).unwrap_or_default();
    let recipient = format!(
        "+1212{}",
        2_000_000 + middle * 1_103_515_245 % 2_147_483_647 % 1_500_000
    );
    let (one_day, one_hour) = (
        (START + 9 * DAY, START + 10 * DAY),
        (START + 9 * DAY, START + 9 * DAY + HOUR),
    );
    let last_hour = START + 30 * DAY - HOUR;
    let (use_case, setup) = (id(2, 3), id(1, 1));
    let to = recipient.clone();
    vec![
        filter("use case", format!("use_case_id = {}", set.id(&use_case)), Box::new(move |r| r.use_case_id = use_case.clone())),
        filter("setup", format!("setup_id = {}", set.id(&setup)), Box::new(move |r| r.setup_id = setup.clone())),
        filter("status", "status = 5".to_owned(), Box::new(|r| r.statuses = vec![VoicemailStatus::NotDelivered as i32])),
        filter("failure reason", "failure_reason = 2".to_owned(), Box::new(|r| r.failure_reasons = vec![FailureReason::MailboxFull as i32])),
        filter("recipient", is("recipient", &recipient), Box::new(move |r| r.recipient_phone_number = to.clone())),
        filter("sender", is("sender", "+12125551007"), Box::new(|r| r.sender_phone_number = "+12125551007".to_owned())),
        filter(
            "label",
            "voicemails.id IN (SELECT voicemail_id FROM voicemail_labels WHERE workspace_id = 1 AND key = 'ward' AND value = 'w7')".to_owned(),
            Box::new(|r| { r.labels.insert("ward".to_owned(), "w7".to_owned()); }),
        ),
        filter(
            BATCH,
            "batch_members.workspace_id = 1 AND batch_id = 'batch-0'".to_owned(),
            Box::new(|r| r.batch_id = "batch-0".to_owned()),
        ),
        filter("create time", within("voicemails.create_time", one_day.0, one_day.1), Box::new(move |r| {
            r.create_time_from = Some(timestamp(one_day.0));
            r.create_time_to = Some(timestamp(one_day.1));
        })),
        filter("end time", within("end_time", one_hour.0, one_hour.1), Box::new(move |r| {
            r.end_time_from = Some(timestamp(one_hour.0));
            r.end_time_to = Some(timestamp(one_hour.1));
        })),
        filter("update time", format!("update_time >= {}", set.time(last_hour, 0)), Box::new(move |r| r.update_time_from = Some(timestamp(last_hour)))),
    ]
}

impl Set {
    /// An id as this database writes it.
    pub fn id(&self, id: &str) -> String {
        match self.engine {
            Engine::Postgres => format!("'{id}'::uuid"),
            Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
        }
    }

    /// A time as this database writes it.
    pub fn time(&self, seconds: i64, micros: i64) -> String {
        let all = seconds * 1_000_000 + micros;
        match self.engine {
            Engine::Postgres => {
                format!("(timestamptz 'epoch' + {all} * interval '1 microsecond')")
            }
            Engine::Sqlite => all.to_string(),
        }
    }
}

fn id(kind: u8, number: u8) -> String {
    format!("0000000{kind}-0000-7000-8000-{number:012x}")
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

/// A report over the 30 days of a set.
pub struct Grouping {
    pub name: &'static str,
    pub request: pb::GetDeliveryReportRequest,
    /// The columns by which a statement over the voicemails groups, each with a comma.
    pub columns: String,
}

pub fn reports(set: &Set) -> Vec<Grouping> {
    use ReportDimension::{Carrier, Day, FailureReason, Hour, Sender, Setup, UseCase};
    let (day, hour) = match set.engine {
        Engine::Postgres => (
            "date_trunc('day', create_time), ",
            "date_trunc('hour', create_time), ",
        ),
        Engine::Sqlite => ("create_time / 86400000000, ", "create_time / 3600000000, "),
    };
    let group = |name, dimensions: &[ReportDimension], columns: &str| Grouping {
        name,
        request: pb::GetDeliveryReportRequest {
            start_time: Some(timestamp(START)),
            end_time: Some(timestamp(START + 30 * DAY)),
            group_by: dimensions
                .iter()
                .map(|dimension| *dimension as i32)
                .collect(),
            ..Default::default()
        },
        columns: columns.to_owned(),
    };
    vec![
        group("in all", &[], ""),
        group("by day", &[Day], day),
        group("by hour", &[Hour], hour),
        group(
            "by setup and carrier",
            &[Setup, Carrier],
            "setup_id, carrier, ",
        ),
        group("by sender", &[Sender], "sender, "),
        group(
            "by use case, reason and day",
            &[UseCase, FailureReason, Day],
            &format!("use_case_id, failure_reason, {day}"),
        ),
    ]
}
