//! Context that goes to bodies on other machines: how much that may be.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Mutex;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, RemotePool, offload, propagate_remote};
use offload_tests::{Deed, adds_up, numbers};

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
    /// Where what is carried does what.
    static PLAN: Cell<Option<(&'static str, Deed)>> = const { Cell::new(None) };
}

/// The texts with which it came to that.
static DONE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

#[test]
fn what_carries_a_text_costs_its_own_call_wherever_it_is_called() {
    struct Entered(String);

    impl Drop for Entered {
        fn drop(&mut self) {
            at("left", &self.0);
        }
    }

    /// The text is all that comes to where it is entered.
    fn at(place: &str, text: &str) {
        let is_planned = |deed: &Deed| text == format!("{place}: {deed:?}");
        if let Some(deed) = Deed::ALL.into_iter().find(is_planned) {
            DONE.lock().unwrap().insert(text.to_owned());
            deed.happens();
        }
    }

    fn capture() -> Option<String> {
        // What it calls back carries nothing.
        let (place, deed) = PLAN.take()?;
        let text = format!("{place}: {deed:?}");
        at("captured", &text);
        PLAN.set(Some((place, deed)));
        Some(text)
    }

    fn enter(text: String) -> Entered {
        at("entered", &text);
        Entered(text)
    }

    #[offload(remote, timeout = "20s", name = "carries")]
    fn carries() -> Result<u32, Error> {
        Ok(7)
    }

    propagate_remote("planned", capture, enter);
    for place in ["captured", "entered", "left"] {
        for deed in Deed::ALL {
            PLAN.set(Some((place, deed)));
            let answer = std::panic::catch_unwind(|| block_on(carries()));
            PLAN.set(None);
            match (deed, answer) {
                // As one of a body would.
                (Deed::Panic, Err(_)) => assert_ne!(place, "entered"),
                (Deed::Panic, Ok(answer)) => {
                    let error = answer.unwrap_err();
                    assert_eq!(
                        (place, error.kind()),
                        ("entered", ErrorKind::Unavailable),
                        "{error}"
                    );
                    assert_eq!(error.ran(), Ran::No, "{error}");
                }
                (_, answer) => assert_eq!(answer.unwrap().unwrap(), 7, "{place}: {deed:?}"),
            }
            adds_up("carries");
            assert_eq!(block_on(carries()).unwrap(), 7, "{place}: {deed:?}");
        }
    }
    assert_eq!(DONE.lock().unwrap().len(), 9);
    let carries = numbers("carries");
    assert_eq!((carries.started, carries.refused), (16, 2), "{carries:?}");
    assert_eq!((carries.finished, carries.panicked), (15, 1), "{carries:?}");
}
