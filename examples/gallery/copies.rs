//! Copies: each photo of an album in several sizes, so that every screen loads the one that fits.
//!
//! It is the long work of this application, and shows how progress comes out of a running body,
//! and how a body is told to stop. Both hang on the response: its lines say how far the work is,
//! and whoever closes it drops the work.

use std::{convert::Infallible, io::Cursor};

use axum::{
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use image::imageops::FilterType;
use offload_runtime::{check_cancelled, offload};
use rusqlite::{Connection, OptionalExtension, named_params};
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use crate::{
    Problem,
    accounts::User,
    database::DB,
    photos::{Picture, picture},
    thumbnails::{DECODERS, Decoded, LONGEST_SIDE, decode, on_its_side},
};

/// The widths of the copies, in pixels.
pub const WIDTHS: [u32; 4] = [1280, 960, SHARP, 480];
/// The one that is made without being asked for: two pixels for each of a thumbnail.
pub const SHARP: u32 = 2 * LONGEST_SIDE;

/// How far the work is. Each photo is read once, and once written for each width.
#[derive(Clone, Serialize)]
struct Progress {
    done: usize,
    of: usize,
}

const STEPS: usize = 1 + WIDTHS.len();

/// Makes the copies of all photos of the user. The response is a JSON object a line: how far it is,
/// and at last how it ended. It is over when the client has had enough, too.
pub(crate) async fn copy_album(user: User) -> Result<Response, Problem> {
    let photos = album(user.clone()).await?;
    let (progress, mut seen) = watch::channel(Progress { done: 0, of: photos.len() * STEPS });
    seen.mark_changed();
    let work = Box::pin(copy_all(user, photos, progress));
    let lines = stream::unfold(Some((work, seen)), async |state| {
        let (mut work, mut seen) = state?;
        tokio::select! {
            biased;
            Ok(()) = seen.changed() => {
                let line = line(&*seen.borrow_and_update());
                Some((line, Some((work, seen))))
            }
            end = &mut work => Some((last_line(end), None)),
        }
    });
    // Proxies pass on each line as it comes: they neither gather nor pack them.
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

fn line(object: &impl Serialize) -> Result<String, Infallible> {
    Ok(format!("{}\n", json!(object)))
}

fn last_line(end: Result<usize, Problem>) -> Result<String, Infallible> {
    match end {
        Ok(photos) => line(&json!({"photos": photos})),
        Err(problem) => line(&json!({"problem": problem.detail()})),
    }
}

/// One photo at a time, whoever asks. It is waited for before the photo is read: those who wait
/// take no memory.
static TURN: Semaphore = Semaphore::const_new(1);

async fn copy_all(
    user: User,
    photos: Vec<i64>,
    progress: watch::Sender<Progress>,
) -> Result<usize, Problem> {
    let count = photos.len();
    for id in photos {
        let _turn = TURN.acquire().await.expect("nobody closes it");
        let photo = read(user.clone(), id).await?;
        let progress = progress.clone();
        let step = move || progress.send_modify(|progress| progress.done += 1);
        let copies = make_copies(photo, step).await?;
        store(id, copies).await?;
    }
    Ok(count)
}

struct Copy {
    width: u32,
    bytes: Vec<u8>,
}

#[offload(cpu, limit = DECODERS)]
fn make_copies(
    photo: Bytes,
    mut step: impl FnMut() + Send + 'static,
) -> Result<Vec<Copy>, Problem> {
    let photo = decode(photo)?;
    let mut copies = Vec::new();
    step();
    for width in WIDTHS {
        check_cancelled()?; // nobody waits any more: somebody else's copies are next
        copies.extend(photo.copy(width)?);
        step();
    }
    Ok(copies)
}

impl Decoded {
    /// A copy of this width, if that is a smaller one.
    fn copy(&self, width: u32) -> Result<Option<Copy>, Problem> {
        let Decoded { image, format, orientation } = self;
        let on_its_side = on_its_side(*orientation);
        let original = if on_its_side { image.height() } else { image.width() };
        if width >= original {
            return Ok(None);
        }
        let (wide, high) = if on_its_side { (u32::MAX, width) } else { (width, u32::MAX) };
        let mut copy = image.resize(wide, high, FilterType::Lanczos3);
        copy.apply_orientation(*orientation);
        let mut bytes = Vec::new();
        copy.write_to(&mut Cursor::new(&mut bytes), *format)?;
        Ok(Some(Copy { width, bytes }))
    }
}

/// Makes the copy that sharp screens show in the album, of a photo that was just put up. It is started,
/// and nobody awaits it: what it takes is read when it is its turn, so that those that wait take no
/// memory; and if too many wait, it is left to who wants all copies.
#[offload(cpu, limit = DECODERS, queue = 100, spawn = make_ahead)]
pub(crate) fn copy_ahead(id: i64, #[resource(DB)] db: &mut Connection) -> Result<(), Problem> {
    let photo: Vec<u8> = db
        .prepare_cached("SELECT photo FROM photos WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    let copy = decode(photo.into())?.copy(SHARP)?;
    copy.map_or(Ok(()), |copy| Ok(insert(db, id, &copy)?))
}

#[offload(thread)]
fn album(user: User, #[resource(DB)] db: &mut Connection) -> Result<Vec<i64>, Problem> {
    Ok(db
        .prepare_cached("SELECT id FROM photos WHERE owner = ?1 ORDER BY id DESC")?
        .query_map([user.id], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

#[offload(thread)]
fn read(user: User, id: i64, #[resource(DB)] db: &mut Connection) -> Result<Bytes, Problem> {
    db.prepare_cached("SELECT photo FROM photos WHERE id = ?1 AND owner = ?2")?
        .query_row([id, user.id], |row| row.get::<_, Vec<u8>>(0))
        .optional()?
        .map(Bytes::from)
        .ok_or(Problem::NoSuchPhoto)
}

#[offload(thread)]
fn store(
    photo: i64,
    copies: Vec<Copy>,
    #[resource(DB)] db: &mut Connection,
) -> Result<(), Problem> {
    let transaction = db.transaction()?;
    copies.iter().try_for_each(|copy| insert(&transaction, photo, copy))?;
    Ok(transaction.commit()?)
}

fn insert(db: &Connection, photo: i64, Copy { width, bytes }: &Copy) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO copies (photo, width, copy) VALUES (:photo, :width, :copy)",
    )?
    .execute(named_params! {":photo": photo, ":width": width, ":copy": bytes})?;
    Ok(())
}

#[offload(thread)]
pub(crate) fn copy(
    user: User,
    Path((id, width)): Path<(i64, u32)>,
    #[resource(DB)] db: &mut Connection,
) -> Result<Picture, Problem> {
    let select = "SELECT media_type, copy FROM photos JOIN copies ON copies.photo = photos.id
                  WHERE id = :id AND owner = :owner AND copies.width = :width";
    picture(db, select, named_params! {":id": id, ":owner": user.id, ":width": width})
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::{FutureExt, executor::block_on};
    use image::{DynamicImage, ImageFormat};

    use super::*;

    fn photo() -> Bytes {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(1400, 9).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner().into()
    }

    /// Each step is told, and waits until the test lets it go on.
    #[test]
    fn a_body_whose_caller_has_gone_makes_no_further_copy() {
        for so_many in 1..STEPS {
            let (step, steps) = mpsc::channel();
            let (go_on, gate) = mpsc::channel();
            let told = move || {
                step.send(()).unwrap();
                let _ = gate.recv();
            };
            let mut copying = Box::pin(make_copies(photo(), told));
            assert!(copying.as_mut().now_or_never().is_none());
            for _ in 1..so_many {
                steps.recv().unwrap();
                go_on.send(()).unwrap();
            }
            steps.recv().unwrap();
            drop(copying); // in the middle of this step
            drop(go_on);
            assert_eq!(steps.iter().count(), 0, "it went on after step {so_many}");
        }
    }

    #[test]
    fn one_whose_caller_waits_makes_all() {
        let (step, steps) = mpsc::channel();
        let copies = block_on(make_copies(photo(), move || step.send(()).unwrap())).unwrap();
        assert_eq!(copies.iter().map(|copy| copy.width).collect::<Vec<_>>(), WIDTHS);
        assert_eq!(steps.iter().count(), STEPS);
    }
}
