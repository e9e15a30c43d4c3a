//! The calls a pool knows of: those that wait, in order, and those that run.
//!
//! A call keeps one slot from when it is queued until its body has ended, and
//! its [`Ticket`] names that slot. So a call can be taken out of the middle of
//! the queue, or the thread that runs it be found, in constant time, and a
//! cancelled call leaves nothing behind in the queue.

/// Names one call of one pool, from its queueing to its end. A slot is used
/// again, a ticket is not: it carries how often its slot had been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    slot: u32,
    generation: u32,
}

impl Ticket {
    /// As one word, for an atomic; never 0.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The reverse of [`to_bits`](Self::to_bits); 0 is no ticket.
    pub(crate) fn from_bits(bits: u64) -> Option<Ticket> {
        let ticket = Ticket { slot: bits as u32, generation: (bits >> 32) as u32 };
        (ticket.generation != 0).then_some(ticket)
    }
}

/// Ends a linked list.
const NONE: u32 = u32::MAX;

/// An empty queue gives back the memory of a burst beyond so many slots.
const KEEP_SLOTS: usize = 1024;

enum Entry<J> {
    /// Waits, between its neighbours in the queue.
    Queued { job: J, before: u32, after: u32 },
    /// Runs, on the thread in this seat.
    Running { seat: usize },
    /// In the list of free slots.
    Free { next: u32 },
}

struct Slot<J> {
    generation: u32,
    entry: Entry<J>,
}

/// What became of a call that was to be cancelled.
pub(crate) enum Found<J> {
    /// It had not started and is out of the queue now.
    Queued(J),
    /// Its body runs, on the thread in this seat.
    Running(usize),
    /// It has ended.
    Gone,
}

/// See the [module](self).
pub(crate) struct Calls<J> {
    slots: Vec<Slot<J>>,
    free: u32,
    first: u32,
    last: u32,
    queued: usize,
    running: usize,
    /// Of the slots that [`KEEP_SLOTS`] gave back: what is new starts above it.
    generations: u32,
}

