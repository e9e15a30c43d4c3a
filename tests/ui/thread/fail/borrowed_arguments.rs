//! What is lent cannot move to a thread that may outlive its owner.

use std::borrow::Cow;
use std::path::Path;

use offload_runtime::offload;

#[offload(thread)]
fn string(name: &str) -> usize { //~
    name.len()
}

#[offload(thread)]
fn path(path: &Path) -> bool { //~
    path.exists()
}

#[offload(thread)]
fn slice(data: &[u8]) -> usize { //~
    data.len()
}

#[offload(thread)]
fn own_type(config: &Config) -> u32 { //~
    config.0
}

#[offload(thread)]
fn mutable(list: &mut Vec<u32>) { //~
    list.push(1);
}

#[offload(thread)]
fn inside(name: Option<&str>) -> bool { //~
    name.is_some()
}

#[offload(thread)]
fn cow(name: Cow<'_, str>) -> usize { //~
    name.len()
}

#[offload(thread)]
fn trait_object(test: Box<dyn Fn() -> bool + Send + '_>) -> bool { //~
    test()
}

#[offload(thread)]
fn impl_trait(words: impl Iterator<Item = &'static str> + Send + '_) -> usize { //~
    words.count()
}

#[offload(thread)]
fn named<'a>(name: &'a str, _other: String) -> usize { //~
    name.len()
}

struct Config(u32);

async fn caller() {
    let _: usize = string("a").await;
    let _: bool = path(Path::new("/")).await;
    let _: usize = slice(b"abc").await;
    let _: u32 = own_type(&Config(1)).await;
    mutable(&mut vec![]).await;
    let _: bool = inside(Some("a")).await;
    let _: usize = cow("a".into()).await;
    let _: bool = trait_object(Box::new(|| true)).await;
    let _: usize = impl_trait(["a"].into_iter()).await;
    let _: usize = named("a", String::new()).await;
}

fn main() {}
