//! A few connections to a database, which handlers borrow for a closure.

use rusqlite::Connection;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn open() -> Result<Connection, Failure> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch("CREATE TABLE notes (text TEXT)")?;
    Ok(connection)
}

fn add(connection: &mut Connection, text: &str) -> Result<i64, Failure> {
    let transaction = connection.transaction()?;
    transaction.execute("INSERT INTO notes VALUES (?1)", [text])?;
    let count = transaction.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))?;
    transaction.commit()?;
    Ok(count)
}

/// By hand: a guard lends its connection to closures on blocking threads, and gives it back to the pool from one, since
/// its `Drop` may not block.
mod before {
    use std::sync::{Arc, Mutex};

    use rusqlite::Connection;
    use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};
    use tokio::task::{block_in_place, spawn_blocking};

    use super::{Failure, open};

    #[derive(Clone)]
    pub(super) struct Pool {
        idle: Arc<Mutex<Vec<Connection>>>,
        permits: Arc<Semaphore>,
    }

    pub(super) struct Lent {
        connection: Arc<AsyncMutex<Option<Connection>>>,
        permit: Option<OwnedSemaphorePermit>,
        pool: Pool,
    }

    impl Pool {
        pub(super) fn new(size: usize) -> Pool {
            Pool { idle: Arc::default(), permits: Arc::new(Semaphore::new(size)) }
        }

        pub(super) async fn get(&self) -> Result<Lent, Failure> {
            let permit = Arc::clone(&self.permits).acquire_owned().await?;
            let idle = self.idle.lock().unwrap().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => spawn_blocking(open).await??,
            };
            let connection = Arc::new(AsyncMutex::new(Some(connection)));
            Ok(Lent { connection, permit: Some(permit), pool: self.clone() })
        }
    }

    impl Lent {
        /// In place: a closure that borrows from its caller cannot go to another thread. So it blocks a worker of the
        /// runtime, and cannot be called where that has one thread.
        pub(super) async fn run<R>(&self, work: impl FnOnce(&mut Connection) -> R) -> R {
            let mut connection = Arc::clone(&self.connection).lock_owned().await;
            block_in_place(move || work(connection.as_mut().expect("it is there until the drop")))
        }
    }

    impl Drop for Lent {
        fn drop(&mut self) {
            let (connection, pool) = (Arc::clone(&self.connection), self.pool.clone());
            let permit = self.permit.take();
            spawn_blocking(move || {
                if let Some(connection) = connection.blocking_lock().take() {
                    pool.idle.lock().unwrap().push(connection);
                }
                drop(permit);
            });
        }
    }

    pub(super) async fn add(pool: &Pool, text: &str) -> Result<i64, Failure> {
        let connection = pool.get().await?;
        connection.run(|connection| super::add(connection, text)).await
    }
}

/// A call waits for a connection without a thread. If its future is dropped, the connection comes back when the body
/// ends. It works on any runtime.
mod after {
    use offload_runtime::{Resource, offload};
    use rusqlite::Connection;

    use super::Failure;

    static CONNECTIONS: Resource<Connection> = Resource::new("notes", super::open).size(1);

    #[offload(thread)]
    pub(super) fn add(
        #[resource(CONNECTIONS)] connection: &mut Connection,
        #[to_owned] text: &str,
    ) -> Result<i64, Failure> {
        super::add(connection, text)
    }
}

mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_is_lent_to_one_after_the_other() {
        let pool = before::Pool::new(1);
        for count in 1..=3 {
            assert_eq!(before::add(&pool, "note").await.unwrap(), count);
            assert_eq!(after::add("note").await.unwrap(), count);
        }
    }
}
