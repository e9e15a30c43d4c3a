//! A worker that answers more often than it is asked.

use super::*;
use crate::api::process_pool::ProcessPool;
use crate::executor::process::to_parent::{Then, write};
use crate::{Error, ErrorKind};

static POOL: ProcessPool = ProcessPool::new("answers twice").workers(1);

/// Answers with seven, so often, and then with what it was given.
#[offload_macros::offload(process, pool = POOL, crate = crate)]
fn answers(times: u32, given: u32) -> Result<u32, Error> {
    let number = CALL.lock().unpoisoned().number;
    let answer = with(Outgoing::new(Kind::Done as u8, MAX_NOTE), &number);
    let answer = whole(with(answer, &Ok::<u32, ()>(7)));
    for _ in 0..times {
        write(&answer, Then::Continue);
    }
    Ok(given)
}

#[test]
fn an_answer_that_is_given_twice_is_that_of_no_other_call() {
    for _ in 0..20 {
        assert_eq!(futures::executor::block_on(answers(1, 5)).unwrap(), 7);
        // Its own answer was left over. If it came late, it costs the call that has this worker.
        match futures::executor::block_on(answers(0, 6)) {
            Ok(number) => assert_eq!(number, 6),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WorkerDied, "{error}"),
        }
        assert_eq!(futures::executor::block_on(answers(0, 6)).unwrap(), 6);
    }
}
