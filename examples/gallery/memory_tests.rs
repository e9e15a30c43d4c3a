//! What the gallery needs at most: whatever is put up, it fits into a container of 768 MiB.
#![cfg(target_os = "linux")]

#[path = "../browser/program.rs"]
mod program;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    sync::mpsc,
    thread,
};

use flate2::{Compression, write::ZlibEncoder};
use futures::future::join_all;
use gallery::MAX_BODY;
use image::{ColorType, codecs::jpeg::JpegEncoder};
use program::Program;
use reqwest::{Client, header};
use rusqlite::Connection;
use serde_json::{Value, json};

/// What it may have at most, all in all, in bytes.
const MEMORY: usize = 768 << 20;

impl Program {
    /// The most memory that it has had at once so far, in bytes.
    fn most_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    /// A member whose upload may wait for as long as it takes until it is read.
    async fn patient(&self, name: &str) -> Client {
        let cookie = self.sign_up(name).await.parse().unwrap();
        let headers = [(header::COOKIE, cookie)].into_iter().collect();
        let client = Client::builder().default_headers(headers).tcp_user_timeout(None);
        client.build().unwrap()
    }

    #[track_caller]
    fn had_at_most(&self, bytes: usize) {
        let most = self.most_memory();
        assert!(most <= bytes, "{} MiB", most >> 20);
    }
}

/// A PNG of these dimensions, 16-bit RGBA, black, which lies on its side.
fn deep_png(width: u32, height: u32) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([16, 6, 0, 0, 0]);
    // A TIFF header and one entry: orientation (0x0112) 6, "turn me clockwise".
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let pixels = zeros(u64::from(height) * (1 + 8 * u64::from(width)));
    png(&[(b"IHDR", &header), (b"eXIf", exif), (b"IDAT", &pixels), (b"IEND", b"")])
}

/// A small PNG with a colour profile of so many bytes, which are packed into few.
fn png_with_profile(bytes: u64) -> Vec<u8> {
    let header = [[0, 0, 0, 9], [0, 0, 0, 9], [8, 2, 0, 0]].concat();
    let header = [&header[..], &[0]].concat();
    let profile = [b"profile\0\0", &zeros(bytes)[..]].concat();
    let pixels = zeros(9 * (1 + 3 * 9));
    png(&[(b"IHDR", &header), (b"iCCP", &profile), (b"IDAT", &pixels), (b"IEND", b"")])
}

fn zeros(mut bytes: u64) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = [0; 1 << 16];
    while bytes > 0 {
        let some = bytes.min(1 << 16);
        packed.write_all(&block[..usize::try_from(some).unwrap()]).unwrap();
        bytes -= some;
    }
    packed.finish().unwrap()
}

fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        let checked = [&kind[..], data].concat();
        let mut checksum = flate2::Crc::new();
        checksum.update(&checked);
        file.extend(checked);
        file.extend(checksum.sum().to_be_bytes());
    }
    file
}

/// A progressive JPEG of these dimensions, whose coefficients are all there at once while it is
/// decoded. It is grey: one scan says so, and a second one adds nothing.
fn progressive_jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new(&mut file)
        .encode(&[128; 16 * 16 * 3], 16, 16, ColorType::Rgb8.into())
        .unwrap();
    let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    file[frame + 1] = 0xc2; // progressive
    file[frame + 5..frame + 9]
        .copy_from_slice(&[height.to_be_bytes(), width.to_be_bytes()].concat());
    for component in 0..3 {
        file[frame + 11 + 3 * component] = 0x11; // in full resolution
    }
    let scan = file.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    file.truncate(scan);
    file.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 0, 0]); // the first coefficients
    file.extend(vec![0; 64 * 1024]);
    file.extend([0xff, 0xd9]);
    file
}

