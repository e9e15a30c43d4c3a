//! What a process has started, and what that has started: found, killed, and waited for,
//! so that nothing of a body outlives its worker.
//!
//! A group of processes is left by `setsid`, and its number is all that is known of it. So on Linux
//! a worker is a *subreaper*: what it started stays below it, whatever becomes of those between.
//! Whoever ends a worker kills what is below it first, until there is nothing new. It is not
//! stopped (SIGSTOP) first: if its parent died before it could kill it, it would stay stopped for ever. Each
//! process is held by a file (a pidfd) before it gets a signal, so that its number cannot be another's by
//! then. Elsewhere there is the group alone.

pub(super) use imp::{adopt, end_own, kill_below};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::collections::HashSet;
    use std::fs;
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal,
        set_child_subreaper, waitid,
    };

    /// So long processes that were signalled are waited for, together. One may be in the middle of
    /// a system call that no signal interrupts.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Whoever starts processes faster than they are found is given up after so many rounds.
    const ROUNDS: usize = 1000;

    /// What was below a process.
    #[derive(Debug, Default)]
    pub(in super::super) struct Descendants(Vec<OwnedFd>);

    impl Descendants {
        /// Those that have become children of this process, as when it is the first of a
        /// container, do not stay zombies.
        pub(in super::super) fn reap(self) {
            self.reap_until(Instant::now() + PATIENCE);
        }

        fn reap_until(self, end: Instant) {
            for process in self.0 {
                let left = end.saturating_duration_since(Instant::now());
                let left = Timespec::try_from(left).unwrap_or_default();
                let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left));
                // Of the children of others it knows nothing.
                let id = WaitId::PidFd(process.as_fd());
                let _ = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            }
        }
    }

    /// From now on what this process starts stays below it.
    pub(in super::super) fn adopt() {
        // It fails for old systems only.
        let _ = set_child_subreaper(Some(getpid()));
    }

    /// Kills all that is below `root`, in rounds, until there is nothing new. `root` itself is left to
    /// the caller, who kills it before it is reaped, so that its number stays its own meanwhile.
    pub(in super::super) fn kill_below(root: Pid) -> Descendants {
        let mut all = Descendants::default();
        let mut known = HashSet::from([root]);
        for _ in 0..ROUNDS {
            let before = all.0.len();
            let mut parents = vec![root];
            while let Some(parent) = parents.pop() {
                for child in children(parent) {
                    // What was killed may have left children behind, too.
                    parents.push(child);
                    if known.contains(&child) {
                        continue;
                    }
                    let Some(process) = hold(child, parent) else { continue };
                    known.insert(child);
                    // It may have become another user's, and then nobody here ends it.
                    if pidfd_send_signal(&process, Signal::KILL).is_ok() {
                        all.0.push(process);
                    }
                }
            }
            if all.0.len() == before {
                break;
            }
        }
        all
    }

    /// Kills and reaps all that is below this process, which goes on.
    pub(in super::super) fn end_own() {
        let end = Instant::now() + PATIENCE;
        for _ in 0..ROUNDS {
            let found = kill_below(getpid());
            if found.0.is_empty() || end <= Instant::now() {
                return;
            }
            found.reap_until(end);
        }
    }

    /// A process, as long as it is the child of this parent: held, its number stays its own.
    fn hold(child: Pid, parent: Pid) -> Option<OwnedFd> {
        let process = pidfd_open(child, PidfdFlags::empty()).ok()?;
        // It may have been adopted meanwhile, and is found there.
        (parent_of(child)? == parent.as_raw_nonzero().get()).then_some(process)
    }

    /// The children of a process, zombies included.
    fn children(parent: Pid) -> Vec<Pid> {
        listed(parent).unwrap_or_else(|| searched(parent))
    }

    /// As the system lists them, by thread; `None`: it does not, or a thread ended meanwhile.
    fn listed(parent: Pid) -> Option<Vec<Pid>> {
        let tasks = fs::read_dir(format!("/proc/{parent}/task")).ok()?;
        let mut children = Vec::new();
        for task in tasks {
            let list = fs::read_to_string(task.ok()?.path().join("children")).ok()?;
            children.extend(list.split_whitespace().filter_map(pid));
        }
        Some(children)
    }

    /// Among all processes.
    fn searched(parent: Pid) -> Vec<Pid> {
        let all = fs::read_dir("/proc").into_iter().flatten();
        let all = all.filter_map(|entry| pid(entry.ok()?.file_name().to_str()?));
        let parent = parent.as_raw_nonzero().get();
        all.filter(|child| parent_of(*child) == Some(parent)).collect()
    }

    fn pid(text: &str) -> Option<Pid> {
        Pid::from_raw(text.parse().ok()?)
    }

    /// Whose child a process is.
    fn parent_of(process: Pid) -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in brackets, may contain anything.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use rustix::process::Pid;

    #[derive(Debug, Default)]
    pub(in super::super) struct Descendants;

    impl Descendants {
        pub(in super::super) fn reap(self) {}
    }

    pub(in super::super) fn adopt() {}

    pub(in super::super) fn kill_below(_: Pid) -> Descendants {
        Descendants
    }

    pub(in super::super) fn end_own() {}
}
