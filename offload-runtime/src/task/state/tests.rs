//! What each look at the word says, wherever a call is.

use super::*;

/// What is true of it, by the names of the questions.
fn is(state: &State) -> Vec<&'static str> {
    let all = [
        ("begun", state.has_begun()),
        ("cancelled", state.is_cancelled()),
        ("cancelled unstarted", state.is_cancelled_unstarted()),
        ("detached", state.is_detached()),
        ("done", state.is_done()),
        ("over", state.is_over()),
        ("queued", state.is_queued()),
        ("running", state.is_running()),
        ("unstarted", state.is_unstarted()),
    ];
    all.into_iter().filter_map(|(name, is_so)| is_so.then_some(name)).collect()
}

type Step = fn(&State) -> bool;

/// A state after these steps.
fn state(steps: &[Step]) -> State {
    let state = State::new();
    assert!(steps.iter().all(|step| step(&state)));
    state
}

#[test]
fn a_call_that_is_awaited_goes_from_one_phase_to_the_next() {
    let state = State::new();
    assert_eq!(is(&state), ["queued", "unstarted"]);
    assert!(state.set_waiting() && !state.set_waiting() && !state.begin());
    assert_eq!(is(&state), ["unstarted"]);
    assert!(state.requeue() && !state.requeue() && state.begin() && !state.begin());
    assert_eq!(is(&state), ["running"]);
    assert!(!state.resume() && !state.reclaim() && state.suspend());
    assert_eq!(is(&state), ["begun"]);
    assert!(state.reclaim() && !state.reclaim());
    assert_eq!(is(&state), ["begun", "running"]);
    assert!(state.suspend() && state.resume() && !state.resume());
    assert_eq!(is(&state), ["begun", "queued", "unstarted"]);
    assert_eq!(state.cancel_unstarted(), None);
    assert!(state.begin() && state.finish());
    assert_eq!(is(&state), ["begun", "done", "over"]);
}

#[test]
fn a_call_that_is_cancelled_does_not_start_and_its_result_is_not_taken() {
    let unstarted: [(&[Step], Phase); 2] =
        [(&[], Phase::Queued), (&[State::set_waiting], Phase::Waiting)];
    for (steps, phase) in unstarted {
        for is_late in [false, true] {
            let state = state(steps);
            match is_late {
                true => assert_eq!(state.cancel_unstarted(), Some(phase)),
                false => assert_eq!(state.cancel(), phase),
            }
            assert_eq!(is(&state), ["cancelled", "cancelled unstarted", "over"]);
            assert_eq!(state.cancel_unstarted(), None);
            assert!(!state.begin() && !state.set_waiting() && !state.requeue());
        }
    }
    let running = state(&[State::begin]);
    assert_eq!((running.cancel_unstarted(), running.cancel()), (None, Phase::Running));
    assert_eq!(is(&running), ["cancelled", "running"]);
    assert!(!running.suspend() && !running.finish());
    assert_eq!(is(&running), ["cancelled", "done", "over"]);
    let suspended = state(&[State::begin, State::suspend]);
    assert_eq!((suspended.cancel_unstarted(), suspended.cancel()), (None, Phase::Suspended));
    assert_eq!(is(&suspended), ["begun", "cancelled"]);
    assert!(!suspended.resume() && !suspended.reclaim());
    let resumed = state(&[State::begin, State::suspend, State::resume]);
    assert_eq!(resumed.cancel(), Phase::Queued);
    assert_eq!(is(&resumed), ["begun", "cancelled"]);
    let done = state(&[State::begin, State::finish]);
    assert_eq!((done.cancel_unstarted(), done.cancel()), (None, Phase::Done));
}

#[test]
fn a_call_that_is_let_go_runs_and_its_result_is_not_taken() {
    let state = State::new();
    assert_eq!(state.detach(), Phase::Queued);
    assert_eq!(is(&state), ["detached", "queued", "unstarted"]);
    assert!(state.set_waiting() && state.requeue() && state.begin());
    assert_eq!(is(&state), ["detached", "running"]);
    assert!(!state.suspend() && !state.finish());
    assert_eq!(is(&state), ["detached", "done", "over"]);
    assert_eq!(state.detach(), Phase::Done);
}

#[test]
fn a_body_that_is_told_to_stop_gives_its_result() {
    let state = state(&[State::begin]);
    state.tell_to_stop();
    assert_eq!(is(&state), ["cancelled", "running"]);
    assert!(state.suspend() && state.reclaim() && state.finish());
    assert_eq!(is(&state), ["begun", "cancelled", "done", "over"]);
}

#[cfg(feature = "process")]
#[test]
fn a_call_is_awaited_until_it_is_cancelled_or_let_go() {
    let flags: [fn(&State) -> Phase; 2] = [State::cancel, State::detach];
    for let_go in flags {
        let state = state(&[State::begin]);
        assert!(state.is_awaited());
        state.tell_to_stop();
        assert!(state.is_awaited());
        assert_eq!(let_go(&state), Phase::Running);
        assert!(!state.is_awaited());
    }
}
