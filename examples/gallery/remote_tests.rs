//! The gallery with a server of NATS and two workers, started by the commands of its README.
#![cfg(unix)]

#[path = "../browser/program.rs"]
mod program;
#[path = "../browser/skipped.rs"]
mod skipped;
#[path = "../browser/workers.rs"]
mod workers;

use std::{collections::BTreeMap, time::Instant};

use program::{PATIENCE, Program};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use workers::{COMMANDS, Workers};

fn png(side: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image::DynamicImage::new_rgb8(side, side);
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Puts up a photo, which is tried again where the gallery was too busy.
async fn upload(client: &Client, url: &str, photo: &[u8]) -> Value {
    let start = Instant::now();
    loop {
        let upload = client.post(format!("{url}/photos?name=photo")).body(photo.to_vec());
        let answer = upload.send().await.unwrap();
        if answer.status() == 201 {
            return answer.json().await.unwrap();
        }
        let status = answer.status();
        let is_busy = [503, 504].contains(&status.as_u16());
        assert!(is_busy && start.elapsed() < PATIENCE, "{status}: {:?}", answer.text().await);
    }
}

#[test]
fn the_readme_says_these_commands() {
    let readme = include_str!("README.md");
    assert!(readme.contains(&format!("```sh\n{}\n```", COMMANDS.join("\n"))));
}

#[tokio::test]
async fn two_workers_make_the_thumbnails_and_the_page_is_told_who_made_which() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut workers) = Workers::start(folder.path()) else { return };
    let program = workers.gallery(&folder.path().join("data"));
    let client = program.member("Anna").await;

    // As often as each takes some, and more than once.
    let start = Instant::now();
    let mut made = BTreeMap::new();
    let pids = workers.pids().map(u64::from);
    while !pids.iter().all(|pid| made.get(pid).is_some_and(|count| *count >= 2)) {
        assert!(start.elapsed() < PATIENCE, "{made:?} of {pids:?}");
        let photo = upload(&client, &program.url, &png(900)).await;
        assert_eq!((&photo["width"], &photo["height"]), (&900.into(), &900.into()));
        let pid = photo["made_by"]["pid"].as_u64().unwrap();
        assert!(pids.contains(&pid), "{photo}");
        assert_ne!(photo["made_by"]["host"], "", "{photo}");
        *made.entry(pid).or_insert(0_u64) += 1;
    }
    // The page can still tell later who made each thumbnail.
    let photos = client.get(format!("{}/photos", program.url)).send().await.unwrap();
    let photos: Vec<Value> = photos.json().await.unwrap();
    assert!(photos.iter().all(|photo| pids.contains(&photo["made_by"]["pid"].as_u64().unwrap())));
    let stats = client.get(format!("{}/offload/stats.json", program.url)).send().await.unwrap();
    let stats: Value = stats.json().await.unwrap();
    let pools = stats["pools"].as_array().unwrap();
    let pool = pools.iter().find(|pool| pool["name"] == "thumbnails").unwrap();
    assert!(pool["remote"]["workers"].as_u64().is_some(), "{pool}");

    // An upload that is no photo gets the same error as without workers.
    let none = client.post(format!("{}/photos?name=none", program.url)).body("no photo");
    assert_eq!(none.send().await.unwrap().status(), 415);

    // A worker that is told to end does so, and the other goes on.
    let first = &mut workers.workers[0].0;
    kill_process(Pid::from_child(first), Signal::TERM).unwrap();
    assert!(first.wait().unwrap().success());
    for _ in 0..3 {
        let photo = upload(&client, &program.url, &png(90)).await;
        assert_eq!(photo["made_by"]["pid"], pids[1]);
    }
    // Copies that are made ahead are cut off if they take too long when it stops.
    let start = Instant::now();
    let is_copied =
        |photo: &Value| photo["width"] == 90 || !photo["copies"].as_array().unwrap().is_empty();
    loop {
        let photos = client.get(format!("{}/photos", program.url)).send().await.unwrap();
        if photos.json::<Vec<Value>>().await.unwrap().iter().all(is_copied) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "copies are not made");
    }
    program.ask_to_stop(Signal::INT);
    program.has_stopped();
}

#[tokio::test]
async fn without_a_server_nobody_else_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let client = program.member("Anna").await;
    let photo = upload(&client, &program.url, &png(9)).await;
    assert_eq!(photo.get("made_by"), None, "{photo}");
    let stats = client.get(format!("{}/offload/stats.json", program.url)).send().await.unwrap();
    let stats: Value = stats.json().await.unwrap();
    let mut names = stats["pools"].as_array().unwrap().iter().map(|pool| pool["name"].as_str());
    assert!(names.all(|name| name != Some("thumbnails")), "{stats}");
}
