//! The masks of a thread of a pool: on which processors it may run, and which signals it blocks. A body
//! may change them, and they are set back when the thread goes idle.
//!
//! That costs two system calls for each time that a thread goes idle after a body, and none
//! between bodies. Elsewhere than on Linux nothing is set back.

pub(crate) use imp::Masks;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod imp {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::sys::signal::SigSet;
    use nix::unistd::Pid;

    /// The calling thread.
    const THIS: Pid = Pid::from_raw(0);

    /// What a thread had before its first body.
    pub(crate) struct Masks {
        processors: Option<CpuSet>,
        signals: Option<SigSet>,
    }

    impl Masks {
        /// What this thread has. What the system does not tell is not set back.
        pub(crate) fn here() -> Masks {
            let signals = SigSet::thread_get_mask().ok();
            Masks { processors: sched_getaffinity(THIS).ok(), signals }
        }

        /// Gives this thread the masks that it had at first.
        pub(crate) fn set_back(&mut self) {
            if let Some(signals) = &self.signals {
                let _ = signals.thread_set_mask();
            }
            let (Some(own), Ok(now)) = (&mut self.processors, sched_getaffinity(THIS)) else {
                return;
            };
            if *own == now {
                return;
            }
            if sched_getaffinity(Pid::this()).is_ok_and(|of_main| of_main == now) {
                // Somebody has moved the whole process.
                *own = now;
            } else {
                let _ = sched_setaffinity(THIS, own);
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod imp {
    /// Nothing.
    pub(crate) struct Masks;

    impl Masks {
        pub(crate) fn here() -> Masks {
            Masks
        }

        pub(crate) fn set_back(&mut self) {}
    }
}
