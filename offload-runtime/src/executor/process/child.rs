//! A process that was started: how it ends, and that nothing is left of it.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, waitid,
    waitpgid,
};

use super::descendants::{self, Mark};

/// So long what was killed is waited for: it may be in a system call that no signal interrupts.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the [module](self). It leads a group. Dropped, it is killed and reaped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// What it started has it, too.
    mark: Mark,
    is_reaped: bool,
}

impl Process {
    pub(super) fn new(child: Child, mark: Mark) -> Process {
        Process { child, mark, is_reaped: false }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether it ends in this time without being killed.
    pub(super) fn ends_by_itself(&self, patience: Duration) -> bool {
        is_so_in(patience, || self.has_ended())
    }

    fn has_ended(&self) -> bool {
        // It is not reaped by that, so that its number stays its own.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.pid()), look), Ok(None))
    }

    /// Kills it and what it started, if they live, and reaps it.
    pub(super) fn kill(&mut self) -> Option<ExitStatus> {
        self.is_reaped = true;
        let pid = self.pid();
        let descendants = descendants::kill_below(pid);
        // Some of them may be below it no more: it has left them behind, or has started others meanwhile.
        let may_have_left = self.has_ended() || !descendants.is_empty();
        // Where descendants are not known, and if it has crashed, its group is.
        let _ = kill_process_group(pid, Signal::KILL);
        // It may have left its group.
        let _ = kill_process(pid, Signal::KILL);
        let status = self.child.wait().ok();
        // What it left behind is a child of this process now, if that is the first of a container.
        descendants.reap();
        if may_have_left {
            descendants::kill_marked(&self.mark).reap();
        }
        is_so_in(PATIENCE, || {
            loop {
                match waitpgid(pid, WaitOptions::NOHANG) {
                    Ok(Some(_)) => {}
                    left => break left.is_err(),
                }
            }
        });
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
        }
    }
}

/// Looks each millisecond whether something is so, and no longer than this.
fn is_so_in(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let give_up = Instant::now() + patience;
    while !is_so() {
        if give_up <= Instant::now() {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}
