//! Streams of `process` functions: items and ends can be sent, and say that a process died.

use std::rc::Rc;

use offload_runtime::{Error, Resource, Sink, offload};

#[offload(process, stream)]
fn items_without_error(below: u32) -> impl Iterator<Item = u32> { //~
    0..below
}

#[offload(process, stream)]
fn item_on_one_thread() -> impl Iterator<Item = Result<Rc<u8>, Error>> { //~
    std::iter::empty()
}

struct Page;

#[offload(process, stream)]
fn sent_without_serde(out: &mut Sink<Page>) -> Result<(), Error> { //~
    out.send(Page)?;
    Ok(())
}

#[offload(process, stream)]
fn end_without_error(out: &mut Sink<u32>) -> Result<(), String> { //~
    let _ = out.send(1);
    Ok(())
}

#[offload(process, stream)]
fn end_with_a_value(out: &mut Sink<u32>) -> Result<u8, Error> { //~
    out.send(1)?;
    Ok(1)
}

#[offload(process, stream)]
fn no_end(out: &mut Sink<u32>) { //~
    let _ = out.send(1);
}

#[offload(process, stream)]
fn lost_on_the_way() -> impl Iterator<Item = Result<Option<Option<u8>>, Error>> { //~
    std::iter::empty()
}

#[offload(process, stream, detach)] //~
fn goes_on() -> impl Iterator<Item = Result<u8, Error>> {
    std::iter::empty()
}

static MODEL: Resource<Page> = Resource::new("model", || Ok(Page));

#[offload(process, stream)]
fn iterator_that_borrows(
    #[resource(MODEL)] //~
    model: &mut Page,
) -> Result<impl Iterator<Item = u32>, Error> {
    let _ = model;
    Ok(0..1)
}

#[offload(process, stream)]
fn takes_its_sink(out: Sink<u32>) -> Result<(), Error> { //~
    let _ = out;
    Ok(())
}

#[offload(process, stream)]
fn no_iterator() -> Vec<u32> { //~
    Vec::new()
}

#[offload(process, stream)]
fn opens_no_iterator() -> Result<u32, Error> { //~
    Ok(1)
}

#[offload(process, stream)]
fn of_a_type_of_its_own() -> Rows { //~
    Rows
}

#[offload(process, stream)]
fn opens_a_type_of_its_own() -> Result<Rows, Error> { //~
    Ok(Rows)
}

struct Rows;

#[offload(process, stream)]
fn items_for_ever() -> Result<impl Iterator<Item = &'static str>, Error> { //~
    Ok(["a"].into_iter())
}

#[offload(process, stream)]
fn sends_for_ever(out: &mut Sink<&'static [u8]>) -> Result<(), Error> { //~
    Ok(out.send(b"a")?)
}

#[offload(process, stream)]
fn items_of_no_such_error() -> Result<impl Iterator<Item = Result<u32, Error>>, String> { //~
    Ok(std::iter::empty())
}

#[offload(process, stream)]
fn says_no_item_inside() -> Result<impl Iterator, Error> { //~
    Ok(0..1)
}

#[offload(process, stream)]
fn nothing() -> () {} //~

fn is_stream<T>(_: impl futures_core::Stream<Item = T>) {}

fn callers_add_no_error() {
    is_stream::<u32>(items_without_error(1));
    is_stream::<Result<Rc<u8>, Error>>(item_on_one_thread());
    is_stream::<Result<Page, Error>>(sent_without_serde());
    is_stream::<Result<u32, String>>(end_without_error());
    drop(end_with_a_value());
    drop(no_end());
    drop(lost_on_the_way());
    drop(goes_on());
    is_stream::<u32>(no_iterator());
    is_stream::<Result<u32, Error>>(opens_no_iterator());
    drop(nothing());
    drop(iterator_that_borrows());
    is_stream::<Result<u32, Error>>(takes_its_sink());
}

fn main() {
    callers_add_no_error();
}
