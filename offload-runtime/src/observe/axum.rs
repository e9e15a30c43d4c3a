//! What axum gets: [`Error`] as a response, and a [`dashboard`].

use ::axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use ::axum::http::{HeaderValue, StatusCode};
use ::axum::response::{IntoResponse, Response};

pub use super::dashboard::{close_dashboard, dashboard, dashboard_with_messages};
use crate::error::{Error, ErrorKind, Ran};

/// As `application/problem+json`:
///
/// | kind | status |
/// | --- | --- |
/// | `Overloaded`, `ShuttingDown`, `TimedOut` or `Unavailable` before the start | 503, with `Retry-After: 1` |
/// | `TimedOut` while the body ran | 504 |
/// | the rest | 500 |
///
/// The client is told no more than the status says: no name, no message, no
/// path. With the feature `tracing`, all of it goes to the log, at the level
/// of a warning.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, detail) = match (self.kind(), self.ran()) {
            (ErrorKind::Overloaded, _)
            | (ErrorKind::TimedOut | ErrorKind::Unavailable, Ran::No) => {
                (StatusCode::SERVICE_UNAVAILABLE, "The server is busy. Try again in a moment.")
            }
            (ErrorKind::ShuttingDown, _) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The server is restarting. Try again in a moment.",
            ),
            (ErrorKind::TimedOut, _) => {
                (StatusCode::GATEWAY_TIMEOUT, "The work took too long and was given up.")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on the server."),
        };
        #[cfg(feature = "tracing")]
        tracing::warn!(
            target: "offload",
            function = self.function(),
            kind = ?self.kind(),
            ran = ?self.ran(),
            status = status.as_u16(),
            "{self}"
        );
        let title = status.canonical_reason().unwrap_or_default();
        let code = status.as_u16();
        // Nothing in it needs to be escaped.
        let body = format!(r#"{{"title":"{title}","status":{code},"detail":"{detail}"}}"#);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
