//! `Resource`: so many instances, each lent to one body at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join_all;
use offload_runtime::{
    Error, ErrorKind, Limiter, Ran, Resource, ThreadPool, offload, spawn_thread, to_thread,
};

use crate::resource;
use crate::support::{Gate, PATIENCE, Peak, begin, numbers, poll, pool, settle};

/// An instance with a number of its own.
struct Numbered(usize);

#[test]
fn a_resource_that_is_borrowed_by_two_paths_is_told_and_not_waited_for() {
    mod of {
        use super::*;

        pub(super) static SAME: Resource<u8> = Resource::new("of two paths", || Ok(0));
    }
    use of::SAME;

    #[offload(thread)]
    fn twice(
        #[resource(SAME)] _one: &mut u8,
        #[resource(of::SAME)] _two: &mut u8,
    ) -> Result<(), Error> {
        Ok(())
    }

    let error = block_on(twice()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
    assert!(error.to_string().contains("`of two paths` is borrowed twice"), "{error}");
}

#[test]
fn an_error_that_cannot_be_shown_costs_the_call_for_which_it_was_made() {
    /// It panics when it is to be shown.
    #[derive(Debug)]
    struct NotShown;

    impl std::fmt::Display for NotShown {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("it cannot be shown")
        }
    }

    impl std::error::Error for NotShown {}

    static NEVER: Resource<()> = Resource::new("is not shown", || Err(Box::new(NotShown)));

    #[offload(thread)]
    fn wants_it(#[resource(NEVER)] _it: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    for _ in 0..2 {
        let error = block_on(wants_it()).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No));
        assert!(
            error.to_string().ends_with("its error panicked when it was to be shown"),
            "{error}"
        );
    }
}

