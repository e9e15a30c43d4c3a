//! The example web application end to end: a listening server, an HTTP client, real photos.

use std::{
    fs,
    io::{Cursor, Read},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use futures::future::{join_all, select_all};
use gallery::{
    LONGEST_SIDE, MAX_BODY, MAX_DESCRIPTION, MAX_NAME, MAX_PASSWORD, MAX_PIXELS, MAX_SCRIPT,
    MAX_TEXT, MAX_TITLE, MIN_PASSWORD, SCRIPT_MEMORY, SHARP, app,
};
use image::{DynamicImage, ImageEncoder, ImageFormat, Rgb, RgbImage, codecs::jpeg::JpegEncoder};
use reqwest::{Client, Method, RequestBuilder, Response, header};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Mutex, time::timeout};
use zip::ZipArchive;

offload_runtime::test_worker!();

const PASSWORD: &str = "correct horse";

/// How long a test waits for something before it fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whoever looks at the dashboard's events does so alone: few may look at a time, at all galleries.
static EVENTS: Mutex<()> = Mutex::const_new(());

// Helpers: a server, a visitor with a cookie jar of its own, and what to expect of an answer.

struct Gallery {
    url: String,
}

impl Gallery {
    /// As long as the test is there. All of this program have the same database.
    async fn open() -> Gallery {
        gallery::open(folder().to_owned()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app()).await.unwrap() });
        Gallery { url }
    }

    /// Somebody who is not logged in.
    fn visitor(&self) -> Visitor {
        let client = Client::builder().cookie_store(true).build().unwrap();
        Visitor { url: self.url.clone(), client }
    }

    /// Somebody with a fresh account, and logged in.
    async fn member(&self, name: &str) -> Visitor {
        let visitor = self.visitor();
        assert_eq!(visitor.sign_up(&own(name), PASSWORD).await.status(), 201);
        visitor
    }
}

/// The folder of this program's gallery. Those of programs that have ended are removed.
fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
        for folder in fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()) {
            let name = folder.file_name().unwrap().to_str().unwrap();
            let process = name.strip_prefix("gallery-").map(|process| format!("/proc/{process}"));
            if process.is_some_and(|process| !Path::new(&process).exists()) {
                let _ = fs::remove_dir_all(&folder);
            }
        }
        all.join(format!("gallery-{}", std::process::id()))
    });
    &FOLDER
}

/// A name that nobody else has.
fn own(name: &str) -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("{name} {}", NAMES.fetch_add(1, Ordering::Relaxed))
}

#[derive(Clone)]
struct Visitor {
    url: String,
    client: Client,
}

impl Visitor {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    async fn sign_up(&self, name: &str, password: &str) -> Response {
        self.post("/accounts", &json!({"name": name, "password": password})).await
    }

    async fn log_in(&self, name: &str, password: &str) -> Response {
        self.post("/session", &json!({"name": name, "password": password})).await
    }

    async fn log_out(&self) -> Response {
        self.request(Method::DELETE, "/session").send().await.unwrap()
    }

    /// Where the server had no time for the thumbnail, it is asked again.
    async fn upload(&self, name: &str, photo: impl Into<Vec<u8>>) -> Response {
        let (photo, start) = (photo.into(), Instant::now());
        loop {
            let request = self.request(Method::POST, "/photos").query(&[("name", name)]);
            let answer = request.body(photo.clone()).send().await.unwrap();
            let busy = [503, 504].contains(&answer.status().as_u16());
            if !busy || start.elapsed() > PATIENCE {
                return answer;
            }
        }
    }

    async fn put(&self, path: &str, body: impl Into<String>) -> Response {
        self.request(Method::PUT, path).body(body.into()).send().await.unwrap()
    }

    /// Puts up a photo that is described so. Its address.
    async fn upload_described(&self, description: &str) -> String {
        let photo: Value = self.upload("photo", png(9, 9)).await.json().await.unwrap();
        let path = format!("/photos/{}", photo["id"]);
        assert_eq!(self.put(&format!("{path}/description"), description).await.status(), 204);
        path
    }

    /// Runs a script over a photo. Where the server had no worker ready in time, or the worker no
    /// time of the processor, it is asked again.
    async fn tag(&self, photo: &str, script: &str) -> Response {
        let path = format!("{photo}/tags");
        let start = Instant::now();
        for (method, path, body) in [(Method::PUT, "/script", script), (Method::POST, &path, "")] {
            let ends = method == Method::PUT || script != ENDLESS;
            loop {
                let request = self.request(method.clone(), path).body(body.to_owned());
                let answer = request.send().await.unwrap();
                match answer.status().as_u16() {
                    204 => break,
                    503 if start.elapsed() < PATIENCE => {}
                    504 if start.elapsed() < PATIENCE && ends => {}
                    _ => return answer,
                }
            }
        }
        unreachable!("tags come with status 200")
    }

    async fn photos(&self) -> Vec<Value> {
        self.get("/photos").await.json().await.unwrap()
    }

    /// The same, without the copies that are made ahead: who looks may be faster.
    async fn photos_as_uploaded(&self) -> Vec<Value> {
        let mut photos = self.photos().await;
        photos.iter_mut().for_each(|photo| photo["copies"] = json!([]));
        photos
    }
}

/// Asserts that the answer is a problem with this status, in the one format of them all, and
/// returns what it tells the reader.
#[track_caller]
fn problem(answer: Response, status: u16) -> impl Future<Output = String> {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
    async move {
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(detail.len() > 10, "not much of an explanation: {detail:?}");
        detail
    }
}

