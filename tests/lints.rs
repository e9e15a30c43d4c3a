//! The expansion adds no warning to a crate that forbids them all, and needs no
//! name that a crate may have given to something else. Clippy reads this file as
//! it reads the rest of the workspace.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(elided_lifetimes_in_paths, single_use_lifetimes, unused_lifetimes, let_underscore_drop)]
#![deny(macro_use_extern_crate, meta_variable_misuse, redundant_lifetimes, unused_results)]
#![deny(variant_size_differences, trivial_casts, trivial_numeric_casts, unit_bindings)]
#![forbid(unsafe_code)]

use futures::executor::block_on;
use offload_runtime::offload;

/// Names that the expansion must not mean.
#[allow(dead_code, unused_macros, missing_docs, missing_debug_implementations, unreachable_pub)]
mod shadows {
    pub mod core {}
    pub mod std {}
    pub mod alloc {}
    pub mod offload_runtime {}
    pub mod __private {}
    pub struct Result;
    pub struct Option;
    pub struct Duration;
    pub struct Function;
    pub struct Answer;
    pub struct String;
    pub struct Ok;
    pub struct Err;
    pub struct Some;
    pub struct None;
    pub trait Send {}
    pub trait Sync {}
    pub trait Sized {}
    pub trait Clone {}
    pub trait FnOnce {}
    pub trait Future {}
    pub trait ToOwned {}
    pub trait Borrow {}
    pub trait Argument {}
    pub trait Returned {}
    pub static CPU: u8 = 0;
    pub static THREAD: u8 = 0;
    pub static FUNCTION: u8 = 0;
}

#[allow(unreachable_pub, unused_macros)]
mod in_a_hostile_place {
    macro_rules! concat {
        ($($tokens:tt)*) => {
            compile_error!("the wrong concat")
        };
    }
    macro_rules! module_path {
        ($($tokens:tt)*) => {
            compile_error!("the wrong module_path")
        };
    }

    #[allow(unused_imports)]
    use super::shadows::*;
    use ::offload_runtime::offload;

    #[offload(cpu)]
    pub fn plain(number: u32) -> u32 {
        number + 1
    }

    #[offload(thread, sync = kept)]
    pub fn with_sync(number: u32) -> u32 {
        number + 1
    }

    #[offload(thread, spawn = soon)]
    pub fn with_spawn(number: u32) -> u32 {
        number + 1
    }

    #[offload(cpu, name = "label")]
    pub fn generic<T: ::core::marker::Send + 'static, const N: usize>(values: [T; N]) -> [T; N] {
        values
    }

    #[offload(thread)]
    pub fn copied(#[to_owned] text: &str) -> usize {
        text.len()
    }
}

/// Has a destructor.
struct Guard(u32);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0 = 0;
    }
}

/// Has methods.
#[derive(Clone)]
struct Counter {
    count: u32,
}

/// A pattern with two fields.
struct Pair {
    first: u32,
    second: u32,
}

#[offload(cpu)]
fn one_expression(number: u32) -> u32 {
    number.isqrt()
}

#[offload(cpu)]
fn empty() {}

#[offload(thread)]
fn unit(number: u32) {
    assert_ne!(number, 0);
}

#[offload(thread)]
fn explicit_unit(number: u32) -> Result<(), String> {
    if number == 0 {
        return Err("zero".to_owned());
    }
    Ok(())
}

#[offload(thread)]
fn never(guard: Guard) -> ! {
    drop(guard);
    panic!("never")
}

#[offload(thread)]
fn guards(_guard: Guard, _: Guard, _unused: u32) -> u32 {
    1
}

#[offload(thread)]
fn patterns((first, _): (u32, u32), Pair { first: third, second }: Pair, [a, b]: [u32; 2]) -> u32 {
    first + second + third + a + b
}

#[offload(cpu)]
fn mutable(mut values: Vec<u32>) -> Vec<u32> {
    values.push(1);
    values
}

#[offload(cpu)]
fn items_first(number: u32) -> u32 {
    const ONE: u32 = 1;
    fn add(number: u32) -> u32 {
        number.max(std::process::id().min(ONE)) + ONE
    }
    add(number)
}

#[offload(cpu)]
fn opaque(
    numbers: impl IntoIterator<Item = u32> + Send + 'static,
) -> impl Iterator<Item = u32> + Send {
    numbers.into_iter().map(|number| number + 1).collect::<Vec<_>>().into_iter()
}

#[offload(cpu)]
fn generic<T: Default + Send + 'static>() -> T {
    T::default()
}

#[offload(thread)]
fn borrowed(#[to_owned] text: &str, #[to_owned] numbers: &[u8]) -> usize {
    text.len() + numbers.len()
}

#[offload(thread)]
fn lent_for_ever(text: &'static str) -> &'static str {
    text
}

#[offload(thread)]
fn attributes(
    #[expect(unused_variables, reason = "as a test")] first: u32,
    #[cfg(not(test))] second: u32,
    #[cfg(test)] third: u32,
) -> u32 {
    third
}

#[offload(thread, sync = expected_sync)]
#[expect(clippy::needless_pass_by_value, reason = "the body is elsewhere")]
#[must_use]
#[inline]
#[track_caller]
fn expected(text: String) -> usize {
    text.len()
}

#[offload(cpu)]
#[expect(unused_variables, reason = "the body is here")]
fn expected_here(number: u32) -> u32 {
    let unused = number;
    1
}

#[offload(cpu, sync = unused_arguments_sync)]
fn unused_arguments(_guard: Guard, _: Guard, mut number: u32) -> u32 {
    number += 1;
    number
}

#[offload(cpu, sync = fill_sync)]
fn fill<T: Copy + Send + 'static, const N: usize>(value: T) -> [T; N] {
    [value; N]
}

