//! Arguments, results and items of a mebibyte, by value: where `spawn_blocking` can have them, calls can.
//!
//! And how large the stacks are. One that overflows ends the process, so each case runs in one of its
//! own.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::process::Stdio;
use std::{env, iter, thread};

use futures::StreamExt;
use offload_runtime::{
    CpuPool, Error, ErrorKind, Sink, ThreadPool, offload, spawn_cpu, spawn_thread, to_cpu,
    to_thread,
};
use offload_tests::own_process;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

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

#[offload(cpu, spawn = gives_soon)]
fn gives_at_some_time<const N: usize>() -> Result<[u8; N], Error> {
    Ok(large())
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

#[offload(thread, spawn = takes_soon)]
fn takes_at_some_time<const N: usize>(large: [u8; N]) -> u8 {
    black_box(&large)[4711]
}

#[derive(Clone)]
struct Large<const N: usize>(
    [u8; N],
    #[expect(dead_code, reason = "it has a destructor, and so is moved as such values are")]
    Vec<u8>,
);

impl<const N: usize> Large<N> {
    #[offload(thread)]
    fn method(self) -> u8 {
        black_box(&self.0)[4711]
    }

    #[offload(thread)]
    fn method_of_a_copy(#[to_owned] &self) -> u8 {
        black_box(&self.0)[4711]
    }

    #[offload(thread, spawn = Self::method_soon)]
    fn method_at_some_time(self) -> u8 {
        black_box(&self.0)[4711]
    }

    #[offload(thread)]
    fn method_with_two(self, large: [u8; N]) -> u8 {
        black_box(&self.0)[4711] & black_box(&large)[4711]
    }

    async fn method_with_two_on_the_peer(self, large: [u8; N]) -> u8 {
        spawn_blocking(move || take(self.0) & take(large)).await.unwrap()
    }

    async fn method_of_a_copy_on_the_peer(&self) -> u8 {
        let copy = self.clone();
        spawn_blocking(move || take(copy.0)).await.unwrap()
    }

    async fn method_on_the_peer(self) -> u8 {
        spawn_blocking(move || take(self.0)).await.unwrap()
    }

    fn method_starts_on_the_peer(self) -> JoinHandle<u8> {
        spawn_blocking(move || take(self.0))
    }
}

trait Method: Sized + Send + 'static {
    fn get(&self) -> u8;

    #[offload(thread, spawn = Self::default_soon)]
    fn default_at_some_time(self) -> u8 {
        self.get()
    }

    fn default_starts_on_the_peer(self) -> JoinHandle<u8> {
        spawn_blocking(move || self.get())
    }
}

impl<const N: usize> Method for Large<N> {
    fn get(&self) -> u8 {
        black_box(&self.0)[4711]
    }
}

#[offload(thread, stream)]
fn iterates<const N: usize>(large: [u8; N]) -> impl Iterator<Item = u8> {
    large.into_iter().skip(4711)
}

#[offload(thread, stream)]
fn opens<const N: usize>(large: [u8; N]) -> Result<impl Iterator<Item = u8>, Error> {
    Ok(large.into_iter().skip(4711))
}

#[offload(thread, stream)]
fn iterates_large<const N: usize>() -> impl Iterator<Item = [u8; N]> {
    iter::from_fn(|| Some(large::<N>()))
}

#[offload(thread, stream)]
fn pushes<const N: usize>(large: [u8; N], out: &mut Sink<u8>) -> Result<(), Error> {
    out.send(black_box(&large)[4711])?;
    Ok(())
}

/// With a large error, which it does not return.
#[offload(thread, stream)]
fn pushes_or_fails<const N: usize>(out: &mut Sink<u8>) -> Result<(), Large<N>> {
    out.send(7).map_err(|_| Large(large(), Vec::new()))
}

#[offload(thread, stream)]
fn pushes_large<const N: usize>(out: &mut Sink<[u8; N]>) -> Result<(), Error> {
    out.send(large::<N>())?;
    Ok(())
}

fn streams_on_the_peer<const N: usize>(large: [u8; N]) -> mpsc::Receiver<u8> {
    let (out, items) = mpsc::channel(16);
    spawn_blocking(move || out.blocking_send(take(large)));
    items
}

fn pushes_or_fails_on_the_peer<const N: usize>() -> mpsc::Receiver<Result<u8, Large<N>>> {
    let (out, items) = mpsc::channel(16);
    spawn_blocking(move || out.blocking_send(Ok(7)).is_ok());
    items
}

