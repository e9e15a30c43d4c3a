//! Of shells that are swept out of the line while permits are handed out.

use std::cell::Cell;

use super::*;

/// A line in which these wait, with a cancelled call before each of them and one that is about to be
/// cancelled behind them: then there are more shells than calls that wait.
fn line<const N: usize>(
    semaphore: &'static Semaphore<Arc<Call>>,
    ready: &Arc<Queue<Arc<Call>>>,
) -> ([Arc<Call>; N], Arc<Call>) {
    let calls = std::array::from_fn(|_| {
        let (before, call) = (Call::new(ready), Call::new(ready));
        assert!(!meet(semaphore, Arc::clone(&before)) && !meet(semaphore, Arc::clone(&call)));
        before.cancel(semaphore);
        call
    });
    let last = Call::new(ready);
    assert!(!meet(semaphore, Arc::clone(&last)));
    (calls, last)
}

#[test]
fn calls_keep_their_places_while_shells_between_them_are_swept() {
    check(3, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let permit = held(semaphore);
        let ([first, second], last) = line(semaphore, &ready);
        let releases = thread::spawn(move || drop(permit));
        last.cancel(semaphore);
        releases.join().unwrap();
        let next = ready.pop().expect("there is a permit for the first");
        assert!(Arc::ptr_eq(&next, &first), "it was overtaken");
        assert!(meet(semaphore, next));
        assert_eq!(meet_ready(semaphore, &ready), 1);
        assert!(second.state.is_done());
        assert_all_given_back(semaphore);
    });
}

/// The call that comes finds the line empty, or the only one in the hand of who sweeps.
#[test]
fn a_call_that_joins_while_shells_are_swept_does_not_overtake_and_is_not_forgotten() {
    check(2, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let permit = held(semaphore);
        let ([waits], last) = line(semaphore, &ready);
        let joins = Call::new(&ready);
        let releases = thread::spawn(move || drop(permit));
        let theirs = thread::spawn({
            let joins = Arc::clone(&joins);
            move || usize::from(meet(semaphore, joins))
        });
        last.cancel(semaphore);
        releases.join().unwrap();
        assert_eq!(theirs.join().unwrap(), 0, "it has overtaken the one that waits");
        assert_eq!(meet_ready(semaphore, &ready), 2);
        assert!(waits.state.is_done() && joins.state.is_done());
        assert_all_given_back(semaphore);
    });
}

/// Nobody waits any more but the one that comes.
#[test]
fn a_call_that_joins_as_the_last_shell_is_swept_is_not_forgotten() {
    check(2, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let permit = held(semaphore);
        let ([], last) = line(semaphore, &ready);
        let joins = Call::new(&ready);
        let releases = thread::spawn(move || drop(permit));
        let theirs = thread::spawn(move || usize::from(meet(semaphore, joins)));
        last.cancel(semaphore);
        releases.join().unwrap();
        let ran = theirs.join().unwrap();
        assert_eq!(ran + meet_ready(semaphore, &ready), 1);
        assert_all_given_back(semaphore);
    });
}

/// At a shutdown all that wait are taken out.
#[test]
fn a_call_in_the_hand_of_who_sweeps_is_taken_out_at_the_end() {
    check(3, || {
        let (semaphore, ready) = (semaphore(1), Arc::new(Queue::new()));
        let permit = held(semaphore);
        let ([waits], last) = line(semaphore, &ready);
        let sweeps = thread::spawn(move || last.cancel(semaphore));
        let mut ended = 0;
        for call in semaphore.take_if(|_| true) {
            if call.state.requeue() {
                semaphore.leave();
                ended += usize::from(call.state.begin());
            }
        }
        sweeps.join().unwrap();
        drop(permit);
        assert!(ended >= 1 && !waits.state.is_unstarted());
        assert_eq!(meet_ready(semaphore, &ready), 0);
        assert_all_given_back(semaphore);
    });
}

/// As behind a lock, which that of a queue is not: what takes an item out is over, and what comes after it is not.
#[test]
fn who_sweeps_sees_what_was_done_before_the_permission_was_given_back() {
    loom::model(|| {
        let line: &'static Line<u8> = Box::leak(Box::new(Line::new()));
        [1, 2].into_iter().for_each(|number| line.push(number));
        let is_done = Arc::new(AtomicBool::new(false));
        let takes = thread::spawn({
            let is_done = Arc::clone(&is_done);
            move || {
                let Ok(taking) = line.taking() else { return };
                let taken = taking.pop();
                is_done.store(true, Ordering::Relaxed);
                drop((taking, taken));
            }
        });
        let is_first_there = Cell::new(false);
        let _ = line.sweep(0, |number| {
            is_first_there.set(is_first_there.get() || *number == 1);
            assert!(is_first_there.get() || is_done.load(Ordering::Relaxed), "not seen");
            true
        });
        takes.join().unwrap();
    });
}
