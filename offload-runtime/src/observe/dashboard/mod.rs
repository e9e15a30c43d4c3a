//! The dashboard: one page, its parts, the numbers as JSON, and the same numbers
//! once a second while somebody looks.

mod notes;
mod recent;
mod subscribers;
mod view;

use ::axum::Router;
use ::axum::body::Body;
use ::axum::extract::OriginalUri;
use ::axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use ::axum::http::{HeaderValue, StatusCode};
use ::axum::response::Response;
use ::axum::routing::get;

use self::subscribers::Feed;
pub use self::subscribers::close_dashboard;

/// What the page may load: its own script and style, and the numbers. It says
/// so itself, and works where the application demands as much.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// A page that shows what the pools, the functions and the event loop do, live.
///
/// ```
/// use axum::Router;
///
/// let app: Router = Router::new().nest("/offload", offload_runtime::axum::dashboard());
/// ```
///
/// Open `/offload`. It shows, once a second: the lag of the event loop over the
/// last minutes and what stopped it; each pool with its threads, running and
/// queued calls and its limit; each function with its rate, its queue wait and
/// run time, and how its calls ended. A function of the wrong kind, or near its
/// limit, stands out, and the page says why. The same is there as JSON, at
/// `/offload/stats.json`.
///
/// # Who may see it
///
/// **Put it behind your application's own authentication**, with a
/// [layer](::axum::Router::layer) on what this returns. It shows the names of
/// functions, pools, threads and spans, and how busy the server is: no
/// argument, no result, no message, no path of a file. It changes nothing: all
/// it answers is `GET`.
///
/// It loads nothing from elsewhere and has no inline script or style, so it
/// works under the policy `default-src 'none'; script-src 'self'; style-src
/// 'self'; connect-src 'self'`, which it sends itself.
///
/// # What it costs
///
/// Nothing while nobody looks. While somebody does, one thread takes the
/// numbers once a second, for all who look; and, with the feature `watch`, the
/// event loop is [watched](fn@crate::watch) as long. At most 16 may look at the
/// same time, the 17th is asked to wait.
///
/// # Its end
///
/// Who looks keeps a response open, which a graceful shutdown of the server
/// waits for. So these responses end when [`shutdown`](crate::shutdown) begins or
/// [`close_dashboard`] is called, and each by itself after 20 seconds, when the
/// page asks again. If your server shuts down first and the pools after it,
/// call `close_dashboard` in what tells the server to stop:
///
/// ```no_run
/// # async fn example(listener: tokio::net::TcpListener, app: axum::Router) -> std::io::Result<()> {
/// # async fn ctrl_c() {}
/// let stop = async {
///     ctrl_c().await;
///     offload_runtime::axum::close_dashboard();
/// };
/// axum::serve(listener, app).with_graceful_shutdown(stop).await?;
/// offload_runtime::shutdown(std::time::Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
pub fn dashboard<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/", get(to_page))
        .route(
            "/live",
            get(async || answer("text/html; charset=utf-8", include_str!("page/index.html"))),
        )
        .route("/style.css", get(async || answer("text/css", include_str!("page/style.css"))))
        .route(
            "/script.js",
            get(async || answer("text/javascript", include_str!("page/script.js"))),
        )
        .route("/stats.json", get(async || answer("application/json", subscribers::latest())))
        .route("/events", get(events))
}

/// To the page, which has to be beside its parts. It is said relative to what
/// the browser asked for, so that a proxy may serve it under another address.
async fn to_page(OriginalUri(uri): OriginalUri) -> Response {
    let mut response = status(StatusCode::TEMPORARY_REDIRECT);
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    let location = if last.is_empty() { "./live".to_owned() } else { format!("./{last}/live") };
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The numbers once a second, as server-sent events. A proxy that gathers or
/// packs what it passes on would hold them back: it is told not to.
async fn events() -> Response {
    match Feed::open() {
        Some(feed) => {
            let mut response = answer("text/event-stream", Body::new(feed));
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
            response
        }
        None => {
            let mut response = status(StatusCode::SERVICE_UNAVAILABLE);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}

fn status(status: StatusCode) -> Response {
    let mut response = answer("text/plain", status.canonical_reason().unwrap_or_default());
    *response.status_mut() = status;
    response
}

fn answer(kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