fn iterates_on_the_peer<const N: usize>(large: [u8; N]) -> mpsc::Receiver<u8> {
    fn iterate<const N: usize>(large: [u8; N]) -> impl Iterator<Item = u8> {
        large.into_iter().skip(4711)
    }

    let (out, items) = mpsc::channel(16);
    spawn_blocking(move || iterate(large).try_for_each(|item| out.blocking_send(item)).is_ok());
    items
}

fn opens_on_the_peer<const N: usize>(large: [u8; N]) -> mpsc::Receiver<u8> {
    fn open<const N: usize>(large: [u8; N]) -> Result<impl Iterator<Item = u8>, Error> {
        Ok(large.into_iter().skip(4711))
    }

    let (out, items) = mpsc::channel(16);
    spawn_blocking(move || {
        open(large)
            .is_ok_and(|items| items.map(|item| out.blocking_send(item)).all(|sent| sent.is_ok()))
    });
    items
}

async fn gives_on_the_peer<const N: usize>() -> Result<[u8; N], Error> {
    spawn_blocking(|| Ok(large::<N>())).await.unwrap()
}

/// Of a thread that is no runtime's.
fn waited_on_the_peer<const N: usize>() -> u8 {
    let result = spawn_blocking(|| Ok::<_, Error>(large::<N>()));
    futures::executor::block_on(result).unwrap().unwrap()[4711]
}

fn iterates_large_on_the_peer<const N: usize>() -> mpsc::Receiver<[u8; N]> {
    let (out, items) = mpsc::channel(16);
    spawn_blocking(move || {
        let items = iter::from_fn(|| Some(large::<N>()));
        items.map(|item| out.blocking_send(item)).all(|sent| sent.is_ok())
    });
    items
}

fn pushes_large_on_the_peer<const N: usize>() -> mpsc::Receiver<Result<[u8; N], Error>> {
    let (out, items) = mpsc::channel(16);
    spawn_blocking(move || out.blocking_send(Ok(large::<N>())).is_ok());
    items
}

fn starts_on_the_peer<const N: usize>(large: [u8; N]) -> JoinHandle<u8> {
    spawn_blocking(move || take(large))
}

static OWN: ThreadPool = ThreadPool::new("own");

async fn takes_on_the_peer<const N: usize>(large: [u8; N]) -> u8 {
    spawn_blocking(move || take(large)).await.unwrap()
}

type Case = fn() -> Pin<Box<dyn Future<Output = u8>>>;

