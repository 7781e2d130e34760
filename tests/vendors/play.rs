//! What a test asks of a played vendor: how it treats a send request, and what it says afterwards.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How one send request goes. Made by one of the first five functions, then refined.
#[derive(Debug, Clone)]
pub struct Play {
    pub ending: Ending,
    /// Whether the message is taken, and so dropped, however the call ends.
    pub takes: bool,
    /// Between the request and its answer, or its break.
    pub delay: Duration,
    pub words: Words,
}

/// How the call ends.
#[derive(Debug, Clone)]
pub enum Ending {
    /// As the vendor would answer.
    Usual,
    /// As the vendor refuses, with this text.
    Refusal(String),
    Answer(Answer),
    /// No answer until the caller goes away.
    Hang,
    /// RST before a byte of the body is read. From the queue only: no recipient is known by then.
    ResetUnread,
    /// RST after the whole request is read.
    Reset,
    /// 200, and a body of so many bytes that never becomes JSON.
    Endless {
        bytes: usize,
    },
}

/// What the vendor says of a message that it took.
#[derive(Debug, Clone)]
pub enum Words {
    /// By the recipient's number: see `table`.
    Usual,
    Fate(Fate),
    /// It ends so and can be asked about, but no callback is made.
    Silent(Fate),
    /// These in this order, and nothing else. None at all: for ever pending.
    These(Vec<Word>),
}

/// How a message ends. Each vendor has its own words for it, in its own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    MailboxFull,
    NoMailbox,
    NotDetected,
    Unreachable,
    NoAnswer,
    Busy,
    /// The carrier answered the call itself.
    AnswerSupervision,
    InvalidNumber,
    NotMobile,
    Dnc,
    BadAudio,
    NoFunds,
    BadAccount,
    /// A word that no document has.
    Unheard,
}

/// The end of a message in the vendor's own terms. Fields a vendor does not have stay unused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub status: String,
    pub reason: String,
    pub code: u32,
    /// The message lies in the mailbox.
    pub is_delivered: bool,
    /// The vendor may yet say something else: no end.
    pub is_passing: bool,
    /// Put over the payload's own fields.
    pub extra: Map<String, Value>,
}

/// One callback, or several alike.
#[derive(Debug, Clone)]
pub struct Word {
    pub says: Says,
    pub manner: Manner,
    pub when: When,
    pub times: u32,
    /// The last part of the callback's path is another one.
    pub is_forged: bool,
}

#[derive(Debug, Clone)]
pub enum Says {
    Fate(Fate),
    Outcome(Outcome),
    /// No body at all: a probe.
    Nothing,
    Bytes {
        content_type: Option<String>,
        body: Vec<u8>,
    },
}

/// The shape of a callback. `Usual` is the vendor's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Usual,
    PostJson,
    PostForm,
    PostQuery,
    GetQuery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After the vendor's usual wait.
    Usual,
    /// The send call gets its answer only when this callback has got its own.
    BeforeAnswer,
    After(Duration),
    /// When the test says so: `Desk::held`, `Desk::say`, `Desk::release`.
    Held,
}

impl Play {
    /// The vendor takes it and does what the recipient's number stands for.
    pub fn accept() -> Play {
        Play::taking(Ending::Usual)
    }

    /// Takes it; it ends so.
    pub fn fate(fate: Fate) -> Play {
        Play::accept().words(Words::Fate(fate))
    }

    /// Takes it and says these.
    pub fn says(words: impl IntoIterator<Item = Word>) -> Play {
        Play::accept().words(Words::These(words.into_iter().collect()))
    }

    /// The message is taken, and the call ends so.
    pub fn taking(ending: Ending) -> Play {
        Play {
            ending,
            takes: true,
            delay: Duration::ZERO,
            words: Words::Usual,
        }
    }

    /// The message is not taken, and the call ends so.
    pub fn refusing(ending: Ending) -> Play {
        Play {
            takes: false,
            ..Play::taking(ending)
        }
    }

    pub fn after(self, delay: Duration) -> Play {
        Play { delay, ..self }
    }

    pub fn words(self, words: Words) -> Play {
        Play { words, ..self }
    }
}

impl From<Answer> for Ending {
    fn from(answer: Answer) -> Ending {
        Ending::Answer(answer)
    }
}

impl Word {
    pub fn new(says: Says) -> Word {
        Word {
            says,
            manner: Manner::Usual,
            when: When::Usual,
            times: 1,
            is_forged: false,
        }
    }

    pub fn fate(fate: Fate) -> Word {
        Word::new(Says::Fate(fate))
    }

    pub fn outcome(outcome: Outcome) -> Word {
        Word::new(Says::Outcome(outcome))
    }

    pub fn probe() -> Word {
        Word::new(Says::Nothing)
    }

    pub fn bytes(content_type: Option<&str>, body: impl Into<Vec<u8>>) -> Word {
        Word::new(Says::Bytes {
            content_type: content_type.map(str::to_owned),
            body: body.into(),
        })
    }

    pub fn manner(self, manner: Manner) -> Word {
        Word { manner, ..self }
    }

    pub fn when(self, when: When) -> Word {
        Word { when, ..self }
    }

    pub fn times(self, times: u32) -> Word {
        Word { times, ..self }
    }

    pub fn forged(self) -> Word {
        Word {
            is_forged: true,
            ..self
        }
    }
}

impl Outcome {
    pub fn new(status: &str) -> Outcome {
        Outcome {
            status: status.to_owned(),
            ..Outcome::default()
        }
    }

    pub fn delivered(self) -> Outcome {
        Outcome {
            is_delivered: true,
            ..self
        }
    }

    pub fn passing(self) -> Outcome {
        Outcome {
            is_passing: true,
            ..self
        }
    }

    pub fn reason(self, reason: &str) -> Outcome {
        Outcome {
            reason: reason.to_owned(),
            ..self
        }
    }

    pub fn code(self, code: u32) -> Outcome {
        Outcome { code, ..self }
    }

    pub fn field(mut self, name: &str, value: Value) -> Outcome {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

/// A whole HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn json(status: u16, body: &Value) -> Answer {
        Answer::new(status)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    pub fn text(status: u16, body: impl Into<String>) -> Answer {
        Answer::new(status)
            .header("content-type", "text/html; charset=UTF-8")
            .body(body.into())
    }

    pub fn redirect(status: u16, to: &str) -> Answer {
        Answer::new(status).header("location", to)
    }

    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            body: body.into(),
            ..self
        }
    }

    /// What can't be said in HTTP is left out, so that a script with a slip in it still answers.
    pub fn response(self) -> Response {
        let mut response = Response::new(Body::from(Bytes::from(self.body)));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            let name = HeaderName::try_from(name);
            let value = HeaderValue::try_from(value);
            if let (Ok(name), Ok(value)) = (name, value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
