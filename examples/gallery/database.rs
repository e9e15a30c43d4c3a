//! The database: a few connections to one SQLite file.

use std::{
    error::Error,
    fs::{DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use offload_runtime::{Resource, offload};
use rusqlite::Connection;

use crate::Problem;

/// What all bodies borrow that talk to the database. Who waits for a connection uses no thread.
pub(crate) static DB: Resource<Connection> = Resource::new("db", connect).size(8);

/// The file, from [`open`] on.
static FILE: OnceLock<PathBuf> = OnceLock::new();

/// Opens the database in this folder for the whole program, and makes what is missing of the two.
///
/// # Panics
///
/// If it is open in another folder.
pub async fn open(folder: PathBuf) -> Result<(), Problem> {
    keep(folder).await?;
    try_out().await
}

/// Makes the folder and the file.
#[offload(thread)]
fn keep(folder: PathBuf) -> Result<(), Problem> {
    let file = FILE.get_or_init(|| folder.join("gallery.db"));
    assert!(file.parent() == Some(&folder), "the gallery is open in another folder");
    keep_private(&folder, file).map_err(|error| Problem::Folder(folder, error))
}

/// The first connection: what is wrong with the file is told now, and not to the first visitor.
#[offload(thread)]
fn try_out(#[resource(DB)] _db: &mut Connection) -> Result<(), Problem> {
    Ok(())
}

/// A connection, whoever needs it.
pub(crate) fn connect() -> Result<Connection, Box<dyn Error + Send + Sync>> {
    let connection = Connection::open(FILE.get().ok_or("the database is not open")?)?;
    connection.execute_batch(include_str!("schema.sql"))?;
    Ok(connection)
}

/// Makes them, if they are not there, for their owner only. SQLite's other files have the
/// permissions of the first.
fn keep_private(folder: &Path, file: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    file.set_permissions(Permissions::from_mode(0o600)) // also one of an earlier version
}