fn gradient(width: u32, height: u32) -> DynamicImage {
    let shade = |part: u32, whole: u32| u8::try_from(part * 255 / whole).unwrap();
    let pixel = |x, y| Rgb([shade(x, width), shade(y, height), 128]);
    RgbImage::from_fn(width, height, pixel).into()
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn png(width: u32, height: u32) -> Vec<u8> {
    encode(&gradient(width, height), ImageFormat::Png)
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encode(&gradient(width, height), ImageFormat::Jpeg)
}

// What the gallery is for.

#[tokio::test]
async fn a_visit_from_sign_up_to_thumbnail() {
    let gallery = Gallery::open().await;
    let anna = gallery.visitor();

    let answer = anna.sign_up("Anna of this visit", PASSWORD).await;
    assert_eq!(answer.status(), 201);
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"name": "Anna of this visit"}));

    assert_eq!(anna.log_out().await.status(), 204);
    problem(anna.get("/session").await, 401).await;

    assert_eq!(anna.log_in("anna of this VISIT ", PASSWORD).await.status(), 200);
    let session: Value = anna.get("/session").await.json().await.unwrap();
    assert_eq!(session, json!({"name": "Anna of this visit"}));
    assert_eq!(anna.photos().await, [] as [Value; 0]);

    let (beach, hill) = (png(1000, 500), jpeg(600, 1200));
    let answer = anna.upload("a beach & the sea.png", beach.clone()).await;
    assert_eq!(answer.status(), 201);
    let first: Value = answer.json().await.unwrap();
    let second: Value = anna.upload("hill.jpg", hill.clone()).await.json().await.unwrap();
    assert_eq!(first["name"], "a beach & the sea.png");
    assert_eq!([&first["width"], &first["height"]], [1000, 500]);
    assert_eq!(anna.photos_as_uploaded().await, [second.clone(), first.clone()]);

    let expected = [
        (first, beach, "image/png", (LONGEST_SIDE, LONGEST_SIDE / 2)),
        (second, hill, "image/jpeg", (LONGEST_SIDE / 2, LONGEST_SIDE)),
    ];
    for (photo, bytes, media_type, (width, height)) in expected {
        let path = format!("/photos/{}", photo["id"]);
        let answer = anna.get(&path).await;
        assert_eq!(answer.headers()[header::CONTENT_TYPE], media_type);
        assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(answer.bytes().await.unwrap(), bytes);

        let answer = anna.get(&format!("{path}/thumbnail")).await;
        assert_eq!(answer.headers()[header::CONTENT_TYPE], media_type);
        let thumbnail = answer.bytes().await.unwrap();
        assert!(thumbnail.len() < bytes.len());
        let thumbnail = image::load_from_memory(&thumbnail).unwrap().into_rgb8();
        assert_eq!(thumbnail.dimensions(), (width, height));
        // The gradient is still there: dark on the left, bright red on the right.
        let (left, right) = (thumbnail.get_pixel(0, 0), thumbnail.get_pixel(width - 1, 0));
        assert!(left[0] < 20 && right[0] > 235, "{left:?} {right:?}");
    }
}

#[tokio::test]
async fn a_small_photo_is_not_enlarged() {
    let anna = Gallery::open().await.member("Anna").await;
    let photo: Value = anna.upload("small", png(31, 17)).await.json().await.unwrap();
    let thumbnail = anna.get(&format!("/photos/{}/thumbnail", photo["id"])).await;
    let thumbnail = image::load_from_memory(&thumbnail.bytes().await.unwrap()).unwrap();
    assert_eq!((thumbnail.width(), thumbnail.height()), (31, 17));
}

#[tokio::test]
async fn a_thumbnail_stands_upright() {
    // A TIFF header and one entry: orientation (0x0112) 6, "turn me clockwise".
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let mut photo = Vec::new();
    let mut encoder = JpegEncoder::new(&mut photo);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.encode_image(&gradient(640, 320)).unwrap();

    let anna = Gallery::open().await.member("Anna").await;
    let photo: Value = anna.upload("upright", photo).await.json().await.unwrap();
    assert_eq!([&photo["width"], &photo["height"]], [320, 640]);
    let thumbnail = anna.get(&format!("/photos/{}/thumbnail", photo["id"])).await;
    let thumbnail = image::load_from_memory(&thumbnail.bytes().await.unwrap()).unwrap();
    assert_eq!((thumbnail.width(), thumbnail.height()), (LONGEST_SIDE / 2, LONGEST_SIDE));
}

#[tokio::test]
async fn nobody_sees_the_photos_of_somebody_else() {
    let gallery = Gallery::open().await;
    let (anna, ben) = (gallery.member("Anna").await, gallery.member("Ben").await);
    let annas: Value = anna.upload("mine", png(500, 9)).await.json().await.unwrap();
    assert_eq!(ben.photos().await, [] as [Value; 0]);

    let annas_path = format!("/photos/{}", annas["id"]);
    let mut lines = anna.copy_album().await;
    while lines.next().await.is_some() {}
    for (annas, nobodys) in [
        (annas_path.clone(), "/photos/9999"),
        (format!("{annas_path}/copies/480"), "/photos/9999/copies/480"),
        (format!("{annas_path}/thumbnail"), "/photos/9999/thumbnail"),
    ] {
        // Not even that it exists.
        let (annas, nobodys) = (ben.get(&annas).await, ben.get(nobodys).await);
        assert_eq!(problem(annas, 404).await, problem(nobodys, 404).await);
    }

    for answer in [
        ben.put(&format!("{annas_path}/description"), "mine").await,
        ben.post(&format!("{annas_path}/tags"), &json!({})).await,
    ] {
        problem(answer, 404).await;
    }

    let bens: Value = ben.upload("mine too", png(9, 9)).await.json().await.unwrap();
    assert_eq!(anna.photos().await[0]["id"], annas["id"]);
    assert_eq!(ben.photos().await, [bens]);
}

