//! Thumbnails that other processes make, on whichever machine: where there is a server of NATS, workers do it. Each
//! is this program, started with `OFFLOAD_REMOTE_WORKER=thumbnails`.

use std::{env, fs, process, sync::LazyLock};

use axum::body::Bytes;
use offload_runtime::{Error, RemotePool, offload};
use rusqlite::{Connection, named_params};
use serde::{Deserialize, Serialize};

use crate::{
    Problem,
    thumbnails::{Thumbnail, make_thumbnail, thumbnail_of},
};

/// Its workers take as many at a time as they have cores, or as `OFFLOAD_CPU_THREADS` says.
static THUMBNAILS: RemotePool = RemotePool::new("thumbnails");

/// Who made a thumbnail.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Maker {
    pub(crate) host: String,
    pub(crate) pid: u32,
}

/// Why there is no thumbnail. It comes from another machine, so it is a serde type.
#[derive(Serialize, Deserialize)]
enum NotMade {
    NotAnImage,
    TooManyPixels,
    Broken(String),
    Call(Error),
    /// The photo is not to blame: why the worker failed.
    Fault(String),
}

/// Makes a thumbnail where it is made: by workers, if there is a server, and then it is said by which of
/// them. Otherwise here.
pub(crate) async fn make(photo: Bytes) -> Result<(Thumbnail, Option<Maker>), Problem> {
    static HAS_SERVER: LazyLock<bool> =
        LazyLock::new(|| env::var_os("OFFLOAD_NATS_URL").is_some_and(|url| !url.is_empty()));
    if !*HAS_SERVER {
        return Ok((make_thumbnail(photo).await?, None));
    }
    let (thumbnail, maker) = make_elsewhere(photo.into()).await?;
    Ok((thumbnail, Some(maker)))
}

/// Twice, if need be: nothing is kept before its caller has the answer. So nobody who puts up a photo has to know that a
/// worker has died meanwhile.
#[offload(remote, pool = THUMBNAILS, timeout = "30s", attempts = 2, name = "make_thumbnail")]
fn make_elsewhere(photo: Vec<u8>) -> Result<(Thumbnail, Maker), NotMade> {
    Ok((thumbnail_of(photo.into())?, Maker::here()))
}

impl Maker {
    /// The maker that this process is.
    fn here() -> Maker {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| env::var("HOSTNAME").ok()).unwrap_or_default();
        Maker { host: host.trim().to_owned(), pid: process::id() }
    }
}

/// Notes who made the thumbnail of a photo.
pub(crate) fn note(db: &Connection, photo: i64, maker: &Maker) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO makers (photo, host, pid) VALUES (:photo, :host, :pid)")?
        .execute(named_params! {":photo": photo, ":host": maker.host, ":pid": maker.pid})
        .map(drop)
}

impl From<Error> for NotMade {
    fn from(error: Error) -> NotMade {
        NotMade::Call(error)
    }
}

impl From<Problem> for NotMade {
    fn from(problem: Problem) -> NotMade {
        match problem {
            Problem::NotAnImage => NotMade::NotAnImage,
            Problem::TooManyPixels => NotMade::TooManyPixels,
            Problem::BrokenImage(what) => NotMade::Broken(what),
            Problem::NotOffloaded(error) => NotMade::Call(error),
            fault => NotMade::Fault(fault.to_string()),
        }
    }
}

impl From<NotMade> for Problem {
    fn from(error: NotMade) -> Problem {
        match error {
            NotMade::NotAnImage => Problem::NotAnImage,
            NotMade::TooManyPixels => Problem::TooManyPixels,
            NotMade::Broken(what) => Problem::BrokenImage(what),
            NotMade::Call(error) => Problem::NotOffloaded(error),
            NotMade::Fault(what) => Problem::Maker(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::PathBuf};

    use super::*;

    /// What is told to who put up a photo, if a worker had this problem.
    fn told(problem: Problem) -> String {
        Problem::from(NotMade::from(problem)).detail()
    }

    #[test]
    fn who_put_up_a_photo_is_told_what_is_wrong_with_it_and_nothing_of_what_is_wrong_here() {
        let ours = "Something went wrong on our side. Try again later.";
        let folder = Problem::Folder(PathBuf::from("/secret"), io::Error::other("it is full"));
        assert_eq!(told(folder), ours);
        let unwritten = io::Error::other("no room");
        let unwritten = image::error::EncodingError::new(image::ImageFormat::Png.into(), unwritten);
        assert_eq!(told(image::ImageError::Encoding(unwritten).into()), ours);
        for its_own in [
            Problem::NotAnImage,
            Problem::TooManyPixels,
            Problem::BrokenImage("its end is missing".to_owned()),
        ] {
            let said = its_own.detail();
            assert_ne!(said, ours);
            assert_eq!(told(its_own), said);
        }
    }
}
