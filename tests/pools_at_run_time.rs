//! Pools whose size and threads are known when the program runs.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};

use futures::executor::block_on;
use offload_runtime::{CpuPool, Error, ErrorKind, Limiter, Ran, ThreadPool, offload, stats};
use offload_tests::{begin, numbers, pool, settle};

#[test]
fn the_number_of_threads_is_asked_for_once_when_the_pool_starts() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static CPU: CpuPool = CpuPool::new("sized-cpu").threads_with(|| {
        ASKED.fetch_add(1, Ordering::SeqCst);
        3
    });
    static THREAD: ThreadPool = ThreadPool::new("sized-thread").threads_with(|| 5);

    assert_eq!(ASKED.load(Ordering::SeqCst), 0);
    for _ in 0..3 {
        CPU.spawn(|| ()).wait().unwrap();
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    THREAD.spawn(|| ()).wait().unwrap();
    assert_eq!((pool("sized-cpu").limit, pool("sized-thread").limit), (3, 5));
}

#[test]
fn a_number_of_threads_that_makes_no_sense_is_told_each_call() {
    static NONE: ThreadPool = ThreadPool::new("sized-zero").threads_with(|| 0);
    static BROKEN: CpuPool = CpuPool::new("sized-broken").threads_with(|| panic!("no number"));

    #[offload(cpu, pool = BROKEN, queue = 10)]
    fn on_broken() -> Result<(), Error> {
        Ok(())
    }

    for _ in 0..2 {
        let errors = [
            NONE.spawn(|| ()).wait().unwrap_err(),
            BROKEN.spawn(|| ()).wait().unwrap_err(),
            block_on(on_broken()).unwrap_err(),
        ];
        let texts = [
            "`threads_with` of the pool `sized-zero` gave 0; it has to be at least 1",
            "`threads_with` of the pool `sized-broken` panicked",
            "`threads_with` of the pool `sized-broken` panicked",
        ];
        for (error, text) in errors.into_iter().zip(texts) {
            assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
            assert!(error.to_string().ends_with(text), "{error}");
        }
    }
}

#[test]
fn a_limit_is_asked_for_once_and_told_each_call_if_it_makes_no_sense() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static SIZED: Limiter = Limiter::with(|| 2 + ASKED.fetch_add(1, Ordering::SeqCst));
    static ZERO: Limiter = Limiter::with(|| 0);
    static BROKEN: Limiter = Limiter::with(|| panic!("no number"));

    #[offload(thread, limit = SIZED, name = "sized")]
    fn sized() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, limit = ZERO, queue = 10, name = "limit of zero")]
    fn zero() -> Result<(), Error> {
        Ok(())
    }

    #[offload(cpu, limit = BROKEN)]
    fn broken() -> Result<(), Error> {
        Ok(())
    }

    for _ in 0..2 {
        block_on(sized()).unwrap();
        for (error, text) in [
            (block_on(zero()).unwrap_err(), "`Limiter::with` gave 0; it has to be at least 1"),
            (block_on(broken()).unwrap_err(), "`Limiter::with` panicked"),
        ] {
            assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
            assert!(error.to_string().ends_with(text), "{error}");
        }
    }
    assert_eq!((SIZED.limit(), ASKED.load(Ordering::SeqCst)), (2, 1));
    // Who looks at a limit that makes no sense finds none, and no panic.
    ZERO.set_limit(4);
    let limit = |name| numbers(name).limit.unwrap().permits;
    assert_eq!((limit("sized"), limit("limit of zero")), (2, 0));
}

thread_local! {
    static PREPARED: Cell<usize> = const { Cell::new(0) };
}

fn prepare() {
    PREPARED.set(PREPARED.get() + 1);
}

#[test]
fn each_thread_is_prepared_once_before_its_first_body() {
    let pools = [
        CpuPool::new("prepared").threads(1).on_thread_start(prepare).leak(),
        CpuPool::new("prepared-rayon").threads(1).rayon().on_thread_start(prepare).leak(),
    ];
    for pool in pools {
        for _ in 0..3 {
            assert_eq!(pool.spawn(|| PREPARED.get()).wait().unwrap(), 1);
        }
    }
    let pool = ThreadPool::new("prepared-thread").on_thread_start(prepare).leak();
    assert_eq!(pool.spawn(|| PREPARED.get()).wait().unwrap(), 1);
}

#[test]
fn a_thread_whose_preparation_panics_serves_all_the_same() {
    let pool = ThreadPool::new("unprepared").on_thread_start(|| panic!("on purpose")).leak();
    assert_eq!(pool.spawn(|| 4).wait().unwrap(), 4);
}

/// Takes about 16 KiB of stack for each turn.
fn deep(turns: usize) -> usize {
    let block = std::hint::black_box([1_u8; 16 << 10]);
    if turns == 0 { 0 } else { deep(turns - 1) + usize::from(block[turns % 7]) }
}

