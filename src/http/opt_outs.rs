//! The doors of opt-out lines and forms: a number that comes in is suppressed before the answer.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Public;
use super::callbacks::{come_again, read_body, text};
use crate::domain::ids::WorkspaceId;
use crate::domain::phone::PhoneRules;
use crate::domain::status::Status;
use crate::domain::suppression::{LINE_MAX, Scope, SuppressionReason};
use crate::ops::suppressions::{self, NewSuppression};
use crate::ops::{OpError, Result};
use crate::storage::{Store, Tx};
use crate::telemetry::Door;

/// Bytes of what comes in.
const BODY_BYTES_MAX: usize = 4 * 1_024;

/// One line or form.
#[derive(Debug, Clone)]
pub struct OptOutDoor {
    name: String,
    token_hash: [u8; 32],
    scope: Scope,
    source: String,
}

impl OptOutDoor {
    pub fn new(name: &str, token: &str, scope: Scope, source: &str) -> OptOutDoor {
        OptOutDoor {
            name: name.to_owned(),
            token_hash: Sha256::digest(token).into(),
            scope,
            source: source.to_owned(),
        }
    }
}

/// All doors, and the rules for the numbers that come in.
#[derive(Debug, Clone)]
pub struct OptOutDoors {
    doors: Arc<[OptOutDoor]>,
    numbers: PhoneRules,
}

impl OptOutDoors {
    pub fn new(doors: impl IntoIterator<Item = OptOutDoor>, numbers: PhoneRules) -> OptOutDoors {
        OptOutDoors {
            doors: doors.into_iter().collect(),
            numbers,
        }
    }

    /// Takes as long for every token: what is compared are hashes, all of them, to their ends.
    fn find(&self, token: &str) -> Option<&OptOutDoor> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for door in self.doors.iter() {
            let pairs = door.token_hash.iter().zip(&hash);
            if pairs.fold(0, |differs, (one, other)| differs | (one ^ other)) == 0 {
                found = Some(door);
            }
        }
        found
    }
}

/// What a line or form says.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Said {
    phone_number: String,
    note: String,
}

/// `POST /opt-outs/<token>`
pub async fn opt_out(
    State(public): State<Public>,
    path: std::result::Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let token = path.map(|Path(token)| token).unwrap_or_default();
    let Some(door) = public.opt_outs.find(&token).cloned() else {
        return (public.strangers).answer(Door::OptOut, StatusCode::NOT_FOUND);
    };
    let (parts, body) = request.into_parts();
    let body = match read_body(body, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let bad = |status: StatusCode, why: &str| (status, format!("{why}\n")).into_response();
    let said = match read(&text(&parts.headers, header::CONTENT_TYPE.as_str()), &body) {
        Ok(said) => said,
        Err((status, why)) => return bad(status, why),
    };
    let phone_number = match public.opt_outs.numbers.parse(&said.phone_number) {
        Ok(number) => number,
        Err(error) => return bad(StatusCode::BAD_REQUEST, &format!("phone_number: {error}")),
    };
    let new = NewSuppression {
        phone_number,
        scope: door.scope.clone(),
        reason: SuppressionReason::OptOut,
        source: door.source.clone(),
        actor: format!("opt-out door {}", door.name),
        note: shortened(&said.note),
        expire_time: None,
    };
    match suppress(&public, new).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            tracing::error!(door.name = %door.name, error = %error, "an opt-out could not be kept; the caller is told to come again");
            come_again()
        }
    }
}

