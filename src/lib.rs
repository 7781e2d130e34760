//! **ringless** puts a voice message straight into a recipient's voicemail box, without ringing the
//! phone: an open, self-hosted gRPC service. It is not a carrier; it hands messages to carriers.
//!
//! A tour. To follow a request, start at [`grpc::routes`]: a service converts the call
//! (`grpc/convert`), streamed audio goes through [`intake`] and is judged by [`audio`] as it comes,
//! and a verb of [`ops`] does the work in one unit of work of [`storage`]. From there the
//! [`worker`] claims what is due, hands it to a [`carrier`], and records what came of it
//! (`ops/deliver`). Every rule that needs no I/O lives in [`domain`]: the table of statuses is
//! [`domain::status::apply`], the course of a delivery [`domain::delivery`].
//!
//! [`app`] builds all of it once and owns the order of stopping; [`config`] has every setting;
//! [`clock`] is the only place that reads the time. docs/ARCHITECTURE.md has the whole map.

#![allow(
    clippy::duplicate_mod,
    reason = "the queries are compiled once for each database"
)]

pub mod app;
pub mod audio;
pub mod carrier;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crash;
pub mod domain;
pub mod gather;
pub mod grpc;
pub mod http;
pub mod intake;
pub mod memory;
pub mod ops;
pub mod readiness;
pub mod secret;
pub mod storage;
pub mod telemetry;
pub mod wake;
pub mod worker;
