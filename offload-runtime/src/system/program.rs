//! What others are to know this program by: its name, and the host's.

use std::{env, fs};

/// That of its file.
pub(crate) fn name() -> Option<String> {
    Some(env::current_exe().ok()?.file_name()?.to_string_lossy().into_owned())
}

/// A container has a name of its own.
pub(crate) fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name
        .or_else(|| ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|key| env::var(key).ok()));
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}
