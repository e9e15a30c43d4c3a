//! Scripts: a user's own few lines that make tags of a photo's description.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use offload_runtime::offload;
use rusqlite::{Connection, OptionalExtension, named_params};

use crate::{Problem, Shared, accounts::User, database::DB, sandbox};

/// The longest script, in characters.
pub const MAX_SCRIPT: usize = 20_000;

/// What runs for those who have written nothing.
const FIRST_SCRIPT: &str = include_str!("tags.rhai");

#[offload(thread)]
pub(crate) fn read(user: User, #[resource(DB)] db: &mut Connection) -> Result<String, Problem> {
    Ok(db
        .prepare_cached("SELECT source FROM scripts WHERE owner = ?1")?
        .query_row([user.id], |row| row.get(0))
        .optional()?
        .unwrap_or_else(|| FIRST_SCRIPT.to_owned()))
}

/// Keeps the body as the user's script, if it is one.
pub(crate) async fn write(
    State(shared): State<Shared>,
    user: User,
    script: String,
) -> Result<StatusCode, Problem> {
    Problem::unless_length("A script", 1..=MAX_SCRIPT, &script)?;
    let _turn = shared.scripts.take(user.id).ok_or(Problem::ScriptIsRunning)?;
    sandbox::check(script.clone()).await?;
    store(user, script).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs the user's script over one photo, and keeps the tags.
pub(crate) async fn tag(
    State(shared): State<Shared>,
    user: User,
    Path(id): Path<i64>,
) -> Result<Json<Vec<String>>, Problem> {
    let _turn = shared.scripts.take(user.id).ok_or(Problem::ScriptIsRunning)?;
    let script = read(user.clone()).await?;
    let (name, description) = find_words(user, id).await?;
    let tags = sandbox::tags(script, name, description).await?;
    Ok(Json(store_tags(id, tags).await?))
}

#[offload(thread)]
fn store(user: User, script: String, #[resource(DB)] db: &mut Connection) -> Result<(), Problem> {
    db.prepare_cached(
        "INSERT INTO scripts (owner, source) VALUES (:owner, :source)
         ON CONFLICT DO UPDATE SET source = excluded.source",
    )?
    .execute(named_params! {":owner": user.id, ":source": script})?;
    Ok(())
}

/// A photo's name and description.
#[offload(thread)]
fn find_words(
    user: User,
    id: i64,
    #[resource(DB)] db: &mut Connection,
) -> Result<(String, String), Problem> {
    db.prepare_cached(
        "SELECT photos.name, ifnull(notes.description, '')
         FROM photos LEFT JOIN notes ON notes.photo = photos.id
         WHERE photos.id = ?1 AND photos.owner = ?2",
    )?
    .query_row([id, user.id], |row| Ok((row.get(0)?, row.get(1)?)))
    .optional()?
    .ok_or(Problem::NoSuchPhoto)
}

#[offload(thread)]
fn store_tags(
    id: i64,
    tags: Vec<String>,
    #[resource(DB)] db: &mut Connection,
) -> Result<Vec<String>, Problem> {
    db.prepare_cached(
        "INSERT INTO notes (photo, tags) VALUES (:photo, :tags)
         ON CONFLICT DO UPDATE SET tags = excluded.tags",
    )?
    .execute(named_params! {":photo": id, ":tags": serde_json::json!(tags).to_string()})?;
    Ok(tags)
}