/// One browser, one after the other: what the first one saw is in its cache.
#[tokio::test]
async fn a_cache_shows_nobody_what_somebody_else_has_seen() {
    let gallery = Gallery::open().await;
    let (anna, ben) = (gallery.member("Anna").await, gallery.member("Ben").await);
    let photo = png(500, 9);
    let annas: Value = anna.upload("mine", photo.clone()).await.json().await.unwrap();
    let mut lines = anna.copy_album().await;
    while lines.next().await.is_some() {}

    let path = format!("/photos/{}", annas["id"]);
    for path in [path.clone(), format!("{path}/thumbnail"), format!("{path}/copies/480")] {
        let seen = anna.get(&path).await;
        let control = seen.headers()[header::CACHE_CONTROL].to_str().unwrap();
        assert_eq!(control, "private, no-cache", "{path}: the server is asked each time");
        let tag = seen.headers()[header::ETAG].clone();
        let has = |visitor: &Visitor, tags: &str| {
            let request = visitor.request(Method::GET, &path).header(header::IF_NONE_MATCH, tags);
            async { request.send().await.unwrap() }
        };
        let tag = tag.to_str().unwrap();
        for tags in [tag, &format!("W/{tag}"), &format!("\"other\", {tag}")] {
            let again = has(&anna, tags).await;
            assert_eq!(again.status(), 304, "{path}: it need not be sent again");
            assert_eq!(again.headers()[header::ETAG], tag);
            assert_eq!(again.bytes().await.unwrap(), "");
        }
        assert_eq!(has(&anna, "\"other\"").await.status(), 200);
        problem(has(&ben, tag).await, 404).await;
        problem(has(&gallery.visitor(), tag).await, 401).await;
    }

    for path in ["/session", "/visitor", "/photos", "/script", "/metrics", "/photos/9999"] {
        let answer = anna.get(path).await;
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test]
async fn many_visitors_at_once() {
    let gallery = Gallery::open().await;
    let visitors: Vec<_> = (0..24).map(|_| gallery.visitor()).collect();

    // One name: whoever comes first gets it.
    let answers = join_all(visitors.iter().map(|v| v.sign_up("Anna of many", PASSWORD))).await;
    let (served, refused): (Vec<_>, _) = answers.into_iter().partition(|a| a.status() == 201);
    assert_eq!(served.len(), 1);
    for answer in refused {
        problem(answer, 409).await;
    }

    // More writers than there are connections to the database.
    let anna = gallery.visitor();
    anna.log_in("Anna of many", PASSWORD).await;
    let photo = png(64, 64);
    let answers = join_all((0..24).map(|n| {
        let (anna, photo) = (anna.clone(), photo.clone());
        async move { anna.upload(&n.to_string(), photo).await }
    }));
    assert!(answers.await.iter().all(|answer| answer.status() == 201));
    assert_eq!(anna.photos().await.len(), 24);
}

/// Server and client share the one thread of this test. If the database were on it too, nothing
/// would be answered until SQLite gives up waiting, and then log-out would fail.
#[tokio::test(flavor = "current_thread")]
async fn pages_are_served_while_the_database_waits() {
    let anna = Gallery::open().await.member("Anna").await;
    let other_program = Connection::open(folder().join("gallery.db")).unwrap();
    other_program.execute_batch("BEGIN IMMEDIATE").unwrap();
    let log_out = tokio::spawn({
        let anna = anna.clone();
        async move { anna.log_out().await }
    });
    for _ in 0..10 {
        assert_eq!(anna.get("/").await.status(), 200);
    }
    assert!(!log_out.is_finished());
    other_program.execute_batch("COMMIT").unwrap();
    assert_eq!(log_out.await.unwrap().status(), 204);
}

#[tokio::test]
async fn the_page_loads_its_own_parts_only_and_knows_the_limits() {
    let visitor = Gallery::open().await.visitor();
    let mut page = String::new();
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/call.js", "text/javascript; charset=utf-8"),
        ("/heartbeat.js", "text/javascript; charset=utf-8"),
        ("/album.js", "text/javascript; charset=utf-8"),
        ("/uploads.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = visitor.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], media_type);
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = answer.text().await.unwrap();
        for elsewhere in ["https:", "src=\"//", "@import", "url("] {
            assert!(!text.contains(elsewhere), "{path} loads something: {elsewhere}");
        }
        page += &text;
    }
    for inline in ["<style", " style=", "<script>", " onclick="] {
        assert!(!page.contains(inline), "the policy forbids {inline}");
    }
    for limit in [MAX_NAME, MAX_DESCRIPTION, MAX_SCRIPT] {
        assert!(page.contains(&format!("maxlength=\"{limit}\"")));
    }
    assert!(page.contains(&format!("At least {MIN_PASSWORD} characters")));
    assert!(page.contains(&format!("MAX_BODY = {} * 1024 * 1024", MAX_BODY / 1024 / 1024)));
    assert!(page.contains(&format!("slice(-{MAX_TITLE})")));
    assert!(page.contains(&format!("two seconds and {} MiB", SCRIPT_MEMORY >> 20)));
}

#[tokio::test]
async fn the_page_asks_who_is_there() {
    let gallery = Gallery::open().await;
    let nobody: Value = gallery.visitor().get("/visitor").await.json().await.unwrap();
    assert_eq!(nobody, Value::Null);
    let anna: Value = gallery.member("Anna").await.get("/visitor").await.json().await.unwrap();
    assert!(anna["name"].as_str().unwrap().starts_with("Anna"), "{anna}");
}

// The demonstration, and long work.

/// Server and client share the one thread of this test: what computes on it lets no ping through.
#[tokio::test(flavor = "current_thread")]
async fn pings_are_answered_during_a_burst_unless_it_is_inline() {
    let visitor = Gallery::open().await.member("Anna").await;
    let crowd = 20 * available_parallelism().unwrap().get();
    // The first one makes the photo of all, and that on the `cpu` pool.
    assert_eq!(visitor.post("/burst/cpu", &json!({})).await.status(), 200);
    let mut inline = None;
    for way in ["inline", "thread", "cpu", "process"] {
        let post = visitor.clone();
        let mut burst =
            tokio::spawn(async move { post.post(&format!("/burst/{way}"), &json!({})).await });
        let mut pings = 0;
        let served: Value = loop {
            tokio::select! {
                biased;
                served = &mut burst => break served.unwrap().json().await.unwrap(),
                pong = visitor.get("/ping") => assert_eq!(pong.status(), 204),
            }
            pings += 1;
        };
        assert_eq!(served["visitors"], crowd, "{way}");
        assert!(served["seconds"].as_f64().unwrap() > 0.0);
        let inline = *inline.get_or_insert(pings);
        assert!(way == "inline" || pings > inline, "{way}: {pings}, inline: {inline}");
    }

    problem(visitor.post("/burst/fiber", &json!({})).await, 400).await;
    // Two at once would only disturb each other.
    let nothing = json!({});
    let start = Instant::now();
    let refused = loop {
        let two = ["/burst/cpu"; 2].map(|path| visitor.post(path, &nothing));
        let (served, mut refused) =
            join_all(two).await.into_iter().partition::<Vec<_>, _>(|answer| answer.status() == 200);
        assert!(!served.is_empty());
        // The second may come when the first is over.
        if let Some(refused) = refused.pop() {
            break refused;
        }
        assert!(start.elapsed() < PATIENCE, "two bursts at once");
    };
    assert!(problem(refused, 429).await.contains("under way"));
}

/// The lines of a response as they come.
struct Lines {
    response: Response,
    text: String,
}

impl Lines {
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let line = serde_json::from_str(line).unwrap();
                self.text = rest.to_owned();
                return Some(line);
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }
}

impl Visitor {
    async fn copy_album(&self) -> Lines {
        let response = self.post("/album/copies", &json!({})).await;
        assert_eq!(response.status(), 200);
        Lines { response, text: String::new() }
    }

    /// The widths of the copies of each photo.
    async fn copies(&self) -> Vec<Value> {
        self.photos().await.into_iter().map(|mut photo| photo["copies"].take()).collect()
    }
}

