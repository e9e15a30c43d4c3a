//! Arguments and results of a mebibyte, by value: where `spawn_blocking` can have them, calls can.
//!
//! And how large the stacks are. One that overflows ends the process, so each case runs in one of its
//! own.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::process::Stdio;
use std::{env, thread};

use offload_runtime::{
    CpuPool, Error, ErrorKind, ThreadPool, offload, spawn_cpu, spawn_thread, to_thread,
};
use offload_tests::own_process;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

const CASE: &str = "OFFLOAD_TESTS_LARGE_VALUES";

fn large<const N: usize>() -> [u8; N] {
    black_box([7; N])
}

fn take<const N: usize>(large: [u8; N]) -> u8 {
    black_box(&large)[4711]
}

#[offload(thread)]
fn takes<const N: usize>(large: [u8; N]) -> u8 {
    black_box(&large)[4711]
}

#[offload(cpu)]
fn gives<const N: usize>() -> [u8; N] {
    large()
}

/// With all that a call may have to ask for, and to wait for.
#[offload(thread, limit = 1, queue = 7, timeout = "60s", queue_timeout = "60s")]
fn takes_bounded<const N: usize>(large: [u8; N]) -> Result<u8, Error> {
    Ok(black_box(&large)[4711])
}

#[offload(thread, pool = OWN)]
fn takes_lent<const N: usize>(#[to_owned] large: &[u8; N]) -> u8 {
    black_box(large)[4711]
}

static OWN: ThreadPool = ThreadPool::new("own");

async fn takes_on_the_peer<const N: usize>(large: [u8; N]) -> u8 {
    spawn_blocking(move || take(large)).await.unwrap()
}

type Case = fn() -> Pin<Box<dyn Future<Output = u8>>>;

/// With the name of what the peer does instead. Each apart, since the stack of a function has room
/// for all that it may do.
const fn cases<const N: usize>() -> [(&'static str, &'static str, Case); 13] {
    [
        ("peer: function", "", || Box::pin(async { takes_on_the_peer(large::<N>()).await })),
        ("function", "peer: function", || Box::pin(async { takes(large::<N>()).await })),
        ("bounded", "peer: function", || {
            Box::pin(async { takes_bounded(large::<N>()).await.unwrap() })
        }),
        ("lent", "peer: function", || Box::pin(async { takes_lent(&large::<N>()).await })),
        ("peer: closure", "", || {
            Box::pin(async {
                let large = large::<N>();
                let call = async move { spawn_blocking(move || take(large)).await };
                call.await.unwrap()
            })
        }),
        ("closure", "peer: closure", || {
            Box::pin(async {
                let large = large::<N>();
                to_thread(move || take(large)).await
            })
        }),
        ("closure of a pool", "peer: closure", || {
            Box::pin(async {
                let large = large::<N>();
                OWN.run(move || take(large)).await
            })
        }),
        ("started in a pool", "peer: started", || {
            Box::pin(async {
                let large = large::<N>();
                OWN.spawn(move || take(large)).await.unwrap()
            })
        }),
        ("peer: started", "", || {
            Box::pin(async {
                let large = large::<N>();
                spawn_blocking(move || take(large)).await.unwrap()
            })
        }),
        ("started", "peer: started", || {
            Box::pin(async {
                let large = large::<N>();
                spawn_thread(move || take(large)).await.unwrap()
            })
        }),
        ("peer: result", "", || {
            Box::pin(async { spawn_blocking(large::<N>).await.unwrap()[4711] })
        }),
        ("result", "peer: result", || Box::pin(async { gives::<N>().await[4711] })),
        ("started result", "peer: result", || {
            Box::pin(async { spawn_cpu(large::<N>).await.unwrap()[4711] })
        }),
    ]
}

