//! The database: a few connections to one SQLite file.

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use offload_runtime::offload;
use rusqlite::Connection;

use crate::Problem;

/// How many calls can be in the database at the same time.
const CONNECTIONS: usize = 8;

/// The gallery's database. A clone is another handle to the same connections.
#[derive(Clone)]
pub struct Db {
    connections: Arc<[Mutex<Connection>]>,
    /// Whom to wait for when every connection is in use.
    turn: Arc<AtomicUsize>,
}

impl Db {
    /// Opens the database in this folder, and makes what is missing of the two.
    #[offload(thread)]
    pub fn open(folder: PathBuf) -> Result<Db, Problem> {
        let file = folder.join("gallery.db");
        keep_private(&folder, &file).map_err(|error| Problem::Folder(folder, error))?;
        let open = |_| {
            let connection = Connection::open(&file)?;
            connection.execute_batch(include_str!("schema.sql"))?;
            Ok(Mutex::new(connection))
        };
        Ok(Db {
            connections: (0..CONNECTIONS).map(open).collect::<Result<_, Problem>>()?,
            turn: Arc::default(),
        })
    }

    /// Borrows a connection, and waits for one if need be: only for a body that runs on a thread.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        let free = self.connections.iter().find_map(|c| c.try_lock().ok());
        free.unwrap_or_else(|| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            self.connections[turn % CONNECTIONS]
                .lock()
                // A body that panicked has left nothing half done: SQLite rolls back.
                .unwrap_or_else(PoisonError::into_inner)
        })
    }
}

/// Makes them, if they are not there, for their owner only. SQLite's other files have the
/// permissions of the first.
fn keep_private(folder: &Path, file: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    file.set_permissions(Permissions::from_mode(0o600)) // also one of an earlier version
}
