//! Every shape of function that the attribute accepts, run and not only compiled.

#![allow(
    clippy::needless_arbitrary_self_type,
    clippy::toplevel_ref_arg,
    clippy::type_complexity,
    clippy::useless_vec,
    reason = "shapes are written as users may write them"
)]

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;
use offload_runtime::{Error, Limiter, Sink, ThreadPool, offload};

/// Where the body ran; every shape is to leave the caller's thread.
fn elsewhere(body: ThreadId) -> bool {
    body != thread::current().id()
}

mod free_functions {
    use super::*;

    #[offload(thread)]
    fn on_thread() -> ThreadId {
        thread::current().id()
    }

    #[offload(cpu)]
    fn on_cpu() -> ThreadId {
        thread::current().id()
    }

    #[offload(cpu)]
    pub(crate) fn add(left: u32, right: u32) -> u32 {
        left + right
    }

    #[offload(thread)]
    fn no_result(sum: Arc<AtomicUsize>) {
        sum.fetch_add(1, Ordering::SeqCst);
    }

    #[offload(thread)]
    fn unit_result(text: String) -> Result<(), String> {
        if text.is_empty() { Err(text) } else { Ok(()) }
    }

    #[test]
    fn the_body_runs_elsewhere_and_its_result_comes_back() {
        assert!(elsewhere(block_on(on_thread())));
        assert!(elsewhere(block_on(on_cpu())));
        assert_eq!(block_on(add(2, 3)), 5);
        let sum = Arc::new(AtomicUsize::new(0));
        block_on(no_result(Arc::clone(&sum)));
        assert_eq!(sum.load(Ordering::SeqCst), 1);
        assert_eq!(block_on(unit_result("a".to_owned())), Ok(()));
        assert_eq!(block_on(unit_result(String::new())), Err(String::new()));
    }
}

mod bodies {
    use super::*;

    #[offload(thread)]
    fn question_mark(text: &'static str) -> Result<u32, std::num::ParseIntError> {
        let number: u32 = text.parse()?;
        Ok(number + 1)
    }

    #[offload(cpu)]
    fn question_mark_on_option(values: Vec<u32>) -> Option<u32> {
        Some(values.first()? + values.get(1)?)
    }

    #[offload(cpu)]
    fn early_return(number: u32) -> &'static str {
        if number == 0 {
            return "zero";
        }
        for divisor in 2..number {
            if number.is_multiple_of(divisor) {
                return "composite";
            }
        }
        "prime"
    }

    #[offload(cpu)]
    fn panics(message: &'static str) -> u32 {
        panic!("{message}")
    }

    #[offload(cpu)]
    fn never(message: &'static str) -> ! {
        panic!("{message}")
    }

    #[offload(cpu)]
    fn diverges_in_between(number: u32) -> u32 {
        #[allow(clippy::diverging_sub_expression, unreachable_code)]
        match number {
            0 => unreachable!("zero"),
            number => number,
        }
    }

    /// Inner attributes, items, labels, and names that the expansion uses itself.
    #[offload(thread)]
    fn everything_inside(number: u32) -> u32 {
        #![allow(non_snake_case, non_upper_case_globals)]
        const __FUNCTION: u32 = 1;
        static entry: AtomicUsize = AtomicUsize::new(0);
        struct Argument(u32);
        impl Argument {
            fn held(&self) -> u32 {
                self.0
            }
        }
        let __this = Argument(number);
        let call = |n: u32| n + __FUNCTION;
        entry.fetch_add(1, Ordering::SeqCst);
        let sum = 'outer: loop {
            for n in 0.. {
                if n > 3 {
                    break 'outer n;
                }
            }
        };
        call(__this.held()) + sum
    }

    #[offload(thread)]
    fn function_inside(numbers: Vec<u32>) -> u32 {
        #[offload(cpu)]
        fn inner(numbers: Vec<u32>) -> u32 {
            numbers.iter().sum()
        }
        block_on(inner(numbers))
    }

    fn outer() -> impl Future<Output = u32> {
        #[offload(cpu)]
        fn in_a_function(number: u32) -> u32 {
            number * 2
        }
        in_a_function(4)
    }

    /// The lock guard of the last expression ends before the argument does.
    #[offload(cpu)]
    fn borrows_in_the_tail(value: Mutex<Vec<u32>>) -> usize {
        value.lock().unwrap().len()
    }

    #[offload(cpu)]
    fn large(array: [u8; 16_384]) -> [u8; 16_384] {
        let mut array = array;
        array[16_383] = 7;
        array
    }

    #[test]
    fn control_flow_is_that_of_a_function() {
        assert_eq!(block_on(question_mark("41")), Ok(42));
        assert!(block_on(question_mark("x")).is_err());
        assert_eq!(block_on(question_mark_on_option(vec![1, 2])), Some(3));
        assert_eq!(block_on(question_mark_on_option(vec![1])), None);
        assert_eq!(block_on(early_return(0)), "zero");
        assert_eq!(block_on(early_return(9)), "composite");
        assert_eq!(block_on(early_return(7)), "prime");
        assert_eq!(block_on(diverges_in_between(3)), 3);
    }

    #[test]
    fn a_panic_keeps_its_payload() {
        for panic in [
            thread::spawn(|| assert_eq!(block_on(panics("of a number")), 0)).join(),
            thread::spawn(|| block_on(never("of a number"))).join(),
        ] {
            let payload = panic.unwrap_err();
            assert_eq!(payload.downcast_ref::<String>().unwrap(), "of a number");
        }
    }

    #[test]
    fn a_body_may_contain_anything() {
        assert_eq!(block_on(everything_inside(10)), 15);
        assert_eq!(block_on(function_inside(vec![1, 2, 3])), 6);
        assert_eq!(block_on(outer()), 8);
        assert_eq!(block_on(borrows_in_the_tail(Mutex::new(vec![1]))), 1);
        assert_eq!(block_on(large([0; 16_384]))[16_383], 7);
    }
}

mod arguments {
    use super::*;

    struct Json<T>(T);

    struct Point {
        x: u32,
        y: u32,
    }

    #[offload(cpu)]
    fn patterns(
        Json(number): Json<u32>,
        (left, mut right): (u32, u32),
        Point { x, y: renamed }: Point,
        [first, .., last]: [u32; 4],
        &shared: &'static u32,
        (): (),
    ) -> u32 {
        right += 1;
        number + left + right + x + renamed + first + last + shared
    }

    #[offload(cpu)]
    fn mutable(mut values: Vec<u32>, mut count: u32) -> Vec<u32> {
        while count > 0 {
            values.push(count);
            count -= 1;
        }
        values
    }

