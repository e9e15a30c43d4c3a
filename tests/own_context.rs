//! Context of the program's own kind, which bodies get from their callers. Each test has thread-locals
//! of its own: what is registered is so for the whole process.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::StreamExt;
use futures::executor::block_on;
use offload_runtime::{CpuPool, Error, ErrorKind, Ran, offload, propagate_with, to_cpu, to_thread};
use offload_tests::numbers;

/// Puts a value back when it is dropped.
struct Back<T: 'static>(&'static std::thread::LocalKey<Cell<T>>, Cell<Option<T>>);

impl<T> Drop for Back<T> {
    fn drop(&mut self) {
        if let Some(before) = self.1.take() {
            self.0.set(before);
        }
    }
}

#[test]
fn a_body_and_the_bodies_that_it_calls_are_in_the_context_of_their_caller_and_the_next_is_not() {
    static ONE: CpuPool = CpuPool::new("hub").threads(1);

    thread_local! {
        static HUB: Cell<u32> = const { Cell::new(0) };
    }
    propagate_with(
        || Some(HUB.get()).filter(|hub| *hub > 0),
        |hub| Back(&HUB, Cell::new(Some(HUB.replace(hub)))),
    );
    HUB.set(7);
    let nested = ONE.run(|| {
        let mine = HUB.get();
        HUB.set(8);
        let below = block_on(to_thread(|| HUB.get()));
        (mine, below)
    });
    assert_eq!(block_on(nested), (7, 8));
    assert_eq!(HUB.get(), 7, "nothing comes back");
    let started = ONE.spawn(|| HUB.get());
    HUB.set(0);
    assert_eq!(started.wait().unwrap(), 7, "it is that of the start");
    assert_eq!(block_on(ONE.run(|| HUB.get())), 0, "nothing is left on the thread");
}

