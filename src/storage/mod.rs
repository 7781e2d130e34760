//! Where everything durable is: SQLite by default, Postgres where one machine is outgrown.
//!
//! A unit of work is a closure over [`Tx`]: `store.read(|tx| …)`, `store.read_one_moment(|tx| …)`
//! where several statements have to fit together, or `store.write(|tx| …)`. A write is one
//! transaction, committed when the closure gives `Ok` and rolled back when it gives `Err`.
//! Blocking work runs on tokio's blocking threads, never on its own; at most as many units as
//! there are connections run at once, and waiting for one is bounded.
//!
//! The traits below are the whole of what the rest of the program may ask for. The queries are
//! written once, in `queries/`, and compiled for each engine (`pg.rs`, `sqlite.rs`).

mod bell;
mod error;
mod libpq;
mod pg;
mod plans;
mod prepared;
pub mod schema;
mod sqlite;
mod store;
mod traits;
mod url;
mod values;

pub use bell::{Bell, Listener, Ring, Ringer};
pub use error::{Error, Result, StorageFault};
pub use store::{SchemaDifference, Store, StoreOptions};
pub use traits::*;
pub use url::DatabaseUrl;
