//! Messages for people: short lines and aligned tables. Phone numbers stand here whole, because this
//! is the operator's own terminal and no log.

use std::io::Write;

use anyhow::Context;
use prost_types::{Duration, Timestamp};

use super::failure::OutputClosed;
use super::json::Json;
use super::timeline;
use crate::grpc::pb;

/// Prints a line, or several, on stdout.
pub fn say(text: impl AsRef<str>) -> anyhow::Result<()> {
    put(format!("{}\n", text.as_ref()))
}

/// Writes to stdout as it stands: text without a new line, or the bytes of an MP3.
pub fn put(bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(bytes.as_ref())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        written => written.context("the output can't be written"),
    }
}

/// Prints one thing: as JSON, or as its lines for people.
pub fn say_one(
    is_json: bool,
    json: impl FnOnce() -> Json,
    lines: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    match is_json {
        true => say(json().pretty()),
        false => say(lines()),
    }
}

/// A deletion answers nothing; people hear that it is done, programs get an empty object.
pub fn say_deleted(is_json: bool, what: &str, id: &str) -> anyhow::Result<()> {
    match is_json {
        true => say("{}"),
        false => say(format!("{what} {id} is deleted")),
    }
}

/// Text of callers, carriers and libraries on one line, made harmless for a terminal: no control
/// characters.
pub fn clean(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.trim_end().chars().map(shown).collect()
}

/// Columns that stay aligned, also over several pages of one list.
pub struct Table {
    header: Vec<&'static str>,
    widths: Vec<usize>,
    is_header_due: bool,
}

impl Table {
    /// Each column is at least as wide as its name and as the number beside it.
    pub fn new(columns: &[(&'static str, usize)]) -> Table {
        Table {
            header: columns.iter().map(|(name, _)| *name).collect(),
            widths: columns
                .iter()
                .map(|(name, width)| name.len().max(*width))
                .collect(),
            is_header_due: true,
        }
    }

    /// The lines of some rows, below the header the first time.
    pub fn rows(&mut self, rows: &[Vec<String>]) -> String {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| filled(cell)).collect())
            .collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut lines = Vec::with_capacity(rows.len() + 1);
        if std::mem::take(&mut self.is_header_due) {
            lines.push(self.line(self.header.iter().copied()));
        }
        lines.extend(
            rows.iter()
                .map(|row| self.line(row.iter().map(String::as_str))),
        );
        lines.join("\n")
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let padded: Vec<String> = cells
            .zip(&self.widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    }
}

/// An empty cell would look as if its row were cut.
fn filled(cell: &str) -> String {
    if cell.is_empty() {
        "-".to_owned()
    } else {
        clean(cell)
    }
}

/// `name  value` lines with the values below each other; empty values are left out.
pub fn fields(fields: &[(&str, String)]) -> String {
    let kept: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let width = kept.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = kept
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {}", clean(value)))
        .collect();
    lines.join("\n")
}

/// `VOICEMAIL_STATUS_NOT_DELIVERED` as `NOT_DELIVERED`; a value of a newer server as its number.
macro_rules! short {
    ($(#[$doc:meta] $name:ident: $kind:ident, $prefix:literal;)+) => {$(
        #[$doc]
        pub fn $name(number: i32) -> String {
            match pb::$kind::try_from(number) {
                Ok(value) if number != 0 => {
                    let name = value.as_str_name();
                    name.strip_prefix($prefix).unwrap_or(name).to_owned()
                }
                Ok(_) => String::new(),
                Err(_) => number.to_string(),
            }
        }
    )+};
}

short! {
    /// Of a voicemail.
    status: VoicemailStatus, "VOICEMAIL_STATUS_";
    /// Empty where there is none.
    reason: FailureReason, "FAILURE_REASON_";
    /// Of an attempt; empty while it runs.
    outcome: AttemptOutcome, "ATTEMPT_OUTCOME_";
    /// Of what the gates found.
    gate: Gate, "GATE_";
    /// What a gate says, or all of them.
    gate_verdict: GateVerdict, "GATE_VERDICT_";
    /// Of a setup.
    setup_status: SetupStatus, "SETUP_STATUS_";
    /// Of a setup's pause.
    pause_reason: PauseReason, "PAUSE_REASON_";
    /// Of a phone number.
    number_status: PhoneNumberStatus, "PHONE_NUMBER_STATUS_";
    /// Of a use case.
    channel: Channel, "CHANNEL_";
    /// Of a use case; empty where none is stated.
    purpose: Purpose, "PURPOSE_";
    /// Of a suppression.
    suppression_reason: SuppressionReason, "SUPPRESSION_REASON_";
    /// Of a consent.
    consent_kind: ConsentKind, "CONSENT_KIND_";
    /// Of a use case.
    sender_policy: SenderPolicy, "SENDER_POLICY_";
}

/// `NOT_DELIVERED`.
pub fn short_status(status: pb::VoicemailStatus) -> &'static str {
    let name = status.as_str_name();
    name.strip_prefix("VOICEMAIL_STATUS_").unwrap_or(name)
}

