//! One worker, as its parent sees it: started, and talked to.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::Signal;

use super::child::Process;
use super::control::Control;
use super::descendants::Mark;
use super::events::{Places, Replay};
use super::kill_handle::Held;
use super::memory;
use super::messages::{Hello, Kind, MAX_HEAD, MAX_NOTE};
use super::plan::Plan;
use super::stderr::{OnEnd, Stderr};
use super::way::{MARK, Way};
use crate::system::pipe::pipe;
use crate::wire::frames::{Frame, Incoming, Outgoing, ReadError};
use crate::wire::{codec, registry};

/// So long a worker may take to start up.
const START: Duration = Duration::from_secs(60);

/// So long a worker may take to end when it is asked to, at least.
pub(super) const END: Duration = Duration::from_secs(1);

/// No signal, if the other end is closed: older versions of the standard library raise it for such sockets.
const QUIETLY: SendFlags = {
    #[cfg(target_vendor = "apple")]
    let no_signal = SendFlags::empty();
    #[cfg(not(target_vendor = "apple"))]
    let no_signal = SendFlags::NOSIGNAL;
    no_signal
};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Worker {
    process: Process,
    /// Requests and answers.
    data: Arc<UnixStream>,
    control: Arc<Control>,
    incoming: Incoming,
    /// What its bodies have described, for what they say.
    places: Places,
    /// That of the last request, for the next.
    buffer: Vec<u8>,
    /// Calls that it has run.
    calls: u64,
    since: Instant,
    /// Reads and writes fail after this.
    deadline: Option<Instant>,
    stderr: Arc<Stderr>,
}

/// What is left of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    pub(crate) pid: u32,
    pub(crate) status: Option<ExitStatus>,
    /// The last that it printed.
    pub(crate) stderr: String,
    /// It closed its channel and went on, until it was killed.
    pub(crate) closed: bool,
}

impl Dead {
    /// It ended itself by `abort`.
    pub(crate) fn is_aborted(&self) -> bool {
        self.status.and_then(|status| status.signal()) == Some(Signal::ABORT.as_raw())
    }
}

/// A worker that did not start up.
#[derive(Debug)]
pub(crate) struct NotReady {
    pub(crate) reason: String,
    /// A signal killed it: perhaps the next one is luckier.
    pub(crate) was_killed: bool,
    /// None, if there was no process.
    pub(crate) pid: Option<u32>,
}

impl NotReady {
    /// There was no process.
    pub(crate) fn of(reason: String) -> NotReady {
        NotReady { reason, was_killed: false, pid: None }
    }
}

impl Worker {
    /// Starts a process, and waits until it is ready. `is_wanted` is told the channel; when that is
    /// closed, nobody wants the worker any more.
    pub(crate) fn start(
        hello: &Hello,
        plan: &Plan,
        way: &Way,
        on_end: OnEnd,
        is_wanted: impl FnOnce(&Arc<UnixStream>) -> bool,
    ) -> Result<Worker, NotReady> {
        let denied = |error: io::Error| NotReady::of(format!("the system denied it: {error}"));
        let mut worker = Worker::spawn(plan, way, hello.max_message, on_end).map_err(denied)?;
        if !is_wanted(&worker.data) {
            return Err(NotReady::of("its pool is closed".into()));
        }
        worker.greet(hello).map_err(|problem| {
            let dead = worker.reap();
            let signal = dead.status.and_then(|status| status.signal());
            // If it said why it is not ready, the signal was ours.
            let was_killed = problem.is_none() && signal.is_some();
            let status = match dead.status {
                Some(status) if problem.is_none() => format!(", {status}"),
                _ => String::new(),
            };
            let stderr = match dead.stderr.trim_end() {
                "" => String::new(),
                text => format!("; it said: {text}"),
            };
            let problem = problem.unwrap_or_else(|| {
                "it ended before it was ready: is `offload_runtime::init()` first in `main`, before \
                 anything that reads or prints?"
                    .into()
            });
            let reason = format!("{problem} (process {}{status}{stderr})", dead.pid);
            NotReady { reason, was_killed, pid: Some(dead.pid) }
        })?;
        Ok(worker)
    }

