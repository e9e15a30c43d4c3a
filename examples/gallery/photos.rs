//! Photos: whose they are, and how they come and go.

use std::{convert::Infallible, fmt::Write};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{FromRequestParts, Path, Query, Request},
    http::{StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use blake2::{Blake2s256, Digest};
use offload_runtime::offload;
use rusqlite::{Connection, OptionalExtension, Params, named_params};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    Problem,
    accounts::User,
    copies::{SHARP, make_ahead},
    database::DB,
    makers::{self, Maker},
    thumbnails::Thumbnail,
};

/// The longest name of a photo, in characters.
pub const MAX_TITLE: usize = 100;
/// The longest description of a photo, in characters.
pub const MAX_DESCRIPTION: usize = 2000;

#[derive(Serialize)]
pub(crate) struct Photo {
    id: i64,
    name: String,
    width: u32,
    height: u32,
    description: String,
    tags: Vec<String>,
    /// The widths in which there are copies.
    copies: Vec<u32>,
    /// Who made its thumbnail, if that was another process.
    #[serde(skip_serializing_if = "Option::is_none")]
    made_by: Option<Maker>,
}

/// The user's photos, the newest first.
#[offload(thread)]
pub(crate) fn list(
    user: User,
    #[resource(DB)] db: &mut Connection,
) -> Result<Json<Vec<Photo>>, Problem> {
    let photos = db
        .prepare_cached(
            "SELECT id, name, width, height, ifnull(description, ''), ifnull(tags, '[]'),
                    (SELECT json_group_array(width) FROM copies WHERE photo = photos.id),
                    host, pid
             FROM photos LEFT JOIN notes ON notes.photo = id LEFT JOIN makers ON makers.photo = id
             WHERE owner = ?1 ORDER BY id DESC",
        )?
        .query_map([user.id], |row| {
            Ok(Photo {
                id: row.get(0)?,
                name: row.get(1)?,
                width: row.get(2)?,
                height: row.get(3)?,
                description: row.get(4)?,
                tags: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default(),
                copies: serde_json::from_str(&row.get::<_, String>(6)?).unwrap_or_default(),
                made_by: match row.get(7)? {
                    Some(host) => Some(Maker { host, pid: row.get(8)? }),
                    None => None,
                },
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Json(photos))
}

#[derive(Deserialize)]
pub(crate) struct Upload {
    name: String,
}

/// The photos that are in memory at the same time, from their first byte until they are stored.
static UPLOADS: Semaphore = Semaphore::const_new(4);

/// A permit to upload. A handler extracts it before the request's body, which is not read until there is one.
pub(crate) struct Uploading {
    _permit: SemaphorePermit<'static>,
}

impl<S: Sync> FromRequestParts<S> for Uploading {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Uploading, Infallible> {
        Ok(Uploading { _permit: UPLOADS.acquire().await.expect("nobody closes it") })
    }
}

/// Keeps the body as a photo, if it is one. The thumbnail is computed, then both are stored. The copy
/// that sharper screens show in its place is made ahead: nobody waits for it here.
pub(crate) async fn upload(
    user: User,
    Query(Upload { name }): Query<Upload>,
    _turn: Uploading,
    photo: Bytes,
) -> Result<(StatusCode, Json<Photo>), Problem> {
    Problem::unless_length("A photo's name", 1..=MAX_TITLE, &name)?;
    let (thumbnail, maker) = makers::make(photo.clone()).await?;
    let photo = insert(user, name, photo, thumbnail, maker).await?;
    if photo.width > SHARP {
        make_ahead(photo.id);
    }
    Ok((StatusCode::CREATED, Json(photo)))
}

#[offload(thread)]
fn insert(
    user: User,
    name: String,
    photo: Bytes,
    thumbnail: Thumbnail,
    made_by: Option<Maker>,
    #[resource(DB)] db: &mut Connection,
) -> Result<Photo, Problem> {
    let Thumbnail { width, height, .. } = thumbnail;
    let transaction = db.transaction()?;
    let id = transaction
        .prepare_cached(
            "INSERT INTO photos (owner, name, width, height, media_type, thumbnail, photo)
             VALUES (:owner, :name, :width, :height, :media_type, :thumbnail, :photo)",
        )?
        .insert(named_params! {
            ":owner": user.id,
            ":name": name,
            ":width": width,
            ":height": height,
            ":media_type": thumbnail.media_type,
            ":thumbnail": thumbnail.bytes,
            ":photo": &photo[..],
        })?;
    if let Some(maker) = &made_by {
        makers::note(&transaction, id, maker)?;
    }
    transaction.commit()?;
    Ok(Photo {
        id,
        name,
        width,
        height,
        description: String::new(),
        tags: Vec::new(),
        copies: Vec::new(),
        made_by,
    })
}

/// Keeps the body as a photo's description.
#[offload(thread)]
pub(crate) fn describe(
    user: User,
    Path(id): Path<i64>,
    description: String,
    #[resource(DB)] db: &mut Connection,
) -> Result<StatusCode, Problem> {
    Problem::unless_length("A description", 0..=MAX_DESCRIPTION, &description)?;
    let changed = db
        .prepare_cached(
            "INSERT INTO notes (photo, description)
             SELECT id, :description FROM photos WHERE id = :id AND owner = :owner
             ON CONFLICT DO UPDATE SET description = excluded.description",
        )?
        .execute(named_params! {":id": id, ":owner": user.id, ":description": description})?;
    if changed == 0 { Err(Problem::NoSuchPhoto) } else { Ok(StatusCode::NO_CONTENT) }
}

/// The photo as it was uploaded.
#[offload(thread)]
pub(crate) fn photo(
    user: User,
    Path(id): Path<i64>,
    #[resource(DB)] db: &mut Connection,
) -> Result<Picture, Problem> {
    let select = "SELECT media_type, photo FROM photos WHERE id = ?1 AND owner = ?2";
    picture(db, select, [id, user.id])
}

#[offload(thread)]
pub(crate) fn thumbnail(
    user: User,
    Path(id): Path<i64>,
    #[resource(DB)] db: &mut Connection,
) -> Result<Picture, Problem> {
    let select = "SELECT media_type, thumbnail FROM photos WHERE id = ?1 AND owner = ?2";
    picture(db, select, [id, user.id])
}

pub(crate) struct Picture {
    media_type: String,
    bytes: Vec<u8>,
    tag: String,
}

pub(crate) fn picture(db: &Connection, select: &str, of: impl Params) -> Result<Picture, Problem> {
    let (media_type, bytes): (String, Vec<u8>) = db
        .prepare_cached(select)?
        .query_row(of, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or(Problem::NoSuchPhoto)?;
    let tag = Blake2s256::digest(&bytes)[..16].iter().fold(String::new(), |mut tag, byte| {
        write!(tag, "{byte:02x}").expect("memory takes it");
        tag
    });
    Ok(Picture { media_type, bytes, tag: format!("\"{tag}\"") })
}

impl IntoResponse for Picture {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.media_type.as_str()),
            // The browser keeps it, and asks each time: somebody else may be logged in by now.
            (header::CACHE_CONTROL, "private, no-cache"),
            (header::ETAG, self.tag.as_str()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, self.bytes).into_response()
    }
}

/// Sends no picture that the browser still has. That it may be seen has been checked by then.
pub(crate) async fn unless_known(request: Request, next: Next) -> Response {
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = next.run(request).await;
    let tag = response.headers().get(header::ETAG);
    let is_known = tag.zip(known.as_ref()).is_some_and(|(tag, known)| {
        let mut tags = known.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        tags.any(|known| known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
    });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.body_mut() = Body::empty();
    }
    response
}