    #[offload(cpu)]
    fn by_reference(ref text: String, ref mut count: u32) -> usize {
        *count += 1;
        text.len() + *count as usize
    }

    #[offload(cpu)]
    fn whole_and_parts(whole @ (part, _): (u32, u32)) -> u32 {
        whole.0 + whole.1 + part
    }

    #[offload(thread)]
    fn boxed_dyn(test: Box<dyn Fn(&str) -> bool + Send>, each: fn(&str) -> usize) -> Option<usize> {
        test("abc").then(|| each("abc"))
    }

    #[offload(thread)]
    fn impl_trait(
        words: impl IntoIterator<Item = &'static str> + Send + 'static,
        mut visit: impl FnMut(&str) + Send + 'static,
        pair: (impl Display + Send + 'static, u32),
    ) -> String {
        let mut count = 0;
        for word in words {
            visit(word);
            count += 1;
        }
        format!("{count} {} {}", pair.0, pair.1)
    }

    #[offload(thread)]
    fn attributes(
        #[allow(unused_variables)] unused: u32,
        #[cfg(test)] present: u32,
        #[cfg(not(test))] absent: Absent,
    ) -> u32 {
        present
    }

    #[offload(thread)]
    fn same_names(__offload: u32, __entry: u32, arg0: u32, (a, _): (u32, u32), held: u32) -> u32 {
        __offload + __entry + arg0 + a + held
    }

    #[offload(thread)]
    fn r#match(r#type: u32) -> u32 {
        r#type
    }

    #[test]
    fn patterns_take_arguments_apart_in_the_job() {
        static SEVEN: u32 = 7;
        let sum = patterns(Json(1), (2, 3), Point { x: 4, y: 5 }, [6, 0, 0, 8], &SEVEN, ());
        assert_eq!(block_on(sum), 1 + 2 + 4 + 4 + 5 + 6 + 8 + 7);
        assert_eq!(block_on(mutable(vec![9], 2)), [9, 2, 1]);
        assert_eq!(block_on(by_reference("abc".to_owned(), 1)), 5);
        assert_eq!(block_on(whole_and_parts((1, 2))), 4);
        assert_eq!(block_on(attributes(1, 2)), 2);
        assert_eq!(block_on(same_names(1, 2, 3, (4, 5), 6)), 16);
        assert_eq!(block_on(r#match(1)), 1);
    }

    #[test]
    fn functions_and_impl_trait_are_arguments_too() {
        let test = Box::new(|text: &str| text == "abc");
        assert_eq!(block_on(boxed_dyn(test, str::len)), Some(3));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let visit = {
            let seen = Arc::clone(&seen);
            move |word: &str| seen.lock().unwrap().push(word.to_owned())
        };
        assert_eq!(block_on(impl_trait(["a", "b"], visit, ('c', 1))), "2 c 1");
        assert_eq!(*seen.lock().unwrap(), ["a", "b"]);
    }

    #[offload(thread)]
    fn copies(
        #[to_owned] text: &str,
        #[to_owned] data: &[u8],
        #[to_owned] path: &Path,
        #[to_owned] mut map: &HashMap<u32, String>,
        #[to_owned] &number: &u32,
        owned: String,
    ) -> String {
        let _: (&str, &[u8], &Path, &HashMap<u32, String>) = (text, data, path, map);
        let empty = HashMap::new();
        let one = map.get(&1).cloned();
        map = &empty;
        format!("{text} {} {} {one:?} {} {number} {owned}", data.len(), path.display(), map.len())
    }

    #[offload(thread)]
    fn copies_without_names(
        #[to_owned] text: &(impl AsRef<str> + Clone + Send + 'static),
        #[to_owned] (first, _): &(u32, impl Display + Clone + Send + 'static),
    ) -> String {
        format!("{}{first}", text.as_ref())
    }

    #[offload(thread, sync = copied_and_kept_sync)]
    fn copied_and_kept(#[to_owned] text: &(impl AsRef<str> + Clone + Send + 'static)) -> usize {
        text.as_ref().len()
    }

    #[test]
    fn what_has_no_name_is_copied_too() {
        assert_eq!(block_on(copies_without_names(&"a".to_owned(), &(1, 'b'))), "a1");
        assert_eq!(block_on(copied_and_kept(&"abc")), copied_and_kept_sync(&"abc"));
    }

    #[test]
    fn a_copy_of_a_borrowed_argument_goes_to_the_job() {
        let (text, data, path) = ("a".to_owned(), vec![1, 2], PathBuf::from("/tmp"));
        let map = HashMap::from([(1, "one".to_owned())]);
        let answer = block_on(copies(&text, &data, &path, &map, &3, "b".to_owned()));
        assert_eq!(answer, "a 2 /tmp Some(\"one\") 0 3 b");
    }
}

mod generics {
    use super::*;

    #[offload(cpu)]
    fn largest<T: Ord + Send + 'static>(values: Vec<T>) -> Option<T> {
        values.into_iter().max()
    }

    #[offload(cpu)]
    fn in_where<T, U>(value: T) -> Vec<U>
    where
        T: IntoIterator<Item = U> + Send + 'static,
        U: Clone + Send + 'static,
    {
        value.into_iter().collect()
    }

    #[offload(cpu)]
    fn constant<const N: usize, T: Copy + Send + 'static>(value: T) -> [T; N] {
        [value; N]
    }