/// With the name of what the peer does instead. Each apart, since the stack of a function has room
/// for all that it may do.
const fn cases<const N: usize>() -> [(&'static str, &'static str, Case); 45] {
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
                spawn_blocking(move || take(large)).await.unwrap()
            })
        }),
        ("closure with a label", "peer: closure", || {
            Box::pin(async {
                let large = large::<N>();
                to_cpu(move || take(large)).named("large").await
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
        ("peer: started function", "", || {
            Box::pin(async { starts_on_the_peer(large::<N>()).await.unwrap() })
        }),
        ("started function", "peer: started function", || {
            Box::pin(async { takes_soon(large::<N>()).await.unwrap() })
        }),
        ("function with spawn", "peer: function", || {
            Box::pin(async { takes_at_some_time(large::<N>()).await })
        }),
        ("peer: method", "", || {
            Box::pin(async { Large(large::<N>(), Vec::new()).method_on_the_peer().await })
        }),
        ("method", "peer: method", || {
            Box::pin(async { Large(large::<N>(), Vec::new()).method().await })
        }),
        ("method with spawn", "peer: method", || {
            Box::pin(async { Large(large::<N>(), Vec::new()).method_at_some_time().await })
        }),
        ("peer: method of a copy", "", || {
            Box::pin(async { Large(large::<N>(), Vec::new()).method_of_a_copy_on_the_peer().await })
        }),
        ("method of a copy", "peer: method of a copy", || {
            Box::pin(async { Large(large::<N>(), Vec::new()).method_of_a_copy().await })
        }),
        ("peer: started method", "", || {
            Box::pin(async {
                Large(large::<N>(), Vec::new()).method_starts_on_the_peer().await.unwrap()
            })
        }),
        ("started method", "peer: started method", || {
            Box::pin(async { Large(large::<N>(), Vec::new()).method_soon().await.unwrap() })
        }),
        ("peer: method with two", "", || {
            Box::pin(async {
                Large(large::<N>(), Vec::new()).method_with_two_on_the_peer(large::<N>()).await
            })
        }),
        ("method with two", "peer: method with two", || {
            Box::pin(async { Large(large::<N>(), Vec::new()).method_with_two(large::<N>()).await })
        }),
        ("peer: started default", "", || {
            Box::pin(async {
                Large(large::<N>(), Vec::new()).default_starts_on_the_peer().await.unwrap()
            })
        }),
        ("started default", "peer: started default", || {
            Box::pin(async { Large(large::<N>(), Vec::new()).default_soon().await.unwrap() })
        }),
        ("peer: stream", "", || {
            Box::pin(async { streams_on_the_peer(large::<N>()).recv().await.unwrap() })
        }),
        ("pushes", "peer: stream", || {
            Box::pin(async { pin!(pushes(large::<N>())).next().await.unwrap().unwrap() })
        }),
        ("pushes or fails", "peer: pushes or fails", || {
            Box::pin(async {
                pin!(pushes_or_fails::<N>())
                    .next()
                    .await
                    .unwrap()
                    .map_err(|error| error.0[0])
                    .unwrap()
            })
        }),
        ("peer: pushes or fails", "", || {
            Box::pin(async {
                let mut items = pushes_or_fails_on_the_peer::<N>();
                items.recv().await.unwrap().map_err(|error| error.0[0]).unwrap()
            })
        }),
        ("peer: iterates", "", || {
            Box::pin(async { iterates_on_the_peer(large::<N>()).recv().await.unwrap() })
        }),
        ("iterates", "peer: iterates", || {
            Box::pin(async { pin!(iterates(large::<N>())).next().await.unwrap() })
        }),
        ("peer: opens", "", || {
            Box::pin(async { opens_on_the_peer(large::<N>()).recv().await.unwrap() })
        }),
        ("opens", "peer: opens", || {
            Box::pin(async { pin!(opens(large::<N>())).next().await.unwrap().unwrap() })
        }),
        ("peer: pushes large", "", || {
            Box::pin(async { pushes_large_on_the_peer::<N>().recv().await.unwrap().unwrap()[4711] })
        }),
        ("pushes large", "peer: pushes large", || {
            Box::pin(async { pin!(pushes_large::<N>()).next().await.unwrap().unwrap()[4711] })
        }),
        ("peer: iterates large", "", || {
            Box::pin(async { iterates_large_on_the_peer::<N>().recv().await.unwrap()[4711] })
        }),
        ("iterates large", "peer: iterates large", || {
            Box::pin(async { pin!(iterates_large::<N>()).next().await.unwrap()[4711] })
        }),
        ("peer: result with an error", "", || {
            Box::pin(async { gives_on_the_peer::<N>().await.unwrap()[4711] })
        }),
        ("result with an error", "peer: result with an error", || {
            Box::pin(async { gives_at_some_time::<N>().await.unwrap()[4711] })
        }),
        ("result of a started function", "peer: result with an error", || {
            Box::pin(async { gives_soon::<N>().await.unwrap().unwrap()[4711] })
        }),
        ("peer: waited result", "", || Box::pin(async { waited_on_the_peer::<N>() })),
        ("waited result", "peer: waited result", || {
            Box::pin(async { gives_soon::<N>().wait().unwrap().unwrap()[4711] })
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

/// How large they have to be at least, in the same unit: the caller's with pools of any size, and the pools'.
fn stacks(name: &str) -> [usize; 2] {
    [
        least(|caller| gets_through(1024, name, caller, MOST)),
        least(|pool| gets_through(1024, name, MOST, pool)),
    ]
}

fn least(is_enough: impl Fn(usize) -> bool) -> usize {
    let (mut least, mut most) = (1, MOST);
    while least < most {
        let middle = least.midpoint(most);
        match is_enough(middle) {
            true => most = middle,
            false => least = middle + 1,
        }
    }
    most
}

const MOST: usize = 192;

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
    let (peers, ours): (Vec<_>, Vec<_>) =
        cases::<1>().into_iter().partition(|(_, peer, _)| peer.is_empty());
    for (peer, ..) in peers {
        let [caller, pool] = stacks(peer);
        assert!(caller < MOST && pool < MOST, "{peer} needs {caller} and {pool}");
        for (name, ..) in ours.iter().filter(|(_, of, _)| *of == peer) {
            // A page more or less is one of these units.
            let small = [(caller + 1, MOST), (MOST, pool + 1)];
            let fits = small.map(|(caller, pool)| gets_through(1024, name, caller, pool));
            assert_eq!(
                fits,
                [true; 2],
                "{name} needs {:?}, {peer} {:?}",
                stacks(name),
                [caller, pool]
            );
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
