//! A small photo gallery: sign up, log in, upload photos, look at them.
//!
//! It is the kind of service that stops its own event loop when nobody pays attention: passwords
//! are hashed with argon2, photos live in SQLite, thumbnails are computed from every upload. Here
//! each of these is an ordinary synchronous function under one attribute:
//!
//! - `#[offload(thread)]` where it waits: everything that talks to the [database](Db);
//! - `#[offload(cpu)]` where it computes: password hashes and thumbnails;
//! - `#[offload(process)]` where nobody knows what it does: scripts of users, which make tags of
//!   a photo's description, and may loop for ever or eat all memory.
//!
//! Passwords have a limit and a queue, since each takes 19 MiB while it is hashed; thumbnails have a
//! deadline, and stop early when the client has gone. [Copies](WIDTHS) of a whole album are long work,
//! which says how far it is while it runs, and can be cancelled.
//!
//! The page shows the heartbeat of the server, and what becomes of it when work is done where it
//! should not be (`burst`). The runtime's dashboard is at `/offload`, for those who are logged in.
//!
//! A handler that needs one of the two carries the attribute itself, and is routed as it stands
//! (`photos::list`). A handler that needs both is an `async fn` that awaits them one after the
//! other (`photos::upload`).

mod accounts;
mod burst;
mod copies;
mod database;
mod numbers;
mod page;
mod photos;
mod problem;
mod sandbox;
mod scripts;
mod serve;
mod thumbnails;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    middleware::{from_extractor_with_state, map_response},
    routing::{get, post, put},
};

pub use accounts::{MAX_NAME, MAX_PASSWORD, MIN_PASSWORD};
pub use copies::WIDTHS;
pub use database::Db;
pub use photos::{MAX_DESCRIPTION, MAX_TITLE};
pub use problem::Problem;
pub use sandbox::{MAX_TAG, MAX_TAGS, SCRIPT_MEMORY, SCRIPT_TIME};
pub use scripts::MAX_SCRIPT;
pub use serve::serve;
pub use thumbnails::{LONGEST_SIDE, MAX_PIXELS};

/// The largest body that a request may have, in bytes.
pub const MAX_BODY: usize = 10 * 1024 * 1024;

/// The whole application, ready for [`axum::serve()`].
pub fn app(db: Db) -> Router {
    let shared = Shared { db, turns: scripts::Turns::default() };
    // It tells how busy the server is, and with what: not to everybody.
    let only_users = from_extractor_with_state::<accounts::User, _>(shared.clone());
    Router::new()
        .merge(page::files())
        .route("/accounts", post(accounts::sign_up))
        .route("/session", get(accounts::who_am_i).post(accounts::log_in).delete(accounts::log_out))
        .route("/visitor", get(accounts::visitor))
        .route("/photos", get(photos::list).post(photos::upload))
        .route("/photos/{id}", get(photos::photo))
        .route("/photos/{id}/thumbnail", get(photos::thumbnail))
        .route("/photos/{id}/description", put(photos::describe))
        .route("/photos/{id}/tags", post(scripts::tag))
        .route("/photos/{id}/copies/{width}", get(copies::copy))
        .route("/album/copies", post(copies::copy_album))
        .route("/script", get(scripts::read).put(scripts::write))
        .route("/ping", get(burst::ping))
        .route("/burst/{way}", post(burst::burst))
        .nest("/offload", offload_runtime::axum::dashboard().layer(only_users))
        .route("/metrics", get(numbers::metrics))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(problem::unify))
        .with_state(shared)
}

/// What handlers share.
#[derive(Clone)]
struct Shared {
    db: Db,
    turns: scripts::Turns,
}

impl FromRef<Shared> for Db {
    fn from_ref(shared: &Shared) -> Db {
        shared.db.clone()
    }
}

impl FromRef<Shared> for scripts::Turns {
    fn from_ref(shared: &Shared) -> scripts::Turns {
        shared.turns.clone()
    }
}
