//! The dashboard over a real socket: its page, its numbers, and its end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use offload_runtime::axum::{close_dashboard, dashboard, dashboard_with_messages};
use offload_runtime::{CpuPool, Error, Resource, ThreadPool, is_cancelled, offload};
use offload_tests::{PATIENCE, own_process, passes, soon};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

offload_runtime::test_worker!();

/// Whoever looks at the events has the dashboard to itself.
static EVENTS: Mutex<()> = Mutex::const_new(());

async fn serve() -> SocketAddr {
    let app = Router::new()
        .nest("/offload", dashboard())
        .nest("/admin/offload", dashboard_with_messages());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

async fn ask(address: SocketAddr, path: &str) -> Response {
    client().get(format!("http://{address}{path}")).send().await.unwrap()
}

/// The numbers, when it is so with this function. While somebody looks they are
/// taken once a second, for all.
async fn numbers(address: SocketAddr, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let text = ask(address, "/offload/stats.json").await.text().await.unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let all = json["functions"].as_array().unwrap();
        let function = all.iter().find(|function| function["name"] == name).cloned();
        if function.as_ref().is_some_and(&is_so) {
            return json;
        }
        assert!(start.elapsed() < PATIENCE, "{function:?}");
    }
}

fn function<'a>(json: &'a Value, name: &str) -> &'a Value {
    let all = json["functions"].as_array().unwrap();
    all.iter().find(|function| function["name"] == name).unwrap()
}

/// Reads until there is one more event, and returns it.
async fn event(response: &mut Response, rest: &mut String) -> Option<String> {
    loop {
        if let Some((event, more)) = rest.split_once("\n\n")
            && event.starts_with("data: ")
        {
            let event = event.trim_start_matches("data: ").to_owned();
            *rest = more.to_owned();
            return Some(event);
        } else if let Some(more) = rest.strip_prefix("retry: 1000\n\n") {
            *rest = more.to_owned();
        } else {
            rest.push_str(std::str::from_utf8(&response.chunk().await.unwrap()?).unwrap());
        }
    }
}

async fn settle(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether this process has a thread of this name.
#[cfg(target_os = "linux")]
fn has_thread(name: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let mut names = threads.map(|thread| std::fs::read_to_string(thread.path().join("comm")));
    names.any(|known| known.is_ok_and(|known| known.trim() == name))
}

#[tokio::test]
async fn resources_are_shown_with_their_numbers() {
    static IS_THERE: AtomicBool = AtomicBool::new(false);
    static DB: Resource<u32> = Resource::new("shown database", || match IS_THERE.load(SeqCst) {
        true => Ok(0),
        false => Err("it is not there yet".into()),
    })
    .check(|db| *db != 9);

    #[offload(thread, name = "borrows what is shown")]
    fn borrow(
        number: u32,
        held: Option<mpsc::Receiver<()>>,
        #[resource(DB)] db: &mut u32,
    ) -> Result<(), Error> {
        *db = number;
        // Until nobody holds the other end.
        let _ = held.map(|held| held.recv());
        Ok(())
    }

    let address = serve().await;
    assert!(borrow(0, None).await.is_err(), "it cannot be made");
    IS_THERE.store(true, SeqCst);
    borrow(9, None).await.unwrap();
    let (go_on, held) = mpsc::channel();
    let first = tokio::spawn(borrow(0, Some(held)));
    numbers(address, "borrows what is shown", |function| function["running"] == 1).await;
    let calls = [first, tokio::spawn(borrow(0, None))];
    let start = Instant::now();
    let shown = loop {
        let json = numbers(address, "borrows what is shown", |_| true).await;
        let all = json["resources"].as_array().unwrap();
        let shown = all.iter().find(|resource| resource["name"] == "shown database").unwrap();
        if shown["waiting"] == 1 {
            break shown.clone();
        }
        assert!(start.elapsed() < PATIENCE, "{shown}");
    };
    let expected = json!({
        "name": "shown database",
        "kind": "exclusive",
        "size": 1,
        "in_use": 1,
        "waiting": 1,
        "made": 2,
        "dropped": 1,
        "failed": 1,
    });
    assert_eq!(shown, expected);
    drop(go_on);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let page = ask(address, "/offload").await.text().await.unwrap();
    assert!(page.contains("id=\"resources\""), "{page}");
}

#[tokio::test]
async fn the_page_and_its_parts_need_nothing_that_a_strict_policy_forbids() {
    let address = serve().await;
    let page = ask(address, "/offload").await;
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/offload/live"));
    let header = |response: &Response, name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let policy = header(&page, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header(&page, "content-type").unwrap(), "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    for inline in ["<style", " style=", " onclick=", "javascript:", "//"] {
        assert!(!page.contains(inline), "the page has {inline}");
    }
    assert_eq!(page.matches("<script").count(), page.matches("<script src=").count());
    for (part, kind) in [
        ("style.css", "text/css"),
        ("parts.js", "text/javascript"),
        ("script.js", "text/javascript"),
        ("report.js", "text/javascript"),
    ] {
        assert!(page.contains(&format!("\"{part}\"")));
        let part = ask(address, &format!("/offload/{part}")).await;
        assert_eq!(
            (part.status().as_u16(), header(&part, "content-type").unwrap()),
            (200, kind.into())
        );
        assert_eq!(header(&part, "x-content-type-options").unwrap(), "nosniff");
        // Names are text: nothing is ever taken for markup.
        let text = part.text().await.unwrap();
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!text.contains(markup), "the script uses {markup}");
        }
        assert!(!text.contains("url(") && !text.contains("import"), "it loads something");
    }
    let post = client().post(format!("http://{address}/offload/stats.json")).send().await.unwrap();
    assert_eq!(post.status().as_u16(), 405, "it only answers");
}

