//! What a running body asks: does somebody still await it?

use crate::error::{Error, ErrorKind, Ran};
use crate::task::current;

/// Whether nobody awaits the running body any more: its future was dropped, or its deadline has
/// passed.
///
/// A body that takes long asks now and then, and returns early. Outside an
/// offloaded body it is always false, and for a function with `detach` too.
///
/// It costs a few nanoseconds; in a function with a `timeout`, also a look at
/// the clock. So an inner loop may ask at each turn.
///
/// ```
/// use offload_runtime::{is_cancelled, offload};
///
/// #[offload(cpu)]
/// fn count_primes(below: u64) -> Option<u64> {
///     let mut primes = 0;
///     for n in 2..below {
///         if is_cancelled() {
///             return None; // nobody waits for the answer
///         }
///         primes += u64::from((2..=n.isqrt()).all(|d| n % d != 0));
///     }
///     Some(primes)
/// }
/// # assert_eq!(futures::executor::block_on(count_primes(100)), Some(25));
/// ```
pub fn is_cancelled() -> bool {
    current::is_cancelled()
}

/// An error if the running body [is cancelled](is_cancelled), for use with `?`.
///
/// # Errors
///
/// [`Cancelled`](ErrorKind::Cancelled), if the future of the running body's call was dropped or
/// its deadline has passed. As a [`std::io::Error`] it is of the kind `Other`, so that nothing
/// that retries `Interrupted`, as [`std::io::copy`] does, goes on for ever.
///
/// ```
/// use offload_runtime::{Error, check_cancelled, offload};
///
/// #[offload(cpu)]
/// fn checksum(pages: Vec<Vec<u8>>) -> Result<u64, Error> {
///     let mut sum = 0;
///     for page in pages {
///         check_cancelled()?;
///         sum += page.iter().map(|byte| u64::from(*byte)).sum::<u64>();
///     }
///     Ok(sum)
/// }
/// # assert_eq!(futures::executor::block_on(checksum(vec![vec![1, 2]])).unwrap(), 3);
/// ```
pub fn check_cancelled() -> Result<(), Error> {
    match current::cancelled() {
        None => Ok(()),
        Some(function) => {
            let what = "stopped, since nobody awaits it any more";
            Err(Error::new(ErrorKind::Cancelled, Ran::Yes, &function, what))
        }
    }
}