#[tokio::test]
async fn an_album_is_copied_and_says_how_far_it_is() {
    let anna = Gallery::open().await.member("Anna").await;
    anna.upload("wide", jpeg(1400, 700)).await;
    anna.upload("small", png(500, 500)).await;

    let mut lines = anna.copy_album().await;
    let mut seen = Vec::new();
    while let Some(line) = lines.next().await {
        seen.push(line);
    }
    let last = seen.pop().unwrap();
    assert_eq!(last, json!({"photos": 2}));
    assert_eq!(seen[0], json!({"done": 0, "of": 10}));
    let done: Vec<_> = seen.iter().map(|line| line["done"].as_u64().unwrap()).collect();
    assert!(done.is_sorted() && done.len() > 2, "it says how far it is meanwhile: {done:?}");

    assert_eq!(anna.copies().await, [json!([480]), json!([480, 640, 960, 1280])]);
    let id = anna.photos().await[1]["id"].clone();
    for (width, height) in [(480, 240), (1280, 640)] {
        let copy = anna.get(&format!("/photos/{id}/copies/{width}")).await;
        assert_eq!(copy.headers()[header::CONTENT_TYPE], "image/jpeg");
        let copy = image::load_from_memory(&copy.bytes().await.unwrap()).unwrap();
        assert_eq!((copy.width(), copy.height()), (width, height));
    }
    problem(anna.get(&format!("/photos/{id}/copies/481")).await, 404).await;
}

/// Until the copies that are made ahead are there.
async fn until_sharp(visitor: &Visitor) {
    let start = Instant::now();
    while visitor.copies().await.iter().any(|copies| *copies == json!([])) {
        assert!(start.elapsed() < PATIENCE, "nobody makes it");
    }
}

#[tokio::test]
async fn the_copy_for_sharp_screens_is_made_ahead() {
    let anna = Gallery::open().await.member("Anna").await;
    let photo: Value = anna.upload("wide", jpeg(1400, 700)).await.json().await.unwrap();
    until_sharp(&anna).await;
    assert_eq!(anna.copies().await, [json!([SHARP])]);
    let copy = anna.get(&format!("/photos/{}/copies/{SHARP}", photo["id"])).await;
    let copy = image::load_from_memory(&copy.bytes().await.unwrap()).unwrap();
    assert_eq!((copy.width(), copy.height()), (SHARP, SHARP / 2));
}

#[tokio::test]
async fn an_album_is_exported_as_a_zip() {
    let gallery = Gallery::open().await;
    let (anna, ben) = (gallery.member("Anna").await, gallery.member("Ben").await);
    // More than the buffers on the way hold.
    let photos = [("../sea.png", png(1000, 500)), ("hill", jpeg(30, 20)), ("hill", png(900, 900))];
    let mut ids = Vec::new();
    for (name, photo) in &photos {
        let photo: Value = anna.upload(name, photo.clone()).await.json().await.unwrap();
        ids.push(photo["id"].clone());
    }
    ben.upload("not hers", png(9, 9)).await;

    let answer = anna.get("/album.zip").await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/zip");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let attached = answer.headers()[header::CONTENT_DISPOSITION].to_str().unwrap();
    assert_eq!(attached, "attachment; filename=\"album.zip\"");
    let mut album = ZipArchive::new(Cursor::new(answer.bytes().await.unwrap())).unwrap();
    let names = [
        format!("{} .._sea.png", ids[0]),
        format!("{} hill.jpg", ids[1]),
        format!("{} hill.png", ids[2]),
    ];
    assert_eq!(album.file_names().collect::<Vec<_>>(), names);
    for (name, (_, photo)) in names.iter().zip(&photos) {
        let mut unpacked = Vec::new();
        album.by_name(name).unwrap().read_to_end(&mut unpacked).unwrap(); // the checksum is right, too
        assert_eq!(unpacked, *photo);
    }

    problem(gallery.visitor().get("/album.zip").await, 401).await;
    let nothing = gallery.member("Cleo").await.get("/album.zip").await.bytes().await.unwrap();
    assert_eq!(ZipArchive::new(Cursor::new(nothing)).unwrap().len(), 0);
}

#[tokio::test]
async fn of_each_user_one_album_leaves_at_a_time() {
    let gallery = Gallery::open().await;
    let (anna, ben) = (gallery.member("Anna").await, gallery.member("Ben").await);
    let mut photo = png(9, 9);
    photo.resize(MAX_BODY, 0);
    // More than the buffers on the way hold.
    for name in ["1", "2", "3"] {
        assert_eq!(anna.upload(name, photo.clone()).await.status(), 201);
    }
    let mut album = anna.get("/album.zip").await;
    for read in [false, true] {
        assert_eq!(album.status(), 200);
        assert!(problem(anna.get("/album.zip").await, 429).await.contains("on its way already"));
        assert_eq!(ben.get("/album.zip").await.status(), 200);
        // It makes room when its client has gone, and when it is there.
        match read {
            true => assert!(album.bytes().await.unwrap().len() > 3 * MAX_BODY),
            false => drop(album),
        }
        let start = Instant::now();
        album = loop {
            let album = anna.get("/album.zip").await;
            if album.status() != 429 || start.elapsed() > PATIENCE {
                break album;
            }
        };
    }
    assert_eq!(album.status(), 200);
}

#[tokio::test]
async fn long_work_stops_when_nobody_follows_it_any_more() {
    let gallery = Gallery::open().await;
    let anna = gallery.member("Anna").await;
    let photo = jpeg(1600, 1200);
    for name in ["1", "2", "3"] {
        assert_eq!(anna.upload(name, photo.clone()).await.status(), 201);
    }
    let mut lines = anna.copy_album().await;
    // A body runs and has told so: that of the second photo, say.
    while lines.next().await.unwrap()["done"].as_u64().unwrap() <= 5 {}
    drop(lines);

    // It makes room for another at once, and leaves the rest undone.
    let ben = gallery.member("Ben").await;
    ben.upload("mine", png(500, 500)).await;
    let mut lines = ben.copy_album().await;
    while lines.next().await.is_some() {}
    assert_eq!(ben.copies().await, [json!([480])]);
    assert_eq!(anna.copies().await[0], json!([480, 640, 960, 1280]));
    assert!([json!([]), json!([SHARP])].contains(&anna.copies().await[2]), "it has all");
}

#[tokio::test]
async fn the_dashboard_is_for_those_who_are_logged_in() {
    let gallery = Gallery::open().await;
    for path in ["/offload", "/offload/live", "/offload/stats.json", "/offload/events"] {
        problem(gallery.visitor().get(path).await, 401).await;
    }
    let anna = gallery.member("Anna").await;
    assert!(anna.get("/offload").await.text().await.unwrap().contains("Event loop"));
    let stats: Value = anna.get("/offload/stats.json").await.json().await.unwrap();
    assert!(stats["functions"].to_string().contains("accounts::hash_password"));
}

