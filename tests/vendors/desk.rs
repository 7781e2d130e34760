//! What all played vendors do alike: the script, the record, taking a message, fetching its sound,
//! dropping it and calling back.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::call::{Call, open_headers};
use super::client::Client;
use super::fetch::{Fetching, fetch};
use super::fields::last_ten;
use super::play::{Answer, Ending, Fate, Manner, Outcome, Play, Says, When, Word, Words};
use super::record::{Book, Dropped, Record, Said, Seen, Source, Taken};
use super::say::Held;
use super::serve::broken;
use super::table;

/// A caller that waits longer than this for nothing is let go.
const HANG: Duration = Duration::from_secs(600);
const RULES_MAX: usize = 10_000;

/// The time in microseconds since 1970: the vendor's clock, which a test may turn.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What every played vendor can be told.
#[derive(Clone)]
pub struct Common {
    /// Port 0: any free one.
    pub addr: SocketAddr,
    pub now: Now,
    /// Between taking a message and the first word of it.
    pub word_after: Duration,
    /// Waits before further tries of a callback, where the vendor tries again. Their number is the bound.
    pub again_after: Vec<Duration>,
    pub fetching: Fetching,
    /// Waits before further tries of fetching a recording. Their number is the bound.
    pub fetch_again_after: Vec<Duration>,
    /// Where the record is written down, and read from at the start.
    pub record: Option<PathBuf>,
}

impl Default for Common {
    fn default() -> Common {
        Common {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            now: Arc::new(|| ringless::clock::system_now().micros()),
            word_after: Duration::from_millis(20),
            again_after: vec![Duration::from_millis(50); 4],
            fetching: Fetching::Mixed,
            fetch_again_after: Vec::new(),
            record: None,
        }
    }
}

/// What only the one vendor knows.
pub trait Dialect: Send + Sync + 'static {
    fn outcome(&self, fate: Fate) -> Outcome;

    /// Numbers of the vendor's own simulator.
    fn simulated(&self, _recipient: &str) -> Option<Outcome> {
        None
    }

    fn audio_failed(&self, why: &str) -> Outcome;

    fn refusal(&self, text: &str) -> Answer;

    /// A callback's fields.
    fn payload(&self, taken: &Taken, outcome: &Outcome, now_us: i64) -> Map<String, Value>;

    /// What the vendor says of every message before its end.
    fn preface(&self) -> Option<Outcome> {
        None
    }

    fn manner(&self) -> Manner {
        Manner::PostJson
    }

    /// Whether the vendor calls again after this answer.
    fn wants_again(&self, _said: &Said) -> bool {
        false
    }

    /// What the vendor does besides the callback, once for each outcome.
    fn besides(&self, _desk: &Arc<Desk>, _taken: &Taken, _outcome: &Outcome) {}
}

pub struct Desk {
    pub common: Common,
    pub book: Book,
    pub client: Client,
    pub addr: SocketAddr,
    pub(super) dialect: Box<dyn Dialect>,
    plays: Mutex<VecDeque<Play>>,
    rules: Mutex<HashMap<String, Play>>,
    pub(super) held: Mutex<Vec<Held>>,
    tasks: Mutex<JoinSet<()>>,
    stopped: OnceLock<()>,
}

/// A message that has been taken, and what is still to be said of it.
#[derive(Debug, Clone)]
pub struct Story {
    pub taken: Taken,
    pub words: Vec<Word>,
    /// An end that is known without a callback.
    pub silent: Option<Outcome>,
    /// Refused after it was taken: its sound is not looked at, and nothing is dropped.
    pub is_refused: bool,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with a lock in hand")
}

// What a test uses.
impl Desk {
    /// The next send request that comes goes so, whoever it is for.
    pub fn play(&self, play: Play) {
        lock(&self.plays).push_back(play);
    }

    /// Every send request for this recipient goes so, unless `play` has something for it.
    pub fn play_for(&self, recipient: &str, play: Play) {
        let mut rules = lock(&self.rules);
        assert!(rules.len() < RULES_MAX, "no more than {RULES_MAX} rules");
        rules.insert(last_ten(recipient), play);
    }

    pub fn record(&self) -> Record {
        self.book.with(Record::clone)
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.book.with(|record| record.requests.clone())
    }

    /// Messages that the vendor has taken, in their order.
    pub fn taken(&self) -> Vec<Taken> {
        self.book.with(|record| record.taken.clone())
    }

    /// Messages in mailboxes, in their order.
    pub fn drops(&self) -> Vec<Dropped> {
        self.book.with(|record| record.drops.clone())
    }

    pub fn callbacks(&self) -> Vec<Said> {
        self.book.with(|record| record.callbacks.clone())
    }

    /// What the vendor found fault with; a test of good behaviour asserts that it is empty.
    pub fn wrongs(&self) -> Vec<String> {
        self.book.with(|record| record.wrongs.clone())
    }

    /// The recording of a drop, by its hash.
    pub fn sound(&self, sha256: &str) -> Option<Bytes> {
        self.book.sound(sha256)
    }