#[tokio::test]
async fn it_can_be_nested_in_an_application_of_any_state() {
    #[derive(Clone)]
    struct Shared(&'static str);

    let inner = Router::new()
        .route("/state", get(async |State(shared): State<Shared>| shared.0))
        .nest("/offload", dashboard());
    let app = Router::new().nest("/admin", inner).with_state(Shared("theirs"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    assert_eq!(ask(address, "/admin/state").await.text().await.unwrap(), "theirs");
    assert_eq!(ask(address, "/admin/offload").await.url().path(), "/admin/offload/live");
    assert_eq!(ask(address, "/admin/offload/stats.json").await.status().as_u16(), 200);
}

#[tokio::test]
async fn the_numbers_are_there_and_what_stands_out_is_said_in_words() {
    #[offload(thread, limit = 1, queue = 1, name = "<b>at its limit</b>")]
    fn full(started: mpsc::Sender<()>, end: mpsc::Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = end.recv();
        Ok(())
    }

    let address = serve().await;
    let (started, start) = mpsc::channel();
    let mut ends = Vec::new();
    let mut call = || {
        let (end, ended) = mpsc::channel();
        ends.push(end);
        tokio::spawn(full(started.clone(), ended))
    };
    let first = call();
    let start = tokio::task::spawn_blocking(move || {
        start.recv_timeout(PATIENCE).unwrap();
        start
    });
    let _start = start.await.unwrap();
    let second = call();
    let name = "<b>at its limit</b>";
    // It is queued at once, and then brought into the line by a thread.
    let waits = |full: &Value| full["queue"]["waiting"] == 1 && full["limit"]["waiting"] == 1;
    let json = numbers(address, name, waits).await;
    let full = function(&json, name);
    assert_eq!((&full["kind"], &full["pool"]), (&"thread".into(), &"thread".into()));
    assert_eq!((&full["limit"]["used"], &full["limit"]["permits"]), (&1.into(), &1.into()));
    assert_eq!((&full["running"], &full["waiting"]), (&1.into(), &1.into()));
    assert!(full["longest_running_seconds"].as_f64().unwrap() > 0.0, "{full}");
    let notes = full["notes"].to_string();
    assert!(notes.contains("At its limit: all 1 permits are taken, and 1 call waits"), "{notes}");
    assert!(notes.contains("Near the end of its queue: 1 of 1 calls wait"), "{notes}");
    drop(ends);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn it_shows_no_argument_no_result_and_no_message() {
    #[offload(cpu, name = "has secrets")]
    fn secretive(argument: String) -> String {
        assert!(!argument.contains("fail"), "message-9b1c with {argument}");
        format!("result-9b1c of {argument}")
    }

    let address = serve().await;
    secretive("argument-9b1c".into()).await;
    assert!(tokio::spawn(secretive("fail-9b1c".into())).await.is_err());
    let json = numbers(address, "has secrets", |function| function["panicked"] == 1).await;
    assert!(!json.to_string().contains("9b1c"), "{json}");
    let incident = incident(address, "/offload", "has secrets").await;
    assert_eq!((&incident["what"], &incident["message"]), (&"panicked".into(), &Value::Null));
    // Those who may see it, see it.
    let incident = self::incident(address, "/admin/offload", "has secrets").await;
    let message = incident["message"].as_str().unwrap();
    assert!(message.contains("message-9b1c with fail-9b1c"), "{message}");
}

/// What went wrong with this function, when it is known there.
async fn incident(address: SocketAddr, path: &str, function: &str) -> Value {
    let start = Instant::now();
    loop {
        let text = ask(address, &format!("{path}/stats.json")).await.text().await.unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let all = json["incidents"].as_array().unwrap();
        if let Some(known) = all.iter().find(|one| one["function"] == function) {
            return known.clone();
        }
        assert!(start.elapsed() < PATIENCE, "{json}");
    }
}

#[tokio::test]
async fn what_went_wrong_is_said_with_its_time_and_how_often() {
    #[offload(thread, limit = 1, queue = 0, name = "is refused again and again")]
    fn full(started: mpsc::Sender<()>, end: mpsc::Receiver<()>) -> Result<(), Error> {
        started.send(()).unwrap();
        let _ = end.recv();
        Ok(())
    }

    #[offload(cpu, timeout = "1ms", name = "is late")]
    fn late(end: mpsc::Receiver<()>) -> Result<(), Error> {
        let _ = end.recv();
        Ok(())
    }

    let address = serve().await;
    let unix = || {
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
    };
    let before = unix();
    let (started, start) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let first = tokio::spawn(full(started.clone(), ended));
    tokio::task::spawn_blocking(move || start.recv_timeout(PATIENCE).unwrap()).await.unwrap();
    let refused = async || full(started.clone(), mpsc::channel().1).await.unwrap_err();
    let error = refused().await;
    let (held, is_late) = mpsc::channel();
    late(is_late).await.unwrap_err();
    refused().await;

    let again = incident(address, "/admin/offload", "is refused again and again").await;
    assert_eq!((&again["what"], &again["message"]), (&"refused".into(), &error.to_string().into()));
    // Another test may tell of something at the same moment: then one is left out.
    let times = again["times"].as_u64().unwrap();
    assert!((1..=2).contains(&times), "{again}");
    let (first_at, last_at) = (
        again["first_unix_seconds"].as_f64().unwrap(),
        again["last_unix_seconds"].as_f64().unwrap(),
    );
    assert!(before <= first_at && first_at <= last_at && last_at <= unix(), "{again}");
    assert_eq!(incident(address, "/offload", "is late").await["what"], "timed_out");
    drop((end, held));
    first.await.unwrap().unwrap();
}

/// Nobody has its answer.
#[tokio::test]
async fn the_deadline_of_a_started_call_that_was_let_go_is_said_too() {
    #[offload(thread, timeout = "1ms", spawn = start_late, name = "is let go, and late")]
    fn late() -> Result<(), Error> {
        while !is_cancelled() {
            std::thread::yield_now();
        }
        Ok(())
    }

    let address = serve().await;
    drop(start_late());
    assert_eq!(incident(address, "/offload", "is let go, and late").await["what"], "timed_out");
}

#[tokio::test]
async fn a_death_is_said_with_its_time_and_its_words() {
    #[offload(process, name = "dies")]
    fn dies() -> Result<(), Error> {
        std::process::abort()
    }

    let address = serve().await;
    let error = dies().await.unwrap_err();
    let death = incident(address, "/admin/offload", "dies").await;
    assert_eq!((&death["what"], &death["message"]), (&"died".into(), &error.to_string().into()));
    assert!(death["last_unix_seconds"].as_f64().unwrap() > 0.0, "{death}");
}

#[tokio::test]
async fn started_calls_and_closures_are_shown_by_their_labels_and_pools_of_any_size() {
    static SIZED: CpuPool = CpuPool::new("shown sized").threads_with(|| 2);
    static LAZY: LazyLock<ThreadPool> = LazyLock::new(|| ThreadPool::new("shown lazy").threads(3));

    let address = serve().await;
    let (started, start) = mpsc::channel();
    let (ends, calls): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (end, ended) = mpsc::channel::<()>();
            let started = started.clone();
            let body = move || {
                started.send(()).unwrap();
                let _ = ended.recv();
            };
            (end, SIZED.spawn(body))
        })
        .unzip();
    tokio::task::spawn_blocking(move || (0..2).for_each(|_| soon(&start))).await.unwrap();
    LAZY.run(|| ()).named("shown closure").await;
    let json = numbers(address, "shown closure", |closure| closure["finished"] == 1).await;
    assert_eq!(function(&json, "shown closure")["pool"], "shown lazy");
    let json = numbers(address, "shown sized", |closures| closures["spawned"] == 2).await;
    assert_eq!(function(&json, "shown sized")["running"], 2);
    for (pool, threads) in [("shown sized", 2), ("shown lazy", 3)] {
        let pools = json["pools"].as_array().unwrap();
        let pool = pools.iter().find(|one| one["name"] == pool).unwrap();
        assert_eq!(pool["limit"], threads, "{pool}");
    }
    drop(ends);
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn each_field_of_the_json_is_in_the_reference_and_says_its_unit() {
    static DB: Resource<()> = Resource::new("documented database", || Ok(()));

    #[offload(thread, limit = 1, queue = 1, name = "documented")]
    fn borrow(#[resource(DB)] _db: &mut ()) -> Result<(), Error> {
        panic!("to have something to tell")
    }

    /// All keys of all objects in there.
    fn keys(json: &Value, found: &mut BTreeSet<String>) {
        match json {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                found.insert(key.clone());
                keys(value, found);
            }),
            Value::Array(all) => all.iter().for_each(|one| keys(one, found)),
            _ => {}
        }
    }

    let _alone = EVENTS.lock().await;
    let address = serve().await;
    assert!(tokio::spawn(borrow()).await.is_err());
    let mut events = ask(address, "/admin/offload/events").await;
    let mut rest = String::new();
    let mut found = BTreeSet::new();
    // The second says what was done since the first.
    for _ in 0..2 {
        let event = event(&mut events, &mut rest).await.unwrap();
        keys(&serde_json::from_str(&event).unwrap(), &mut found);
    }
    let source = include_str!("../offload-runtime/src/observe/dashboard/mod.rs");
    let stats = include_str!("../offload-runtime/src/api/stats.rs");
    for key in &found {
        let is_told = source.contains(&format!("`{key}`"))
            || source.contains(&format!("`{key}[]`"))
            || stats.contains(&format!("pub {key}: "));
        assert!(is_told, "{key} is nowhere");
        assert!(!key.ends_with("_ms") && !key.ends_with("_micros"), "{key}: seconds are the unit");
    }
    for key in [
        "spawned",
        "longest_running_seconds",
        "last_minute",
        "processor_wait_share",
        "uptime_seconds",
    ] {
        assert!(found.contains(key), "{key}: {found:?}");
    }
}

/// The other way round, by the source: of some there is nothing to tell in a test.
#[test]
fn the_reference_names_no_field_of_the_json_that_there_is_not() {
    let reference = include_str!("../offload-runtime/src/observe/dashboard/mod.rs");
    let source = [
        include_str!("../offload-runtime/src/api/loops.rs"),
        include_str!("../offload-runtime/src/api/stats.rs"),
        include_str!("../offload-runtime/src/observe/dashboard/notes.rs"),
        include_str!("../offload-runtime/src/observe/dashboard/process.rs"),
        include_str!("../offload-runtime/src/observe/dashboard/recent.rs"),
        include_str!("../offload-runtime/src/observe/dashboard/view.rs"),
    ]
    .concat();
    let table = reference.lines().filter(|line| line.starts_with("/// | `"));
    let named: BTreeSet<_> = table.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 50, "{named:?}");
    for name in named {
        let field = name.rsplit('.').next().unwrap().trim_end_matches("[]");
        let is_there = source.contains(&format!("    {field}: "))
            || source.contains(&format!("pub {field}: "))
            || source.contains(&format!("pub(super) {field}: "))
            || source.contains(&format!("\"{field}\""))
            || source.contains(&format!("struct {field} "))
            // A level, of which only the first letter is another in the source.
            || ["bad", "warn", "null"].contains(&field);
        assert!(is_there, "{field}");
    }
}

