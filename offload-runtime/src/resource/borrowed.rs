//! What a body has in its hand of a resource.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::thread::panicking;

use crate::task::current;
use crate::task::loan::Loan;

/// Something that the body on this thread borrows. Dropped, it is given back; by a panic, it is broken.
pub struct Borrowed<T> {
    loan: Loan,
    /// The thread unwound already.
    was_panicking: bool,
    is: PhantomData<T>,
}

impl<T: 'static> Borrowed<T> {
    /// What belongs to the argument with this number among those with `#[resource]`, from 0.
    ///
    /// # Panics
    ///
    /// If the body on this thread is lent nothing with this number.
    pub fn take(number: usize) -> Borrowed<T> {
        let loan = current::take_loan(number).expect("a body is lent what it borrows");
        Borrowed { loan, was_panicking: panicking(), is: PhantomData }
    }
}

impl<T: 'static> Deref for Borrowed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.loan.get().expect("the resource is of this type")
    }
}

impl<T: 'static> DerefMut for Borrowed<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.loan.get_mut().expect("the resource is of this type, and lent to one body")
    }
}

impl<T> Drop for Borrowed<T> {
    fn drop(&mut self) {
        if panicking() && !self.was_panicking {
            self.loan.set_broken();
        }
    }
}

impl<T> fmt::Debug for Borrowed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.loan.fmt(f)
    }
}
