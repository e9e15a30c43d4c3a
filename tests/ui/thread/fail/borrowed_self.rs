//! `self` is an argument like any other.

use std::pin::Pin;
use std::sync::Arc;

use offload_runtime::offload;

#[derive(Clone)]
struct Store {
    names: Vec<String>,
}

impl Store {
    #[offload(thread)]
    fn count(&self) -> usize { //~
        self.names.len()
    }

    #[offload(thread)]
    fn named<'a>(&'a self) -> usize { //~
        self.names.len()
    }

    #[offload(thread)]
    fn named_and_changed<'a>(&'a mut self) { //~
        self.names.clear();
    }

    #[offload(thread)]
    fn add(&mut self, name: String) { //~
        self.names.push(name);
    }

    #[offload(thread)]
    fn typed(self: &Self) -> usize { //~
        self.names.len()
    }

    #[offload(thread)]
    fn lent_arc(self: &Arc<Self>) -> usize { //~
        self.names.len()
    }

    #[offload(thread)]
    fn pinned(self: Pin<&mut Self>) -> usize { //~
        self.names.len()
    }

    #[offload(thread)]
    fn copied_and_changed(#[to_owned] &mut self) { //~
        self.names.clear();
    }

    #[offload(thread)]
    fn already_owned(#[to_owned] self) -> usize { //~
        self.names.len()
    }

    #[offload(thread)]
    fn in_a_string(#[to_owned] &self) -> String {
        format!("<{self}>") //~
    }
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}

async fn caller(mut store: Store) {
    store.add(String::new()).await;
    let _: usize = store.named().await;
    store.named_and_changed().await;
    let _: usize = store.count().await + store.typed().await + Arc::new(store.clone()).lent_arc().await;
    let _: usize = Pin::new(&mut store).pinned().await;
    let _: String = store.in_a_string().await;
    store.copied_and_changed().await;
    let _: usize = store.already_owned().await;
}

fn main() {}