#[tokio::test]
async fn proxies_pass_on_what_comes_bit_by_bit() {
    let anna = Gallery::open().await.member("Anna").await;
    anna.upload("small", png(9, 9)).await;
    let mut copies = anna.copy_album().await;
    let _alone = EVENTS.lock().await;
    let start = Instant::now();
    let events = loop {
        let events = anna.get("/offload/events").await;
        // Those who looked before may still be leaving.
        if events.status() == 200 || start.elapsed() > PATIENCE {
            break events;
        }
    };
    for answer in [&copies.response, &events] {
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store, no-transform");
    }
    while copies.next().await.is_some() {}
}

#[tokio::test]
async fn who_may_not_look_at_the_dashboard_is_told_when_to_ask_again() {
    let anna = Gallery::open().await.member("Anna").await;
    let _alone = EVENTS.lock().await;
    let mut looks = Vec::new();
    let refused = loop {
        let answer = anna.get("/offload/events").await;
        if answer.status() != 200 {
            break answer;
        }
        looks.push(answer);
        assert!(looks.len() < 100, "all may look");
    };
    assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
    problem(refused, 503).await;
}

// Scripts.

/// The script's process has died, or was killed, and nobody is told but who wrote it.
const ENDLESS: &str = "loop {}";
const HUNGRY: &str = "blob(1 << 30)"; // in one step: on a busy machine a loop is late for its end
const DEEP: &str = "fn deeper(n) { 1 + deeper(n + 1) } deeper(0)";

#[tokio::test]
async fn a_script_makes_tags_of_a_description() {
    let anna = Gallery::open().await.member("Anna").await;
    let photo = anna.upload_described("Two gulls, over the sea. Gulls!").await;
    let first = anna.get("/script").await.text().await.unwrap();
    let tags: Value = anna.tag(&photo, &first).await.json().await.unwrap();
    assert_eq!(tags, json!(["gulls"]), "the one that is there already");

    let script = "description.to_upper().split().filter(|word| word.len == 3) + [name]";
    let tags: Value = anna.tag(&photo, script).await.json().await.unwrap();
    assert_eq!(tags, json!(["TWO", "THE", "photo"]));
    assert_eq!(anna.get("/script").await.text().await.unwrap(), script);
    let photos = anna.photos().await;
    assert_eq!(photos[0]["tags"], tags);
    assert_eq!(photos[0]["description"], "Two gulls, over the sea. Gulls!");

    // What was found stays until it is looked for again.
    assert_eq!(anna.put(&format!("{photo}/description"), "").await.status(), 204);
    assert_eq!(anna.photos().await[0]["tags"], tags);
    let tags: Value = anna.tag(&photo, &first).await.json().await.unwrap();
    assert_eq!(tags, json!([]));
}

#[tokio::test]
async fn a_script_that_does_not_work_says_where() {
    let anna = Gallery::open().await.member("Anna").await;
    let photo = anna.upload_described("the sea").await;
    for (script, reason) in [
        ("let tags = [", "line 1, position 13"),
        ("\n[nobody]", "nobody (line 2, position 2)"),
        ("7", "not with i64"),
        ("[1]", "one is i64"),
        ("[``]", "1 to 40 characters"),
        ("let tags = []; for n in 0..21 { tags.push(`tag`) } tags", "21 tags"),
        ("import `/etc/hostname` as host; []", "line 1"),
    ] {
        let detail = problem(anna.tag(&photo, script).await, 422).await;
        assert!(detail.contains(reason), "{script}: {detail}");
    }
    assert_eq!(anna.photos().await[0]["tags"], json!([]));
    let loud = "let text = `x`; while text.len < 10_000_000 { text += text } throw text";
    let detail = problem(anna.tag(&photo, loud).await, 422).await;
    assert!(detail.contains("xxx") && detail.len() < 1000, "{}", detail.len());
    let long = "/".repeat(MAX_SCRIPT + 1);
    assert!(problem(anna.put("/script", long).await, 422).await.contains("A script"));
}

#[tokio::test]
async fn an_endless_script_is_killed() {
    let anna = Gallery::open().await.member("Anna").await;
    let photo = anna.upload_described("the sea").await;
    let kills = || scripts().map_or(0, |workers| workers.kills);
    let before = kills();
    let detail = problem(anna.tag(&photo, ENDLESS).await, 504).await;
    assert!(detail.contains("2 seconds"), "{detail}");
    // The answer does not wait for the kill.
    let start = Instant::now();
    while kills() == before {
        assert!(start.elapsed() < PATIENCE, "it was not killed");
        tokio::task::yield_now().await;
    }
    // The next one is not made to wait for it, nor is its author's turn over for good.
    assert_eq!(anna.tag(&photo, "[]").await.status(), 200);
}

#[tokio::test]
async fn a_script_that_crashes_its_process_is_its_authors_problem() {
    let anna = Gallery::open().await.member("Anna").await;
    let photo = anna.upload_described("the sea").await;
    let crashes = || scripts().map_or(0, |workers| workers.restarts);
    for script in [HUNGRY, DEEP] {
        let before = crashes();
        let detail = problem(anna.tag(&photo, script).await, 422).await;
        let limit = format!("memory ({} MiB)", SCRIPT_MEMORY >> 20);
        assert!(detail.contains(&limit), "{script}: {detail}");
        let start = Instant::now();
        while crashes() == before {
            assert!(start.elapsed() < PATIENCE, "no worker died of {script}");
            tokio::task::yield_now().await;
        }
    }
    // Not even the parser is trusted.
    let before = crashes();
    let nested = "(".repeat(MAX_SCRIPT);
    let detail = problem(anna.tag(&photo, &nested).await, 422).await;
    assert!(detail.contains("its stack"), "{detail}");
    let start = Instant::now();
    while crashes() == before {
        assert!(start.elapsed() < PATIENCE, "no worker died");
        tokio::task::yield_now().await;
    }
    assert_eq!(anna.get("/script").await.text().await.unwrap(), DEEP, "it was not taken");
}

