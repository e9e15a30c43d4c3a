//! Arguments, results and items that have no size that is known.

use std::fmt::Display;
use std::io;

use offload_runtime::{Error, Resource, Sink, offload};

static NAMES: Resource<Vec<String>> = Resource::new("names", || Ok(Vec::new()));

#[offload(thread)]
fn text(x: str) -> usize { //~
    x.len()
}

#[offload(thread, sync = bytes_sync, spawn = bytes_soon)]
fn bytes(x: [u8]) -> usize { //~
    x.len()
}

#[offload(thread)]
fn object(x: dyn Display) -> String { //~
    x.to_string()
}

#[offload(thread)]
fn objects(
    x: (dyn Display + Send), //~
    y: dyn Display + Sync,   //~
) -> String {
    x.to_string() + &y.to_string()
}

#[offload(thread)]
fn of_a_parameter<T: Display>(x: [T]) -> usize { //~
    x.len()
}

#[offload(thread)]
fn parameter<T: ?Sized + Display>(x: T) -> String { //~
    x.to_string()
}

#[offload(thread)]
fn without_a_name(
    x: impl ?Sized + Display, //~
) -> impl ?Sized + Display { //~
    x
}

#[offload(thread)]
fn without_a_trait(x: impl ?Sized) { //~
    drop(x);
}

#[offload(thread)]
fn of_text(n: u32) -> str { //~
    n
}

#[offload(thread)]
fn of_bytes(n: u32) -> [u8] { //~
    n
}

#[offload(thread, sync = of_object_sync, spawn = of_object_soon)]
fn of_object(n: u32) -> dyn Display { //~
    n
}

#[offload(thread)]
fn in_results(n: u32) -> io::Result<str> { //~
    n
}

#[offload(thread)]
fn inside(
    x: Option<str>,      //~
    y: Box<[(str, u8)]>, //~
    z: Vec<[[str; 2]]>,  //~
) {
    drop((x, y, z));
}

#[offload(thread)]
fn lent(#[to_owned] names: &Vec<str>) -> usize { //~
    names.len()
}

#[offload(thread)]
fn not_lent(#[to_owned] name: str) -> usize { //~
    name.len()
}

#[offload(thread)]
fn borrowed(#[resource(NAMES)] names: &mut [String]) -> usize { //~
    names.len()
}

#[offload(thread)]
fn shared(#[resource(NAMES)] names: &dyn Display) -> String { //~
    names.to_string()
}

#[offload(thread, stream)]
fn words(text: str) -> impl Iterator<Item = String> { //~
    text.split(' ').map(str::to_owned)
}

#[offload(thread, stream)]
fn items(n: u32) -> impl Iterator<Item = str> { //~
    n
}

#[offload(thread, stream)]
fn boxed_items(n: u32) -> Box<dyn Iterator<Item = [u8]> + Send> { //~
    n
}

#[offload(thread, stream)]
fn opened_items(n: u32) -> Result<impl Iterator<Item = Option<str>>, Error> { //~
    n
}

#[offload(thread, stream)]
fn all_items(n: u32) -> [u8] { //~
    n
}

#[offload(thread, stream, timeout = "1s")]
fn all_items_in_time(n: u32) -> [u8] { //~
    n
}

#[offload(thread, stream)]
fn opens_all_items(n: u32) -> Result<[u8], Error> { //~
    n
}

#[offload(thread, stream)]
fn opens_text(n: u32) -> Result<str, Error> { //~
    n
}

#[offload(thread, stream)]
fn an_iterator(n: u32) -> dyn Iterator<Item = u8> { //~
    n
}

#[offload(thread, stream)]
fn pushed(out: &mut Sink<str>) -> Result<(), Error> { //~
    Ok(out.send("a")?)
}

struct Store(String);

impl Store {
    #[offload(thread)]
    fn add(self, name: str) -> Self { //~
        Store(self.0 + &name)
    }

    #[offload(thread)]
    fn name(#[to_owned] &self) -> str { //~
        *self.0
    }
}

impl Clone for Store {
    fn clone(&self) -> Store {
        Store(self.0.clone())
    }
}

async fn caller() {
    let _ = bytes_soon;
    let _: usize = bytes_sync(Default::default());
    let _: String = of_object(1).await.to_string();
    let _: usize = in_results(1).await.unwrap().len();
    let _: usize = borrowed().await;
    let _ = pushed();
    let store = Store(String::new());
    let _: usize = store.name().await.len();
}

fn main() {}
