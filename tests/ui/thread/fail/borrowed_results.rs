//! A result comes back from another thread.

use std::borrow::Cow;

use offload_runtime::offload;

#[offload(thread)]
fn reference(#[to_owned] name: &str) -> &str { //~
    name
}

#[offload(thread)]
fn inside(#[to_owned] name: &str) -> Option<&str> { //~
    Some(name)
}

#[offload(thread)]
fn cow(#[to_owned] name: &str) -> Cow<'_, str> { //~
    name.into()
}

#[offload(thread)]
fn opaque(#[to_owned] name: &str) -> impl Iterator<Item = char> + '_ { //~
    name.chars()
}

async fn caller() {
    let _: &str = reference("a").await;
    let _: Option<&str> = inside("a").await;
    let _: Cow<'_, str> = cow("a").await;
    let _: Option<char> = opaque("a").await.next();
}

fn main() {}
