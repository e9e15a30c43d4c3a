//! How the system's scheduler treats a thread: what computes comes behind the event loop,
//! and what starts other threads is as the main thread of the process is.
//!
//! The only module with `unsafe` code: for the calls that read and set policy, nice value and
//! time slice of a thread together, and for the one that sets a signal mask.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// How the system's scheduler treats the threads of a pool, or its processes.
///
/// On Linux, what a body starts, threads and processes, has its priority too. Where the system denies that, a
/// `tracing` warning of the target `offload` says so once, and bodies run as they would without.
///
/// A lower priority keeps a runtime's workers responsive beside bodies that compute, and makes these
/// bodies wait where others compute, too: [`stats`](fn@crate::stats) says how much (`starved`).
///
/// | | Linux | macOS |
/// | --- | --- | --- |
/// | `Normal` | as the main thread | the default class of quality of service |
/// | `Low` | `SCHED_BATCH`, nice 10 | utility |
/// | `Lowest` | `SCHED_BATCH`, nice 19 | background |
/// | `Idle` | `SCHED_IDLE` | background |
///
/// A process that has a higher nice value keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Priority {
    /// The priority of the process's main thread.
    Normal,
    /// A lower one: what waits for events runs first, bodies get the rest of the
    /// time. Beside a thread of `Normal` priority that never rests, about a tenth of a core.
    #[default]
    Low,
    /// One that is lower than `Low`. Beside a thread of `Normal` priority that never rests, about a seventieth of
    /// a core.
    Lowest,
    /// The lowest: only time that nobody else wants, so bodies can starve.
    Idle,
}

impl Priority {
    /// Gives this thread, and those that it starts later, this priority. A
    /// system that denies it is told of once: the work goes on as it would
    /// without.
    pub(crate) fn apply(self) {
        self.apply_by(imp::set);
    }

    fn apply_by(self, set: fn(Priority) -> std::io::Result<()>) {
        if self == Priority::Normal {
            return;
        }
        if let Err(error) = set(self) {
            static TOLD: AtomicBool = AtomicBool::new(false);
            if !TOLD.swap(true, Ordering::Relaxed) {
                // A subscriber is foreign: the thread goes on if it panics.
                let tell = || tell(self, &error);
                if let Err(payload) = catch_unwind(AssertUnwindSafe(tell)) {
                    std::mem::forget(payload);
                }
            }
        }
    }
}

/// Gives this thread what the main thread has: its processors, its signal mask, its nice
/// value. What the system denies is told, and the thread goes on without.
pub(crate) fn be_as_the_main_thread() {
    if let Err(error) = imp::copy_main_thread() {
        let told = catch_unwind(AssertUnwindSafe(|| tell_of_thread(&error)));
        told.unwrap_or_else(std::mem::forget);
    }
}

/// Whether this thread may run on the same processors as the main thread. Where the system does not
/// say, it may.
pub(crate) fn has_processors_of_the_main_thread() -> bool {
    imp::has_processors_of_the_main_thread().unwrap_or(true)
}

#[cfg(feature = "tracing")]
fn tell_of_thread(error: &std::io::Error) {
    tracing::warn!(
        target: "offload",
        %error,
        "the thread that starts those of the pools cannot have the processors, the signal mask \
         and the priority of the main thread: the pools have those of whoever made the first call"
    );
}

#[cfg(not(feature = "tracing"))]
fn tell_of_thread(_: &std::io::Error) {}

#[cfg(feature = "tracing")]
fn tell(priority: Priority, error: &std::io::Error) {
    tracing::warn!(
        target: "offload",
        ?priority,
        %error,
        "the system does not set the priority of what computes: the event loop may feel it"
    );
}

