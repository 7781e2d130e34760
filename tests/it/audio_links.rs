//! The links by which carriers fetch audio: who may, how, and until when.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use ringless::app::SAMPLE_MP3;
use ringless::grpc::pb::VoicemailStatus as Status;

use crate::support::Engine;
use crate::support::app::TestApp;
use crate::support::vendors::Stage;
use crate::vendors::client::{Bounds, Client, Heard};
use crate::vendors::desk::Desk;
use crate::vendors::play::{Fate, Play, When, Word, Words};
use crate::vendors::record::Source;

crate::on_both_databases!(
    a_link_gives_the_audio_whole_or_in_parts,
    a_link_is_good_until_it_expires_or_is_of_no_use,
    a_new_key_signs_and_the_old_one_is_still_accepted,
);

const BOUNDS: Bounds = Bounds {
    within: Duration::from_secs(20),
    bytes_max: 16 << 20,
};

async fn fetch(method: Method, url: &str, headers: &[(&str, &str)]) -> Heard {
    Client::new()
        .call(method, url, headers, Bytes::new(), BOUNDS)
        .await
        .unwrap()
}

async fn get(url: &str, headers: &[(&str, &str)]) -> Heard {
    fetch(Method::GET, url, headers).await
}

/// The link of a voicemail that the carrier has and says nothing of.
async fn link(app: &TestApp, desk: &Desk) -> String {
    let held = Word::fate(Fate::Delivered).when(When::Held);
    desk.play(Play::accept().words(Words::These(vec![held])));
    app.sent_to("+12125550123", Status::Sent).await;
    match &desk.taken().last().unwrap().source {
        Source::Link(url) => url.clone(),
        other => panic!("{other:?}"),
    }
}

async fn a_link_gives_the_audio_whole_or_in_parts(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let url = link(&app, &vendor.desk).await;
    let size = SAMPLE_MP3.len();
    let whole = get(&url, &[]).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.body.as_ref(), SAMPLE_MP3);
    for (name, value) in [
        ("content-type", "audio/mpeg"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-store"),
        ("content-length", &size.to_string()),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    let head = fetch(Method::HEAD, &url, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), size.to_string());
    let etag = whole.header("etag").to_owned();
    assert_eq!(head.header("etag"), etag);
    let last = size - 1;
    for (range, bytes, content_range) in [
        (
            "bytes=0-1023",
            &SAMPLE_MP3[..1_024],
            format!("bytes 0-1023/{size}"),
        ),
        (
            "bytes=1024-",
            &SAMPLE_MP3[1_024..],
            format!("bytes 1024-{last}/{size}"),
        ),
        (
            "bytes=-1",
            &SAMPLE_MP3[last..],
            format!("bytes {last}-{last}/{size}"),
        ),
    ] {
        let part = get(&url, &[("range", range)]).await;
        assert_eq!((part.status, part.body.as_ref()), (206, bytes), "{range}");
        assert_eq!(part.header("content-range"), content_range);
    }
    let beyond = get(&url, &[("range", &format!("bytes={size}-"))]).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
    let same = get(&url, &[("if-none-match", &etag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    // Large audio comes in pieces, and is the same.
    let mut metadata = app.metadata();
    metadata.recipient_phone_number = "+12125550124".to_owned();
    let large = large_mp3();
    vendor
        .desk
        .play(Play::accept().words(Words::These(Vec::new())));
    let sent = app.send(metadata, &large).await.unwrap();
    app.wait_for(&sent.id, Status::Sent).await;
    let taken = vendor.desk.taken();
    let Source::Link(url) = &taken.last().unwrap().source else {
        panic!("no link");
    };
    assert!(get(url, &[]).await.body == large);
}

/// A good message behind a picture that fills it up to a few bytes below 8 MiB.
fn large_mp3() -> Vec<u8> {
    let size = 8 * 1_024 * 1_024 - SAMPLE_MP3.len() - 10;
    let sized = [21, 14, 7, 0].map(|bits| u8::try_from((size >> bits) & 0x7f).unwrap());
    let mut bytes = b"ID3\x04\x00\x00".to_vec();
    bytes.extend(sized);
    bytes.resize(10 + size, 0);
    bytes.extend(SAMPLE_MP3);
    bytes
}

async fn a_link_is_good_until_it_expires_or_is_of_no_use(engine: Engine) {
    let mut stage = Stage::new(engine);
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let url = link(&app, &vendor.desk).await;
    let other = link(&app, &vendor.desk).await;
    let status = async |url: &str| get(url, &[]).await.status;
    let (start, file) = url.rsplit_once('/').unwrap();
    let (other_start, _) = other.rsplit_once('/').unwrap();
    let (expiry, signature) = file.split_once('.').unwrap();
    let later = format!("{}.{signature}", expiry.parse::<i64>().unwrap() + 1);
    for bad in [
        format!("{start}/{later}"),
        format!("{other_start}/{file}"),
        format!("{start}/{expiry}.mp3"),
        format!("{start}/{}", file.trim_end_matches(".mp3")),
        format!("{start}/"),
        url.replace("/audio/", "/audio/x"),
    ] {
        let heard = get(&bad, &[]).await;
        assert_eq!((heard.status, heard.body.len()), (404, 0), "{bad}");
    }
    assert_eq!(status(&url).await, 200);
    // An hour after its end nobody needs it any more.
    vendor.desk.release().await;
    app.clock.advance(Duration::from_secs(3_599));
    assert_eq!(status(&url).await, 200);
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&url).await, 404);
    // One whose end is not known is good for as long as it may be handed over and spoken of: 72 h and 24 h.
    let open = link(&app, &vendor.desk).await;
    app.clock
        .advance(Duration::from_secs((72 + 24) * 3_600 - 1));
    assert_eq!(status(&open).await, 200);
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&open).await, 404);
}

async fn a_new_key_signs_and_the_old_one_is_still_accepted(engine: Engine) {
    use ringless::domain::ids::VoicemailId;
    use ringless::domain::links::LinkKeys;
    use ringless::domain::time::Time;
    let mut stage = Stage::new(engine);
    let (new, old) = ("n".repeat(32), "o".repeat(32));
    let keys = [stage.secret("new", &new), stage.secret("old", &old)].join(", ");
    stage.with(&format!("[audio_links]\nkeys = [{keys}]"));
    let vendor = stage.voicedrop("").await;
    let app = stage.start().await;
    let url = link(&app, &vendor.desk).await;
    let (start, file) = url.rsplit_once('/').unwrap();
    let id = VoicemailId::parse(start.rsplit_once('/').unwrap().1).unwrap();
    let expiry: i64 = file.split_once('.').unwrap().0.parse().unwrap();
    let until = Time::from_seconds_and_nanos(expiry, 0).unwrap();
    let signed = |key: &str| LinkKeys::new(key.as_bytes().to_vec(), Vec::new()).file(id, until);
    assert_eq!(file, signed(&new));
    for (key, status) in [(new.as_str(), 200), (&old, 200), ("x", 404)] {
        let heard = get(&format!("{start}/{}", signed(key)), &[]).await;
        assert_eq!(heard.status, status, "{key}");
    }
}
