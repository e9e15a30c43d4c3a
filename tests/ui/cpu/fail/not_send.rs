//! Types that may not move to another thread, each reported where it is written.

use std::rc::Rc;

use offload_runtime::{Error, offload};

struct Session {
    cache: Rc<Vec<u32>>,
}

#[offload(cpu)]
fn argument(number: Rc<u32>) -> u32 { //~
    *number
}

#[offload(cpu)]
fn argument_inside(first: u32, session: Session) -> u32 { //~
    first + session.cache[0]
}

#[offload(cpu)]
fn unused_argument(_: Rc<u32>) {} //~

#[offload(cpu)]
fn result(number: u32) -> Option<Rc<u32>> { //~
    Some(Rc::new(number))
}

#[offload(cpu)]
fn impl_argument(number: impl Fn() -> u32 + 'static) -> u32 { //~
    number()
}

#[offload(cpu)]
fn impl_result(number: u32) -> impl Fn() -> u32 { //~
    let number = Rc::new(number);
    move || *number
}

#[offload(cpu)]
fn generic<T: 'static>(_value: Vec<T>) -> u32 { //~
    1
}

#[offload(cpu)]
fn generic_result<T: Default + 'static>() -> Option<T> { //~
    Some(T::default())
}

struct Boxed<W>(W);

impl<W> Boxed<W> {
    #[offload(cpu)]
    fn into_inner(
        self, //~
    ) -> W { //~
        self.0
    }

    #[offload(cpu, timeout = "5s")]
    fn into_inner_in_time(
        self, //~
    ) -> Result<W, Error> { //~
        Ok(self.0)
    }
}

#[offload(cpu, timeout = "5s")]
fn result_in_time() -> Result<Rc<u8>, Error> { //~
    Ok(Rc::new(1))
}

/// As the note says.
#[offload(cpu)]
fn told_which_part(session: Session) { //~
    fn sent<T: Send>(_: &T) {}
    sent(&session); //~
}

impl Session {
    #[offload(cpu)]
    fn method(self, index: usize) -> u32 { //~
        self.cache[index]
    }
}

async fn caller(session: Session) {
    let _: u32 = argument(Rc::new(1)).await;
    let _: u32 = argument_inside(1, Session { cache: Rc::default() }).await;
    unused_argument(Rc::new(1)).await;
    let _: Option<Rc<u32>> = result(1).await;
    let _: u32 = impl_argument(|| 1).await;
    let _: u32 = (impl_result(1).await)();
    let _: u32 = generic(vec![1]).await;
    let _: Option<u32> = generic_result().await;
    let _: u32 = session.method(0).await;
}

fn main() {}