    #[offload(cpu, sync = only_named_sync)]
    fn only_named<T: Default + Debug + 'static>() -> String {
        format!("{:?}", T::default())
    }

    #[offload(cpu)]
    fn phantom<T: Send + 'static>(_: PhantomData<T>) -> &'static str {
        std::any::type_name::<T>()
    }

    #[offload(cpu)]
    fn unsized_behind<T: ?Sized + Debug + Send + Sync + 'static>(value: Arc<T>) -> String {
        format!("{value:?}")
    }

    /// Nothing in these says that what they move is `'static`: the async functions say it.
    #[offload(cpu, sync = smallest_sync, spawn = smallest_soon)]
    fn smallest<T: Ord + Send>(values: Vec<T>) -> Option<T> {
        values.into_iter().min()
    }

    #[offload(cpu)]
    fn of_two_kinds<T, E>(value: Result<T, E>, (other, _): (T, [u8; 2])) -> Result<Vec<T>, E>
    where
        T: Send,
        E: Send,
    {
        Ok(vec![value?, other])
    }

    #[offload(cpu)]
    fn items_of<T>(value: T) -> Vec<T::Item>
    where
        T: IntoIterator + Send,
        T::Item: Send,
    {
        value.into_iter().collect()
    }

    #[offload(cpu)]
    fn called(function: impl FnOnce() -> u32 + Send, other: Box<dyn Fn() -> u32 + Send>) -> u32 {
        function() + other()
    }

    #[offload(cpu)]
    fn copied<T: Clone + Send>(#[to_owned] values: &[T], #[to_owned] last: &T) -> Vec<T> {
        let mut values = values.to_vec();
        values.push(last.clone());
        values
    }

    #[offload(cpu)]
    fn in_a_type_of_its_own<T: Send>(of: Of<T>) -> Of<Option<T>> {
        Of(Some(of.0))
    }

    #[offload(cpu, stream)]
    fn one_by_one<T: Send>(values: Vec<T>) -> impl Iterator<Item = T> {
        values.into_iter()
    }

    #[test]
    fn that_a_parameter_is_static_need_not_be_said() {
        assert_eq!(block_on(smallest(vec![2, 1])), Some(1));
        assert_eq!(smallest_soon(vec![2, 1]).wait().unwrap(), Some(1));
        let lent = "b".to_owned();
        assert_eq!(smallest_sync(vec![&lent]), Some(&lent), "the synchronous one asks for nothing");
        assert_eq!(block_on(of_two_kinds(Ok::<_, u8>(1), (2, [3, 4]))), Ok(vec![1, 2]));
        assert_eq!(block_on(items_of([1, 2])), [1, 2]);
        assert_eq!(block_on(called(|| 1, Box::new(|| 2))), 3);
        assert_eq!(block_on(copied(&[1, 2], &3)), [1, 2, 3]);
        assert_eq!(block_on(in_a_type_of_its_own(Of(1))).0, Some(1));
        assert_eq!(block_on(one_by_one(vec![1, 2]).collect::<Vec<_>>()), [1, 2]);
    }

    trait Read {
        type Answer: Send + 'static;

        fn read(answer: Self::Answer) -> usize;
    }

    impl Read for &str {
        type Answer = usize;

        fn read(answer: usize) -> usize {
            answer
        }
    }

    #[offload(cpu)]
    fn answered<T: Read>(answer: T::Answer) -> usize {
        T::read(answer)
    }

    #[offload(cpu)]
    fn only_of_a_type<T: Default + Debug>() -> String {
        format!("{:?}", T::default())
    }

    /// A type that borrows for as long as its argument.
    fn answered_by<'a>(_: &'a str, answer: usize) -> impl Future<Output = usize> {
        answered::<&'a str>(answer)
    }

    fn only_of<'a>(_: &'a str) -> impl Future<Output = String> {
        only_of_a_type::<&'a str>()
    }

    #[test]
    fn what_does_not_move_may_borrow() {
        let lent = "lent".to_owned();
        assert_eq!(block_on(answered_by(&lent, 1)), 1);
        assert_eq!(block_on(only_of(&lent)), "\"\"");
    }

    #[offload(cpu)]
    fn impl_result(start: u32) -> impl Iterator<Item = u32> + Clone {
        (start..).step_by(2).take(3)
    }

    #[offload(cpu)]
    fn fallible_impl_result(text: String) -> Result<impl Fn() -> u32, std::num::ParseIntError> {
        let number: u32 = text.parse()?;
        Ok(move || number)
    }

    /// What the result promises is what the types in the closure are known by.
    #[offload(cpu)]
    fn closure_result() -> impl Fn(Vec<u8>) -> usize + Send {
        |bytes| bytes.len()
    }

    /// In an `impl` block, only whose parameter `T` is.
    struct Of<T>(T);

    impl<T: Clone + Send + 'static> Of<T> {
        #[offload(cpu)]
        fn associated(value: T) -> Of<T> {
            Of(value)
        }

        #[offload(cpu)]
        fn only_taken(value: T) -> usize {
            std::mem::size_of_val(&value)
        }

        #[offload(cpu)]
        fn without(values: Vec<String>) -> usize {
            std::mem::size_of::<T>() + values.len()
        }

        #[offload(cpu)]
        fn closure(self) -> impl Fn(Vec<u8>) -> usize + Send {
            |bytes| bytes.len()
        }
    }

    #[test]
    fn parameters_of_the_impl_block_are_known_in_a_body() {
        assert_eq!(block_on(Of::associated(3)).0, 3);
        assert_eq!(block_on(Of::only_taken(3_u16)), 2);
        assert_eq!(block_on(Of::<u32>::without(Vec::new())), 4);
        assert_eq!(block_on(Of(3).closure())(vec![1]), 1);
    }

    #[offload(cpu)]
    fn boxed_result(number: u32) -> Box<dyn Fn(&str) -> String + Send> {
        Box::new(move |text| format!("{text}{number}"))
    }

    #[test]
    fn types_are_inferred_or_named() {
        assert_eq!(block_on(largest(vec!["a", "c", "b"])), Some("c"));
        assert_eq!(block_on(largest::<u8>(vec![])), None);
        assert_eq!(block_on(in_where([1, 2])), [1, 2]);
        assert_eq!(block_on(constant::<3, _>('a')), ['a'; 3]);
        // Not `Send`, and not part of an argument or the result.
        assert_eq!(block_on(only_named::<Rc<u32>>()), "0");
        assert_eq!(only_named_sync::<Rc<u32>>(), "0");
        assert_eq!(block_on(phantom(PhantomData::<u8>)), "u8");
        assert_eq!(block_on(unsized_behind::<str>("a".into())), "\"a\"");
    }

    #[test]
    fn results_without_a_name() {
        assert_eq!(block_on(impl_result(1)).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(block_on(fallible_impl_result("3".to_owned())).map(|get| get()), Ok(3));
        assert!(block_on(fallible_impl_result("x".to_owned())).is_err());
        assert_eq!(block_on(closure_result())(vec![1, 2]), 2);
        assert_eq!(block_on(boxed_result(1))("a"), "a1");
    }
}

mod methods {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Store {
        names: Vec<String>,
        limit: usize,
    }

