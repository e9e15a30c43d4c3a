//! Every order of the steps of both sides.

use std::task::{Wake, Waker};

use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::sync::ring::Ring;
use crate::sync::{AtomicWaker, Mutex, lock};

/// A task that is woken.
struct Sleeper {
    is_woken: Mutex<bool>,
    woken: loom::sync::Condvar,
}

impl Sleeper {
    fn new() -> std::sync::Arc<Sleeper> {
        let (is_woken, woken) = (Mutex::new(false), loom::sync::Condvar::new());
        std::sync::Arc::new(Sleeper { is_woken, woken })
    }

    fn sleep(&self) {
        let mut is_woken = lock(&self.is_woken);
        while !*is_woken {
            is_woken = self.woken.wait(is_woken).unwrap();
        }
    }
}

impl Wake for Sleeper {
    fn wake(self: std::sync::Arc<Self>) {
        *lock(&self.is_woken) = true;
        self.woken.notify_one();
    }
}

struct Call {
    state: State,
    waker: AtomicWaker,
    /// What the state says who may see: a lock does not order it.
    content: AtomicU8,
}

const BODY: u8 = 1;
const RESULT: u8 = 2;

impl Call {
    fn has(&self, content: u8) -> bool {
        self.content.load(Ordering::Relaxed) == content
    }
}

fn call(waker: &std::sync::Arc<Sleeper>) -> Arc<Call> {
    let call =
        Call { state: State::new(), waker: AtomicWaker::new(), content: AtomicU8::new(BODY) };
    call.waker.register(&Waker::from(std::sync::Arc::clone(waker)));
    Arc::new(call)
}

/// What the thread does: it runs the body, and ends the call. Whether the result was left to
/// the caller; `None`: it was cancelled before.
fn run(call: &Call) -> Option<bool> {
    if !call.state.begin() {
        return None;
    }
    assert!(call.has(BODY));
    call.content.store(RESULT, Ordering::Relaxed);
    let is_theirs = call.state.finish();
    if is_theirs {
        if let Some(waker) = call.waker.take() {
            waker.wake();
        }
    }
    Some(is_theirs)
}

/// A wake-up that is lost is a deadlock here.
#[test]
fn who_waits_is_woken_by_the_waker_that_it_showed_last() {
    loom::model(|| {
        let (first, last) = (Sleeper::new(), Sleeper::new());
        let call = call(&first);
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || assert_eq!(run(&theirs), Some(true)));
        if !call.state.is_done() {
            call.waker.register(&Waker::from(std::sync::Arc::clone(&last)));
            // Once more: whoever ends it takes the waker after it has said so.
            if !call.state.is_done() {
                last.sleep();
            }
        }
        assert!(call.state.is_done() && call.has(RESULT));
        thread.join().unwrap();
    });
}

#[test]
fn body_and_result_of_a_cancelled_call_have_exactly_one_owner() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || run(&theirs));
        let phase = call.state.cancel();
        assert!(call.has(RESULT) || phase != Phase::Done);
        match thread.join().unwrap() {
            // The shell is met: the body is the caller's.
            None => assert_eq!(phase, Phase::Queued),
            Some(true) => assert_eq!(phase, Phase::Done),
            Some(false) => assert!(matches!(phase, Phase::Queued | Phase::Running)),
        }
        assert!(phase != Phase::Queued || !call.state.begin());
    });
}

#[test]
fn the_result_of_a_detached_call_has_exactly_one_owner() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || run(&theirs).expect("it runs all the same"));
        let is_ours = call.state.detach() == Phase::Done;
        assert!(call.has(RESULT) || !is_ours);
        assert_ne!(is_ours, !thread.join().unwrap());
    });
}

/// A deadline for the start: it either keeps the body from running, or changes nothing.
#[test]
fn a_call_that_is_too_late_to_start_has_started_or_never_does() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || run(&theirs));
        let is_late = call.state.cancel_unstarted().is_some();
        assert_eq!(thread.join().unwrap(), (!is_late).then_some(true));
    });
}

/// What `cancel` of a started call does. `None`: it has started, and is told.
fn cancel_or_tell(call: &Call) -> Option<Phase> {
    let phase = call.state.cancel_unstarted();
    if phase.is_none() {
        call.state.tell_to_stop();
    }
    phase
}

