//! Audio for carriers that fetch it: `GET /audio/<voicemail>/<expiry>.<signature>.mp3`, whole or in one
//! range (RFC 9110, 14; of a HEAD, 14.2, none), read from the database piece by piece.

use std::ops::Range;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Duration;
use tokio_stream::wrappers::ReceiverStream;

use super::Public;
use crate::domain::hex;
use crate::domain::ids::{AudioId, VoicemailId};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::voicemail::Audio;
use crate::ops::seed::SAMPLE_MP3;
use crate::ops::{OpError, Result};
use crate::storage::{Store, Tx};
use crate::telemetry::Door;

/// At once; one more waits for its turn, and is told to come again when that does not come in time.
const DOWNLOADS_MAX: usize = 64;
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// Read from the database at a time.
const PIECE_BYTES: u64 = 256 * 1_024;
/// A reader who takes nothing for so long is given up.
const READER_IDLE_MAX: Duration = Duration::from_secs(30);
/// A link leads nowhere so long after its voicemail has come to an end.
const GOOD_AFTER_END: std::time::Duration = std::time::Duration::from_secs(3_600);

/// The room for downloads.
#[derive(Clone)]
pub struct Downloads(Arc<Semaphore>);

impl Downloads {
    /// None where no turn comes in time.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = self.0.clone().acquire_owned();
        tokio::time::timeout(TURN_WITHIN, turn).await.ok()?.ok()
    }
}

impl Default for Downloads {
    fn default() -> Downloads {
        Downloads(Arc::new(Semaphore::new(DOWNLOADS_MAX)))
    }
}

pub async fn audio(
    State(public): State<Public>,
    path: std::result::Result<Path<(String, String)>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let stranger = || public.strangers.answer(Door::Audio, StatusCode::NOT_FOUND);
    let Ok(Path((voicemail, file))) = path else {
        return stranger();
    };
    let Ok(id) = VoicemailId::parse(&voicemail) else {
        return stranger();
    };
    let Some(expiry) = public.links.expiry(id, &file) else {
        return stranger();
    };
    let Some(permit) = public.downloads.turn().await else {
        return come_again();
    };
    let find = move |tx: &mut dyn Tx| find(tx, id, expiry);
    match public.store.read(find).await {
        Ok(Some(sound)) => {
            let answer = answer(&sound, &method, &headers);
            let body = match method == Method::HEAD || answer.range.is_empty() {
                true => Body::empty(),
                false => sound.body(&public.store, answer.range.clone(), permit),
            };
            answer.response(body)
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::warn!(voicemail.id = %id, error = %error, "audio could not be served");
            come_again()
        }
    }
}

fn come_again() -> Response {
    let headers = [(header::RETRY_AFTER, "2")];
    (StatusCode::SERVICE_UNAVAILABLE, headers).into_response()
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sound {
    Stored(Audio),
    /// For the check of an account, which looks whether links work.
    Sample,
}

impl Sound {
    fn size(&self) -> u64 {
        match self {
            Sound::Stored(audio) => audio.size_bytes,
            Sound::Sample => SAMPLE_MP3.len() as u64,
        }
    }

    fn etag(&self) -> String {
        match self {
            Sound::Stored(audio) => format!("\"{}\"", hex(&audio.sha256)),
            Sound::Sample => "\"sample\"".to_owned(),
        }
    }

    fn body(&self, store: &Store, range: Range<u64>, permit: OwnedSemaphorePermit) -> Body {
        match self {
            Sound::Stored(audio) => stored(store.clone(), audio.id, range, permit),
            Sound::Sample => {
                let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).ok());
                let part = start
                    .zip(end)
                    .and_then(|(start, end)| SAMPLE_MP3.get(start..end));
                Body::from(part.unwrap_or_default())
            }
        }
    }
}

/// The audio behind a link of ours, as long as that is good.
fn find(tx: &mut dyn Tx, id: VoicemailId, expiry: Time) -> Result<Option<Sound>> {
    let now = tx.now()?;
    if now >= expiry {
        return Ok(None);
    }
    if id == VoicemailId::SAMPLE {
        return Ok(Some(Sound::Sample));
    }
    let found = tx.linked_audio(id)?;
    let is_over = |status: Status, end: Option<Time>| {
        status != Status::Unconfirmed && end.is_some_and(|end| now.since(end) >= GOOD_AFTER_END)
    };
    Ok(found
        .filter(|linked| !is_over(linked.status, linked.end_time))
        .map(|linked| Sound::Stored(linked.audio)))
}

/// What is answered, apart from the bytes.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    size: u64,
    etag: String,
    /// Empty where no bytes are sent.
    range: Range<u64>,
}

fn answer(sound: &Sound, method: &Method, headers: &HeaderMap) -> Answer {
    let (size, etag) = (sound.size(), sound.etag());
    let header = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let is_same = |given: &str| {
        let mut tags = given.split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    };
    let (status, range) = if header(header::IF_NONE_MATCH).is_some_and(is_same) {
        (StatusCode::NOT_MODIFIED, 0..0)
    } else {
        // A part of something else is no use to one who has the other part.
        let may_be_part = header(header::IF_RANGE).is_none_or(|given| given == etag);
        let wanted = header(header::RANGE).filter(|_| may_be_part && method == Method::GET);
        match wanted.map(|wanted| part(wanted, size)) {
            None | Some(Part::Whole) => (StatusCode::OK, 0..size),
            Some(Part::Range(range)) => (StatusCode::PARTIAL_CONTENT, range),
            Some(Part::Nothing) => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
        }
    };
    Answer {
        status,
        size,
        etag,
        range,
    }
}

enum Part {
    /// What can't be read, or is more than one range, is answered with all of it.
    Whole,
    Range(Range<u64>),
    /// There are no such bytes.
    Nothing,
}