/// Once, where the call had ended and was dropped, it was dropped there, and its panic got out; and the thread of the pool,
/// where that was the last to have the error, ended the process.
#[test]
fn an_error_whose_destructor_panics_costs_nobody_anything() {
    static WHERE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static POOL: ThreadPool = ThreadPool::new("not dropped").threads(1);
    static NEVER: Resource<()> = Resource::new("is not dropped", || Err(Box::new(NotDropped)));

    /// It panics when it is dropped.
    #[derive(Debug, thiserror::Error)]
    #[error("it cannot be made")]
    struct NotDropped;

    impl Drop for NotDropped {
        fn drop(&mut self) {
            let thread = std::thread::current();
            WHERE.lock().unwrap().push(thread.name().unwrap_or_default().to_owned());
            panic!("it cannot be dropped");
        }
    }

    #[offload(thread, pool = POOL, spawn = want_it_soon)]
    fn wants_it(#[resource(NEVER)] _it: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    // Its caller has the error, and drops it.
    assert_eq!(block_on(wants_it()).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(std::mem::take(&mut *WHERE.lock().unwrap()).len(), 1);
    // Nobody takes it. Until both wait, the only thread of the pool does not make any.
    let (go_on, gate) = mpsc::channel::<()>();
    let held = POOL.spawn(move || gate.recv().is_err());
    let awaited = begin(wants_it());
    let started = want_it_soon();
    drop(go_on);
    held.wait().unwrap();
    POOL.spawn(|| ()).wait().unwrap();
    drop((awaited, started));
    drop(want_it_soon());
    settle("they are dropped", || WHERE.lock().unwrap().len() == 3);
    let threads = std::mem::take(&mut *WHERE.lock().unwrap());
    assert!(
        threads.iter().all(|name| ["offload-thread-", "not dropped-"]
            .iter()
            .any(|pool| name.starts_with(pool))),
        "{threads:?}"
    );
    assert_eq!(POOL.spawn(|| 3).wait().unwrap(), 3);
}

#[test]
fn bodies_borrow_what_was_made_for_the_first() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static ONE: Resource<Numbered> =
        Resource::new("one for all", || Ok(Numbered(MADE.fetch_add(1, Ordering::SeqCst))));

    #[offload(thread)]
    fn add(by: usize, #[resource(ONE)] one: &mut Numbered) -> usize {
        one.0 += by;
        one.0
    }

    block_on(async {
        assert_eq!(add(1).await, 1);
        assert_eq!(add(10).await, 11);
    });
    assert_eq!(MADE.load(Ordering::SeqCst), 1);
    let stats = resource("one for all");
    assert_eq!(
        (stats.kind, stats.size, stats.made, stats.dropped, stats.failed),
        ("exclusive", Some(1), 1, 0, 0)
    );
    assert_eq!((stats.in_use, stats.waiting), (0, 0));
}

#[test]
fn there_are_never_more_than_its_size_and_calls_that_wait_use_no_thread() {
    static POOL: ThreadPool = ThreadPool::new("borrowers");
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static FEW: Resource<Numbered> =
        Resource::new("few", || Ok(Numbered(MADE.fetch_add(1, Ordering::SeqCst)))).size(3);

    #[offload(thread, pool = POOL)]
    fn hold(gate: Gate, #[resource(FEW)] few: &mut Numbered) -> usize {
        gate.pass();
        few.0
    }

    let gate = Gate::default();
    let calls: Vec<_> = (0..50).map(|_| begin(hold(gate.clone()))).collect();
    gate.wait_for(3);
    // How many threads came to look for work depends on the machine; none of them is held.
    settle("the others wait for one, and every thread but three is idle", || {
        let pool = pool("borrowers");
        resource("few").waiting == 47 && pool.running == 3 && pool.idle == pool.threads - 3
    });
    assert_eq!(gate.entered(), 3);
    assert_eq!(resource("few").in_use, 3);
    gate.open();
    block_on(join_all(calls));
    assert_eq!(MADE.load(Ordering::SeqCst), 3);
    assert_eq!(resource("few").made, 3);
}

#[test]
fn calls_that_wait_are_served_in_order() {
    static ORDER: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    static ONE: Resource<()> = Resource::new("in order", || Ok(()));
    static POOL: ThreadPool = ThreadPool::new("in order").threads(1);

    #[offload(thread, pool = POOL)]
    fn note(number: usize, gate: Gate, #[resource(ONE)] _one: &mut ()) {
        ORDER.lock().unwrap().push(number);
        gate.pass();
    }

    let (first, others) = (Gate::default(), Gate::default());
    others.open();
    let mut calls = vec![begin(note(0, first.clone()))];
    first.wait_for(1);
    calls.extend((1..20).map(|number| begin(note(number, others.clone()))));
    first.open();
    block_on(join_all(calls));
    assert_eq!(*ORDER.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[test]
fn an_instance_whose_body_panicked_is_dropped_and_another_one_made() {
    static ONE: Resource<Tracked> = Resource::new("after a panic", Tracked::new);

    #[offload(thread)]
    fn touch(panics: bool, #[resource(ONE)] one: &mut Tracked) -> usize {
        one.uses += 1;
        assert!(!panics, "in the body");
        one.uses
    }

    assert_eq!(block_on(touch(false)), 1);
    let panicked = catch_unwind(|| block_on(touch(true))).unwrap_err();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"in the body"));
    assert_eq!(block_on(touch(false)), 1, "it is a new one");
    assert_eq!((resource("after a panic").made, resource("after a panic").dropped), (2, 1));
    assert_eq!(DROPPED.load(Ordering::SeqCst), 1);

    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Tracked {
        uses: usize,
    }
    impl Tracked {
        fn new() -> Result<Tracked, Box<dyn std::error::Error + Send + Sync>> {
            Ok(Tracked { uses: 0 })
        }
    }
    impl Drop for Tracked {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_destructor_that_panics_while_its_body_unwinds_costs_nothing_else() {
    static ONE: Resource<Bomb> = Resource::new("bomb", || Ok(Bomb));
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }

    #[offload(thread)]
    fn touch(panics: bool, #[resource(ONE)] _one: &mut Bomb) {
        assert!(!panics, "in the body");
    }

    let panicked = catch_unwind(|| block_on(touch(true))).unwrap_err();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"in the body"));
    block_on(touch(false));
    assert_eq!(resource("bomb").made, 2);
}

