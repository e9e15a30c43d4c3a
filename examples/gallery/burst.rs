//! The demonstration: the same real work for a crowd of visitors, done four ways.
//!
//! While it is under way, the page measures how long the server takes to answer a [`ping`]. A
//! service of yours needs none of this.

use std::{io::Cursor, sync::LazyLock, thread::available_parallelism, time::Instant};

use axum::{Json, extract::Path, http::StatusCode};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use offload_runtime::{Error, offload, to_cpu};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, task::JoinSet};

use crate::Problem;

/// The visitors of a burst for each core: enough to keep any machine busy for a while.
const VISITORS: u32 = 20;

/// The heartbeat: it does nothing, so the time it takes is the event loop's.
pub(crate) async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// How the work is done.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Inline,
    Thread,
    Cpu,
    Process,
}

#[derive(Serialize)]
pub(crate) struct Burst {
    visitors: u32,
    seconds: f64,
}

/// Serves the crowd. The answer comes when the last of it is served.
pub(crate) async fn burst(Path(way): Path<Way>) -> Result<Json<Burst>, Problem> {
    static UNDER_WAY: Mutex<()> = Mutex::const_new(());
    let _alone = UNDER_WAY.try_lock().map_err(|_| Problem::BurstUnderWay)?;
    let _photo: &DynamicImage = to_cpu(|| LazyLock::force(&PHOTO)).await; // the crowd would wait for it
    let cores = available_parallelism().map_or(1, usize::from);
    let visitors = VISITORS * u32::try_from(cores).expect("cores can be counted");
    let start = Instant::now();
    let mut crowd = JoinSet::new();
    for visitor in 0..visitors {
        match way {
            Way::Inline => crowd.spawn(inline(visitor)),
            Way::Thread => crowd.spawn(async move { Ok(on_thread(visitor).await) }),
            Way::Cpu => crowd.spawn(async move { Ok(on_cpu(visitor).await) }),
            Way::Process => crowd.spawn(in_process(visitor)),
        };
    }
    while let Some(served) = crowd.join_next().await {
        served.expect("the work does not panic")?;
    }
    Ok(Json(Burst { visitors, seconds: start.elapsed().as_secs_f64() }))
}

/// The mistake: an async function that computes. Nothing else is served meanwhile. The span is what
/// the dashboard and the log name as the place where the loop is stuck.
#[tracing::instrument]
async fn inline(visitor: u32) -> Result<usize, Error> {
    Ok(develop(visitor))
}

/// It computes and does not wait, so this is the wrong word. The loop goes on, and has to share the
/// cores with as many threads as there are visitors.
#[offload(thread)]
fn on_thread(visitor: u32) -> usize {
    develop(visitor)
}

#[offload(cpu)]
fn on_cpu(visitor: u32) -> usize {
    develop(visitor)
}

#[offload(process)]
fn in_process(visitor: u32) -> Result<usize, Error> {
    Ok(develop(visitor))
}

static PHOTO: LazyLock<DynamicImage> = LazyLock::new(|| {
    let pixel = |x, y| Rgb([x, y, x ^ y].map(|part: u32| part.to_le_bytes()[0]));
    RgbImage::from_fn(900, 600, pixel).into()
});

/// Makes a print of a photo: turns its colours, sizes it, encodes it. Returns the file's size.
fn develop(visitor: u32) -> usize {
    let degrees = i32::try_from(visitor % 360).expect("a circle is small");
    let print = PHOTO.huerotate(degrees).thumbnail(300, 200);
    let mut file = Vec::new();
    print.write_to(&mut Cursor::new(&mut file), ImageFormat::Jpeg).expect("memory takes it");
    file.len()
}
