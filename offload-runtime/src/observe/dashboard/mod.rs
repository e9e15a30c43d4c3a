//! The dashboard: one page, its parts, the numbers as JSON, and the same numbers
//! once a second while somebody looks.

mod notes;
mod process;
mod recent;
mod subscribers;
mod view;

use ::axum::Router;
use ::axum::body::{Body, Bytes};
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

const SCRIPT: &str = "text/javascript";

/// A page that shows what the pools, the functions and the event loop do, live.
///
/// ```
/// use axum::Router;
///
/// let app: Router = Router::new().nest("/offload", offload_runtime::axum::dashboard());
/// ```
///
/// Open `/offload`. It shows, once a second: which process it is, since when it runs and whether it
/// shuts down; what went wrong last, and when; the lag of the event loop over the
/// last minutes and what blocked its workers; each pool with its threads, running and
/// queued calls and its limit, a remote one with its workers and the calls in its stream, in programs that
/// call and in workers; each function with what runs and waits now, the age of
/// its oldest body, its rate, its queue wait and run time, for which share of their time its bodies
/// wait for a processor, and how its calls ended. A function of the wrong kind, or near its
/// limit, stands out, and the page says why. A button copies all of it as text, for a report.
///
/// # Who may see it
///
/// **Put it behind your application's own authentication**, with a
/// [layer](::axum::Router::layer) on what this returns. It shows the names of the host, of the
/// program, of functions, pools, threads and spans, and how busy the server is: no
/// argument, no result, no message, no path of a file. It changes nothing: all
/// it answers is `GET`. [`dashboard_with_messages`] is for those who may see the messages of errors
/// and panics, too.
///
/// # The same as JSON
///
/// `/offload/stats.json` has all that the page shows. Units are in the names: `_seconds` are seconds, with
/// fractions, `_unix_seconds` such since 1970 UTC, a `_share` is from 0 to 1; all else are counts. What is not
/// known is `null`. Fields may be added in any version.
///
/// | field | what it has |
/// | --- | --- |
/// | `taken_at_unix_seconds` | when the numbers were taken |
/// | `process` | `host`, `program`, `pid`, `offload_version`, `uptime_seconds` (since the process began on Linux, elsewhere since the dashboard was made), `is_shutting_down` |
/// | `pools[]` | `name`, `kind`, `threads`, `idle`, `running`, `queued`, `limit`, `queue_limit`, as in [`PoolStats`](crate::PoolStats); `workers`, `null` or the fields of `WorkerStats` (feature `process`); `remote` (feature `remote`); `notes[]` |
/// | `pools[].remote` | `null`, or what this process has seen of the pool at its server, in which it calls, or is a worker: `workers` that are there; `waiting`, calls of all programs in the stream, and `oldest_seconds`, since when the first of them waits; `redelivered`, `unawaited`, `serving`, `slots`, as in `RemoteStats` |
/// | `functions[]` | the counts of [`FunctionStats`](crate::FunctionStats), its `limit` and `queue`; `longest_running_seconds`; `wait_seconds` and `run_seconds`, each with `p50`, `p90`, `p99` and `max`, since the first call; `computing_share`, `processor_wait_share`, `better_kind`; `last_minute`; `notes[]` |
/// | `functions[].last_minute` | `null`, unless somebody has looked for a while: `over_seconds`, `started_per_second` (of the last five), `started`, `refused`, `timed_out`, `panicked`, `died`; `wait_seconds` and `run_seconds`, each `null` or with `p50` and `p99` |
/// | `resources[]` | the fields of [`ResourceStats`](crate::ResourceStats) |
/// | `loops[]` | `flavor`, `workers`, `stuck_workers`; `lag_seconds`, as `wait_seconds`; `longest_lag_seconds[]`, of each of the last 300 seconds; `stalls[]`: `thread`, `doing` (`computing`, `waiting`, `starved`, `unknown`), `system_call`, `spans[]`, `count`, `longest_seconds` |
/// | `incidents[]` | the last 20, the last first: `what` (`panicked`, `died`, `refused`, `timed_out`, `stalled`, `starved`), `function` or `span`, `first_unix_seconds`, `last_unix_seconds`, `times` (about), `message` |
/// | `notes[]` | what stands out: `level` (`bad`, `warn`), `text` |
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
/// page asks again. The last says that the server is shutting down, with the numbers of that moment. If your server shuts down first and the pools after it,
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
    router(false)
}

/// The [`dashboard`], with the messages of what went wrong last: of panics, of errors that calls were
/// answered by, of processes that died with the last lines of their output.
///
/// **They may have anything in them**, as a log may: arguments, paths, what users wrote. Put it where only
/// those are let in who may read the log.
///
/// ```
/// use axum::Router;
///
/// # let only_admins = axum::middleware::from_fn(async |request, next: axum::middleware::Next| next.run(request).await);
/// let app: Router = Router::new()
///     .nest("/admin/offload", offload_runtime::axum::dashboard_with_messages().layer(only_admins));
/// ```
pub fn dashboard_with_messages<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    router(true)
}

fn router<S>(has_messages: bool) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    // From now on it is known how long the process runs.
    let _ = process::uptime();
    Router::new()
        .route("/", get(to_page))
        .route(
            "/live",
            get(async || answer("text/html; charset=utf-8", include_str!("page/index.html"))),
        )
        .route("/style.css", get(async || answer("text/css", include_str!("page/style.css"))))
        .route("/parts.js", get(async || answer(SCRIPT, include_str!("page/parts.js"))))
        .route("/script.js", get(async || answer(SCRIPT, include_str!("page/script.js"))))
        .route("/report.js", get(async || answer(SCRIPT, include_str!("page/report.js"))))
        .route("/stats.json", get(async move || answer("application/json", latest(has_messages))))
        .route("/events", get(async move || events(has_messages)))
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

fn latest(has_messages: bool) -> Bytes {
    let latest = subscribers::latest();
    if has_messages { latest.with_messages } else { latest.plain }
}

/// The numbers once a second, as server-sent events. A proxy that gathers or
/// packs what it passes on would hold them back: it is told not to.
fn events(has_messages: bool) -> Response {
    match Feed::open(has_messages) {
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
