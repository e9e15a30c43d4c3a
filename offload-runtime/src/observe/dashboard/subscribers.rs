//! Who looks at the dashboard, and the one thread that takes the numbers for all
//! of them. It is there while somebody looks.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, Once};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ::axum::body::Bytes;
use http_body::{Body, Frame};

use super::recent::Recents;
use super::view::{self, Json};
use crate::api::shutdown;
use crate::sync::foreign::{drop_quietly, quietly};
use crate::system::abort::{Unpoisoned, abort_on_panic};

/// How often the numbers are taken.
const PERIOD: Duration = Duration::from_secs(1);

/// The most event streams at the same time.
const MOST: usize = 16;

/// After this long a response ends and the page asks again, so that a server
/// that waits for its responses before it stops does not wait for ever.
const LONGEST_RESPONSE: Duration = Duration::from_secs(20);

/// What the page waits before it asks again, in milliseconds.
const RETRY: &str = "retry: 1000\n\n";

/// The thread stays for this many periods after the last has left: the page
/// may just be asking again.
const KEEP: u32 = 3;

static SUBSCRIBERS: Subscribers = Subscribers {
    state: Mutex::new(State {
        subscribers: Vec::new(),
        number: 0,
        sampling: false,
        latest: None,
        taken: 0,
        closed: false,
        last: None,
    }),
    changed: Condvar::new(),
};

struct Subscribers {
    state: Mutex<State>,
    /// Notified when the dashboard is closed.
    changed: Condvar,
}

struct State {
    subscribers: Vec<Subscriber>,
    number: u64,
    /// The thread is there.
    sampling: bool,
    latest: Option<Json>,
    /// How many times numbers were taken.
    taken: u64,
    closed: bool,
    /// What those who still look get when it was closed.
    last: Option<Json>,
}

struct Subscriber {
    number: u64,
    waker: Option<Waker>,
}

fn lock() -> MutexGuard<'static, State> {
    SUBSCRIBERS.state.lock().unpoisoned()
}

/// The numbers: those that were taken for who looks, or, if nobody does, those
/// of now.
pub(super) fn latest() -> Json {
    let state = lock();
    let (latest, closed) = (state.latest.clone(), state.closed);
    drop(state);
    latest.unwrap_or_else(|| view::json(&mut Recents::default(), closed))
}

/// Ends the responses of all who look at a [`dashboard`](super::dashboard), and
/// opens no more, so that a server that stops need not wait for them.
///
/// [`shutdown`](crate::shutdown) does this too. It cannot be undone. The page says that the server
/// is shutting down, and shows what ran and waited then.
pub fn close_dashboard() {
    let mut state = lock();
    state.closed = true;
    SUBSCRIBERS.changed.notify_all();
    wake_all(state);
}

/// Wakers are foreign code: called while nothing is locked.
fn wake_all(mut state: MutexGuard<'_, State>) {
    let wakers: Vec<_> = state.subscribers.iter_mut().filter_map(|one| one.waker.take()).collect();
    drop(state);
    for waker in wakers {
        quietly(|| waker.wake());
    }
}

/// What one who looks gets: the body of a response without end.
pub(super) struct Feed {
    number: u64,
    /// It shows messages.
    has_messages: bool,
    /// The number of the sample that was sent last.
    seen: Option<u64>,
    /// The final sample was sent.
    is_over: bool,
    until: Instant,
    /// While somebody looks, the event loop is watched.
    #[cfg(feature = "watch")]
    _watching: Option<crate::observe::watch::Watching>,
}

impl Feed {
    /// `None`: as many look as may, or there will be no numbers.
    pub(super) fn open(has_messages: bool) -> Option<Feed> {
        static ON_SHUTDOWN: Once = Once::new();
        ON_SHUTDOWN.call_once(|| shutdown::on_shutdown(close_dashboard));
        let mut state = lock();
        if state.closed || state.subscribers.len() >= MOST {
            return None;
        }
        if !state.sampling {
            let run = || abort_on_panic("the thread of the dashboard's numbers", take_numbers);
            thread::Builder::new().name("offload-numbers".into()).spawn(run).ok()?;
            state.sampling = true;
        }
        state.number += 1;
        let number = state.number;
        state.subscribers.push(Subscriber { number, waker: None });
        drop(state);
        Some(Feed {
            number,
            has_messages,
            seen: None,
            is_over: false,
            until: Instant::now() + LONGEST_RESPONSE,
            #[cfg(feature = "watch")]
            _watching: crate::observe::watch::Watching::here(),
        })
    }
}

impl Body for Feed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let waker = cx.waker().clone();
        let mut state = lock();
        if self.is_over || self.until <= Instant::now() {
            return Poll::Ready(None);
        }
        let is_new = self.seen != Some(state.taken);
        let latest = if state.closed { &state.last } else { &state.latest };
        if let Some(latest) = latest.clone().filter(|_| is_new || state.closed) {
            let first = self.seen.is_none();
            self.seen = Some(state.taken);
            self.is_over = state.closed;
            drop(state);
            let json = if self.has_messages { latest.with_messages } else { latest.plain };
            return Poll::Ready(Some(Ok(Frame::data(event(first, &json)))));
        }
        let number = self.number;
        let subscriber =
            state.subscribers.iter_mut().find(|subscriber| subscriber.number == number);
        let old = subscriber.and_then(|subscriber| subscriber.waker.replace(waker));
        drop(state);
        drop(old);
        Poll::Pending
    }
}

/// JSON has no line breaks, so it is one line of data.
fn event(first: bool, json: &Bytes) -> Bytes {
    let start = if first { RETRY } else { "" };
    [start.as_bytes(), b"data: ", json, b"\n\n"].concat().into()
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut state = lock();
        let place =
            state.subscribers.iter().position(|subscriber| subscriber.number == self.number);
        let subscriber = place.map(|place| state.subscribers.swap_remove(place));
        drop(state);
        // Its waker, too, while nothing is locked.
        drop_quietly(subscriber);
    }
}

/// What the thread does.
fn take_numbers() {
    let mut recents = Recents::default();
    let mut due = Instant::now();
    let mut alone = 0;
    loop {
        let closed = lock().closed;
        let json = view::json(&mut recents, closed);
        let mut state = lock();
        alone = if state.subscribers.is_empty() { alone + 1 } else { 0 };
        if closed || alone > KEEP {
            state.sampling = false;
            state.latest = None;
            state.last = closed.then_some(json);
            return wake_all(state);
        }
        state.latest = Some(json);
        state.taken += 1;
        wake_all(state);
        due += PERIOD;
        let mut state = lock();
        loop {
            let now = Instant::now();
            if now >= due || state.closed {
                break;
            }
            let woken = SUBSCRIBERS.changed.wait_timeout(state, due - now);
            state = woken.unpoisoned().0;
        }
        // After a pause of the whole machine, no periods are made up for.
        due = due.max(Instant::now() - PERIOD / 2);
    }
}
