//! The carrier as the server knows it: a client of the recording carrier.

use std::net::SocketAddr;
use std::time::Duration;

use ringless::carrier::{BoxFuture, Call, Carrier, Message, Particulars, Question};
use ringless::crash;
use ringless::domain::attempt::{Answer, CarrierWords, Outcome};
use ringless::domain::doubt::DoubtTraits;
use ringless::domain::failure::FailureReason;
use ringless::domain::phone::PhoneNumber;
use ringless::domain::status::End;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::{Account, Header, Verb, word};

/// Its own crash points, beside those of the product.
pub const POINTS: [&str; 2] = ["carrier.connected", "carrier.sent"];

const CONNECT_WITHIN: Duration = Duration::from_millis(500);
const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);
const ASK_AFTER: Duration = Duration::from_secs(1);

pub struct Client {
    pub account: Account,
    pub addr: SocketAddr,
    /// Says of an account that knows no repeat that it does: the lie that a test must find.
    pub lies: bool,
}

impl Client {
    /// Until the carrier has said that it is ready, nothing has left.
    async fn connect(&self) -> Option<BufReader<TcpStream>> {
        let connecting = async {
            let mut stream = BufReader::new(TcpStream::connect(self.addr).await.ok()?);
            (read_word(&mut stream).await?.0 == word::READY).then_some(stream)
        };
        timeout(CONNECT_WITHIN, connecting).await.ok().flatten()
    }

    /// One exchange after the connection. Nothing means that nobody knows.
    async fn exchange(
        &self,
        mut stream: BufReader<TcpStream>,
        header: &Header,
        body: &[&[u8]],
    ) -> Option<(String, String)> {
        let mut bytes = serde_json::to_vec(header).ok()?;
        bytes.push(b'\n');
        for part in body {
            bytes.extend_from_slice(part);
        }
        stream.write_all(&bytes).await.ok()?;
        stream.flush().await.ok()?;
        if header.verb == Verb::HandOver {
            crash::point("carrier.sent");
        }
        timeout(ANSWER_WITHIN, read_word(&mut stream)).await.ok()?
    }
}

async fn read_word(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let line = line.strip_suffix('\n')?;
    let (answer, key) = line.split_once(' ').unwrap_or((line, ""));
    Some((answer.to_owned(), key.to_owned()))
}

fn try_again(why: &str) -> (Outcome, CarrierWords) {
    let outcome = Outcome::TryAgain {
        reason: FailureReason::CarrierTimeout,
        wait: None,
    };
    (outcome, CarrierWords::new("", "", why))
}

impl Carrier for Client {
    /// A number drawn afresh stands in it, so that a request made anew can be told from the stored one.
    fn request(&self, message: &Message, _particulars: &Particulars) -> Vec<u8> {
        let request = serde_json::json!({
            "voicemail": message.voicemail_id.to_string(),
            "sender": message.sender.e164(),
            "recipient": message.recipient.e164(),
            "made": uuid::Uuid::new_v4().to_string(),
        });
        request.to_string().into_bytes()
    }

    fn doubt_traits(&self, _recipient: &PhoneNumber, _reference: &str) -> DoubtTraits {
        let is_repeatable = self.account == Account::Repeatable || self.lies;
        DoubtTraits {
            repeatable_for: is_repeatable.then_some(Duration::from_secs(86_400)),
            askable: self.account == Account::Askable,
            word_comes: false,
        }
    }

    fn hand_over(&self, call: Call) -> BoxFuture<'_, (Outcome, CarrierWords)> {
        Box::pin(async move {
            let Some(stream) = self.connect().await else {
                return try_again("not ready; nothing had left");
            };
            crash::point("carrier.connected");
            let header = Header {
                account: self.account,
                verb: Verb::HandOver,
                key: call.hand_over_id.to_string(),
                voicemail: call.message.voicemail_id.to_string(),
                attempt: call.attempt_number,
                bytes: call.request.len() + call.audio.len(),
            };
            let answered = self
                .exchange(stream, &header, &[&call.request, &call.audio])
                .await;
            let Some((answer, key)) = answered else {
                return (
                    Outcome::Unknown,
                    CarrierWords::new("", "", "no answer after the request had left"),
                );
            };
            let words = CarrierWords::new(&key, &answer, "");
            match answer.as_str() {
                word::DROPPED => (Outcome::Delivered, words),
                word::TAKEN => {
                    let ask_after = Some(ASK_AFTER);
                    (Outcome::Taken { ask_after }, words)
                }
                word::BUSY => try_again("busy"),
                _ => (Outcome::Unknown, words),
            }
        })
    }

    fn ask(&self, question: Question) -> BoxFuture<'_, (Answer, CarrierWords)> {
        Box::pin(async move {
            let no_answer = (Answer::NoAnswer, CarrierWords::default());
            let Some(stream) = self.connect().await else {
                return no_answer;
            };
            let header = Header {
                account: self.account,
                verb: Verb::Ask,
                key: question.hand_over_id.to_string(),
                voicemail: question.message.voicemail_id.to_string(),
                attempt: question.attempt_number,
                bytes: 0,
            };
            let Some((answer, key)) = self.exchange(stream, &header, &[]).await else {
                return no_answer;
            };
            let words = CarrierWords::new(&key, &answer, "");
            match answer.as_str() {
                word::DELIVERED => (Answer::Ended(End::Delivered), words),
                word::PENDING => {
                    let again_after = Some(ASK_AFTER);
                    (Answer::Pending { again_after }, words)
                }
                word::NEVER => (Answer::NeverReceived, words),
                _ => no_answer,
            }
        })
    }
}
