//! What a process has started, and what that has started: found, stopped, killed, and waited for,
//! so that nothing of a body outlives its worker.
//!
//! A group of processes is left by `setsid`, and its number is all that is known of it. So on Linux
//! a worker is a *subreaper*: what it started stays below it, whatever becomes of those between.
//! Whoever ends a worker stops it first, lists what is below it until there is nothing new, and
//! kills that before it. Each process is held by a file (a pidfd) before it gets a signal, so that
//! its number cannot be another's by then. Elsewhere there is the group alone.

pub(super) use imp::{adopt, end_own, stop};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use std::collections::HashSet;
    use std::fs;
    use std::os::fd::{AsFd, OwnedFd};
    use std::path::{Path, PathBuf};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, kill_process, pidfd_open,
        pidfd_send_signal, set_child_subreaper, waitid,
    };

    /// So long a process that was signalled is waited for. It may be in the middle of a system
    /// call that no signal interrupts.
    const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

    /// The same for one that was told to stop.
    const STOP: Duration = Duration::from_millis(50);

    /// How often it is looked whether it has.
    const LOOK: Duration = Duration::from_micros(50);

    /// Whoever starts processes faster than they are found is given up after so many rounds.
    const ROUNDS: usize = 1000;

    /// What was below a process.
    #[derive(Debug, Default)]
    pub(in super::super) struct Descendants(Vec<OwnedFd>);

    impl Descendants {
        pub(in super::super) fn kill(&self) {
            for process in &self.0 {
                let _ = pidfd_send_signal(process, Signal::KILL);
            }
        }

        /// Those that have become children of this process, as when it is the first of a
        /// container, do not stay zombies.
        pub(in super::super) fn reap(self) {
            for process in self.0 {
                let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE));
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

    /// Stops a process of ours, which must not be reaped yet, and all that is below it.
    pub(in super::super) fn stop(root: Pid) -> Descendants {
        let _ = kill_process(root, Signal::STOP);
        await_stop(root);
        let mut known = vec![root];
        let mut found = Vec::new();
        let mut seen = HashSet::from([root]);
        for _ in 0..ROUNDS {
            let before = known.len();
            let mut at = 0;
            // What is found is searched as well.
            while let Some(parent) = known.get(at).copied() {
                at += 1;
                for child in children(parent) {
                    if seen.contains(&child) {
                        continue;
                    }
                    let Some(process) = hold(child, parent) else { continue };
                    let _ = pidfd_send_signal(&process, Signal::STOP);
                    await_stop(child);
                    seen.insert(child);
                    known.push(child);
                    found.push(process);
                }
            }
            if known.len() == before {
                break;
            }
        }
        Descendants(found)
    }

    /// Kills and reaps all that is below this process, which goes on.
    pub(in super::super) fn end_own() {
        for _ in 0..ROUNDS {
            let mut known = vec![getpid()];
            let mut found = Vec::new();
            let mut at = 0;
            while let Some(parent) = known.get(at).copied() {
                at += 1;
                for child in children(parent) {
                    if known.contains(&child) {
                        continue;
                    }
                    let Some(process) = hold(child, parent) else { continue };
                    known.push(child);
                    found.push(process);
                }
            }
            if found.is_empty() {
                return;
            }
            let found = Descendants(found);
            found.kill();
            // Whose parents died is a child of this process now, and found the next time.
            found.reap();
        }
    }

    /// A process, as long as it is the child of this parent: held, its number stays its own.
    fn hold(child: Pid, parent: Pid) -> Option<OwnedFd> {
        let process = pidfd_open(child, PidfdFlags::empty()).ok()?;
        // It may have been adopted meanwhile, and is found there.
        (stat(&place(child))?.1 == parent.as_raw_nonzero().get()).then_some(process)
    }

    /// Until it has stopped or ended: what it begins after that is nothing.
    fn await_stop(process: Pid) {
        let give_up = Instant::now() + STOP;
        while !is_still(process) && Instant::now() < give_up {
            thread::sleep(LOOK);
        }
    }

    fn is_still(process: Pid) -> bool {
        // One in `D` is in a system call that it does not come back from meanwhile, as the
        // caller of `vfork` is.
        let is_still = |(state, _)| matches!(state, 'T' | 't' | 'Z' | 'X' | 'D');
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
        let mut states = threads.filter_map(|thread| stat(&thread.ok()?.path()));
        states.all(is_still)
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
        all.filter(|child| stat(&place(*child)).is_some_and(|(_, of)| of == parent)).collect()
    }

    fn pid(text: &str) -> Option<Pid> {
        Pid::from_raw(text.parse().ok()?)
    }

    fn place(process: Pid) -> PathBuf {
        PathBuf::from(format!("/proc/{process}"))
    }

    /// In which state a process or a thread is, and whose child.
    fn stat(place: &Path) -> Option<(char, i32)> {
        let stat = fs::read_to_string(place.join("stat")).ok()?;
        // The name, in brackets, may contain anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    use rustix::process::Pid;

    #[derive(Debug, Default)]
    pub(in super::super) struct Descendants;

    impl Descendants {
        pub(in super::super) fn kill(&self) {}

        pub(in super::super) fn reap(self) {}
    }

    pub(in super::super) fn adopt() {}

    pub(in super::super) fn stop(_: Pid) -> Descendants {
        Descendants
    }

    pub(in super::super) fn end_own() {}
}