#[tokio::test]
async fn what_a_script_does_costs_nobody_else_anything() {
    let gallery = Gallery::open().await;
    let ben = gallery.member("Ben").await;
    let photo = ben.upload_described("the sea").await;
    let script = "description.split()";
    let attacks = ["Anna", "Eve", "Mallory"].into_iter().zip([ENDLESS, HUNGRY, DEEP]);
    let attacks = join_all(attacks.map(async |(name, script)| {
        let attacker = gallery.member(name).await;
        let photo = attacker.upload_described("the sea").await;
        for _ in 0..3 {
            let status = if script == ENDLESS { 504 } else { 422 };
            problem(attacker.tag(&photo, script).await, status).await;
        }
    }));
    let mut attacks = std::pin::pin!(attacks);
    let mut served = 0;
    loop {
        tokio::select! {
            _ = &mut attacks => break,
            answer = ben.tag(&photo, script) => {
                let tags: Value = answer.json().await.unwrap();
                assert_eq!(tags, json!(["the", "sea"]));
                served += 1;
            }
        }
    }
    assert!(served > 0);
}

#[tokio::test]
async fn a_user_runs_one_script_at_a_time_until_it_ends_or_its_client_goes() {
    let anna = Gallery::open().await.member("Anna").await;
    let photo = anna.upload_described("the sea").await;
    problem(anna.tag(&photo, ENDLESS).await, 504).await; // it is the script from now on
    let tags = format!("{photo}/tags");
    let run = || tokio::spawn(anna.request(Method::POST, &tags).send());
    let start = Instant::now();
    let (refused, running) = loop {
        let (answer, _, mut others) = select_all([run(), run()]).await;
        let (answer, other) = (answer.unwrap().unwrap(), others.remove(0));
        // The second may come when the first is over, or too late.
        if answer.status() == 429 || start.elapsed() > PATIENCE {
            break (answer, other);
        }
        other.await.unwrap().unwrap();
    };
    assert!(problem(refused, 429).await.contains("is running already"));
    running.abort();
    while anna.put("/script", "[]").await.status() == 429 {}
    assert_eq!(anna.tag(&photo, "[]").await.status(), 200);
}

/// What has become of the workers that run scripts, if there were any.
fn scripts() -> Option<offload_runtime::WorkerStats> {
    let pools = offload_runtime::stats().pools;
    pools.into_iter().find(|pool| pool.name == "scripts")?.workers
}

// Secrets.

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_the_same() {
    let gallery = Gallery::open().await;
    let visitor = gallery.visitor();
    visitor.sign_up("Anna of these times", PASSWORD).await;
    visitor.log_out().await;

    // The answer, and how long it took.
    let attempt = async |name: &str, password: &str| {
        let start = Instant::now();
        let answer = visitor.log_in(name, password).await;
        let time = start.elapsed();
        assert!(answer.headers().get(header::SET_COOKIE).is_none());
        (problem(answer, 401).await, time)
    };
    // The quickest of each tell, of five at least: a busy machine makes some slow, of both.
    let start = Instant::now();
    let (mut wrong_time, mut unknown_time) = (Duration::MAX, Duration::MAX);
    for attempts in 1.. {
        let (wrong, time) = attempt("Anna of these times", "wrong horse").await;
        wrong_time = wrong_time.min(time);
        let (unknown, time) = attempt("Zoe", PASSWORD).await;
        unknown_time = unknown_time.min(time);
        assert_eq!(wrong, unknown);
        if attempts >= 5 && unknown_time * 2 > wrong_time {
            break;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "the time tells who exists: {unknown_time:?} and {wrong_time:?}"
        );
    }
    // Not even with the password that names without an account are compared with.
    problem(visitor.log_in("Zoe", "nobody's password").await, 401).await;
    problem(visitor.get("/session").await, 401).await;
}

/// All of the pool that computes is busy: with photos, say.
#[tokio::test]
async fn who_logs_in_does_not_wait_for_photos() {
    let gallery = Gallery::open().await;
    gallery.visitor().sign_up("Anna of photos", PASSWORD).await;
    let photos = (0..2 * available_parallelism().unwrap().get()).map(|_| {
        let (end, ended) = mpsc::channel::<()>();
        (end, tokio::spawn(offload_runtime::to_cpu(move || ended.recv().is_err())))
    });
    let (ends, photos): (Vec<_>, Vec<_>) = photos.unzip();
    let is_busy = || {
        let pools = offload_runtime::stats().pools;
        pools.iter().any(|pool| pool.name == "cpu" && pool.running >= pool.limit)
    };
    while !is_busy() {
        tokio::task::yield_now().await;
    }
    let logged_in = timeout(PATIENCE, gallery.visitor().log_in("Anna of photos", PASSWORD)).await;
    let signed_up = timeout(PATIENCE, gallery.visitor().sign_up("Ben of photos", PASSWORD)).await;
    drop(ends);
    join_all(photos).await;
    assert_eq!(logged_in.expect("it waits for photos").status(), 200);
    assert_eq!(signed_up.expect("it waits for photos").status(), 201);
}

/// They compete with all that the machine does, as the program does, and not as what computes for long.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn password_hashes_have_the_priority_of_the_program() {
    let nice = |stat: PathBuf| {
        let line = fs::read_to_string(stat).ok()?;
        line.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse::<i32>().ok()
    };
    let own = nice("/proc/self/stat".into()).unwrap();
    let of_threads = |name: &str| -> Vec<i32> {
        let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
        let has_name = |thread: &PathBuf| {
            fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.starts_with(name))
        };
        threads.filter(has_name).filter_map(|thread| nice(thread.join("stat"))).collect()
    };
    Gallery::open().await.member("Anna").await;
    let hashes = of_threads("hashes-");
    assert!(!hashes.is_empty() && hashes.iter().all(|nice| *nice == own), "{hashes:?}, not {own}");
    // Photos have less.
    offload_runtime::to_cpu(|| ()).await;
    let photos = of_threads("offload-cpu-");
    assert!(photos.iter().any(|nice| *nice > own || own == 19), "{photos:?} beside {own}");
}

#[tokio::test]
async fn whoever_guesses_one_password_keeps_nobody_else_out() {
    let gallery = Gallery::open().await;
    let (anna, ben, guess) = (gallery.visitor(), gallery.visitor(), gallery.visitor());
    for (visitor, name) in [(&anna, "Guessed"), (&ben, "Not guessed")] {
        assert_eq!(visitor.sign_up(name, PASSWORD).await.status(), 201);
    }
    let guesses = join_all((0..300).map(|_| guess.log_in("Guessed ", "wrong horse")));
    let mut guesses = std::pin::pin!(guesses);
    // They have all been sent, and some are at work, when the others come.
    let mut logged_in = 0;
    let answers = loop {
        tokio::select! {
            biased;
            answers = &mut guesses => break answers,
            answer = ben.log_in("Not guessed", PASSWORD) => {
                assert_eq!(answer.status(), 200);
                logged_in += 1;
            }
        }
    };
    assert!(logged_in > 0);
    let (wrong, refused): (Vec<_>, _) = answers.into_iter().partition(|one| one.status() == 401);
    assert!(!wrong.is_empty());
    assert!(!refused.is_empty(), "all were tried");
    for answer in refused {
        assert!(problem(answer, 429).await.contains("this name"));
    }
    assert_eq!(anna.log_in("Guessed", PASSWORD).await.status(), 200, "it is over when they are");
}

