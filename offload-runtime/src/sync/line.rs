//! A first-in-first-out queue of waiters, from which those that were cancelled are removed now and then.
//!
//! Who gives up leaves a *shell* behind, which is thrown away when its turn comes. If none comes for long,
//! shells would add up; so whoever gives up [sweeps](Line::sweep) a few as soon as there are more of them
//! than of those that wait.
//!
//! # The protocol
//!
//! To join takes no permission. To take out, or to sweep, does: any number may take out at once, but who
//! sweeps is alone, since what it has in its hand for a moment must not be overtaken. Nobody waits for that, but who closes a pool: who
//! may not sweep does not, and who may not take out leaves that to who sweeps, and who looks
//! [once more](Semaphore::hand_out) after it. Both change the same number: if the one is barred when it leaves, what it
//! has published before is seen by the other's look.
//!
//! What waits is moved from one half of `swept` to the other, without the shells in between, and what is
//! at the back after it. When all was moved, the halves change places.
//!
//! [`Semaphore::hand_out`]: super::semaphore::Semaphore::hand_out

use super::{AtomicIsize, AtomicUsize, Ordering, SegQueue, yield_now};

/// So many shells may be there beside as many as wait.
pub(super) const SHELLS: usize = if cfg!(offload_loom) { 0 } else { 64 };

/// Waiters that one sweep looks at.
const STEPS: usize = if cfg!(offload_loom) { 2 } else { 32 };

/// Added to the count of those who take, while somebody sweeps.
const SWEEPING: isize = isize::MIN / 2;

/// See the [module](self).
pub(crate) struct Line<W> {
    /// What was taken out, and is the next again.
    returned: SegQueue<W>,
    /// Waiters that a sweep has looked at and kept.
    swept: [SegQueue<W>; 2],
    /// Which half of these comes first. Only who sweeps changes it.
    first: AtomicUsize,
    back: SegQueue<W>,
    /// How many take out, or would; with [`SWEEPING`].
    users: AtomicIsize,
}

/// The permission to take out, as long as this is there.
pub(super) struct Taking<'a, W>(&'a Line<W>);

/// Somebody sweeps.
pub(super) struct Barred<'a>(&'a AtomicIsize);

/// A guard: while it is there, this thread alone takes waiters out.
struct Sweeping<'a>(&'a AtomicIsize);

impl<W> Line<W> {
    pub(super) fn new() -> Line<W> {
        Line {
            returned: SegQueue::new(),
            swept: [SegQueue::new(), SegQueue::new()],
            first: AtomicUsize::new(0),
            back: SegQueue::new(),
            users: AtomicIsize::new(0),
        }
    }

    pub(super) fn push(&self, waiter: W) {
        self.back.push(waiter);
    }

    /// Puts one that was taken out before all others.
    pub(super) fn push_front(&self, waiter: W) {
        self.returned.push(waiter);
    }

    /// Whether there is nobody. While somebody sweeps, the last may be in its hand.
    pub(super) fn is_empty(&self) -> bool {
        self.returned.is_empty() && self.queues().iter().all(|queue| queue.is_empty())
    }

    /// All but those that were taken out before, in their order.
    fn queues(&self) -> [&SegQueue<W>; 3] {
        let first = self.first.load(Ordering::Relaxed);
        [&self.swept[first], &self.swept[1 - first], &self.back]
    }

    /// The permission to take out, unless somebody sweeps.
    pub(super) fn taking(&self) -> Result<Taking<'_, W>, Barred<'_>> {
        match self.users.fetch_add(1, Ordering::Acquire) < 0 {
            false => Ok(Taking(self)),
            true => Err(Barred(&self.users)),
        }
    }

    /// Takes out those that are meant, and waits for the permission. Permits are to be handed out once
    /// more after this.
    pub(super) fn take_if(&self, is_meant: impl Fn(&W) -> bool) -> Vec<W> {
        let _sweeping = loop {
            match Sweeping::new(&self.users) {
                Some(sweeping) => break sweeping,
                None => yield_now(),
            }
        };
        let (mut taken, mut kept) = (Vec::new(), Vec::new());
        // Those that come meanwhile came too late to be meant.
        for _ in
            0..self.returned.len() + self.queues().iter().map(|queue| queue.len()).sum::<usize>()
        {
            let Some(next) = self.pop() else { break };
            if is_meant(&next) { &mut taken } else { &mut kept }.push(next);
        }
        // To where a sweep finds them, should they be cancelled.
        let [first, ..] = self.queues();
        kept.into_iter().for_each(|next| first.push(next));
        taken
    }

    /// Only for who holds a guard: [`Taking`] or [`Sweeping`].
    fn pop(&self) -> Option<W> {
        let others = || self.queues().into_iter().find_map(SegQueue::pop);
        self.returned.pop().or_else(others)
    }

