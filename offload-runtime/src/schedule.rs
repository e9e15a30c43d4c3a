//! How the system's scheduler treats what computes: behind the event loop.
//!
//! The only module with `unsafe` code, for the one call that sets policy, nice
//! value and time slice of a thread together.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::outcome::quietly;

/// How much the bodies of a pool count beside the rest of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Priority {
    /// As much as any other thread.
    Normal,
    /// Less: what waits for events runs first, bodies get the rest of the
    /// time. Beside threads of `Normal` priority that never rest, on Linux
    /// that is about a seventieth of a core each.
    #[default]
    Low,
    /// Next to nothing: only time that nobody else wants, so bodies can starve.
    Idle,
}

impl Priority {
    /// Gives this thread, and those that it starts later, this priority. A
    /// system that refuses is told of once: the work goes on as it would
    /// without.
    pub(crate) fn apply(self) {
        self.apply_by(imp::set);
    }

    fn apply_by(self, set: fn(Priority) -> std::io::Result<()>) {
        if self == Priority::Normal {
            return;
        }
        if let Err(refusal) = set(self) {
            static TOLD: AtomicBool = AtomicBool::new(false);
            // A subscriber is foreign: the thread goes on if it panics, and no other waits for it.
            if !TOLD.swap(true, Ordering::Relaxed) {
                quietly(|| tell(self, &refusal));
            }
        }
    }
}

#[cfg(feature = "tracing")]
fn tell(priority: Priority, refusal: &std::io::Error) {
    tracing::warn!(
        target: "offload",
        ?priority,
        %refusal,
        "the system does not set the priority of what computes: the event loop may feel it"
    );
}

#[cfg(not(feature = "tracing"))]
fn tell(_: Priority, _: &std::io::Error) {}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::io;

    use super::Priority;

    /// Beside a thread that never rests, such a thread gets a seventieth of a
    /// core. The nice value is what the event loop feels most: at 10, a ping in a hundred
    /// waits twice as long.
    const NICE: i32 = 19;

    /// How long a thread may compute before it is looked whether another is
    /// due, in nanoseconds: the least there is. The shorter, the sooner it has
    /// its turn beside threads that never rest: one that was stopped while it held the
    /// lock of a queue does not hold up others for long. Systems before 6.12
    /// take no notice.
    const SLICE: u64 = 100_000;

    pub(super) fn set(priority: Priority) -> io::Result<()> {
        let (policy, nice, slice) = match priority {
            Priority::Normal => (libc::SCHED_OTHER, 0, 0),
            Priority::Low => (libc::SCHED_BATCH, NICE, SLICE),
            Priority::Idle => (libc::SCHED_IDLE, 0, 0),
        };
        let attributes = libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: policy as u32,
            sched_flags: 0,
            sched_nice: nice,
            sched_priority: 0,
            sched_runtime: slice,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: thread 0 is the calling one; `attributes` is a whole
        // `sched_attr` whose `size` says so, and lives longer than the call,
        // which only reads it. The last argument, the flags, is 0.
        #[expect(unsafe_code, reason = "the system has no other way in for a time slice")]
        let result =
            unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0_u32) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(target_vendor = "apple")]
mod imp {
    use std::io;

    use super::Priority;

    pub(super) fn set(priority: Priority) -> io::Result<()> {
        let class = match priority {
            Priority::Normal => libc::qos_class_t::QOS_CLASS_DEFAULT,
            Priority::Low => libc::qos_class_t::QOS_CLASS_UTILITY,
            Priority::Idle => libc::qos_class_t::QOS_CLASS_BACKGROUND,
        };
        // SAFETY: it takes two numbers, and sets a property of the calling
        // thread.
        #[expect(unsafe_code, reason = "the system has no other way in")]
        let result = unsafe { libc::pthread_set_qos_class_self_np(class, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod imp {
    use std::io;

    use super::Priority;

    pub(super) fn set(_: Priority) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, feature = "tracing", not(offload_loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::{io, thread};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    static WARNINGS: AtomicUsize = AtomicUsize::new(0);

    /// Counts warnings, and panics.
    struct Counter;

    impl Subscriber for Counter {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "offload"
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            WARNINGS.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose");
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    /// Also if whoever is told panics.
    #[test]
    fn a_system_that_refuses_is_told_of_once_and_the_work_goes_on() {
        fn refuse(_: Priority) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        let threads = [Priority::Low, Priority::Idle, Priority::Normal, Priority::Low];
        let done = threads.map(|priority| {
            let work = move || {
                tracing::subscriber::with_default(Counter, || priority.apply_by(refuse));
                1
            };
            thread::spawn(work).join().unwrap()
        });
        assert_eq!(done.iter().sum::<i32>(), 4);
        assert_eq!(WARNINGS.load(Ordering::Relaxed), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_system_agrees() {
        for priority in [Priority::Normal, Priority::Low, Priority::Idle] {
            thread::spawn(move || imp::set(priority).unwrap()).join().unwrap();
        }
    }
}
