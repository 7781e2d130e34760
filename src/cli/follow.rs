//! Watching one voicemail until it comes to an end.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use super::client::{Client, soon};
use super::failure::is_broken_connection;
use super::show;
use crate::grpc::pb::{self, VoicemailStatus};

/// How often one asks: the first wait, and the longest that it grows to.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub first: Duration,
    pub longest: Duration,
}

/// As a person waits for it.
pub const PATIENT: Pace = Pace {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(2),
};

/// Asks until the voicemail has come to an end or `timeout` has passed, and gives it as it was last
/// seen. `seen` is called for the first state and for each new one.
pub async fn to_end(
    client: &Client,
    accepted: pb::Voicemail,
    pace: Pace,
    timeout: Duration,
    mut seen: impl FnMut(&pb::Voicemail) -> anyhow::Result<()>,
) -> anyhow::Result<pb::Voicemail> {
    let deadline = Instant::now() + timeout;
    let mut service = client.voicemails.clone();
    let mut voicemail = accepted;
    let mut wait = pace.first;
    let mut is_away = false;
    seen(&voicemail)?;
    while is_open(voicemail.status) && Instant::now() < deadline {
        tokio::time::sleep_until(deadline.min(Instant::now() + wait)).await;
        wait = (wait * 3 / 2).min(pace.longest);
        let request = pb::GetVoicemailRequest {
            voicemail_id: voicemail.id.clone(),
            ..pb::GetVoicemailRequest::default()
        };
        match service.get_voicemail(soon(request)).await {
            Ok(answer) => {
                let now = answer.into_inner().voicemail.unwrap_or_default();
                let is_news = (now.status, now.attempts.len())
                    != (voicemail.status, voicemail.attempts.len());
                voicemail = now;
                is_away = false;
                if is_news {
                    seen(&voicemail)?;
                }
            }
            // A server that is restarted goes on where it was.
            Err(status) if status.code() == Code::Unavailable || is_broken_connection(&status) => {
                if !std::mem::replace(&mut is_away, true) {
                    eprintln!("the server is away just now; asking on");
                }
            }
            Err(status) => return Err(status.into()),
        }
    }
    Ok(voicemail)
}

/// One state in one line: `ACCEPTED`, `DELIVERED  attempt 1 by sandbox: DELIVERED`.
pub fn step(voicemail: &pb::Voicemail) -> String {
    let status = show::status_and_reason(voicemail);
    let Some(attempt) = voicemail.attempts.last() else {
        return status;
    };
    let outcome = match show::outcome(attempt.outcome) {
        running if running.is_empty() => "under way".to_owned(),
        outcome => outcome,
    };
    format!(
        "{status:<13}  attempt {} by {}: {outcome}",
        attempt.number,
        show::clean(&attempt.carrier)
    )
}

/// May still change by itself. A status that a newer server has may, for all we know.
pub fn is_open(status: i32) -> bool {
    match VoicemailStatus::try_from(status) {
        Ok(
            VoicemailStatus::Unspecified
            | VoicemailStatus::Accepted
            | VoicemailStatus::Sending
            | VoicemailStatus::Sent,
        )
        | Err(_) => true,
        Ok(
            VoicemailStatus::Delivered
            | VoicemailStatus::NotDelivered
            | VoicemailStatus::Failed
            | VoicemailStatus::Skipped
            | VoicemailStatus::Cancelled
            | VoicemailStatus::Unconfirmed,
        ) => false,
    }
}

/// What `send --wait` ends with.
pub fn exit_code(status: i32) -> u8 {
    match VoicemailStatus::try_from(status) {
        Ok(VoicemailStatus::Delivered) => 0,
        Ok(VoicemailStatus::NotDelivered) => 3,
        Ok(VoicemailStatus::Failed) => 4,
        Ok(VoicemailStatus::Skipped | VoicemailStatus::Cancelled) => 5,
        Ok(
            VoicemailStatus::Unconfirmed
            | VoicemailStatus::Unspecified
            | VoicemailStatus::Accepted
            | VoicemailStatus::Sending
            | VoicemailStatus::Sent,
        )
        | Err(_) => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::status::Status;

    #[test]
    fn each_end_has_its_exit_code_and_what_is_open_has_6() {
        let codes: Vec<(String, u8)> = Status::ALL
            .iter()
            .map(|status| (status.to_string(), exit_code(i32::from(*status as i16))))
            .collect();
        let expected = [
            ("ACCEPTED", 6),
            ("SENDING", 6),
            ("SENT", 6),
            ("DELIVERED", 0),
            ("NOT_DELIVERED", 3),
            ("FAILED", 4),
            ("SKIPPED", 5),
            ("CANCELLED", 5),
            ("UNCONFIRMED", 6),
        ];
        assert_eq!(
            codes,
            expected.map(|(status, code)| (status.to_owned(), code))
        );
        assert_eq!(exit_code(99), 6);
    }

    #[test]
    fn what_is_open_is_what_the_domain_says() {
        for status in Status::ALL {
            assert_eq!(
                is_open(i32::from(status as i16)),
                !status.is_end(),
                "{status}"
            );
        }
        assert!(is_open(99));
    }

    #[test]
    fn a_step_names_the_last_attempt() {
        let attempt = |number, outcome: pb::AttemptOutcome| pb::Attempt {
            number,
            carrier: "sandbox".to_owned(),
            outcome: outcome as i32,
            ..pb::Attempt::default()
        };
        let mut voicemail = pb::Voicemail {
            status: VoicemailStatus::Accepted as i32,
            ..pb::Voicemail::default()
        };
        assert_eq!(step(&voicemail), "ACCEPTED");
        voicemail.attempts = vec![attempt(1, pb::AttemptOutcome::TryAgain)];
        assert_eq!(
            step(&voicemail),
            "ACCEPTED       attempt 1 by sandbox: TRY_AGAIN"
        );
        voicemail.status = VoicemailStatus::Sending as i32;
        voicemail
            .attempts
            .push(attempt(2, pb::AttemptOutcome::Unspecified));
        assert_eq!(
            step(&voicemail),
            "SENDING        attempt 2 by sandbox: under way"
        );
    }
}