    fn spawn(plan: &Plan, way: &Way, max_message: usize, on_end: OnEnd) -> io::Result<Worker> {
        let (data, theirs) = UnixStream::pair()?;
        // Whoever reads its standard input before it is a worker waits for nothing.
        theirs.set_nonblocking(true)?;
        let (listener, control) = Control::new()?;
        let (prints, printed) = pipe()?;
        // Before the process is there, so that nothing can fail after.
        let stderr = Stderr::read_from(prints, on_end)?;
        let mut command = Command::new(registry::program()?);
        plan.environment.apply(&mut command);
        let mark = Mark::new();
        mark.apply(&mut command);
        let child = command
            .arg0(MARK)
            .args(way.arguments())
            .process_group(0)
            // The worker gives these two other numbers before foreign code runs.
            .stdin(OwnedFd::from(theirs))
            .stdout(listener)
            .stderr(printed)
            .spawn()?;
        let worker = Worker {
            process: Process::new(child, mark),
            data: Arc::new(data),
            control: Arc::new(control),
            incoming: Incoming::new(max_message.max(MAX_NOTE).saturating_add(MAX_HEAD)),
            places: Places::default(),
            buffer: Vec::new(),
            calls: 0,
            since: Instant::now(),
            deadline: None,
            stderr,
        };
        // An old system does not know how; then the ends of its files tell.
        let _ = worker.stderr.belongs_to(worker.process.pid(), &worker.data);
        Ok(worker)
    }

