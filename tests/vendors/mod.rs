//! Played vendors: HTTP servers on loopback that behave as VoiceDrop, Drop Cowboy and Slybroadcast
//! are described to. They judge each request strictly, fetch recordings by their links, call back,
//! and break off in every way that a test asks for. They are written from the vendors' descriptions
//! and never from the adapters, so that the two can disagree.
//!
//! A test starts one (`VoiceDrop::start`), scripts it (`desk.play`, `desk.play_for`), and reads what
//! it has seen (`desk.requests`, `taken`, `drops`, `callbacks`, `wrongs`). Without a script the
//! recipient's number decides: see `table::TABLE`. By hand: `cargo run --example ringless-vendors`.
//!
//! Where the descriptions are silent, the answer is a plausible guess; the vendor's file says so.
#![allow(
    dead_code,
    reason = "each of the programs that include this uses a part of it"
)]

pub mod call;
pub mod client;
pub mod desk;
pub mod drop_cowboy_v1;
pub mod drop_cowboy_v2;
pub mod fetch;
pub mod fields;
pub mod play;
pub mod record;
pub mod say;
pub mod serve;
pub mod slybroadcast;
pub mod table;
pub mod voicedrop;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;

use desk::{Common, Desk, Dialect};
use play::Answer;
use serve::{Server, bind};

/// Settings of a service that has nothing but played vendors: whatever the purpose, it may send at any hour.
pub const ANY_HOUR: &str = r#"
[purposes.healthcare]
federal_hours = false
state_hours = false
margin_minutes = 0
caps = []
acknowledge = "the vendors are played on this machine"

[purposes.informational]
federal_hours = false
state_hours = false
margin_minutes = 0
acknowledge = "the vendors are played on this machine"

[purposes.marketing]
federal_hours = false
state_hours = false
margin_minutes = 0
caps = []
consent = "none"
acknowledge = "the vendors are played on this machine"

[purposes.other]
federal_hours = false
state_hours = false
margin_minutes = 0
acknowledge = "the vendors are played on this machine"
"#;

/// A vendor that runs. It stops, with everything it still had to say, when this is dropped.
pub struct Played<V> {
    pub desk: Arc<Desk>,
    pub vendor: Arc<V>,
    server: Option<Server>,
}

impl<V> Played<V> {
    async fn start(
        name: &'static str,
        common: Common,
        dialect: impl Dialect,
        make: impl FnOnce(Arc<Desk>) -> (Arc<V>, Router),
    ) -> io::Result<Played<V>> {
        let listener = bind(common.addr).await?;
        let desk = Desk::new(name, common, listener.local_addr()?, dialect)?;
        let (vendor, router) = make(desk.clone());
        let server = Some(Server::start(listener, router));
        desk.go_on();
        Ok(Played {
            desk,
            vendor,
            server,
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.desk.addr
    }

    /// From now on connections are refused, and nothing more is said. The record stays readable.
    pub fn stop(&mut self) {
        self.server = None;
        self.desk.stop();
    }
}

impl<V> Drop for Played<V> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// No route of the vendor's.
async fn not_found(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    nothing_there(&desk, request, 404, "no such path").await
}

async fn not_allowed(desk: Arc<Desk>, request: Request) -> Response {
    nothing_there(&desk, request, 405, "the path has no such method").await
}

async fn nothing_there(desk: &Desk, request: Request, status: u16, why: &str) -> Response {
    match desk.read(request).await {
        Ok(call) => {
            desk.wrong(&call, why);
            Answer::json(status, &json!({ "message": why })).response()
        }
        Err(response) => response,
    }
}
