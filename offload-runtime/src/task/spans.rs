//! The caller's tracing span in the body, and one of the call's own below it.

#[cfg(feature = "tracing")]
pub(crate) use with_tracing::Spans;

/// Without the feature `tracing` there are none.
#[cfg(not(feature = "tracing"))]
pub(crate) enum Spans {}

#[cfg(not(feature = "tracing"))]
impl Spans {
    pub(crate) fn here() -> Option<Spans> {
        None
    }

    pub(crate) fn again(&mut self) -> Spans {
        match *self {}
    }

    pub(crate) fn enter(self, _: &super::about::About, _: std::time::Duration, _: impl FnOnce()) {
        match self {}
    }
}

#[cfg(feature = "tracing")]
mod with_tracing {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, OnceLock};
    use std::time::{Duration, Instant};

    use tracing::{Dispatch, Level, Span, dispatcher, field};

    use crate::sync::foreign::{Quiet, quietly};
    use crate::sync::outer::Outer;
    use crate::task::about::About;

    /// The caller's subscriber and span.
    pub(crate) struct Spans {
        dispatch: Dispatch,
        span: Span,
        /// If the body runs in several parts.
        parts: Option<Arc<Parts>>,
    }

    /// What the parts of a body have in common. Dropped when the last one has run, or is not to run.
    struct Parts {
        dispatch: Dispatch,
        /// The call's own, made for the first.
        span: OnceLock<Span>,
        /// How long they have run so far, in microseconds.
        ran: AtomicU64,
    }

    impl Drop for Parts {
        fn drop(&mut self) {
            let Some(span) = self.span.take() else { return };
            let ran = self.ran.load(Ordering::Relaxed);
            // Wherever this is: a registry asks the thread's subscriber to close the caller's span, too.
            quietly(|| {
                dispatcher::with_default(&self.dispatch, || {
                    span.record("run_us", ran);
                    drop(span);
                });
            });
        }
    }

    impl Spans {
        /// Those of this thread; none, and no cost, if nobody subscribes.
        pub(crate) fn here() -> Option<Spans> {
            let dispatch = dispatcher::get_default(|dispatch| {
                (!dispatch.is::<tracing::subscriber::NoSubscriber>()).then(|| dispatch.clone())
            })?;
            Some(Spans { dispatch, span: Span::current(), parts: None })
        }

        /// For another part of the same body, which is in the same spans.
        pub(crate) fn again(&mut self) -> Spans {
            let dispatch = self.dispatch.clone();
            let parts = self.parts.get_or_insert_with(|| {
                let (dispatch, span, ran) = (dispatch.clone(), OnceLock::new(), AtomicU64::new(0));
                Arc::new(Parts { dispatch, span, ran })
            });
            Spans { dispatch, span: self.span.clone(), parts: Some(Arc::clone(parts)) }
        }

        /// Calls `body`, which does not unwind, in a span `offload` below the caller's. Times are in
        /// microseconds.
        pub(crate) fn enter(self, about: &About, waited: Duration, body: impl FnOnce()) {
            dispatcher::with_default(&self.dispatch, || {
                let _outer = Outer::of(&self.dispatch);
                // Left also if the subscriber panics meanwhile: once more then is not too much.
                let caller = Quiet::new(self.span.entered());
                let make = || {
                    tracing::span!(
                        target: "offload",
                        Level::INFO,
                        "offload",
                        kind = about.kind,
                        name = about.name,
                        queue_us = micros(waited),
                        run_us = field::Empty,
                    )
                };
                let started = Instant::now();
                match &self.parts {
                    None => {
                        let span = Quiet::new(make());
                        span.in_scope(body);
                        span.record("run_us", micros(started.elapsed()));
                    }
                    Some(parts) => {
                        parts.span.get_or_init(make).in_scope(body);
                        parts.ran.fetch_add(micros(started.elapsed()), Ordering::Relaxed);
                    }
                }
                drop(caller);
            });
        }
    }

    fn micros(time: Duration) -> u64 {
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    }
}
