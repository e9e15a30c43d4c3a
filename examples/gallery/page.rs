//! The page: a few files that are part of the program.

use axum::{
    Router,
    http::{HeaderName, header},
    routing::get,
};

/// It may load and call what is of this server, and nothing else; no script or style in the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

const FILES: [(&str, &str, &str); 8] = [
    ("/", HTML, include_str!("page/page.html")),
    ("/page.css", CSS, include_str!("page/page.css")),
    ("/page.js", JS, include_str!("page/page.js")),
    ("/call.js", JS, include_str!("page/call.js")),
    ("/heartbeat.js", JS, include_str!("page/heartbeat.js")),
    ("/album.js", JS, include_str!("page/album.js")),
    ("/uploads.js", JS, include_str!("page/uploads.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

pub(crate) fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, media_type, content)| {
        let headers: [(HeaderName, &str); 5] = [
            (header::CONTENT_TYPE, media_type),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        router.route(path, get((headers, content)))
    })
}
