//! Bodies that await, and bodies that call themselves: what is async there is no value.

use std::future::{Future, ready};

use offload_runtime::offload;

#[offload(thread)]
fn awaits(n: u32) -> u32 {
    let one = ready(n).await; //~
    one + ready(n).await
}

#[offload(thread)]
async fn is_async(n: u32) -> u32 { //~
    ready(n).await
}

#[offload(thread)]
fn inside_of_something(n: u32) -> u32 {
    if n > 0 {
        return [ready(n).await].len() as u32; //~
    }
    0
}

#[offload(cpu)]
fn factorial(n: u64) -> u64 {
    if n == 0 { 1 } else { n * factorial(n - 1) } //~
}

#[offload(cpu)]
fn last(n: u64) -> u64 {
    if n == 0 {
        return 0;
    }
    last(n - 1) //~
}

#[offload(cpu)]
fn early(n: u64) -> u64 {
    if n > 0 {
        return early(n - 1); //~
    }
    0
}

#[offload(cpu)]
fn question_mark(n: u64) -> Result<u64, String> {
    let rest = question_mark(n - 1)?; //~
    Ok(rest + 1)
}

#[offload(cpu, sync = other_sync)]
fn other(n: u64) -> u64 {
    if n == 0 { 0 } else { other(n - 1) + 1 } //~
}

struct Tree(Vec<Tree>);

impl Tree {
    #[offload(cpu)]
    pub fn depth(self) -> usize {
        1 + self.depth() //~
    }

    #[offload(cpu)]
    pub fn count(n: usize) -> usize {
        Self::count(n - 1) + 1 //~
    }
}

/// These are futures, and meant so.
mod right {
    use super::*;

    fn block_on<T>(_: impl Future<Output = T>) -> T {
        loop {}
    }

    #[offload(cpu)]
    fn waits_for_itself(n: u64) -> u64 {
        if n == 0 { 0 } else { block_on(waits_for_itself(n - 1)) }
    }

    #[offload(thread)]
    fn in_blocks(n: u32) -> u32 {
        let future = async move { ready(n).await };
        let again = async || ready(n).await;
        block_on(future) + block_on(again()) + block_on(async { ready(n).await })
    }

    #[offload(thread)]
    fn in_functions(n: u32) -> u32 {
        async fn inside(n: u32) -> u32 {
            ready(n).await
        }
        block_on(inside(n))
    }

    #[offload(cpu)]
    fn shadowed(n: u32) -> u32 {
        fn shadowed(n: u32) -> u32 {
            if n == 0 { 0 } else { shadowed(n - 1) + 1 }
        }
        shadowed(n) + 1
    }

    #[offload(cpu)]
    fn local(local: fn(u32) -> u32) -> u32 {
        local(1) + 1
    }

    async fn caller() {
        let _: u64 = waits_for_itself(1).await;
        let _: u32 = in_blocks(1).await + in_functions(1).await + shadowed(1).await;
    }
}

async fn caller() {
    let _: u32 = awaits(1).await + is_async(1).await + inside_of_something(1).await;
    let _: u64 = factorial(1).await + last(1).await + early(1).await + other(1).await;
    let _: Result<u64, String> = question_mark(1).await;
    let _: usize = Tree(Vec::new()).depth().await + Tree::count(1).await + other_sync(1) as usize;
}

fn main() {}