#[tokio::test]
async fn a_session_ends_at_log_out_also_for_who_kept_its_cookie() {
    let gallery = Gallery::open().await;
    let anna = gallery.visitor();
    let answer = anna.sign_up("Anna of a session", PASSWORD).await;
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(cookie.len(), "session=".len() + 64, "256 bits: {cookie}");

    let with_cookie = async |cookie: &str| {
        let request = gallery.visitor().request(Method::GET, "/session");
        request.header(header::COOKIE, cookie).send().await.unwrap()
    };
    assert_eq!(with_cookie(&cookie).await.status(), 200);
    problem(with_cookie("session=").await, 401).await;
    problem(with_cookie(&format!("session={}", "0".repeat(64))).await, 401).await;

    let (elsewhere, other) = (gallery.visitor(), gallery.visitor());
    for visitor in [&elsewhere, &other] {
        assert_eq!(visitor.log_in("Anna of a session", PASSWORD).await.status(), 200);
    }
    assert_eq!(anna.log_out().await.status(), 204);
    problem(with_cookie(&cookie).await, 401).await;
    assert_eq!(elsewhere.get("/session").await.status(), 200, "this one is not logged out");
    // Logging out twice is no problem.
    assert_eq!(anna.log_out().await.status(), 204);
}

#[tokio::test]
async fn the_data_folder_holds_no_password_and_no_token() {
    let gallery = Gallery::open().await;
    let answer = gallery.visitor().sign_up("Anna with a findable name", PASSWORD).await;
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let token = cookie["session=".len()..].split(';').next().unwrap().to_owned();

    let stored: Vec<u8> = fs::read_dir(folder())
        .unwrap()
        .flat_map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    let holds = |text: &str| stored.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("Anna with a findable name"), "the search itself works");
    assert!(holds("$argon2id$"));
    assert!(!holds(PASSWORD));
    assert!(!holds(&token[..16]));
}

#[tokio::test]
async fn a_session_ends_after_a_month() {
    let anna = Gallery::open().await.visitor();
    anna.sign_up("Anna of a month", PASSWORD).await;
    let database = Connection::open(folder().join("gallery.db")).unwrap();
    for (days, status) in [(29, 200), (2, 401)] {
        let earlier = "UPDATE sessions SET started = started - ?1
                       WHERE user = (SELECT id FROM users WHERE name = 'Anna of a month')";
        database.execute(earlier, [days * 24 * 60 * 60]).unwrap();
        assert_eq!(anna.get("/session").await.status(), status);
    }
}

// Bad input.

#[tokio::test]
async fn who_is_not_logged_in_is_told_to() {
    let visitor = Gallery::open().await.visitor();
    for path in [
        "/session",
        "/photos",
        "/photos/1",
        "/photos/1/thumbnail",
        "/photos/1/copies/480",
        "/script",
        "/metrics",
    ] {
        assert!(problem(visitor.get(path).await, 401).await.contains("Log in"), "{path}");
    }
    problem(visitor.upload("photo", png(9, 9)).await, 401).await;
    for path in ["/script", "/photos/1/description"] {
        problem(visitor.put(path, "[]").await, 401).await;
    }
    for path in ["/photos/1/tags", "/album/copies", "/burst/inline", "/burst/cpu"] {
        problem(visitor.post(path, &json!({})).await, 401).await;
    }
}