#[test]
fn an_instance_that_its_check_rejects_is_replaced() {
    static ONE: Resource<Numbered> = Resource::new("checked", || Ok(Numbered(0))).check(|one| {
        assert!(one.0 != 7, "it cannot be checked");
        one.0 < 3
    });

    #[offload(thread)]
    fn set(number: usize, #[resource(ONE)] one: &mut Numbered) -> usize {
        std::mem::replace(&mut one.0, number)
    }

    block_on(async {
        assert_eq!(set(1).await, 0, "made");
        assert_eq!(set(3).await, 1, "kept");
        assert_eq!(set(7).await, 0, "replaced, as 3 is too much");
        assert_eq!(set(1).await, 0, "replaced, as the check panicked");
        assert_eq!(set(1).await, 1);
    });
    assert_eq!((resource("checked").made, resource("checked").dropped), (3, 2));
}

#[test]
fn what_cannot_be_made_is_an_error_with_its_source_and_the_next_call_tries_again() {
    static FAILS: AtomicUsize = AtomicUsize::new(0);
    static ONE: Resource<()> =
        Resource::new("fails at first", || match FAILS.fetch_add(1, Ordering::SeqCst) {
            0 => Err("nobody listens".into()),
            1 => panic!("out of its mind"),
            _ => Ok(()),
        });

    #[offload(thread, name = "wants it")]
    fn touch(#[resource(ONE)] _one: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    for (text, source) in [
        ("nobody listens", "nobody listens"),
        ("panicked: out of its mind", "panicked: out of its mind"),
    ] {
        let error = block_on(touch()).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Unavailable, Ran::No));
        assert_eq!(
            error.to_string(),
            format!(
                "`wants it` was not started, as the resource `fails at first` could not be made: {text}"
            )
        );
        let found = std::error::Error::source(&error).expect("it has a source");
        assert_eq!(found.to_string(), source);
    }
    block_on(touch()).unwrap();
    let numbers = numbers("wants it");
    assert_eq!((numbers.started, numbers.refused), (1, 2));
    assert_eq!((resource("fails at first").made, resource("fails at first").failed), (1, 2));
}

