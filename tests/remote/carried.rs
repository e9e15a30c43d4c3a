//! Context that goes to bodies on other machines: how much that may be.

use std::cell::RefCell;

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, RemotePool, offload, propagate_remote};

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