/// Whether the case gets through if its caller's thread has a stack of so many times 256 KiB, and the
/// threads of pools have so much.
fn gets_through(size: usize, name: &str, caller: usize, pool: usize) -> bool {
    let mut child = own_process("large_values_need_no_more_stack_than_with_spawn_blocking");
    child.env("OFFLOAD_STACK_KIB", (pool * 256).to_string());
    child.env(CASE, format!("{size}/{name}/{caller}/{pool}"));
    child.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// How large the stack has to be, in the same unit; `MOST`, if that is not enough.
fn stack(size: usize, name: &str) -> usize {
    // A body without optimization that makes a large result needs as much by itself.
    let pool = if name.contains("result") { MOST } else { DEFAULT };
    let (mut least, mut most) = (1, MOST);
    while least < most {
        let middle = least.midpoint(most);
        match gets_through(size, name, middle, pool) {
            true => most = middle,
            false => least = middle + 1,
        }
    }
    most
}

const MOST: usize = 64;

/// The 2 MiB of the threads of pools, of ours and of tokio's.
const DEFAULT: usize = 8;

fn run(text: &str) {
    let parts: Vec<_> = text.split('/').collect();
    let cases = match parts[0] {
        "256" => cases::<{ 256 << 10 }>(),
        _ => cases::<{ 1024 << 10 }>(),
    };
    let (.., case) = cases.into_iter().find(|(name, ..)| *name == parts[1]).unwrap();
    let [of_caller, of_pool] = [2, 3].map(|part| parts[part].parse::<usize>().unwrap() << 18);
    let runtime = Builder::new_current_thread().thread_stack_size(of_pool).build().unwrap();
    let call = move || assert_eq!(runtime.block_on(case()), 7);
    let caller = thread::Builder::new().stack_size(of_caller);
    caller.spawn(call).unwrap().join().unwrap();
}

#[test]
fn large_values_need_no_more_stack_than_with_spawn_blocking() {
    if let Ok(text) = env::var(CASE) {
        return run(&text);
    }
    for size in [256, 1024] {
        let needed: Vec<_> =
            cases::<1>().iter().map(|(name, ..)| (*name, stack(size, name))).collect();
        println!("{size} KiB: {needed:?}");
        let of = |wanted: &str| needed.iter().find(|(name, _)| *name == wanted).unwrap().1;
        for (name, peer, _) in cases::<1>().iter().filter(|(_, peer, _)| !peer.is_empty()) {
            // A page more or less is one of these units.
            assert!(of(name) <= of(peer) + 1, "{name} of {size} KiB: {needed:?}");
            assert!(of(name) < MOST, "{name} of {size} KiB: {needed:?}");
        }
    }
    for name in ["result", "started result"] {
        assert!(gets_through(256, name, MOST, DEFAULT), "{name} of 256 KiB");
    }
}

/// So many frames, each of some hundred bytes.
#[inline(never)]
fn deep(frames: usize) -> u8 {
    let here = black_box([1_u8; 64]);
    if frames == 0 { here[17] } else { deep(frames - 1) & here[18] }
}

/// What a process says in which a body of each kind needs so much stack.
fn recurse(test: &str, frames: usize, stack: &str) -> (bool, String) {
    let mut child = own_process(test);
    child.env(CASE, frames.to_string()).env("OFFLOAD_STACK_KIB", stack);
    let output = child.stdout(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.success(), format!("{}: {said}", output.status))
}

#[test]
fn the_stacks_of_the_default_pools_are_as_large_as_is_set() {
    let test = "the_stacks_of_the_default_pools_are_as_large_as_is_set";
    if let Ok(text) = env::var(CASE) {
        let frames = text.parse().unwrap();
        let deeper = |label| move || println!("{label}: {}", deep(frames));
        spawn_cpu(deeper("cpu")).wait().unwrap();
        return spawn_thread(deeper("thread")).wait().unwrap();
    }
    assert!(recurse(test, 1_000, "2048").0);
    assert!(recurse(test, 40_000, "40000").0);
    // Of which pool it is, the standard library says most of the time.
    let says_which = |_| {
        let (succeeds, message) = recurse(test, 40_000, "2048");
        assert!(!succeeds);
        message.contains("thread 'offload-cpu-0'") && message.contains("has overflowed its stack")
    };
    assert!((0..20).any(says_which));
}

/// And not as the environment says.
#[test]
fn the_stacks_of_the_default_pools_are_as_large_as_the_builder_says() {
    let test = "the_stacks_of_the_default_pools_are_as_large_as_the_builder_says";
    if let Ok(text) = env::var(CASE) {
        let frames = text.parse().unwrap();
        let settings = offload_runtime::Builder::new();
        let settings = settings.thread_stack_size(40_000 << 10).cpu_stack_size(40_000 << 10);
        settings.install().unwrap();
        spawn_cpu(move || deep(frames)).wait().unwrap();
        return assert_eq!(spawn_thread(move || deep(frames)).wait().unwrap(), 1);
    }
    let (succeeds, message) = recurse(test, 40_000, "2048");
    assert!(succeeds, "{message}");
}

#[test]
fn a_stack_that_no_system_gives_is_told() {
    static OWN: ThreadPool = ThreadPool::new("of its own").stack_size(usize::MAX);
    static LARGE: CpuPool = CpuPool::new("large").stack_size((64 << 30) + 1);

    let test = "a_stack_that_no_system_gives_is_told";
    if env::var_os(CASE).is_some() {
        let of_call = spawn_thread(|| ()).wait().unwrap_err();
        let of_settings = offload_runtime::Builder::new().install().unwrap_err();
        for error in [of_call, of_settings] {
            assert_eq!(error.kind(), ErrorKind::Config);
            let words = "the environment variable OFFLOAD_STACK_KIB asks for stacks of ";
            assert!(error.to_string().contains(words), "{error}");
        }
        return;
    }
    for kibibytes in ["99999999999", "18446744073709551615"] {
        let (succeeds, message) = recurse(test, 1, kibibytes);
        assert!(succeeds, "{message}");
    }
    let errors = [OWN.spawn(|| ()).wait(), LARGE.spawn(|| ()).wait()];
    for (error, name) in errors.into_iter().zip(["of its own", "large"]) {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains(&format!("the pool `{name}` asks for stacks of ")),
            "{error}"
        );
    }
    let settings = offload_runtime::Builder::new().cpu_stack_size(usize::MAX);
    assert!(
        settings
            .install()
            .unwrap_err()
            .to_string()
            .contains("`cpu_stack_size` asks for stacks of ")
    );
}
