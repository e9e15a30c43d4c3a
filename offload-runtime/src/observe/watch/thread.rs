//! What the system tells of another thread of this process. On Linux it is read
//! from `/proc/self/task`, which needs no privilege; others do not tell it
//! without unsafe code.

use std::time::Duration;

/// Since a thread was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// It was on a processor.
    pub(crate) ran: Duration,
    /// It was ready to run, and waited for a processor.
    pub(crate) ready: Duration,
}

/// What a thread does at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// On a processor, or waiting for one.
    Running,
    /// In a system call of this name; `None`: it is not known, or nobody tells.
    Call(Option<&'static str>),
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs;
    use std::time::Duration;

    use super::{Activity, Times};
    use crate::observe::watch::system_calls;

    /// The system's number of this thread.
    pub(crate) fn number() -> Option<u32> {
        fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
    }

    pub(crate) fn times(thread: u32) -> Option<Times> {
        parse_times(&fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?)
    }

    pub(super) fn parse_times(text: &str) -> Option<Times> {
        let mut nanos = text.split_whitespace().map_while(|number| number.parse().ok());
        let mut next = || nanos.next().map(Duration::from_nanos);
        Some(Times { ran: next()?, ready: next()? })
    }

    /// What a thread does now.
    pub(crate) fn activity(thread: u32) -> Activity {
        let text = fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
        let text = text.unwrap_or_default();
        match text.split_whitespace().next() {
            Some("running") => Activity::Running,
            number => {
                let number = number.and_then(|number| number.parse().ok());
                Activity::Call(number.and_then(system_calls::name))
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Activity, Times};

    pub(crate) fn number() -> Option<u32> {
        None
    }

    pub(crate) fn times(_: u32) -> Option<Times> {
        None
    }

    pub(crate) fn activity(_: u32) -> Activity {
        Activity::Call(None)
    }
}

pub(crate) use imp::{activity, number, times};

#[cfg(all(test, target_os = "linux", not(offload_loom)))]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_times_of_a_thread_are_read_as_the_system_writes_them() {
        let times = imp::parse_times("2000000000 30000000 17\n").unwrap();
        assert_eq!(times.ran, Duration::from_secs(2));
        assert_eq!(times.ready, Duration::from_millis(30));
        assert_eq!(imp::parse_times(""), None);
        assert_eq!(imp::parse_times("12"), None);
    }

    #[test]
    fn a_thread_that_waits_for_another_is_seen_in_its_system_call() {
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let waits = std::thread::spawn(move || {
            tell.send(number().unwrap()).unwrap();
            let _ = ended.recv();
        });
        let thread = told.recv().unwrap();
        let start = Instant::now();
        // It may be on its way still.
        while activity(thread) != Activity::Call(Some("futex")) {
            assert!(start.elapsed() < Duration::from_secs(60), "{:?}", activity(thread));
            std::thread::yield_now();
        }
        drop(end);
        waits.join().unwrap();
        // The system may show it for a moment after it has ended.
        while times(thread).is_some() || activity(thread) != Activity::Call(None) {
            assert!(start.elapsed() < Duration::from_secs(60), "{:?}", activity(thread));
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_thread_that_computes_is_seen_in_no_call() {
        let (tell, told) = mpsc::channel();
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let computes = std::thread::spawn(move || {
            tell.send(number().unwrap()).unwrap();
            while !ended.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let thread = told.recv().unwrap();
        let start = Instant::now();
        // It may be on its way still.
        while activity(thread) != Activity::Running {
            assert!(start.elapsed() < Duration::from_secs(60), "{:?}", activity(thread));
            std::thread::yield_now();
        }
        end.store(true, Ordering::Relaxed);
        computes.join().unwrap();
    }
}
