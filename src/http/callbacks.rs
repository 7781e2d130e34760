//! Carriers that call: callbacks under a hand-over's token, and the signed webhooks of an account.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use tokio::time::Duration;

use super::Public;
use crate::carrier::notice::{BODY_BYTES_MAX, Signature};
use crate::carrier::{Event, Notice, NoticeFault};
use crate::crash;
use crate::domain::word::Said;
use crate::ops::callbacks::{self, Told};
use crate::ops::deliver::{Delivering, Heard};
use crate::ops::{OpError, Result};
use crate::storage::{Error, Store, Tx, UnreadCallback};
use crate::telemetry::{Door, Metrics};

/// From the first byte of a body to its last.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Who hears what carriers say.
#[derive(Clone)]
pub struct Ears {
    pub delivering: Delivering,
    pub metrics: Metrics,
    /// An even draw from 0 to 1.
    pub chance: fn() -> f64,
}

impl Ears {
    fn note(&self, carrier: &str, door: Door, said: Said, heard: &Heard) {
        let did = match heard {
            Heard::Moved(delivery) => {
                if delivery.status.is_end() {
                    self.metrics.ended(delivery.status, delivery.failure_reason);
                }
                "moved"
            }
            Heard::Kept => "kept",
            Heard::Contradicts => {
                self.metrics.late_outcome();
                "contradicts"
            }
        };
        self.metrics.word(carrier, door, said, did);
        if said == Said::Unheard {
            tracing::warn!(carrier.name = %carrier, "a carrier said something that is not known here; it is kept and changes nothing");
        }
    }
}

/// `POST|GET /callbacks/<carrier>/<token>`
pub async fn callback(
    State(public): State<Public>,
    path: std::result::Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let stranger = || {
        public
            .strangers
            .answer(Door::Callback, StatusCode::NOT_FOUND)
    };
    // A HEAD comes from those who look whether there is something, and says nothing.
    let is_word = request.method() != Method::HEAD;
    let Some(Path((carrier, token))) = path.ok().filter(|_| is_word) else {
        return stranger();
    };
    let Some(token) = public.tokens.parse(&carrier, &token) else {
        return stranger();
    };
    let notice = match read_notice(request).await {
        Ok(notice) => notice,
        Err(refusal) => return refusal,
    };
    let (name, hash, kept) = (carrier.clone(), token.hash(), notice.clone());
    let keep = move |tx: &mut dyn Tx| {
        let kept = callbacks::keep(tx, &name, &hash, &kept);
        crash::after("callback.kept", kept)
    };
    let kept = match public.store.write(keep).await {
        Ok(Some(kept)) => kept,
        Ok(None) => return stranger(),
        Err(error) => return unavailable(&carrier, &error),
    };
    crash::point("callback.committed");
    let is_kept = kept.number.is_some() || notice.is_empty();
    let Some(adapter) = public.ears.delivering.registry.find(&carrier).cloned() else {
        // What is kept is read by a process that has the carrier.
        return match is_kept {
            true => StatusCode::OK.into_response(),
            false => come_again(),
        };
    };
    let acknowledgement = adapter.acknowledgement();
    let (delivering, chance) = (public.ears.delivering.clone(), (public.ears.chance)());
    let read = move |tx: &mut dyn Tx| {
        let read = callbacks::read(tx, &delivering, adapter.as_ref(), &kept, &notice, chance);
        crash::after("callback.read", read)
    };
    match public.store.write(read).await {
        Ok((said, heard)) => public.ears.note(&carrier, Door::Callback, said, &heard),
        // It is kept, and read a little later.
        Err(error) if is_kept => {
            tracing::warn!(carrier.name = %carrier, error = %error, "a callback was kept and could not be read yet")
        }
        Err(error) => return unavailable(&carrier, &error),
    }
    crash::point("callback.heard");
    (StatusCode::OK, acknowledgement).into_response()
}

/// `POST /webhooks/<carrier>`
pub async fn webhook(
    State(public): State<Public>,
    path: std::result::Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let stranger = |status| public.strangers.answer(Door::Webhook, status);
    let registry = &public.ears.delivering.registry;
    let known = path.ok().and_then(|Path(carrier)| {
        let adapter = registry.find(&carrier)?.clone();
        Some((carrier, adapter))
    });
    let Some((carrier, adapter)) = known else {
        return stranger(StatusCode::NOT_FOUND);
    };
    let notice = match read_notice(request).await {
        Ok(notice) => notice,
        Err(refusal) => return refusal,
    };
    match adapter.check_signature(&notice) {
        Ok(()) => {}
        Err(NoticeFault::NoDoor) => return stranger(StatusCode::NOT_FOUND),
        Err(_) => return stranger(StatusCode::UNAUTHORIZED),
    }
    let now = match public.store.now().await {
        Ok(now) => now,
        Err(error) => return unavailable(&carrier, &error.into()),
    };
    match adapter.read_webhook(&notice, now) {
        Ok(event) => hear_event(&public, carrier, event, notice.body).await,
        Err(NoticeFault::Time) => stranger(StatusCode::UNAUTHORIZED),
        // It is the carrier's own, and would be no better the next time.
        Err(_) => {
            tracing::warn!(carrier.name = %carrier, "a signed event can't be read; it is left");
            StatusCode::OK.into_response()
        }
    }
}

