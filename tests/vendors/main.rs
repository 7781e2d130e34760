//! The played vendors' own tests: what other tests rely on when they say that a vendor saw nothing
//! wrong, dropped once, or broke off.
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

#[path = "mod.rs"]
mod vendors;

mod tests;
