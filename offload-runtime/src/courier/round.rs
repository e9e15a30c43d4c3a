//! The list of a courier: who is to be woken, and who sees to it.
//!
//! Whoever puts a waker on the list is told whether to wake the courier. As long as the
//! list is not empty, one of these is true: the courier was woken and has not come for
//! the list; it stays, and will come again; a thread of a pool that put a waker there
//! will [`send`](Round::send) it; and the timer looks, in any case. So no waker stays there.

use std::mem;
use std::time::Instant;

use crate::sync::{Mutex, MutexGuard, lock};

/// Of so many wakers the courier is woken, though more are about to come.
const LOAD: usize = 64;

/// See the [module](self).
pub(crate) struct Round<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    list: Vec<W>,
    /// Of those on the list, some said that they come often.
    often: bool,
    /// The courier was woken, and has not come since; or it has, and comes again.
    on_its_way: bool,
    /// How often the list began.
    number: u64,
    /// The one of them that the timer saw.
    seen: u64,
    /// The courier did not come in time: until it does, nobody waits for it.
    late: bool,
    /// Its runtime has ended.
    gone: bool,
}

/// How soon a waker is to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Now. It joins a courier that is on its way.
    Now,
    /// With others, as more calls are about to end.
    Together,
    /// With others, when this thread [sends](Round::send) the courier: it will, before this time,
    /// most likely. `often`: and then more come, one after the other.
    Soon { until: Instant, often: bool },
}

/// What became of a waker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed<W> {
    /// It is on the list.
    Listed,
    /// It is, and the courier is to be woken.
    Wake,
    /// It is not, and is to be woken directly.
    Back(W),
}

/// What the timer found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<W> {
    Nothing,
    /// A list that is new: it has to look again.
    New,
    /// A list that was there at the last look, to be woken now.
    Late(Vec<W>),
}

impl<W> Round<W> {
    pub(crate) fn new() -> Round<W> {
        let state = State {
            list: Vec::new(),
            often: false,
            on_its_way: false,
            number: 0,
            seen: 0,
            late: false,
            gone: false,
        };
        Round { state: Mutex::new(state) }
    }

    /// Puts a waker on the list. `begun`: the list was empty, so the timer has
    /// to look.
    pub(crate) fn push(&self, waker: W, haste: Haste) -> (Pushed<W>, bool) {
        let mut state = self.lock();
        if state.gone || state.late || haste == Haste::Now && state.list.is_empty() {
            return (Pushed::Back(waker), false);
        }
        let begun = state.list.is_empty();
        state.number += u64::from(begun);
        state.list.push(waker);
        state.often |= matches!(haste, Haste::Soon { often: true, .. });
        let waits = matches!(haste, Haste::Soon { .. }) && state.list.len() < LOAD;
        if waits || mem::replace(&mut state.on_its_way, true) {
            return (Pushed::Listed, begun);
        }
        (Pushed::Wake, begun)
    }

    /// Whether the courier is to be woken for what is on the list.
    pub(crate) fn send(&self) -> bool {
        let mut state = self.lock();
        !state.list.is_empty() && !mem::replace(&mut state.on_its_way, true)
    }

    /// The courier comes for the list, which it gets for an empty one. It leaves, or, if it
    /// `may_stay`, comes again without being woken. It leaves in any case if it finds only
    /// such as do not come often. Returns whether it stays.
    pub(crate) fn collect(&self, list: &mut Vec<W>, may_stay: bool) -> bool {
        let mut state = self.lock();
        let stays = may_stay && (state.often || state.list.is_empty());
        state.on_its_way = stays;
        state.late = false;
        state.often = false;
        mem::swap(&mut state.list, list);
        stays
    }

    /// The timer looks.
    pub(crate) fn look(&self) -> Found<W> {
        let mut state = self.lock();
        if state.list.is_empty() {
            return Found::Nothing;
        }
        if state.seen != state.number {
            state.seen = state.number;
            return Found::New;
        }
        state.late = state.on_its_way;
        state.often = false;
        Found::Late(mem::take(&mut state.list))
    }