/// It is durable once the first unit of work is; what waits beyond that is ended as far as it can be, and
/// looked at again before it leaves in any case.
async fn suppress(public: &Public, new: NewSuppression) -> Result<()> {
    let add = move |tx: &mut dyn Tx| {
        let scope = suppressions::effective_scope(tx, WorkspaceId::DEFAULT, &new.scope)?;
        let new = NewSuppression { scope, ..new };
        let rows = [new];
        let added = suppressions::add(tx, WorkspaceId::DEFAULT, &rows[0].scope, &rows)?;
        Ok((added, rows))
    };
    let (added, rows) = public.store.write::<_, OpError, _>(add).await?;
    let scope = rows[0].scope.clone();
    let (mut skipped, mut is_more) = (added.skipped, added.is_more);
    while is_more {
        match skip_more(&public.store, &scope, &rows).await {
            Ok((more, left)) => {
                skipped += more;
                is_more = left;
            }
            Err(error) => {
                tracing::warn!(error = %error, "what waits for a suppressed number could not be ended at once");
                is_more = false;
            }
        }
    }
    let reason = Some(SuppressionReason::OptOut.failure());
    let metrics = &public.ears.metrics;
    metrics.ended_many(Status::Skipped, reason, skipped);
    Ok(())
}

async fn skip_more(
    store: &Store,
    scope: &Scope,
    rows: &[NewSuppression; 1],
) -> Result<(u64, bool)> {
    let (scope, rows) = (scope.clone(), rows.clone());
    store
        .write(move |tx| suppressions::skip_more(tx, WorkspaceId::DEFAULT, &scope, &rows))
        .await
}

/// JSON or a form. Fields that are not known are passed over: each line and form has its own.
fn read(content_type: &str, body: &[u8]) -> std::result::Result<Said, (StatusCode, &'static str)> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "application/json" => serde_json::from_slice(body).map_err(|_| {
            let why =
                "the body is not as it must be; give {\"phone_number\": \"…\", \"note\": \"…\"}";
            (StatusCode::BAD_REQUEST, why)
        }),
        "application/x-www-form-urlencoded" => {
            let mut said = Said::default();
            for (name, value) in form_urlencoded::parse(body) {
                match &*name {
                    "phone_number" => said.phone_number = value.into_owned(),
                    "note" => said.note = value.into_owned(),
                    _ => {}
                }
            }
            Ok(said)
        }
        _ => Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "give application/json or application/x-www-form-urlencoded",
        )),
    }
}

/// An opt-out does not fail for what is said beside it: the note is cut, and made one line.
fn shortened(note: &str) -> String {
    let one_line = note.chars().map(|c| if c.is_control() { ' ' } else { c });
    let cut: String = one_line.take(LINE_MAX).collect();
    cut.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(tokens: &[&str]) -> OptOutDoors {
        let rules = PhoneRules::new("US", &["US".to_owned()]).expect("good");
        let door = |token: &&str| OptOutDoor::new(token, token, Scope::Workspace, "x");
        OptOutDoors::new(tokens.iter().map(door), rules)
    }

    #[test]
    fn a_door_is_found_by_its_whole_token() {
        let doors = doors(&["first", "second"]);
        let found = |token| doors.find(token).map(|door| door.name.as_str());
        assert_eq!(found("first"), Some("first"));
        assert_eq!(found("second"), Some("second"));
        for token in ["", "firs", "firstt", "FIRST", "third"] {
            assert_eq!(found(token), None, "{token}");
        }
    }

    #[test]
    fn json_and_forms_say_the_same() {
        let wanted = Said {
            phone_number: "+12125550123".to_owned(),
            note: "pressed 9".to_owned(),
        };
        let json = br#"{"phone_number":"+12125550123","note":"pressed 9","call":7}"#;
        let form = b"phone_number=%2B12125550123&note=pressed+9&call=7";
        assert_eq!(read("application/json; charset=utf-8", json), Ok(wanted));
        let said = read("application/x-www-form-urlencoded", form).expect("good");
        assert_eq!(said.phone_number, "+12125550123");
        assert_eq!(
            read("application/json", b"[").expect_err("bad").0,
            StatusCode::BAD_REQUEST
        );
        assert_eq!(
            read("text/plain", form).expect_err("bad").0,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
        assert_eq!(read("application/json", b"{}"), Ok(Said::default()));
    }

    #[test]
    fn a_note_is_cut_to_one_line_of_200_characters() {
        for (length, kept) in [(199, 199), (200, 200), (201, 200)] {
            assert_eq!(shortened(&"ä".repeat(length)).chars().count(), kept);
        }
        assert_eq!(shortened(" a\nb\t"), "a b");
    }
}
