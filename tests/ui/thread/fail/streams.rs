//! What is no stream.

use offload_runtime::{Error, Resource, Sink, offload};

static DB: Resource<Vec<u32>> = Resource::new("db", || Ok(Vec::new()));

#[offload(thread, stream)]
fn takes_its_sink(out: Sink<u32>) -> Result<(), Error> { //~
    let _ = out;
    Ok(())
}

#[offload(thread, stream)]
fn makes_nothing(below: u32) { //~
    let _ = below;
}

#[offload(thread, stream)]
fn no_iterator(below: u32) -> u32 { //~
    below
}

#[offload(thread, stream)]
fn iterator_that_borrows(#[resource(DB)] db: &mut Vec<u32>) -> impl Iterator<Item = u32> { //~
    db.clone().into_iter()
}

#[offload(remote, timeout = "1s", stream)] //~
fn on_another_machine(below: u32) -> impl Iterator<Item = Result<u32, Error>> {
    (0..below).map(Ok)
}

#[offload(thread, stream, detach)] //~
fn goes_on(below: u32) -> impl Iterator<Item = u32> {
    0..below
}

#[offload(thread, stream)]
fn two_sinks(out: &mut Sink<u32>, other: &mut Sink<u32>) -> Result<(), Error> { //~
    out.send(1)?;
    other.send(2)?;
    Ok(())
}

#[offload(thread)]
fn without_stream(out: &mut Sink<u32>) -> Result<(), Error> { //~
    out.send(1)?;
    Ok(())
}

#[offload(thread, stream)]
fn without_a_result(out: &mut Sink<u32>) { //~
    let _ = out.send(1);
}

#[offload(thread, stream, stall_timeout = "1s")] //~
fn stalls(below: u32) -> impl Iterator<Item = Result<u32, Error>> {
    (0..below).map(Ok)
}

fn is_stream<T>(stream: impl futures_core::Stream<Item = T> + Send + 'static) {
    drop(stream);
}

fn callers_add_no_error() {
    is_stream::<Result<u32, Error>>(takes_its_sink());
    is_stream::<u32>(iterator_that_borrows());
    is_stream::<u32>(goes_on(1));
    is_stream::<Result<u32, Error>>(two_sinks());
    is_stream::<Result<u32, Error>>(stalls(1));
}

fn main() {
    callers_add_no_error();
}