    /// Says who is there, and waits until the worker is ready. An error: it is
    /// not; why, if it said so.
    fn greet(&mut self, hello: &Hello) -> Result<(), Option<String>> {
        let give_up = Instant::now() + START;
        self.set_deadline(Some(give_up));
        let mut message = Outgoing::new(Kind::Hello as u8, MAX_NOTE);
        codec::encode(hello, &mut message).map_err(Some)?;
        let message = message.finish().map_err(|_| None)?;
        let mut is_here = false;
        let mut replay = Replay::new(Places::default());
        loop {
            match self.read() {
                Ok(frame) => match Kind::of(frame.kind) {
                    Some(Kind::Here) if !is_here => {
                        is_here = true;
                        // It is short, and there is room for all of it.
                        self.write(&message).map_err(|_| None)?;
                    }
                    Some(Kind::Ready) => {
                        self.places = replay.into_places();
                        return Ok(());
                    }
                    Some(Kind::Rejected) => {
                        return Err(Some(String::from_utf8_lossy(frame.payload).into_owned()));
                    }
                    Some(Kind::Event) => replay.replay(frame.payload),
                    // What a start-up function catches is its own affair.
                    Some(Kind::Panicking) => {}
                    _ => return Err(Some("it does not talk as a worker does".into())),
                },
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    if give_up <= Instant::now() {
                        let what = match is_here {
                            true => format!("it did not start up within {START:?}"),
                            false => format!(
                                "it did not come to `offload_runtime::init()` within {START:?}: is that \
                                 first in `main`?"
                            ),
                        };
                        return Err(Some(what));
                    }
                    self.set_deadline(Some(give_up));
                }
                Err(_) => return Err(None),
            }
        }
    }

    /// It has run another call.
    pub(crate) fn count_call(&mut self) {
        self.calls += 1;
    }

    /// Calls that it has run.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// When it was started.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has printed so far is of no call from now on.
    pub(super) fn forget_printed(&self) {
        self.stderr.forget();
    }

    /// The same where nobody has it at this moment. Whether that was so.
    pub(super) fn try_forget_printed(&self) -> bool {
        self.stderr.try_forget()
    }

    /// It is about to get the call with this number. For the kill handle.
    pub(crate) fn begin(&self, number: u64) -> Held {
        let (data, control) = (Arc::clone(&self.data), Arc::clone(&self.control));
        Held { data, control, number }
    }

    /// A message to be filled in, in the buffer of an earlier one.
    pub(crate) fn message(&mut self, kind: Kind) -> Outgoing {
        Outgoing::reuse(std::mem::take(&mut self.buffer), kind as u8, MAX_NOTE)
    }

    /// Keeps the buffer of a message that was sent.
    pub(crate) fn keep_buffer(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// For a call, which gives them back.
    pub(crate) fn take_places(&mut self) -> Places {
        std::mem::take(&mut self.places)
    }

    pub(crate) fn keep_places(&mut self, places: Places) {
        self.places = places;
    }

    /// Reads and writes fail at this time.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_none() && self.deadline.is_none() {
            return;
        }
        self.deadline = deadline;
        // It fails for zero only.
        let _ = self.data.set_read_timeout(self.left());
    }

    /// How long that is from now.
    fn left(&self) -> Option<Duration> {
        // The system would take zero for no limit.
        let left = |at: Instant| {
            at.saturating_duration_since(Instant::now()).max(Duration::from_micros(1))
        };
        self.deadline.map(left)
    }

    /// Writes what there is room for now, and says how much that was. Errors are not told: whoever writes the rest or
    /// reads the answer meets them.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> usize {
        send(&*self.data, bytes, QUIETLY.union(SendFlags::DONTWAIT)).unwrap_or(0)
    }

    /// Writes some of it.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // A small request finds room, and then the limit is not needed.
        match send(&*self.data, bytes, QUIETLY.union(SendFlags::DONTWAIT)) {
            Err(Errno::AGAIN) => {
                let _ = self.data.set_write_timeout(self.left());
                Ok(send(&*self.data, bytes, QUIETLY)?)
            }
            result => Ok(result?),
        }
    }

    /// The next frame.
    pub(crate) fn read(&mut self) -> Result<Frame<'_>, ReadError> {
        self.incoming.read(&mut &*self.data)
    }

    /// Whether nothing has come with the last frame that is not read yet.
    pub(crate) fn is_quiet(&self) -> bool {
        self.incoming.is_empty()
    }

    /// Whether the end of the process was noticed.
    pub(crate) fn has_ended(&self) -> bool {
        self.stderr.has_ended()
    }

    /// Whether it can take a call, as far as one can see: one that is killed
    /// just now still looks so.
    pub(crate) fn is_alive(&self) -> bool {
        // An idle worker says nothing: what can be read is its end.
        let look = RecvFlags::DONTWAIT | RecvFlags::PEEK;
        !self.has_ended() && matches!(recv(&*self.data, &mut [0; 1], look), Err(Errno::AGAIN))
    }

    /// What it holds in memory that is its own, in bytes, where the system
    /// tells.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory::private(self.pid())
    }

    /// Kills it and what it started, if they live, and reaps it.
    pub(crate) fn reap(&mut self) -> Dead {
        let status = self.process.kill();
        Dead { pid: self.pid(), status, stderr: self.stderr.tail(), closed: false }
    }

    /// The same if it has closed its channel: it is about to end, or was made another program.
    pub(crate) fn reap_closed(&mut self) -> Dead {
        let closed = !self.process.ends_by_itself(END);
        let dead = self.reap();
        // The signal was ours.
        let status = dead.status.filter(|_| !closed);
        Dead { status, closed, ..dead }
    }

    /// Lets it end by itself, which takes it a moment.
    pub(super) fn ask_to_end(&self) {
        // It ends when no more can come.
        let _ = self.data.shutdown(Shutdown::Write);
    }

    /// Waits until it has, or time is over, which is asked again then: there may be more of it by now.
    pub(super) fn await_end(&self, latest: impl Fn() -> Instant) {
        loop {
            let left = latest().saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let _ = self.data.set_read_timeout(Some(left.min(END)));
            match (&*self.data).read(&mut [0; 64]) {
                // It has closed its end.
                Ok(0) => return,
                Ok(_) => {}
                // What it has started by `fork` has that end open, too.
                Err(error) if is_early(&error) => {
                    if self.process.ends_by_itself(Duration::ZERO) {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}

/// Nothing has come yet, which says nothing of the other end.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
