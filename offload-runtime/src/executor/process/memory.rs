//! What a process holds in memory.

/// What it has for itself, in bytes: what it has allocated and written to, in memory or swapped out.
///
/// Not what others have as well (files and memory that are mapped and shared), nor what the
/// processes have that it started. `None`: the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn private(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kibibytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_suffix("kB")?.trim().parse().ok()
    };
    // A system without swap may not tell of it.
    let swapped = kibibytes("VmSwap:").unwrap_or(0);
    Some((kibibytes("RssAnon:")? + swapped) << 10)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn private(_: u32) -> Option<u64> {
    None
}