impl<J> Calls<J> {
    pub(crate) fn new() -> Calls<J> {
        Calls {
            slots: Vec::new(),
            free: NONE,
            first: NONE,
            last: NONE,
            queued: 0,
            running: 0,
            generations: 1,
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// The call that waits longest.
    pub(crate) fn oldest(&self) -> Option<&J> {
        match &self.slots.get(self.first as usize)?.entry {
            Entry::Queued { job, .. } => Some(job),
            _ => unreachable!("the queue holds queued calls"),
        }
    }

    /// Adds a call at the end of the queue; `job` is made from its ticket.
    pub(crate) fn push(&mut self, job: impl FnOnce(Ticket) -> J) -> Ticket {
        self.insert(job, self.last, NONE)
    }

    /// Adds a call that has waited before at the front of the queue.
    pub(crate) fn push_front(&mut self, job: impl FnOnce(Ticket) -> J) -> Ticket {
        self.insert(job, NONE, self.first)
    }

    fn insert(&mut self, job: impl FnOnce(Ticket) -> J, before: u32, after: u32) -> Ticket {
        let slot = self.allocate();
        let ticket = Ticket { slot, generation: self.slots[slot as usize].generation };
        self.slots[slot as usize].entry = Entry::Queued { job: job(ticket), before, after };
        self.set_after(before, slot);
        self.set_before(after, slot);
        self.queued += 1;
        ticket
    }

    /// Takes the first call from the queue: it runs, in `seat`.
    pub(crate) fn start(&mut self, seat: usize) -> Option<(Ticket, J)> {
        let slot = self.first;
        let generation = self.slots.get(slot as usize)?.generation;
        let job = self.unlink(slot, Entry::Running { seat });
        self.running += 1;
        Some((Ticket { slot, generation }, job))
    }

    /// Takes the first call from the queue, and forgets it.
    pub(crate) fn take(&mut self) -> Option<J> {
        let (ticket, job) = self.start(0)?;
        self.end(ticket);
        Some(job)
    }

    /// Takes a call out of the queue if it waits there.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Option<J> {
        match self.cancel(ticket) {
            Found::Queued(job) => Some(job),
            Found::Running(_) | Found::Gone => None,
        }
    }

    /// The body of a call that [`start`](Self::start) gave out has ended.
    pub(crate) fn end(&mut self, ticket: Ticket) {
        self.running -= 1;
        self.release(ticket.slot);
    }

    /// Takes a call out of the queue if it still waits.
    pub(crate) fn cancel(&mut self, ticket: Ticket) -> Found<J> {
        match self.slots.get(ticket.slot as usize) {
            Some(slot) if slot.generation == ticket.generation => match slot.entry {
                Entry::Queued { .. } => {
                    let job = self.unlink(ticket.slot, Entry::Free { next: NONE });
                    self.release(ticket.slot);
                    Found::Queued(job)
                }
                Entry::Running { seat } => Found::Running(seat),
                Entry::Free { .. } => Found::Gone,
            },
            _ => Found::Gone,
        }
    }

    /// Takes a slot out of the queue, and leaves `entry` in it.
    fn unlink(&mut self, slot: u32, entry: Entry<J>) -> J {
        let old = std::mem::replace(&mut self.slots[slot as usize].entry, entry);
        let Entry::Queued { job, before, after } = old else {
            unreachable!("only queued calls are linked")
        };
        self.set_after(before, after);
        self.set_before(after, before);
        self.queued -= 1;
        job
    }

    fn set_after(&mut self, slot: u32, after: u32) {
        match slot {
            NONE => self.first = after,
            slot => match &mut self.slots[slot as usize].entry {
                Entry::Queued { after: link, .. } => *link = after,
                _ => unreachable!("the queue holds queued calls"),
            },
        }
    }

    fn set_before(&mut self, slot: u32, before: u32) {
        match slot {
            NONE => self.last = before,
            slot => match &mut self.slots[slot as usize].entry {
                Entry::Queued { before: link, .. } => *link = before,
                _ => unreachable!("the queue holds queued calls"),
            },
        }
    }

    fn allocate(&mut self) -> u32 {
        if self.free != NONE {
            let slot = self.free;
            let Entry::Free { next } = self.slots[slot as usize].entry else {
                unreachable!("the free list holds free slots")
            };
            self.free = next;
            return slot;
        }
        let slot = u32::try_from(self.slots.len()).expect("fewer than 4 billion calls at a time");
        assert!(slot != NONE, "fewer than 4 billion calls at a time");
        let entry = Entry::Free { next: NONE };
        self.slots.push(Slot { generation: self.generations, entry });
        slot
    }

    fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        // 0 is kept for "no ticket".
        slot.generation = slot.generation.checked_add(1).unwrap_or(1);
        let generation = slot.generation;
        slot.entry = Entry::Free { next: self.free };
        self.free = index;
        // A new slot must not repeat a ticket of one that was given back.
        self.generations = self.generations.max(generation);
        if self.queued + self.running == 0 && self.slots.len() > KEEP_SLOTS {
            self.slots = Vec::new();
            self.free = NONE;
        }
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;

    fn drain(calls: &mut Calls<u32>) -> Vec<u32> {
        std::iter::from_fn(|| {
            let (ticket, job) = calls.start(0)?;
            calls.end(ticket);
            Some(job)
        })
        .collect()
    }

    #[test]
    fn first_come_first_served_also_when_calls_leave_the_middle() {
        let mut calls = Calls::new();
        let tickets: Vec<_> = (0..6).map(|n| calls.push(|_| n)).collect();
        for gone in [0, 3, 5] {
            assert!(matches!(calls.cancel(tickets[gone]), Found::Queued(n) if n == gone as u32));
        }
        assert_eq!(calls.oldest(), Some(&1));
        calls.push(|_| 6);
        calls.push_front(|_| 7);
        assert_eq!(drain(&mut calls), [7, 1, 2, 4, 6]);
        assert_eq!((calls.queued(), calls.running()), (0, 0));
    }

    #[test]
    fn a_ticket_is_never_mistaken_for_a_later_call_in_its_slot() {
        let mut calls = Calls::new();
        let first = calls.push(|_| 1);
        assert_eq!(drain(&mut calls), [1]);
        let second = calls.push(|_| 2);
        assert!(matches!(calls.cancel(first), Found::Gone));
        assert!(matches!(calls.cancel(second), Found::Queued(2)));
        assert!(matches!(calls.cancel(second), Found::Gone));
    }

    #[test]
    fn a_running_call_is_found_in_its_seat() {
        let mut calls = Calls::new();
        let ticket = calls.push(|_| 1);
        let (started, _) = calls.start(7).unwrap();
        assert_eq!(ticket, started);
        assert!(matches!(calls.cancel(ticket), Found::Running(7)));
        calls.end(ticket);
        assert!(matches!(calls.cancel(ticket), Found::Gone));
    }

    #[test]
    fn the_memory_of_a_burst_is_given_back_and_its_tickets_stay_dead() {
        let mut calls = Calls::new();
        let burst: Vec<_> = (0..5000).map(|n| calls.push(|_| n)).collect();
        drain(&mut calls);
        assert_eq!(calls.slots.capacity(), 0);
        calls.push(|_| 1);
        assert!(burst.iter().all(|old| matches!(calls.cancel(*old), Found::Gone)));
    }

    #[test]
    fn tickets_survive_as_a_word() {
        let mut calls = Calls::new();
        calls.push(|_| 0);
        let ticket = calls.push(|_| 1);
        assert_eq!(Ticket::from_bits(ticket.to_bits()), Some(ticket));
        assert_eq!(Ticket::from_bits(0), None);
    }
}