fn part(wanted: &str, size: u64) -> Part {
    let Ok(parsed) = http_range_header::parse_range_header(wanted) else {
        return Part::Whole;
    };
    // Several are not served, and then they can't be at fault either.
    if wanted.contains(',') {
        return Part::Whole;
    }
    match parsed.validate(size).as_deref() {
        Err(_) => Part::Nothing,
        Ok([one]) => Part::Range(*one.start()..*one.end() + 1),
        Ok(_) => Part::Whole,
    }
}

impl Answer {
    fn response(self, body: Body) -> Response {
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        let mut put = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put(header::ETAG, &self.etag);
        put(header::ACCEPT_RANGES, "bytes");
        // Health information belongs into nobody's shared cache.
        put(header::CACHE_CONTROL, "private, no-store");
        put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        match self.status {
            StatusCode::RANGE_NOT_SATISFIABLE => {
                put(header::CONTENT_RANGE, &format!("bytes */{}", self.size));
            }
            StatusCode::NOT_MODIFIED => {}
            _ => {
                put(header::CONTENT_TYPE, "audio/mpeg");
                let length = self.range.end - self.range.start;
                put(header::CONTENT_LENGTH, &length.to_string());
            }
        }
        if self.status == StatusCode::PARTIAL_CONTENT {
            let (first, last) = (self.range.start, self.range.end - 1);
            let range = format!("bytes {first}-{last}/{}", self.size);
            put(header::CONTENT_RANGE, &range);
        }
        response
    }
}

/// Stored bytes, a piece ahead of the reader. Its place is given back when the reader is done or gone.
fn stored(store: Store, id: AudioId, range: Range<u64>, permit: OwnedSemaphorePermit) -> Body {
    let (sender, receiver) = mpsc::channel::<std::result::Result<Bytes, std::io::Error>>(1);
    tokio::spawn(async move {
        let _permit = permit;
        let mut offset = range.start;
        while offset < range.end {
            let length = PIECE_BYTES.min(range.end - offset);
            let piece = store
                .read(move |tx| Ok::<_, OpError>(tx.read_audio_part(id, offset, length)?))
                .await;
            let next = match piece {
                Ok(piece) if !piece.is_empty() => {
                    offset += piece.len() as u64;
                    Ok(Bytes::from(piece))
                }
                Ok(_) => Err(std::io::Error::other("stored audio is shorter than it was")),
                Err(error) => Err(std::io::Error::other(error.to_string())),
            };
            let is_over = next.is_err();
            let sent = tokio::time::timeout(READER_IDLE_MAX, sender.send(next)).await;
            if is_over || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    });
    Body::from_stream(ReceiverStream::new(receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio() -> Sound {
        Sound::Stored(Audio {
            id: AudioId::generate(),
            sha256: [0xab; 32],
            size_bytes: 1_000,
            duration_ms: 10_000,
            create_time: Time::EPOCH,
        })
    }

    fn answered(headers: &[(header::HeaderName, &str)]) -> (u16, Range<u64>) {
        let map = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("a header's value")))
            .collect();
        let answer = answer(&audio(), &Method::GET, &map);
        (answer.status.as_u16(), answer.range)
    }

    #[tokio::test(start_paused = true)]
    async fn sixty_four_downloads_run_at_once_and_one_more_waits_ten_seconds() {
        let downloads = Downloads::default();
        let mut running = Vec::new();
        for at in 1..=64 {
            running.push(downloads.turn().await.unwrap_or_else(|| panic!("{at}")));
        }
        let before = tokio::time::Instant::now();
        assert!(downloads.turn().await.is_none());
        assert_eq!(before.elapsed(), Duration::from_secs(10));
        running.pop();
        assert!(downloads.turn().await.is_some());
    }

    #[test]
    fn a_range_is_answered_with_its_bytes() {
        for (range, status, bytes) in [
            ("bytes=0-0", 206, 0..1),
            ("bytes=0-999", 206, 0..1_000),
            ("bytes=0-1000", 206, 0..1_000),
            ("bytes=10-", 206, 10..1_000),
            ("bytes=999-", 206, 999..1_000),
            ("bytes=-1", 206, 999..1_000),
            ("bytes=1000-", 416, 0..0),
            ("bytes=5-4", 200, 0..1_000),
            ("bytes=0-1,5-6", 200, 0..1_000),
            ("bytes=0-1,0-1", 200, 0..1_000),
            ("bytes=0-1,1000-", 200, 0..1_000),
            ("seconds=0-1", 200, 0..1_000),
            ("bytes=x", 200, 0..1_000),
        ] {
            assert_eq!(
                answered(&[(header::RANGE, range)]),
                (status, bytes),
                "{range}"
            );
        }
        assert_eq!(answered(&[]), (200, 0..1_000));
        let range = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=0-0"))]);
        let headed = answer(&audio(), &Method::HEAD, &range);
        assert_eq!((headed.status.as_u16(), headed.range), (200, 0..1_000));
    }

    #[test]
    fn what_the_reader_has_is_not_sent_again() {
        let etag = format!("\"{}\"", "ab".repeat(32));
        let weak = format!("\"x\", W/{etag}");
        for given in [etag.as_str(), &weak, "*"] {
            assert_eq!(answered(&[(header::IF_NONE_MATCH, given)]).0, 304);
        }
        assert_eq!(answered(&[(header::IF_NONE_MATCH, "\"x\"")]).0, 200);
        let range = (header::RANGE, "bytes=0-9");
        let same = [range.clone(), (header::IF_RANGE, etag.as_str())];
        assert_eq!(answered(&same), (206, 0..10));
        let other = [range, (header::IF_RANGE, "\"x\"")];
        assert_eq!(answered(&other), (200, 0..1_000));
    }
}
