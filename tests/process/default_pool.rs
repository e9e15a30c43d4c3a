//! The settings of the pool of those functions that name none, with a process for each test.

use std::env::var_os;
use std::process::id;

use futures::executor::block_on;
use offload_runtime::{Builder, Error, ErrorKind, ProcessPool, offload};
use offload_tests::pool;

use crate::ending::passes;
use crate::support::{settle, workers};

#[offload(process)]
fn surroundings(_bytes: Vec<u8>) -> Result<(u32, bool, bool), Error> {
    let is_there = |name| var_os(name).is_some();
    Ok((id(), is_there("PATH"), is_there("OFFLOAD_ADDED")))
}

#[test]
fn the_builder_sets_all_of_the_pool_that_has_no_name() {
    passes("default_pool", "child_sets");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_sets() {
    let set = |pool: ProcessPool| {
        let pool = pool.workers(7).min_workers(2).max_jobs(1).max_message(100);
        pool.env_remove("PATH").env(&[("OFFLOAD_ADDED", "1")])
    };
    Builder::new().process_queue(1000).process(set).workers(3).install().unwrap();
    let (first, has_path, has_added) = block_on(surroundings(Vec::new())).unwrap();
    assert_eq!((has_path, has_added), (false, true));
    let (second, ..) = block_on(surroundings(Vec::new())).unwrap();
    assert_ne!(first, second, "each worker runs one call");
    let error = block_on(surroundings(vec![0; 101])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization, "{error}");
    settle("two are kept ready", || workers("process").idle == 2);
    let pool = pool("process");
    assert_eq!((pool.limit, pool.queue_limit), (3, Some(1000)));
}

#[test]
fn what_a_worker_would_run_first_is_no_setting_of_the_builder() {
    passes("default_pool", "child_sets_a_function");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_sets_a_function() {
    let error = Builder::new().process(|pool| pool.on_start(|| ())).install().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("name it by `pool = …`"), "{error}");
    // Nothing was installed.
    Builder::new().process(|pool| pool.max_jobs(1)).install().unwrap();
}
