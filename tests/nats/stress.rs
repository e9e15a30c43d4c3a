//! Very many calls, and workers that are killed at random.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offload_runtime::{Error, ErrorKind, Ran};
use rand::{Rng, SeedableRng};
use tokio::sync::{Semaphore, mpsc};

use crate::data::has_no_objects;
use crate::functions as f;
use crate::server::{Server, Setup, Worker};

const CALLS: u32 = 10_000;

/// So many are under way at once.
const AT_ONCE: usize = 500;

/// How often the body of each call ran, as the bodies have noted it.
fn notes(folder: &Path) -> HashMap<u32, usize> {
    let mut ran = HashMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let notes = fs::read(file.unwrap().path()).unwrap();
        for note in notes.chunks_exact(4) {
            *ran.entry(u32::from_le_bytes(note.try_into().unwrap())).or_insert(0) += 1;
        }
    }
    ran
}

/// What a message of the server is too small for.
const LARGE: usize = 1_100_000;

/// So many calls are one with large arguments and a large result.
const LARGE_ONE_OF: u32 = 200;

async fn call(number: u32, folder: PathBuf) -> Result<u32, Error> {
    if number % LARGE_ONE_OF == 1 {
        let text = format!("{number:05}").repeat(LARGE / 5);
        let (answer, back) = f::note_and_give_back(number, folder, text.clone()).await?;
        assert!(back == text, "{number}");
        return Ok(answer);
    }
    match number % 3 {
        0 => f::note_again(number, folder).await,
        _ => f::note(number, folder).await,
    }
}

async fn ends_well(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
    let mut workers: Vec<_> = (0..4).map(|_| Worker::start("jobs")).collect();
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let (tell, mut told) = mpsc::unbounded_channel();
    for number in 0..CALLS {
        let (permits, tell) = (Arc::clone(&permits), tell.clone());
        let folder = folder.path().to_owned();
        tokio::spawn(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            let result = call(number, folder).await;
            tell.send((number, result)).unwrap();
        });
    }
    drop(tell);
    let mut kills =
        [random.random_range(0..CALLS / 2), random.random_range(CALLS / 2..CALLS - 100)];
    kills.sort_unstable();
    let mut results = HashMap::new();
    while let Some((number, result)) = told.recv().await {
        assert!(results.insert(number, result).is_none(), "{number} has two answers");
        if kills.contains(&u32::try_from(results.len()).unwrap()) {
            let victim = random.random_range(0..workers.len());
            workers.swap_remove(victim).kill();
        }
    }
    assert_eq!((results.len(), workers.len()), (10_000, 2));
    let ran = notes(folder.path());
    for (number, result) in results {
        let times = ran.get(&number).copied().unwrap_or_default();
        let is_once = number % 3 != 0 || number % LARGE_ONE_OF == 1;
        let most = if is_once { 1 } else { 3 };
        assert!(times <= most, "{number} ran {times} times");
        match result {
            Ok(answer) => assert_eq!((answer, times >= 1), (number, true)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WorkerDied, "{number}: {error}");
                match error.ran() {
                    Ran::No => assert_eq!(times, 0, "{number}: {error}"),
                    Ran::Yes => assert_ne!(times, 0, "{number}: {error}"),
                    Ran::Maybe => {}
                }
            }
        }
    }
    server.has_messages("jobs", 0).await;
    has_no_objects(server).await;
}

#[test]
fn each_of_ten_thousand_calls_ends_once_with_its_own_answer_or_a_true_error() {
    let name = "stress::each_of_ten_thousand_calls_ends_once_with_its_own_answer_or_a_true_error";
    let setup = Setup::new(name).patience(std::time::Duration::from_secs(400));
    setup.run(async |server| ends_well(server).await);
}
