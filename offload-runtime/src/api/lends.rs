//! Which resource lends what: asked by expanded code, at the type of an argument with `#[resource]`.

use crate::resource::Lends;
use crate::resource::exclusive::Resource;
use crate::resource::per_thread::ThreadResource;
use crate::resource::shared::SharedResource;

/// What a body borrows as `&mut`.
#[diagnostic::on_unimplemented(
    message = "`{From}` does not lend a `&mut {Self}`",
    label = "borrowed from a `{From}`",
    note = "a `Resource<T>` lends `&mut T`, a `SharedResource<T>` lends `&T`, a `ThreadResource<T>` either"
)]
pub trait LentMut<From: ?Sized> {
    /// What lends it.
    fn lends(from: &'static From) -> Lends;
}

/// What a body borrows as `&`.
#[diagnostic::on_unimplemented(
    message = "`{From}` does not lend a `&{Self}`",
    label = "borrowed from a `{From}`",
    note = "a `Resource<T>` lends `&mut T`, a `SharedResource<T>` lends `&T`, a `ThreadResource<T>` either"
)]
pub trait LentShared<From: ?Sized> {
    /// What lends it.
    fn lends(from: &'static From) -> Lends;
}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static> LentMut<Resource<T>> for T {
    fn lends(from: &'static Resource<T>) -> Lends {
        Lends(from)
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static> LentMut<ThreadResource<T>> for T {
    fn lends(from: &'static ThreadResource<T>) -> Lends {
        Lends(from)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + 'static> LentShared<SharedResource<T>> for T {
    fn lends(from: &'static SharedResource<T>) -> Lends {
        Lends(from)
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static> LentShared<ThreadResource<T>> for T {
    fn lends(from: &'static ThreadResource<T>) -> Lends {
        Lends(from)
    }
}