/// Keeps it, and hears it, each in a unit of work of its own.
async fn hear_event(public: &Public, carrier: String, event: Event, body: Vec<u8>) -> Response {
    let ears = &public.ears;
    let said = event.word.said;
    let (name, id) = (carrier.clone(), event.id.clone());
    let keep = move |tx: &mut dyn Tx| callbacks::keep_event(tx, &name, &id, &body);
    match public.store.write(keep).await {
        Ok(true) => {}
        Ok(false) => {
            ears.metrics.word(&carrier, Door::Webhook, said, "repeat");
            return StatusCode::OK.into_response();
        }
        Err(error) => return unavailable(&carrier, &error),
    }
    let (name, delivering, chance) = (carrier.clone(), ears.delivering.clone(), (ears.chance)());
    let hear = move |tx: &mut dyn Tx| callbacks::hear_event(tx, &delivering, &name, &event, chance);
    match public.store.write(hear).await {
        Ok(Told::Heard(heard)) => ears.note(&carrier, Door::Webhook, said, &heard),
        Ok(Told::Unmatched) => {
            ears.metrics
                .word(&carrier, Door::Webhook, said, "unmatched");
        }
        Err(error) if is_passing(&error) => return unavailable(&carrier, &error),
        // It would be no better the next time, and a carrier whose calls fail stops calling.
        Err(error) => {
            tracing::error!(carrier.name = %carrier, error = %error, "an event can't be heard; it is left");
        }
    }
    StatusCode::OK.into_response()
}

/// Would it be different a little later?
fn is_passing(error: &OpError) -> bool {
    matches!(
        error,
        OpError::Storage(Error::Unavailable(_) | Error::CommitUnknown(_))
    )
}

/// The database is away: carriers that call again do so.
fn unavailable(carrier: &str, error: &OpError) -> Response {
    tracing::warn!(carrier.name = %carrier, error = %error, "what a carrier said could not be kept");
    come_again()
}

pub(super) fn come_again() -> Response {
    let headers = [(header::RETRY_AFTER, "5")];
    (StatusCode::SERVICE_UNAVAILABLE, headers).into_response()
}

async fn read_notice(request: Request) -> std::result::Result<Notice, Response> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, BODY_BYTES_MAX).await?;
    let header = |name: &str| text(&parts.headers, name);
    Ok(Notice {
        query: parts.uri.query().unwrap_or_default().to_owned(),
        content_type: header("content-type"),
        body,
        signature: Signature {
            timestamp: header("x-timestamp"),
            value: header("x-signature"),
            version: header("x-signature-version"),
        },
    })
}

pub(super) async fn read_body(
    body: Body,
    bytes_max: usize,
) -> std::result::Result<Vec<u8>, Response> {
    let reading = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(BODY_WITHIN, reading).await {
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into_response()),
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(StatusCode::PAYLOAD_TOO_LARGE.into_response())
        }
        // The other end went away in the middle.
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST.into_response()),
    }
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Reads what was kept and never read: a process died in between, or the database was away.
pub struct LeftOver {
    pub store: Store,
    pub ears: Ears,
}

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(15);

impl LeftOver {
    /// Until the task is ended.
    pub async fn run(self) {
        loop {
            match self.sweep().await {
                Ok(0) => {}
                Ok(read) => tracing::info!(read, "callbacks that were left over have been read"),
                Err(error) => {
                    tracing::warn!(error = %error, "callbacks that were left over could not be looked for")
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Says how many were read.
    pub async fn sweep(&self) -> Result<usize> {
        let mut read = 0;
        let delivering = self.ears.delivering.clone();
        let left_over = move |tx: &mut dyn Tx| callbacks::left_over(tx, &delivering);
        for unread in self.store.read(left_over).await? {
            read += usize::from(self.read(unread).await?);
        }
        Ok(read)
    }

    async fn read(&self, unread: UnreadCallback) -> Result<bool> {
        let (delivering, chance) = (self.ears.delivering.clone(), (self.ears.chance)());
        let one = unread.clone();
        let read = move |tx: &mut dyn Tx| callbacks::read_left_over(tx, &delivering, &one, chance);
        match self.store.write(read).await {
            Ok(Some((said, heard))) => {
                self.ears
                    .note(&unread.carrier, Door::Callback, said, &heard);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) if is_passing(&error) => Err(error),
            Err(error) => {
                tracing::error!(carrier.name = %unread.carrier, error = %error, "a callback can't be read; it is left");
                let give_up = move |tx: &mut dyn Tx| callbacks::give_up(tx, &unread);
                self.store.write(give_up).await?;
                Ok(false)
            }
        }
    }
}
