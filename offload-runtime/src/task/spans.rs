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

    pub(crate) fn enter(self, _: &super::about::About, _: std::time::Duration, _: impl FnOnce()) {
        match self {}
    }
}

#[cfg(feature = "tracing")]
mod with_tracing {
    use std::time::{Duration, Instant};

    use tracing::{Dispatch, Level, Span, dispatcher, field};

    use crate::task::about::About;

    /// The caller's subscriber and span.
    pub(crate) struct Spans {
        dispatch: Dispatch,
        span: Span,
    }

    impl Spans {
        /// Those of this thread; none, and no cost, if nobody subscribes.
        pub(crate) fn here() -> Option<Spans> {
            let dispatch = dispatcher::get_default(|dispatch| {
                (!dispatch.is::<tracing::subscriber::NoSubscriber>()).then(|| dispatch.clone())
            })?;
            Some(Spans { dispatch, span: Span::current() })
        }

        /// Calls `body` in a span `offload` below the caller's. Times are in
        /// microseconds.
        pub(crate) fn enter(self, about: &About, waited: Duration, body: impl FnOnce()) {
            dispatcher::with_default(&self.dispatch, || {
                let caller = self.span.entered();
                let span = tracing::span!(
                    target: "offload",
                    Level::INFO,
                    "offload",
                    kind = about.kind,
                    name = about.name,
                    queue_us = micros(waited),
                    run_us = field::Empty,
                );
                let started = Instant::now();
                // Recorded also if the body panics.
                let timed = Timed { span: &span, started };
                span.in_scope(body);
                drop(timed);
                drop(caller);
            });
        }
    }

    struct Timed<'a> {
        span: &'a Span,
        started: Instant,
    }

    impl Drop for Timed<'_> {
        fn drop(&mut self) {
            self.span.record("run_us", micros(self.started.elapsed()));
        }
    }

    fn micros(time: Duration) -> u64 {
        u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
    }
}
