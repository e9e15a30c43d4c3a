//! Passes what workers print to this process's stderr, from a thread of its own: whoever reads there
//! may take as long as they like, and no worker waits for that.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::{mem, thread};

use crate::system::abort::{Unpoisoned, abort_on_panic};

/// So many bytes may wait to be read. What comes beyond is left out.
const ROOM: usize = 1 << 20;

static PRINTER: Printer = Printer {
    waiting: Mutex::new(Waiting { bytes: Vec::new(), left_out: 0 }),
    changed: Condvar::new(),
};

/// See the [module](self).
struct Printer {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// So many bytes were left out after these.
    left_out: usize,
}

/// Starts the thread. To be called once.
pub(super) fn start() -> io::Result<()> {
    let run = || {
        abort_on_panic("the thread that passes on what workers print", || {
            PRINTER.print_all();
        });
    };
    thread::Builder::new().name("offload-print".into()).spawn(run).map(drop)
}

/// Passes this on, some time.
pub(super) fn print(bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let mut waiting = PRINTER.lock();
    // What is left out is left out in one piece.
    let is_full = waiting.left_out > 0 || waiting.bytes.len() + bytes.len() > ROOM;
    if is_full {
        waiting.left_out += bytes.len();
    } else {
        waiting.bytes.extend_from_slice(bytes);
    }
    PRINTER.changed.notify_one();
}

impl Printer {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unpoisoned()
    }

    fn print_all(&self) -> ! {
        loop {
            let mut waiting = self.lock();
            while waiting.bytes.is_empty() && waiting.left_out == 0 {
                waiting = self.changed.wait(waiting).unpoisoned();
            }
            let Waiting { bytes, left_out } = mem::take(&mut *waiting);
            drop(waiting);
            // There is nobody to tell that stderr is closed.
            let _ = io::stderr().write_all(&bytes);
            if left_out > 0 {
                let _ = writeln!(
                    io::stderr(),
                    "offload: {left_out} bytes that workers printed are left out here, since nobody \
                     has read the standard error for a while"
                );
            }
        }
    }
}

#[cfg(all(test, not(offload_loom)))]
mod tests {
    use super::*;
    use crate::system::abort::tests::{aborts, wait_for_the_end};

    #[test]
    fn the_thread_that_passes_on_what_workers_print_ends_the_process_if_it_panics() {
        let said = aborts("executor::process::printer::tests::child_whose_printer_panics");
        let words =
            "the thread that passes on what workers print panicked, which is a bug of it; aborting";
        assert!(said.contains(words), "{said}");
    }

    #[test]
    #[ignore = "run by another test, in a process of its own"]
    fn child_whose_printer_panics() {
        let poisons = || {
            let _waiting = PRINTER.lock();
            panic!("on purpose");
        };
        assert!(thread::spawn(poisons).join().is_err());
        start().unwrap();
        wait_for_the_end();
    }
}
