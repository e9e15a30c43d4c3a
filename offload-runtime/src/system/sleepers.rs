//! Which thread this is, and whether another one sleeps.

pub(crate) use imp::{thread_id, turns_of_sleeper};

#[cfg(target_os = "linux")]
mod imp {
    use std::fs;

    /// The number of this thread.
    pub(crate) fn thread_id() -> usize {
        let link = fs::read_link("/proc/thread-self").unwrap_or_default();
        let number = link.file_name().and_then(|name| name.to_str());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// How often a thread was on a processor, if it sleeps now.
    pub(crate) fn turns_of_sleeper(thread: usize) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
        // The name of the thread, in brackets, may contain anything.
        let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
        if !matches!(state, 'S' | 'D') {
            return None;
        }
        let turns = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        turns.split_whitespace().nth(2)?.parse().ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    /// Nobody asks for it.
    pub(crate) fn thread_id() -> usize {
        0
    }

    /// It is not known: each body that runs while nothing moves is taken for blocked.
    pub(crate) fn turns_of_sleeper(_: usize) -> Option<u64> {
        Some(0)
    }
}
