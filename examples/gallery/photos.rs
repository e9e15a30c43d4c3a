//! Photos: whose they are, and how they come and go.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use offload_runtime::offload;
use rusqlite::{OptionalExtension, Params, named_params};
use serde::{Deserialize, Serialize};

use crate::{
    Db, Problem,
    accounts::User,
    thumbnails::{Thumbnail, make_thumbnail},
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
}

/// The user's photos, the newest first.
#[offload(thread)]
pub(crate) fn list(State(db): State<Db>, user: User) -> Result<Json<Vec<Photo>>, Problem> {
    let photos = db
        .connection()
        .prepare_cached(
            "SELECT id, name, width, height, ifnull(description, ''), ifnull(tags, '[]'),
                    (SELECT json_group_array(width) FROM copies WHERE photo = photos.id)
             FROM photos LEFT JOIN notes ON notes.photo = id WHERE owner = ?1 ORDER BY id DESC",
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
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Json(photos))
}

#[derive(Deserialize)]
pub(crate) struct Upload {
    name: String,
}

/// Keeps the body as a photo, if it is one. The thumbnail is computed, then both are stored.
pub(crate) async fn upload(
    State(db): State<Db>,
    user: User,
    Query(Upload { name }): Query<Upload>,
    photo: Bytes,
) -> Result<(StatusCode, Json<Photo>), Problem> {
    Problem::unless_length("A photo's name", 1..=MAX_TITLE, &name)?;
    let thumbnail = make_thumbnail(photo.clone()).await?;
    let photo = insert(db, user, name, photo, thumbnail).await?;
    Ok((StatusCode::CREATED, Json(photo)))
}

#[offload(thread)]
fn insert(
    db: Db,
    user: User,
    name: String,
    photo: Bytes,
    thumbnail: Thumbnail,
) -> Result<Photo, Problem> {
    let Thumbnail { width, height, .. } = thumbnail;
    let id = db
        .connection()
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
    Ok(Photo {
        id,
        name,
        width,
        height,
        description: String::new(),
        tags: Vec::new(),
        copies: Vec::new(),
    })
}

/// Keeps the body as a photo's description.
#[offload(thread)]
pub(crate) fn describe(
    State(db): State<Db>,
    user: User,
    Path(id): Path<i64>,
    description: String,
) -> Result<StatusCode, Problem> {
    Problem::unless_length("A description", 0..=MAX_DESCRIPTION, &description)?;
    let changed = db
        .connection()
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
    State(db): State<Db>,
    user: User,
    Path(id): Path<i64>,
) -> Result<Picture, Problem> {
    let select = "SELECT media_type, photo FROM photos WHERE id = ?1 AND owner = ?2";
    picture(&db, select, [id, user.id])
}

#[offload(thread)]
pub(crate) fn thumbnail(
    State(db): State<Db>,
    user: User,
    Path(id): Path<i64>,
) -> Result<Picture, Problem> {
    let select = "SELECT media_type, thumbnail FROM photos WHERE id = ?1 AND owner = ?2";
    picture(&db, select, [id, user.id])
}

pub(crate) struct Picture {
    media_type: String,
    bytes: Vec<u8>,
}

pub(crate) fn picture(db: &Db, select: &str, of: impl Params) -> Result<Picture, Problem> {
    db.connection()
        .prepare_cached(select)?
        .query_row(of, |row| Ok(Picture { media_type: row.get(0)?, bytes: row.get(1)? }))
        .optional()?
        .ok_or(Problem::NoSuchPhoto)
}

impl IntoResponse for Picture {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.media_type.as_str()),
            (header::CACHE_CONTROL, "private, max-age=3600"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, self.bytes).into_response()
    }
}
