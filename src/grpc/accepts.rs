//! Sends that come at the same time are judged together and stored together, in one unit of work each.

use std::sync::Arc;
use std::time::Duration;

use crate::carrier::Registry;
use crate::crash;
use crate::domain::gate;
use crate::domain::ids::WorkspaceId;
use crate::gather::{Gather, Most};
use crate::ops::error::{OpError, Result};
use crate::ops::queue::QueueGauge;
use crate::ops::send_together::{ReadySend, accept_together, judge_together};
use crate::ops::send_voicemail::{Accepted, Accepting, Draft, accept, judge};
use crate::storage::{Error, Store};

/// Units of work that judge at once, or that store at once. SQLite's writer takes one after the other anyway.
const AT_ONCE: usize = 2;
/// Sends of one unit of work.
const TOGETHER_MAX: usize = 64;
/// Bytes of audio that one unit of work stores; an audio above it, of which few come, is stored by itself. Who comes behind a large
/// one waits for as long as that takes.
const TOGETHER_BYTES_MAX: u64 = 1_024 * 1_024;

/// What one is told, or `None` where it has to be done alone.
type Told<T> = Result<Option<T>>;

pub struct Accepts {
    inner: Arc<Inner>,
    judging: Gather<Draft, Told<()>>,
    storing: Gather<Arc<ReadySend>, Told<Accepted>>,
}

/// What accepting needs.
pub struct Inner {
    pub store: Store,
    pub workspace: WorkspaceId,
    pub registry: Registry,
    pub gates: Arc<gate::Rules>,
    pub queue: QueueGauge,
    pub expire_after: Duration,
}

impl Inner {
    fn accepting(&self) -> Accepting<'_> {
        Accepting {
            workspace: self.workspace,
            registry: &self.registry,
            gates: &self.gates,
            queue: &self.queue,
            expire_after: self.expire_after,
        }
    }

    async fn judge_alone(self: Arc<Self>, draft: Draft) -> Result<()> {
        let store = self.store.clone();
        store
            .read(move |tx| judge(tx, &draft, &self.accepting()))
            .await
    }

    async fn judge_all(self: Arc<Self>, drafts: Vec<Draft>) -> Vec<Told<()>> {
        let count = drafts.len();
        if let [draft] = drafts.as_slice() {
            return vec![self.judge_alone(draft.clone()).await.map(Some)];
        }
        let store = self.store.clone();
        let judged = store.read(move |tx| judge_together(tx, &drafts, &self.accepting()));
        each(judged.await, count)
    }

    async fn accept_alone(self: Arc<Self>, send: Arc<ReadySend>) -> Result<Accepted> {
        let store = self.store.clone();
        let stored = store.write(move |tx| {
            let accepted = accept(tx, &send.draft, &send.input, &self.accepting());
            crash::after("accept.written", accepted)
        });
        stored.await
    }

    async fn accept_all(self: Arc<Self>, sends: Vec<Arc<ReadySend>>) -> Vec<Told<Accepted>> {
        let count = sends.len();
        if let [send] = sends.as_slice() {
            return vec![self.accept_alone(send.clone()).await.map(Some)];
        }
        let store = self.store.clone();
        let stored = store.write(move |tx| {
            let sends: Vec<&ReadySend> = sends.iter().map(Arc::as_ref).collect();
            let accepted = accept_together(tx, &sends, &self.accepting());
            crash::after("accept.written", accepted)
        });
        each(stored.await, count)
    }
}

impl Accepts {
    pub fn new(inner: Inner) -> Accepts {
        let inner = Arc::new(inner);
        let (judges, stores) = (inner.clone(), inner.clone());
        let bytes = |send: &Arc<ReadySend>| send.input.new_bytes();
        let together = Most::count(TOGETHER_MAX).weighing(TOGETHER_BYTES_MAX, bytes);
        Accepts {
            inner,
            judging: Gather::new(AT_ONCE, Most::count(TOGETHER_MAX), move |drafts| {
                judges.clone().judge_all(drafts)
            }),
            storing: Gather::new(AT_ONCE, together, move |sends| {
                stores.clone().accept_all(sends)
            }),
        }
    }

    pub fn accepting(&self) -> Accepting<'_> {
        self.inner.accepting()
    }

    /// All that can be judged without audio.
    pub async fn judge(&self, draft: &Draft) -> Result<()> {
        match self.judging.go(draft.clone()).await {
            Some(Ok(None)) => self.inner.clone().judge_alone(draft.clone()).await,
            Some(Ok(Some(()))) => Ok(()),
            Some(Err(error)) => Err(error),
            None => Err(broke_off()),
        }
    }

    /// Answers once it is stored for good.
    pub async fn accept(&self, send: ReadySend) -> Result<Accepted> {
        let send = Arc::new(send);
        let accepted = match send.input.new_bytes() <= TOGETHER_BYTES_MAX {
            true => self
                .storing
                .go(send.clone())
                .await
                .ok_or_else(broke_off)??,
            false => None,
        };
        let accepted = match accepted {
            Some(accepted) => accepted,
            None => self.inner.clone().accept_alone(send).await?,
        };
        crash::point("accept.committed");
        Ok(accepted)
    }
}

fn broke_off() -> OpError {
    OpError::Internal("the work on sends that came together broke off".to_owned())
}

/// What each of `count` is told. A fault that one of them may have brought about is no other's fault, so each is done
/// alone after it. Not so where the database is away, and never where all of them may have been stored.
fn each<T>(done: Result<Vec<Option<T>>>, count: usize) -> Vec<Told<T>> {
    let all = |error: fn(String) -> Error, text: String| -> Vec<Told<T>> {
        let told = |_| Err(error(text.clone()).into());
        (0..count).map(told).collect()
    };
    match done {
        Ok(done) => done.into_iter().map(Ok).collect(),
        Err(OpError::Storage(Error::CommitUnknown(text))) => all(Error::CommitUnknown, text),
        Err(OpError::Storage(Error::Unavailable(text))) => all(Error::Unavailable, text),
        Err(error) => {
            tracing::warn!(error = %error, "sends could not be taken together; each is taken alone");
            (0..count).map(|_| Ok(None)).collect()
        }
    }
}
