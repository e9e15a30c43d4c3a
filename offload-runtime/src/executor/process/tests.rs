//! Workers that will not work for whoever greets them.

use super::messages::Hello;
use super::plan::Plan;
use super::way;
use super::worker::Worker;
use crate::api::process_pool::ProcessPool;
use crate::system::priority::Priority;
use crate::wire::registry;

crate::test_worker!();

static POOL: ProcessPool = ProcessPool::new("greeted");

/// So that there is a function to be asked for.
#[offload_macros::offload(process, pool = POOL, crate = crate)]
fn nothing() -> Result<(), crate::Error> {
    Ok(())
}

/// What a worker says to a parent that greets it so.
fn greeted(change: impl FnOnce(&mut Hello)) -> Result<(), String> {
    let mut hello = Hello {
        build: registry::build().unwrap(),
        parent: std::process::id(),
        function: registry::any_of(POOL.processes().host()).unwrap(),
        max_message: 1000,
        max_memory: None,
        priority: Priority::Normal,
        level: 0,
    };
    change(&mut hello);
    Worker::start(&hello, &Plan::DEFAULT, &way::way().unwrap(), Box::new(|| ()), |_| true)
        .map(drop)
        .map_err(|not_ready| not_ready.reason)
}

fn is_rejected(change: impl FnOnce(&mut Hello), why: &str) {
    let reason = greeted(change).unwrap_err();
    assert!(reason.contains(why), "{reason}");
}

#[test]
fn a_worker_works_for_its_parent() {
    assert_eq!(futures::executor::block_on(nothing()).map_err(|error| error.to_string()), Ok(()));
    greeted(|_| {}).unwrap();
}

#[test]
fn a_worker_of_another_build_rejects_its_parent() {
    is_rejected(|hello| hello.build ^= 1, "another build");
}

#[test]
fn a_worker_without_the_function_rejects_its_parent() {
    is_rejected(|hello| hello.function = u32::MAX, "does not have the function");
}

#[test]
fn a_worker_greeted_by_another_than_its_parent_rejects_its_parent() {
    is_rejected(|hello| hello.parent += 1, "not its parent");
}