/// A started call that is cancelled, and awaited all the same: either it never starts, or its body is told and
/// its result comes to the one who awaits it, who is woken.
#[test]
fn a_started_call_that_is_cancelled_never_starts_or_gives_its_result() {
    loom::model(|| {
        let waker = Sleeper::new();
        let call = call(&waker);
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || run(&theirs));
        match cancel_or_tell(&call) {
            Some(phase) => {
                assert_eq!(phase, Phase::Queued);
                assert!(call.has(BODY) && call.state.is_cancelled_unstarted());
                assert_eq!(thread.join().unwrap(), None);
            }
            None => {
                assert!(call.state.is_cancelled());
                if !call.state.is_done() {
                    waker.sleep();
                }
                assert!(call.state.is_over() && call.has(RESULT));
                assert_eq!(thread.join().unwrap(), Some(true), "the result is the handle's");
            }
        }
    });
}

/// The body that looks: it is told, or it had ended before the handle was cancelled.
#[test]
fn a_body_that_waits_until_it_is_told_ends() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || {
            if !theirs.state.begin() {
                return false;
            }
            while !theirs.state.is_cancelled() {
                thread::yield_now();
            }
            theirs.content.store(RESULT, Ordering::Relaxed);
            assert!(theirs.state.finish(), "to be told is not to be let go");
            true
        });
        let is_kept = cancel_or_tell(&call).is_some();
        assert_ne!(thread.join().unwrap(), is_kept);
        assert!(is_kept || call.has(RESULT));
    });
}

/// As between who sets a flag and who asks for it.
#[test]
fn a_body_that_is_told_sees_what_was_done_before() {
    for is_dropped in [false, true] {
        loom::model(move || {
            let call = call(&Sleeper::new());
            let theirs = Arc::clone(&call);
            assert!(call.state.begin());
            let thread = thread::spawn(move || {
                if theirs.state.is_cancelled() {
                    assert!(theirs.has(RESULT));
                }
            });
            call.content.store(RESULT, Ordering::Relaxed);
            match is_dropped {
                true => assert_eq!(call.state.cancel(), Phase::Running),
                false => call.state.tell_to_stop(),
            }
            thread.join().unwrap();
        });
    }
}

/// A handle that is cancelled, and dropped while the body ends: the result has one owner.
#[test]
fn the_result_of_a_call_that_was_told_and_let_go_has_exactly_one_owner() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || run(&theirs));
        let is_kept = cancel_or_tell(&call).is_some();
        let phase = call.state.detach();
        match thread.join().unwrap() {
            None => assert!(is_kept && phase == Phase::Queued),
            Some(is_ours) => {
                assert!(!is_kept);
                assert_eq!(is_ours, phase == Phase::Done);
                assert!(!is_ours || call.has(RESULT));
            }
        }
    });
}

/// Two threads have the call in their hands: a shell stays behind where it was run elsewhere.
#[test]
fn a_call_is_begun_once() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || theirs.state.begin());
        let mine = call.state.begin();
        assert_ne!(mine, thread.join().unwrap());
    });
}

#[test]
fn a_call_that_is_cancelled_on_its_way_to_wait_or_back_is_seen_so_by_one_side() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || {
            if !theirs.state.set_waiting() {
                return (false, false);
            }
            (true, theirs.state.requeue() && theirs.state.begin())
        });
        let phase = call.state.cancel();
        let (waited, began) = thread.join().unwrap();
        match phase {
            // Cancelled before it waited, or after it was queued again.
            Phase::Queued => assert!(!began),
            Phase::Waiting => assert!(waited && !began),
            Phase::Running => assert!(began),
            Phase::Suspended | Phase::Done => unreachable!("nobody ended it"),
        }
    });
}

/// A caller that gives up and a deadline for the start: one of them takes the body.
#[test]
fn a_call_is_cancelled_before_its_start_once() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || theirs.state.cancel_unstarted().is_some());
        let mine = call.state.cancel_unstarted().is_some();
        assert_ne!(mine, thread.join().unwrap());
    });
}

/// A body that is started is put there by one thread, and taken by another.
#[test]
fn who_takes_a_call_back_from_the_line_has_its_body() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        // Not the other way round: of two threads that both read the word first, loom lets the one that was there first
        // have it first, always.
        let thread = thread::spawn(move || {
            if theirs.state.requeue() {
                assert!(theirs.has(RESULT));
            }
        });
        call.content.store(RESULT, Ordering::Relaxed);
        assert!(call.state.set_waiting());
        thread.join().unwrap();
    });
}

