//! What a search computes has threads of its own, fewer than there are cores, and none for callers that have gone.

/// How often each word comes.
fn count(text: &str, word: &str) -> usize {
    assert!(!word.is_empty(), "an empty word");
    text.split_whitespace().filter(|other| *other == word).count()
}

/// By hand: a `rayon::ThreadPool` in a `OnceLock`, with a `oneshot` channel for the result.
mod before {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    #[derive(Debug)]
    pub(super) struct Panicked;

    /// For the dashboard.
    static RUNNING: AtomicUsize = AtomicUsize::new(0);

    struct Running;

    impl Running {
        fn new() -> Running {
            RUNNING.fetch_add(1, Ordering::Relaxed);
            Running
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            RUNNING.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn pool() -> &'static rayon::ThreadPool {
        static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
        POOL.get_or_init(|| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(super::threads())
                .thread_name(|number| format!("search-{number}"))
                .panic_handler(|_| tracing::error!("a search panicked"))
                .build()
                .expect("the system has threads")
        })
    }

    async fn run<R: Send + 'static>(
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Panicked> {
        let (answer, answered) = oneshot::channel();
        let span = tracing::Span::current();
        pool().spawn(move || {
            // Nobody waits for it any more.
            if answer.is_closed() {
                return;
            }
            let _entered = span.enter();
            let running = Running::new();
            let result = work();
            // Before the caller looks at the number.
            drop(running);
            let _ = answer.send(result);
        });
        answered.await.map_err(|_| Panicked)
    }

    pub(super) async fn search(text: String, word: String) -> Result<usize, Panicked> {
        run(move || super::count(&text, &word)).await
    }

    pub(super) fn running() -> usize {
        RUNNING.load(Ordering::Relaxed)
    }
}

/// The attribute skips calls whose futures were dropped, carries the span, counts running bodies, and turns a panic
/// into an error.
mod after {
    use offload_runtime::{CpuPool, Error, offload};

    static SEARCH: CpuPool = CpuPool::new("search").threads_with(super::threads);

    #[offload(cpu, pool = SEARCH, panic = "error", name = "search")]
    pub(super) fn search(text: String, word: String) -> Result<usize, Error> {
        Ok(super::count(&text, &word))
    }

    pub(super) fn running() -> usize {
        let pools = offload_runtime::stats().pools;
        pools.iter().find(|pool| pool.name == "search").map_or(0, |pool| pool.running)
    }
}

fn threads() -> usize {
    (std::thread::available_parallelism().map_or(1, std::num::NonZero::get) / 3).max(2)
}

mod tests {
    use super::*;

    #[tokio::test]
    async fn a_search_counts_and_a_panic_of_one_is_an_error() {
        let text = || "to be or not to be".to_owned();
        assert_eq!(before::search(text(), "be".to_owned()).await.unwrap(), 2);
        assert_eq!(after::search(text(), "be".to_owned()).await.unwrap(), 2);
        before::search(text(), String::new()).await.unwrap_err();
        let error = after::search(text(), String::new()).await.unwrap_err();
        // Which panic it was, the channel could not say.
        assert!(error.to_string().contains("an empty word"), "{error}");
        assert_eq!((before::running(), after::running()), (0, 0));
    }
}
