//! What bodies start, and what they have of their parent.

use std::fs;
use std::os::fd::FromRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use offload_runtime::{Error, ErrorKind, ProcessPool, Ran, offload, shutdown};
use offload_tests::{begin, skipped};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::ends::{Told, spin, tell};
use crate::support::{
    PATIENCE, children, is_there, number, receives, runs, sends, settle, start_daemon,
    start_with_all_files, workers,
};

#[test]
fn a_span_that_a_body_has_entered_and_not_left_is_not_that_of_the_next() {
    static POOL: ProcessPool = ProcessPool::new("in a span").workers(1);

    /// Its worker, and whether that was in a span before.
    #[offload(process, pool = POOL)]
    fn enters() -> Result<(u32, bool), Error> {
        let is_in_span = tracing::dispatcher::get_default(|own| own.current_span().id().is_some());
        std::mem::forget(tracing::error_span!("left").entered());
        Ok((std::process::id(), is_in_span))
    }

    // Where nobody listens, workers have no spans.
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        let (worker, _) = block_on(enters()).unwrap();
        assert_eq!(block_on(enters()).unwrap(), (worker, false));
    });
}

#[test]
fn what_left_the_group_is_killed_with_its_worker() {
    #[offload(process)]
    fn spins(path: String, daemon: String, is_marked: bool) -> Result<(), Error> {
        match is_marked {
            true => start_daemon(&daemon),
            false => start_daemon_without_mark(&daemon),
        }
        tell(&path);
        spin()
    }

    for is_marked in [true, false] {
        let told = Told::new();
        let daemon = told.path() + ".daemon";
        let call = begin(spins(told.path(), daemon.clone(), is_marked));
        let worker = told.pid();
        let daemon = number(&daemon);
        assert!(runs(daemon));
        drop(call);
        settle("the worker is reaped", || !is_there(worker));
        settle("the other has died", || !runs(daemon));
    }
}

/// It has nothing by which it is known once its worker is dead.
fn start_daemon_without_mark(path: &str) {
    let script = format!(
        "setsid env -u OFFLOAD_WORKER sh -c 'echo $$ > {path}.new; mv {path}.new {path}; exec sleep 1000' &"
    );
    assert!(Command::new("sh").arg("-c").arg(script).status().unwrap().success());
}

#[test]
fn what_left_the_group_ends_with_a_worker_that_is_replaced() {
    static POOL: ProcessPool = ProcessPool::new("replaced").workers(1).max_jobs(1);

    #[offload(process, pool = POOL)]
    fn returns(daemon: String) -> Result<u32, Error> {
        // With it, it would be found also after the worker has ended.
        start_daemon_without_mark(&daemon);
        Ok(number(&daemon))
    }

    let told = Told::new();
    let daemon = block_on(returns(told.path())).unwrap();
    settle("it has died", || !runs(daemon));
}

/// It is below the worker no more when that has ended.
#[test]
fn what_left_the_group_ends_with_a_worker_that_crashes() {
    #[offload(process)]
    fn crashes(daemon: String, orderly: bool) -> Result<(), Error> {
        start_daemon(&daemon);
        number(&daemon);
        if orderly { std::process::exit(3) } else { std::process::abort() }
    }

    for orderly in [false, true] {
        let told = Told::new();
        let error = block_on(crashes(told.path(), orderly)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WorkerDied);
        let daemon = number(&told.path());
        settle("the other has died", || !runs(daemon));
    }
}

/// Each starts the next and ends, as fast as the system lets it.
#[test]
fn a_body_that_starts_others_without_end_is_ended() {
    #[offload(process)]
    fn starts_others(path: String) -> Result<(), Error> {
        let script = format!("f() {{ [ -e {path}.end ] || {{ f & }}; }}; f");
        assert!(Command::new("setsid").args(["sh", "-c", &script]).status().unwrap().success());
        tell(&path);
        spin()
    }

    /// They end, whatever becomes of the test.
    struct Ends(String);

    impl Drop for Ends {
        fn drop(&mut self) {
            fs::write(&self.0, "").unwrap();
        }
    }

    let told = Told::new();
    let _ends = Ends(told.path() + ".end");
    let call = begin(starts_others(told.path()));
    let worker = told.pid();
    drop(call);
    settle("the worker is reaped", || !is_there(worker));
}