    impl Display for Store {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.names.join("+"))
        }
    }

    fn store() -> Store {
        Store { names: vec!["a".to_owned()], limit: 2 }
    }

    fn count(names: &[String]) -> usize {
        names.len()
    }

    impl Store {
        #[offload(thread)]
        fn open(name: String) -> Self {
            Self { names: vec![name], limit: 1 }
        }

        #[offload(thread)]
        fn unrelated(number: u32) -> u32 {
            number
        }

        #[offload(cpu)]
        fn by_value(self, more: usize) -> usize {
            self.names.len() + more
        }

        #[offload(cpu)]
        fn by_mutable_value(mut self, name: String) -> Self {
            self.names.push(name);
            self.limit += 1;
            self
        }

        #[offload(cpu)]
        fn not_even_used(self) -> ThreadId {
            thread::current().id()
        }

        #[offload(cpu)]
        fn in_arc(self: Arc<Self>) -> usize {
            self.limit
        }

        #[offload(cpu)]
        fn in_box(self: Box<Self>) -> Self {
            *self
        }

        #[offload(cpu)]
        fn pinned(self: Pin<Box<Self>>) -> usize {
            self.limit
        }

        /// The function of that name is beside the `impl` block.
        #[offload(cpu)]
        fn count(self) -> usize {
            count(&self.names)
        }

        #[offload(cpu)]
        fn lent_for_ever(&'static self) -> usize {
            self.limit
        }

        #[offload(cpu)]
        fn lent_for_ever_by_type(self: &'static Self) -> &'static str {
            &self.names[0]
        }

        #[offload(cpu)]
        fn assigned(mut self, limit: usize) {
            self.limit = limit;
        }

        /// `self` in every place where it can stand.
        #[offload(cpu)]
        fn cloned(#[to_owned] &self, more: usize) -> String {
            struct Other(usize);
            impl Other {
                fn get(&self) -> usize {
                    self.0
                }
            }
            macro_rules! limit {
                () => {
                    self.limit
                };
                ($other:expr) => {
                    $other.get()
                };
            }
            use self::elsewhere as here;
            here();
            self::elsewhere();
            let no_format_string = "{self}";
            assert_eq!(no_format_string.len(), 6);
            let by_closure = || self.limit;
            let name = vec![self.names[0].clone(), format!("{}", self), format!("{{self}}")];
            let same: &Self = self;
            assert_eq!(same, self);
            format!("{} {} {} {} {more}", name.join(","), limit!(), limit!(Other(7)), by_closure())
        }

        #[offload(cpu)]
        fn same_name(#[to_owned] &self, __this: usize) -> usize {
            let other = self.limit;
            other * 10 + __this
        }

        #[offload(cpu)]
        fn cloned_by_type(#[to_owned] self: &Self) -> usize {
            let Self { limit, .. } = self;
            *limit
        }

        #[offload(cpu)]
        fn cloned_arc(#[to_owned] self: &Arc<Self>) -> usize {
            Arc::strong_count(self)
        }
    }

    fn elsewhere() {}

    #[test]
    fn any_receiver_that_owns() {
        assert_eq!(block_on(Store::open("b".to_owned())).names, ["b"]);
        assert_eq!(block_on(Store::unrelated(1)), 1);
        assert_eq!(block_on(store().by_value(1)), 2);
        let changed = block_on(store().by_mutable_value("b".to_owned()));
        assert_eq!(changed, Store { names: vec!["a".to_owned(), "b".to_owned()], limit: 3 });
        assert!(super::elsewhere(block_on(store().not_even_used())));
        assert_eq!(block_on(Arc::new(store()).in_arc()), 2);
        assert_eq!(block_on(Box::new(store()).in_box()), store());
        assert_eq!(block_on(Box::pin(store()).pinned()), 2);
        let for_ever: &'static Store = Box::leak(Box::new(store()));
        assert_eq!(block_on(for_ever.lent_for_ever()), 2);
        assert_eq!(block_on(store().count()), 1);
        assert_eq!(block_on(for_ever.lent_for_ever_by_type()), "a");
        block_on(store().assigned(1));
    }

    #[test]
    fn a_clone_of_self_goes_to_the_job() {
        let store = store();
        assert_eq!(block_on(store.cloned(1)), "a,a,{self} 2 7 2 1");
        assert_eq!(block_on(store.same_name(3)), 23);
        assert_eq!(block_on(store.cloned_by_type()), 2);
        let store = Arc::new(store);
        assert_eq!(block_on(store.cloned_arc()), 2);
    }

    struct Generic<T, const N: usize>([T; N]);

    impl<T: Clone + Send + Sync + 'static, const N: usize> Generic<T, N> {
        #[offload(cpu)]
        fn rotate(self, by: usize) -> Self {
            let mut values = self.0;
            values.rotate_left(by);
            Self(values)
        }

        #[offload(cpu, sync = first_sync)]
        fn first<U: From<T> + Send + 'static>(self: Arc<Self>) -> Option<U> {
            self.0.first().cloned().map(U::from)
        }
    }

    pub(crate) struct Holds<W>(W);

    /// That what it holds is `'static` is asked for by what is public.
    impl<W: Send> Holds<W> {
        #[offload(cpu)]
        pub(crate) fn of(value: W) -> Holds<W> {
            Holds(value)
        }

        #[offload(cpu, sync = into_inner_sync, spawn = into_inner_soon)]
        pub(crate) fn into_inner(self) -> W {
            self.0
        }

        #[offload(cpu)]
        pub(crate) fn in_arc(self: Arc<Self>) -> usize
        where
            W: Sync,
        {
            Arc::strong_count(&self)
        }

        #[offload(cpu)]
        pub(crate) fn with<V: Send>(self, other: V) -> (Self, V) {
            (self, other)
        }
    }

    #[derive(Clone)]
    pub(crate) struct Lent<'a>(&'a str);

    impl<'a> Lent<'a> {
        #[offload(cpu)]
        pub(crate) fn length(self) -> usize {
            self.0.len()
        }

        #[offload(cpu)]
        pub(crate) fn length_of_copy(#[to_owned] &self) -> usize {
            self.0.len()
        }

        #[offload(cpu)]
        pub(crate) fn longer(self, other: Lent<'static>) -> Self {
            if self.0.len() > other.0.len() { self } else { other }
        }
    }

    #[test]
    fn that_self_is_static_need_not_be_said_of_a_public_method() {
        assert_eq!(block_on(block_on(Holds::of(1)).into_inner()), 1);
        assert_eq!(Holds(1).into_inner_soon().wait().unwrap(), 1);
        let lent = "lent".to_owned();
        assert_eq!(Holds(&lent).into_inner_sync(), &lent);
        assert_eq!(block_on(Arc::new(Holds(1)).in_arc()), 1);
        assert_eq!(block_on(Holds(1).with('a')).1, 'a');
        assert_eq!(block_on(Lent("abc").length()), 3);
        assert_eq!(block_on(Lent("abc").length_of_copy()), 3);
        assert_eq!(block_on(Lent("abc").longer(Lent("a"))).0, "abc");
    }

    #[test]
    fn generic_types() {
        assert_eq!(block_on(Generic([1, 2, 3]).rotate(1)).0, [2, 3, 1]);
        let generic = Arc::new(Generic([1_u32]));
        assert_eq!(block_on(Arc::clone(&generic).first::<u64>()), Some(1));
        assert_eq!(generic.first_sync::<u64>(), Some(1));
    }
}

