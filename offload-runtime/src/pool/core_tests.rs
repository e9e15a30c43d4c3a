//! What the [protocol](super) decides, step by step.

use super::super::state::LOST;
use super::*;

/// A call whose body is likely to end in no time.
struct Quick(Instant);

impl Queued for Quick {
    fn is_rationed(&self) -> bool {
        false
    }

    fn admit(self) -> Option<Quick> {
        Some(self)
    }

    fn place(&self, _: Ticket) {}

    fn since(&self) -> Instant {
        self.0
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn is_inner(&self) -> bool {
        false
    }
}

/// A pool with one thread, which runs a call as it ran many before, and another call that
/// waits for it; what is to be done for that one.
fn pool() -> (Core<Quick>, Instant, Next) {
    let rules = Rules { max: 3, base: 3, keep_alive: None, searches: false, parallel: true };
    let now = Instant::now();
    let core = Core::new(rules, now);
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Start)));
    assert!(matches!(arrive(&core, now), Task::Run(_, Next::Nothing)));
    (0..100).for_each(|_| lock(&core.state).quick.ran(0, Duration::from_nanos(1)));
    let next = core.submit(Quick(now), usize::MAX).ok().unwrap();
    (core, now, next)
}

/// A new thread comes for its first call.
fn arrive(core: &Core<Quick>, now: Instant) -> Task<Quick> {
    core.next(core.sit(Arc::new(Seat::new())), From::Start, now)
}

#[test]
fn a_thread_in_a_quick_body_takes_the_next_call_too() {
    let (core, now, next) = pool();
    assert!(matches!(next, Next::Watch(Watch::Quick, QUICK_STUCK)));
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Nothing)));
    assert!(matches!(core.next(0, From::Body(Duration::ZERO), now), Task::Run(..)));
}

/// It may have been stopped by the callers that it woke; as long as these make calls, nobody
/// has to wait for the watch.
#[test]
fn calls_behind_a_quick_body_whose_thread_lost_its_core_get_another() {
    let (core, now, _) = pool();
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Nothing)));
    let later = now + LOST;
    assert!(matches!(core.next(0, From::Body(LOST), later), Task::Run(..)));
    assert!(matches!(core.submit(Quick(later), usize::MAX), Ok(Next::Nothing)), "it did not");
    assert!(matches!(core.submit(Quick(later), usize::MAX), Ok(Next::Nothing)));
    let later = later + LOST;
    assert!(matches!(core.submit(Quick(later), usize::MAX), Ok(Next::Start)));
    assert!(matches!(core.submit(Quick(later), usize::MAX), Ok(Next::Nothing)), "one comes");
}

/// Another thread may take calls all the while, so the pool is not stuck.
#[test]
fn a_call_that_waits_for_a_body_that_only_seemed_quick_gets_a_thread_and_so_do_those_behind() {
    let (core, now, _) = pool();
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Nothing)));
    let late = now + QUICK_STUCK;
    lock(&core.state).moved = late;
    assert!(matches!(core.look(Watch::Quick, late), Next::Start));
    assert!(matches!(arrive(&core, late), Task::Run(_, Next::Start)));
    assert!(matches!(arrive(&core, late), Task::Run(_, Next::Nothing)));
    // The queue was found empty: they are believed to be quick again.
    assert!(matches!(core.next(1, From::Body(Duration::ZERO), late), Task::Idle));
    let quick = &mut lock(&core.state).quick;
    quick.set(0, true);
    assert!(quick.is(0));
}

/// Else calls would be refused for others that wait, while threads are idle.
#[test]
fn where_calls_that_wait_are_bounded_no_body_counts_as_quick() {
    let (core, now, _) = pool();
    assert_eq!(core.waiting(), None);
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Start)));
}

/// Every thread is at work, so a call would need none to be called.
#[test]
fn a_closed_pool_refuses_calls_also_if_it_has_no_idle_thread() {
    let now = Instant::now();
    let rules = Rules { max: 1, base: 1, keep_alive: None, searches: false, parallel: true };
    let core = Core::new(rules, now);
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Start)));
    assert!(matches!(arrive(&core, now), Task::Run(..)));
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Nothing)));
    assert!(core.close().is_empty());
    assert!(matches!(core.submit(Quick(now), usize::MAX), Err(Refused::Closed(_))));
    // What was accepted runs.
    assert!(matches!(core.next(0, From::Body(Duration::ZERO), now), Task::Run(..)));
    assert!(matches!(core.next(0, From::Body(Duration::ZERO), now), Task::Exit));
}

/// It counted as coming when the call was made, so nobody was called.
#[cfg(feature = "rayon")]
#[test]
fn a_thread_that_does_not_come_after_all_is_replaced_by_one_that_went_idle() {
    let now = Instant::now();
    let rules = Rules { max: 2, base: 2, keep_alive: None, searches: false, parallel: true };
    let core = Core::new(rules, now);
    // So no body counts as quick.
    assert_eq!(core.waiting(), None);
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Start)));
    assert!(matches!(arrive(&core, now), Task::Run(..)));
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Start)));
    assert!(matches!(core.next(0, From::Body(Duration::ZERO), now), Task::Run(..)));
    assert!(matches!(core.next(0, From::Body(Duration::ZERO), now), Task::Idle));
    assert!(matches!(core.submit(Quick(now), usize::MAX), Ok(Next::Nothing)));
    assert!(matches!(core.give_up_start(), Next::Call(_)));
}

/// Nobody who makes a call is to wait until all of them are moved.
#[test]
fn the_inbox_takes_no_more_than_can_be_moved_at_once() {
    let now = Instant::now();
    let rules = Rules { max: 1, base: 1, keep_alive: None, searches: false, parallel: true };
    let core = Core::new(rules, now);
    for _ in 0..10_000 {
        assert!(core.submit(Quick(now), usize::MAX).is_ok());
    }
    assert!(lock(&core.state).calls.queued() > 8000);
    assert_eq!(core.snapshot().queued, 10_000);
}
