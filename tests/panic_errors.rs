//! `panic = "error"`: a panic of the body is an error of its call.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, offload};

#[offload(thread, panic = "error", name = "panics on a thread")]
fn on_a_thread(text: &'static str) -> Result<u8, Error> {
    panic!("it is {text}")
}

#[offload(cpu, panic = "error")]
fn on_a_core(number: i32) -> anyhow::Result<i32> {
    assert!(number > 0, "{number} is not positive");
    Ok(number)
}

/// Neither says what is wrong by a text.
#[offload(cpu, panic = "error")]
fn without_text() -> Result<u8, Error> {
    std::panic::panic_any(7_u8)
}

#[test]
fn the_error_has_the_text_of_the_payload_and_the_payload() {
    let error = block_on(on_a_thread("broken")).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert_eq!(error.function(), "panics on a thread");
    assert!(error.to_string().contains("it is broken"), "{error}");
    assert_eq!(*error.into_panic().unwrap().downcast::<String>().unwrap(), "it is broken");
    let error = block_on(without_text()).unwrap_err();
    assert_eq!(*error.into_panic().unwrap().downcast::<u8>().unwrap(), 7);
}

#[test]
fn it_becomes_the_error_type_of_the_function() {
    assert_eq!(block_on(on_a_core(1)).unwrap(), 1);
    let error = block_on(on_a_core(-1)).unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("-1 is not positive"), "{error}");
}

#[test]
fn without_the_option_the_same_panic_unwinds() {
    #[offload(cpu)]
    fn unwinds() -> Result<u8, Error> {
        panic!("through")
    }
    let payload = catch_unwind(|| block_on(unwinds())).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "through");
}

#[test]
fn a_body_gets_the_error_of_a_call_that_it_makes() {
    #[offload(cpu, panic = "error")]
    fn outer() -> Result<ErrorKind, Error> {
        Ok(block_on(on_a_thread("inner")).unwrap_err().kind())
    }
    assert_eq!(block_on(outer()).unwrap(), ErrorKind::Panicked);
}

/// It is the panic of the call that is the error, and what the body left behind with it.
#[test]
fn a_destructor_that_panics_after_the_body_is_an_error_too() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("late")
        }
    }
    #[offload(thread, panic = "error")]
    fn drops(_bomb: Bomb) -> Result<(), Error> {
        Ok(())
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| block_on(drops(Bomb))));
    assert_eq!(outcome.unwrap().unwrap_err().kind(), ErrorKind::Panicked);
}

#[tokio::test]
async fn a_handler_answers() {
    #[offload(thread, panic = "error")]
    fn handler() -> Result<String, Error> {
        panic!("in a handler")
    }
    let request = axum::extract::Request::new(axum::body::Body::empty());
    let response = axum::handler::Handler::call(handler, request, ()).await;
    assert_eq!(response.status(), axum::http::StatusCode::INTERNAL_SERVER_ERROR);
}
