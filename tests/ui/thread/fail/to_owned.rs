//! `#[to_owned]` on what it cannot copy.

use std::fmt::Debug;
use std::rc::Rc;

use offload_runtime::offload;

struct NotClone(u32);

#[offload(thread)]
fn owned(#[to_owned] name: String) -> usize { //~
    name.len()
}

#[offload(thread)]
fn option(#[to_owned] name: Option<&str>) -> bool { //~
    name.is_some()
}

#[offload(thread)]
fn mutable(#[to_owned] list: &mut Vec<u32>) { //~
    list.push(1);
}

#[offload(thread)]
fn nested(#[to_owned] names: &[&str]) -> usize { //~
    names.len()
}

#[offload(thread)]
fn arguments(#[to_owned(String)] name: &str) -> usize { //~
    name.len()
}

#[offload(thread)]
fn not_clone(#[to_owned] value: &NotClone) -> u32 { //~
    value.0
}

#[offload(thread)]
fn not_send(#[to_owned] value: &Rc<u32>) -> u32 { //~
    **value
}

#[offload(thread)]
fn opaque(#[to_owned] text: &impl AsRef<str>) -> usize { //~
    text.as_ref().len()
}

#[offload(thread)]
fn object(#[to_owned] x: dyn Debug) { //~
    println!("{x:?}");
}

#[offload(thread)]
fn objects(#[to_owned] x: (dyn Debug + Send)) { //~
    println!("{x:?}");
}

impl NotClone {
    #[offload(thread)]
    fn method(#[to_owned] &self) -> u32 { //~
        self.0
    }
}

#[offload(thread)]
fn for_ever(#[to_owned] name: &'static str) -> usize { //~
    name.len()
}

impl NotClone {
    #[offload(thread)]
    fn method_for_ever(#[to_owned] &'static self) -> u32 { //~
        self.0
    }
}

async fn caller() {
    let _: usize = owned(String::new()).await;
    let _: bool = option(None).await;
    mutable(&mut vec![]).await;
    let _: usize = nested(&["a"]).await;
    let _: usize = arguments("a").await;
    let _: u32 = not_clone(&NotClone(1)).await;
    let _: u32 = not_send(&Rc::new(1)).await;
    let _: usize = opaque(&"a").await;
    let _: u32 = NotClone(1).method().await;
    let _: usize = for_ever("a").await;
}

fn main() {}
