//! A carrier that takes a fixed time for every call, and notes when each began.

use std::collections::HashMap;
use std::io::Write;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use ringless::carrier::{BoxFuture, Call, Carrier, Message, Particulars, Question, Registry};
use ringless::domain::attempt::{Answer, CarrierWords, Outcome};
use ringless::domain::doubt::DoubtTraits;
use ringless::domain::phone::PhoneNumber;
use ringless::ops::seed;
use tokio::sync::Notify;
use tokio::time::timeout;

/// A call that has not come by then never does.
const PATIENCE: Duration = Duration::from_secs(120);

/// The calls that carriers were given, by voicemail.
#[derive(Clone, Default)]
pub struct Calls(Arc<Inner>);

#[derive(Default)]
struct Inner {
    begun: Mutex<Begun>,
    came: Notify,
}

#[derive(Default)]
struct Begun {
    /// When the first call of each came, and how many came.
    by_voicemail: HashMap<String, (Instant, usize)>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Calls {
    pub fn note(&self, voicemail_id: &str) {
        let now = Instant::now();
        {
            let mut begun = self.begun();
            let call = begun
                .by_voicemail
                .entry(voicemail_id.to_owned())
                .or_insert((now, 0));
            call.1 += 1;
            begun.first.get_or_insert(now);
            begun.last = Some(now);
        }
        self.0.came.notify_waiters();
    }

    /// Voicemails that were handed over.
    pub fn count(&self) -> usize {
        self.begun().by_voicemail.len()
    }

    /// Voicemails that were handed over more than once.
    pub fn repeated(&self) -> usize {
        let begun = self.begun();
        begun
            .by_voicemail
            .values()
            .filter(|call| call.1 > 1)
            .count()
    }

    pub fn first(&self) -> Option<Instant> {
        self.begun().first
    }

    pub fn last(&self) -> Option<Instant> {
        self.begun().last
    }

    /// When this voicemail's first call came; waits for it.
    pub async fn of(&self, voicemail_id: &str) -> anyhow::Result<Instant> {
        let came = async {
            loop {
                let mut next = pin!(self.0.came.notified());
                next.as_mut().enable();
                if let Some((at, _)) = self.begun().by_voicemail.get(voicemail_id) {
                    return *at;
                }
                next.await;
            }
        };
        timeout(PATIENCE, came)
            .await
            .context("a voicemail was never handed over")
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.0.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the calls are noted.
#[derive(Clone)]
pub enum Book {
    Here(Calls),
    /// By the process that started this one, which reads its output.
    Parent,
}

pub struct Timed {
    takes: Duration,
    book: Book,
}

impl Timed {
    /// The one carrier of a process, by the name that the first setup of an empty database has.
    pub fn registry(takes: Duration, book: Book) -> Registry {
        let carrier: Arc<dyn Carrier> = Arc::new(Timed { takes, book });
        Registry::of([(seed::SETUP.to_owned(), carrier)])
    }
}

impl Carrier for Timed {
    /// So that the first setup is approved at once.
    fn is_simulated(&self) -> bool {
        true
    }

    fn request(&self, message: &Message, _: &Particulars) -> Vec<u8> {
        message.voicemail_id.to_string().into_bytes()
    }

    fn doubt_traits(&self, _: &PhoneNumber, _: &str) -> DoubtTraits {
        DoubtTraits::NONE
    }

    fn hand_over(&self, call: Call) -> BoxFuture<'_, (Outcome, CarrierWords)> {
        let id = call.message.voicemail_id.to_string();
        match &self.book {
            Book::Here(calls) => calls.note(&id),
            // Where the parent is gone there is nobody to tell, and this process ends anyway.
            Book::Parent => drop(writeln!(std::io::stdout(), "called {id}")),
        }
        Box::pin(async {
            if !self.takes.is_zero() {
                tokio::time::sleep(self.takes).await;
            }
            (Outcome::Delivered, CarrierWords::default())
        })
    }

    fn ask(&self, _: Question) -> BoxFuture<'_, (Answer, CarrierWords)> {
        Box::pin(async { (Answer::NoAnswer, CarrierWords::default()) })
    }
}
