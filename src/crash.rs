//! Places where a fault test can make the process die: before and after each commit, and on both
//! sides of each call of a carrier. They are there in debug builds only; a release build has nothing
//! of it.
//!
//! `RINGLESS_CRASH=begin.committed:3` ends the process the third time that it comes by there: at
//! once, with nothing unwound, flushed or answered. docs/fault-tests.md says how this is used.

/// Every crash point, in the order of a voicemail's way. `written` is within the unit of work, just
/// before its commit; `committed` is just after it.
pub const POINTS: [&str; 28] = [
    "migrate.ready",
    "migrate.committed",
    "leases.written",
    "leases.committed",
    "upload.written",
    "upload.committed",
    "accept.written",
    "accept.committed",
    "claim.written",
    "claim.committed",
    "begin.written",
    "begin.committed",
    "given.written",
    "given.committed",
    "call.ready",
    "call.answered",
    "record.written",
    "record.committed",
    "ask.ready",
    "ask.answered",
    "answer.written",
    "answer.committed",
    "sign.written",
    "sign.committed",
    "callback.kept",
    "callback.committed",
    "callback.read",
    "callback.heard",
];

/// Dies here if it is told to.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// The point that is armed, and how often it may still be passed.
    static ARMED: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let text = std::env::var("RINGLESS_CRASH").ok()?;
        let (name, nth) = text.split_once(':')?;
        Some((name.to_owned(), AtomicU32::new(nth.parse().ok()?)))
    });
    if let Some((armed, left)) = &*ARMED
        && armed == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &str) {}

/// Passes what was done through a crash point.
#[inline(always)]
pub fn after<T>(name: &str, done: T) -> T {
    point(name);
    done
}
