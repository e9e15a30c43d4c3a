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
//! What was below a worker that has ended before it was killed, as one that has crashed, is below it no more. It is known by
//! a variable of its environment, the [mark](Mark), which each worker has with a value of its own, and what it starts
//! has as well, unless it takes the variable away.
//!
//! What loses its parent while the worker lives becomes a child of the worker, and stays there as a zombie
//! when it ends. Nobody can tell it from a child that the body itself has started and will wait for, whose
//! status would be lost: it is reaped when the worker ends.

use std::process::{self, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) use imp::{adopt, end_own, kill_below, kill_marked};

/// The variable that tells what a worker has started.
const VARIABLE: &str = "OFFLOAD_WORKER";

/// The value that it has in one worker, and in none before or after.
#[derive(Debug)]
pub(super) struct Mark(String);

impl Mark {
    pub(super) fn new() -> Mark {
        static MARKS: AtomicU64 = AtomicU64::new(0);
        let number = MARKS.fetch_add(1, Ordering::Relaxed);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Mark(format!("{}-{number}-{:x}", process::id(), since.as_nanos()))
    }

    pub(super) fn apply(&self, command: &mut Command) {
        command.env(VARIABLE, &self.0);
    }
}

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

    use super::{Mark, VARIABLE};

    /// So long processes that were signalled are waited for, together. One may be in the middle of
    /// a system call that no signal interrupts.
    const PATIENCE: Duration = Duration::from_secs(1);

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

    /// How a process is known to be one that is to end.
    #[derive(Clone, Copy)]
    enum By<'a> {
        /// It is a child of this one.
        Parent(Pid),
        /// Its environment has this variable with its value.
        Mark(&'a [u8]),
    }

    impl Descendants {
        pub(in super::super) fn is_empty(&self) -> bool {
            self.held.is_empty() && self.let_go.is_empty()
        }

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

    /// Kills all that is below `root`. `root` itself is left to the caller, who kills it before it is reaped, so that
    /// its number stays its own meanwhile.
    pub(in super::super) fn kill_below(root: Pid) -> Descendants {
        kill(|end| below(vec![root], end))
    }

    /// Kills what has the mark of a worker that has ended, and what is below that.
    pub(in super::super) fn kill_marked(mark: &Mark) -> Descendants {
        let mark = format!("{VARIABLE}={}", mark.0).into_bytes();
        kill(|end| {
            let marked: Vec<_> = all().into_iter().filter(|pid| is_marked(*pid, &mark)).collect();
            let mut found: Vec<_> = marked.iter().map(|pid| (*pid, By::Mark(&mark))).collect();
            found.extend(below(marked, end));
            found
        })
    }

    /// Kills what is found, in rounds, until there is nothing new: what was killed may have left children behind. `find` is
    /// given when it is to come to an end.
    fn kill<'a>(find: impl Fn(Instant) -> Vec<(Pid, By<'a>)>) -> Descendants {
        let end = Instant::now() + PATIENCE;
        let mut killed = Descendants::default();
        let mut known = HashSet::new();
        loop {
            let before = known.len();
            for (pid, by) in find(end) {
                let Some((_, start)) = stat(pid) else { continue };
                let process = Process { pid, start };
                if known.contains(&process) {
                    continue;
                }
                if killed.held.len() == HELD {
                    killed.let_go(end);
                }
                let Some(file) = hold(process, by) else { continue };
                known.insert(process);
                // It may have become another user's, and then nobody here ends it.
                if pidfd_send_signal(&file, Signal::KILL).is_ok() {
                    killed.held.push((file, process));
                }
            }
            // Whoever starts processes faster than they are found is given up.
            if known.len() == before || end <= Instant::now() {
                return killed;
            }
        }
    }

    /// Kills and reaps all that is below this process, which goes on.
    pub(in super::super) fn end_own() {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = kill_below(getpid());
            if found.is_empty() || end <= Instant::now() {
                return;
            }
            found.reap();
        }
    }

    /// A process, as long as it is what it was found as: held, its number stays its own.
    fn hold(process: Process, by: By<'_>) -> Option<OwnedFd> {
        let file = pidfd_open(process.pid, PidfdFlags::empty()).ok()?;
        let (its, start) = stat(process.pid)?;
        let is_it = match by {
            // It may have been adopted meanwhile, and is found there.
            By::Parent(parent) => its == parent,
            By::Mark(mark) => is_marked(process.pid, mark),
        };
        (is_it && start == process.start).then_some(file)
    }

    /// All that is below these, as far as it is found by then.
    fn below<'a>(mut parents: Vec<Pid>, end: Instant) -> Vec<(Pid, By<'a>)> {
        let mut found = Vec::new();
        while let Some(parent) = parents.pop() {
            for child in children(parent) {
                parents.push(child);
                found.push((child, By::Parent(parent)));
            }
            if end <= Instant::now() {
                break;
            }
        }
        found
    }

    /// Whether this is among the variables that a process was started with. Those of other users are not told.
    fn is_marked(process: Pid, mark: &[u8]) -> bool {
        fs::read(format!("/proc/{process}/environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|it| it == mark))
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
        let is_child = |child: &Pid| stat(*child).is_some_and(|(its, _)| its == parent);
        all().into_iter().filter(is_child).collect()
    }

    fn all() -> Vec<Pid> {
        let all = fs::read_dir("/proc").into_iter().flatten();
        all.filter_map(|entry| pid(entry.ok()?.file_name().to_str()?)).collect()
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

    use super::Mark;

    #[derive(Debug, Default)]
    pub(in super::super) struct Descendants;

    impl Descendants {
        pub(in super::super) fn is_empty(&self) -> bool {
            true
        }

        pub(in super::super) fn reap(self) {}
    }

    pub(in super::super) fn adopt() {}

    pub(in super::super) fn kill_below(_: Pid) -> Descendants {
        Descendants
    }

    pub(in super::super) fn kill_marked(_: &Mark) -> Descendants {
        Descendants
    }

    pub(in super::super) fn end_own() {}
}