/// On the 2 MiB that are the default it would end the process.
#[test]
fn a_body_may_use_the_stack_that_its_pool_asks_for() {
    let pools = [
        CpuPool::new("deep").threads(1).stack_size(32 << 20).leak(),
        CpuPool::new("deep-rayon").threads(1).rayon().stack_size(32 << 20).leak(),
    ];
    for pool in pools {
        assert_eq!(pool.spawn(|| deep(500)).wait().unwrap(), 500);
    }
    let pool = ThreadPool::new("deep-thread").stack_size(32 << 20).leak();
    assert_eq!(pool.spawn(|| deep(500)).wait().unwrap(), 500);
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

#[test]
fn a_pool_of_functions_may_be_made_when_the_program_runs() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static FILES: LazyLock<ThreadPool> = LazyLock::new(|| {
        MADE.fetch_add(1, Ordering::SeqCst);
        ThreadPool::new("lazy-files").threads(2)
    });
    static IMAGES: LazyLock<CpuPool> = LazyLock::new(|| CpuPool::new("lazy-images").threads(1));

    #[offload(thread, pool = FILES, name = "lazy read", spawn = read_soon)]
    fn read() -> String {
        thread_name()
    }

    #[offload(thread, pool = FILES)]
    fn write() -> String {
        thread_name()
    }

    // One body has the only thread, and the other waits for it.
    #[offload(cpu, pool = IMAGES)]
    fn shrink(deeper: bool) -> String {
        if deeper { block_on(shrink(false)) } else { thread_name() }
    }

    drop(read());
    assert_eq!(MADE.load(Ordering::SeqCst), 0, "nobody has called");
    let seen = [block_on(read()), read_soon().wait().unwrap(), block_on(write())];
    assert!(seen.iter().all(|name| name.starts_with("lazy-files-")), "{seen:?}");
    assert_eq!(MADE.load(Ordering::SeqCst), 1);
    assert_eq!(FILES.spawn(|| 6 * 7).wait().unwrap(), 42, "closures run there, too");
    assert!(block_on(shrink(true)).starts_with("lazy-images-"));
    assert_eq!((pool("lazy-files").limit, pool("lazy-images").limit), (2, 1));
    let read = numbers("lazy read");
    assert_eq!((read.pool, read.kind, read.finished), ("lazy-files", "thread", 2));
}

#[test]
fn a_pool_that_cannot_be_made_is_told_each_call_and_its_panic_once() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static FILES: LazyLock<ThreadPool> = LazyLock::new(|| {
        ASKED.fetch_add(1, Ordering::SeqCst);
        panic!("no configuration")
    });
    static IMAGES: LazyLock<CpuPool> = LazyLock::new(|| panic!("no configuration"));

    #[offload(thread, pool = FILES, spawn = read_soon)]
    fn read() -> Result<(), Error> {
        Ok(())
    }

    #[offload(cpu, pool = IMAGES, queue = 1, timeout = "60s")]
    fn shrink() -> Result<(), Error> {
        Ok(())
    }

    for _ in 0..2 {
        let errors = [
            block_on(read()).unwrap_err(),
            read_soon().wait().unwrap_err(),
            block_on(shrink()).unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
            assert!(error.to_string().ends_with("the `LazyLock` of its pool panicked"), "{error}");
        }
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    // Who looks at it finds no pool, and no panic.
    assert!(stats().pools.iter().all(|pool| pool.name != "unmade"));
}

/// What was made for something else, and is there for good, serves functions as well.
#[test]
fn functions_run_on_a_leaked_pool_and_under_a_leaked_limit() {
    static FILES: LazyLock<&'static ThreadPool> =
        LazyLock::new(|| ThreadPool::new("leaked-files").threads(2).leak());
    static IMAGES: LazyLock<&'static CpuPool> =
        LazyLock::new(|| CpuPool::new("leaked-images").threads(1).leak());
    static ONE: LazyLock<&'static Limiter> = LazyLock::new(|| Limiter::new(1).leak());
    static BROKEN: LazyLock<&'static ThreadPool> = LazyLock::new(|| panic!("no configuration"));
    static UNLIMITED: LazyLock<&'static Limiter> = LazyLock::new(|| panic!("no configuration"));

    #[offload(thread, pool = FILES, limit = ONE, spawn = read_soon)]
    fn read(gate: Receiver<()>) -> Result<String, Error> {
        let _ = gate.recv();
        Ok(thread_name())
    }

    #[offload(cpu, pool = IMAGES, limit = ONE)]
    fn shrink() -> String {
        thread_name()
    }

    #[offload(thread, pool = BROKEN)]
    fn nowhere() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, limit = UNLIMITED)]
    fn never() -> Result<(), Error> {
        Ok(())
    }

    let (go_on, gate) = mpsc::channel();
    let holds = read_soon(gate);
    settle("it has the permit", || ONE.in_use() == 1);
    let mut waits = begin(shrink());
    settle("it is in line", || ONE.waiting() == 1);
    drop(go_on);
    assert!(holds.wait().unwrap().unwrap().starts_with("leaked-files-"));
    assert!(block_on(&mut waits).starts_with("leaked-images-"));
    for error in [block_on(nowhere()).unwrap_err(), block_on(never()).unwrap_err()] {
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
    }
}
