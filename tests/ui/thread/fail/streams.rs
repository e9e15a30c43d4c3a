//! What is no stream.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use offload_runtime::{Error, Resource, Sink, offload};

static DB: Resource<Vec<u32>> = Resource::new("db", || Ok(Vec::new()));

#[offload(thread, stream)]
fn takes_its_sink(out: Sink<u32>) -> Result<(), Error> { //~
    let _ = out;
    Ok(())
}

#[offload(thread, stream)]
fn shares_its_sink(out: &Sink<u32>) -> Result<(), Error> { //~
    let _ = out;
    Ok(())
}

#[offload(thread, stall_timeout = "1s")] //~
fn stalls_without_a_stream() {}

#[offload(thread, stream)]
fn makes_nothing(below: u32) { //~
    let _ = below;
}

#[offload(thread, stream)]
fn no_iterator(below: u32) -> u32 { //~
    below
}

#[offload(thread, stream)]
fn all_at_once(below: u32) -> Vec<u32> { //~
    (0..below).collect()
}

#[offload(thread, stream)]
fn opens_no_iterator(below: u32) -> Result<HashMap<u32, String>, Error> { //~
    Ok(HashMap::from([(below, below.to_string())]))
}

#[offload(thread, stream, timeout = "1s")]
fn can_fail(below: u32) -> String { //~
    below.to_string()
}

#[offload(thread, stream)]
fn unit(below: u32) -> () { //~
    drop(below);
}

#[offload(thread, stream)]
fn forgets_its_sink(below: u32) -> Result<(), Error> { //~
    let _ = below;
    Ok(())
}

#[offload(thread, stream)]
fn of_a_type_of_its_own(below: Rows) -> Rows { //~
    below
}

#[offload(thread, stream)]
fn opens_a_type_of_its_own(below: Rows) -> Result<Rows, Error> { //~
    Ok(below)
}

#[offload(thread, stream)]
fn says_no_item(below: u32) -> impl Iterator { //~
    0..below
}

#[offload(thread, stream)]
fn borrows(below: u32) -> Vec<&u32> { //~
    drop(below);
    Vec::new()
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

#[offload(thread, stream)]
fn ends_with_a_value(out: &mut Sink<u32>) -> Result<u8, Error> { //~
    out.send(1)?;
    Ok(1)
}

#[offload(thread, stream, stall_timeout = "1s")] //~
fn stalls(below: u32) -> impl Iterator<Item = Result<u32, Error>> {
    (0..below).map(Ok)
}

#[offload(thread, stream)]
fn items_of_one_thread(below: u32) -> impl Iterator<Item = Rc<u32>> { //~
    (0..below).map(Rc::new)
}

#[offload(thread, stream)]
fn opens_what_is_of_one_thread(below: u32) -> Result<impl Iterator<Item = u32>, Error> { //~
    let below = Rc::new(below);
    Ok((0..).take_while(move |n| n < &*below))
}

#[offload(thread, stream)]
fn says_no_item_inside(below: u32) -> Result<impl Iterator, Error> { //~
    Ok(0..below)
}

type Opened<T> = Result<T, Error>;

#[offload(thread, stream)]
fn no_result_by_its_name(below: u32) -> Opened<impl Iterator<Item = u32>> { //~
    Ok(0..below)
}

struct Steps(Rc<u32>);

impl Iterator for Steps {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        Some(*self.0)
    }
}

struct Shares(u32);

impl Iterator for Shares {
    type Item = Rc<u32>;

    fn next(&mut self) -> Option<Rc<u32>> {
        Some(Rc::new(self.0))
    }
}

#[offload(thread, stream)]
fn named_of_one_thread(below: u32) -> Steps { //~
    Steps(Rc::new(below))
}

#[offload(thread, stream)]
fn named_with_items_of_one_thread(below: u32) -> Shares { //~
    Shares(below)
}

#[offload(thread, stream)]
fn boxed_of_one_thread(below: u32) -> Box<dyn Iterator<Item = u32>> { //~
    Box::new(0..below)
}

#[offload(thread, stream)]
fn opens_a_named_one(below: u32) -> Result<Steps, Error> { //~
    Ok(Steps(Rc::new(below)))
}

#[offload(thread, stream)]
fn opens_a_shared_value(below: u32) -> Result<Rc<u32>, Error> { //~
    Ok(Rc::new(below))
}

#[offload(thread, stream)]
fn opens_with_an_error_of_one_thread(below: u32) -> Result<impl Iterator<Item = u32>, Rc<str>> { //~
    Ok(0..below)
}

#[offload(thread, stream)]
fn opens_results_of_one_thread() -> Result<impl Iterator<Item = Result<Rc<u32>, Error>>, Error> { //~
    Ok(std::iter::empty())
}

#[offload(thread, stream)]
fn items_of_no_such_error() -> Result<impl Iterator<Item = io::Result<u32>>, String> { //~
    Ok(std::iter::empty())
}

#[offload(thread, stream)]
fn sends_what_is_of_one_thread(out: &mut Sink<Rc<u32>>) -> Result<(), Error> { //~
    Ok(out.send(Rc::new(1))?)
}

#[offload(thread, stream)]
fn ends_with_an_error_of_one_thread(out: &mut Sink<u32>) -> Result<(), Rc<str>> { //~
    out.send(1).map_err(|_| "closed".into())
}

#[offload(thread, stream)]
fn sends_of_a_parameter<T: Default>(out: &mut Sink<T>) -> io::Result<()> { //~
    Ok(out.send(T::default()).map_err(Error::from)?)
}

#[offload(thread, stream)]
fn sends_what_it_borrows(text: String, out: &mut Sink<&str>) -> Result<(), Error> { //~
    Ok(out.send(&text)?)
}

#[offload(thread, stream)]
fn sends_what_borrows<'a>(text: String, out: &mut Sink<Option<&'a str>>) -> Result<(), Error> { //~
    Ok(out.send(Some(&text))?)
}

struct Rows;

fn is_stream<T>(stream: impl futures_core::Stream<Item = T> + Send + 'static) {
    drop(stream);
}

fn callers_add_no_error() {
    is_stream::<Result<u32, Error>>(takes_its_sink());
    is_stream::<Result<u32, Error>>(shares_its_sink());
    is_stream::<u32>(iterator_that_borrows());
    is_stream::<u32>(no_iterator(1));
    is_stream::<u32>(all_at_once(1));
    is_stream::<Result<HashMap<u32, String>, Error>>(opens_no_iterator(1));
    is_stream::<String>(can_fail(1));
    is_stream::<Result<(), Error>>(forgets_its_sink(1));
    drop(unit(1));
    drop(ends_with_a_value());
    drop(says_no_item(1));
    drop(borrows(1));
    is_stream::<u32>(goes_on(1));
    is_stream::<Result<u32, Error>>(two_sinks());
    is_stream::<Result<u32, Error>>(stalls(1));
    drop(says_no_item_inside(1));
    is_stream::<u32>(no_result_by_its_name(1));
    is_stream::<u32>(named_of_one_thread(1));
    is_stream::<u32>(boxed_of_one_thread(1));
    is_stream::<Result<u32, Error>>(opens_a_named_one(1));
    is_stream::<Result<Rc<u32>, Error>>(sends_what_is_of_one_thread());
    is_stream::<Result<&str, Error>>(sends_what_it_borrows(String::new()));
    is_stream::<Result<Option<&str>, Error>>(sends_what_borrows(String::new()));
}

fn main() {
    callers_add_no_error();
}
