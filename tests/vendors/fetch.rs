//! Fetching a recording by its link, the way vendors do: plainly, after a HEAD, or in ranges.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;

use super::client::{Bounds, Client, Heard};

/// The product takes 8 MiB; a vendor that gets more than that sees it.
pub const AUDIO_BYTES_MAX: usize = 8 * 1024 * 1024 + 64 * 1024;
const WITHIN: Duration = Duration::from_secs(20);
const BOUNDS: Bounds = Bounds {
    within: WITHIN,
    bytes_max: AUDIO_BYTES_MAX,
};

/// How a recording is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetching {
    Get,
    HeadThenGet,
    /// The first half, then the rest.
    Ranges,
    /// One after the other, message by message.
    Mixed,
}

impl Fetching {
    fn of(self, number: u64) -> Fetching {
        match (self, number % 3) {
            (Fetching::Mixed, 0) => Fetching::Get,
            (Fetching::Mixed, 1) => Fetching::HeadThenGet,
            (Fetching::Mixed, _) => Fetching::Ranges,
            (fixed, _) => fixed,
        }
    }
}

/// The recording's bytes, or why a vendor would not take it.
pub async fn fetch(
    client: &Client,
    url: &str,
    fetching: Fetching,
    number: u64,
) -> Result<Bytes, String> {
    let body = match fetching.of(number) {
        Fetching::HeadThenGet => after_head(client, url).await?,
        Fetching::Ranges => in_ranges(client, url).await?,
        Fetching::Get | Fetching::Mixed => get(client, url, &[], 200).await?.body,
    };
    match body.is_empty() {
        true => Err("the recording is empty".to_owned()),
        false => Ok(body),
    }
}

async fn get(
    client: &Client,
    url: &str,
    headers: &[(&str, &str)],
    status: u16,
) -> Result<Heard, String> {
    let answer = client
        .call(Method::GET, url, headers, Bytes::new(), BOUNDS)
        .await?;
    check(&answer, status)?;
    Ok(answer)
}

fn check(answer: &Heard, status: u16) -> Result<(), String> {
    if answer.status != status {
        return Err(format!("the recording's link answers {}", answer.status));
    }
    match answer.header("content-type") {
        "audio/mpeg" => Ok(()),
        other => Err(format!("the recording's type is `{other}`, not audio/mpeg")),
    }
}

async fn after_head(client: &Client, url: &str) -> Result<Bytes, String> {
    let head = client
        .call(Method::HEAD, url, &[], Bytes::new(), BOUNDS)
        .await?;
    check(&head, 200).map_err(|why| format!("HEAD: {why}"))?;
    let body = get(client, url, &[], 200).await?.body;
    match head.header("content-length") == body.len().to_string() {
        true => Ok(body),
        false => Err(format!(
            "HEAD says {} bytes, GET has {}",
            head.header("content-length"),
            body.len()
        )),
    }
}

/// The first kilobyte tells the whole length; then the rest is asked for.
async fn in_ranges(client: &Client, url: &str) -> Result<Bytes, String> {
    let first = get(client, url, &[("range", "bytes=0-1023")], 206).await?;
    let range = first.header("content-range").to_owned();
    let (from, to, total) =
        content_range(&range).ok_or_else(|| format!("no sense in `Content-Range: {range}`"))?;
    let mut body = first.body.to_vec();
    if from != 0 || to + 1 != body.len() || to >= total || total > AUDIO_BYTES_MAX {
        return Err(format!("{} bytes came for `{range}`", body.len()));
    }
    if body.len() < total {
        let wanted = format!("bytes={}-", body.len());
        let rest = get(client, url, &[("range", &wanted)], 206).await?;
        body.extend_from_slice(&rest.body);
    }
    match body.len() == total {
        true => Ok(body.into()),
        false => Err(format!("{} of {total} bytes came in ranges", body.len())),
    }
}

fn content_range(text: &str) -> Option<(usize, usize, usize)> {
    let (span, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = span.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?, total.parse().ok()?))
}
