//! Context that goes to bodies on other machines: how much that may be.

use std::cell::{Cell, RefCell};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, RemotePool, offload, propagate_remote};
use offload_tests::numbers;

thread_local! {
    static NOTE: RefCell<Option<String>> = const { RefCell::new(None) };
}

static FITS: RemotePool = RemotePool::new("fits").max_message(10_000);

#[offload(remote, timeout = "20s", pool = FITS)]
fn lengths(text: String) -> Result<(usize, usize), Error> {
    Ok((text.len(), NOTE.with_borrow(|note| note.as_ref().map_or(0, String::len))))
}

#[test]
fn context_counts_as_arguments_do_and_has_a_bound_of_its_own() {
    fn enter(note: String) -> impl Drop {
        struct Entered;

        impl Drop for Entered {
            fn drop(&mut self) {
                NOTE.set(None);
            }
        }

        NOTE.set(Some(note));
        Entered
    }
    propagate_remote("note", || NOTE.with_borrow(Clone::clone), enter);
    let call = |bytes: usize, carried: usize| {
        NOTE.set(Some("n".repeat(carried)));
        let result = block_on(lengths("x".repeat(bytes)));
        NOTE.set(None);
        result
    };
    assert_eq!(call(5000, 4000).unwrap(), (5000, 4000));
    let error = call(7000, 4000).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No), "{error}");
    assert!(error.to_string().contains("context that it carries"), "{error}");
    let error = call(1, 40_000).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Serialization, Ran::No), "{error}");
    assert!(error.to_string().contains("`propagate_remote`"), "{error}");
}

thread_local! {
    /// Where what is carried panics.
    static PANICS: Cell<Option<&'static str>> = const { Cell::new(None) };
}

#[test]
fn what_carries_a_text_may_panic_wherever_it_is_called_and_costs_its_own_call() {
    struct Entered(String);

    impl Drop for Entered {
        fn drop(&mut self) {
            assert_ne!(self.0, "left", "on purpose");
        }
    }

    fn capture() -> Option<String> {
        let panics = PANICS.get()?;
        assert_ne!(panics, "captured", "on purpose");
        Some(panics.to_owned())
    }

    fn enter(text: String) -> Entered {
        assert_ne!(text, "entered", "on purpose");
        Entered(text)
    }

    #[offload(remote, timeout = "20s", name = "carries")]
    fn carries() -> Result<u32, Error> {
        Ok(7)
    }

    propagate_remote("panics", capture, enter);
    for place in ["captured", "entered", "left"] {
        PANICS.set(Some(place));
        let answer = std::panic::catch_unwind(|| block_on(carries()));
        PANICS.set(None);
        match answer {
            // As one of a body would.
            Err(_) => assert_ne!(place, "entered"),
            Ok(answer) => {
                let error = answer.unwrap_err();
                assert_eq!((place, error.kind()), ("entered", ErrorKind::Unavailable), "{error}");
                assert_eq!(error.ran(), Ran::No, "{error}");
            }
        }
        assert_eq!(block_on(carries()).unwrap(), 7, "{place}");
    }
    let carries = numbers("carries");
    assert_eq!((carries.started, carries.refused), (4, 2), "{carries:?}");
    assert_eq!((carries.finished, carries.panicked), (3, 1), "{carries:?}");
}
