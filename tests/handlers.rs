//! Offloaded functions as axum handlers: a server that listens, a client that
//! asks.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header, request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Json, Router};
use offload_runtime::{Limiter, Resource, Sink, offload, stats, to_cpu};
use offload_tests::PATIENCE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc as events;

/// The CPU pool is shared by all tests of this file: one that keeps its threads
/// busy has to be the only one that does.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Serves `app` on this test's own event loop, and asks it.
struct Site {
    base: String,
    client: reqwest::Client,
}

async fn serve(app: Router) -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE * 2).build().unwrap();
    Site { base, client }
}

impl Site {
    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.base))
    }
}

/// Status and text of the answer.
async fn ask(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn ok(text: &str) -> (u16, String) {
    (200, text.to_owned())
}

// What a handler takes.

#[tokio::test]
async fn extractors_are_arguments() {
    #[derive(Deserialize)]
    struct Options {
        times: u32,
        #[serde(default)]
        loud: bool,
    }

    #[derive(Deserialize, Serialize)]
    struct Note {
        title: String,
        tags: Vec<String>,
    }

    #[derive(Clone)]
    struct Store(Arc<Mutex<Vec<Note>>>);

    #[offload(thread)]
    fn path(Path(name): Path<String>) -> String {
        format!("hello {name}")
    }

    #[offload(cpu)]
    fn path_and_query(
        Path((a, b)): Path<(u32, u32)>,
        Query(Options { times, loud }): Query<Options>,
    ) -> String {
        let text = ((a + b) * times).to_string();
        if loud { text + "!" } else { text }
    }

    #[offload(thread)]
    fn save(State(Store(notes)): State<Store>, Json(mut note): Json<Note>) -> Json<Note> {
        note.tags.sort();
        notes.lock().unwrap().push(Note { title: note.title.clone(), tags: Vec::new() });
        Json(note)
    }

    #[offload(cpu)]
    fn titles(State(store): State<Store>) -> Json<Vec<String>> {
        Json(store.0.lock().unwrap().iter().map(|note| note.title.clone()).collect())
    }

    #[offload(cpu)]
    fn headers(headers: HeaderMap) -> String {
        headers["x-number"].to_str().unwrap().to_owned()
    }

    #[offload(thread)]
    fn body(body: Bytes) -> String {
        body.len().to_string()
    }

    #[offload(cpu)]
    fn text(method: Method, uri: Uri, text: String) -> String {
        format!("{method} {uri} {text}")
    }

    #[offload(thread)]
    fn form(Form(Options { times, loud }): Form<Options>) -> String {
        format!("{times} {loud}")
    }

    #[offload(cpu)]
    fn extension(
        Extension(number): Extension<u8>,
        page: Result<Query<Options>, QueryRejection>,
    ) -> String {
        format!("{number} {}", page.is_ok())
    }

    // A body that is itself async is read on the caller's runtime.
    #[offload(thread)]
    fn request(request: Request) -> String {
        let length = request.headers()[header::CONTENT_LENGTH].clone();
        let read = to_bytes(request.into_body(), usize::MAX);
        let bytes = tokio::runtime::Handle::current().block_on(read).unwrap();
        format!("{} of {}", bytes.len(), length.to_str().unwrap())
    }

    let app = Router::new()
        .route("/path/{name}", get(path))
        .route("/sum/{a}/{b}", get(path_and_query))
        .route("/notes", get(titles).post(save))
        .route("/headers", get(headers))
        .route("/body", post(body))
        .route("/text", post(text))
        .route("/form", post(form))
        .route("/extension", get(extension).layer(Extension(7_u8)))
        .route("/request", post(request))
        .with_state(Store(Arc::default()));
    let site = serve(app).await;

    assert_eq!(ask(site.get("/path/you")).await, ok("hello you"));
    assert_eq!(ask(site.get("/sum/1/2?times=3")).await, ok("9"));
    assert_eq!(ask(site.get("/sum/1/2?times=3&loud=true")).await, ok("9!"));
    let note = json!({ "title": "one", "tags": ["b", "a"] });
    let saved: Value = site.post("/notes").json(&note).send().await.unwrap().json().await.unwrap();
    assert_eq!(saved, json!({ "title": "one", "tags": ["a", "b"] }));
    assert_eq!(ask(site.get("/notes")).await, ok(r#"["one"]"#));
    assert_eq!(ask(site.get("/headers").header("x-number", "7")).await, ok("7"));
    assert_eq!(ask(site.post("/body").body(vec![0; 100_000])).await, ok("100000"));
    assert_eq!(ask(site.post("/text?a=b").body("c")).await, ok("POST /text?a=b c"));
    let form = site.post("/form").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(ask(form.body("times=3&loud=true")).await, ok("3 true"));
    assert_eq!(ask(site.get("/extension")).await, ok("7 false"));
    assert_eq!(ask(site.get("/extension?times=1")).await, ok("7 true"));
    assert_eq!(ask(site.post("/request").body(vec![0; 1000])).await, ok("1000 of 1000"));
}

// What a handler returns.

#[tokio::test]
async fn every_response_is_a_result() {
    struct Png(Vec<u8>);

    impl IntoResponse for Png {
        fn into_response(self) -> Response {
            ([(header::CONTENT_TYPE, "image/png")], self.0).into_response()
        }
    }

    enum Failure {
        Missing(u32),
        Broken,
    }

    impl IntoResponse for Failure {
        fn into_response(self) -> Response {
            match self {
                Failure::Missing(id) => (StatusCode::NOT_FOUND, format!("no {id}")).into_response(),
                Failure::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    }

    #[offload(thread)]
    fn nothing() {}

    #[offload(cpu)]
    fn status() -> StatusCode {
        StatusCode::NO_CONTENT
    }

    #[offload(cpu)]
    fn tuple() -> (StatusCode, [(HeaderName, &'static str); 1], &'static str) {
        (StatusCode::CREATED, [(header::ETAG, "7")], "created")
    }

    #[offload(thread)]
    fn opaque() -> impl IntoResponse {
        (StatusCode::ACCEPTED, "accepted")
    }

    #[offload(cpu)]
    fn own() -> Png {
        Png(b"\x89PNG".to_vec())
    }

    #[offload(thread)]
    fn fallible(Path(id): Path<u32>) -> Result<Json<u32>, (StatusCode, String)> {
        let half = id.checked_div(2).filter(|_| id.is_multiple_of(2));
        half.map(Json).ok_or_else(|| (StatusCode::CONFLICT, format!("{id} is odd")))
    }

    #[offload(cpu)]
    fn question_marks(Path(id): Path<u32>) -> Result<String, Failure> {
        let found = [1, 2].into_iter().find(|known| *known == id).ok_or(Failure::Missing(id))?;
        if found == 1 {
            return Err(Failure::Broken);
        }
        Ok("found".into())
    }

    #[offload(thread)]
    fn streamed() -> Response {
        Response::new(Body::from("body"))
    }

    let app = Router::new()
        .route("/nothing", get(nothing))
        .route("/status", get(status))
        .route("/tuple", get(tuple))
        .route("/opaque", get(opaque))
        .route("/own", get(own))
        .route("/fallible/{id}", get(fallible))
        .route("/question_marks/{id}", get(question_marks))
        .route("/streamed", get(streamed));
    let site = serve(app).await;

    assert_eq!(ask(site.get("/nothing")).await, ok(""));
    assert_eq!(ask(site.get("/status")).await, (204, "".into()));
    let tuple = site.get("/tuple").send().await.unwrap();
    assert_eq!((tuple.status().as_u16(), &tuple.headers()["etag"]), (201, &"7".parse().unwrap()));
    assert_eq!(tuple.text().await.unwrap(), "created");
    assert_eq!(ask(site.get("/opaque")).await, (202, "accepted".into()));
    let own = site.get("/own").send().await.unwrap();
    assert_eq!(own.headers()["content-type"], "image/png");
    assert_eq!(own.bytes().await.unwrap(), b"\x89PNG"[..]);
    assert_eq!(ask(site.get("/fallible/6")).await, ok("3"));
    assert_eq!(ask(site.get("/fallible/7")).await, (409, "7 is odd".into()));
    assert_eq!(ask(site.get("/question_marks/1")).await, (500, "".into()));
    assert_eq!(ask(site.get("/question_marks/2")).await, ok("found"));
    assert_eq!(ask(site.get("/question_marks/3")).await, (404, "no 3".into()));
    assert_eq!(ask(site.get("/streamed")).await, ok("body"));
}

#[tokio::test]
async fn debug_handler_stands_below_the_attribute() {
    #[offload(cpu)]
    #[axum::debug_handler]
    fn plain(Path(n): Path<u32>) -> String {
        (n + 1).to_string()
    }

    #[offload(thread)]
    #[axum::debug_handler(state = u32)]
    fn with_state(State(start): State<u32>, Json(n): Json<u32>) -> Result<String, StatusCode> {
        n.checked_sub(start).map(|n| n.to_string()).ok_or(StatusCode::CONFLICT)
    }

    let app =
        Router::new().route("/{n}", get(plain)).route("/", post(with_state)).with_state(2_u32);
    let site = serve(app).await;
    assert_eq!(ask(site.get("/7")).await, ok("8"));
    assert_eq!(ask(site.post("/").json(&7)).await, ok("5"));
    assert_eq!(ask(site.post("/").json(&1)).await, (409, "".into()));
}

/// A handler need not be a free function, nor of one type only.
#[tokio::test]
async fn a_handler_answers_with_what_a_body_makes_that_computes_under_a_limit_and_borrows() {
    static TABLE: Resource<Vec<usize>> = Resource::new("table", || Ok((0..5000).collect())).size(2);
    static LIMIT: Limiter = Limiter::new(1);

    #[offload(cpu, stream = 2, limit = LIMIT)]
    fn rows(
        from: usize,
        #[resource(TABLE)] table: &mut Vec<usize>,
        out: &mut Sink<Bytes>,
    ) -> io::Result<()> {
        table.iter().skip(from).try_for_each(|row| writeln!(out, "{row}"))
    }

    async fn export(Path(from): Path<usize>) -> Body {
        Body::from_stream(rows(from))
    }

    let site = serve(Router::new().route("/{from}", get(export))).await;
    let answers: Vec<_> =
        (0..4).map(|from| tokio::spawn(ask(site.get(&format!("/{from}"))))).collect();
    for (from, answer) in answers.into_iter().enumerate() {
        let table: String = (from..5000).map(|row| format!("{row}\n")).collect();
        assert_eq!(answer.await.unwrap(), ok(&table));
    }
    let all = stats().resources;
    let lent = all.iter().find(|resource| resource.name == "table").unwrap();
    // By its limit there was never need for another.
    assert_eq!((lent.made, lent.in_use, LIMIT.in_use()), (1, 0, 0));
}

#[tokio::test]
async fn associated_and_generic_functions_are_handlers() {
    trait Shop: Clone + Send + Sync + 'static {
        fn price(&self, item: &str) -> u32;
    }

    #[derive(Clone)]
    struct Corner;

    impl Shop for Corner {
        fn price(&self, item: &str) -> u32 {
            item.len().try_into().unwrap()
        }
    }

    impl Corner {
        #[offload(cpu)]
        fn greet(State(_): State<Corner>) -> &'static str {
            "welcome"
        }
    }

    #[offload(thread)]
    fn price<S: Shop>(State(shop): State<S>, Path(item): Path<String>) -> String {
        shop.price(&item).to_string()
    }

    let app = Router::new()
        .route("/", get(Corner::greet))
        .route("/{item}", get(price::<Corner>))
        .with_state(Corner);
    let site = serve(app).await;
    assert_eq!(ask(site.get("/")).await, ok("welcome"));
    assert_eq!(ask(site.get("/apple")).await, ok("5"));
}

// What goes wrong.

#[tokio::test]
async fn bad_requests_get_the_answers_of_axum_and_no_body_runs() {
    #[derive(Deserialize)]
    struct Item {
        #[expect(dead_code, reason = "only asked for")]
        count: u8,
    }

    #[offload(cpu)]
    fn path(Path(_): Path<u32>) {
        panic!("the body runs");
    }

    #[offload(thread)]
    fn query(_: Query<Item>) {
        panic!("the body runs");
    }

    #[offload(cpu)]
    fn json(_item: Json<Item>) {
        panic!("the body runs");
    }

    async fn inline(_item: Json<Item>) {}

    let app = Router::new()
        .route("/path/{number}", get(path))
        .route("/query", get(query))
        .route("/json", post(json))
        .route("/inline", post(inline))
        .layer(DefaultBodyLimit::max(30));
    let site = serve(app).await;

    let (status, text) = ask(site.get("/path/seven")).await;
    assert_eq!(status, 400);
    assert!(text.contains("seven"), "{text}");
    assert_eq!(ask(site.get("/query?count=many")).await.0, 400);
    assert_eq!(ask(site.get("/query")).await.0, 400);
    assert_eq!(ask(site.get("/json")).await.0, 405);
    for (status, kind, body) in [
        (400, "application/json", r#"{"count": "#),
        (422, "application/json", r#"{"count": "many"}"#),
        (422, "application/json", r#"{"count": 256}"#),
        (415, "text/plain", r#"{"count": 1}"#),
    ] {
        let post = |path| ask(site.post(path).header("content-type", kind).body(body));
        let answer = post("/json").await;
        assert_eq!(answer.0, status, "{answer:?}");
        assert_eq!(answer, post("/inline").await);
    }
    let large = site.post("/json").header("content-type", "application/json");
    assert_eq!(ask(large.body(r#"{"count": 1, "unknown": "and more"}"#)).await.0, 413);
}

#[tokio::test]
async fn a_panic_of_a_body_costs_its_request_as_a_panic_of_an_inline_handler_does() {
    #[offload(thread)]
    fn waits() {
        panic!("the body fails");
    }

    #[offload(cpu)]
    fn computes() {
        panic!("the body fails");
    }

    async fn inline() {
        panic!("the body fails");
    }

    #[offload(cpu)]
    fn works() -> &'static str {
        "works"
    }

    let app = Router::new()
        .route("/inline", get(inline))
        .route("/waits", get(waits))
        .route("/computes", get(computes))
        .route("/works", get(works));
    let site = serve(app).await;
    for _ in 0..10 {
        for path in ["/inline", "/waits", "/computes"] {
            // The connection is closed without an answer.
            let error = site.get(path).send().await.unwrap_err();
            assert!(error.is_request() && error.status().is_none(), "{path}: {error:?}");
            assert_eq!(ask(site.get("/works")).await, ok("works"));
        }
    }
}

// The event loop.

/// The body of one request waits for another request. There is one event loop,
/// of one thread, for the server and the client: if a body stopped it, that
/// other request would never come.
#[tokio::test(flavor = "current_thread")]
async fn the_event_loop_serves_others_while_bodies_run() {
    #[derive(Clone)]
    struct Gate {
        running: events::UnboundedSender<()>,
        open: Arc<Mutex<Receiver<()>>>,
        key: Sender<()>,
    }

    fn pass(gate: &Gate) -> Result<&'static str, StatusCode> {
        gate.running.send(()).unwrap();
        let open = gate.open.lock().unwrap();
        open.recv_timeout(PATIENCE).map_err(|_| StatusCode::GATEWAY_TIMEOUT)?;
        Ok("passed")
    }

    #[offload(thread)]
    fn waits(State(gate): State<Gate>) -> Result<&'static str, StatusCode> {
        pass(&gate)
    }

    #[offload(cpu)]
    fn computes(State(gate): State<Gate>) -> Result<&'static str, StatusCode> {
        pass(&gate)
    }

    async fn inline(State(gate): State<Gate>) {
        gate.key.send(()).unwrap();
    }

    let _alone = ALONE.lock().await;
    for body in [get(waits), get(computes)] {
        let (running, mut runs) = events::unbounded_channel();
        let (key, open) = mpsc::channel();
        let gate = Gate { running, open: Arc::new(Mutex::new(open)), key };
        let app = Router::new().route("/pass", body).route("/open", post(inline)).with_state(gate);
        let site = Arc::new(serve(app).await);
        let passing = tokio::spawn({
            let site = Arc::clone(&site);
            async move { ask(site.get("/pass")).await }
        });
        runs.recv().await.unwrap();
        assert_eq!(ask(site.post("/open")).await, ok(""));
        assert_eq!(passing.await.unwrap(), ok("passed"));
    }
}

/// Tells when a request comes, and when its last argument goes.
struct Visit(events::UnboundedSender<&'static str>);

type Visits = events::UnboundedSender<&'static str>;

impl FromRequestParts<Visits> for Visit {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        _: &mut request::Parts,
        visits: &Visits,
    ) -> Result<Visit, Self::Rejection> {
        visits.send("comes").unwrap();
        Ok(Visit(visits.clone()))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let _ = self.0.send("goes");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_queued_call_along() {
    #[offload(cpu)]
    fn visit(visit: Visit) {
        visit.0.send("runs").unwrap();
    }

    let _alone = ALONE.lock().await;
    let (visits, mut events) = events::unbounded_channel();
    let app = Router::new().route("/", get(visit)).with_state(visits);
    let site = serve(app).await;

    // As many as the pool has threads, and as many that stand in for them.
    let bodies = 2 * thread::available_parallelism().unwrap().get();
    let (started, mut start) = events::unbounded_channel();
    let mut busy = Vec::new();
    for _ in 0..bodies {
        let started = started.clone();
        let (release, held) = mpsc::channel::<()>();
        let call = tokio::spawn(to_cpu(move || {
            started.send(()).unwrap();
            held.recv().unwrap();
        }));
        start.recv().await.unwrap();
        busy.push((release, call));
    }

    let client = tokio::spawn(site.get("/").send());
    assert_eq!(events.recv().await, Some("comes"));
    client.abort();
    // While no thread of the pool is free.
    assert_eq!(events.recv().await, Some("goes"));

    for (release, call) in busy {
        release.send(()).unwrap();
        call.await.unwrap();
    }
    assert_eq!(site.get("/").send().await.unwrap().status(), 200);
    assert_eq!(events.recv().await, Some("comes"));
    assert_eq!(events.recv().await, Some("runs"));
}
