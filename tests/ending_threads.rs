//! No call is forgotten where a thread ends: since it has been idle for too long, since there is one too many, since its
//! pool is closed, or since a body has left something on it that cannot be undone.

use std::hint::spin_loop;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ThreadPool, offload, spawn_thread, to_thread};
use offload_tests::{PATIENCE, begin, own_process, passes, poll, pool, settle, soon};
use tokio::runtime::{Builder, Handle};

/// Between 0 and 40 µs, another time for each `n`: a thread that has run out of calls ends at about the middle of that.
fn pause(n: u32) {
    let (start, time) = (Instant::now(), Duration::from_nanos(u64::from(n * 7919 % 40_000)));
    while start.elapsed() < time {
        spin_loop();
    }
}

#[test]
fn a_call_that_comes_as_the_only_thread_ends_is_run_by_another() {
    static POOL: ThreadPool = ThreadPool::new("ends at once").threads(1).keep_alive(Duration::ZERO);

    let (tell, told) = mpsc::channel();
    for n in 0..5_000 {
        let tell = tell.clone();
        drop(POOL.spawn(move || tell.send(n).unwrap()));
        assert_eq!(soon(&told), n);
        pause(n);
    }
}

/// Each has a thread, and one of them is one too many when both are done.
#[test]
fn a_call_that_comes_as_one_thread_too_many_ends_is_run_by_the_other() {
    static POOL: ThreadPool = ThreadPool::new("one too many").threads(1);

    let (tell, told) = mpsc::channel();
    for n in 0..5_000 {
        let waits = POOL.spawn(|| block_on(POOL.run(|| ())));
        waits.wait().unwrap();
        pause(n);
        let tell = tell.clone();
        drop(POOL.spawn(move || tell.send(n).unwrap()));
        assert_eq!(soon(&told), n);
    }
}

/// Tells that it is dropped.
struct Told(mpsc::Sender<u32>, u32);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

#[test]
fn what_is_left_of_a_call_is_dropped_though_the_thread_for_that_is_about_to_end() {
    passes(own_process("child_drops_beside_a_body").env("OFFLOAD_THREADS", "1"));
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_drops_beside_a_body() {
    let (go_on, held) = mpsc::channel::<()>();
    let (starts, started) = mpsc::channel();
    let body = spawn_thread(move || {
        starts.send(()).unwrap();
        held.recv().is_err()
    });
    soon(&started);
    let (tell, told) = mpsc::channel();
    for n in 0..5_000 {
        let argument = Told(tell.clone(), n);
        drop(begin(to_thread(move || drop(argument))));
        // By a thread that is there for nothing else: that of the pool has a body.
        assert_eq!(soon(&told), n);
        pause(n);
    }
    drop(go_on);
    assert!(body.wait().unwrap());
}

#[test]
fn the_thread_that_is_woken_for_the_first_of_two_calls_wakes_another_for_the_second() {
    static POOL: ThreadPool = ThreadPool::new("two meet").threads(2);

    for _ in 0..200 {
        let meet = || {
            let together = Arc::new(Barrier::new(2));
            [Arc::clone(&together), together]
                .map(|here| POOL.spawn(move || here.wait().is_leader()))
        };
        let calls = meet();
        settle("both are done", || calls.iter().all(|call| call.is_finished()));
        settle("both are idle", || pool("two meet").idle == 2);
    }
}

#[test]
fn the_threads_of_a_pool_that_is_closed_end_at_once() {
    static POOL: ThreadPool = ThreadPool::new("ends").threads(3).keep_alive(Duration::MAX);

    let together = Arc::new(Barrier::new(3));
    let calls = [(); 3].map(|()| {
        let here = Arc::clone(&together);
        POOL.spawn(move || here.wait().is_leader())
    });
    for call in calls {
        call.wait().unwrap();
    }
    settle("they are idle", || pool("ends").idle == 3);
    assert_eq!(block_on(POOL.close(PATIENCE)).abandoned, 0);
    assert_eq!(pool("ends").threads, 0);
}

/// What it has left cannot be undone, and is seen when the next call is in the thread's hands already: that comes from
/// another runtime, or from none.
#[test]
fn the_call_behind_a_body_that_spoils_its_thread_is_run_by_another() {
    static POOL: ThreadPool = ThreadPool::new("spoilt").threads(1);

    let (own, other) = (Builder::new_current_thread(), Builder::new_current_thread());
    let [own, other] = [own, other].map(|mut builder| builder.build().unwrap());
    for next_has_runtime in [false, true] {
        let (go_on, held) = mpsc::channel::<()>();
        let guard = own.enter();
        let spoils = POOL.spawn(move || {
            held.recv().unwrap_err();
            // Its own, once more.
            std::mem::forget(Handle::current().enter());
            std::thread::current().id()
        });
        drop(guard);
        let (tell, told) = mpsc::channel();
        let next = move || {
            let here = Handle::try_current().ok().map(|handle| handle.id());
            tell.send((std::thread::current().id(), here)).unwrap();
        };
        let guard = next_has_runtime.then(|| other.enter());
        drop(POOL.spawn(next));
        drop(guard);
        drop(go_on);
        let spoilt = spoils.wait().unwrap();
        let (thread, seen) = soon(&told);
        assert_ne!(thread, spoilt);
        assert_eq!(seen, next_has_runtime.then(|| other.handle().id()));
    }
}

/// The only thread of the pool has a body that outlives each grace, so nobody but who closes the pool, or who makes the
/// call, can end one that is queued.
#[test]
fn a_call_that_is_made_as_its_pool_is_closed_ends_though_no_thread_is_free() {
    static POOL: ThreadPool = ThreadPool::new("held").threads(1);

    #[offload(thread, pool = POOL)]
    fn holds(starts: mpsc::Sender<()>, held: Receiver<()>) -> Result<(), Error> {
        starts.send(()).unwrap();
        let _ = held.recv();
        Ok(())
    }

    #[offload(thread, pool = POOL)]
    fn call() -> Result<(), Error> {
        Ok(())
    }

    let ((starts, started), (go_on, held)) = (mpsc::channel(), mpsc::channel());
    let holder = begin(holds(starts, held));
    soon(&started);
    let together = Arc::new(Barrier::new(3));
    let callers = [(); 2].map(|()| {
        let together = Arc::clone(&together);
        std::thread::spawn(move || {
            for n in 0..2_000 {
                together.wait();
                pause(n % 64);
                let mut call = Box::pin(call());
                let mut answer = poll(&mut call);
                together.wait();
                // It is closed.
                settle("it has ended", || {
                    if answer.is_pending() {
                        answer = poll(&mut call);
                    }
                    answer.is_ready()
                });
                together.wait();
                let std::task::Poll::Ready(answer) = answer else { unreachable!() };
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::ShuttingDown);
            }
        })
    });
    for _ in 0..2_000 {
        together.wait();
        block_on(POOL.close(Duration::ZERO));
        together.wait();
        together.wait();
        POOL.open();
    }
    for caller in callers {
        caller.join().unwrap();
    }
    drop(go_on);
    block_on(holder).unwrap();
    POOL.spawn(|| ()).wait().unwrap();
}
