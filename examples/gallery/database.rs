//! The database: a few connections to one SQLite file.

use std::{
    error::Error,
    fs::{DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
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
    make_tables().await
}

/// Makes the folder and the file.
#[offload(thread)]
fn keep(folder: PathBuf) -> Result<(), Problem> {
    let file = FILE.get_or_init(|| folder.join("gallery.db"));
    assert!(file.parent() == Some(&folder), "the gallery is open in another folder");
    keep_private(&folder, file).map_err(|error| Problem::Folder(folder, error))
}

/// Makes the tables. What is wrong with the file is told now, and not to the first visitor.
#[offload(thread)]
fn make_tables(#[resource(DB)] db: &mut Connection) -> Result<(), Problem> {
    // Of two that open a new file at once, SQLite refuses one the change to its write-ahead log.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(db.execute_batch(include_str!("schema.sql"))?)
}

/// A connection, whoever needs it.
pub(crate) fn connect() -> Result<Connection, Box<dyn Error + Send + Sync>> {
    let connection = Connection::open(FILE.get().ok_or("the database is not open")?)?;
    connection.execute_batch(
        "PRAGMA synchronous = NORMAL;
         PRAGMA busy_timeout = 5000; -- milliseconds that a second writer waits for the first
         PRAGMA foreign_keys = ON;",
    )?;
    Ok(connection)
}

/// Makes them, if they are not there, for their owner only. SQLite's other files have the
/// permissions of the first.
fn keep_private(folder: &Path, file: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    file.set_permissions(Permissions::from_mode(0o600)) // also one of an earlier version
}
