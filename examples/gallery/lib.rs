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
//! deadline, and stop early when the client has gone.
//!
//! A handler that needs one of the two carries the attribute itself, and is routed as it stands
//! (`photos::list`). A handler that needs both is an `async fn` that awaits them one after the
//! other (`photos::upload`).

mod accounts;
mod database;
mod numbers;
mod photos;
mod problem;
mod sandbox;
mod scripts;
mod thumbnails;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    middleware::map_response,
    response::Html,
    routing::{get, post, put},
};

pub use accounts::{MAX_NAME, MAX_PASSWORD, MIN_PASSWORD};
pub use database::Db;
pub use photos::{MAX_DESCRIPTION, MAX_TITLE};
pub use problem::Problem;
pub use sandbox::{MAX_TAG, MAX_TAGS, SCRIPT_MEMORY, SCRIPT_TIME};
pub use scripts::MAX_SCRIPT;
pub use thumbnails::{LONGEST_SIDE, MAX_PIXELS};

/// The largest body that a request may have, in bytes.
pub const MAX_BODY: usize = 10 * 1024 * 1024;

/// The whole application, ready for [`axum::serve()`].
pub fn app(db: Db) -> Router {
    Router::new()
        .route("/", get(Html(include_str!("page.html"))))
        .route("/accounts", post(accounts::sign_up))
        .route("/session", get(accounts::who_am_i).post(accounts::log_in).delete(accounts::log_out))
        .route("/photos", get(photos::list).post(photos::upload))
        .route("/photos/{id}", get(photos::photo))
        .route("/photos/{id}/thumbnail", get(photos::thumbnail))
        .route("/photos/{id}/description", put(photos::describe))
        .route("/photos/{id}/tags", post(scripts::tag))
        .route("/script", get(scripts::read).put(scripts::write))
        .route("/metrics", get(numbers::metrics))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(problem::unify))
        .with_state(Shared { db, turns: scripts::Turns::default() })
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
