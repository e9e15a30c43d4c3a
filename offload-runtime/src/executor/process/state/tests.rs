//! What is decided of workers, at times that these tests make up.

use std::time::Duration;

use super::*;
use crate::executor::threads::{Kind, Pool};

/// Starts that may fail in a row.
const MOST: u32 = 3;

/// Workers that may start at the same time.
const AT_ONCE: usize = 2;

static THREADS: Pool = Pool::new("of processes", Kind::Process);

/// What becomes of a state, and whether another worker is wanted after that.
type Case = (&'static str, Change, Option<&'static str>);

type Change = fn(&mut State, Instant);

fn handle() -> Arc<KillHandle> {
    Arc::new(KillHandle::new(0, Duration::ZERO, &THREADS))
}

/// A pool of at most four, of which so many have a call.
fn at_work(workers: usize) -> State {
    let handles = (0..workers).map(|_| handle()).collect();
    State { alive: workers, handles, limit: 4, ..State::new() }
}

/// So many in a row did not start up, all just now.
fn fail(state: &mut State, times: u32, now: Instant) {
    for _ in 0..times {
        state.start_failed(state.starts.opened, "no fonts".to_owned(), false, MOST, now);
        state.starts.failure = None;
    }
}

fn later(now: Instant, millis: u64) -> Instant {
    now + Duration::from_millis(millis)
}

fn check(cases: &[Case], after: u64) {
    for (what, change, wanted) in cases {
        let (mut state, now) = (at_work(1), Instant::now());
        change(&mut state, now);
        assert_eq!(state.wants_another(MOST, AT_ONCE, later(now, after)), *wanted, "{what}");
    }
}

#[test]
fn another_is_started_when_it_is_wanted_and_there_may_be_one() {
    check(
        &[
            ("all are at work", |_, _| (), Some("ahead of need")),
            ("none is", |state, _| *state = at_work(0), None),
            ("one is on its way", |state, _| state.starts.under_way = 1, None),
            ("a call waits", |state, _| state.waiting = 1, Some("a call waits for it")),
            (
                "a call waits, for which one is on its way",
                |state, _| (state.waiting, state.starts.under_way) = (1, 1),
                None,
            ),
            (
                "two calls wait",
                |state, _| (state.waiting, state.starts.under_way) = (2, 1),
                Some("a call waits for it"),
            ),
            (
                "as many start as there are cores",
                |state, _| (state.waiting, state.starts.under_way) = (3, AT_ONCE),
                None,
            ),
            (
                "there are as many as there may be",
                |state, _| {
                    *state = at_work(4);
                    state.waiting = 1;
                },
                None,
            ),
            (
                "fewer are there than are kept ready",
                |state, _| state.kept = 2,
                Some("it is kept ready"),
            ),
            ("as many are", |state, _| (state.kept, state.starts.under_way) = (2, 1), None),
            (
                "somebody waits until one is ready, and none is there",
                |state, _| {
                    *state = at_work(0);
                    state.until_ready.push((1, Waker::noop().clone()));
                },
                Some("it is kept ready"),
            ),
            (
                "it is closed",
                |state, _| (state.waiting, state.kept, state.is_closed) = (1, 2, true),
                None,
            ),
            (
                "who waits is to be told of a failure first",
                |state, now| {
                    state.waiting = 1;
                    state.start_failed(
                        state.starts.opened,
                        "no fonts".to_owned(),
                        false,
                        MOST,
                        now,
                    );
                },
                None,
            ),
        ],
        0,
    );
}

#[test]
fn after_one_that_was_of_no_use_only_a_call_has_another_started_for_a_second() {
    let cases: [(_, Change, _, _); 4] = [
        ("none is wanted but ahead", |state, now| fail(state, 1, now), None, Some("ahead of need")),
        (
            "some are kept ready",
            |state, now| {
                fail(state, 1, now);
                state.kept = 2;
            },
            None,
            Some("it is kept ready"),
        ),
        (
            "a call waits",
            |state, now| {
                fail(state, 1, now);
                state.waiting = 1;
            },
            Some("a call waits for it"),
            Some("a call waits for it"),
        ),
        (
            "it has ended soon after its start",
            |state, now| state.starts.ended(now, false, now),
            None,
            Some("ahead of need"),
        ),
    ];
    for (what, change, at_once, after) in cases {
        check(&[(what, change, at_once)], 999);
        check(&[(what, change, after)], 1000);
    }
}