mod traits {
    use super::*;

    trait Render {
        async fn render(self, width: u32) -> String;
        fn measure(self: Arc<Self>) -> impl Future<Output = usize> + Send;
        async fn name(&self) -> String;
    }

    #[derive(Clone)]
    struct Page {
        title: String,
    }

    impl Render for Page {
        #[offload(cpu)]
        fn render(self, width: u32) -> String {
            format!("{}:{width}", self.title)
        }

        #[offload(cpu)]
        fn measure(self: Arc<Self>) -> usize {
            self.title.len()
        }

        #[offload(thread)]
        fn name(#[to_owned] &self) -> String {
            self.title.clone()
        }
    }

    trait Digest {
        fn bytes(self) -> Vec<u8>;

        #[offload(cpu)]
        fn digest(self) -> u32
        where
            Self: Sized + Send + 'static,
        {
            self.bytes().into_iter().map(u32::from).sum()
        }
    }

    impl Digest for &'static str {
        fn bytes(self) -> Vec<u8> {
            self.as_bytes().to_vec()
        }
    }

    #[test]
    fn methods_of_traits() {
        let page = Page { title: "abc".to_owned() };
        assert_eq!(block_on(page.name()), "abc");
        assert_eq!(block_on(page.clone().render(3)), "abc:3");
        assert_eq!(block_on(Arc::new(page).measure()), 3);
    }

    #[test]
    fn default_methods() {
        assert_eq!(block_on("ab".digest()), 97 + 98);
    }
}

mod macros {
    use super::*;

    macro_rules! offloaded {
        ($name:ident, $argument:ident: $ty:ty, $kind:ident, $body:expr) => {
            #[offload($kind)]
            fn $name($argument: $ty, hidden: $ty) -> ($ty, $ty) {
                let argument = hidden;
                ($body, argument)
            }
        };
    }

    offloaded!(doubled, number: u32, cpu, number * 2);
    offloaded!(lengthened, hidden: Vec<u8>, thread, { [hidden, vec![1]].concat() });

