//! What a body cannot borrow, or not so.

use offload_runtime::{Limiter, Resource, SharedResource, ThreadResource, offload};

struct Connection;
struct Row;
struct Borrows<'a>(&'a str);

static DB: Resource<Connection> = Resource::new("db", || Ok(Connection));
static MODEL: SharedResource<Connection> = SharedResource::new("model", || Ok(Connection));
static PARSER: ThreadResource<Connection> = ThreadResource::new("parser", || Ok(Connection));
static LIMIT: Limiter = Limiter::new(1);

#[offload(thread)]
fn by_value(id: u64, #[resource(DB)] db: Connection) -> u64 { //~
    drop(db);
    id
}

#[offload(thread)]
fn shared_of_one_at_a_time(#[resource(DB)] db: &Connection) { //~
    let _ = db;
}

#[offload(cpu)]
fn changed_by_all(#[resource(MODEL)] model: &mut Connection) { //~
    let _ = model;
}

#[offload(thread)]
fn another_type(#[resource(DB)] db: &mut Row) { //~
    let _ = db;
}

#[offload(cpu)]
fn another_type_of_a_thread(#[resource(PARSER)] parser: &Row) { //~
    let _ = parser;
}

#[offload(thread)]
fn no_resource(#[resource(LIMIT)] limit: &mut Connection) { //~
    let _ = limit;
}

#[offload(thread)]
fn twice(#[resource(DB)] from: &mut Connection, #[resource(DB)] to: &mut Connection) { //~
    let _ = (from, to);
}

#[offload(thread)]
fn without_a_name(#[resource] db: &mut Connection) { //~
    let _ = db;
}

#[offload(thread)]
fn with_a_call(#[resource(open())] db: &mut Connection) { //~
    let _ = db;
}

#[offload(thread)]
fn named(#[resource = DB] db: &mut Connection) { //~
    let _ = db;
}

#[offload(thread)]
fn copied(
    #[resource(DB)]
    #[to_owned] //~
    db: &mut Connection,
) {
    let _ = db;
}

#[offload(thread)]
fn with_a_lifetime(#[resource(DB)] db: &'static mut Connection) { //~
    let _ = db;
}

#[offload(thread)]
fn what_borrows(#[resource(DB)] db: &mut Borrows<'_>) { //~
    let _ = db.0;
}

#[offload(thread)]
fn for_every_type<T: Send + 'static>(#[resource(DB)] db: &mut T, value: T) { //~
    let _ = (db, value);
}

#[offload(thread)]
fn without_a_type(#[resource(DB)] db: &mut impl Send) { //~
    let _ = db;
}

#[offload(thread)]
fn only_sometimes(
    #[cfg(unix)] //~
    #[resource(DB)]
    db: &mut Connection,
) {
    let _ = db;
}

async fn callers_add_no_error(id: u64) -> u64 {
    shared_of_one_at_a_time().await;
    changed_by_all().await;
    another_type().await;
    twice().await;
    for_every_type(1).await;
    by_value(id).await
}

fn main() {
    let _ = callers_add_no_error;
}
