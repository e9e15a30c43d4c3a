//! Inside a worker: what it has from its parent and must not keep, files and what signals do.

use std::fs;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::OFlags;
use rustix::process::Signal;

/// Closes what was open in the parent without `CLOEXEC`, such as a file of a C library, a
/// listener that was passed to the program, or what another thread was about to mark.
///
/// Nobody here knows these files yet: what is opened by Rust in this process has the mark. Where
/// the system does not show the marks, as on macOS, they stay open.
pub(super) fn close_files() {
    let Ok(open) = fs::read_dir("/proc/self/fdinfo") else { return };
    let inherited = open.filter_map(|entry| {
        let entry = entry.ok()?;
        let is_unmarked = is_unmarked(&fs::read_to_string(entry.path()).ok()?)?;
        is_unmarked.then(|| entry.file_name().to_str()?.parse::<RawFd>().ok())?
    });
    for file in inherited.filter(|file| *file > 2).collect::<Vec<_>>() {
        let _ = nix::unistd::close(file);
    }
}

/// Whether a file with this description is kept when another program is executed.
fn is_unmarked(description: &str) -> Option<bool> {
    let flags = description.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
    Some(flags & OFlags::CLOEXEC.bits() == 0)
}

/// A signal to all processes of the service, as by systemd or a container's runtime, is for the
/// parent, which lets calls end: workers take no notice of it. By a handler, and not by ignoring
/// it, which what bodies start would inherit.
pub(super) fn leave_signals_to_parent() {
    for signal in [Signal::TERM, Signal::INT] {
        let nobody = Arc::new(AtomicBool::new(false));
        // Without one, the call that runs is lost then.
        let _ = signal_hook::flag::register(signal.as_raw(), nobody);
    }
}
