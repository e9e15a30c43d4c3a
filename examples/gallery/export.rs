//! The export: all photos of a user in one file, which leaves as it is made.
//!
//! Its body writes, and so waits while the client reads slowly. That costs nobody else anything: it has
//! threads and connections of its own, and a photo at a time in memory; and a user has one export at a time.

use std::{
    io::{Seek, Write},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::IntoResponse,
};
use offload_runtime::{Resource, Sink, ThreadPool, offload};
use rusqlite::Connection;
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::{Problem, Shared, accounts::User, database::connect, turns::Turn};

/// The most exports at the same time. Further ones wait, without a thread.
const EXPORTS: usize = 4;
/// The most of one user, who else could keep all others waiting by reading nothing.
pub(crate) const EACH: usize = 1;

static THREADS: ThreadPool = ThreadPool::new("exports").threads(EXPORTS);
static CONNECTIONS: Resource<Connection> =
    Resource::new("exports", connect).size(EXPORTS).keep_alive(Duration::from_secs(60));

pub(crate) async fn album(
    State(shared): State<Shared>,
    user: User,
) -> Result<impl IntoResponse, Problem> {
    let turn = shared.exports.take(user.id).ok_or(Problem::ExportUnderWay)?;
    let headers = [
        (header::CONTENT_TYPE, "application/zip"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"album.zip\""),
    ];
    Ok((headers, Body::from_stream(zip(user, turn))))
}

/// Whoever takes nothing for half a minute, or has not got it all in ten, is cut off. The turn is over
/// when the body is, or when the call is dropped that waits for a thread.
#[offload(thread, stream, pool = THREADS, timeout = "10m", stall_timeout = "30s")]
fn zip(
    user: User,
    _turn: Turn<i64>,
    #[resource(CONNECTIONS)] db: &mut Connection,
    out: &mut Sink<Bytes>,
) -> Result<(), Problem> {
    let photos: Vec<i64> = db
        .prepare("SELECT id FROM photos WHERE owner = ?1 ORDER BY id")?
        .query_map([user.id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut zip = ZipWriter::new_stream(out);
    if let Err(problem) = photos.into_iter().try_for_each(|id| add(&mut zip, id, db)) {
        // Dropped, it would write an end, as if this were all; to a client that has gone it cannot.
        if !matches!(problem, Problem::Export(ZipError::Io(_))) {
            std::mem::forget(zip);
        }
        return Err(problem);
    }
    zip.finish()?;
    Ok(())
}

/// Reads one photo, and writes it. A query that stays open while the client reads would hold up the
/// database.
fn add<W: Write + Seek>(zip: &mut ZipWriter<W>, id: i64, db: &Connection) -> Result<(), Problem> {
    let (name, media_type, photo): (String, String, Vec<u8>) = db
        .prepare_cached("SELECT name, media_type, photo FROM photos WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    // It is packed already.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file(file_name(id, &name, &media_type), options)?;
    Ok(zip.write_all(&photo).map_err(ZipError::from)?)
}

/// A name that is no path, in whatever system it is unpacked, and nobody else's in the archive.
fn file_name(id: i64, name: &str, media_type: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || " -_.".contains(c);
    let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let ending = if media_type == "image/png" { ".png" } else { ".jpg" };
    let name = name.strip_suffix(ending).unwrap_or(&name);
    format!("{id} {name}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_photo_leads_nowhere_else() {
        for (name, media_type, file) in [
            ("a beach.png", "image/png", "7 a beach.png"),
            ("Straße", "image/jpeg", "7 Straße.jpg"),
            ("../../.ssh/id", "image/png", "7 .._.._.ssh_id.png"),
            ("c:\\nul\n", "image/png", "7 c__nul_.png"),
        ] {
            assert_eq!(file_name(7, name, media_type), file);
        }
    }
}
