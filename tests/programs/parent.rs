//! A program with worker processes, for tests of how it starts and ends:
//! `parent MODE [FOLDER]`.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use offload_runtime::{Error, ProcessPool, offload};

/// Two bodies spin at once, also where there is one core.
static POOL: ProcessPool = ProcessPool::new("spinning").workers(2);

#[offload(process)]
fn double(n: u32) -> Result<(u32, u32), Error> {
    Ok((n * 2, std::process::id()))
}

/// Spins for ever, beside a process that it started, and tells their numbers.
#[expect(clippy::zombie_processes, reason = "it never ends by itself")]
#[offload(process, pool = POOL)]
fn spins(path: String) -> Result<(), Error> {
    let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(format!("{path}.new"), format!("{} {}", std::process::id(), child.id()))
        .unwrap();
    std::fs::rename(format!("{path}.new"), path).unwrap();
    loop {
        std::hint::spin_loop();
    }
}

/// A long answer, once the file is there.
#[offload(process)]
fn answers_at_length(path: String) -> Result<String, Error> {
    std::fs::write(format!("{path}.new"), std::process::id().to_string()).unwrap();
    std::fs::rename(format!("{path}.new"), &path).unwrap();
    while !std::fs::exists(format!("{path}.go")).unwrap() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok("x".repeat(32 << 20))
}

#[offload_runtime::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, rest @ ..] = &arguments[..] else { panic!("say what to do") };
    match &**mode {
        "call" => {
            let (doubled, pid) = double(21).await.unwrap();
            assert_ne!(pid, std::process::id());
            println!("{doubled}");
        }
        "answer" => match answers_at_length(format!("{}/answers", rest[0])).await {
            Ok(answer) => println!("an answer of {} bytes", answer.len()),
            Err(error) => println!("{:?} {:?} {error}", error.kind(), error.signal()),
        },
        _ => {
            let calls = [0, 1].map(|n| spins(format!("{}/{n}", rest[0])));
            let mut calls = calls.map(Box::pin);
            for call in &mut calls {
                assert!(pin!(call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            while ![0, 1].iter().all(|n| Path::new(&rest[0]).join(n.to_string()).exists()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match &**mode {
                "return" => std::mem::forget(calls),
                "exit" => std::process::exit(0),
                "panic" => panic!("as was asked for"),
                "abort" => std::process::abort(),
                "wait" => {
                    std::fs::write(Path::new(&rest[0]).join("waits"), "").unwrap();
                    std::future::pending().await
                }
                other => panic!("{other:?} is nothing it can do"),
            }
        }
    }
}
