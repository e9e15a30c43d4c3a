//! All options of the attribute, in a crate of the edition 2021 in which the runtime has another name. `.ci/run` also
//! builds it with the oldest compiler.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use futures::StreamExt;
use offload::{offload, CpuPool, Error, Limiter, ProcessPool, Resource, Sink, ThreadPool};

offload::test_worker!();

static THREADS: ThreadPool = ThreadPool::new("threads-2021").threads(2);
static CORES: CpuPool = CpuPool::new("cores-2021").threads_with(|| 2);
static WORKERS: ProcessPool = ProcessPool::new("workers-2021").workers(1);
static TWO: Limiter = Limiter::new(2);
const FOUR: usize = 4;

#[offload(
    thread,
    pool = THREADS,
    limit = TWO,
    queue = 10,
    timeout = "1m",
    queue_timeout = "30s",
    name = "read",
    sync = read_sync,
    crate = offload
)]
fn read(text: String) -> Result<usize, Error> {
    Ok(text.len())
}

#[offload(cpu, pool = CORES, limit = FOUR, detach, timeout = Duration::from_secs(60), crate = offload)]
fn sum(numbers: Vec<u64>) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    Ok(numbers.iter().sum())
}

#[offload(process, pool = WORKERS, limit = 1, queue = 4, timeout = "1m", spawn = double_soon, crate = offload)]
fn double(number: u32) -> Result<u32, Error> {
    Ok(number * 2)
}

#[offload(thread, spawn = length_soon, panic = "error", crate = offload)]
fn length(text: String) -> Result<usize, Error> {
    Ok(text.len())
}

#[offload(cpu, spawn = squares_soon, crate = offload)]
fn squares(#[to_owned] from: &str, n: u32) -> impl Iterator<Item = u32> + Send {
    let from = from.len() as u32;
    (from..from + n).map(|n| n * n)
}

#[offload(thread, stream = 2, crate = offload)]
fn count(below: u32) -> impl Iterator<Item = u32> + Send + 'static {
    0..below
}

#[offload(thread, stream, stall_timeout = "1m", crate = offload)]
fn send(below: u32, out: &mut Sink<u32>) -> Result<(), Error> {
    for number in 0..below {
        out.send(number)?;
    }
    Ok(())
}

/// Without a server it runs here.
#[offload(remote, attempts = 2, timeout = "1m", crate = offload)]
fn successor(number: u32) -> Result<u32, Error> {
    Ok(number + 1)
}

static WORDS: Resource<Vec<String>> = Resource::new("words-2021", || Ok(Vec::new()));

#[offload(thread, crate = offload)]
fn keep(word: String, #[resource(WORDS)] words: &mut Vec<String>) -> usize {
    words.push(word);
    words.len()
}

#[offload(cpu, crate = offload)]
fn upper(#[to_owned] text: &str) -> String {
    text.to_uppercase()
}

#[derive(Clone)]
struct Shelf {
    books: usize,
}

impl Shelf {
    #[offload(thread, crate = offload)]
    fn count(#[to_owned] &self) -> usize {
        self.books
    }

    #[offload(cpu, limit = 3, crate = offload)]
    fn add<const N: usize, T: Into<usize> + Send + 'static>(
        self: Arc<Self>,
        more: [T; N],
    ) -> usize {
        self.books + more.into_iter().map(Into::into).sum::<usize>()
    }
}

/// What its parameters and its lifetime are is only known around it.
struct Table<'a, T>(std::marker::PhantomData<&'a T>);

impl<'a, T: Default + Send + 'static> Table<'a, T> {
    #[offload(cpu, crate = offload)]
    fn rows(count: usize) -> Vec<T> {
        let names: [&'a str; 1] = [""];
        (0..count * names.len()).map(|_| T::default()).collect()
    }
}

#[test]
fn every_option_does_its_work_in_the_edition_2021() {
    block_on(async {
        assert_eq!(read("four".into()).await.unwrap(), 4);
        assert_eq!(read_sync("four".into()).unwrap(), 4);
        assert_eq!(sum(vec![1, 2, 3]).await.unwrap(), 6);
        assert_eq!(double(21).await.unwrap(), 42);
        assert_eq!(upper("word").await, "WORD");
        assert_eq!(length_soon("four".into()).await.unwrap().unwrap(), 4);
        assert_eq!(length("four".into()).await.unwrap(), 4);
        let squares_of = squares_soon("two", 2).await.unwrap();
        assert_eq!(squares_of.collect::<Vec<_>>(), [9, 16]);
        assert_eq!(squares("one", 1).await.sum::<u32>(), 9);
        assert_eq!(double_soon(21).await.unwrap().unwrap(), 42);
        assert_eq!(successor(1).await.unwrap(), 2);
        assert_eq!(count(3).collect::<Vec<_>>().await, [0, 1, 2]);
        assert_eq!(send(3).map(Result::unwrap).collect::<Vec<_>>().await, [0, 1, 2]);
        assert_eq!((keep("a".into()).await, keep("b".into()).await), (1, 2));
        let shelf = Shelf { books: 3 };
        assert_eq!(shelf.count().await, 3);
        assert_eq!(Arc::new(shelf).add([1_usize, 2]).await, 6);
        assert_eq!(Table::<u8>::rows(2).await, [0, 0]);
    });
}

#[test]
fn closures_run_in_the_edition_2021() {
    block_on(async {
        assert_eq!(offload::to_thread(|| 1).await, 1);
        assert_eq!(offload::to_cpu(|| 2).await, 2);
        assert_eq!(offload::spawn_cpu(|| 3).await.unwrap(), 3);
        assert_eq!(THREADS.run(|| 4).await, 4);
    });
}