#[test]
fn what_was_registered_first_is_entered_first_and_left_last() {
    static ONE: CpuPool = CpuPool::new("order").threads(1);

    thread_local! {
        static IS_ON: Cell<bool> = const { Cell::new(false) };
        static SEEN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    struct Leaves(&'static str);

    impl Drop for Leaves {
        fn drop(&mut self) {
            SEEN.with_borrow_mut(|seen| seen.push(self.0));
        }
    }

    fn capture() -> Option<()> {
        IS_ON.get().then_some(())
    }

    propagate_with(capture, |()| {
        SEEN.with_borrow_mut(|seen| seen.push("first in"));
        Leaves("first out")
    });
    propagate_with(capture, |()| {
        SEEN.with_borrow_mut(|seen| seen.push("second in"));
        Leaves("second out")
    });
    let body = |panics: bool| {
        move || {
            SEEN.with_borrow_mut(|seen| seen.push("body"));
            assert!(!panics, "on purpose");
        }
    };
    for panics in [false, true] {
        IS_ON.set(true);
        let ended = ONE.spawn(body(panics)).wait();
        IS_ON.set(false);
        assert_eq!(ended.is_err(), panics);
        assert_eq!(
            ONE.spawn(|| SEEN.take()).wait().unwrap(),
            ["first in", "second in", "body", "second out", "first out"]
        );
    }
}

#[test]
fn a_panic_at_either_end_is_of_that_call_alone() {
    thread_local! {
        /// 1: the capture panics; 2: `enter` does; 3: what it returns does when it is dropped.
        static PANICS: Cell<u8> = const { Cell::new(0) };
    }

    struct Fragile(u8);

    impl Drop for Fragile {
        fn drop(&mut self) {
            assert!(self.0 != 3, "while it is left");
        }
    }

    propagate_with(
        || {
            assert!(PANICS.get() != 1, "while it is captured");
            Some(PANICS.get()).filter(|panics| *panics > 0)
        },
        |panics| {
            assert!(panics != 2, "while it is entered");
            Fragile(panics)
        },
    );
    let texts = ["while it is captured", "while it is entered", "while it is left"];
    for (panics, text) in (1..).zip(texts) {
        PANICS.set(panics);
        let awaited = catch_unwind(AssertUnwindSafe(|| block_on(to_cpu(|| ()))));
        let error = offload_runtime::spawn_cpu(|| ()).wait().unwrap_err();
        PANICS.set(0);
        assert_eq!(awaited.unwrap_err().downcast_ref::<&str>(), Some(&text));
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert_eq!(error.ran(), if panics == 3 { Ran::Yes } else { Ran::No });
        assert!(error.to_string().ends_with(text), "{error}");
        assert_eq!(block_on(to_cpu(|| 5)), 5, "the next call is as ever");
    }
}

/// Two bodies are around it: the one of the middle and the outermost return, whatever the innermost does.
#[test]
fn a_panic_at_either_end_of_a_nested_body_is_of_the_innermost_call() {
    thread_local! {
        /// In which depth, and which of both functions: 1 captures, 2 enters.
        static PANICS: Cell<(u8, u8)> = const { Cell::new((0, 0)) };
        static DEPTH: Cell<u8> = const { Cell::new(0) };
    }

    propagate_with(
        || {
            let (depth, which) = PANICS.get();
            assert!(which != 1 || DEPTH.get() != depth, "while it is captured");
            (which > 0).then(|| (DEPTH.get() + 1, (depth, which)))
        },
        |(depth, panics)| {
            assert!(panics != (depth, 2), "while it is entered");
            PANICS.set(panics);
            Back(&DEPTH, Cell::new(Some(DEPTH.replace(depth))))
        },
    );
    struct Quiet;
    impl Drop for Quiet {
        fn drop(&mut self) {
            PANICS.set((0, 0));
        }
    }
    fn nest(depth: u8) -> Vec<Result<u8, ErrorKind>> {
        let _quiet = Quiet;
        let mut seen = vec![Ok(DEPTH.get())];
        if depth < 3 {
            match offload_runtime::spawn_cpu(move || nest(depth + 1)).wait() {
                Ok(below) => seen.extend(below),
                Err(error) => seen.push(Err(error.kind())),
            }
        }
        seen
    }
    // The outermost is no body: its calls are made in the depth of 0.
    for (depth, which, bodies) in [(2, 1, 2), (3, 2, 2), (0, 1, 0), (1, 2, 0)] {
        PANICS.set((depth, which));
        let mut seen = nest(0);
        assert_eq!(seen.pop(), Some(Err(ErrorKind::Panicked)), "{depth} {which}");
        assert_eq!(seen, (0..=bodies).map(Ok).collect::<Vec<_>>(), "{depth} {which}");
        assert_eq!(block_on(to_cpu(|| (DEPTH.get(), PANICS.get()))), (0, (0, 0)));
    }
}

/// It is a panic of the call, as one of the body is: an error, where that is one, and in the numbers.
#[test]
fn a_panic_before_the_call_is_an_error_of_a_function_whose_panics_are_errors() {
    thread_local! {
        static PANICS: Cell<bool> = const { Cell::new(false) };
    }

    #[offload(cpu, panic = "error", name = "not captured")]
    fn whole() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread, timeout = late(), name = "no deadline", stream)]
    fn without_deadline() -> Result<std::iter::Once<Result<u8, Error>>, Error> {
        Ok(std::iter::once(Ok(1)))
    }

    #[offload(thread, timeout = late(), name = "no deadline, unwinds")]
    fn unwinds() -> Result<(), Error> {
        Ok(())
    }

    fn late() -> std::time::Duration {
        panic!("while it is timed")
    }

    propagate_with(
        || {
            assert!(!PANICS.get(), "while it is captured");
            None::<()>
        },
        |()| (),
    );
    PANICS.set(true);
    let answer = catch_unwind(AssertUnwindSafe(|| block_on(whole())));
    PANICS.set(false);
    let error = answer.expect("it is an error").unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No));
    assert!(error.to_string().ends_with("while it is captured"), "{error}");
    let counts = numbers("not captured");
    assert_eq!((counts.started, counts.refused), (0, 1));

    let item = block_on(without_deadline().next()).unwrap().unwrap_err();
    assert_eq!((item.kind(), item.ran()), (ErrorKind::Panicked, Ran::No));
    assert_eq!(numbers("no deadline").refused, 1);

    let payload = catch_unwind(AssertUnwindSafe(|| block_on(unwinds()))).unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"while it is timed"));
    assert_eq!(numbers("no deadline, unwinds").refused, 1);
}
