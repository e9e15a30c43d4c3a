//! A small photo gallery: sign up, log in, upload photos, look at them.
//!
//! It is the kind of service that stops its own event loop when nobody pays attention: passwords
//! are hashed with argon2, photos live in SQLite, thumbnails are computed from every upload. Here
//! each of these is an ordinary synchronous function under one attribute:
//!
//! - `#[offload(thread)]` where it waits: everything that talks to the database, and borrows a
//!   connection of it (`database::DB`);
//! - `#[offload(cpu)]` where it computes: password hashes and thumbnails;
//! - `#[offload(process)]` where nobody knows what it does: scripts of users, which make tags of
//!   a photo's description, and may loop for ever or eat all memory.
//!
//! An album leaves as a zip that is made while the client reads it (`export`). The copy of a photo that
//! sharp screens show is made ahead, by a call that is started and that nobody awaits (`copies`).
//!
//! Where there is a server of NATS, thumbnails are made by workers, on other machines say (`makers`), and the page shows
//! who made which: `#[offload(remote)]`.
//!
//! Password hashes have a pool of two threads and a queue, since each takes 19 MiB while it is hashed; thumbnails have a
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
mod export;
mod makers;
mod numbers;
mod page;
mod photos;
mod problem;
mod sandbox;
mod scripts;
mod serve;
mod thumbnails;
mod turns;

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    middleware::{from_extractor_with_state, from_fn, map_response},
    routing::{get, post, put},
};
use tower_http::{
    csrf::CsrfLayer, set_header::SetResponseHeaderLayer, timeout::TimeoutLayer, trace::TraceLayer,
};
use tracing::Span;
use turns::Turns;

pub use accounts::{MAX_NAME, MAX_PASSWORD, MIN_PASSWORD};
pub use copies::{SHARP, WIDTHS};
pub use database::open;
pub use photos::{MAX_DESCRIPTION, MAX_TITLE};
pub use problem::Problem;
pub use sandbox::{MAX_TAG, MAX_TAGS, SCRIPT_MEMORY, SCRIPT_TIME};
pub use scripts::MAX_SCRIPT;
pub use serve::serve;
pub use thumbnails::{LONGEST_SIDE, MAX_PIXELS};

/// The largest photo that is taken, in bytes.
pub const MAX_BODY: usize = 10 * 1024 * 1024;
/// The largest body of all other requests, in bytes: a script, in characters of four bytes.
pub const MAX_TEXT: usize = 4 * MAX_SCRIPT;

/// How long a request may take, until its answer begins.
const TIME: Duration = Duration::from_secs(30);
/// The same for an upload, from wherever, and for a burst.
const LONG_TIME: Duration = Duration::from_secs(120);

/// The whole application, ready to be [served](serve()) when the database is [open].
pub fn app() -> Router {
    let shared = Shared {
        scripts: Turns::new(1),
        exports: Turns::new(export::EACH),
        log_ins: Turns::new(accounts::LOG_INS),
    };
    // It tells how busy the server is, and with what, or makes it so: that is not for everybody.
    let only_users = from_extractor_with_state::<accounts::User, _>(shared.clone());
    let inside = Router::new()
        .nest("/offload", offload_runtime::axum::dashboard())
        .route("/metrics", get(numbers::metrics))
        .route("/burst/{way}", post(burst::burst).layer(within(LONG_TIME)))
        // Of these routes alone: what is nowhere is so for everybody.
        .route_layer(only_users);
    let pictures = Router::new()
        .route("/photos/{id}", get(photos::photo))
        .route("/photos/{id}/thumbnail", get(photos::thumbnail))
        .route("/photos/{id}/copies/{width}", get(copies::copy))
        .layer(from_fn(photos::unless_known));
    let upload = Router::new()
        .route("/photos", post(photos::upload))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(within(LONG_TIME));
    let quick = Router::new()
        .merge(page::files())
        .route("/accounts", post(accounts::sign_up))
        .route("/session", get(accounts::who_am_i).post(accounts::log_in).delete(accounts::log_out))
        .route("/visitor", get(accounts::visitor))
        .route("/photos", get(photos::list))
        .route("/photos/{id}/description", put(photos::describe))
        .route("/photos/{id}/tags", post(scripts::tag))
        .route("/album/copies", post(copies::copy_album))
        .route("/album.zip", get(export::album))
        .route("/script", get(scripts::read).put(scripts::write))
        .route("/ping", get(burst::ping))
        .merge(pictures)
        .layer(within(TIME));
    Router::new()
        .merge(upload)
        .merge(quick)
        .merge(inside)
        .layer(DefaultBodyLimit::max(MAX_TEXT))
        // Who is logged in is known by a cookie, which a browser sends along from other sites, too.
        .layer(CsrfLayer::new())
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, NO_STORE))
        .layer(map_response(problem::unify))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .with_state(shared)
}

/// What a browser may keep says so itself.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

fn within(time: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, time)
}

/// What is logged while a request is served names it. A query may hold what is nobody's business.
fn span(request: &Request) -> Span {
    tracing::info_span!("request", method = %request.method(), path = request.uri().path())
}

/// What handlers share.
#[derive(Clone)]
struct Shared {
    /// Scripts that run, counted for each user.
    scripts: Turns<i64>,
    /// Downloads of albums, counted for each user.
    exports: Turns<i64>,
    /// Attempts to log in, counted for each name.
    log_ins: Turns<String>,
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use axum::body::{Body, Bytes};
    use futures::stream;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use tokio::time::{Instant, pause};

    use super::*;

    /// On tokio's paused clock, which jumps to the next timer when no task is ready.
    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let app = TowerToHyperService::new(app());
        pause();
        for path in ["/session", "/accounts"] {
            let never = stream::pending::<Result<Bytes, std::io::Error>>();
            let request = Request::post(path).header("content-type", "application/json");
            let start = Instant::now();
            let answer = app.call(request.body(Body::from_stream(never)).unwrap()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            assert!(start.elapsed() < TIME + Duration::from_secs(1), "{:?}", start.elapsed());
        }
    }

    /// The clock is paused, and so jumps to the next timer, from the first time that the body of the request is polled.
    #[tokio::test]
    async fn an_upload_that_never_ends_is_given_up_after_its_own_time() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path().to_owned()).await.unwrap();
        let app = TowerToHyperService::new(app());
        let anna = r#"{"name": "Anna", "password": "correct horse"}"#;
        let account = Request::post("/accounts").header("content-type", "application/json");
        let answer = app.call(account.body(Body::from(anna)).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();

        let mut is_asked = false;
        let never = stream::poll_fn(move |_| -> Poll<Option<Result<Bytes, std::io::Error>>> {
            if !std::mem::replace(&mut is_asked, true) {
                pause();
            }
            Poll::Pending
        });
        let upload = Request::post("/photos?name=endless").header("cookie", cookie);
        let start = Instant::now();
        let answer = app.call(upload.body(Body::from_stream(never)).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        assert!(start.elapsed() >= LONG_TIME, "{:?}", start.elapsed());
    }
}
