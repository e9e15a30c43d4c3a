//! Custom pools, and the settings of the default ones.

use std::collections::HashSet;
use std::process::Command;

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{Builder, CpuPool, Error, ErrorKind, ThreadPool, offload, stats};
use offload_tests::own_process;

use crate::support::{Gate, begin, pool};

#[test]
fn a_custom_pool_has_its_own_threads_and_its_name_on_them() {
    static REPORTS: ThreadPool = ThreadPool::new("reports").threads(4);
    static RENDER: CpuPool = CpuPool::new("render").threads(3);

    #[offload(thread, pool = REPORTS)]
    fn report(gate: Gate) -> String {
        gate.pass();
        std::thread::current().name().unwrap().to_owned()
    }

    #[offload(cpu, pool = RENDER)]
    fn render(gate: Gate) -> String {
        gate.pass();
        std::thread::current().name().unwrap().to_owned()
    }

    assert!(
        stats().pools.iter().all(|pool| pool.name != "reports"),
        "it is started by its first call"
    );
    let (gate, other) = (Gate::default(), Gate::default());
    let reports: Vec<_> = (0..10).map(|_| begin(report(gate.clone()))).collect();
    let renders: Vec<_> = (0..10).map(|_| begin(render(other.clone()))).collect();
    gate.wait_for(4);
    other.wait_for(3);
    assert_eq!(pool("reports").running, 4);
    // These are blocked, and so others come to stand in for them.
    assert!((3..=6).contains(&pool("render").running));
    gate.open();
    other.open();
    let names: HashSet<_> = block_on(join_all(reports)).into_iter().collect();
    assert!(names.iter().all(|name| name.starts_with("reports-")), "{names:?}");
    let names: HashSet<_> = block_on(join_all(renders)).into_iter().collect();
    assert!(names.iter().all(|name| name.starts_with("render-")), "{names:?}");
}

#[offload(thread)]
fn fallible() -> Result<(), Error> {
    Ok(())
}

#[offload(cpu)]
fn infallible() -> usize {
    1
}

/// Settings are for a whole process, so each of these tests has one.
fn in_a_process(test: &str, variables: &[(&str, &str)]) -> Command {
    let mut process = own_process(&format!("pools::{test}"));
    process.envs(variables.iter().copied());
    process
}

fn passes(test: &str, variables: &[(&str, &str)]) {
    offload_tests::passes(&mut in_a_process(test, variables));
}

#[test]
fn settings_are_installed_once_and_before_the_first_call() {
    passes("child_installs", &[]);
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_installs() {
    let error = Builder::new().cpu_threads(0).install().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "`cpu_threads` is 0; a pool needs at least 1 thread");
    Builder::new().cpu_threads(3).threads(5).thread_queue(7).install().unwrap();
    let error = Builder::new().install().unwrap_err();
    assert!(error.to_string().contains("before"), "{error}");
    block_on(infallible());
    block_on(fallible()).unwrap();
    assert_eq!(pool("cpu").limit, 3);
    assert_eq!((pool("thread").limit, pool("thread").queue_limit), (5, Some(7)));
}

#[test]
fn settings_come_too_late_after_the_first_call() {
    passes("child_is_late", &[]);
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_is_late() {
    block_on(infallible());
    let error = Builder::new().install().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("has had its first call"), "{error}");
}

#[test]
fn settings_come_from_the_environment() {
    let variables =
        [("OFFLOAD_THREADS", "6"), ("OFFLOAD_CPU_THREADS", "2"), ("OFFLOAD_CPU_QUEUE", "9")];
    passes("child_reads_its_environment", &variables);
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_reads_its_environment() {
    // What the program sets comes first.
    Builder::new().cpu_threads(4).install().unwrap();
    block_on(infallible());
    block_on(fallible()).unwrap();
    assert_eq!((pool("cpu").limit, pool("cpu").queue_limit), (4, Some(9)));
    assert_eq!(pool("thread").limit, 6);
}

#[test]
fn a_variable_that_makes_no_sense_is_named() {
    for value in ["0", "many", "-1", ""] {
        passes("child_has_a_bad_environment", &[("OFFLOAD_THREADS", value)]);
        passes("child_has_a_bad_environment", &[("OFFLOAD_THREADS", value), ("INSTALL", "1")]);
    }
    let mut process = in_a_process("child_cannot_return_an_error", &[("OFFLOAD_CPU_THREADS", "x")]);
    let output = process.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("OFFLOAD_CPU_THREADS is \"x\", not a number"), "{text}");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_has_a_bad_environment() {
    let error = match std::env::var_os("INSTALL") {
        Some(_) => Builder::new().install().unwrap_err(),
        None => block_on(fallible()).unwrap_err(),
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("OFFLOAD_THREADS"), "{error}");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_cannot_return_an_error() {
    block_on(infallible());
}
