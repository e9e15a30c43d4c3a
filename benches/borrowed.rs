//! What it costs a call to borrow a resource: `cargo bench -p offload-benches --bench borrowed`.
//!
//! Calls of a body that does nothing, one at a time, with a connection that nobody else wants: without
//! one, with each sort of resource, and as one would write it by hand. All in turn, in one process;
//! the figure is the middle of the rounds, `ROUNDS` sets how many.

use std::future::Future;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use offload_benches::page::{Rows, Side};
use offload_benches::paired::rounds;
use offload_benches::runtime::Runtime;
use offload_runtime::{Limiter, Resource, SharedResource, ThreadResource, offload};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// In each round, of each way.
const CALLS: u32 = 5_000;

static DB: Resource<u64> = Resource::new("db", || Ok(0)).size(4);
static MODEL: SharedResource<u64> = SharedResource::new("model", || Ok(1));
static PARSER: ThreadResource<u64> = ThreadResource::new("parser", || Ok(0));
static LIMIT: Limiter = Limiter::new(4);

#[offload(thread)]
fn nothing() -> u64 {
    1
}

#[offload(thread, limit = LIMIT)]
fn limited() -> u64 {
    1
}

#[offload(thread)]
fn exclusive(#[resource(DB)] db: &mut u64) -> u64 {
    *db += 1;
    *db
}

#[offload(thread)]
fn shared(#[resource(MODEL)] model: &u64) -> u64 {
    *model
}

#[offload(thread)]
fn of_thread(#[resource(PARSER)] parser: &mut u64) -> u64 {
    *parser += 1;
    *parser
}

/// A permit, then a connection out of a list.
async fn by_hand() -> u64 {
    static FREE: Semaphore = Semaphore::const_new(4);
    static IDLE: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    let permit = FREE.acquire().await.expect("it is not closed");
    let body = move || {
        let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = idle().pop().unwrap_or_default();
        connection += 1;
        idle().push(connection);
        drop(permit);
        connection
    };
    spawn_blocking(body).await.expect("no panic")
}

/// Microseconds a call.
async fn measure<F: Future<Output = u64>>(call: impl Fn() -> F) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        black_box(call().await);
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
}

fn main() {
    const WAYS: [&str; 6] = [
        "no resource",
        "`limit`",
        "`Resource`",
        "`SharedResource`",
        "`ThreadResource`",
        "`spawn_blocking`, a semaphore and a list",
    ];
    let mut figures = WAYS.map(|_| Vec::new());
    Runtime::CurrentThread.build().block_on(async {
        for round in 0..=rounds(9) {
            let all = [
                measure(nothing).await,
                measure(limited).await,
                measure(exclusive).await,
                measure(shared).await,
                measure(of_thread).await,
                measure(by_hand).await,
            ];
            // The first one warms up.
            if round > 0 {
                figures.iter_mut().zip(all).for_each(|(figures, figure)| figures.push(figure));
            }
        }
    });
    println!("\n### A call that borrows\n\n| | µs a call | beside none |\n| --- | --- | --- |");
    let mut rows = Rows::new("borrowed");
    let question = "a call with a connection that nobody else wants";
    rows.compare(question, "µs", Side("Resource", &figures[2]), Side(WAYS[5], &figures[5]), "");
    let middles = figures.map(|mut figures| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    });
    for (way, middle) in WAYS.iter().zip(middles) {
        println!("| {way} | {middle:.2} | {:.2} |", middle / middles[0]);
    }
    rows.print();
}