#[test]
fn after_too_many_that_were_of_no_use_none_is_started_for_a_second_and_then_one() {
    let (mut state, now) = (at_work(0), Instant::now());
    state.waiting = 2;
    fail(&mut state, MOST - 1, now);
    assert_eq!(state.wants_another(MOST, AT_ONCE, now), Some("a call waits for it"));
    assert_eq!(state.given_up(MOST, now), None);
    fail(&mut state, 1, now);
    let soon = later(now, 999);
    assert_eq!(state.wants_another(MOST, AT_ONCE, soon), None);
    let why = state.given_up(MOST, soon).unwrap();
    assert!(why.starts_with("3 in a row did not start up") && why.ends_with("no fonts"), "{why}");
    let then = later(now, 1000);
    assert_eq!(state.given_up(MOST, then), None);
    assert_eq!(state.wants_another(MOST, AT_ONCE, then), Some("a call waits for it"));
    state.starts.under_way = 1;
    assert_eq!(state.wants_another(MOST, AT_ONCE, then), None, "one is tried at a time");
    state.starts.under_way = 0;
    // None is kept ready: `min_workers` is reached, and no call waits.
    (state.waiting, state.kept) = (0, 2);
    assert_eq!(state.wants_another(MOST, AT_ONCE, then), None);
    assert_eq!(state.look_again(MOST), None);
}

#[test]
fn a_worker_was_of_use_if_it_has_run_a_call_or_was_there_for_long() {
    let (mut state, now) = (at_work(0), Instant::now());
    let cases = [(false, 0, false), (false, 9_999, false), (false, 10_000, true), (true, 0, true)];
    for (has_run, millis, was_of_use) in cases {
        fail(&mut state, MOST, now);
        state.starts.ended(now, has_run, later(now, millis));
        let is_given_up = state.given_up(MOST, later(now, millis)).is_some();
        assert_eq!(is_given_up, !was_of_use, "after {millis} ms");
        state.starts.begin_anew();
    }
}

#[test]
fn one_that_was_killed_as_it_started_up_is_tried_again_at_once_but_not_for_ever() {
    let (mut state, now) = (at_work(0), Instant::now());
    state.waiting = 1;
    for _ in 1..MOST {
        state.start_failed(state.starts.opened, "killed".to_owned(), true, MOST, now);
        assert_eq!(state.wants_another(MOST, AT_ONCE, now), Some("a call waits for it"));
    }
    state.start_failed(state.starts.opened, "killed".to_owned(), true, MOST, now);
    assert_eq!(state.wants_another(MOST, AT_ONCE, now), None);
    assert_eq!(state.starts.failure.as_deref(), Some("killed"));
    assert!(state.given_up(MOST, now).is_some());
}

#[test]
fn those_that_are_kept_ready_are_looked_after_a_second_after_one_of_no_use() {
    let (mut state, now) = (at_work(0), Instant::now());
    state.kept = 1;
    assert_eq!(state.look_again(MOST), None, "nothing keeps them from being started");
    fail(&mut state, 1, now);
    assert_eq!(state.look_again(MOST), Some(now + PAUSE));
    state.starts.is_scheduled = true;
    assert_eq!(state.look_again(MOST), None);
    state.starts.is_scheduled = false;
    state.starts.under_way = 1;
    assert_eq!(state.look_again(MOST), None);
}

/// The call that waits came after the pool was opened.
#[test]
fn a_start_that_was_ended_as_its_pool_was_closed_fails_no_call_of_the_pool_that_is_open_again() {
    let now = Instant::now();
    let mut state = at_work(0);
    let before = state.starts.opened;
    state.starts.begin_anew();
    state.waiting = 1;
    for _ in 0..MOST {
        state.start_failed(before, "its pool is closed".to_owned(), false, MOST, now);
    }
    assert_eq!(state.starts.failure, None);
    assert_eq!(state.given_up(MOST, now), None);
    assert_eq!(state.wants_another(MOST, AT_ONCE, now), Some("a call waits for it"));
    state.start_failed(state.starts.opened, "no fonts".to_owned(), false, MOST, now);
    assert_eq!(state.starts.failure.as_deref(), Some("no fonts"));
}
