//! The photo gallery as a program: `cargo run --bin gallery`.
//!
//! `GALLERY_ADDR` is where it listens (127.0.0.1:3000), `GALLERY_DATA` is the folder that it keeps
//! everything in (`gallery-data`), `RUST_LOG` is what it logs (`info`). Ctrl-C stops it, a second
//! one at once. Its exit code is 0 only if nothing was cut off. It needs Unix, as the kind
//! `process` does.

use std::{
    cell::OnceCell,
    env,
    io::{self, IsTerminal},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use offload_runtime::{Builder, WatchLayer, axum::close_dashboard};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};
use tracing_subscriber::{filter::Targets, fmt, prelude::*};

/// How long all may take after Ctrl-C. Docker kills ten seconds after it has asked.
const TIME: Duration = Duration::from_secs(8);
/// How long requests may still take of that. The rest is for what they have left in the pools.
const REQUESTS_TIME: Duration = Duration::from_secs(6);

#[offload_runtime::main]
async fn main() -> anyhow::Result<ExitCode> {
    // All settings are read before anything starts: one that makes no sense is told at once.
    let address = env::var("GALLERY_ADDR").unwrap_or("127.0.0.1:3000".to_owned());
    let folder = env::var_os("GALLERY_DATA").unwrap_or("gallery-data".into());
    let log = env::var("RUST_LOG").unwrap_or("info".to_owned());
    let log: Targets = log.parse().with_context(|| format!("cannot understand RUST_LOG={log}"))?;
    Builder::new().install()?;

    let lines = fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    // It tells in which span the event loop is stuck, whatever is logged.
    tracing_subscriber::registry().with(lines.with_filter(log)).with(WatchLayer::new()).init();
    // The dashboard shows how late the event loop is, also what was before somebody looks.
    offload_runtime::watch()?;

    gallery::open(folder.clone().into()).await?;
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("cannot listen at GALLERY_ADDR={address}"))?;
    let mut asked = Asked::new()?;
    println!(
        "The gallery is open at http://{}, its data is in {}. Ctrl-C stops it.",
        listener.local_addr()?,
        folder.display(),
    );

    let (tell, told) = oneshot::channel();
    let stopped = OnceCell::new();
    let stop = async {
        let _ = told.await;
        let _ = stopped.set(Instant::now());
        close_dashboard(); // those who look at it would keep the server open
    };
    let served = async {
        let cut_off = gallery::serve(listener, gallery::app(), stop, REQUESTS_TIME).await;
        let left = TIME.saturating_sub(stopped.get().map_or(Duration::ZERO, Instant::elapsed));
        (cut_off, offload_runtime::shutdown(left).await.abandoned)
    };
    let asked_twice = async {
        asked.once().await;
        let _ = tell.send(());
        asked.once().await;
    };
    let (cut_off, abandoned) = tokio::select! {
        left = served => left,
        () = asked_twice => {
            tracing::error!("It was asked twice, and stops at once.");
            return Ok(ExitCode::FAILURE);
        }
    };
    if (cut_off, abandoned) == (0, 0) {
        return Ok(ExitCode::SUCCESS);
    }
    tracing::error!("{cut_off} connections were cut off, {abandoned} calls abandoned.");
    Ok(ExitCode::FAILURE)
}

/// Ctrl-C, and what tells a process to terminate.
struct Asked {
    interrupt: Signal,
    terminate: Signal,
}

impl Asked {
    fn new() -> io::Result<Asked> {
        Ok(Asked {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn once(&mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}
