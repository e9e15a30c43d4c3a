//! `#[to_owned]`: the copy is made when the function is called, and the future owns it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;
use offload_runtime::{Error, offload};

#[derive(Clone)]
struct Service {
    prefix: Arc<str>,
}

impl Service {
    #[offload(thread)]
    fn get(#[to_owned] &self, #[to_owned] name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn is_static<F: Future<Output: Send + 'static> + Send + 'static>(future: F) -> F {
    future
}

#[tokio::test]
async fn a_call_that_was_lent_what_it_copies_can_be_spawned() {
    let task = {
        let (service, name) = (Service { prefix: "a".into() }, String::from("b"));
        tokio::spawn(service.get(&name))
    };
    assert_eq!(task.await.unwrap(), "ab");
}

#[test]
fn the_future_outlives_what_was_lent() {
    let future = {
        let name = String::from("b");
        Service { prefix: "a".into() }.get(&name)
    };
    assert_eq!(block_on(future), "ab");
}

#[test]
fn the_copy_is_made_at_the_call_and_the_body_runs_at_the_first_poll() {
    static COPIES: AtomicUsize = AtomicUsize::new(0);
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    struct Copied;
    impl Clone for Copied {
        fn clone(&self) -> Copied {
            COPIES.fetch_add(1, Ordering::Relaxed);
            Copied
        }
    }
    #[offload(cpu)]
    fn run(#[to_owned] _copied: &Copied) {
        RUNS.fetch_add(1, Ordering::Relaxed);
    }
    let numbers = || (COPIES.load(Ordering::Relaxed), RUNS.load(Ordering::Relaxed));
    let future = run(&Copied);
    assert_eq!(numbers(), (1, 0));
    drop(future);
    assert_eq!(numbers(), (1, 0));
    block_on(run(&Copied));
    assert_eq!(numbers(), (2, 1));
}

/// Whether it has parameters, options, a result without a name, or none.
#[test]
fn futures_of_functions_of_any_shape_are_static() {
    #[offload(cpu)]
    fn generic<T: Clone + Sync + Send + 'static, const N: usize>(
        #[to_owned] value: &T,
        more: impl Fn(T) -> T + Send + 'static,
    ) -> [T; N] {
        std::array::from_fn(|_| more(value.clone()))
    }
    #[offload(thread, timeout = "60s", limit = 2)]
    fn fallible(#[to_owned] text: &str) -> Result<u32, Error> {
        Ok(text.parse().unwrap_or_default())
    }
    #[offload(cpu)]
    fn opaque(#[to_owned] text: &str) -> impl Iterator<Item = char> {
        text.chars().rev().collect::<Vec<_>>().into_iter()
    }
    #[offload(cpu, sync = nothing_sync)]
    fn nothing(#[to_owned] _: &[u8]) {}
    #[offload(cpu)]
    fn opaque_within(#[to_owned] text: &str) -> std::io::Result<impl Iterator<Item = char>> {
        Ok(text.chars().rev().collect::<Vec<_>>().into_iter())
    }
    let (number, text) = (1_u8, String::from("12"));
    let generic = is_static(generic::<_, 2>(&number, |n: u8| n + 1));
    let (fallible, opaque) = (is_static(fallible(&text)), is_static(opaque(&text)));
    let within = is_static(opaque_within(&text));
    let nothing = is_static(nothing(text.as_bytes()));
    drop(text);
    assert_eq!(block_on(generic), [2, 2]);
    assert_eq!(block_on(fallible).unwrap(), 12);
    assert_eq!(block_on(opaque).collect::<String>(), "21");
    assert_eq!(block_on(within).unwrap().collect::<String>(), "21");
    block_on(nothing);
    nothing_sync(b"");
}

trait Store {
    async fn load(&self, key: &str) -> usize;

    fn sent(&self, key: &str) -> impl Future<Output = usize> + Send;

    #[offload(cpu)]
    fn default(#[to_owned] &self) -> usize
    where
        Self: Clone + Send + Sync + 'static,
    {
        9
    }
}

impl Store for Service {
    #[offload(thread)]
    fn load(#[to_owned] &self, #[to_owned] key: &str) -> usize {
        self.prefix.len() + key.len()
    }

    #[offload(thread)]
    fn sent(#[to_owned] &self, #[to_owned] key: &str) -> usize {
        self.prefix.len() * key.len()
    }
}

struct Plain;

impl Store for Plain {
    async fn load(&self, key: &str) -> usize {
        key.len()
    }

    async fn sent(&self, key: &str) -> usize {
        key.len()
    }

    async fn default(&self) -> usize {
        1
    }
}

#[test]
fn methods_of_traits_keep_what_the_trait_promises() {
    let service = Service { prefix: "abc".into() };
    let load = is_static(service.load(&String::from("de")));
    assert_eq!(block_on(load), 5);
    assert_eq!(block_on(service.sent("de")), 6);
    assert_eq!(block_on(Store::default(&service)), 9);
    assert_eq!(block_on(Plain.load("de")) + block_on(Plain.sent("de")), 4);
}
