//! The environment variables that workers have.

use std::collections::BTreeMap;

use futures::executor::block_on;
use offload_runtime::{Error, ProcessPool, offload};
use offload_tests::{own_process, passes};

type Variables = BTreeMap<String, String>;

static ALL: ProcessPool = ProcessPool::new("all variables").workers(1);

static NONE: ProcessPool =
    ProcessPool::new("no variables").workers(1).env_clear().env(&[("OFFLOAD_TEST_ADDED", "yes")]);

static SOME: ProcessPool = ProcessPool::new("some variables")
    .workers(1)
    .env_remove("OFFLOAD_TEST_SECRET")
    .env_remove("OFFLOAD_TEST_REPLACED")
    .env_remove("OFFLOAD_TEST_MISSING")
    .env(&[("OFFLOAD_TEST_REPLACED", "not yet"), ("OFFLOAD_TEST_FIRST", "stays")])
    .env(&[("OFFLOAD_TEST_REPLACED", "newer"), ("OFFLOAD_TEST_REPLACED", "new")]);

#[offload(process, pool = ALL)]
fn all() -> Result<Variables, Error> {
    Ok(std::env::vars().collect())
}

#[offload(process, pool = NONE)]
fn none() -> Result<Variables, Error> {
    Ok(std::env::vars().collect())
}

#[offload(process, pool = SOME)]
fn some() -> Result<Variables, Error> {
    Ok(std::env::vars().collect())
}

#[test]
fn workers_have_the_variables_of_their_parent_but_for_those_that_are_kept_away() {
    let mut child = own_process("environment::child_has_variables");
    passes(child.env("OFFLOAD_TEST_SECRET", "42").env("OFFLOAD_TEST_REPLACED", "old"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_has_variables() {
    let own: Variables = std::env::vars().collect();
    // The test's own harness adds some.
    let all = block_on(all()).unwrap();
    assert!(own.iter().all(|(name, value)| all.get(name) == Some(value)), "{all:?}");

    let none = block_on(none()).unwrap();
    assert_eq!(none.get("OFFLOAD_TEST_ADDED").map(String::as_str), Some("yes"));
    // And by what a worker is known, as the guide says.
    assert_eq!(none.keys().collect::<Vec<_>>(), ["OFFLOAD_TEST_ADDED", "OFFLOAD_WORKER"]);
    assert!(all.contains_key("OFFLOAD_WORKER"));

    let mut expected = own;
    expected.remove("OFFLOAD_TEST_SECRET");
    // Of several values the last, also of several calls.
    expected.insert("OFFLOAD_TEST_REPLACED".to_owned(), "new".to_owned());
    expected.insert("OFFLOAD_TEST_FIRST".to_owned(), "stays".to_owned());
    let some = block_on(some()).unwrap();
    assert!(!some.contains_key("OFFLOAD_TEST_SECRET"));
    assert!(expected.iter().all(|(name, value)| some.get(name) == Some(value)), "{some:?}");
}
