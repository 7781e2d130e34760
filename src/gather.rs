//! What comes while a piece of work is under way is done together with the next one.
//!
//! Nobody waits for company: what comes alone begins at once. The more come at the same time the more are done at once,
//! and each costs less.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Does the work for some, and answers for each of them in their order.
type Work<I, O> = dyn Fn(Vec<I>) -> Pin<Box<dyn Future<Output = Vec<O>> + Send>> + Send + Sync;

/// Clones share the queue.
pub struct Gather<I, O>(Arc<Inner<I, O>>);

impl<I, O> Clone for Gather<I, O> {
    fn clone(&self) -> Self {
        Gather(self.0.clone())
    }
}

struct Inner<I, O> {
    /// Holds what callers wait for, each for one, and nothing of those who have gone away: who bounds the callers bounds
    /// this.
    waiting: Mutex<Waiting<I, O>>,
    /// Pieces of work at once.
    at_once: usize,
    /// Taken for one piece of work.
    most: Most<I>,
    work: Box<Work<I, O>>,
}

/// How much is taken for one piece of work.
pub struct Most<I> {
    count: usize,
    /// Of all together; what is heavier by itself is taken alone.
    weight: u64,
    weigh: fn(&I) -> u64,
}

impl<I> Most<I> {
    /// So many, whatever they weigh.
    pub fn count(count: usize) -> Most<I> {
        Most {
            count,
            weight: u64::MAX,
            weigh: |_| 0,
        }
    }

    /// And no more than they may weigh together.
    pub fn weighing(self, weight: u64, weigh: fn(&I) -> u64) -> Most<I> {
        Most {
            weight,
            weigh,
            ..self
        }
    }

    /// How many of these that may be, in their order: one at least, where there is any.
    fn of<'i>(&self, items: impl Iterator<Item = &'i I>) -> usize
    where
        I: 'i,
    {
        let mut weight = 0_u64;
        let fits = |(at, item): &(usize, &I)| {
            weight = weight.saturating_add((self.weigh)(item));
            *at == 0 || weight <= self.weight
        };
        items
            .take(self.count.max(1))
            .enumerate()
            .take_while(fits)
            .count()
    }
}

struct Waiting<I, O> {
    queue: VecDeque<(I, oneshot::Sender<O>)>,
    under_way: usize,
}

impl<I: Send + 'static, O: Send + 'static> Gather<I, O> {
    /// `work` answers for each that it is given, in their order.
    pub fn new<F>(
        at_once: usize,
        most: Most<I>,
        work: impl Fn(Vec<I>) -> F + Send + Sync + 'static,
    ) -> Gather<I, O>
    where
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        Gather(Arc::new(Inner {
            waiting: Mutex::new(Waiting {
                queue: VecDeque::new(),
                under_way: 0,
            }),
            at_once: at_once.max(1),
            most,
            work: Box::new(move |items| Box::pin(work(items))),
        }))
    }

    /// The answer for one; `None`: the work panicked, and whether it was done is not known. Where the caller does not wait
    /// any more, what has begun goes on, and what has not is never begun.
    pub async fn go(&self, item: I) -> Option<O> {
        let (answer, answered) = oneshot::channel();
        if let Some(place) = self.0.queue(item, answer) {
            tokio::spawn(tracing::Instrument::in_current_span(place.work_off()));
        }
        answered.await.ok()
    }
}

impl<I: Send + 'static, O: Send + 'static> Inner<I, O> {
    /// A panic elsewhere leaves a queue that is whole, because each change is one step.
    fn lock(&self) -> MutexGuard<'_, Waiting<I, O>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts it into the queue. Where work may begin, this caller begins it.
    fn queue(self: &Arc<Self>, item: I, answer: oneshot::Sender<O>) -> Option<Place<I, O>> {
        let mut waiting = self.lock();
        waiting.queue.retain(|(_, answer)| !answer.is_closed());
        waiting.queue.push_back((item, answer));
        if waiting.under_way == self.at_once {
            return None;
        }
        waiting.under_way += 1;
        Some(Place {
            inner: self.clone(),
            is_given_back: false,
        })
    }
}

/// One of the pieces of work that may be under way.
struct Place<I: Send + 'static, O: Send + 'static> {
    inner: Arc<Inner<I, O>>,
    is_given_back: bool,
}

impl<I: Send + 'static, O: Send + 'static> Place<I, O> {
    /// Until nobody waits any more.
    async fn work_off(mut self) {
        while let Some((items, answers)) = self.next() {
            let done = (self.inner.work)(items).await;
            for (answer, done) in answers.into_iter().zip(done) {
                // Who does not wait any more does not hear it.
                let _: Result<(), O> = answer.send(done);
            }
        }
    }

