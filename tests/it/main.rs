//! Tests of the whole program but for the command line and outside clients. One binary, so that it
//! is linked once. Whatever touches a database runs on SQLite and on Postgres.
#![allow(clippy::unwrap_used, reason = "a test that fails should say where")]

mod support;
#[path = "../vendors/mod.rs"]
mod vendors;

mod audio_links;
mod batch;
mod batch_repeats;
mod caller_connections;
mod cancel_voicemails;
mod consents;
mod counting;
mod database_trouble;
mod delivery_in_doubt;
mod delivery_late;
mod delivery_steps;
mod failing_carriers;
mod failover;
mod fair_queue;
mod gates;
mod gates_of_recipients;
mod grpc_audio;
mod grpc_errors;
mod grpc_lists;
mod grpc_report;
mod grpc_resources;
mod grpc_sending;
mod indexes;
mod list_pages;
mod migrations;
mod model;
mod no_migrate;
mod opt_outs;
mod paused_use_cases;
mod poolers;
mod recovery;
mod report_counts;
mod senders;
mod serving;
mod store_audio;
mod store_conformance;
mod suppression_calls;
mod suppression_imports;
mod suppressions;
mod together;
mod update_voicemail;
mod vendors_accounts;
mod vendors_deliver;
mod vendors_doubt;
mod vendors_hooks;
mod vendors_speak;
mod wake;