#[test]
fn a_source_goes_through_serde_as_its_text() {
    static NONE: Resource<()> = Resource::new("never there", || Err("no such host".into()));

    #[offload(thread)]
    fn touch(#[resource(NONE)] _none: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    let error = block_on(touch()).unwrap_err();
    let text = serde_json::to_string(&error).unwrap();
    let back: Error = serde_json::from_str(&text).unwrap();
    assert_eq!(std::error::Error::source(&back).unwrap().to_string(), "no such host");
}

#[test]
fn where_the_result_cannot_carry_an_error_it_is_a_panic() {
    static NONE: Resource<()> = Resource::new("nowhere", || Err("it is elsewhere".into()));

    #[offload(thread)]
    fn touch(#[resource(NONE)] _none: &mut ()) {}

    let payload = catch_unwind(|| block_on(touch())).unwrap_err();
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(text.ends_with("the resource `nowhere` could not be made: it is elsewhere"), "{text}");
}

#[test]
fn a_size_that_makes_no_sense_is_a_config_error() {
    static NONE: Resource<()> = Resource::new("of no size", || Ok(())).size_with(|| 0);
    static BAD: Resource<()> = Resource::new("of bad size", || Ok(())).size_with(|| panic!("no"));

    #[offload(thread)]
    fn none(#[resource(NONE)] _none: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread)]
    fn bad(#[resource(BAD)] _bad: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    let error = block_on(none()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Config, Ran::No));
    assert!(
        error.to_string().contains("`size_with` of the resource `of no size` gave 0"),
        "{error}"
    );
    let error = block_on(bad()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("`size_with` of the resource `of bad size` panicked"),
        "{error}"
    );
}

#[test]
fn a_size_is_known_when_the_program_runs() {
    static SOME: Resource<()> = Resource::new("of two", || Ok(())).size_with(|| 2);

    #[offload(thread)]
    fn touch(#[resource(SOME)] _some: &mut ()) {}

    block_on(touch());
    assert_eq!(resource("of two").size, Some(2));
}

/// The instance belongs to the body: the next call waits until that has ended.
#[test]
fn with_a_caller_that_goes_away_the_instance_comes_back_when_the_body_ends() {
    static ONE: Resource<Numbered> = Resource::new("abandoned", || Ok(Numbered(0)));

    #[offload(thread)]
    fn hold(gate: Gate, #[resource(ONE)] one: &mut Numbered) -> usize {
        one.0 += 1;
        gate.pass();
        one.0
    }

    let (held, open) = (Gate::default(), Gate::default());
    open.open();
    let call = begin(hold(held.clone()));
    held.wait_for(1);
    drop(call);
    let next = begin(hold(open));
    settle("it waits", || resource("abandoned").waiting == 1);
    held.open();
    assert_eq!(block_on(next), 2);
    assert_eq!(resource("abandoned").made, 1);
}

#[test]
fn a_call_that_is_dropped_while_it_waits_gives_up_its_place() {
    static ONE: Resource<()> = Resource::new("given up", || Ok(()));

    #[offload(thread)]
    fn hold(gate: Gate, #[resource(ONE)] _one: &mut ()) {
        gate.pass();
    }

    let (held, never, open) = (Gate::default(), Gate::default(), Gate::default());
    open.open();
    let first = begin(hold(held.clone()));
    held.wait_for(1);
    let second = begin(hold(never.clone()));
    settle("it waits", || resource("given up").waiting == 1);
    drop(second);
    assert_eq!(resource("given up").waiting, 0);
    let third = begin(hold(open));
    held.open();
    block_on(async {
        first.await;
        third.await;
    });
    assert_eq!(never.entered(), 0);
}

#[test]
fn a_limit_and_several_resources_hold_together() {
    static LIMIT: Limiter = Limiter::new(3);
    static LEFT: Resource<Peak> = Resource::new("left", || Ok(Peak::new())).size(2);
    static RIGHT: Resource<Peak> = Resource::new("right", || Ok(Peak::new())).size(2);
    static BODIES: Peak = Peak::new();

    #[offload(thread, limit = LIMIT)]
    fn both(
        #[resource(LEFT)] left: &mut Peak,
        n: usize,
        #[resource(RIGHT)] right: &mut Peak,
    ) -> usize {
        BODIES.during(|| left.during(|| right.during(std::thread::yield_now)));
        assert_eq!((left.most(), right.most()), (1, 1));
        n
    }

    // In the other order: they must not wait for each other.
    #[offload(thread)]
    fn other(#[resource(RIGHT)] right: &mut Peak, #[resource(LEFT)] left: &mut Peak) {
        BODIES.during(|| left.during(|| right.during(std::thread::yield_now)));
    }

    block_on(async {
        let both: Vec<_> = (0..300).map(both).collect();
        let others: Vec<_> = (0..300).map(|_| other()).collect();
        let (both, _) = futures::join!(join_all(both), join_all(others));
        assert_eq!(both, (0..300).collect::<Vec<_>>());
    });
    assert!(BODIES.most() <= 2, "{}", BODIES.most());
    assert_eq!((LIMIT.in_use(), LIMIT.waiting()), (0, 0));
    for name in ["left", "right"] {
        let stats = resource(name);
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
        assert!(stats.made <= 2, "{stats:?}");
    }
}

/// A call that has its limit and waits for its resource has something that it must give back.
#[test]
fn a_call_that_is_dropped_on_its_way_gives_back_what_it_has() {
    static LIMIT: Limiter = Limiter::new(2);
    static ONE: Resource<()> = Resource::new("second on the way", || Ok(()));

    #[offload(thread)]
    fn hold(gate: Gate, #[resource(ONE)] _one: &mut ()) {
        gate.pass();
    }

    #[offload(thread, limit = LIMIT)]
    fn both(#[resource(ONE)] _one: &mut ()) {}

    let gate = Gate::default();
    let holder = begin(hold(gate.clone()));
    gate.wait_for(1);
    let waits = begin(both());
    settle("it has its permit, and waits", || {
        LIMIT.in_use() == 1 && resource("second on the way").waiting == 1
    });
    drop(waits);
    assert_eq!((LIMIT.in_use(), resource("second on the way").waiting), (0, 0));
    gate.open();
    block_on(holder);
    block_on(both());
    assert_eq!(LIMIT.in_use(), 0);
}

#[test]
fn at_random_everything_comes_back() {
    static LIMIT: Limiter = Limiter::new(2);
    static LEFT: Resource<()> = Resource::new("left at random", || Ok(())).size(2);
    static RIGHT: Resource<()> = Resource::new("right at random", || Ok(()));

    #[offload(thread, limit = LIMIT)]
    fn both(panics: bool, #[resource(LEFT)] _left: &mut (), #[resource(RIGHT)] _right: &mut ()) {
        assert!(!panics, "at random");
    }

    let threads: Vec<_> = (0..3)
        .map(|thread| {
            std::thread::spawn(move || {
                for round in 0..400 {
                    let mut call = Box::pin(both((round + thread) % 7 == 0));
                    if round % 3 == 0 {
                        // Dropped wherever it is.
                        let _ = catch_unwind(AssertUnwindSafe(|| poll(&mut call)));
                        std::thread::yield_now();
                    } else {
                        let _ = catch_unwind(AssertUnwindSafe(|| block_on(call)));
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    settle("all permits are back", || {
        let (left, right) = (resource("left at random"), resource("right at random"));
        LIMIT.in_use() + LIMIT.waiting() + left.in_use + left.waiting + right.in_use + right.waiting
            == 0
    });
    block_on(both(false));
}

#[test]
fn a_nested_call_for_what_its_own_body_holds_alone_is_a_deadlock() {
    static ONE: Resource<()> = Resource::new("held alone", || Ok(()));

    #[offload(thread, name = "inner")]
    fn inner(#[resource(ONE)] _one: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread)]
    fn outer(#[resource(ONE)] _one: &mut ()) -> Result<(), Error> {
        block_on(inner())
    }

    let error = block_on(outer()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::Deadlock, Ran::No));
    assert!(error.to_string().contains("the resource `held alone`"), "{error}");
    block_on(inner()).unwrap();
}

/// One body has the permit and asks for the instance, the other has the instance and asks for the permit:
/// the last to ask is told, and the other gets what that one gives back.
#[test]
fn bodies_that_wait_for_each_others_limit_and_resource_do_not_hang() {
    static LIMIT: Limiter = Limiter::new(1);
    static ONE: Resource<()> = Resource::new("across", || Ok(()));

    #[offload(thread, limit = LIMIT)]
    fn limited(together: Option<Arc<Barrier>>) -> Result<(), Error> {
        together.map_or(Ok(()), |together| {
            together.wait();
            block_on(borrows(None))
        })
    }

    #[offload(thread)]
    fn borrows(
        together: Option<Arc<Barrier>>,
        #[resource(ONE)] _one: &mut (),
    ) -> Result<(), Error> {
        together.map_or(Ok(()), |together| {
            together.wait();
            block_on(limited(None))
        })
    }

    for _ in 0..50 {
        let together = Some(Arc::new(Barrier::new(2)));
        let calls = (limited(together.clone()), borrows(together));
        let (limited, borrows) = block_on(async { futures::join!(calls.0, calls.1) });
        let told = limited.as_ref().err().xor(borrows.as_ref().err());
        let error = told.unwrap_or_else(|| panic!("{limited:?}, {borrows:?}"));
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Deadlock, Ran::No));
    }
    assert_eq!((LIMIT.in_use(), resource("across").in_use), (0, 0));
    assert_eq!(resource("across").made, 1);
}

/// The nested call has its permit, and waits for the instance; the body that has the instance asks for
/// that permit.
#[test]
fn a_permit_that_a_waiting_call_has_counts_as_held() {
    static LIMIT: Limiter = Limiter::new(1);
    static ONE: Resource<()> = Resource::new("held on the way", || Ok(()));

    #[offload(thread, limit = LIMIT)]
    fn needs_both(#[resource(ONE)] _one: &mut ()) -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread)]
    fn outer() -> Result<(), Error> {
        block_on(needs_both())
    }

    #[offload(thread, limit = LIMIT)]
    fn limited() -> Result<(), Error> {
        Ok(())
    }

    #[offload(thread)]
    fn borrows(gate: Gate, #[resource(ONE)] _one: &mut ()) -> Result<(), Error> {
        gate.pass();
        block_on(limited())
    }

    let gate = Gate::default();
    let borrows = begin(borrows(gate.clone()));
    gate.wait_for(1);
    let outer = begin(outer());
    settle("it has the permit, and waits for the instance", || {
        (LIMIT.in_use(), resource("held on the way").waiting) == (1, 1)
    });
    gate.open();
    assert_eq!(block_on(borrows).unwrap_err().kind(), ErrorKind::Deadlock);
    block_on(outer).unwrap();
}

#[test]
fn a_nested_call_gets_another_instance_if_there_is_one() {
    static TWO: Resource<()> = Resource::new("held by two", || Ok(())).size(2);

    #[offload(thread)]
    fn inner(#[resource(TWO)] _two: &mut ()) -> Result<u8, Error> {
        Ok(1)
    }

    #[offload(thread)]
    fn outer(#[resource(TWO)] _two: &mut ()) -> Result<u8, Error> {
        block_on(inner())
    }

    assert_eq!(block_on(outer()).unwrap(), 1);
}

#[test]
fn an_instance_that_nobody_uses_for_its_time_is_dropped_on_a_pool() {
    static SENDER: Mutex<Option<mpsc::Sender<Option<String>>>> = Mutex::new(None);
    static ONE: Resource<Told> =
        Resource::new("not for long", || Ok(Told)).keep_alive(Duration::from_millis(5));
    struct Told;
    impl Drop for Told {
        fn drop(&mut self) {
            let name = std::thread::current().name().map(str::to_owned);
            SENDER.lock().unwrap().as_ref().unwrap().send(name).unwrap();
        }
    }

    #[offload(cpu)]
    fn touch(#[resource(ONE)] _one: &mut Told) {}

    let (sender, dropped) = mpsc::channel();
    *SENDER.lock().unwrap() = Some(sender);
    block_on(touch());
    let name = dropped.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(name.starts_with("offload-thread"), "{name}");
    assert_eq!(resource("not for long").dropped, 1);
    block_on(touch());
    assert_eq!(resource("not for long").made, 2);
}

#[test]
fn a_call_that_is_too_late_when_its_instance_is_made_does_not_start() {
    static GO: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);
    static SLOW: Resource<()> = Resource::new("slowly made", || {
        let go = GO.lock().unwrap().take();
        if let Some(go) = go {
            let _ = go.recv();
        }
        Ok(())
    });
    static STARTED: AtomicBool = AtomicBool::new(false);

    static IS_PATIENT: AtomicBool = AtomicBool::new(false);

    fn patience() -> Duration {
        if IS_PATIENT.load(Ordering::SeqCst) { PATIENCE } else { Duration::from_millis(10) }
    }

    #[offload(thread, queue_timeout = patience())]
    fn touch(#[resource(SLOW)] _slow: &mut ()) -> Result<(), Error> {
        STARTED.store(true, Ordering::SeqCst);
        Ok(())
    }

    let (go, held) = mpsc::channel();
    *GO.lock().unwrap() = Some(held);
    // On a busy machine a call may be too late for a thread.
    while GO.lock().unwrap().is_some() {
        let error = block_on(touch()).unwrap_err();
        assert_eq!((error.kind(), error.ran()), (ErrorKind::TimedOut, Ran::No));
    }
    go.send(()).unwrap();
    settle("it is there for the next", || {
        let stats = resource("slowly made");
        stats.made == 1 && stats.in_use == 0
    });
    assert!(!STARTED.load(Ordering::SeqCst));
    IS_PATIENT.store(true, Ordering::SeqCst);
    block_on(touch()).unwrap();
    assert_eq!(resource("slowly made").made, 1);
}

#[test]
fn sync_keeps_the_argument_and_methods_may_borrow() {
    static ONE: Resource<Numbered> = Resource::new("of methods", || Ok(Numbered(0)));

    #[offload(thread, sync = add_sync)]
    fn add(by: usize, #[resource(ONE)] one: &mut Numbered) -> usize {
        one.0 += by;
        one.0
    }

    #[derive(Clone)]
    struct Store {
        step: usize,
    }

    impl Store {
        #[offload(thread)]
        fn next(#[to_owned] &self, #[resource(ONE)] one: &mut Numbered) -> usize {
            one.0 += self.step;
            one.0
        }

        #[offload(cpu)]
        fn twice(self, #[resource(ONE)] one: &mut Numbered, times: usize) -> usize {
            one.0 += self.step * times;
            one.0
        }
    }

    assert_eq!(add_sync(2, &mut Numbered(5)), 7);
    block_on(async {
        assert_eq!(add(1).await, 1);
        let store = Store { step: 10 };
        assert_eq!(store.next().await, 11);
        assert_eq!(store.twice(2).await, 31);
    });
}

#[test]
fn a_function_that_borrows_is_a_handler() {
    use axum::extract::Path;

    static ONE: Resource<Numbered> = Resource::new("of a handler", || Ok(Numbered(40)));

    #[offload(thread)]
    #[axum::debug_handler]
    fn answer(Path(by): Path<usize>, #[resource(ONE)] one: &mut Numbered) -> String {
        one.0 += by;
        one.0.to_string()
    }

    #[offload(cpu)]
    #[axum::debug_handler]
    fn computed(Path(by): Path<usize>, #[resource(ONE)] one: &mut Numbered) -> String {
        (one.0 * by).to_string()
    }

    let _: axum::Router = axum::Router::new()
        .route("/{by}", axum::routing::get(answer))
        .route("/times/{by}", axum::routing::get(computed));
    assert_eq!(block_on(answer(Path(2))), "42");
    assert_eq!(block_on(computed(Path(2))), "84");
}

#[test]
fn a_body_may_start_calls_that_do_not_wait_for_it() {
    static ONE: Resource<Numbered> = Resource::new("passed on", || Ok(Numbered(0)));
    let (told, tell) = mpsc::channel();

    #[offload(thread)]
    fn add(#[resource(ONE)] one: &mut Numbered) -> usize {
        one.0 += 1;
        one.0
    }

    #[offload(thread)]
    fn start(told: mpsc::Sender<usize>, #[resource(ONE)] one: &mut Numbered) {
        one.0 = 10;
        drop(spawn_thread(move || told.send(block_on(add())).unwrap()));
    }

    block_on(start(told));
    assert_eq!(tell.recv_timeout(PATIENCE).unwrap(), 11);
    block_on(to_thread(|| ()));
}