    macro_rules! with_options {
        ($vis:vis $name:ident, $sync:ident, $limit:literal, $runtime:path) => {
            #[offload(cpu, name = $limit, sync = $sync, crate = offload_runtime)]
            $vis fn $name<T: Send + 'static>((value, _): (T, $runtime)) -> T {
                value
            }
        };
    }

    with_options!(pub(crate) labelled, labelled_sync, "label", u32);

    macro_rules! methods {
        ($($name:ident => $field:ident),*) => {
            #[derive(Clone)]
            struct Made { $($field: u32),* }
            impl Made {
                $(#[offload(cpu)]
                fn $name(#[to_owned] &self) -> u32 { self.$field })*
            }
        };
    }

    methods!(get_x => x, get_y => y);

    /// Whatever a fragment stands for is in a group that nobody sees.
    macro_rules! of_fragments {
        ($vis:vis $name:ident($pattern:pat, $lent:ty, $taken:ty) -> $result:ty, $timeout:literal, $limit:expr, $wait:expr, $body:block) => {
            #[offload(cpu, timeout = $timeout, limit = $limit, queue_timeout = $wait)]
            $vis fn $name($pattern: $taken, #[to_owned] _lent: $lent) -> $result $body
        };
        ($name:ident $body:block) => {
            #[offload(thread)]
            fn $name() -> u8 $body
        };
        ($name:ident $result:ty) => {
            #[offload(thread)]
            fn $name(text: &'static str) -> $result {
                assert!(text.is_empty(), "{text}")
            }
        };
    }

    of_fragments!(pub(super) fragments((a, b), &str, (u32, u32)) -> Result<u32, Error>, "1m", 4, Duration::from_secs(60), {
        Ok(a + b)
    });
    of_fragments!(unseen((a, b), &str, (u32, u32)) -> Result<u32, Error>, "1m", 4, Duration::from_secs(60), {
        Ok(a + b)
    });
    of_fragments!(only_a_block { 7 });
    of_fragments!(a_unit());

    #[test]
    fn functions_made_of_fragments() {
        assert_eq!(block_on(fragments((1, 2), "a")).unwrap(), 3);
        assert_eq!(block_on(unseen((3, 4), "a")).unwrap(), 7);
        assert_eq!(block_on(only_a_block()), 7);
        block_on(a_unit(""));
    }

    /// The same where it is a part of something.
    macro_rules! of_parts {
        ($item:ty, $error:ty, $lent:ty, $bounds:ty, $never:ty) => {
            #[offload(cpu, timeout = "1m")]
            fn parts(
                items: Vec<$item>,
                #[to_owned] lent: &$lent,
                bounds: Box<$bounds>,
            ) -> Result<Vec<$item>, $error> {
                assert_eq!(lent.len(), bounds.to_string().len());
                Ok(items)
            }

            #[offload(cpu, stream)]
            fn made(items: Vec<$item>) -> impl Iterator<Item = $item> + Send + 'static {
                items.into_iter()
            }

            #[offload(cpu, stream)]
            fn opened(items: Vec<$item>) -> Result<std::vec::IntoIter<$item>, $error> {
                Ok(items.into_iter())
            }

            #[offload(cpu, stream)]
            fn pushed(items: Vec<$item>, out: &mut Sink<$item>) -> Result<(), $error> {
                Ok(items.into_iter().try_for_each(|item| out.send(item))?)
            }

            #[offload(cpu)]
            fn tuples((a, b): ($item, &'static $lent)) -> [($item, &'static $lent); 1] {
                [(a, b)]
            }

            #[offload(thread)]
            fn never(ends: bool) -> $never {
                assert!(ends);
                loop {
                    thread::park();
                }
            }
        };
    }

    of_parts!((u8, Option<u8>), Error, str, dyn Display + Send, !);

    #[test]
    fn functions_made_of_fragments_in_their_types() {
        let items = || vec![(1, None), (2, Some(3))];
        assert_eq!(block_on(parts(items(), "ab", Box::new(12))).unwrap(), items());
        assert_eq!(block_on(made(items()).collect::<Vec<_>>()), items());
        let all = |stream: Vec<Result<_, Error>>| stream.into_iter().map(Result::unwrap).collect();
        let opened: Vec<_> = all(block_on(opened(items()).collect()));
        let pushed: Vec<_> = all(block_on(pushed(items()).collect()));
        assert_eq!((opened, pushed), (items(), items()));
        assert_eq!(block_on(tuples(((1, None), "a"))), [((1, None), "a")]);
        drop(never(true));
    }

    macro_rules! of_self {
        ($self:ident, $value:expr, $lent:expr) => {
            #[offload(cpu)]
            fn by_value($self) -> usize {
                $value
            }

            #[offload(cpu)]
            fn by_copy(#[to_owned] &$self) -> usize {
                $lent + $self.0.len()
            }

            #[offload(cpu, sync = kept_sync)]
            fn kept($self: Arc<Self>) -> usize {
                $value
            }
        };
        () => {
            #[offload(cpu)]
            fn its_own(self) -> usize {
                self.0.len()
            }
        };
    }

    #[derive(Clone)]
    struct Itself(Vec<u8>);

    impl Itself {
        of_self!(self, self.0.len(), self.0.len() * 2);
        of_self!();
    }

    #[test]
    fn methods_made_of_their_own_self() {
        let itself = Itself(vec![1, 2]);
        assert_eq!(block_on(itself.clone().by_value()), 2);
        assert_eq!(block_on(itself.by_copy()), 6);
        assert_eq!(block_on(Arc::new(itself.clone()).kept()), 2);
        assert_eq!(Arc::new(itself.clone()).kept_sync(), 2);
        assert_eq!(block_on(itself.its_own()), 2);
    }

    #[test]
    fn functions_made_by_macros() {
        assert_eq!(block_on(doubled(2, 3)), (4, 3));
        assert_eq!(block_on(lengthened(vec![0], vec![2])), (vec![0, 1], vec![2]));
        assert_eq!(block_on(labelled((1, 2))), labelled_sync((1, 2)));
        let made = Made { x: 1, y: 2 };
        assert_eq!((block_on(made.get_x()), block_on(made.get_y())), (1, 2));
    }
}

mod options {
    use super::*;

    #[offload(cpu, sync = factorial_sync)]
    fn factorial(n: u64) -> u64 {
        if n == 0 { 1 } else { n * factorial_sync(n - 1) }
    }

    #[offload(thread, sync = copied_sync)]
    fn copied(#[to_owned] text: &str, (a, _): (u32, u32), mut n: u32, _: u32) -> String {
        n += a;
        format!("{text}{n}")
    }

    #[offload(cpu, sync = opaque_sync)]
    fn opaque(f: impl Fn() -> u32 + Send + 'static) -> impl Iterator<Item = u32> {
        std::iter::once(f())
    }

    #[derive(Clone)]
    struct Parser {
        base: u32,
    }

    impl Parser {
        #[offload(cpu, sync = Self::parse_sync)]
        fn parse(text: String) -> Option<u32> {
            text.parse().ok()
        }

        #[offload(cpu, sync = new_sync)]
        fn new(base: u32) -> Self {
            Self { base }
        }

        #[offload(cpu, sync = add_sync)]
        fn add(#[to_owned] &self, n: u32) -> u32 {
            let text = format!("{self}");
            if n == 0 { text.parse().unwrap() } else { self.add_sync(n - 1) + 1 }
        }

        #[offload(cpu, sync = grow_sync)]
        fn grow(mut self) -> u32 {
            self.base += 1;
            self.base
        }
    }

    impl Display for Parser {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.base)
        }
    }

    mod renamed {
        pub(crate) use offload_runtime as other_name;
        pub(crate) use offload_runtime::offload as attribute;
    }

    #[renamed::attribute(crate = renamed::other_name, cpu)]
    fn through_another_name(n: u32) -> u32 {
        n
    }

    #[offload(thread, name = "a \"label\"", crate = ::offload_runtime,)]
    fn labelled(n: u32) -> u32 {
        n
    }

    const TWO: usize = 2;
    const LONG: Duration = Duration::from_secs(60);
    static SHARED: Limiter = Limiter::new(2);
    static READERS: ThreadPool = ThreadPool::new("readers").threads(1);

    mod pools {
        pub(crate) static WRITERS: offload_runtime::CpuPool =
            offload_runtime::CpuPool::new("writers").threads(1);
    }

    #[derive(Debug)]
    enum Failed {
        Offload(#[expect(dead_code, reason = "only shown")] Error),
    }

    impl From<Error> for Failed {
        fn from(error: Error) -> Failed {
            Failed::Offload(error)
        }
    }

    type Answer<T> = Result<T, Failed>;

    #[offload(thread, limit = 4)]
    fn limited_by_a_number(n: usize) -> usize {
        n
    }

    #[offload(cpu, limit = TWO * 2, name = "limited")]
    fn limited_by_a_constant(n: usize) -> usize {
        n
    }

    #[offload(thread, limit = SHARED, detach)]
    fn limited_together(n: usize) -> usize {
        n
    }

    #[offload(thread, pool = READERS, queue = TWO + 98)]
    fn on_one_reader(n: usize) -> Result<usize, Error> {
        Ok(n)
    }

    #[offload(cpu, pool = pools::WRITERS, queue = 100)]
    fn on_one_writer(n: usize) -> std::io::Result<usize> {
        Ok(n)
    }

    #[offload(cpu, timeout = "1m30s", queue_timeout = "30s")]
    fn timed(n: usize) -> Answer<usize> {
        Ok(n)
    }

    #[offload(thread, timeout = LONG, queue_timeout = Duration::from_secs(30) / 2)]
    fn timed_by_expressions<T: Send + 'static>(
        n: T,
    ) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
        Ok(n)
    }

    #[offload(thread, timeout = "1h")]
    fn timed_and_opaque(n: usize) -> Result<impl Iterator<Item = usize>, Error> {
        Ok(0..n)
    }

    #[offload(thread, timeout = { let seconds = 5; Duration::from_secs(seconds) }, sync = timed_sync)]
    fn timed_with_sync(#[to_owned] text: &str) -> Result<usize, Error> {
        Ok(text.len())
    }

    #[test]
    fn every_option() {
        assert_eq!(block_on(limited_by_a_number(1)), 1);
        assert_eq!(block_on(limited_by_a_constant(2)), 2);
        assert_eq!(block_on(limited_together(3)), 3);
        assert_eq!(block_on(on_one_reader(4)).unwrap(), 4);
        assert_eq!(block_on(on_one_writer(5)).unwrap(), 5);
        assert_eq!(block_on(timed(6)).unwrap(), 6);
        assert_eq!(block_on(timed_by_expressions(7)).unwrap(), 7);
        assert_eq!(block_on(timed_and_opaque(3)).unwrap().sum::<usize>(), 3);
        assert_eq!(block_on(timed_with_sync("abc")).unwrap(), timed_sync("abc").unwrap());
    }

    #[test]
    fn the_synchronous_function_is_kept() {
        assert_eq!(block_on(factorial(5)), factorial_sync(5));
        assert_eq!(block_on(copied("a", (1, 2), 3, 4)), copied_sync("a", (1, 2), 3, 4));
        assert_eq!(block_on(opaque(|| 1)).next(), opaque_sync(|| 1).next());
        assert_eq!(block_on(Parser::parse("1".to_owned())), Parser::parse_sync("1".to_owned()));
        let parser = block_on(Parser::new(5));
        assert_eq!(block_on(parser.add(2)), 7);
        assert_eq!(parser.clone().grow_sync(), 6);
        assert_eq!(block_on(parser.grow()), 6);
        assert_eq!(Parser::new_sync(1).base, 1);
    }

    #[test]
    fn the_label_is_the_path_or_the_name_given() {
        drop(block_on(r#loop()));
        assert_eq!(block_on(labelled(1)), 1);
        let functions = offload_runtime::stats().functions;
        let names: Vec<_> = functions.iter().map(|function| function.name).collect();
        assert!(names.contains(&"shapes::options::loop"), "{names:?}");
        assert!(names.contains(&"a \"label\""), "{names:?}");
    }

    #[offload(thread)]
    fn r#loop() -> String {
        String::new()
    }

    #[test]
    fn the_runtime_may_have_another_name() {
        assert_eq!(block_on(through_another_name(1)), 1);
        assert_eq!(block_on(labelled(1)), 1);
    }
}

