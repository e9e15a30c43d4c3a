//! Types that may borrow. The async function asks its callers that they do not. What is private may be a method of a
//! trait, and asks for nothing of the types of the block around it: there the help names the bound.

use std::vec::Drain;

use offload_runtime::offload;

#[derive(Clone)]
struct View<'a> {
    text: &'a str,
}

#[derive(Clone)]
struct Boxed<W>(W);

#[offload(cpu)]
fn generic<T: Send>(value: Vec<T>) -> usize {
    value.len()
}

#[offload(cpu)]
fn impl_argument(number: impl Fn() -> usize + Send) -> usize {
    number()
}

#[offload(cpu)]
fn hidden_lifetime(view: View) -> usize { //~
    view.text.len()
}

#[offload(cpu)]
fn hidden_beside_a_parameter<T: Send>(values: Drain<T>) -> usize { //~
    values.count()
}

impl<W: Send> Boxed<W> {
    #[offload(cpu)]
    pub fn public(self) -> W {
        self.0
    }

    #[offload(cpu)]
    fn private(self) -> W { //~
        self.0
    }
}

impl<'a> View<'a> {
    #[offload(cpu)]
    pub fn public(self) -> usize {
        self.text.len()
    }

    #[offload(cpu)]
    fn private(self) -> usize { //~
        self.text.len()
    }

    #[offload(cpu)]
    fn private_of_a_copy(#[to_owned] &self) -> usize { //~
        self.text.len()
    }
}

impl<W: Clone + Send + AsRef<str>> Boxed<W> {
    #[offload(cpu)]
    fn private_of_a_copy(#[to_owned] &self) -> usize { //~
        self.0.as_ref().len()
    }
}

trait Decode {
    async fn decode<R: Send>(self, from: R) -> usize;
}

impl Decode for u8 {
    #[offload(cpu)]
    fn decode<R: Send>(self, from: R) -> usize { //~
        drop(from);
        self.into()
    }
}

async fn callers_that_do_not() {
    let _: usize = generic(vec![1]).await;
    let _: usize = impl_argument(|| 1).await;
    let _: usize = hidden_lifetime(View { text: "a" }).await;
    let _: usize = hidden_beside_a_parameter(vec![1].drain(..)).await;
    let _: u8 = Boxed(1).public().await;
    let _: u8 = Boxed(1).private().await;
    let _: usize = View { text: "a" }.public().await;
    let _: usize = View { text: "a" }.private().await;
}

async fn lends_to_a_type() {
    let text = "a".to_owned();
    let _: usize = generic(vec![&text]).await; //~
}

async fn lends_to_a_closure() {
    let text = "a".to_owned();
    let number = || text.len(); //~
    let _: usize = impl_argument(number).await;
}

async fn lends_to_itself() {
    let text = "a".to_owned();
    let _: usize = View { text: &text }.public().await; //~
}

struct Lent<'a, T>(&'a [T]);

#[offload(cpu)]
fn hidden_in_a_type_of_its_own<T: Send + Sync>(lent: Lent<T>) -> usize { //~
    lent.0.len()
}

impl<W: Send + Sync> Boxed<W> {
    #[offload(cpu)]
    pub fn hidden_beside_that_of_the_block(self, lent: Lent<W>) -> usize { //~
        lent.0.len()
    }
}

async fn callers_of_what_hides_one() {
    let _: usize = hidden_in_a_type_of_its_own(Lent(&[1])).await;
    let _: usize = Boxed(1).hidden_beside_that_of_the_block(Lent(&[1])).await;
}

fn main() {}
