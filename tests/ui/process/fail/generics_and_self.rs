//! A worker finds a function in a table: there is one of it, and no type around it.

use offload_runtime::{Error, offload};
use serde::Serialize;

#[offload(process)]
fn generic<T: Serialize>(value: T) -> Result<String, Error> { //~
    drop(value);
    Ok(String::new())
}

#[offload(process)]
fn sized<const N: usize>(value: [u8; 4]) -> Result<usize, Error> { //~
    Ok(N + value.len())
}

#[offload(process)]
fn opaque(value: impl Into<String>) -> Result<String, Error> { //~
    Ok(value.into())
}

#[offload(process)]
fn borrows<'a>(value: &'a str) -> Result<usize, Error> { //~
    Ok(value.len())
}

struct Engine;

impl Engine {
    #[offload(process)]
    fn by_value(self, text: String) -> Result<usize, Error> { //~
        Ok(text.len())
    }

    #[offload(process)]
    fn by_reference(&self, text: String) -> Result<usize, Error> { //~
        Ok(text.len())
    }

    #[offload(process)]
    fn copied(#[to_owned] &self, text: String) -> Result<usize, Error> { //~
        Ok(text.len())
    }

    #[offload(process)]
    fn argument(engine: Box<Self>) -> Result<(), Error> { //~
        drop(engine);
        Ok(())
    }

    #[offload(process)]
    fn body(text: String) -> Result<usize, Error> {
        Ok(Self::length(&text)) //~
    }

    #[offload(process, sync = Self::twice_sync)] //~
    fn twice(text: String) -> Result<usize, Error> {
        Ok(text.len() * 2)
    }

    fn length(text: &str) -> usize {
        text.len()
    }
}

struct Of<T>(T);

trait Named {
    const LENGTH: usize;
}

impl Named for u8 {
    const LENGTH: usize = 2;
}

impl<T: Named> Of<T> {
    #[offload(process)]
    fn taken(value: T) -> Result<(), Error> { //~
        drop(value);
        Ok(())
    }

    #[offload(process)]
    fn made() -> Result<usize, Error> {
        Ok(size_of::<T>()) //~
    }

    #[offload(process)]
    fn named() -> Result<usize, Error> {
        let made: Option<T> = None; //~
        Ok(made.iter().count())
    }

    #[offload(process)]
    fn qualified() -> Result<usize, Error> {
        Ok(<T as Named>::LENGTH) //~
    }
}

async fn caller() {
    let _ = Of::<u8>::made().await;
    let _ = Of::<u8>::named().await;
    let _ = generic(1).await;
    let _ = sized::<2>([0; 4]).await;
    let _ = opaque("a").await;
    let _ = Engine.by_value(String::new()).await;
    let _ = Engine.by_reference(String::new()).await;
    let _ = Engine.copied(String::new()).await;
    let _ = Engine::body(String::new()).await;
    let _ = Engine::twice(String::new()).await;
}

fn main() {}
