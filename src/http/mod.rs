//! HTTP beside gRPC: the admin side (is it alive, is it ready, metrics), and the public side, on
//! which carriers call back and fetch audio, and opt-out lines tell of numbers. All routes stand here.

mod admin;
mod audio;
mod callbacks;
mod opt_outs;
mod serve;
mod strangers;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

pub use admin::Admin;
pub use callbacks::{Ears, LeftOver};
pub use opt_outs::{OptOutDoor, OptOutDoors};
pub use serve::serve_public;
pub use strangers::Strangers;

use crate::domain::links::{LinkKeys, TokenKey};
use crate::storage::Store;

/// What the public side is made of.
#[derive(Clone)]
pub struct Public {
    pub store: Store,
    pub ears: Ears,
    pub tokens: TokenKey,
    pub links: LinkKeys,
    pub opt_outs: OptOutDoors,
    pub strangers: Strangers,
    /// At once.
    pub downloads: audio::Downloads,
}

impl Public {
    pub fn new(
        store: Store,
        ears: Ears,
        tokens: TokenKey,
        links: LinkKeys,
        opt_outs: OptOutDoors,
    ) -> Public {
        Public {
            strangers: Strangers::new(ears.metrics.clone()),
            downloads: audio::Downloads::default(),
            store,
            ears,
            tokens,
            links,
            opt_outs,
        }
    }
}

/// The routes of the admin side.
pub fn admin(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(admin::readyz))
        .route("/metrics", get(admin::metrics))
        .with_state(admin)
}

/// The routes of the public side. Whatever is not known is an empty 404.
pub fn public(public: Public) -> Router {
    Router::new()
        .route(
            "/callbacks/{carrier}/{token}",
            get(callbacks::callback).post(callbacks::callback),
        )
        .route("/webhooks/{carrier}", post(callbacks::webhook))
        .route("/opt-outs/{token}", post(opt_outs::opt_out))
        .route("/audio/{voicemail}/{file}", get(audio::audio))
        .fallback(any(nothing))
        .method_not_allowed_fallback(nothing)
        .with_state(public)
}

async fn nothing() -> Response {
    StatusCode::NOT_FOUND.into_response()
}
