//! What the bounds of memory count: what a worker has for itself, and not what it shares, nor what
//! the processes have that it started.

use std::hint::black_box;
use std::process::{Command, Stdio};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, offload};

use crate::support::{is_there, settle, workers};

#[test]
fn a_worker_that_holds_too_much_after_a_call_is_replaced_and_the_call_has_its_result() {
    static POOL: ProcessPool = ProcessPool::new("grows").workers(1).recycle_above(100 << 20);

    #[offload(process, pool = POOL)]
    fn leaks(megabytes: usize) -> Result<u32, Error> {
        std::mem::forget(black_box(vec![1_u8; megabytes << 20]));
        Ok(std::process::id())
    }

    #[offload(process, pool = POOL)]
    fn takes_for_a_while(megabytes: usize) -> Result<u32, Error> {
        drop(black_box(vec![1_u8; megabytes << 20]));
        Ok(std::process::id())
    }

    let first = block_on(leaks(30)).unwrap();
    // It is looked at after the call, and takes what it wants until then.
    assert_eq!(block_on(takes_for_a_while(200)).unwrap(), first);
    assert_eq!(block_on(leaks(30)).unwrap(), first);
    assert_eq!(workers("grows").recycled, 0);
    assert_eq!(block_on(leaks(50)).unwrap(), first);
    assert_ne!(block_on(leaks(1)).unwrap(), first);
    assert_eq!(workers("grows").recycled, 1);
    settle("it is gone", || !is_there(first));
}

/// Memory that is mapped and shared, and that stays.
#[expect(unsafe_code, reason = "there is no safe way to get it")]
fn share(bytes: usize) -> bool {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: it is new memory, which nobody else knows, and is never given back.
    unsafe {
        let memory = libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0);
        if memory == libc::MAP_FAILED {
            return false;
        }
        std::ptr::write_bytes(memory.cast::<u8>(), 1, bytes);
    }
    true
}

/// A process that holds this much, and lives on.
#[expect(clippy::zombie_processes, reason = "it ends with its worker")]
fn start_another(megabytes: usize) {
    let script = format!("x=$(head -c {megabytes}M /dev/zero | tr '\\0' x); echo; sleep 1000");
    let mut other =
        Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    // It holds it when it says so.
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut [0]).unwrap();
}

#[test]
fn what_is_shared_and_what_children_hold_replaces_no_worker() {
    static POOL: ProcessPool = ProcessPool::new("shares").workers(1).recycle_above(40 << 20);

    #[offload(process, pool = POOL)]
    fn shares() -> Result<u32, Error> {
        assert!(share(80 << 20));
        Ok(std::process::id())
    }

    #[offload(process, pool = POOL)]
    fn has_a_child() -> Result<u32, Error> {
        start_another(80);
        Ok(std::process::id())
    }

    let first = block_on(shares()).unwrap();
    assert_eq!(block_on(has_a_child()).unwrap(), first);
    assert_eq!(block_on(has_a_child()).unwrap(), first);
    assert_eq!(workers("shares").recycled, 0);
}

#[test]
fn the_hard_bound_does_not_count_what_is_shared_and_holds_for_each_child_by_itself() {
    static POOL: ProcessPool = ProcessPool::new("hard").workers(1).max_memory(100 << 20);

    #[offload(process, pool = POOL)]
    fn shares() -> Result<bool, Error> {
        Ok(share(200 << 20))
    }

    #[offload(process, pool = POOL)]
    fn limit_of_a_child() -> Result<String, Error> {
        let output = Command::new("sh").args(["-c", "ulimit -d"]).output().unwrap();
        Ok(String::from_utf8(output.stdout).unwrap())
    }

    /// Allocated, and never written to.
    #[offload(process, pool = POOL)]
    fn reserves() -> Result<usize, Error> {
        Ok(black_box(Vec::<u8>::with_capacity(200 << 20)).capacity())
    }

    assert!(block_on(shares()).unwrap());
    assert_eq!(block_on(limit_of_a_child()).unwrap().trim(), "102400");
    assert_eq!(block_on(reserves()).unwrap_err().kind(), ErrorKind::WorkerDied);
}