/// As does who cancels it while it waits there, for good or for its deadline.
#[test]
fn who_cancels_a_call_that_waits_has_its_body() {
    for is_late in [false, true] {
        loom::model(move || {
            let call = call(&Sleeper::new());
            let theirs = Arc::clone(&call);
            let thread = thread::spawn(move || {
                theirs.content.store(RESULT, Ordering::Relaxed);
                let _ = theirs.state.set_waiting();
            });
            let phase = match is_late {
                true => call.state.cancel_unstarted(),
                false => Some(call.state.cancel()),
            };
            assert!(phase != Some(Phase::Waiting) || call.has(RESULT));
            thread.join().unwrap();
        });
    }
}

/// Who takes the only item sees that the call is suspended, or its thread sees the room: else the
/// rest of the stream never comes.
#[test]
fn a_part_of_a_stream_is_resumed_by_one_of_both_sides() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let ring = Arc::new(Ring::new(1));
        let (theirs, full) = (Arc::clone(&call), Arc::clone(&ring));
        let thread = thread::spawn(move || {
            assert!(theirs.state.begin() && theirs.has(BODY));
            assert!(full.push(0).is_ok());
            theirs.content.store(RESULT, Ordering::Relaxed);
            assert!(theirs.state.suspend());
            full.is_half_free() && theirs.state.reclaim()
        });
        let mut is_ours = false;
        if ring.pop().is_some() && ring.is_half_free() {
            is_ours = call.state.resume();
            assert!(!is_ours || call.has(RESULT));
        }
        let is_theirs = thread.join().unwrap();
        assert!(!(is_ours && is_theirs));
        // What was taken makes room for the next part.
        assert!(!ring.is_empty() || is_ours || is_theirs);
    });
}

/// The rest of a stream that is dropped while its thread claims it back.
#[test]
fn the_rest_of_a_stream_that_is_claimed_back_has_exactly_one_owner() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        assert!(call.state.begin());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || !theirs.state.suspend() || theirs.state.reclaim());
        let is_ours = call.state.cancel() == Phase::Suspended;
        assert_ne!(is_ours, thread.join().unwrap());
    });
}

/// One that is let go, and not cancelled: nobody would resume it.
#[test]
fn the_rest_of_a_stream_that_is_let_go_has_exactly_one_owner() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        assert!(call.state.begin());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || !theirs.state.suspend());
        let phase = call.state.detach();
        let is_theirs = thread.join().unwrap();
        assert_eq!(phase, if is_theirs { Phase::Running } else { Phase::Suspended });
    });
}

/// One step after the other: its next part is queued.
#[test]
fn a_call_that_has_begun_is_not_too_late_to_start() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        assert!(call.state.begin() && call.state.suspend() && call.state.resume());
        assert!(call.state.has_begun() && call.state.is_queued());
        assert_eq!(call.state.cancel_unstarted(), None, "it has started");
        assert!(call.state.begin());
    });
}

#[test]
fn a_call_that_has_begun_and_is_cancelled_in_the_queue_was_not_cancelled_before_its_start() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        assert!(call.state.begin() && call.state.suspend() && call.state.resume());
        assert_eq!(call.state.cancel(), Phase::Queued);
        assert!(!call.state.is_cancelled_unstarted() && !call.state.begin());
    });
}

#[test]
fn a_call_that_is_claimed_back_runs() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        assert!(call.state.begin() && call.state.suspend() && call.state.reclaim());
        assert!(!call.state.is_queued() && call.state.has_begun());
        assert_eq!(call.state.cancel(), Phase::Running);
    });
}

/// The rest of a stream that is dropped while its part ends.
#[test]
fn the_rest_of_a_cancelled_stream_has_exactly_one_owner() {
    loom::model(|| {
        let call = call(&Sleeper::new());
        let theirs = Arc::clone(&call);
        let thread = thread::spawn(move || {
            if !theirs.state.begin() {
                return false;
            }
            theirs.content.store(RESULT, Ordering::Relaxed);
            !theirs.state.suspend()
        });
        let phase = call.state.cancel();
        let is_theirs = thread.join().unwrap();
        match phase {
            Phase::Queued => assert!(!is_theirs && call.has(BODY)),
            Phase::Running => assert!(is_theirs),
            Phase::Suspended => assert!(!is_theirs && call.has(RESULT)),
            Phase::Waiting | Phase::Done => unreachable!("nobody ended it"),
        }
    });
}
