//! A database that has no async driver: SQLite.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::LazyLock;

use futures::executor::block_on;
use futures::future::try_join_all;
use offload_runtime::{Error, ErrorKind, Ran, Resource, offload};
use rusqlite::{Connection, OptionalExtension, params};
use tempfile::TempDir;

use crate::resource;
use crate::support::{Gate, begin};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where the files are, until the tests have ended.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn file(name: &str) -> PathBuf {
    FOLDER.path().join(name)
}

fn open(name: &str) -> Result<Connection, BoxError> {
    let connection = Connection::open(file(name))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.execute_batch(
        "create table if not exists accounts (name text primary key, money integer not null)",
    )?;
    Ok(connection)
}

static DB: Resource<Connection> =
    Resource::new("bank", || open("bank")).size(4).check(|connection| connection.is_autocommit());

#[offload(thread)]
fn deposit(
    name: String,
    money: i64,
    #[resource(DB)] connection: &mut Connection,
) -> Result<(), BoxError> {
    connection.execute(
        "insert into accounts values (?1, ?2) on conflict do update set money = money + ?2",
        params![name, money],
    )?;
    Ok(())
}

#[offload(thread)]
fn balance(
    #[to_owned] name: &str,
    #[resource(DB)] connection: &mut Connection,
) -> Result<Option<i64>, BoxError> {
    let mut query = connection.prepare_cached("select money from accounts where name = ?1")?;
    Ok(query.query_row([name], |row| row.get(0)).optional()?)
}

/// All or nothing: a body that panics or returns early rolls back.
#[offload(thread)]
fn transfer(
    from: String,
    to: String,
    money: i64,
    #[resource(DB)] connection: &mut Connection,
) -> Result<(), BoxError> {
    let transaction = connection.transaction()?;
    transaction
        .execute("update accounts set money = money + ?2 where name = ?1", params![to, money])?;
    let left: i64 = transaction.query_row(
        "update accounts set money = money - ?2 where name = ?1 returning money",
        params![from, money],
        |row| row.get(0),
    )?;
    if left < 0 {
        return Err("there is not enough".into());
    }
    assert!(money != 13, "an unlucky number");
    transaction.commit()?;
    Ok(())
}

#[test]
fn transactions_are_whole_and_four_bodies_have_a_connection_each() {
    block_on(async {
        deposit("ann".to_owned(), 100).await.unwrap();
        deposit("bob".to_owned(), 0).await.unwrap();
        transfer("ann".to_owned(), "bob".to_owned(), 30).await.unwrap();
        let error = transfer("ann".to_owned(), "bob".to_owned(), 71).await.unwrap_err();
        assert_eq!(error.to_string(), "there is not enough");
    });
    let unlucky = || block_on(transfer("ann".to_owned(), "bob".to_owned(), 13));
    catch_unwind(unlucky).unwrap_err();
    block_on(async {
        assert_eq!(balance("ann").await.unwrap(), Some(70));
        assert_eq!(balance("bob").await.unwrap(), Some(30));
        assert_eq!(balance("eve").await.unwrap(), None);
        let all = (0..200).map(|n| deposit(format!("account {}", n % 10), 1));
        try_join_all(all).await.unwrap();
        let balances = (0..10).map(|n| async move { balance(&format!("account {n}")).await });
        assert_eq!(try_join_all(balances).await.unwrap(), [Some(20); 10]);
    });

    // Four at once, and no more.
    #[offload(thread)]
    fn hold(gate: Gate, #[resource(DB)] connection: &mut Connection) -> Result<i64, BoxError> {
        gate.pass();
        Ok(connection
            .query_row("select money from accounts where name = 'bob'", [], |row| row.get(0))?)
    }

    let gate = Gate::default();
    let calls: Vec<_> = (0..8).map(|_| begin(hold(gate.clone()))).collect();
    gate.wait_for(4);
    assert_eq!(resource("bank").in_use, 4);
    gate.open();
    assert_eq!(block_on(try_join_all(calls)).unwrap(), [30; 8]);
    assert_eq!(resource("bank").made, 5, "four, and one in the place of the one that panicked");
}

/// A connection that is left in the middle of a transaction is not lent again.
#[test]
fn a_connection_in_a_state_that_its_check_rejects_is_replaced() {
    static LEFT: Resource<Connection> =
        Resource::new("left open", || Ok(Connection::open_in_memory()?))
            .check(|connection| connection.is_autocommit());

    #[offload(thread)]
    fn run(
        sql: &'static str,
        #[resource(LEFT)] connection: &mut Connection,
    ) -> Result<(), BoxError> {
        Ok(connection.execute_batch(sql)?)
    }

    block_on(async {
        run("create table a (b); begin").await.unwrap();
        run("create table a (b)").await.unwrap();
    });
    assert_eq!((resource("left open").made, resource("left open").dropped), (2, 1));
}

/// Another connection writes: the error of the database is the body's own, and the connection stays.
#[test]
fn a_busy_database_is_an_error_of_the_body() {
    static BUSY: Resource<Connection> = Resource::new("busy", || {
        let connection = open("busy")?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        Ok(connection)
    });

    #[offload(thread)]
    fn write(#[resource(BUSY)] connection: &mut Connection) -> Result<usize, BoxError> {
        Ok(connection.execute("insert or ignore into accounts values ('ann', 1)", [])?)
    }

    let other = open("busy").unwrap();
    block_on(write()).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let error = block_on(write()).unwrap_err();
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    assert_eq!(code, Some(rusqlite::ErrorCode::DatabaseBusy));
    other.execute_batch("rollback").unwrap();
    block_on(write()).unwrap();
    assert_eq!(resource("busy").made, 1);
}

#[test]
fn a_file_that_is_not_there_is_unavailable_until_it_is() {
    static LATE: Resource<Connection> = Resource::new("late", || {
        use rusqlite::OpenFlags;
        Ok(Connection::open_with_flags(file("late"), OpenFlags::SQLITE_OPEN_READ_ONLY)?)
    });

    #[offload(thread)]
    fn tables(#[resource(LATE)] connection: &mut Connection) -> Result<i64, BoxError> {
        Ok(connection.query_row("select count(*) from sqlite_master", [], |row| row.get(0))?)
    }

    let error = block_on(tables()).unwrap_err();
    let error = error.downcast_ref::<Error>().expect("it is one of the offload");
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No));
    let source = std::error::Error::source(error).unwrap();
    let code =
        source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    assert_eq!(code, Some(rusqlite::ErrorCode::CannotOpen));
    drop(open("late").unwrap());
    assert_eq!(block_on(tables()).unwrap(), 2);
}
