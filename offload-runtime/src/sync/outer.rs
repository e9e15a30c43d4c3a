//! In which tracing span a thread is, around code that is not ours: it may enter one and not leave it.

#[cfg(feature = "tracing")]
pub(crate) use with_tracing::Outer;

/// Without the feature `tracing` there are none.
#[cfg(not(feature = "tracing"))]
pub(crate) struct Outer;

#[cfg(not(feature = "tracing"))]
impl Outer {
    pub(crate) fn here() -> Option<Outer> {
        None
    }
}

#[cfg(feature = "tracing")]
mod with_tracing {
    use std::borrow::Borrow;

    use tracing::span::Id;
    use tracing::{Dispatch, dispatcher};

    use crate::sync::foreign::quietly;

    /// At most so many spans that were left entered are exited: a subscriber may ignore that.
    const MOST: usize = 100;

    /// In which span the thread was before. When this is dropped, it is in that one again: those that
    /// were entered and not left are left.
    pub(crate) struct Outer<D: Borrow<Dispatch> = Dispatch> {
        dispatch: D,
        span: Option<Id>,
    }

    impl Outer {
        /// As the subscriber of this thread says; none, and no cost, if there is none.
        pub(crate) fn here() -> Option<Outer> {
            let mut dispatch = None;
            quietly(|| {
                dispatch = dispatcher::get_default(|dispatch| {
                    (!dispatch.is::<tracing::subscriber::NoSubscriber>()).then(|| dispatch.clone())
                });
            });
            let mut outer = Outer { dispatch: dispatch?, span: None };
            quietly(|| outer.span = current(&outer.dispatch));
            Some(outer)
        }
    }

    impl<D: Borrow<Dispatch>> Outer<D> {
        /// As this subscriber says.
        pub(crate) fn of(dispatch: D) -> Outer<D> {
            let span = current(dispatch.borrow());
            Outer { dispatch, span }
        }

        fn leave_others(&self) {
            let dispatch = self.dispatch.borrow();
            // A subscriber need not do as it is told.
            for _ in 0..MOST {
                match current(dispatch) {
                    Some(span) if self.span.as_ref() != Some(&span) => dispatch.exit(&span),
                    _ => return,
                }
            }
        }
    }

    impl<D: Borrow<Dispatch>> Drop for Outer<D> {
        fn drop(&mut self) {
            quietly(|| self.leave_others());
        }
    }

    /// The span that this thread is in, as far as the subscriber says.
    fn current(dispatch: &Dispatch) -> Option<Id> {
        dispatch.current_span().id().cloned()
    }
}
