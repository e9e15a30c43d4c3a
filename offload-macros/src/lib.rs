//! The `#[offload]` attribute of `offload-runtime`. Depend on that crate: it
//! re-exports the attribute, and the expansion names its items.
//!
//! The way of an attribute through this crate, which is the beginning of the
//! way of a call. Imports go up this list, never down:
//!
//! | module | what it knows |
//! | --- | --- |
//! | `tokens` | types and bodies by themselves: what borrows, what has no name, what is called |
//! | `errors` | collects independent errors, so that one compilation shows them all |
//! | `options` | attribute tokens → `Options`, each key with its span |
//! | `function` | item tokens → `Function`: arguments, receiver, result, body |
//! | `check` | every rule, one small function each; and what to write instead |
//! | `expand` | checked function → what stands in its place, by kind |
//! | `fallback` | on error: the errors, and a stub with the promised signature |
//! | `entry` | `#[offload_runtime::main]` |

#![forbid(unsafe_code)]

mod check;
mod entry;
mod errors;
mod expand;
mod fallback;
mod function;
mod options;
#[cfg(test)]
mod snapshots;
mod tokens;

use std::panic::AssertUnwindSafe;

use proc_macro2::TokenStream;

/// An attribute that turns a synchronous function into an async one, whose body runs on a pool of
/// its own and not on a worker of the runtime.
///
/// ```
/// use offload_runtime::offload;
///
/// #[offload(thread)] // it waits: files, locks, drivers without async
/// fn read_report(path: std::path::PathBuf) -> std::io::Result<String> {
///     std::fs::read_to_string(path)
/// }
///
/// #[offload(cpu)] // it computes
/// fn checksum(data: Vec<u8>) -> u32 {
///     data.iter().fold(0, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte))
/// }
///
/// # futures::executor::block_on(async {
/// let sum = checksum(vec![1, 2, 3]).await;
/// let report = read_report("/no/such/file".into()).await;
/// # assert_ne!(sum, 0);
/// # assert!(report.is_err());
/// # });
/// ```
///
/// The first word is the kind: where the body runs.
///
/// | kind | for bodies that | the pool |
/// | --- | --- | --- |
/// | `thread` | wait: files, locks, drivers without async | grows with the calls that wait in it |
/// | `cpu` | compute | as many threads as cores, at a lower priority than the event loop's |
/// | `process` | may crash, leak or never end | worker processes, which can be killed; see [below](#process) |
/// | `remote` | are too many for one machine | a worker on another machine, through NATS JetStream; see [below](#remote) |
///
/// What is called afterwards is an `async fn` with the name, the visibility, the
/// docs, the generics and the arguments of the function below the attribute. It
/// is lazy, as every `async fn`: nothing happens before its first poll. Its
/// future is `Send + 'static` when its arguments are, and works on any executor.
/// A function with extractors as arguments is an axum handler.
///
/// # Options
///
/// They follow the kind, in any order: `#[offload(cpu, limit = 4, name = "thumb")]`.
///
/// | option | value | meaning |
/// | --- | --- | --- |
/// | `limit = 4` | a `usize`, or a `static` of type `Limiter` or `LazyLock<Limiter>` | at most so many run at once; a further call waits, in order. A `Limiter` is shared by all functions that name it |
/// | `queue = 100` | a `usize` | at most so many of its calls wait, for the limit or for the pool; one more is rejected at once, with an `Error` of kind `Overloaded` |
/// | `timeout = "2s"` | a string, or a `Duration` | from the first poll to the answer, else `TimedOut` |
/// | `queue_timeout = "100ms"` | a string, or a `Duration` | from the first poll to the start of the body, else `TimedOut` |
/// | `pool = REPORTS` | a `static` of type `ThreadPool`, `CpuPool`, `ProcessPool` or `RemotePool`, as the kind is, or a `LazyLock` of one of the first three | runs there and not on the default pool |
/// | `name = "thumb"` | a string | its label in spans, metrics and stats, in place of its path |
/// | `sync = thumb_sync` | a name | keeps the synchronous function too, under this name |
/// | `spawn = remove_soon` | a name | a plain function beside it, which starts the call at once; see [below](#start-now) |
/// | `panic = "error"` | this string | a panic of the body is an `Error` of its result, of the kind `Panicked` |
/// | `detach` | | the work goes on when its future is dropped |
/// | `stream`, `stream = 64` | a `usize` | callers get a stream of what the body makes; see [below](#streams) |
/// | `stall_timeout = "10s"` | a string, or a `Duration` | ends a body with a `Sink` whose consumer takes nothing for so long, with `TimedOut` |
/// | `attempts = 3` | a `u32` | for `remote`: a body whose worker is lost may run again, so many times in all |
/// | `crate = path` | a path | where `offload_runtime` is, if it has another name |
///
/// A string for a time is made of numbers and units, the larger unit first: `"2s"`,
/// `"100ms"`, `"1.5s"`, `"1m30s"`, `"1h"`, `"250us"`. A value that is an expression is
/// evaluated where the function stands, not inside it: constants and statics can
/// be named there, arguments and `Self` cannot.
///
/// With `timeout`, `queue`, `queue_timeout` or `stall_timeout` a call can fail without its body, and with `panic` it
/// fails by it. The
/// function then returns `Result<T, E>` with `E: From<offload_runtime::Error>`:
/// that `Error` itself, `std::io::Error`, `anyhow::Error`,
/// `Box<dyn std::error::Error + Send + Sync>`, or an error type of your own. Where a function
/// returns such a result without these options, it gets the `Error` as well: of a full pool, of a
/// shutdown, of a deadlock. Where it returns anything else, such a call panics.
///
/// ```
/// use std::time::Duration;
///
/// use offload_runtime::{Error, Limiter, offload};
///
/// static DATABASE: Limiter = Limiter::new(8);
/// const PATIENCE: Duration = Duration::from_secs(5);
///
/// #[offload(thread, limit = DATABASE, queue = 100, timeout = PATIENCE)]
/// fn count_rows(table: String) -> Result<u64, Error> {
///     Ok(table.len() as u64)
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(count_rows("users".to_owned()).await?, 5);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
///
/// With `sync` the body exists once, and the async function calls it. It is also
/// the way for a function that calls itself.
///
/// ```
/// # use offload_runtime::offload;
/// #[offload(cpu, sync = fibonacci_sync)]
/// fn fibonacci(n: u64) -> u64 {
///     if n < 2 { n } else { fibonacci_sync(n - 1) + fibonacci_sync(n - 2) }
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(fibonacci(20).await, fibonacci_sync(20));
/// # });
/// ```
///
/// In an `impl` block, where neither `self` nor `Self` shows that the function stands
/// in one, write `sync = Self::name`.
///
/// # Streams
///
/// With `stream`, a function that returns an iterator becomes one that returns an
/// `impl Stream<Item = T> + Send + 'static` (of the crate `futures-core`). Its items are made as they
/// are needed, 16 ahead or as many as `stream = 64` says. While the consumer is slow, no thread is held.
///
/// ```
/// use futures::StreamExt;
/// use offload_runtime::offload;
///
/// #[offload(cpu, stream)]
/// fn primes(below: u32) -> impl Iterator<Item = u32> {
///     (2..below).filter(|n| (2..*n).all(|d| n % d != 0))
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(primes(12).collect::<Vec<_>>().await, [2, 3, 5, 7, 11]);
/// # });
/// ```
///
/// The function may return a `Result<impl Iterator<Item = T>, E>`: its error is the first item, and the
/// only one. Where `T` is a `Result` (a type whose name ends so), the items of the stream are `T`, and
/// its error is made of `E`; else they are `Result<T, E>`.
///
/// A body that pushes its items, or lends a resource, has an argument `out: &mut Sink<T>`, which callers
/// do not give, and returns a `Result<(), E>`, whose error is the last item. It holds its thread while
/// the consumer is slow. A `Sink<Bytes>` is `std::io::Write`.
///
/// The stream is lazy. The span and the propagated values in the body are those of where the function
/// was called, since whoever polls the stream may be somebody else. A permit is held, and a `timeout`
/// counts, to the end of the stream, however slow the consumer is. A failure of the offload is the
/// last item, and so is a panic; where items cannot carry an `Error`, the poll panics instead. Dropped,
/// the stream cancels: the iterator is dropped on a pool before it makes another item, `Sink::send`
/// returns `Closed`, and `is_cancelled()` is true.
///
/// Of a `process` function the items come as its worker makes them: as many as `stream` says wait here, and as
/// many again are on their way. The body holds its worker, and a thread that waits for it, to the end of the
/// stream, in both forms: with an iterator, too, `stall_timeout` bounds how long a consumer may take nothing.
/// Dropped, the stream kills the worker, as a dropped call does. If the worker dies, that is the last item: an
/// `Error` of the kind `WorkerDied`, after the items that were sent before. Items are `serde` types and results:
/// of an iterator `Result<T, E>` with `E: From<offload_runtime::Error>`, or what it makes of `T` if the function
/// returns `Result<impl Iterator<Item = T>, E>`. No item is larger than `ProcessPool::max_message`.
/// `Bytes` are a `serde` type with the feature `serde` of their crate.
///
/// # `process`
///
/// With the feature `process` a body can run in another process: the same program,
/// started again. A crash of it costs its own call, and a body that nobody waits for
/// is killed. The program says so in `main`, by `#[offload_runtime::main]` or by
/// `offload_runtime::init()`; a test crate by `offload_runtime::test_worker!()`.
///
/// ```no_run
/// use offload_runtime::{Error, offload};
///
/// #[offload(process, timeout = "2s")]
/// fn render(document: String) -> Result<Vec<u8>, Error> {
///     Ok(document.into_bytes()) // a foreign library, say
/// }
///
/// fn main() -> Result<(), Error> {
///     offload_runtime::init();
///     let pdf = futures::executor::block_on(render("text".to_owned()))?;
///     # drop(pdf);
///     Ok(())
/// }
/// ```
///
/// * Arguments, result and its error are `serde` types. `#[to_owned]` sends what is
///   borrowed without a copy of it. The result is a `Result<T, E>` with
///   `E: From<offload_runtime::Error>`, since a process can always die.
/// * It is a free function, or an associated one that does not name `Self`, without
///   generics: a worker finds it in a table.
/// * The format is MessagePack. It does not tell `Some(None)`, `Some(())` and a `Some`
///   of what is written as nothing, such as `serde_json::Value::Null`, from `None`. What
///   the attribute can see of that, it refuses; in a type of yours, do without.
/// * A `Vec<u8>` that is a whole argument or the whole result is copied as bytes. Inside
///   of another type it takes a few ns a byte each way, which `#[serde(with = "serde_bytes")]` saves.
/// * Values are nested at most 128 deep, and all arguments, or a result, have at most
///   64 MiB together (`ProcessPool::max_message`). What is beyond is an `Error` of the
///   kind `Serialization`, and costs no worker.
/// * In a worker, a call of a `process` function runs in place. Statics, threads and
///   files are the worker's own.
/// * Bodies print to the parent's standard error. What they say through `tracing` is
///   said in the parent, below the span of the call.
/// * Functions of a dependency that the program never names may be left out by the
///   linker: a call of one fails with `Serialization`, which says so.
///
/// # `remote`
///
/// With the feature `remote` bodies run on other machines: in the same program, started there as a worker, which gets
/// calls from a NATS server with JetStream. Where no server is given (`OFFLOAD_NATS_URL`, or `remote::connect`), the bodies
/// run in this process, on the `cpu` pool, with all that would be sent encoded and
/// decoded, so that what cannot be sent is found. What goes there and back is what `process` takes; the result is a `Result<T, E>` with
/// `E: From<offload_runtime::Error>`. `timeout` is required, since the network can lose a machine
/// without a word. The page `remote` of the runtime's guide says how workers are started, and what is promised.
///
/// ```
/// use offload_runtime::{Error, offload};
///
/// #[offload(remote, timeout = "30s")]
/// fn render(document: String) -> Result<Vec<u8>, Error> {
///     Ok(document.into_bytes())
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(render("text".to_owned()).await?, b"text");
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
///
/// A call runs at most once, unless it has `attempts`: then a body whose worker is lost may run again, so many
/// times in all.
///
/// # Start now
///
/// With `spawn` there is a plain function beside the async one, which starts the call at once: in a handler, in
/// synchronous code, in a destructor, with a runtime or without. It returns a `Started<T>`, a future of
/// `Result<T, Error>` with `cancel`, `is_finished` and `wait`; dropped, it leaves the call going. It never panics: if
/// the call is rejected, the handle says so. Failures of the offload are its outer error for all kinds, also where the result of the
/// function carries them when it is awaited; so are a panic and the death of a worker. To cancel a call whose body runs
/// in another process kills that, as the drop of an awaited one does. A result without a name is a `Started<impl …>`.
///
/// It is not for the `impl` of a trait, where it would be a method that the trait does not have (E0407). Where nothing else
/// shows that the function stands in an `impl` block, write `spawn = Self::name`. Attribute macros below `#[offload]` see the
/// async function, which is polled once to start its call: so what they add before that is a part of both ways.
///
/// ```
/// use offload_runtime::offload;
///
/// #[offload(thread, spawn = remove_soon)]
/// fn remove(path: std::path::PathBuf) -> std::io::Result<()> {
///     std::fs::remove_file(path)
/// }
///
/// struct Scratch(std::path::PathBuf);
///
/// impl Drop for Scratch {
///     fn drop(&mut self) {
///         remove_soon(self.0.clone());
///     }
/// }
/// # let path = std::env::temp_dir().join(format!("offload-macros-scratch-{}", std::process::id()));
/// # std::fs::write(&path, "").unwrap();
/// # drop(Scratch(path.clone()));
/// # while path.exists() { std::thread::yield_now(); }
/// ```
///
/// # Arguments and `self`
///
/// The job may outlive its caller, so everything it needs moves into it: every
/// argument is `Send + 'static`, moves whether the body uses it or not, and is
/// dropped when the body has ended, in the order of a function. A guard lives as
/// long as the work it guards, not as long as the caller waits.
///
/// That a type parameter is `Send` the function says. That it is `'static` it need not say: the async function asks
/// for it, of what moves, and of nothing else. So `fn sort<T: Ord + Send>(values: Vec<T>)` becomes `async fn sort<T: Ord +
/// Send + 'static>(values: Vec<T>)`, and a `pub` method gets `where Self: 'static`. A caller that gives something borrowed gets
/// the error; the synchronous function of `sync` takes that. A private method does not get `where Self: 'static`, since it may
/// implement a trait, which would have to ask for it: there, write `'static` at the parameters of the `impl` block.
///
/// ```
/// # use offload_runtime::offload;
/// struct Sorted<T>(Vec<T>);
///
/// impl<T: Ord + Send> Sorted<T> {
///     #[offload(cpu)]
///     pub fn merge(self, mut other: Vec<T>) -> Self {
///         other.extend(self.0);
///         other.sort();
///         Sorted(other)
///     }
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(Sorted(vec![1, 3]).merge(vec![2]).await.0, [1, 2, 3]);
/// # });
/// ```
///
/// What is borrowed is copied by request. `#[to_owned]` takes the argument as a
/// reference, gives the job its own copy ([`ToOwned`]), and lends that to the body. The copy is made when the
/// function is called: what it returns is `impl Future + Send + 'static`, which can be spawned. A function with a bound
/// on `Self`, as default methods of traits need to be overridden by one that borrows, stays an `async fn`, which copies at
/// its first poll.
///
/// ```
/// # use offload_runtime::offload;
/// #[offload(thread)]
/// fn exists(#[to_owned] path: &std::path::Path) -> bool {
///     path.exists()
/// }
///
/// # futures::executor::block_on(async {
/// assert!(exists("/".as_ref()).await);
/// # });
/// ```
///
/// Methods take `self`, `self: Arc<Self>`, `self: Box<Self>`, `&'static self`, or `#[to_owned]
/// &self`, which clones `self` for the job. They may stand in the `impl` of a trait that declares
/// them as `async fn` or with `-> impl Future`.
///
/// ```
/// # use offload_runtime::offload;
/// #[derive(Clone)]
/// struct Catalogue {
///     words: std::sync::Arc<[String]>,
/// }
///
/// impl Catalogue {
///     #[offload(cpu)]
///     fn longest(#[to_owned] &self) -> Option<String> {
///         self.words.iter().max_by_key(|word| word.len()).cloned()
///     }
/// }
///
/// # futures::executor::block_on(async {
/// let catalogue = Catalogue { words: ["a".to_owned(), "abc".to_owned()].into() };
/// assert_eq!(catalogue.longest().await.as_deref(), Some("abc"));
/// # });
/// ```
///
/// For `#[to_owned] &self` the word `self` is replaced in the body, in macros too. A
/// string that captures it, as in `format!("{self}")`, is refused: write
/// `format!("{}", self)`.
///
/// # Resources
///
/// An argument with `#[resource(DB)]` is not given by callers: the body borrows it from the `static` with that
/// name, and gives it back when it has ended. What is called afterwards has the other arguments only;
/// with `sync` the synchronous function keeps it.
///
/// ```
/// # type Connection = std::collections::HashMap<u64, String>;
/// use offload_runtime::{Error, Resource, offload};
///
/// static DB: Resource<Connection> = Resource::new("db", || Ok(Connection::new())).size(4);
///
/// #[offload(thread)]
/// fn load(id: u64, #[resource(DB)] connection: &mut Connection) -> Result<Option<String>, Error> {
///     Ok(connection.get(&id).cloned())
/// }
///
/// # futures::executor::block_on(async {
/// assert_eq!(load(1).await?, None);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
///
/// A `Resource<T>` lends `&mut T` to one body at a time, a `SharedResource<T>` lends `&T` to all, and a
/// `ThreadResource<T>` lends either to the bodies of one thread. A call that waits for one uses no thread. Each
/// can be borrowed once by a function.
///
/// # Results
///
/// A body is synchronous. What it has to await it can wait for, by
/// `tokio::runtime::Handle::current().block_on(async { … })`: the caller's runtime is entered. A
/// function that does nothing else needs no `#[offload]`.
///
/// Awaiting gives exactly what the body returns. The result is `Send + 'static`;
/// `impl Trait` is possible, and so is `!`.
///
/// # Panics
///
/// A panic of the body resumes in the task that awaits it, with its own payload,
/// and the pool's thread lives on. In another process, it is an `Error` of the kind
/// `Panicked`, with the message, the place and the backtrace. `#[track_caller]` has no effect on an async
/// function, and is left out; with `sync` the synchronous one keeps it.
///
/// # Cancel safety
///
/// Dropped while it waits, a call never runs its body. Dropped while the body
/// runs, the body goes on, its result is dropped, and `is_cancelled()` turns
/// true for it; in another process it is killed. `detach` turns all of this off.
///
/// # Other attributes
///
/// Attributes below `#[offload]` belong to the async function, and attribute macros
/// among them see it: `#[axum::debug_handler]` goes below. Attribute macros above it
/// see the synchronous function. A method in an `impl` below `#[async_trait]` cannot have the
/// attribute, since that macro has rewritten the trait, and rewrites what is an `async fn` already
/// (E0195): put it on a function, and await that. With `sync`, docs, lint levels, `cfg`, `must_use` and
/// the like are on both functions.
///
/// # What is refused
///
/// `async`, `const`, `unsafe`, `extern` and variadic functions; lifetime parameters;
/// arguments, a `self` or a result that borrow (`'static` excepted); a body that awaits, or that
/// calls itself and takes the future for the result; options that do not exist, are given twice or make no sense; for `process`, generics, `self` and
/// `Self`. Each is an error at the word that
/// causes it, with the fix in it.
#[proc_macro_attribute]
pub fn offload(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    // An attribute in the first column is on a function of a module: what stands in an `impl` block is indented.
    // So its types are no parameters of such a block. Compilers before 1.88 do not tell columns and always give
    // the first; if that is wrong, the error is the compiler's own.
    let at_line_start = proc_macro2::Span::call_site().start().column == 0;
    let expand = || expand_attribute(options.clone().into(), item.clone().into(), at_line_start);
    // A mistake of ours is an error like any other, and costs the function nothing.
    std::panic::catch_unwind(AssertUnwindSafe(expand))
        .unwrap_or_else(|_| fallback::panicked(item.clone().into()))
        .into()
}

