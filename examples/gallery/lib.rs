//! A small photo gallery: sign up, log in, upload photos, look at them.
//!
//! It is the kind of service that stops its own event loop when nobody pays attention: passwords
//! are hashed with argon2, photos live in SQLite, thumbnails are computed from every upload. Here
//! each of these is an ordinary synchronous function under one attribute:
//!
//! - `#[offload(thread)]` where it waits: everything that talks to the [database](Db);
//! - `#[offload(cpu)]` where it computes: password hashes and thumbnails.
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
mod thumbnails;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::map_response,
    response::Html,
    routing::{get, post},
};

pub use accounts::{MAX_NAME, MAX_PASSWORD, MIN_PASSWORD};
pub use database::Db;
pub use photos::MAX_TITLE;
pub use problem::Problem;
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
        .route("/metrics", get(numbers::metrics))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(map_response(problem::unify))
        .with_state(db)
}