#[tokio::test]
async fn what_the_page_of_another_site_sends_is_not_what_the_user_wants() {
    let gallery = Gallery::open().await;
    let anna = gallery.member("Anna").await;
    // What browsers say of where a request comes from. Another port is the same site to them, and
    // is sent the cookie.
    let origin = gallery.url.as_str();
    for (header, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("origin", "http://127.0.0.1:1", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "same-origin", 201),
        ("origin", origin, 201),
    ] {
        let upload = anna.request(Method::POST, "/photos?name=planted").header(header, value);
        let upload = upload.header(header::CONTENT_TYPE, "text/plain").body(png(9, 9));
        let answer = upload.send().await.unwrap();
        if status == 201 {
            assert_eq!(answer.status(), 201, "{header}: {value}");
        } else {
            assert!(problem(answer, status).await.contains("another site"), "{header}: {value}");
        }
    }
    assert_eq!(anna.photos().await.len(), 2);
    for (method, path) in [(Method::POST, "/burst/inline"), (Method::DELETE, "/session")] {
        let request = anna.request(method, path).header("sec-fetch-site", "cross-site");
        problem(request.send().await.unwrap(), 403).await;
    }
    // A link from elsewhere is one.
    let link = anna.request(Method::GET, "/").header("sec-fetch-site", "cross-site");
    assert_eq!(link.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_taken_name() {
    let gallery = Gallery::open().await;
    gallery.visitor().sign_up("Anna, taken", PASSWORD).await;
    for name in ["Anna, taken", "ANNA, TAKEN", " anna, taken "] {
        let visitor = gallery.visitor();
        let detail = problem(visitor.sign_up(name, "another password").await, 409).await;
        assert!(detail.contains(name.trim()), "{detail}");
        problem(visitor.get("/session").await, 401).await;
    }
    problem(gallery.visitor().log_in("Anna, taken", "another password").await, 401).await;
}

#[tokio::test]
async fn names_and_passwords_too_short_or_too_long() {
    let gallery = Gallery::open().await;
    let visitor = gallery.visitor();
    for (name, password, guilty) in [
        ("", PASSWORD, "A name"),
        ("  \t", PASSWORD, "A name"),
        (&*"ä".repeat(MAX_NAME + 1), PASSWORD, "A name"),
        ("Anna", "", "A password"),
        ("Anna", &"ä".repeat(MIN_PASSWORD - 1), "A password"),
        ("Anna", &"x".repeat(MAX_PASSWORD + 1), "A password"),
    ] {
        let detail = problem(visitor.sign_up(name, password).await, 422).await;
        assert!(detail.starts_with(guilty), "{name:?} {password:?}: {detail}");
    }
    let (name, password) = ("ä".repeat(MAX_NAME), "ä".repeat(MAX_PASSWORD));
    assert_eq!(visitor.sign_up(&name, &password).await.status(), 201);

    let photo = visitor.upload_described(&"ä".repeat(MAX_DESCRIPTION)).await;
    let long = "x".repeat(MAX_DESCRIPTION + 1);
    let answer = visitor.put(&format!("{photo}/description"), long).await;
    assert!(problem(answer, 422).await.starts_with("A description"));

    for name in ["", &*"x".repeat(MAX_TITLE + 1)] {
        let detail = problem(visitor.upload(name, png(9, 9)).await, 422).await;
        assert!(detail.starts_with("A photo's name"), "{detail}");
    }
    assert_eq!(visitor.upload(&"ä".repeat(MAX_TITLE), png(9, 9)).await.status(), 201);
}

#[tokio::test]
async fn what_is_not_an_image() {
    let anna = Gallery::open().await.member("Anna").await;
    for text in [&b""[..], b"not an image", b"<svg/>", b"GIF89a\x01\0\x01\0\0\0\0;"] {
        let detail = problem(anna.upload("photo.png", text).await, 415).await;
        assert!(detail.contains("PNG"), "{detail}");
    }
    let (whole, mut damaged) = (png(200, 200), png(200, 200));
    damaged[60..90].fill(0);
    for broken in [&whole[..whole.len() / 2], &whole[..20], &damaged, &jpeg(99, 99)[..50]] {
        let detail = problem(anna.upload("photo.png", broken).await, 422).await;
        assert!(detail.contains("damaged"), "{detail}");
    }
    assert_eq!(anna.photos().await, [] as [Value; 0]);
}

/// A real photo whose header then lies: 50 000 × 50 000 pixels would be 7.5 GB.
#[tokio::test]
async fn an_image_that_claims_to_be_huge() {
    const SIDE: u32 = 50_000;

    let mut png = png(9, 9);
    png[16..20].copy_from_slice(&SIDE.to_be_bytes());
    png[20..24].copy_from_slice(&SIDE.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());

    let mut jpeg = jpeg(9, 9);
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let side = u16::try_from(SIDE).unwrap().to_be_bytes();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[side, side].concat());

    let anna = Gallery::open().await.member("Anna").await;
    for bomb in [png, jpeg] {
        let detail = problem(anna.upload("bomb", bomb).await, 422).await;
        assert!(detail.contains(&format!("{} megapixels", MAX_PIXELS / 1_000_000)), "{detail}");
    }
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[tokio::test]
async fn a_body_over_the_limit() {
    let anna = Gallery::open().await.member("Anna").await;
    for size in [MAX_BODY + 1, MAX_BODY * 4] {
        let detail = problem(anna.upload("large", vec![0; size]).await, 413).await;
        assert!(detail.contains(&format!("{} MiB", MAX_BODY / 1024 / 1024)), "{detail}");
    }
    // One that is just allowed is looked at.
    problem(anna.upload("large", vec![0; MAX_BODY]).await, 415).await;

    // What is no photo is small.
    let large = "x".repeat(MAX_TEXT + 1);
    for (method, path) in [
        (Method::POST, "/session"),
        (Method::POST, "/accounts"),
        (Method::PUT, "/script"),
        (Method::PUT, "/photos/1/description"),
    ] {
        let request = anna.request(method, path).body(large.clone());
        let request = request.header(header::CONTENT_TYPE, "application/json");
        let detail = problem(request.send().await.unwrap(), 413).await;
        assert!(detail.contains(&format!("{} kB", MAX_TEXT / 1000)), "{path}: {detail}");
    }
    let script = format!("[] //{}", "𝄞".repeat(MAX_SCRIPT - 5));
    let start = Instant::now();
    // It is tried out in a process, for which a busy machine may have no time.
    let kept = loop {
        let kept = anna.put("/script", script.clone()).await.status().as_u16();
        if ![503, 504].contains(&kept) || start.elapsed() > PATIENCE {
            break kept;
        }
    };
    assert_eq!(kept, 204);
}

#[tokio::test]
async fn an_address_or_a_method_that_does_not_exist() {
    let gallery = Gallery::open().await;
    let anna = gallery.member("Anna").await;
    for path in ["/nowhere", "/photos/1/2/3", "/page.html"] {
        problem(anna.get(path).await, 404).await;
        // Also for those who are not logged in.
        problem(gallery.visitor().get(path).await, 404).await;
    }
    problem(anna.get("/photos/beach").await, 400).await;
    let answer = anna.request(Method::PUT, "/photos").send().await.unwrap();
    let allowed = answer.headers()[header::ALLOW].to_str().unwrap().to_owned();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    problem(answer, 405).await;
}

#[tokio::test]
async fn a_malformed_request() {
    let anna = Gallery::open().await.member("Anna").await;
    for path in ["/accounts", "/session"] {
        let json = |body: &'static str| {
            let request = anna.request(Method::POST, path).body(body);
            async { request.header(header::CONTENT_TYPE, "application/json").send().await.unwrap() }
        };
        problem(json("{\"name\": ").await, 400).await;
        problem(json("").await, 400).await;
        let detail = problem(json("{\"name\": \"Anna\"}").await, 422).await;
        assert!(detail.contains("password"), "{detail}");
        problem(json("{\"name\": 1, \"password\": 2}").await, 422).await;

        let request = anna.request(Method::POST, path).body("name=Anna&password=secret");
        problem(request.send().await.unwrap(), 415).await;
    }
    let unnamed = anna.request(Method::POST, "/photos").body(png(9, 9));
    assert!(problem(unnamed.send().await.unwrap(), 400).await.contains("name"));
}

#[tokio::test]
async fn the_numbers_for_prometheus() {
    let anna = Gallery::open().await.member("Anna").await;
    anna.upload("beach", png(9, 9)).await;
    let text = anna.get("/metrics").await.text().await.unwrap();
    let sample = |name: &str, function: &str, label: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(name) && line.contains(function) && line.contains(label));
        let line = line.unwrap_or_else(|| panic!("no {name} of {function}: {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let finished = "outcome=\"finished\"";
    for function in ["accounts::hash_password", "thumbnails::make_thumbnail", "photos::insert"] {
        assert!(sample("offload_calls_total", function, finished) >= 1.0);
        assert!(sample("offload_run_seconds_bucket", function, "le=\"+Inf\"") >= 1.0);
    }
    assert!(sample("offload_pool_threads_limit", "pool=\"thread\"", "kind") >= 512.0);
}