#[tokio::test]
async fn the_process_says_which_it_is() {
    let address = serve().await;
    let json = ask(address, "/offload/stats.json").await.text().await.unwrap();
    let process = &serde_json::from_str::<Value>(&json).unwrap()["process"];
    assert_eq!(process["pid"], std::process::id());
    assert_eq!(process["offload_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(process["is_shutting_down"], false);
    let uptime = process["uptime_seconds"].as_f64().unwrap();
    assert!((0.0..3600.0).contains(&uptime), "{process}");
    assert!(process["program"].as_str().unwrap().starts_with("dashboard-"), "{process}");
    #[cfg(target_os = "linux")]
    assert!(!process["host"].as_str().unwrap().is_empty(), "{process}");
}

#[tokio::test]
async fn events_come_while_somebody_looks_and_nothing_is_done_when_nobody_does() {
    let _alone = EVENTS.lock().await;
    let address = serve().await;
    let mut one = ask(address, "/offload/events").await;
    assert_eq!(one.headers()["content-type"], "text/event-stream");
    let mut rest = String::new();
    let first: Value = serde_json::from_str(&event(&mut one, &mut rest).await.unwrap()).unwrap();
    #[cfg(target_os = "linux")]
    // A thread gives itself its name when it begins to run.
    settle("both are at work", || has_thread("offload-numbers") && has_thread("offload-lag")).await;
    // One more who looks gets the same numbers.
    let mut other = ask(address, "/offload/events").await;
    let mut others = String::new();
    let mut theirs: Value =
        serde_json::from_str(&event(&mut other, &mut others).await.unwrap()).unwrap();
    let taken = |json: &Value| json["taken_at_unix_seconds"].as_f64().unwrap();
    // On a busy machine each may miss some.
    let mut same = first.clone();
    while taken(&same) != taken(&theirs) {
        if taken(&same) < taken(&theirs) {
            same = serde_json::from_str(&event(&mut one, &mut rest).await.unwrap()).unwrap();
        } else {
            theirs = serde_json::from_str(&event(&mut other, &mut others).await.unwrap()).unwrap();
        }
    }
    assert_eq!(same, theirs, "taken once for all");
    let next: Value = serde_json::from_str(&event(&mut one, &mut rest).await.unwrap()).unwrap();
    assert!(taken(&next) > taken(&first));
    assert_eq!(next["loops"].as_array().unwrap().len(), 1, "the loop is watched meanwhile");
    drop((one, other));
    #[cfg(target_os = "linux")]
    settle("nothing is left", || !has_thread("offload-numbers") && !has_thread("offload-lag"))
        .await;
}

#[tokio::test]
async fn not_more_than_sixteen_look_at_once() {
    let _alone = EVENTS.lock().await;
    let address = serve().await;
    // One client for all: the first events end after 20 seconds, and a client takes its time.
    let client = client();
    let look =
        async || client.get(format!("http://{address}/offload/events")).send().await.unwrap();
    let mut all = Vec::new();
    for _ in 0..16 {
        let response = look().await;
        assert_eq!(response.status().as_u16(), 200);
        all.push(response);
    }
    let refused = look().await;
    assert_eq!(refused.status().as_u16(), 503);
    assert_eq!(refused.headers()["retry-after"], "5");
    all.pop();
    let start = Instant::now();
    // The server notices that a client has gone.
    while look().await.status().as_u16() != 200 {
        assert!(start.elapsed() < PATIENCE);
    }
}

/// A server that waits for its responses is not held up by those who look. In
/// a process of its own, since it cannot be undone.
#[test]
fn responses_end_when_the_server_is_to_stop() {
    for test in ["child_closes_the_dashboard", "child_shuts_down"] {
        passes(&mut own_process(test));
    }
}

async fn ends_when(told: impl AsyncFnOnce()) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let app: Router = Router::new().nest("/offload", dashboard());
    let server = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());
    let mut response = ask(address, "/offload/events").await;
    let mut rest = String::new();
    event(&mut response, &mut rest).await.unwrap();
    let start = Instant::now();
    stop.send(()).unwrap();
    told().await;
    let mut last = String::new();
    while let Some(event) = event(&mut response, &mut rest).await {
        last = event;
    }
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["process"]["is_shutting_down"], true, "the last one says it");
    server.await.unwrap().unwrap();
    // By themselves they end after 20 seconds.
    assert!(start.elapsed() < Duration::from_secs(15), "nobody told them");
}

#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn child_closes_the_dashboard() {
    ends_when(async || close_dashboard()).await;
}

#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn child_shuts_down() {
    ends_when(async || assert_eq!(offload_runtime::shutdown(PATIENCE).await.abandoned, 0)).await;
}
