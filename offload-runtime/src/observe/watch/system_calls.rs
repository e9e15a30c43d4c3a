//! The names of the system calls that a thread may wait in.

/// Of those that can take long. Numbers differ from one architecture to the
/// other, and so does what there is.
#[cfg(target_os = "linux")]
pub(super) fn name(number: libc::c_long) -> Option<&'static str> {
    macro_rules! names {
        ($($(#[$cfg:meta])? $constant:ident $name:literal,)*) => {
            [$($(#[$cfg])? (libc::$constant, $name),)*]
        };
    }
    let names = names![
        SYS_accept "accept",
        SYS_accept4 "accept4",
        SYS_clock_nanosleep "clock_nanosleep",
        SYS_close "close",
        SYS_connect "connect",
        SYS_copy_file_range "copy_file_range",
        SYS_epoll_pwait "epoll_pwait",
        #[cfg(target_arch = "x86_64")] SYS_epoll_wait "epoll_wait",
        SYS_fallocate "fallocate",
        SYS_fcntl "fcntl",
        SYS_fdatasync "fdatasync",
        SYS_flock "flock",
        SYS_fsync "fsync",
        SYS_ftruncate "ftruncate",
        SYS_futex "futex",
        SYS_getdents64 "getdents64",
        SYS_getrandom "getrandom",
        SYS_ioctl "ioctl",
        SYS_io_uring_enter "io_uring_enter",
        SYS_madvise "madvise",
        SYS_mmap "mmap",
        SYS_mkdirat "mkdirat",
        SYS_msync "msync",
        SYS_munmap "munmap",
        SYS_nanosleep "nanosleep",
        #[cfg(target_arch = "x86_64")] SYS_open "open",
        SYS_openat "openat",
        #[cfg(target_arch = "x86_64")] SYS_pause "pause",
        #[cfg(target_arch = "x86_64")] SYS_poll "poll",
        SYS_ppoll "ppoll",
        SYS_pread64 "pread64",
        SYS_preadv "preadv",
        SYS_pselect6 "pselect6",
        SYS_pwrite64 "pwrite64",
        SYS_pwritev "pwritev",
        SYS_read "read",
        SYS_readv "readv",
        SYS_recvfrom "recvfrom",
        SYS_recvmsg "recvmsg",
        #[cfg(target_arch = "x86_64")] SYS_rename "rename",
        SYS_renameat2 "renameat2",
        #[cfg(target_arch = "x86_64")] SYS_rmdir "rmdir",
        SYS_sched_yield "sched_yield",
        #[cfg(target_arch = "x86_64")] SYS_select "select",
        SYS_sendfile "sendfile",
        SYS_sendmsg "sendmsg",
        SYS_sendto "sendto",
        SYS_splice "splice",
        #[cfg(target_arch = "x86_64")] SYS_stat "stat",
        SYS_statx "statx",
        SYS_sync "sync",
        SYS_syncfs "syncfs",
        #[cfg(target_arch = "x86_64")] SYS_unlink "unlink",
        SYS_unlinkat "unlinkat",
        SYS_wait4 "wait4",
        SYS_waitid "waitid",
        SYS_write "write",
        SYS_writev "writev",
    ];
    names.into_iter().find(|(known, _)| *known == number).map(|(_, name)| name)
}