    /// Where nobody waits the place is given back in the same step, so that nobody comes in between unseen.
    fn next(&mut self) -> Option<(Vec<I>, Vec<oneshot::Sender<O>>)> {
        let mut waiting = self.inner.lock();
        waiting.queue.retain(|(_, answer)| !answer.is_closed());
        let most = self
            .inner
            .most
            .of(waiting.queue.iter().map(|(item, _)| item));
        if most == 0 {
            waiting.under_way -= 1;
            self.is_given_back = true;
            return None;
        }
        Some(waiting.queue.drain(..most).unzip())
    }
}

impl<I: Send + 'static, O: Send + 'static> Drop for Place<I, O> {
    /// After a panic, and at the runtime's end, those who wait hear that there is no answer.
    fn drop(&mut self) {
        if self.is_given_back {
            return;
        }
        let mut waiting = self.inner.lock();
        waiting.under_way -= 1;
        waiting.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    /// Answers each number with itself and how many came with it, once it is let go.
    fn sizes(gate: Arc<Semaphore>, most: usize) -> Gather<u32, (u32, usize)> {
        Gather::new(1, Most::count(most), move |items: Vec<u32>| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.expect("it is never closed").forget();
                let count = items.len();
                items.into_iter().map(|item| (item, count)).collect()
            }
        })
    }

    async fn ask(
        gather: &Gather<u32, (u32, usize)>,
        items: std::ops::Range<u32>,
    ) -> Vec<(u32, usize)> {
        let asked = items.map(|item| {
            let gather = gather.clone();
            async move { gather.go(item).await.expect("it is answered") }
        });
        let mut tasks = tokio::task::JoinSet::new();
        asked.for_each(|one| drop(tasks.spawn(one)));
        let mut answers = tasks.join_all().await;
        answers.sort_unstable();
        answers
    }

    #[tokio::test]
    async fn what_comes_while_the_first_is_under_way_is_done_together() {
        let gate = Arc::new(Semaphore::new(0));
        let gather = sizes(gate.clone(), 100);
        let asked = tokio::spawn(async move { ask(&gather, 0..8).await });
        // All have come by now: there is one thread, and each was polled before this goes on.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
        let answers = asked.await.expect("no panic");
        let items: Vec<u32> = answers.iter().map(|(item, _)| *item).collect();
        assert_eq!(items, (0..8).collect::<Vec<_>>());
        let together = answers.iter().filter(|(_, count)| *count > 1).count();
        assert!(together >= 7, "{answers:?}");
    }

    #[tokio::test]
    async fn who_goes_away_while_it_waits_leaves_nothing_behind() {
        let gate = Arc::new(Semaphore::new(0));
        let gather = sizes(gate.clone(), 100);
        let first = tokio::spawn({
            let gather = gather.clone();
            async move { gather.go(0).await }
        });
        // It is under way by now, as above.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        for item in 1..50 {
            let mut gone = Box::pin(gather.go(item));
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(gone.as_mut().poll(context).is_pending())
            });
            assert!(polled.await, "the first is under way");
            drop(gone);
            assert!(gather.0.lock().queue.len() <= 1);
        }
        gate.add_permits(2);
        assert_eq!(first.await.expect("no panic"), Some((0, 1)));
        assert_eq!(gather.go(50).await, Some((50, 1)), "it goes without those");
    }

    #[tokio::test]
    async fn no_more_than_allowed_are_taken_at_once() {
        let gate = Arc::new(Semaphore::new(100));
        let gather = sizes(gate, 3);
        let answers = ask(&gather, 0..20).await;
        assert_eq!(answers.len(), 20);
        assert!(answers.iter().all(|(_, count)| *count <= 3), "{answers:?}");
    }

    #[test]
    fn no_more_are_taken_than_may_weigh_together() {
        let most = Most::count(4).weighing(10, |weight: &u64| *weight);
        for (items, taken) in [
            (&[][..], 0),
            (&[3, 3, 3], 3),
            (&[3, 3, 4], 3),
            (&[3, 3, 5], 2),
            (&[11, 1], 1),
            (&[1, 11], 1),
            (&[0, 0, 0], 3),
            (&[0, 0, 0, 0], 4),
            (&[0, 0, 0, 0, 0], 4),
        ] {
            assert_eq!(most.of(items.iter()), taken, "{items:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_no_answer_and_stops_nobody_else() {
        let gather: Gather<u32, u32> =
            Gather::new(1, Most::count(1), |items: Vec<u32>| async move {
                assert!(!items.contains(&13), "an unlucky one");
                items
            });
        assert_eq!(gather.go(13).await, None);
        assert_eq!(gather.go(7).await, Some(7));
    }
}