/// An attribute for `main`: `#[tokio::main]` for a program with `#[offload(process)]`, which starts itself
/// again to get workers.
///
/// In such a process the body of `main` never runs: the worker takes its place
/// before a runtime is made. In any other process, this is `#[tokio::main]`, whose
/// options it takes. It needs what that needs: `tokio` among the dependencies, with
/// the features `macros` and `rt` or `rt-multi-thread`.
///
/// ```no_run
/// # #[cfg(any())] // Tokio is not a dependency here.
/// #[offload_runtime::main(flavor = "current_thread")]
/// async fn main() {
///     println!("only in the parent");
/// }
/// # fn main() {}
/// ```
///
/// A `main` that is written by hand calls `offload_runtime::init()` first.
#[proc_macro_attribute]
pub fn main(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    entry::expand(&options.into(), item.into()).into()
}

/// The pipeline, on tokens that also a unit test can make.
fn expand_attribute(options: TokenStream, item: TokenStream, at_line_start: bool) -> TokenStream {
    let function = match function::parse::parse(item.clone(), at_line_start) {
        Ok(function) => function,
        Err(error) => return fallback::unchanged(&error, item),
    };
    let (options, mut errors) = options::parse(options);
    check::check(&options, &function, &mut errors);
    match errors.into_result() {
        Ok(()) => expand::expand(&options, &function),
        Err(error) => fallback::stub(&error, &options, &function),
    }
}