    /// Throws away some shells, if there are more than of those that wait, of which there are so many.
    /// Whether it has looked: then permits are to be handed out once more.
    #[must_use]
    pub(super) fn sweep(&self, waiting: usize, is_awaited: impl Fn(&W) -> bool) -> bool {
        let all: usize = self.queues().iter().map(|queue| queue.len()).sum();
        if all <= 2 * waiting + SHELLS {
            return false;
        }
        let Some(_sweeping) = Sweeping::new(&self.users) else { return false };
        for _ in 0..STEPS {
            let [kept, rest, back] = self.queues();
            let Some(next) = rest.pop().or_else(|| back.pop()) else {
                self.first.fetch_xor(1, Ordering::Relaxed);
                continue;
            };
            if is_awaited(&next) {
                kept.push(next);
            }
        }
        true
    }
}

impl<W> Taking<'_, W> {
    /// Takes out the waiter that has waited longest.
    pub(super) fn pop(&self) -> Option<W> {
        self.0.pop()
    }
}

impl<W> Drop for Taking<'_, W> {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::Release);
    }
}

impl Barred<'_> {
    /// Goes on. True: who sweeps sees, when it is done, what was published before this.
    pub(super) fn leave(self) -> bool {
        self.0.fetch_sub(1, Ordering::Release) < 0
    }
}

impl<'a> Sweeping<'a> {
    fn new(users: &'a AtomicIsize) -> Option<Sweeping<'a>> {
        users.compare_exchange(0, SWEEPING, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Sweeping(users))
    }
}

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        // The caller has to hand out permits next. That begins with a fence, after which it sees what a barred thread published.
        self.0.fetch_sub(SWEEPING, Ordering::Release);
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Each with its number, and whether it waits.
    type Waiter = Rc<(usize, Cell<bool>)>;

    fn all<W>(line: &Line<W>) -> usize {
        line.queues().iter().map(|queue| queue.len()).sum()
    }

    #[test]
    fn shells_do_not_add_up_and_those_that_wait_keep_their_order() {
        let line = Line::<Waiter>::new();
        let (mut waits, mut random) = (Vec::new(), 1_u64);
        for number in 0..100_000 {
            let one = Rc::new((number, Cell::new(true)));
            line.push(Rc::clone(&one));
            waits.push(one);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if waits.len() > 100 {
                let gives_up = waits.remove((random >> 33) as usize % waits.len());
                gives_up.1.set(false);
                let _ = line.sweep(waits.len(), |waiter| waiter.1.get());
                assert!(all(&line) <= 3 * 100 + SHELLS, "{} are there", all(&line));
            }
        }
        let taking = line.taking().ok().unwrap();
        let left = std::iter::from_fn(|| taking.pop()).filter(|waiter| waiter.1.get());
        assert!(left.map(|waiter| waiter.0).eq(waits.iter().map(|waiter| waiter.0)));
    }

    #[test]
    fn what_was_taken_out_and_comes_back_is_the_next() {
        let line = Line::new();
        (0..100).for_each(|number| line.push(number));
        let first = line.taking().ok().unwrap().pop().unwrap();
        // Half of what is there is shells.
        assert!(line.sweep(0, |number| number % 2 == 0));
        line.push_front(first);
        let taking = line.taking().ok().unwrap();
        assert_eq!([taking.pop(), taking.pop(), taking.pop()], [Some(0), Some(2), Some(4)]);
    }

    #[test]
    fn what_was_moved_is_taken_out_before_the_rest() {
        let line = Line::new();
        (0..10 * STEPS).for_each(|number| line.push(number));
        // All are moved once, and some of them once more: both halves have some.
        for _ in 0..12 {
            assert!(line.sweep(0, |_| true));
        }
        assert!(line.swept.iter().all(|half| !half.is_empty()));
        let taking = line.taking().ok().unwrap();
        assert!(std::iter::from_fn(|| taking.pop()).eq(0..10 * STEPS));
    }

    #[test]
    fn who_is_not_meant_stays_in_line() {
        let line = Line::new();
        (0..10).for_each(|number| line.push(number));
        line.push_front(10);
        assert!(line.take_if(|number| number % 2 == 0).into_iter().eq([10, 0, 2, 4, 6, 8]));
        assert!(!line.is_empty());
        let taking = line.taking().ok().unwrap();
        assert!(std::iter::from_fn(|| taking.pop()).eq([1, 3, 5, 7, 9]));
        assert!(line.is_empty());
    }

    #[test]
    fn who_takes_out_and_who_sweeps_exclude_each_other() {
        let line = Line::new();
        (0..100).for_each(|number| line.push(number));
        let (one, two) = (line.taking(), line.taking());
        assert!(one.is_ok() && two.is_ok());
        assert!(!line.sweep(0, |_| false));
        drop((one, two));
        assert!(line.sweep(0, |_| !line.taking().is_err_and(Barred::leave)));
        assert_eq!(all(&line), 100 - STEPS);
    }
}