mod attributes {
    use super::*;

    #[offload(cpu, sync = deprecated_sync)]
    #[deprecated]
    fn deprecated() -> u32 {
        1
    }

    #[test]
    #[allow(deprecated)]
    fn what_is_deprecated_may_call_its_other_half() {
        assert_eq!(block_on(deprecated()), deprecated_sync());
    }

    /// Docs stay.
    #[offload(cpu)]
    #[cfg(test)]
    #[must_use]
    #[inline]
    #[doc(alias = "other")]
    fn there() -> u32 {
        1
    }

    #[offload(cpu)]
    #[cfg(not(test))]
    fn not_there(unknown: Unknown) -> Unknown {
        unknown
    }

    #[offload(cpu)]
    #[axum::debug_handler]
    fn handler(axum::extract::Path(id): axum::extract::Path<u32>, body: String) -> String {
        format!("{id}{body}")
    }

    /// Below, it sees an async function; the names of the arguments are there.
    #[offload(cpu)]
    #[tracing::instrument(fields(double = number * 2))]
    fn traced_as_async(number: u32, (left, _): (u32, u32)) -> u32 {
        number + left
    }

    /// Above, it sees a synchronous one, and its span is around the body.
    #[tracing::instrument(fields(double = number * 2))]
    #[offload(cpu)]
    fn traced_as_sync(number: u32, (left, _): (u32, u32)) -> u32 {
        number + left
    }

    struct Traced;

    impl Traced {
        /// An argument may have the method's own name there, too.
        #[offload(cpu, spawn = Self::method_soon)]
        #[tracing::instrument(skip(self), fields(double = method * 2))]
        fn method(self, method: u32) -> u32 {
            method
        }
    }

    #[test]
    fn attributes_below_see_the_async_function() {
        assert_eq!(block_on(Traced.method(1)), 1);
        assert_eq!(block_on(Traced.method_soon(1)).unwrap(), 1);
        assert_eq!(block_on(traced_as_async(1, (2, 3))), 3);
        assert_eq!(block_on(traced_as_sync(1, (2, 3))), 3);
        assert_eq!(block_on(there()), 1);
        let answer = handler(axum::extract::Path(1), "a".to_owned());
        assert_eq!(block_on(answer), "1a");
        let _: axum::Router = axum::Router::new().route("/{id}", axum::routing::post(handler));
    }
}

mod promises {
    use super::*;

    #[offload(cpu)]
    fn lazy(started: Arc<AtomicUsize>) {
        started.fetch_add(1, Ordering::SeqCst);
    }

    fn is_send_and_static<T: Send + 'static>(_: &T) {}

    #[offload(cpu)]
    fn not_sync(value: Cell<u32>) -> Cell<u32> {
        value
    }

    #[test]
    fn the_future_is_send_and_static() {
        is_send_and_static(&lazy(Arc::default()));
        is_send_and_static(&not_sync(Cell::new(1)));
        is_send_and_static(&free_functions::add(1, 2));
        let lent = String::from("a");
        let future = {
            fn is_send<T: Send>(future: T) -> T {
                future
            }
            #[offload(cpu)]
            fn copied(#[to_owned] text: &str) -> usize {
                text.len()
            }
            is_send(copied(&lent))
        };
        assert_eq!(block_on(future), 1);
    }

    #[test]
    fn nothing_runs_before_the_first_poll() {
        let started = Arc::new(AtomicUsize::new(0));
        let future = lazy(Arc::clone(&started));
        assert_eq!(Arc::strong_count(&started), 2);
        drop(future);
        assert_eq!(Arc::strong_count(&started), 1);
        assert_eq!(started.load(Ordering::SeqCst), 0);
        block_on(lazy(Arc::clone(&started)));
        assert_eq!(started.load(Ordering::SeqCst), 1);
    }