#[tokio::test]
async fn a_file_that_unpacks_to_much_is_refused_before_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let anna = program.member("Anna").await;
    let url = format!("{}/photos?name=bomb", program.url);
    // What the profile would be takes no memory, and what the picture is can be seen without it.
    for (bomb, status) in [(deep_png(6400, 6250), 422), (png_with_profile(1 << 28), 201)] {
        let answer = anna.post(&url).body(bomb).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    program.had_at_most(80 << 20);
}

/// The largest that are allowed, of the formats that need most, from many at once; and what else
/// takes memory, beside them.
#[tokio::test]
async fn as_many_photos_as_may_come_at_once_fit() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let photos = [progressive_jpeg(4000, 4000), deep_png(4000, 2000)].map(|mut photo| {
        photo.resize(MAX_BODY, 0); // a photo ends where it says
        axum::body::Bytes::from(photo)
    });
    let users = join_all((0..6).map(async |n| program.patient(&format!("user {n}")).await));
    let uploads = users.await.into_iter().zip(photos.iter().cycle()).enumerate();
    let uploads = uploads.map(async |(number, (user, photo))| {
        let upload = user.post(format!("{}/photos?name=large", program.url)).body(photo.clone());
        let uploaded = upload.send().await.unwrap().status();
        // One of each format, beside the uploads of the others.
        if number < photos.len() {
            let copies = user.post(format!("{}/album/copies", program.url));
            let lines = copies.send().await.unwrap().text().await.unwrap();
            assert!(lines.contains("\"photos\":"));
        }
        // On a busy machine some may be too late.
        assert!([201, 408, 503, 504].contains(&uploaded.as_u16()), "{uploaded}");
        uploaded == 201
    });
    let done = join_all(uploads).await;
    assert!(done.contains(&true), "{done:?}");
    program.had_at_most(MEMORY);
}

#[tokio::test]
async fn strangers_fill_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let threads: Vec<_> = (0..60)
        .map(|_| {
            let mut client = TcpStream::connect(program.address()).unwrap();
            thread::spawn(move || {
                let head = "POST /session HTTP/1.1\r\nHost: gallery\r\n\
                            Content-Type: application/json\r\nContent-Length: 10000000\r\n\r\n";
                // All but the last byte, or as much as is taken.
                let body = vec![b' '; 9_999_999];
                let sent = client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body));
                let mut answer = String::new();
                let read = client.read_to_string(&mut answer);
                // It may be cut off in the middle of what it sends, and hear nothing.
                assert!(sent.is_err() || read.is_err() || answer.contains(" 413 "), "{answer}");
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    program.had_at_most(80 << 20);
}

#[tokio::test]
async fn who_waits_for_copies_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let anna = program.member("Anna").await;
    let mut photo = Vec::new();
    JpegEncoder::new(&mut photo).encode(&[9; 3], 1, 1, ColorType::Rgb8.into()).unwrap();
    photo.resize(MAX_BODY, 0);
    let upload = anna.post(format!("{}/photos?name=large", program.url)).body(photo);
    assert_eq!(upload.send().await.unwrap().status(), 201);
    let copies = (0..80).map(async |_| {
        let answer = anna.post(format!("{}/album/copies", program.url)).send().await.unwrap();
        let lines = answer.text().await.unwrap();
        assert!(lines.ends_with("{\"photos\":1}\n"), "{lines}");
    });
    join_all(copies).await;
    program.had_at_most(160 << 20);
}

/// The photos of an album that is exported.
const ALBUM: usize = 7;

/// Gives everybody so many of the only photo that there is.
fn fill_albums(database: &Path) {
    let database = Connection::open(database).unwrap();
    database.execute_batch("PRAGMA synchronous = OFF").unwrap();
    let copies = database
        .execute(
            "WITH RECURSIVE copies (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < ?1)
             INSERT INTO photos (owner, name, width, height, media_type, thumbnail, photo)
             SELECT users.id, photos.name, width, height, media_type, thumbnail, photo
             FROM users, copies, photos",
            [u32::try_from(ALBUM).unwrap()],
        )
        .unwrap();
    assert_eq!(copies, 6 * ALBUM);
}

