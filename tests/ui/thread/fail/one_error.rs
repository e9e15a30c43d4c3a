//! A refused function is one error, whatever the compiler could say of its signature.

use std::borrow::Cow;
use std::fmt;

use offload_runtime::offload;

struct View<'a>(Cow<'a, str>);

impl View<'static> {
    #[offload(thread)]
    fn fmt(self, f: &mut fmt::Formatter) -> fmt::Result { //~
        f.write_str(&self.0)
    }

    #[offload(thread)]
    fn seen(self, other: &View) -> usize { //~
        other.0.len()
    }
}

#[offload(thread)]
fn from_nobody(name: String) -> &str { //~
    &name
}

#[offload(thread)]
fn from_nobody_inside(name: String) -> Option<&str> { //~
    Some(&name)
}

#[offload(thread)]
fn from_nobody_opaque(name: String) -> impl Iterator<Item = &str> { //~
    [].into_iter()
}

struct Samples<B>(B);

impl<B> Samples<B> {
    #[offload(thread)]
    fn all<T>(
        &self, //~
    ) -> Option<&[T]> //~
    where
        B: AsRef<[T]>,
    {
        Some(self.0.as_ref())
    }
}

#[offload(thread)]
fn from_somebody(
    name: &'who str,       //~
    other: View<'another>, //~
) -> &'who str { //~
    name
}

#[offload(thread)]
fn of_two(
    first: &str,  //~
    second: &str, //~
) -> &str { //~
    if first.is_empty() { second } else { first }
}

#[offload(thread)]
#[offload(cpu)] //~
fn twice(n: u8) -> u8 {
    n
}

#[offload(blocking)] //~
fn kind_of_elsewhere(n: u8) -> u8 {
    n
}

#[offload(rayon, limit = 2)] //~
fn and_another(n: u8) -> u8 {
    n
}

async fn caller() {
    let _: &str = from_nobody(String::new()).await;
    let _: Option<&str> = from_nobody_inside(String::new()).await;
    let _: &str = of_two("a", "b").await;
    let _: u8 = twice(1).await + kind_of_elsewhere(1).await + and_another(1).await;
    let _: usize = View("a".into()).seen(&View("b".into())).await;
}

fn main() {}