    /// Writes its name down when it is dropped, and where.
    #[derive(Clone)]
    struct Guard(&'static str, Arc<Mutex<Vec<(&'static str, ThreadId)>>>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.1.lock().unwrap().push((self.0, thread::current().id()));
        }
    }

    #[offload(thread)]
    fn guarded(_guard: Guard, _: Guard, unused: Guard, (part, _): (Guard, Guard), log: Guard) {
        let _ = (&part, &unused.0);
        log.1.lock().unwrap().push(("body", thread::current().id()));
    }

    #[offload(thread, sync = guarded_sync)]
    fn guarded_with_sync(
        _guard: Guard,
        _: Guard,
        unused: Guard,
        (part, _): (Guard, Guard),
        log: Guard,
    ) {
        let _ = (&part, &unused.0);
        log.1.lock().unwrap().push(("body", thread::current().id()));
    }

    fn reference(_guard: Guard, _: Guard, unused: Guard, (part, _): (Guard, Guard), log: Guard) {
        let _ = (&part, &unused.0);
        log.1.lock().unwrap().push(("body", thread::current().id()));
    }

    impl Guard {
        #[offload(thread)]
        fn method(self, _: Guard) {
            self.1.lock().unwrap().push(("body", thread::current().id()));
        }

        fn reference(self, _: Guard) {
            self.1.lock().unwrap().push(("body", thread::current().id()));
        }

        #[offload(thread)]
        fn only_a_field(self, _: Guard) -> usize {
            self.0.len()
        }
    }

    /// What `run` logged: the names in order, and the one thread all of it was on.
    fn log(run: impl FnOnce([Guard; 6])) -> (Vec<&'static str>, ThreadId) {
        let log = Arc::default();
        run(["a", "b", "c", "d", "e", "f"].map(|name| Guard(name, Arc::clone(&log))));
        let log = log.lock().unwrap();
        assert!(log.iter().all(|(_, id)| *id == log[0].1), "{log:?}");
        (log.iter().map(|(name, _)| *name).collect(), log[0].1)
    }

    #[test]
    fn arguments_are_dropped_after_the_body_in_the_order_of_a_function() {
        let expected = log(|[a, b, c, d, e, f]| reference(a, b, c, (d, e), f));
        for (names, id) in [
            log(|[a, b, c, d, e, f]| block_on(guarded(a, b, c, (d, e), f))),
            log(|[a, b, c, d, e, f]| block_on(guarded_with_sync(a, b, c, (d, e), f))),
        ] {
            assert_eq!(names, expected.0);
            assert!(elsewhere(id));
        }
        assert_eq!(log(|[a, b, c, d, e, f]| guarded_sync(a, b, c, (d, e), f)), expected,);
    }

    /// The same for a method.
    fn log_two(run: impl FnOnce(Guard, Guard)) -> (Vec<&'static str>, ThreadId) {
        let log = Arc::default();
        run(Guard("self", Arc::clone(&log)), Guard("argument", Arc::clone(&log)));
        let log = log.lock().unwrap();
        assert!(log.iter().all(|(_, id)| *id == log[0].1), "{log:?}");
        (log.iter().map(|(name, _)| *name).collect(), log[0].1)
    }

    #[test]
    fn self_is_an_argument_like_any_other() {
        let (expected, _) = log_two(Guard::reference);
        assert_eq!(expected, ["body", "argument", "self"]);
        let (names, id) = log_two(|itself, argument| block_on(itself.method(argument)));
        assert_eq!(names, expected);
        assert!(elsewhere(id));
        // All of `self` is there, although the body looks at one field only.
        let (names, id) = log_two(|itself, argument| {
            assert_eq!(block_on(itself.only_a_field(argument)), 4);
        });
        assert_eq!(names, ["argument", "self"]);
        assert!(elsewhere(id));
    }
}

/// What is called as the function that calls it, and is another one.
mod of_the_same_name {
    use super::*;

    #[derive(Clone)]
    struct Shelf(Vec<u32>);

    impl Shelf {
        fn count(&self) -> usize {
            self.0.len()
        }

        fn open() -> Self {
            Self(vec![1, 2])
        }
    }

    trait Books {
        async fn count(&self) -> usize;
        async fn open() -> Self;
    }

    impl Books for Shelf {
        #[offload(cpu)]
        fn count(#[to_owned] &self) -> usize {
            self.count() + Self::count(self)
        }

        #[offload(cpu)]
        fn open() -> Self {
            Self::open().clone()
        }
    }

    fn sum(shelf: Shelf) -> u32 {
        shelf.0.into_iter().sum()
    }

    impl Shelf {
        #[offload(cpu)]
        fn sum(shelf: Shelf) -> u32 {
            sum(shelf) + 1
        }
    }

    #[test]
    fn methods_that_call_what_is_called_as_they_are() {
        let shelf = block_on(<Shelf as Books>::open());
        assert_eq!(block_on(Books::count(&shelf)), 4);
        assert_eq!(block_on(Shelf::sum(shelf)), 4);
    }
}

/// Lifetimes of the `impl` block.
mod lifetimes_around {
    use super::*;

    struct Pack<'a>(PhantomData<&'a str>);

    impl<'a> Pack<'a> {
        const NAMES: [&'a str; 2] = ["a", "bc"];

        #[offload(cpu)]
        fn longest(at_least: usize) -> usize {
            let names: [&'a str; 2] = Pack::NAMES;
            fn length(name: &str) -> usize {
                name.len()
            }
            let mut longest = at_least;
            'all: for name in names {
                if length(name) <= longest {
                    continue 'all;
                }
                longest = length(name);
            }
            longest
        }

        #[offload(cpu)]
        fn copied(#[to_owned] name: &'a str) -> usize {
            name.len()
        }
    }

    #[test]
    fn bodies_that_name_them() {
        assert_eq!(block_on(Pack::longest(1)), 2);
        assert_eq!(block_on(Pack::copied("abc")), 3);
        assert_eq!(Pack(PhantomData).0, PhantomData);
    }
}

#[offload(cpu)]
fn at_the_top(n: u32) -> u32 {
    n
}

/// What the expansion calls its own.
#[offload(cpu)]
fn named_as_in_the_expansion(__offload: u32, __body: u32) -> u32 {
    __offload + __body
}

/// The same of a result that promises something.
#[offload(cpu)]
fn named_as_its_promise(__promise: u32) -> impl Fn(u32) -> u32 {
    move |n| __promise + n
}

/// As what it calls.
#[offload(cpu, sync = as_called_sync, spawn = as_called_soon)]
fn as_called(as_called: u32, as_called_sync: u32, #[to_owned] as_called_soon: &str) -> usize {
    (as_called + as_called_sync) as usize + as_called_soon.len()
}

struct Table<T>(Vec<T>);

impl<T: Send> Table<T> {
    #[offload(cpu)]
    pub(crate) fn rows(self, others: Table<T>) -> Table<T> {
        Table(self.0.into_iter().chain(others.0).collect())
    }
}

#[test]
fn at_the_top_of_a_crate() {
    assert_eq!(block_on(at_the_top(1)), 1);
    assert_eq!(block_on(named_as_in_the_expansion(1, 2)), 3);
    assert_eq!(block_on(as_called(1, 2, "three")), 8);
    assert_eq!(as_called_soon(1, 2, "three").wait().unwrap(), 8);
    assert_eq!(as_called_sync(1, 2, "three"), 8);
    assert_eq!(block_on(named_as_its_promise(1))(2), 3);
    assert_eq!(block_on(Table(vec![1]).rows(Table(vec![2]))).0, [1, 2]);
}