/// Each has asked for an album, four of which are larger than what all of them may take, and reads none of it.
#[tokio::test]
async fn exports_that_nobody_reads_take_a_photo_each() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let users = join_all((0..6).map(async |n| program.sign_up(&format!("user {n}")).await)).await;
    let mut photo = Vec::new();
    JpegEncoder::new(&mut photo).encode(&[9; 3], 1, 1, ColorType::Rgb8.into()).unwrap();
    photo.resize(MAX_BODY, 0);
    let upload = Client::new().post(format!("{}/photos?name=large", program.url)).body(photo);
    assert_eq!(upload.header("cookie", &users[0]).send().await.unwrap().status(), 201);
    fill_albums(&folder.path().join("gallery.db"));
    let exports = users.iter().map(|cookie| {
        let mut client = TcpStream::connect(program.address()).unwrap();
        let request = format!("GET /album.zip HTTP/1.0\r\nCookie: {cookie}\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        client
    });
    let mut exports: Vec<_> = exports.collect();
    // All that may leave at once do, and the others use no thread.
    let anna = Client::new();
    let start = std::time::Instant::now();
    loop {
        assert!(start.elapsed() < crate::program::PATIENCE, "four exports never ran at once");
        let stats = anna.get(format!("{}/offload/stats.json", program.url));
        let stats = stats.header("cookie", &users[0]).send().await.unwrap();
        let stats: Value = stats.json().await.unwrap();
        let mut pools = stats["pools"].as_array().unwrap().iter();
        let exports = pools.find(|pool| pool["name"] == "exports");
        if exports.is_some_and(|one| [&one["running"], &one["queued"]] == [&json!(4), &json!(2)]) {
            break;
        }
    }
    // Whoever closes its connection makes room; whoever reads gets it all.
    let mut last = exports.pop().unwrap();
    drop(exports);
    let mut album = Vec::new();
    last.read_to_end(&mut album).unwrap();
    assert!(album.len() > ALBUM * MAX_BODY, "{}", album.len());
    assert!(album.ends_with(&[0, 0]), "the end of the archive");
    program.had_at_most(256 << 20);
}

#[tokio::test]
async fn a_photo_is_read_when_it_is_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let cookie = program.sign_up("Anna").await;
    let anna = program.member("Ben").await;
    let (told, goes_on) = mpsc::channel();
    let uploads: Vec<_> = (0..20)
        .map(|number| {
            let mut client = TcpStream::connect(program.address()).unwrap();
            let head = format!(
                "POST /photos?name=slow HTTP/1.1\r\nHost: gallery\r\nCookie: {cookie}\r\n\
                 Content-Length: 10\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
            );
            client.write_all(head.as_bytes()).unwrap();
            let (mut answer, told) = (BufReader::new(client.try_clone().unwrap()), told.clone());
            thread::spawn(move || {
                let mut line = String::new();
                answer.read_line(&mut line).unwrap();
                assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
                told.send(number).unwrap();
            });
            client
        })
        .collect();
    drop(told);
    // All have come: it is known who they are.
    let start = std::time::Instant::now();
    loop {
        assert!(start.elapsed() < crate::program::PATIENCE, "they never all came");
        let stats = anna.get(format!("{}/offload/stats.json", program.url)).send().await.unwrap();
        let stats: Value = stats.json().await.unwrap();
        let mut functions = stats["functions"].as_array().unwrap().iter();
        let session = functions.find(|one| one["name"] == "gallery::accounts::find_session");
        if session.unwrap()["finished"].as_u64().unwrap() > 20 {
            break;
        }
    }
    let mut turns: Vec<usize> = (0..4).map(|_| goes_on.recv().unwrap()).collect();
    turns.extend(goes_on.try_iter());
    assert_eq!(turns.len(), 4, "so many are read at once");
    // Each that ends makes room for another.
    for number in turns.into_iter().chain(goes_on) {
        (&uploads[number]).write_all(b"not a photo"[..10].as_ref()).unwrap();
    }
}