#[test]
fn the_own_attributes_and_children_of_the_program_are_left_alone() {
    crate::ending::passes("left_behind", "child_has_a_child_of_its_own");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_has_a_child_of_its_own() {
    static REPLACED: ProcessPool = ProcessPool::new("replaced each time").workers(1).max_jobs(1);

    #[offload(process)]
    fn crashes(daemon: String) -> Result<(), Error> {
        start_daemon(&daemon);
        number(&daemon);
        std::process::abort()
    }

    #[offload(process, pool = REPLACED)]
    fn returns(daemon: String) -> Result<(), Error> {
        start_daemon(&daemon);
        number(&daemon);
        Ok(())
    }

    let was = rustix::process::child_subreaper().unwrap();
    let mut own = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
    settle("it is a zombie", || !runs(own.id()));

    let [of_dead, of_replaced] = [Told::new(), Told::new()];
    let error = block_on(crashes(of_dead.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WorkerDied);
    block_on(returns(of_replaced.path())).unwrap();
    for daemon in [of_dead.path(), of_replaced.path()] {
        let daemon = number(&daemon);
        settle("it has died", || !runs(daemon));
    }
    block_on(shutdown(PATIENCE));
    settle("no worker is left", || children() == [own.id()]);

    assert_eq!(own.wait().unwrap().code(), Some(7));
    assert_eq!(rustix::process::child_subreaper().unwrap(), was);
}

/// As in a program that has few files left.
#[test]
fn more_than_there_are_files_for_are_killed() {
    crate::ending::passes("left_behind", "child_has_few_files");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_has_few_files() {
    #[offload(process)]
    fn starts_many(path: String) -> Result<(), Error> {
        let script = "for n in $(seq 200); do setsid sleep 1000 & done";
        assert!(Command::new("sh").arg("-c").arg(script).status().unwrap().success());
        tell(&path);
        spin()
    }

    let told = Told::new();
    let call = begin(starts_many(told.path()));
    let worker = told.pid();
    let sleepers = below(worker);
    assert_eq!(sleepers.len(), 200);
    let all = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let few = rustix::process::Rlimit { current: Some(open + 60), maximum: all.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    drop(call);
    // Without a file: nothing could be seen of a process.
    settle("the worker was killed", || workers("process").kills == 1);
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    assert!(!is_there(worker));
    settle("all have died", || !sleepers.iter().any(|pid| runs(*pid)));
}

/// The processes that have been started by this one, or lost their parent below it.
fn below(worker: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{worker}/task/{worker}/children")).unwrap();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn what_a_body_started_ends_with_the_program() {
    // Of a worker that is replaced after its call, and of one that is idle.
    for mode in ["leave", "stay"].repeat(5) {
        let folder = tempfile::tempdir().unwrap();
        let mut parent = Command::new(env!("CARGO_BIN_EXE_parent"));
        assert!(parent.arg(mode).arg(folder.path()).status().unwrap().success());
        for name in ["child", "daemon"] {
            let pid = number(folder.path().join(name).to_str().unwrap());
            settle("it has died", || !runs(pid));
        }
    }
}

/// All that loses its parent becomes its child there.
#[test]
fn the_first_process_of_a_container_has_no_zombies() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(env!("CARGO_BIN_EXE_parent"));
    let output = parent.arg("first").arg(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "no children\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_program_that_is_process_1_has_no_zombies_and_nothing_of_its_workers_left() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"])
        .args([env!("CARGO_BIN_EXE_parent"), "first"])
        .arg(folder.path())
        .output();
    let Ok(output) = output else { return skipped("there is no `unshare`") };
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("unshare:") {
        return skipped(&error);
    }
    // All other processes there are below it.
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "no children\n", "{error}");
}

/// A process that was made by `fork` alone holds the channel open, and what the worker
/// printed has come to an end before.
#[test]
fn the_end_of_a_worker_that_has_closed_its_prints_is_seen() {
    #[offload(process)]
    fn ends(path: String) -> Result<(), Error> {
        let nothing = fs::File::create("/dev/null").unwrap();
        rustix::stdio::dup2_stdout(&nothing).unwrap();
        rustix::stdio::dup2_stderr(&nothing).unwrap();
        fs::write(path, start_with_all_files().to_string()).unwrap();
        // So that the end of what is printed is seen by itself.
        std::thread::sleep(Duration::from_millis(100));
        std::process::exit(3)
    }

    let told = Told::new();
    let start = Instant::now();
    let error = block_on(ends(told.path())).unwrap_err();
    assert!(start.elapsed() < PATIENCE, "it was told by the end of what it had started");
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::WorkerDied, Some(3)), "{error}");
    let child = number(&told.path());
    settle("what it started has died", || !runs(child));
}

#[test]
fn a_body_that_closes_all_files_and_returns_is_told_so() {
    #[offload(process)]
    fn closes_all() -> Result<(), Error> {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let open: Vec<_> = open.map(|entry| entry.unwrap().file_name()).collect();
        for name in open {
            let number: i32 = name.to_str().unwrap().parse().unwrap();
            // SAFETY: none that matters: that a body closes what is not its own is the subject.
            #[expect(unsafe_code, reason = "a body that closes all files is the subject")]
            let file = unsafe { std::fs::File::from_raw_fd(number) };
            // The one by which the folder was read is closed already.
            if number > 2 && rustix::io::fcntl_getfd(&file).is_ok() {
                drop(file);
            } else {
                std::mem::forget(file);
            }
        }
        Ok(())
    }

    let error = block_on(closes_all()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe));
    assert!(error.to_string().contains("has a body closed files that are not its own"), "{error}");
}