    /// The courier is gone for good: what is left is to be woken.
    pub(crate) fn close(&self) -> Vec<W> {
        let mut state = self.lock();
        state.gone = true;
        mem::take(&mut state.list)
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        lock(&self.state)
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn soon() -> Haste {
        Haste::Soon { until: Instant::now(), often: false }
    }

    fn often() -> Haste {
        Haste::Soon { until: Instant::now(), often: true }
    }

    #[test]
    fn of_a_burst_the_first_wakes_the_courier_and_the_others_join_it() {
        let round = Round::new();
        assert_eq!(round.push(0, Haste::Together), (Pushed::Wake, true));
        for waker in 1..1000 {
            assert_eq!(round.push(waker, Haste::Together), (Pushed::Listed, false));
        }
        assert_eq!(round.push(1000, Haste::Now), (Pushed::Listed, false));
        let mut list = Vec::new();
        round.collect(&mut list, false);
        assert!(list.into_iter().eq(0..=1000));
        assert_eq!(round.push(7, Haste::Now), (Pushed::Back(7), false));
    }

    #[test]
    fn what_has_time_waits_until_it_is_sent_or_a_load() {
        let round = Round::new();
        assert!(!round.send());
        assert_eq!(round.push(0, soon()), (Pushed::Listed, true));
        assert!(round.send());
        assert!(!round.send(), "it is on its way");
        round.collect(&mut Vec::new(), false);
        let wakes = (0..LOAD).map(|waker| round.push(waker, soon()).0);
        let wakes: Vec<_> = wakes.filter(|pushed| *pushed == Pushed::Wake).collect();
        assert_eq!(wakes.len(), 1);
        assert!(!round.send());
    }

    #[test]
    fn while_it_stays_the_courier_is_not_woken() {
        let (round, mut list) = (Round::new(), Vec::new());
        round.push(0, soon());
        assert!(round.send());
        assert!(!round.collect(&mut list, true), "bodies may take long");
        list.clear();
        round.push(1, often());
        assert!(round.send());
        assert!(round.collect(&mut list, true));
        list.clear();
        assert_eq!(round.push(2, often()), (Pushed::Listed, true));
        assert!(!round.send());
        assert_eq!(round.push(3, Haste::Together), (Pushed::Listed, false));
        assert!(round.collect(&mut list, true));
        assert_eq!(list, [2, 3]);
        list.clear();
        assert!(round.collect(&mut list, true), "nobody has come");
        assert!(!round.collect(&mut list, false));
        assert_eq!(round.push(4, Haste::Together), (Pushed::Wake, true));
    }

    #[test]
    fn the_timer_wakes_a_list_that_it_sees_twice() {
        let round = Round::new();
        assert_eq!(round.look(), Found::Nothing);
        round.push(0, soon());
        assert_eq!(round.look(), Found::New);
        assert_eq!(round.look(), Found::Late(vec![0]));
        assert_eq!(round.look(), Found::Nothing);
        // It was not the courier who was late.
        assert_eq!(round.push(1, Haste::Together), (Pushed::Wake, true));
        assert_eq!(round.look(), Found::New);
        round.collect(&mut Vec::new(), false);
        round.push(2, Haste::Together);
        assert_eq!(round.look(), Found::New, "it is another list");
        assert_eq!(round.look(), Found::Late(vec![2]));
        // Now it was.
        assert_eq!(round.push(3, Haste::Together), (Pushed::Back(3), false));
        round.collect(&mut Vec::new(), false);
        assert_eq!(round.push(4, Haste::Together), (Pushed::Wake, true));
    }

    #[test]
    fn a_runtime_that_ends_leaves_nobody_on_the_list() {
        let round = Round::new();
        round.push(0, Haste::Together);
        assert_eq!(round.close(), [0]);
        assert_eq!(round.push(1, Haste::Together), (Pushed::Back(1), false));
    }
}

/// Every order of a few threads' steps: nobody stays on the list, and nobody
/// is woken twice.
#[cfg(all(test, offload_loom))]
mod models {
    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    use super::*;

    fn soon() -> Haste {
        Haste::Soon { until: Instant::now(), often: true }
    }

    /// A courier, and how often each of the wakers was woken.
    struct Model {
        round: Round<usize>,
        is_woken: Mutex<bool>,
        wake: Condvar,
        woken: [AtomicUsize; 3],
    }

