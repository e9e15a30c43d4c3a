//! Options by which a call can fail, on results that have no place for it.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use offload_runtime::{Error, offload};

#[derive(Debug)]
struct OwnError;

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("own")
    }
}

type Wrong = Result<u32, OwnError>;
type Right = Result<u32, Error>;

#[offload(cpu, timeout = "2s")]
fn nothing(_number: u32) {} //~

#[offload(cpu, timeout = "2s")]
fn unit(_number: u32) -> () {} //~

#[offload(cpu, timeout = "2s")]
fn never(_number: u32) -> ! { //~
    panic!()
}

#[offload(cpu, timeout = "2s")]
fn plain(number: u32) -> u32 { //~
    number
}

#[offload(cpu, queue = 100)]
fn option(number: u32) -> Option<u32> { //~
    Some(number)
}

#[offload(cpu, queue_timeout = Duration::from_secs(1))]
fn wrong_error(number: u32) -> Result<u32, OwnError> { //~
    Ok(number)
}

#[offload(cpu, timeout = "2s")]
fn alias(number: u32) -> Wrong { //~
    Ok(number)
}

#[offload(cpu, timeout = "2s")]
fn opaque(number: u32) -> impl Iterator<Item = u32> { //~
    0..number
}

#[offload(cpu, timeout = "2s")]
fn not_send(number: u32) -> Result<Rc<u32>, Error> { //~
    Ok(Rc::new(number))
}

#[offload(cpu, timeout = "2s", queue = 100)]
fn right(number: u32) -> Right {
    Ok(number)
}

struct Boxed<W>(W);

impl<W: Send + 'static> Boxed<W> {
    #[offload(cpu, timeout = "2s")]
    pub fn into_inner(self) -> W { //~
        self.0
    }
}

async fn caller() {
    nothing(1).await;
    unit(1).await;
    let _: u32 = plain(1).await;
    let _: Option<u32> = option(1).await;
    let _: Result<u32, OwnError> = wrong_error(1).await;
    let _: Result<u32, OwnError> = alias(1).await;
    let _: u32 = opaque(1).await.sum();
    let _: Result<Rc<u32>, Error> = not_send(1).await;
    let _: Result<u32, Error> = right(1).await;
    never(1).await
}

fn main() {}