#[test]
fn a_worker_that_becomes_another_program_is_killed() {
    #[offload(process)]
    fn becomes_another() -> Result<(), Error> {
        panic!("{}", Command::new("sleep").arg("1000").exec())
    }

    let error = block_on(becomes_another()).unwrap_err();
    assert_eq!((error.kind(), error.ran()), (ErrorKind::WorkerDied, Ran::Maybe));
    assert_eq!((error.signal(), error.exit_code()), (None, None));
    assert!(error.to_string().contains("closed its channel"), "{error}");
    assert!(!is_there(error.pid().unwrap()));
}

/// As systemd and container runtimes do, to all processes of a service.
#[test]
fn a_signal_to_the_whole_service_leaves_its_parent_to_end_the_call() {
    #[offload(process)]
    fn goes_on(path: String) -> Result<String, Error> {
        tell(&path);
        settle("it goes on", || fs::exists(format!("{path}.go")).unwrap());
        // What it starts is ended by a signal, as ever.
        let other = Command::new("sh").args(["-c", "kill -TERM $$; echo lives on"]).output();
        Ok(String::from_utf8(other.unwrap().stdout).unwrap())
    }

    let told = Told::new();
    let call = begin(goes_on(told.path()));
    let worker = Pid::from_raw(told.pid().cast_signed()).unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        kill_process(worker, signal).unwrap();
    }
    fs::write(told.path() + ".go", "").unwrap();
    assert_eq!(block_on(call).unwrap(), "");
}

/// Also to workers that start, and that are idle.
#[test]
fn a_signal_to_the_whole_service_ends_no_worker() {
    static POOL: ProcessPool = ProcessPool::new("signalled").workers(1).on_start(|| {
        let own = rustix::process::getpid();
        for signal in [Signal::TERM, Signal::INT] {
            kill_process(own, signal).unwrap();
        }
    });

    #[offload(process, pool = POOL)]
    fn pid() -> Result<u32, Error> {
        Ok(std::process::id())
    }

    let worker = block_on(pid()).unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), signal).unwrap();
        assert_eq!(block_on(pid()).unwrap(), worker);
    }
    assert_eq!(workers("signalled").restarts, 0);
}

/// A program that gives its calls a grace then, and what the signal makes of it.
#[test]
fn a_program_that_shuts_down_at_a_signal_to_all_of_its_service_has_the_results_of_its_calls() {
    for (signal, said) in [(Signal::TERM, "terminated"), (Signal::INT, "interrupted")] {
        let folder = tempfile::tempdir().unwrap();
        let parent = start("serve", folder.path(), |command| command.process_group(0));
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let workers = ["0", "1"].map(|name| number(&path(name)));
        // Workers have groups of their own, and are in the same cgroup.
        kill_process_group(Pid::from_child(&parent), signal).unwrap();
        for worker in workers {
            kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), signal).unwrap();
        }
        settle("it shuts down", || folder.path().join("ends").exists());
        fs::write(path("go"), "").unwrap();
        let output = parent.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text, format!("{said}\nOk(0)\nOk(1)\n"));
        assert!(output.status.success(), "{:?}", output.status);
        assert!(!workers.iter().any(|worker| runs(*worker)));
    }
}

fn start(mode: &str, folder: &Path, set: impl FnOnce(&mut Command) -> &mut Command) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parent"));
    set(command.arg(mode).arg(folder)).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_worker_that_dies_while_much_is_sent_to_it_kills_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let parent = start("send", folder.path(), |command| command);
    for name in ["0", "1", "2"] {
        let worker = number(folder.path().join(name).to_str().unwrap());
        match name {
            "1" => settle("it is asked whether it is there", || receives(parent.id())),
            _ => settle("there is no more room", || sends(parent.id())),
        }
        kill_process(Pid::from_raw(worker.cast_signed()).unwrap(), Signal::KILL).unwrap();
    }
    let output = parent.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    // Two were read by nobody, and another worker had them. Of the third a part is sent, and kept nowhere.
    let once = "Ok(1048576)\nOk(1048576)\nErr((WorkerDied, No))\n";
    let before_it_was_written = "Ok(false)\nErr((WorkerDied, No))\n";
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, format!("{once}{before_it_was_written}"));
}

#[test]
fn files_that_are_open_in_the_parent_are_closed_in_a_worker() {
    static POOL: ProcessPool = ProcessPool::new("files").workers(1);

    #[offload(process, pool = POOL)]
    fn open() -> Result<Vec<String>, Error> {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        Ok(open.map(|file| file.to_str().unwrap().to_owned()).collect())
    }

    let file = tempfile::NamedTempFile::new().unwrap();
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).unwrap();
    let open = block_on(open()).unwrap();
    let name = file.path().to_str().unwrap();
    assert!(!open.iter().any(|file| file == name), "{open:?}");
    // Its channels are there, and nothing else.
    assert!(open.len() <= 8, "{open:?}");
}

/// It has the working directory of its parent, and none of the arguments.
#[test]
fn a_worker_has_no_arguments_and_the_folder_of_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_parent"))
        .args(["surroundings", "another argument"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, format!("1 {}\n", folder.display()), "{output:?}");
}

#[test]
fn what_a_dead_worker_causes_kills_nobody() {
    let output = Command::new(env!("CARGO_BIN_EXE_parent"))
        .args(["cancel", tempfile::tempdir().unwrap().path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
