//! The photo gallery as a program: `cargo run --bin gallery`.
//!
//! `GALLERY_ADDR` is where it listens (127.0.0.1:3000), `GALLERY_DATA` is the folder that it keeps
//! everything in (`gallery-data`). Ctrl-C stops it. It needs Unix, as the kind `process` does.

use std::{env, io, time::Duration};

use anyhow::Context;
use gallery::Db;
use offload_runtime::axum::close_dashboard;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// How long requests may still take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);

#[offload_runtime::main]
async fn main() -> anyhow::Result<()> {
    let address = env::var("GALLERY_ADDR").unwrap_or("127.0.0.1:3000".to_owned());
    let folder = env::var_os("GALLERY_DATA").unwrap_or("gallery-data".into());

    // The dashboard shows how late the event loop is, also what was before somebody looks.
    offload_runtime::watch()?;
    let db = Db::open(folder.clone().into()).await?;
    let listener = TcpListener::bind(&address)
        .await
        .with_context(|| format!("cannot listen at GALLERY_ADDR={address}"))?;
    let (stop, give_up) = (asked_to_stop()?, asked_to_stop()?);
    println!(
        "The gallery is open at http://{}, its data is in {}. Ctrl-C stops it.",
        listener.local_addr()?,
        folder.display(),
    );

    let stop = async {
        stop.await;
        close_dashboard(); // those who look at it would keep the server open
    };
    let serve = axum::serve(listener, gallery::app(db)).with_graceful_shutdown(stop);
    tokio::select! {
        served = serve => served?,
        () = async { give_up.await; sleep(GRACE).await } => eprintln!("Some requests were cut off."),
    }
    let report = offload_runtime::shutdown(GRACE).await;
    if report.abandoned > 0 {
        eprintln!("{} calls were abandoned.", report.abandoned);
    }
    Ok(())
}

/// Ready when Ctrl-C is pressed, or the process is told to terminate.
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    })
}
