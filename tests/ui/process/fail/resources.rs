//! What a body in another process cannot borrow, or not so.

use offload_runtime::{Error, Limiter, Resource, SharedResource, ThreadResource, offload};

struct Model;
struct Row;

static ONE: Resource<Model> = Resource::new("one", || Ok(Model));
static ALL: SharedResource<Model> = SharedResource::new("all", || Ok(Model));
static PARSER: ThreadResource<Model> = ThreadResource::new("parser", || Ok(Model));
static LIMIT: Limiter = Limiter::new(1);

#[offload(process)]
fn shared_of_one_at_a_time(#[resource(ONE)] model: &Model) -> Result<(), Error> { //~
    let _ = model;
    Ok(())
}

#[offload(process)]
fn changed_by_all(#[resource(ALL)] model: &mut Model) -> Result<(), Error> { //~
    let _ = model;
    Ok(())
}

#[offload(process)]
fn another_type(#[resource(PARSER)] parser: &mut Row) -> Result<(), Error> { //~
    let _ = parser;
    Ok(())
}

#[offload(process)]
fn no_resource(#[resource(LIMIT)] limit: &mut Model) -> Result<(), Error> { //~
    let _ = limit;
    Ok(())
}

#[offload(process)]
fn by_value(id: u64, #[resource(ONE)] model: Model) -> Result<u64, Error> { //~
    drop(model);
    Ok(id)
}

#[offload(process)]
fn twice(#[resource(ONE)] from: &mut Model, #[resource(ONE)] to: &mut Model) -> Result<(), Error> { //~
    let _ = (from, to);
    Ok(())
}

async fn callers_add_no_error(id: u64) -> Result<u64, Error> {
    shared_of_one_at_a_time().await?;
    changed_by_all().await?;
    another_type().await?;
    no_resource().await?;
    twice().await?;
    by_value(id).await
}

fn main() {
    let _ = callers_add_no_error;
}
