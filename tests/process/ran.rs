//! Whether the body of a failed call was started, as far as that is known.

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, Ran, offload};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Panics in the worker, as the arguments are read.
struct PanicsWhenRead;

impl Serialize for PanicsWhenRead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for PanicsWhenRead {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<PanicsWhenRead, D::Error> {
        panic!("as it was read")
    }
}

/// Panics in the parent, as the arguments are written.
#[derive(Deserialize)]
struct PanicsWhenWritten;

impl Serialize for PanicsWhenWritten {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("as it was written")
    }
}

#[offload(process)]
fn reads(_argument: PanicsWhenRead) -> Result<(), Error> {
    Ok(())
}

#[offload(process, spawn = writes_soon)]
fn writes(_text: String, _argument: PanicsWhenWritten) -> Result<(), Error> {
    Ok(())
}

#[offload(process, spawn = panics_soon)]
fn panics() -> Result<(), Error> {
    panic!("in the body")
}

#[test]
fn a_panic_says_whether_the_body_had_begun() {
    let error = block_on(reads(PanicsWhenRead)).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No));
    assert!(error.to_string().ends_with("as it was read"), "{error}");
    // Also when a part of the arguments was sent ahead.
    for length in [0, 1 << 20] {
        let error = writes_soon("x".repeat(length), PanicsWhenWritten).wait().unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::No));
        assert!(error.to_string().ends_with("as it was written"), "{error}");
    }
    let error = panics_soon().wait().unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Panicked, Ran::Yes));
    assert!(error.to_string().ends_with("in the body"), "{error}");
}
