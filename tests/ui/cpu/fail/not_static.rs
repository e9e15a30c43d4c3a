//! Types that may borrow. The help names the bound that is missing.

use offload_runtime::offload;

struct View<'a> {
    text: &'a str,
}

#[offload(cpu)]
fn generic<T: Send>(value: Vec<T>) -> usize { //~
    value.len()
}

#[offload(cpu)]
fn generic_twice<T: Send>(first: T, _second: T) -> T { //~
    first
}

#[offload(cpu)]
fn no_result<T: Send>(_value: T) {} //~

#[offload(cpu)]
fn impl_argument(number: impl Fn() -> u32 + Send) -> u32 { //~
    number()
}

#[offload(cpu)]
fn hidden_lifetime(view: View) -> usize { //~
    view.text.len()
}

impl<'a> View<'a> {
    #[offload(cpu)]
    fn method(self) -> usize { //~
        self.text.len()
    }
}

async fn caller() {
    let _: usize = generic(vec![1]).await;
    let _: u32 = generic_twice(1, 2).await;
    no_result(1).await;
    let _: u32 = impl_argument(|| 1).await;
    let _: usize = hidden_lifetime(View { text: "a" }).await;
    let _: usize = View { text: "a" }.method().await;
}

fn main() {}