#[offload(thread, spawn = started_soon, sync = started_sync)]
#[expect(clippy::needless_pass_by_value, reason = "as a test")]
#[must_use]
#[inline]
#[deprecated = "as a test"]
fn started(text: String, #[to_owned] more: &str) -> usize {
    text.len() + more.len()
}

#[offload(cpu, spawn = opaque_soon, sync = opaque_sync)]
fn opaque_too<const N: usize>(number: u32) -> impl Iterator<Item = u32> + Send {
    [number; N].into_iter()
}

impl Counter {
    #[offload(cpu, spawn = tell_soon)]
    fn tell(#[to_owned] &self, (a, _): (u32, Guard)) -> u32 {
        self.count + a
    }

    #[offload(cpu)]
    fn consume(self) -> u32 {
        self.count
    }

    #[offload(cpu)]
    fn raise(mut self, by: u32) -> Self {
        self.count += by;
        self
    }

    #[offload(cpu)]
    fn look(#[to_owned] &self, by: u32) -> u32 {
        self.count + by
    }

    #[offload(cpu, sync = shared_sync)]
    fn shared(self: std::sync::Arc<Self>) -> u32 {
        self.count
    }

    #[offload(cpu)]
    fn ignored(self) -> u32 {
        1
    }
}

trait Count {
    async fn total(self) -> u32;
}

impl Count for Counter {
    #[offload(thread)]
    fn total(self) -> u32 {
        self.count
    }
}

/// A trait with a body to offload.
#[allow(unreachable_pub)]
pub mod public {
    use offload_runtime::offload;

    /// Has a default method.
    pub trait Digest {
        /// Computes.
        #[offload(cpu)]
        fn digest(self) -> u32
        where
            Self: Into<u32> + Send + 'static,
        {
            self.into()
        }
    }

    impl Digest for u32 {}
}

#[test]
fn none_of_it_warns() {
    block_on(async {
        assert_eq!(in_a_hostile_place::plain(1).await, 2);
        assert_eq!(in_a_hostile_place::with_sync(1).await, in_a_hostile_place::kept(1));
        assert_eq!(in_a_hostile_place::soon(1).await.unwrap(), 2);
        assert_eq!(in_a_hostile_place::with_spawn(1).await, 2);
        assert_eq!(in_a_hostile_place::generic([1, 2]).await, [1, 2]);
        assert_eq!(in_a_hostile_place::copied("abc").await, 3);

        assert_eq!(one_expression(9).await, 3);
        empty().await;
        unit(1).await;
        assert_eq!(explicit_unit(0).await, Err("zero".to_owned()));
        drop(never(Guard(1)));
        assert_eq!(guards(Guard(1), Guard(2), 3).await, 1);
        assert_eq!(patterns((1, 2), Pair { first: 3, second: 4 }, [5, 6]).await, 19);
        assert_eq!(mutable(vec![]).await, [1]);
        assert_eq!(items_first(1).await, 2);
        assert_eq!(opaque([1, 2]).await.sum::<u32>(), 5);
        assert_eq!(generic::<u32>().await, 0);
        assert_eq!(borrowed("a", b"b").await, 2);
        assert_eq!(lent_for_ever("a").await, "a");
        assert_eq!(attributes(1, 3).await, 3);
        assert_eq!(expected("a".to_owned()).await, expected_sync("b".to_owned()));
        assert_eq!(expected_here(1).await, 1);
        assert_eq!(unused_arguments(Guard(1), Guard(2), 3).await, 4);
        assert_eq!(unused_arguments_sync(Guard(1), Guard(2), 3), 4);
        assert_eq!(fill::<_, 2>(1).await, fill_sync::<_, 2>(1));

        #[allow(deprecated)]
        {
            drop(started_soon("a".to_owned(), "b"));
            assert_eq!(started("a".to_owned(), "b").await, 2);
            assert_eq!(started_sync("a".to_owned(), "b"), 2);
        }
        assert_eq!(opaque_soon::<2>(3).await.unwrap().sum::<u32>(), 6);
        assert_eq!(opaque_too::<2>(3).await.count(), opaque_sync::<2>(3).count());

        assert_eq!(public::Digest::digest(1_u32).await, 1);

        let counter = Counter { count: 1 };
        assert_eq!(counter.look(1).await, 2);
        assert_eq!(counter.tell_soon((1, Guard(1))).await.unwrap(), 2);
        assert_eq!(counter.tell((1, Guard(1))).await, 2);
        assert_eq!(counter.clone().raise(2).await.consume().await, 3);
        assert_eq!(std::sync::Arc::new(counter.clone()).shared().await, 1);
        assert_eq!(std::sync::Arc::new(counter.clone()).shared_sync(), 1);
        assert_eq!(counter.clone().ignored().await, 1);
        assert_eq!(counter.total().await, 1);
    });
}
