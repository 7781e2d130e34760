//! Every way in which a call can end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::support::{SOON, json_of, try_json};
use super::voicedrop::{good, send, start};
use crate::vendors::play::{Answer, Ending, Fate, Play, When, Word};

const KEY: [(&str, &str); 1] = [("auth-key", "played-voicedrop-key")];

/// What a bare connection hears after it has sent the head and so much of a long body.
fn bare(
    addr: std::net::SocketAddr,
    body_sent: usize,
    body_length: usize,
) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(SOON))?;
    let head = format!(
        "POST /v1/ringless_voicemail HTTP/1.1\r\nhost: x\r\nauth-key: played-voicedrop-key\r\ncontent-type: application/json\r\ncontent-length: {body_length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&vec![b' '; body_sent])?;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard)?;
    Ok(heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_a_reset_and_comes_before_or_after_the_body() {
    let (us, played, url) = start().await;
    let addr = played.addr();
    // Not a byte of the body has come, and still it is reset.
    played.desk.play(Play::refusing(Ending::ResetUnread));
    let unread = tokio::task::spawn_blocking(move || bare(addr, 0, 1_000));
    let error = unread.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(played.desk.requests()[0].body_bytes, 0);

    played.desk.play(Play::refusing(Ending::Reset));
    let error = try_json(&url, &KEY, &good(&us)).await.unwrap_err();
    assert!(error.contains("reset"), "{error}");
    assert!(played.desk.taken().is_empty());
    assert_eq!(played.desk.requests().len(), 2);

    played.desk.play(Play::taking(Ending::Reset));
    let error = try_json(&url, &KEY, &good(&us)).await.unwrap_err();
    assert!(error.contains("reset"), "{error}");
    assert_eq!(played.desk.taken().len(), 1);
    assert!(played.desk.until(SOON, |r| r.drops.len() == 1).await);
    assert_eq!(played.desk.wrongs(), Vec::<String>::new());
}

#[tokio::test]
async fn any_answer_can_be_played() {
    let (us, played, url) = start().await;
    let answers = [
        Answer::new(429).header("retry-after", "2"),
        Answer::new(429),
        Answer::text(500, "oops"),
        Answer::text(200, "{not json"),
        Answer::new(200),
        Answer::redirect(307, "http://127.0.0.1:9/"),
    ];
    for answer in answers {
        played.desk.play(Play::refusing(answer.clone().into()));
        let heard = send(&url, &good(&us)).await;
        assert_eq!(heard.status, answer.status);
        assert_eq!(heard.body, answer.body);
        for (name, value) in &answer.headers {
            assert_eq!(heard.header(name), value);
        }
    }
    played
        .desk
        .play(Play::refusing(Ending::Refusal("no units".to_owned())));
    let heard = send(&url, &good(&us)).await;
    assert_eq!(heard.status, 200);
    assert_eq!(json_of(&heard)["message"], "no units");
    assert!(played.desk.taken().is_empty());
    assert_eq!(played.desk.requests().len(), 7);
}

#[tokio::test]
async fn a_body_can_be_huge_an_answer_late_and_a_call_without_end() {
    let (us, played, url) = start().await;
    let bytes = 5 * 1024 * 1024;
    played.desk.play(Play::refusing(Ending::Endless { bytes }));
    assert!(send(&url, &good(&us)).await.body.len() > bytes);

    let late = Duration::from_millis(300);
    played.desk.play(Play::accept().after(late));
    let asked = Instant::now();
    send(&url, &good(&us)).await;
    assert!(asked.elapsed() >= late);

    played.desk.play(Play::taking(Ending::Hang));
    let body = good(&us);
    let hung = try_json(&url, &KEY, &body);
    let heard = tokio::time::timeout(Duration::from_millis(300), hung).await;
    assert!(heard.is_err());
    assert!(played.desk.until(SOON, |r| r.drops.len() == 2).await);
}

#[tokio::test]
async fn a_callback_can_come_before_the_answer() {
    let (us, played, url) = start().await;
    let first = Word::fate(Fate::Delivered).when(When::BeforeAnswer);
    let later = Word::fate(Fate::Dnc).when(When::Held);
    played.desk.play(Play::says([first, later]));
    send(&url, &good(&us)).await;
    assert_eq!(us.came().len(), 1);
    assert_eq!(us.came()[0].json()["status"], "delivered");
}

#[tokio::test]
async fn a_stopped_vendor_refuses_connections_and_says_no_more() {
    let (us, mut played, url) = start().await;
    let later = Word::fate(Fate::Delivered).when(When::After(Duration::from_secs(3_600)));
    played.desk.play(Play::says([later]));
    send(&url, &good(&us)).await;
    played.stop();
    let refused = async || try_json(&url, &KEY, &good(&us)).await.is_err();
    let deadline = Instant::now() + SOON;
    while !refused().await {
        assert!(Instant::now() < deadline, "it still answers");
        tokio::task::yield_now().await;
    }
    assert_eq!(played.desk.taken()[0].recipient, "+12125550123");
}
