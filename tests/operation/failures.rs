//! What a function has to return to carry an `Error`, and what the error says.

use std::error::Error as _;
use std::io;
use std::sync::mpsc;

use futures::executor::block_on;
use offload_runtime::{CpuPool, Error, ErrorKind, Ran, ThreadPool, check_cancelled, offload};

use crate::support::{Gate, PATIENCE};

/// Calls of these functions are always rejected: their queues have no room, and
/// a first call holds the only permit.
macro_rules! always_rejected {
    ($name:ident -> $result:ty, $body:expr) => {
        #[offload(thread, limit = 1, queue = 0, name = "rejected")]
        fn $name(gate: Gate) -> $result {
            gate.pass();
            $body
        }
    };
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("not offloaded: {0}")]
    Offload(#[from] Error),
    #[error("no such page")]
    Missing,
}

type Page<T> = Result<T, Problem>;

always_rejected!(own -> Result<(), Error>, Ok(()));
always_rejected!(any -> anyhow::Result<()>, Ok(()));
always_rejected!(boxed -> Result<(), Box<dyn std::error::Error + Send + Sync>>, Ok(()));
always_rejected!(io_result -> io::Result<()>, Ok(()));
always_rejected!(aliased -> Page<()>, Err(Problem::Missing));

/// The answer to a call that finds another one running.
macro_rules! second_answer {
    ($function:ident) => {{
        let gate = Gate::default();
        let first = crate::support::begin($function(gate.clone()));
        gate.wait_for(1);
        let answer = block_on($function(gate.clone()));
        gate.open();
        let _ = block_on(first);
        answer.unwrap_err()
    }};
}

#[test]
fn the_error_fits_in_what_functions_return() {
    let is_it = |error: &Error| {
        assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No));
    };
    is_it(&second_answer!(own));
    is_it(second_answer!(any).downcast_ref().unwrap());
    is_it(second_answer!(boxed).downcast_ref().unwrap());
    match second_answer!(aliased) {
        Problem::Offload(error) => is_it(&error),
        Problem::Missing => panic!("the body ran"),
    }
    let error = second_answer!(io_result);
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    is_it(error.get_ref().unwrap().downcast_ref().unwrap());
}

/// Without an option that demands a result with room for an `Error`: one that has it gets it.
mod without_options {
    use super::*;

    static ONE: ThreadPool = ThreadPool::new("one, and one that waits").threads(1).queue(1);
    static PAGES: CpuPool = CpuPool::new("of pages").threads(1).queue(1);

    /// Two calls are on their way, one in its body and one in the queue: a third is too many.
    macro_rules! third_answer {
        ($function:expr) => {{
            let gate = Gate::default();
            let first = crate::support::begin($function(gate.clone()));
            gate.wait_for(1);
            let second = crate::support::begin($function(gate.clone()));
            let answer = block_on($function(gate.clone()));
            gate.open();
            let _ = block_on(first);
            let _ = block_on(second);
            answer
        }};
    }

    #[offload(thread, pool = ONE)]
    fn plain(gate: Gate) -> Result<u64, Error> {
        gate.pass();
        Ok(1)
    }

    #[offload(thread, pool = ONE)]
    fn aliased(gate: Gate) -> Page<u64> {
        gate.pass();
        Ok(1)
    }

    #[offload(thread, pool = ONE)]
    fn opaque(gate: Gate) -> Result<impl Fn() -> u64 + Send + 'static, Error> {
        gate.pass();
        Ok(|| 1)
    }

    #[offload(thread, pool = ONE, sync = bounded_sync)]
    fn bounded<E: From<Error> + Send + 'static>(gate: Gate) -> Result<u64, E> {
        gate.pass();
        Ok(1)
    }

    trait Source {
        type Answer;

        async fn read(self, gate: Gate) -> Self::Answer;
    }

    impl Source for u8 {
        type Answer = Result<u8, Problem>;

        #[offload(cpu, pool = PAGES)]
        fn read(self, gate: Gate) -> Self::Answer {
            gate.pass();
            Ok(self)
        }
    }

    /// Nothing is known of them: they compile, and no more.
    mod unknown {
        use super::*;

        #[offload(thread)]
        fn unbounded<E: Send + 'static>(error: E) -> Result<u64, E> {
            Err(error)
        }

        #[offload(thread)]
        fn of_a_type<T: Send + 'static>(value: T) -> T {
            value
        }

        #[offload(thread)]
        fn whole() -> impl Iterator<Item = u8> {
            0..3
        }

        #[offload(thread)]
        fn error_without_a_name() -> Result<u8, impl std::error::Error> {
            "7".parse::<u8>()
        }

        #[test]
        fn they_are_called_as_ever() {
            assert_eq!(block_on(unbounded("a")), Err("a"));
            assert_eq!(block_on(of_a_type(Ok::<_, Error>(1))).unwrap(), 1);
            assert_eq!(block_on(whole()).sum::<u8>(), 3);
            assert_eq!(block_on(error_without_a_name()).unwrap(), 7);
        }
    }

    #[test]
    fn a_full_pool_is_an_error_for_every_result_that_can_carry_it() {
        let is_it = |error: Error| {
            assert_eq!((error.kind(), error.ran()), (ErrorKind::Overloaded, Ran::No));
        };
        let is_problem = |problem: Problem| match problem {
            Problem::Offload(error) => is_it(error),
            Problem::Missing => panic!("the body ran"),
        };
        is_it(third_answer!(plain).unwrap_err());
        is_problem(third_answer!(aliased).unwrap_err());
        is_it(third_answer!(opaque).map(|get| get()).unwrap_err());
        is_problem(third_answer!(bounded::<Problem>).unwrap_err());
        is_problem(third_answer!(|gate| 1_u8.read(gate)).unwrap_err());
    }
}

#[test]
fn the_own_errors_of_a_body_come_back_as_they_are() {
    // A function of its own: other tests keep the others busy.
    always_rejected!(free -> Page<()>, Err(Problem::Missing));

    let gate = Gate::default();
    gate.open();
    assert!(matches!(block_on(free(gate)), Err(Problem::Missing)));
}

#[test]
fn an_error_survives_the_trip_through_serde() {
    always_rejected!(serialised -> Result<(), Error>, Ok(()));

    let error = second_answer!(serialised);
    let json = serde_json::to_string(&error).unwrap();
    let back: Error = serde_json::from_str(&json).unwrap();
    assert_eq!(back.to_string(), error.to_string());
    assert_eq!((back.kind(), back.ran()), (error.kind(), error.ran()));
    assert_eq!(back.function(), "rejected");
    assert!(back.source().is_none());
}

/// As `Interrupted` it would be retried for ever.
#[test]
fn a_copy_whose_body_was_cancelled_ends() {
    struct Endless;

    impl io::Read for Endless {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            check_cancelled()?;
            Ok(room.len())
        }
    }

    #[offload(thread)]
    fn copies(begun: mpsc::Sender<()>, ended: mpsc::Sender<io::ErrorKind>) {
        begun.send(()).unwrap();
        let error = io::copy(&mut Endless, &mut io::sink()).unwrap_err();
        assert!(error.get_ref().unwrap().is::<Error>());
        ended.send(error.kind()).unwrap();
    }

    let (begin, begun) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let call = crate::support::begin(copies(begin, end));
    begun.recv_timeout(PATIENCE).unwrap();
    drop(call);
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(io::ErrorKind::Other));
}