    /// Waits until the record is so. False: it was not within that time. `is_so` looks at what it is
    /// given and asks the desk nothing: the record is locked while it looks.
    pub async fn until(&self, within: Duration, is_so: impl Fn(&Record) -> bool) -> bool {
        let deadline = Instant::now() + within;
        let mut changes = self.book.changes();
        loop {
            changes.borrow_and_update();
            if self.book.with(&is_so) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, changes.changed()).await.is_err() {
                return false;
            }
        }
    }
}

// What the vendors are made of.
impl Desk {
    pub fn new(
        vendor: &'static str,
        common: Common,
        addr: SocketAddr,
        dialect: impl Dialect,
    ) -> std::io::Result<Arc<Desk>> {
        Ok(Arc::new(Desk {
            book: Book::open(vendor, common.record.as_deref())?,
            common,
            client: Client::new(),
            addr,
            dialect: Box::new(dialect),
            plays: Mutex::default(),
            rules: Mutex::default(),
            held: Mutex::default(),
            tasks: Mutex::default(),
            stopped: OnceLock::new(),
        }))
    }

    pub fn now_us(&self) -> i64 {
        (self.common.now)()
    }

    pub fn wrong(&self, call: &Call, text: &str) {
        let text = format!("{} {}: {text}", call.method, call.path);
        self.book.wrong(text);
    }

    /// Notes each of them; true where there was one.
    pub fn wrongs_of(&self, call: &Call, wrongs: &[String]) -> bool {
        for text in wrongs {
            self.wrong(call, text);
        }
        !wrongs.is_empty()
    }

