//! Of what is reserved for a call that is cancelled, or robbed of it.

use super::*;

/// The shell of a cancelled call is first in the line.
#[test]
fn a_call_that_joins_the_line_behind_a_shell_is_not_forgotten() {
    check(3, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let (shell, second) = (Call::new(&ready), Call::new(&ready));
        let permit = held(semaphore);
        assert!(!meet(semaphore, Arc::clone(&shell)));
        // Nobody sweeps it out.
        assert_eq!(shell.state.cancel(), Phase::Waiting);
        semaphore.leave();
        let releases = thread::spawn(move || drop(permit));
        let mut ran = usize::from(meet(semaphore, second));
        releases.join().unwrap();
        ran += meet_ready(semaphore, &ready);
        assert_eq!(ran, 1);
        assert_all_given_back(semaphore);
    });
}

/// A call that blocks a body takes the reservation of one that is cancelled just then.
#[test]
fn a_reservation_is_given_up_or_taken_and_not_both() {
    loom::model(|| {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let (waits, blocks) = (Call::new(&ready), Call::new(&ready));
        let permit = held(semaphore);
        assert!(!meet(semaphore, Arc::clone(&waits)));
        drop(permit);
        let cancels = thread::spawn(move || waits.cancel(semaphore));
        let mut ran = 0;
        match semaphore.acquire_blocking(blocks, false) {
            Acquired::Permit(_, permit) => {
                cancels.join().unwrap();
                assert_eq!(semaphore.in_use(), 1);
                drop(permit);
                ran += 1;
            }
            // The reservation is on its way back.
            Acquired::Waits => cancels.join().unwrap(),
            _ => unreachable!("it is awaited, and holds nothing"),
        }
        ran += meet_ready(semaphore, &ready);
        assert_eq!(ran, 1);
        assert_all_given_back(semaphore);
    });
}

/// Who hands out reserves the permit for a call that was cancelled meanwhile. If one that blocks a body has taken that, it
/// is not there to be given back.
#[test]
fn the_reservation_of_a_shell_is_taken_or_given_back_and_not_both() {
    check(3, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let (waits, blocks) = (Call::new(&ready), Call::new(&ready));
        let permit = held(semaphore);
        assert!(!meet(semaphore, Arc::clone(&waits)));
        assert_eq!(waits.state.cancel(), Phase::Waiting);
        let mut ran = ask_as_it_is_given_back(semaphore, blocks, permit);
        semaphore.leave_shell();
        ran += meet_ready(semaphore, &ready);
        assert_eq!(ran, 1);
        assert_all_given_back(semaphore);
    });
}

/// Who hands a permit on has nothing of what the body did that gave it back, but what it has seen of that.
#[test]
fn what_a_body_did_is_seen_through_who_hands_its_permit_on() {
    check(2, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let (waits, blocks) = (Call::new(&ready), Call::new(&ready));
        let permit = held(semaphore);
        assert!(!meet(semaphore, waits));
        let [has_run, is_handed_on] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let releases = thread::spawn({
            let has_run = Arc::clone(&has_run);
            move || {
                has_run.store(true, Ordering::Relaxed);
                drop(permit);
            }
        });
        let asks = thread::spawn({
            let is_handed_on = Arc::clone(&is_handed_on);
            move || {
                if !is_handed_on.load(Ordering::Relaxed) {
                    return;
                }
                if let Acquired::Permit(..) = semaphore.acquire_blocking(blocks, false) {
                    assert!(has_run.load(Ordering::Relaxed), "not seen");
                }
            }
        });
        semaphore.hand_out();
        is_handed_on.store(true, Ordering::Relaxed);
        releases.join().unwrap();
        asks.join().unwrap();
        meet_ready(semaphore, &ready);
        assert_all_given_back(semaphore);
    });
}

/// By the side that cancels, or by the thread that meets the call.
#[test]
fn a_reservation_is_taken_by_one_of_both_sides() {
    loom::model(|| {
        let reservation = Arc::new(Reservation::new());
        reservation.set();
        let theirs = Arc::clone(&reservation);
        let thread = thread::spawn(move || theirs.take());
        assert_ne!(reservation.take(), thread.join().unwrap());
    });
}