#[cfg(not(feature = "tracing"))]
fn tell(_: Priority, _: &std::io::Error) {}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::io;

    use nix::sched::{sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    use super::Priority;

    /// The calling thread.
    const THIS: Pid = Pid::from_raw(0);

    /// With it a hundredth of all pings beside a saturated pool waits no longer than beside
    /// an idle one, and a body of a millisecond beside two busy neighbours takes a sixth of what
    /// it takes at 19.
    const NICE: i32 = 10;

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
            Priority::Lowest => (libc::SCHED_BATCH, 19, SLICE),
            Priority::Idle => (libc::SCHED_IDLE, 0, 0),
        };
        let own = attributes(0)?;
        set_attributes(&libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: policy as u32,
            sched_flags: 0,
            // Whoever started the process may have given it a lower priority than that.
            sched_nice: nice.max(own.sched_nice),
            sched_priority: 0,
            sched_runtime: slice,
            sched_deadline: 0,
            sched_period: 0,
        })
    }

    /// Policy, nice value and slice of a thread; 0 is the calling one.
    fn attributes(thread: libc::pid_t) -> io::Result<libc::sched_attr> {
        let size = size_of::<libc::sched_attr>() as u32;
        // SAFETY: a `sched_attr` consists of numbers, of which zero is a value. The call writes no
        // more of it than the size that it is given, and the last argument, the flags, is 0.
        #[expect(unsafe_code, reason = "the system has no other way in for a time slice")]
        let (result, mut attributes) = unsafe {
            let mut attributes: libc::sched_attr = std::mem::zeroed();
            let into = &raw mut attributes;
            (libc::syscall(libc::SYS_sched_getattr, thread, into, size, 0_u32), attributes)
        };
        attributes.size = size;
        if result == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
    }

    /// Gives them to this thread.
    fn set_attributes(attributes: &libc::sched_attr) -> io::Result<()> {
        // SAFETY: thread 0 is the calling one; `attributes` is a whole `sched_attr` whose `size`
        // says so, and lives longer than the call, which only reads it. The last argument, the
        // flags, is 0.
        #[expect(unsafe_code, reason = "the system has no other way in for a time slice")]
        let result =
            unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *attributes, 0_u32) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Gives this thread the processors, the signal mask and the nice value of the main
    /// thread. All is tried; the first error is returned.
    pub(super) fn copy_main_thread() -> io::Result<()> {
        let main = main_thread()?;
        let nice = attributes(main.as_raw()).and_then(|theirs| set_attributes(&theirs));
        [copy_processors(main), copy_mask(main), nice].into_iter().collect()
    }

    fn main_thread() -> io::Result<Pid> {
        libc::pid_t::try_from(std::process::id()).map(Pid::from_raw).map_err(io::Error::other)
    }

    fn copy_processors(main: Pid) -> io::Result<()> {
        let theirs = sched_getaffinity(main)?;
        Ok(sched_setaffinity(THIS, &theirs)?)
    }

    pub(super) fn has_processors_of_the_main_thread() -> io::Result<bool> {
        Ok(sched_getaffinity(THIS)? == sched_getaffinity(main_thread()?)?)
    }

    /// No call tells the mask of another thread; its page in `/proc` does.
    pub(super) fn copy_mask(main: Pid) -> io::Result<()> {
        let (mut blocked, mut sleeps) = mask(main)?;
        // All are blocked for a moment in a thread that starts another, as the main thread
        // may do just now: that is not its mask. The moment is longer where it has no processor.
        for looks in 0..10_000 {
            if blocked.count_ones() < 60 || sleeps && looks >= 100 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_micros(100));
            (blocked, sleeps) = mask(main)?;
        }
        set_mask(blocked)
    }

    /// The signals that a thread blocks, and whether it sleeps.
    pub(super) fn mask(thread: Pid) -> io::Result<(u64, bool)> {
        let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status"))?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let blocked = field("SigBlk:").and_then(|mask| u64::from_str_radix(mask, 16).ok());
        let sleeps = field("State:").is_some_and(|state| state.starts_with('S'));
        Ok((blocked.ok_or(io::ErrorKind::InvalidData)?, sleeps))
    }

    /// Blocks the signals whose bits are set, the lowest being that of signal 1.
    pub(super) fn set_mask(blocked: u64) -> io::Result<()> {
        // SAFETY: `sigemptyset` makes `set` a whole set before it is used; each signal is one that
        // there is, as it is below 65; the mask is that of the calling thread, and no old
        // one is asked for.
        #[expect(unsafe_code, reason = "std has no way to set a signal mask")]
        let result = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in (1..=64).filter(|signal| blocked >> (signal - 1) & 1 == 1) {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut())
        };
        if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
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
            Priority::Lowest | Priority::Idle => libc::qos_class_t::QOS_CLASS_BACKGROUND,
        };
        // SAFETY: it takes two numbers, and sets a property of the calling
        // thread.
        #[expect(unsafe_code, reason = "the system has no other way in")]
        let result = unsafe { libc::pthread_set_qos_class_self_np(class, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
    }

    /// Here a new thread has no class of quality of service from the one that starts it, and
    /// there is no affinity.
    pub(super) fn copy_main_thread() -> io::Result<()> {
        set(Priority::Normal)
    }

    pub(super) fn has_processors_of_the_main_thread() -> io::Result<bool> {
        Ok(true)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod imp {
    use std::io;

    use super::Priority;

    pub(super) fn set(_: Priority) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A new thread has nothing of the one that starts it.
    pub(super) fn copy_main_thread() -> io::Result<()> {
        Ok(())
    }

    pub(super) fn has_processors_of_the_main_thread() -> io::Result<bool> {
        Ok(true)
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

    /// It was copied after a hundredth of a second, and pools had it for good.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_mask_of_a_thread_that_starts_another_and_has_no_processor_meanwhile_is_not_copied() {
        use std::sync::mpsc::channel;
        use std::time::{Duration, Instant};

        use nix::unistd::Pid;

        fn this_thread() -> Pid {
            let link = std::fs::read_link("/proc/thread-self").unwrap();
            Pid::from_raw(link.file_name().unwrap().to_str().unwrap().parse().unwrap())
        }

        let (tell, told) = channel();
        // As a thread does that starts another, but for longer.
        let starts = move || {
            imp::set_mask(u64::MAX).unwrap();
            tell.send(this_thread()).unwrap();
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(100) {
                std::hint::spin_loop();
            }
            imp::set_mask(0).unwrap();
        };
        let other = thread::spawn(move || {
            starts();
            thread::park();
        });
        let copied = thread::spawn(move || {
            imp::copy_mask(told.recv().unwrap()).unwrap();
            imp::mask(this_thread()).unwrap().0
        });
        assert_eq!(copied.join().unwrap(), 0);
        other.thread().unpark();
        other.join().unwrap();
    }

    /// Also if whoever is told panics.
    #[test]
    fn a_system_that_denies_it_is_told_of_once_and_the_work_goes_on() {
        fn deny(_: Priority) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        let threads = [Priority::Low, Priority::Idle, Priority::Normal, Priority::Low];
        let done = threads.map(|priority| {
            let work = move || {
                tracing::subscriber::with_default(Counter, || priority.apply_by(deny));
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
        for priority in [Priority::Normal, Priority::Low, Priority::Lowest, Priority::Idle] {
            thread::spawn(move || imp::set(priority).unwrap()).join().unwrap();
        }
    }
}