    /// Reads any request, and writes it down.
    pub async fn read(&self, request: Request) -> Result<Call, Response> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let call = Call::read(request).await.map_err(|why| {
            self.book.wrong(format!("{method} {path}: {why}"));
            Answer::text(413, "request entity too large").response()
        })?;
        self.book.saw(Seen {
            method: call.method.to_string(),
            path: call.path.clone(),
            query: call.query.clone(),
            headers: open_headers(&call.headers),
            fields: call.open_fields(),
            body_bytes: call.body.len(),
            at_us: self.now_us(),
        });
        for name in &call.repeated {
            self.wrong(&call, &format!("`{name}` comes twice"));
        }
        Ok(call)
    }

    /// Reads a send request. The one play that must not read it breaks the connection here.
    pub async fn open(&self, request: Request) -> Result<Call, Response> {
        let is_unread = |play: &mut Play| matches!(play.ending, Ending::ResetUnread);
        let unread = lock(&self.plays).pop_front_if(is_unread);
        let Some(play) = unread else {
            return self.read(request).await;
        };
        self.book.saw(Seen {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            headers: open_headers(request.headers()),
            fields: Value::Null,
            body_bytes: 0,
            at_us: self.now_us(),
        });
        tokio::time::sleep(play.delay).await;
        Err(broken())
    }

    /// The script for this recipient: from the queue, else by rule, else by the table.
    pub fn play_of(&self, recipient: &str) -> Play {
        let number = last_ten(recipient);
        let nth = self.book.nth(&number);
        let queued = lock(&self.plays).pop_front();
        let rule = || lock(&self.rules).get(&number).cloned();
        match queued.or_else(rule) {
            Some(play) => play,
            None if self.dialect.simulated(recipient).is_some() => Play::accept(),
            None => table::play(last_two(&number), nth),
        }
    }

    /// Takes the message, where the script has it so. `forced` is an end that the vendor's own rules
    /// give it, whatever the script says.
    pub fn take(&self, play: &Play, taken: Taken, forced: Option<Outcome>) -> Option<Story> {
        if !play.takes {
            return None;
        }
        let taken = self.book.take(taken);
        Some(match forced {
            Some(outcome) => Story {
                taken,
                words: vec![Word::outcome(outcome)],
                silent: None,
                is_refused: true,
            },
            None => self.story(taken, &play.words),
        })
    }

    fn story(&self, taken: Taken, words: &Words) -> Story {
        let mut silent = None;
        let words = match words {
            Words::Usual => match self.dialect.simulated(&taken.recipient) {
                Some(outcome) => vec![Word::outcome(outcome)],
                None => {
                    let words = table::words(last_two(&last_ten(&taken.recipient)));
                    return self.story(taken, &words);
                }
            },
            Words::Fate(fate) => {
                let preface = self.dialect.preface().map(Word::outcome);
                preface.into_iter().chain([Word::fate(*fate)]).collect()
            }
            Words::Silent(fate) => {
                silent = Some(self.dialect.outcome(*fate));
                Vec::new()
            }
            Words::These(words) => words.clone(),
        };
        Story {
            taken,
            words,
            silent,
            is_refused: false,
        }
    }

    /// Answers the send request, and lets the message's story run, whether or not the answer arrives.
    pub async fn finish(
        self: &Arc<Self>,
        play: &Play,
        usual: Answer,
        story: Option<Story>,
    ) -> Response {
        if let Some(story) = story {
            let is_first = |word: &Word| word.when == When::BeforeAnswer;
            let is_told_first = story.words.iter().any(is_first);
            let (told, hears) = oneshot::channel();
            let desk = self.clone();
            self.spawn(async move { desk.tell(story, Some(told)).await });
            if is_told_first {
                // Where the other end is gone, there is nothing more to wait for.
                let _ = hears.await;
            }
        }
        tokio::time::sleep(play.delay).await;
        match &play.ending {
            Ending::Usual => usual.response(),
            Ending::Refusal(text) => self.dialect.refusal(text).response(),
            Ending::Answer(answer) => answer.clone().response(),
            Ending::Endless { bytes } => endless(*bytes),
            Ending::Reset | Ending::ResetUnread => broken(),
            Ending::Hang => {
                tokio::time::sleep(HANG).await;
                broken()
            }
        }
    }

    /// A message's way after it was taken: its sound, the drop, and all words in their order.
    /// `told` hears when those are said that go before the answer.
    async fn tell(self: Arc<Self>, story: Story, mut told: Option<oneshot::Sender<()>>) {
        let Story {
            taken,
            mut words,
            mut silent,
            is_refused,
        } = story;
        if !is_refused {
            match self.sound_of(&taken).await {
                Ok(sha256) => {
                    let is_drop = match &silent {
                        Some(outcome) => outcome.is_delivered,
                        None => words.is_empty() || words.iter().any(|w| self.leaves_a_drop(w)),
                    };
                    if is_drop && !self.book.has_dropped(taken.number) {
                        self.book.drop_one(&taken, sha256, self.now_us());
                    }
                }
                Err(why) => {
                    silent = None;
                    words = vec![Word::outcome(self.dialect.audio_failed(&why))];
                }
            }
        }
        if let Some(outcome) = silent {
            self.settle(&taken, &outcome);
        }
        let last_first = words.iter().rposition(|w| w.when == When::BeforeAnswer);
        for (at, word) in words.into_iter().enumerate() {
            self.say_word(&taken, word).await;
            if Some(at) == last_first
                && let Some(told) = told.take()
            {
                // Nobody waits where the caller went away.
                let _ = told.send(());
            }
        }
        self.book.done(taken.number);
    }

    /// The hash of its recording. A link is fetched, always and really.
    async fn sound_of(&self, taken: &Taken) -> Result<Option<String>, String> {
        match &taken.source {
            Source::Spoken => Ok(None),
            Source::Upload(sha256) => Ok(Some(sha256.clone())),
            Source::Missing(what) => Err(format!("there is no recording `{what}`")),
            Source::Link(url) => {
                let get = || fetch(&self.client, url, self.common.fetching, taken.number);
                let mut fetched = get().await;
                for wait in &self.common.fetch_again_after {
                    if fetched.is_ok() {
                        break;
                    }
                    tokio::time::sleep(*wait).await;
                    fetched = get().await;
                }
                fetched.map(|bytes| Some(self.book.keep_sound(&bytes)))
            }
        }
    }

    fn leaves_a_drop(&self, word: &Word) -> bool {
        match &word.says {
            Says::Fate(fate) => self.dialect.outcome(*fate).is_delivered,
            Says::Outcome(outcome) => outcome.is_delivered,
            Says::Bytes { .. } => true,
            Says::Nothing => false,
        }
    }

    pub(super) fn settle(self: &Arc<Self>, taken: &Taken, outcome: &Outcome) {
        if !outcome.is_passing {
            self.book.end(taken.number, outcome);
        }
        self.dialect.besides(self, taken, outcome);
    }

    /// After a start on an earlier record: what had been taken goes on, by the usual words.
    pub fn go_on(self: &Arc<Self>) {
        for taken in self.book.open_ones() {
            let story = self.story(taken, &Words::Usual);
            let desk = self.clone();
            self.spawn(async move { desk.tell(story, None).await });
        }
    }

    /// In the background, until the vendor stops.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        if self.stopped.get().is_none() {
            tasks.spawn(work);
        }
    }

    pub(super) fn stop(&self) {
        let _ = self.stopped.set(());
        lock(&self.tasks).abort_all();
    }
}

fn last_two(ten_digits: &str) -> u32 {
    let from = ten_digits.len().saturating_sub(2);
    ten_digits[from..].parse().unwrap_or(0)
}

fn endless(bytes: usize) -> Response {
    const PIECE: usize = 16 * 1024;
    let head = Bytes::from_static(b"{\"status\":\"");
    let piece = Bytes::from(vec![b'a'; PIECE]);
    let pieces = std::iter::repeat_n(piece, bytes.div_ceil(PIECE));
    let all = std::iter::once(head).chain(pieces);
    let body = Body::from_stream(tokio_stream::iter(all.map(Ok::<_, Infallible>)));
    let mut response = Answer::new(200)
        .header("content-type", "application/json")
        .response();
    *response.body_mut() = body;
    response
}