    impl Model {
        fn new() -> Arc<Model> {
            Arc::new(Model {
                round: Round::new(),
                is_woken: Mutex::new(false),
                wake: Condvar::new(),
                woken: Default::default(),
            })
        }

        fn wake(&self, waker: usize) {
            self.woken[waker].fetch_add(1, Ordering::Relaxed);
        }

        fn wake_courier(&self) {
            *self.is_woken.lock().unwrap() = true;
            self.wake.notify_one();
        }

        fn push(&self, waker: usize, haste: Haste) {
            match self.round.push(waker, haste).0 {
                Pushed::Listed => {}
                Pushed::Wake => self.wake_courier(),
                Pushed::Back(waker) => self.wake(waker),
            }
        }

        fn send(&self) {
            if self.round.send() {
                self.wake_courier();
            }
        }

        /// Until all of so many are woken. One that is forgotten is a deadlock. It looks
        /// once more where it stays.
        fn courier(&self, wakers: usize, stays: bool) {
            let woken = || self.woken.iter().map(|one| one.load(Ordering::Relaxed)).sum::<usize>();
            while woken() < wakers {
                let mut is_woken = self.is_woken.lock().unwrap();
                while !*is_woken {
                    is_woken = self.wake.wait(is_woken).unwrap();
                }
                *is_woken = false;
                drop(is_woken);
                let mut may_stay = stays;
                loop {
                    let mut list = Vec::new();
                    let stays = self.round.collect(&mut list, may_stay);
                    may_stay = stays && !list.is_empty();
                    list.into_iter().for_each(|waker| self.wake(waker));
                    if !stays {
                        break;
                    }
                }
            }
        }

        fn assert_each_was_woken_once(&self, wakers: usize) {
            for one in &self.woken[..wakers] {
                assert_eq!(one.load(Ordering::Relaxed), 1);
            }
        }
    }

    #[test]
    fn what_threads_put_there_is_woken_by_the_courier() {
        threads_and_courier(false);
    }

    #[test]
    fn what_threads_put_there_is_woken_by_a_courier_that_stays() {
        threads_and_courier(true);
    }

    fn threads_and_courier(stays: bool) {
        loom::model(move || {
            let model = Model::new();
            let theirs = Arc::clone(&model);
            let soon = thread::spawn(move || {
                theirs.push(0, soon());
                theirs.send();
            });
            let theirs = Arc::clone(&model);
            let together = thread::spawn(move || theirs.push(1, Haste::Together));
            model.courier(2, stays);
            soon.join().unwrap();
            together.join().unwrap();
            model.assert_each_was_woken_once(2);
        });
    }

    /// Nobody comes for the list but the timer.
    #[test]
    fn what_no_courier_brings_the_timer_wakes() {
        loom::model(|| {
            let model = Model::new();
            let theirs = Arc::clone(&model);
            let pool = thread::spawn(move || {
                theirs.push(0, Haste::Together);
                theirs.push(1, soon());
            });
            let look = |model: &Model| match model.round.look() {
                Found::Late(list) => list.into_iter().for_each(|waker| model.wake(waker)),
                Found::New | Found::Nothing => {}
            };
            look(&model);
            look(&model);
            pool.join().unwrap();
            look(&model);
            look(&model);
            model.assert_each_was_woken_once(2);
        });
    }

    #[test]
    fn a_runtime_that_ends_meanwhile_leaves_nobody() {
        loom::model(|| {
            let model = Model::new();
            let theirs = Arc::clone(&model);
            let pool = thread::spawn(move || {
                theirs.push(0, soon());
                theirs.push(1, Haste::Together);
                theirs.send();
            });
            let theirs = Arc::clone(&model);
            let timer = thread::spawn(move || {
                if let Found::Late(list) = theirs.round.look() {
                    list.into_iter().for_each(|waker| theirs.wake(waker));
                }
            });
            model.round.close().into_iter().for_each(|waker| model.wake(waker));
            pool.join().unwrap();
            timer.join().unwrap();
            model.assert_each_was_woken_once(2);
        });
    }
}