/// To the second, in UTC; empty where there is none.
pub fn time(time: Option<Timestamp>) -> String {
    time.map(|time| super::json::rfc3339(Timestamp { nanos: 0, ..time }))
        .unwrap_or_default()
}

/// `36 ms`, `14.0 s`, `2 min 05 s`, `3 h 20 min`; empty where there is none.
pub fn length(length: Option<Duration>) -> String {
    let Some(length) = length else {
        return String::new();
    };
    match length.seconds {
        0 => format!("{} ms", length.nanos / 1_000_000),
        1..60 => format!("{}.{} s", length.seconds, length.nanos / 100_000_000),
        60..3_600 => format!("{} min {:02} s", length.seconds / 60, length.seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// `DELIVERED`, or `NOT_DELIVERED (MAILBOX_FULL)`.
pub fn status_and_reason(voicemail: &pb::Voicemail) -> String {
    match reason(voicemail.failure_reason) {
        reason if reason.is_empty() => status(voicemail.status),
        reason => format!("{} ({reason})", status(voicemail.status)),
    }
}

/// One voicemail with its attempts.
pub fn voicemail(voicemail: &pb::Voicemail) -> String {
    let labels: Vec<String> = voicemail
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let simulated = if voicemail.simulated {
        " (simulated: no phone is called)"
    } else {
        ""
    };
    let lines = fields(&[
        ("voicemail", voicemail.id.clone()),
        (
            "status",
            format!("{}{simulated}", status_and_reason(voicemail)),
        ),
        ("detail", voicemail.status_detail.clone()),
        (
            "held until",
            time(voicemail.hold.as_ref().and_then(|hold| hold.hold_until)),
        ),
        ("to", voicemail.recipient_phone_number.clone()),
        ("time zone", voicemail.time_zone.clone()),
        ("postal code", voicemail.postal_code.clone()),
        ("from", voicemail.sender_phone_number.clone()),
        ("use case", voicemail.use_case_id.clone()),
        ("setup", voicemail.setup_id.clone()),
        (
            "audio",
            voicemail.audio.as_ref().map(audio_line).unwrap_or_default(),
        ),
        ("labels", labels.join(" ")),
        ("request id", voicemail.request_id.clone()),
        ("batch", voicemail.batch_id.clone()),
        ("created", time(voicemail.create_time)),
        ("scheduled", time(voicemail.schedule_time)),
        ("due", time(voicemail.due_time)),
        ("expires", time(voicemail.expire_time)),
        ("sent", time(voicemail.sent_time)),
        ("ended", time(voicemail.end_time)),
    ]);
    let parts = [
        lines,
        match voicemail.attempts.as_slice() {
            [] => String::new(),
            attempts => attempts_table(attempts),
        },
        timeline::of(voicemail),
    ];
    let filled: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    filled.join("\n\n")
}

fn audio_line(audio: &pb::Audio) -> String {
    let about = format!("{}, {} bytes", length(audio.duration), audio.size_bytes);
    if audio.id.is_empty() {
        about
    } else {
        format!("{} ({about})", audio.id)
    }
}

/// `0.035 USD`, to the millionth where it has so many places.
fn cost(cost: &pb::Cost) -> String {
    let sign = if cost.micros < 0 { "-" } else { "" };
    let micros = cost.micros.unsigned_abs();
    let places = format!("{:06}", micros % 1_000_000);
    let places = places.trim_end_matches('0');
    let point = if places.is_empty() { "" } else { "." };
    let whole = micros / 1_000_000;
    format!("{sign}{whole}{point}{places} {}", cost.currency_code)
}

pub fn attempts_table(attempts: &[pb::Attempt]) -> String {
    let mut table = Table::new(&[
        ("ATTEMPT", 0),
        ("CARRIER", 0),
        ("BEGAN", 20),
        ("TOOK", 0),
        ("OUTCOME", 0),
        ("REASON", 0),
        ("CARRIER'S WORD", 0),
    ]);
    let rows: Vec<Vec<String>> = attempts
        .iter()
        .map(|attempt| {
            let words = [
                attempt.carrier_code.clone(),
                attempt.carrier_detail.clone(),
                attempt.late_outcome.clone(),
                attempt.cost.as_ref().map(cost).unwrap_or_default(),
            ];
            let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
            vec![
                attempt.number.to_string(),
                attempt.carrier.clone(),
                time(attempt.start_time),
                length(between(attempt.start_time, attempt.end_time)),
                match outcome(attempt.outcome) {
                    running if running.is_empty() => "under way".to_owned(),
                    outcome => outcome,
                },
                reason(attempt.failure_reason),
                words.join(" "),
            ]
        })
        .collect();
    table.rows(&rows)
}

pub fn audio(audio: &pb::Audio) -> String {
    fields(&[
        ("audio", audio.id.clone()),
        ("length", length(audio.duration)),
        ("size", format!("{} bytes", audio.size_bytes)),
        ("sha-256", audio.sha256.clone()),
        ("created", time(audio.create_time)),
    ])
}

/// The time that passed; `None` where either end is missing.
pub fn between(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<Duration> {
    let nanos = |time: Timestamp| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let passed = (nanos(end?) - nanos(start?)).max(0);
    Some(Duration {
        seconds: i64::try_from(passed / 1_000_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(passed % 1_000_000_000).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_its_header_comes_once() {
        let mut table = Table::new(&[("ID", 4), ("STATUS", 0)]);
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(
            table.rows(&[row("1", "SENT"), row("22222", "")]),
            "ID     STATUS\n1      SENT\n22222  -"
        );
        assert_eq!(table.rows(&[row("3", "X")]), "3      X");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\nc\n"), "a\u{fffd}[31mb c");
    }

    #[test]
    fn lengths_are_cut_to_what_one_reads() {
        let of = |seconds, nanos| length(Some(Duration { seconds, nanos }));
        assert_eq!(of(0, 36_900_000), "36 ms");
        assert_eq!(of(14, 28_000_000), "14.0 s");
        assert_eq!(of(59, 999_000_000), "59.9 s");
        assert_eq!(of(125, 0), "2 min 05 s");
        assert_eq!(of(12_000, 0), "3 h 20 min");
        assert_eq!(length(None), "");
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        assert_eq!(
            fields(&[
                ("a", "1".to_owned()),
                ("none", String::new()),
                ("long", "2".to_owned())
            ]),
            "a     1\nlong  2"
        );
    }

    #[test]
    fn enum_values_are_short_and_unknown_ones_stay_visible() {
        assert_eq!(status(5), "NOT_DELIVERED");
        assert_eq!(status(77), "77");
        assert_eq!(reason(0), "");
    }
}
