//! The played vendors' own tests.
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

#[path = "mod.rs"]
mod vendors;
