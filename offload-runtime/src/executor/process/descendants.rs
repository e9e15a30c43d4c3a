//! What a process has started, and what that has started: found, killed, and waited for,
//! so that nothing of a body outlives its worker.
//!
//! A group of processes is left by `setsid`, and its number is all that is known of it. So on Linux
//! a worker is a *subreaper*: what it started stays below it, whatever becomes of those between.
//! Whoever ends a worker kills what is below it first, until there is nothing new. It is not
//! stopped (SIGSTOP) first: if its parent died before it could kill it, it would stay stopped for ever. Each
//! process is held by a file (a pidfd) before it gets a signal, so that its number cannot be another's by
//! then. Not too many at once: this may be a program that has few files left. Elsewhere there is the
//! group alone.
//!
//! What loses its parent while the worker lives becomes a child of the worker, and stays there as a zombie
//! when it ends. Nobody can tell it from a child that the body itself has started and will wait for, whose
//! status would be lost: it is reaped when the worker ends.

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

    /// No more of them are held at once.
    const HELD: usize = 32;

    /// What was below a process, and was killed.
    #[derive(Debug, Default)]
    pub(in super::super) struct Descendants {
        held: Vec<(OwnedFd, Process)>,
        /// Those that were held, and had another parent than this process then.
        let_go: Vec<Process>,
    }

    /// What its number is, and when it was started: no other process has both.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    struct Process {
        pid: Pid,
        start: u64,
    }

    impl Descendants {
        /// Those that have become children of this process, as when it is the first of a
        /// container, do not stay zombies.
        pub(in super::super) fn reap(mut self) {
            self.let_go(Instant::now() + PATIENCE);
            for process in self.let_go {
                // As a child of this process it keeps its number until it is waited for.
                if stat(process.pid) == Some((getpid(), process.start)) {
                    let id = WaitId::Pid(process.pid);
                    let _ = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
                }
            }
        }

        /// Waits for those that are held, and holds them no more.
        fn let_go(&mut self, end: Instant) {
            for (file, process) in self.held.drain(..) {
                let left = end.saturating_duration_since(Instant::now());
                let left = Timespec::try_from(left).unwrap_or_default();
                let _ = poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&left));
                // Of the children of others it knows nothing.
                let id = WaitId::PidFd(file.as_fd());
                if !matches!(waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(Some(_)))
                {
                    self.let_go.push(process);
                }
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
        let end = Instant::now() + PATIENCE;
        let mut killed = Descendants::default();
        let mut known = HashSet::new();
        for _ in 0..ROUNDS {
            let before = known.len();
            let mut parents = vec![root];
            while let Some(parent) = parents.pop() {
                for child in children(parent) {
                    // What was killed may have left children behind, too.
                    parents.push(child);
                    let Some((_, start)) = stat(child) else { continue };
                    let process = Process { pid: child, start };
                    if known.contains(&process) {
                        continue;
                    }
                    if killed.held.len() == HELD {
                        killed.let_go(end);
                    }
                    let Some(file) = hold(process, parent) else { continue };
                    known.insert(process);
                    // It may have become another user's, and then nobody here ends it.
                    if pidfd_send_signal(&file, Signal::KILL).is_ok() {
                        killed.held.push((file, process));
                    }
                }
            }
            if known.len() == before {
                break;
            }
        }
        killed
    }

    /// Kills and reaps all that is below this process, which goes on.
    pub(in super::super) fn end_own() {
        let end = Instant::now() + PATIENCE;
        for _ in 0..ROUNDS {
            let found = kill_below(getpid());
            if (found.held.is_empty() && found.let_go.is_empty()) || end <= Instant::now() {
                return;
            }
            found.reap();
        }
    }

    /// A process, as long as it is the child of this parent: held, its number stays its own.
    fn hold(process: Process, parent: Pid) -> Option<OwnedFd> {
        let file = pidfd_open(process.pid, PidfdFlags::empty()).ok()?;
        // It may have been adopted meanwhile, and is found there.
        (stat(process.pid)? == (parent, process.start)).then_some(file)
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
        all.filter(|child| stat(*child).is_some_and(|(its, _)| its == parent)).collect()
    }

    fn pid(text: &str) -> Option<Pid> {
        Pid::from_raw(text.parse().ok()?)
    }

    /// Whose child a process is, and when it was started.
    fn stat(process: Pid) -> Option<(Pid, u64)> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in brackets, may contain anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let parent = pid(fields.nth(1)?)?;
        Some((parent, fields.nth(17)?.parse().ok()?))
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
