// What the compiler warns of is the same with the attribute and without. Each program goes from
// one line with `//#` to the next.

//# functions that nobody calls
#[offload(cpu)]
fn never_called(x: u8) -> u8 {
    x
}

#[offload(thread, limit = 4)]
fn with_options(x: u8) -> u8 {
    x
}

#[offload(process)]
fn in_a_process(x: u8) -> Result<u8, Error> {
    Ok(x)
}

#[offload(cpu)]
fn generic<T: Send + 'static>(x: T) -> T {
    x
}

//# what is asked of callers
#[offload(cpu)]
pub fn of_parameters<T: Send, U>(x: Vec<T>, _y: U, mut z: impl FnMut() + Send) -> Option<T>
where
    U: Send,
{
    z();
    let unused = 1;
    x.into_iter().next()
}

pub mod inside {
    use super::*;

    pub struct A;

    impl A {
        #[offload(cpu)]
        pub fn by_value(self) -> Self {
            self
        }

        #[offload(cpu)]
        pub fn of_another(other: B) -> B {
            other
        }
    }

    pub struct B;

    #[offload(cpu)]
    pub fn of_a_type(a: A, b: Option<B>) -> (A, Option<B>) {
        (a, b)
    }
}

//# what only such a function uses
struct Used;

fn helper() {}

#[offload(cpu)]
fn uses() {
    let _ = Used;
    helper();
    struct Inside;
    fn inside() {}
}

//# methods that nobody calls, and their neighbours
impl Store {
    fn plain(&self) {}

    #[offload(cpu)]
    fn by_value(self) {}

    #[offload(cpu)]
    fn of_a_copy(#[to_owned] &self) {}

    #[offload(cpu)]
    fn associated(x: u8) -> u8 {
        x
    }

    #[offload(cpu)]
    fn own_type() -> Self {
        todo!()
    }
}

//# what is expected
#[offload(cpu)]
#[expect(dead_code)]
fn dead() {}

#[offload(cpu)]
#[expect(unused_variables)]
pub fn unused(x: u8) {}

#[offload(cpu)]
#[expect(dead_code)]
pub fn alive() {}

#[offload(cpu)]
#[expect(unreachable_code)]
pub fn unreachable() -> u8 {
    return 1;
    2
}

impl Store {
    #[offload(cpu)]
    #[expect(dead_code)]
    fn method(self) {}

    #[offload(cpu)]
    #[expect(unused_variables)]
    pub fn unused(self, x: u8) {}
}

//# what is public and cannot be reached
mod inner {
    use offload_runtime::offload;

    #[offload(cpu)]
    pub fn public(x: u8) -> u8 {
        x
    }

    pub struct Inner;

    impl Inner {
        #[offload(cpu)]
        pub fn method(self) {}
    }
}

//# what is not reached, not used, not needed
#[offload(cpu)]
pub fn unreached(x: u8) -> u8 {
    return x;
    println!("never");
}

#[offload(cpu)]
pub fn not_used(x: u8, mut y: u8, _z: u8) -> u8 {
    let a = 1;
    let mut b = 2;
    (b)
}

#[offload(cpu)]
pub fn parens(x: Vec<u8>) {
    if (x.is_empty()) {}
    std::mem::take(&mut 1);
    let _ = { x.len() };
    std::fs::remove_file("a");
}

//# the same in methods
impl Store {
    #[must_use]
    pub fn must(&self) -> u8 {
        1
    }

    #[offload(cpu)]
    pub fn unreached(self) -> u32 {
        return self.count;
        println!("never");
    }

    #[offload(cpu)]
    pub fn of_a_copy(#[to_owned] &self, x: u8) {
        if (self.name.is_empty()) {}
        self.must();
        let unused = 1;
    }

    #[offload(cpu)]
    pub fn assigns(mut self, count: u32) {
        self.count = count;
    }

    #[offload(cpu)]
    pub fn assigns_and_reads(mut self, count: u32) -> u32 {
        self.count = count;
        self.count
    }

    #[offload(cpu)]
    pub fn need_not_be_mutable(mut self) -> u32 {
        self.count
    }
}

//# what is deprecated
#[deprecated]
pub fn old() {}

#[offload(cpu)]
#[deprecated]
pub fn itself() {
    old();
}

#[offload(cpu)]
pub fn calls() {
    old();
}

//# names
#[offload(cpu)]
pub fn camelCase(argName: u8) -> u8 {
    let localName = argName;
    localName
}

#[offload(cpu)]
pub fn undocumented<T: Send + 'static>(x: T) {
    drop(x)
}

//# what is said of calls
#[offload(cpu)]
pub fn recursion(n: u8) -> u8 {
    let unused_result = Some(n).map(|n| n + 1);
    Some(n).map(|n| n + 1);
    n as u8
}

#[offload(cpu)]
pub fn never() -> ! {
    loop {}
    println!("never");
}

//# functions of a trait that nothing in them shows to be there
pub trait Counts {
    #[offload(cpu)]
    fn count(upTo: u8) -> u8 {
        upTo
    }
}
