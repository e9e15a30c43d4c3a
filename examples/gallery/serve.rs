//! Serving: what connections may cost, and how they end.
//!
//! It is what `axum::serve` does, and limits beside it: for connections, for the time that a
//! request's head may take, for the time that a client may take nothing of an answer, and for the
//! time that all of them have when the server stops.

use std::{pin::pin, time::Duration};

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tokio_io_timeout::TimeoutStream;

/// More connections than this wait until one of these has ended.
const MAX_CONNECTIONS: usize = 512;
/// How long the head of a request may take. An idle connection stays open as long.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer that waits for it.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// How much is read of a connection before somebody takes it, in bytes. A head is no larger.
const BUFFER: usize = 32 * 1024;

/// Serves until `stop` is ready, and then what was asked before, for as long as `grace`. Returns
/// how many connections had to be cut off.
pub async fn serve(
    mut listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> usize {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(BUFFER);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (stream, _) = Listener::accept(&mut listener), if connections.len() < MAX_CONNECTIONS => {
                let _ = stream.set_nodelay(true); // lines of long work come one by one
                let service = TowerToHyperService::new(app.clone());
                let mut stream = TimeoutStream::new(stream);
                stream.set_write_timeout(Some(WRITE_TIME));
                let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
                connections.spawn(graceful.watch(connection));
            }
            Some(_) = connections.join_next() => {} // how it ended is the client's affair
            () = &mut stop => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(grace, async { tokio::join!(graceful.shutdown(), ended) }).await;
    let cut_off = connections.len();
    connections.shutdown().await; // no handler runs any more
    cut_off
}
