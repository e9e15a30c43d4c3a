//! The gallery in a real browser: what a visitor sees and does.
#![cfg(unix)]

mod chromium;
mod landscape;
mod looks;
mod program;
mod skipped;
mod workers;

use std::path::{Path, PathBuf};
use std::time::Instant;

use chromium::Chromium;
use fantoccini::key::Key;
use landscape::{DAWN, DUSK, NIGHT, NOON, paint};
use program::{PATIENCE, Program};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use workers::Workers;

/// A visitor in front of a gallery that was just opened.
struct Visit {
    browser: Chromium,
    program: Program,
    folder: TempDir,
    /// One browser at a time: two would take each other's time, and the heartbeat is looked at.
    _alone: MutexGuard<'static, ()>,
}

impl Visit {
    /// None: there is no browser.
    async fn start() -> Option<Visit> {
        Visit::to(Program::start).await
    }

    /// The same, in front of this one, which keeps its data there.
    async fn to(gallery: impl FnOnce(&Path) -> Program) -> Option<Visit> {
        static ALONE: Mutex<()> = Mutex::const_new(());
        let alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let program = gallery(&folder.path().join("data"));
        let browser = Chromium::open(&program.url).await?;
        Some(Visit { browser, program, folder, _alone: alone })
    }

    async fn sign_up(&self, name: &str) {
        self.browser.write("[name=name]", name).await;
        self.browser.write("[name=password]", "correct horse").await;
        self.browser.click("[value='/accounts']").await;
        self.browser.see("#home").await;
    }

    /// Paints photos and puts them up.
    async fn upload(&self, names: &[&str], width: u32, height: u32) {
        let lights = [NOON, DUSK, DAWN, NIGHT].into_iter().cycle();
        let files: Vec<PathBuf> = names.iter().map(|name| self.file(name)).collect();
        for ((file, light), seed) in files.iter().zip(lights).zip(1_u8..) {
            paint(file, light, width, height, f32::from(seed) * 1.7);
        }
        let photos = "document.querySelectorAll('#photos li').length";
        let before = self.browser.get(photos).await.as_u64().unwrap();
        self.browser.choose("#files", &files).await;
        self.browser.until(&format!("{photos} === {before} + {}", names.len())).await;
        self.browser
            .until("[...document.querySelectorAll('#photos img')].every((image) => image.naturalWidth)")
            .await;
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn text(&self, selector: &str) -> String {
        self.browser.see(selector).await.text().await.unwrap()
    }

    /// Has tags made of the photo that is open.
    async fn tag(&self, description: &str) {
        self.browser.write("[name=description]", description).await;
        let tags = "document.querySelector('#words .tags span')";
        self.browser.click_until("#words .main", tags).await;
    }

    /// Clicks the button that resizes the whole album, or cancels that while it goes on, and waits for the end.
    async fn resize(&self) {
        self.browser.click("#copy").await;
        let is_idle = "document.querySelector('#copy:not([aria-disabled])')";
        self.browser.until_at_last(is_idle, &text_of("copied")).await;
    }

    /// Fires bursts until one has this verdict, and a p99 of the pings below a limit. Returns the
    /// p99, in milliseconds. A busy machine is late now and then, but not each time.
    async fn burst(&self, way: &str, verdict: &str, below: f64) -> f64 {
        let said = format!("document.querySelector('[data-way={way}] .verdict')");
        let p99 = format!("Number({said}.dataset.p99)");
        let fits = format!("{said}.textContent.includes('{verdict}') && {p99} < {below}");
        self.browser.click_until(&format!("[value={way}]"), &fits).await;
        self.browser.get(&p99).await.as_f64().unwrap()
    }

    /// One burst after the other until an expression is true in the page. The dashboard looks once
    /// a second: a single burst may be over before it does.
    async fn bursts_until(&self, way: &str, expression: &str) {
        let bursts = format!(
            "void (async () => {{
                window.seen = window.over = false;
                while (!seen) await fetch('/burst/{way}', {{ method: 'POST' }});
                over = true;
            }})()"
        );
        self.browser.get(&bursts).await;
        self.browser.until(expression).await;
        self.browser.get("void (seen = true)").await;
        self.browser.until("over").await;
    }

    /// Nothing went wrong that the visitor did not see, and nobody else was asked for anything.
    async fn end(self) {
        let mut console = self.browser.console().await;
        console.retain(|line| !says_busy(line));
        assert_eq!(console, [] as [String; 0]);
        let requests = self.browser.requests().await;
        assert!(requests.iter().any(|url| url.ends_with("/ping")), "the search itself works");
        for url in requests {
            let own = url.starts_with(&self.program.url) || url.starts_with("data:");
            assert!(own, "the page asked {url}");
        }
        self.browser.close().await;
    }
}

/// Whether the console notes a request that the server had no time for: it was made again.
fn says_busy(line: &str) -> bool {
    line.contains("status of 503") || line.contains("status of 504")
}

#[tokio::test]
async fn a_visit_from_sign_up_to_tags() {
    let Some(visit) = Visit::start().await else { return };
    visit.browser.see("#enter").await;
    visit.browser.can_be_read_everywhere("who is not logged in").await;
    visit.sign_up("Anna").await;
    visit.upload(&["harbour.jpg"], 1200, 800).await;
    assert!(visit.text("#photos .name").await.contains("harbour.jpg"));

    visit.browser.click("#photos button").await;
    visit.tag("Boats in the harbour, at noon.").await;
    assert_eq!(
        visit.text("#words .tags").await.lines().collect::<Vec<_>>(),
        ["boats", "harbour", "noon"]
    );
    visit.browser.can_be_read_everywhere("a photo").await;
    visit.browser.click("#close").await;
    visit.browser.see("#photos .tags span").await;

    visit.browser.click("#leave").await;
    visit.browser.see("#enter").await;
    assert!(visit.text("#message").await.contains("logged out"));
    visit.end().await;
}

#[tokio::test]
async fn the_focus_stays_where_the_reader_is_and_what_is_new_is_announced() {
    let Some(visit) = Visit::start().await else { return };
    let browser = &visit.browser;
    // Bursts are for those who are logged in: the page says so, and where to.
    browser.press("[value=cpu]").await;
    browser.is_focused("[name=name]").await;
    assert!(visit.text("#message.bad").await.contains("Log in"));

    browser.write("[name=name]", "Anna").await;
    browser.write("[name=password]", "correct horse").await;
    browser.press("[value='/accounts']").await;
    browser.is_focused("#mine").await;
    visit.upload(&["harbour.jpg"], 300, 200).await;

    // What is done takes a while, and the button is still the one that was pressed.
    let off = "document.activeElement.ariaDisabled";
    for (button, done) in [
        ("[value=cpu]", "document.querySelector('[data-way=cpu] .verdict strong')".to_owned()),
        ("#copy", format!("{}.includes('photo has its copies')", text_of("copied"))),
        ("#keep", format!("{}.includes('kept')", text_of("message"))),
    ] {
        browser.press(button).await;
        browser.is_focused(button).await;
        browser.until(&format!("{done} && !{off}")).await;
        browser.is_focused(button).await;
    }

    let card = "#photos button";
    browser.press(card).await;
    browser.write("[name=description]", "Boats in the harbour.").await;
    let told = format!("{}.includes('Its tags: boats, harbour.')", text_of("told"));
    browser.press("#words .main").await;
    browser.until(&format!("{told} && !{off}")).await;
    browser.is_focused("#words .main").await;
    assert_eq!(visit.browser.see("#told").await.attr("role").await.unwrap().unwrap(), "status");
    browser.press("#close").await;
    browser.is_focused(card).await; // it was made anew

    let note = visit.file("note.png");
    std::fs::write(&note, "not an image").unwrap();
    browser.choose("#files", &[note]).await;
    browser.press("#uploads button").await;
    browser.is_focused("#files").await;

    browser.press("#leave").await;
    browser.is_focused("[name=name]").await;
    let mut console = browser.console().await;
    console.retain(|line| !says_busy(line));
    assert!(
        console.iter().all(|line| line.contains("of 401") || line.contains("of 415")),
        "{console:?}"
    );
    visit.end().await;
}

/// In one browser, one after the other.
#[tokio::test]
async fn who_logs_in_next_does_not_see_what_the_browser_still_has() {
    let Some(visit) = Visit::start().await else { return };
    visit.sign_up("Anna").await;
    visit.upload(&["harbour.jpg"], 300, 200).await;
    let get = "fetch('/photos/1').then((answer) => { window.answer = answer.status; })";
    visit.browser.get(&format!("void {get}")).await;
    visit.browser.until("window.answer === 200").await;
    visit.browser.click("#leave").await;
    visit.browser.see("#enter").await;
    visit.sign_up("Ben").await;
    visit.browser.get(&format!("void (window.answer = 0, {get})")).await;
    visit.browser.until("window.answer").await;
    assert_eq!(visit.browser.get("window.answer").await, 404);
    let mut console = visit.browser.console().await;
    console.retain(|line| !says_busy(line));
    assert!(console.len() == 1 && console[0].contains("status of 404"), "{console:?}");
    visit.end().await;
}

#[tokio::test]
async fn an_upload_says_how_far_it_is() {
    const SIZE: usize = 4 << 20;
    let Some(visit) = Visit::start().await else { return };
    visit.sign_up("Anna").await;
    let file = visit.file("large.jpg");
    paint(&file, DAWN, 600, 400, 1.0);
    // A photo ends where it says; some cameras put more behind it.
    let mut photo = std::fs::read(&file).unwrap();
    photo.resize(SIZE, 0);
    std::fs::write(&file, photo).unwrap();

    // Whatever a bar has shown, and for what. On the loopback it would have gone by at once.
    visit.browser.get(NOTE_BARS).await;
    visit.browser.upload_at(2 << 20).await;
    visit.browser.choose("#files", &[file]).await;
    visit.browser.until("document.querySelectorAll('#photos li').length === 1").await;
    let bars = visit.browser.get("bars").await;
    let bars = bars.as_array().unwrap();
    assert!(bars.iter().all(|bar| bar["label"] == "Upload of large.jpg"), "{bars:?}");
    let shares: Vec<f64> = bars.iter().filter_map(|bar| bar["share"].as_f64()).collect();
    assert!(shares.is_sorted(), "{shares:?}");
    let between = shares.iter().filter(|share| (0.01..0.99).contains(*share)).count();
    assert!(between > 3, "{shares:?}");
    assert_eq!(bars.last().unwrap()["share"], Value::Null, "the server is at work");
    visit.browser.until("!document.querySelector('#uploads li')").await;
    visit.end().await;
}

/// Notes each change of a progress bar among the uploads.
const NOTE_BARS: &str = "void (() => {
    window.bars = [];
    const note = ({ target }) => target.tagName === 'PROGRESS' && bars.push({
        label: target.ariaLabel,
        share: target.hasAttribute('value') ? target.position : null,
    });
    new MutationObserver((changes) => changes.forEach(note))
        .observe(document.getElementById('uploads'), { subtree: true, attributes: true });
})()";

#[tokio::test]
async fn what_goes_wrong_is_said_where_it_happens() {
    let Some(visit) = Visit::start().await else { return };
    visit.sign_up("Anna").await;
    let note = visit.file("note.png");
    std::fs::write(&note, "not an image").unwrap();
    visit.browser.choose("#files", &[note]).await;
    assert!(visit.text("#uploads .bad[role=alert]").await.contains("takes PNG and JPEG"));
    visit.browser.click("#uploads button").await;
    visit.browser.until("!document.querySelector('#uploads li')").await;
    let large = visit.file("large.png");
    std::fs::write(&large, vec![0; gallery::MAX_BODY + 1]).unwrap();
    visit.browser.choose("#files", &[large]).await;
    assert!(visit.text("#uploads .bad[role=alert]").await.contains("10 MiB"));

    visit.upload(&["harbour.jpg"], 300, 200).await;
    visit.browser.write("#script", "loop {}").await;
    let kept = format!("{}.includes('kept')", text_of("message"));
    visit.browser.click_until("#keep", &kept).await;
    visit.browser.click("#photos button").await;
    let killed = format!("{}.includes('longer than 2 seconds and was killed')", text_of("told"));
    visit.browser.click_until("#words .main", &killed).await;
    visit.browser.see("#told.bad").await;

    // The browser notes each refused request, and nothing else.
    let mut console = visit.browser.console().await;
    assert!(console.iter().any(|line| line.contains("status of 504")), "{console:?}");
    console.retain(|line| !says_busy(line));
    assert!(console.len() == 1 && console[0].contains("status of 415"), "{console:?}");
    visit.end().await;
}

#[tokio::test]
async fn the_long_work_says_how_far_it_is_and_is_cancelled() {
    let Some(visit) = Visit::start().await else { return };
    visit.sign_up("Anna").await;
    let names = ["1.jpg", "2.jpg", "3.jpg", "4.jpg"];
    let sources = "[...document.querySelectorAll('#photos img')].map((image) => image.srcset)";
    let mut photos = 0;
    // Where the page hears of it too late, there is nothing left to cancel.
    loop {
        assert!(photos < 40, "all photos have copies");
        visit.upload(&names, 1500, 1000).await;
        photos += names.len();
        visit.browser.get(CANCEL).await;
        visit.resize().await;
        let cancelled = visit.text("#copied").await.starts_with("Cancelled");
        let copied = visit.browser.get(sources).await.to_string().matches("/1280 ").count();
        if cancelled && copied < photos {
            break;
        }
    }

    let done = format!("{}.startsWith('{photos} photos')", text_of("copied"));
    let start = Instant::now();
    loop {
        visit.resize().await;
        if visit.browser.get(&done).await == true {
            break;
        }
        // A busy server may refuse it.
        assert!(start.elapsed() < PATIENCE, "{}", visit.text("#copied").await);
    }
    let all = format!("{sources}.every((sources) => sources.includes('/copies/1280 1280w'))");
    visit.browser.until(&all).await;
    visit.end().await;
}

/// Cancels the work once it is under way, as soon as the page says so: it may be over in a second.
const CANCEL: &str = "void new MutationObserver((_, observer) => {
    const cancel = document.getElementById('cancel');
    if (!cancel.checkVisibility() || !(document.getElementById('copying').value > 1)) return;
    observer.disconnect();
    cancel.click();
}).observe(document.getElementById('copied'), { childList: true })";

#[tokio::test]
async fn the_heartbeat_and_the_dashboard_under_a_burst() {
    let Some(visit) = Visit::start().await else { return };
    visit.sign_up("Anna").await;
    let names = ["harbour.jpg", "evening.jpg", "first light.jpg", "moonrise.jpg"];
    visit.upload(&names, 1200, 800).await;
    for (photo, words) in [(1, "Moon over the quiet valley"), (3, "Evening in the mountains")] {
        visit.browser.click(&format!("#photos li:nth-child({photo}) button")).await;
        visit.tag(words).await;
        visit.browser.click("#close").await;
    }
    // The pictures show a server that has been calm for a while.
    let calm = if chromium::pictures_are_kept() { "/of [4-9].. pings/" } else { "/p99/" };
    visit.browser.until(&format!("{calm}.test(document.getElementById('calm').textContent)")).await;

    let inline = visit.burst("inline", "heartbeat stopped", f64::MAX).await;
    for way in ["thread", "cpu", "process"] {
        visit.burst(way, "heartbeat went on", inline).await;
        let verdict = visit.text(&format!("[data-way={way}] .verdict")).await;
        assert!(verdict.contains("p99"), "{way}: {verdict}");
    }

    visit.browser.can_be_read_everywhere("the gallery after its bursts").await;
    for (scheme, width, height, name) in [
        ("light", 1120, 1000, "gallery.png"),
        ("dark", 1120, 1000, "gallery-dark.png"),
        ("light", 390, 844, "gallery-phone.png"),
    ] {
        visit.browser.look(scheme, width, height).await;
        visit.browser.picture(name).await;
    }

    visit.browser.look("light", 1120, 1000).await;
    visit.browser.go(&format!("{}/offload", visit.program.url)).await;
    visit.browser.until("document.body.innerText.includes('burst::on_cpu')").await;
    visit.browser.until("document.body.innerText.includes('scripts')").await;
    // The place that blocked the loop has its name.
    let named = "document.getElementById('stalls').innerText.includes('burst::inline')";
    visit.bursts_until("inline", named).await;
    // A body that is interrupted while it is looked at says nothing.
    let wrong = "document.body.innerText.includes('Write #[offload(cpu)]')";
    visit.bursts_until("thread", wrong).await;
    for (scheme, width, height, name) in [
        ("light", 400, 844, Some("dashboard-phone.png")),
        ("dark", 400, 844, None),
        ("dark", 1280, 1400, Some("dashboard-dark.png")),
        ("light", 1280, 1400, Some("dashboard.png")),
    ] {
        visit.browser.look(scheme, width, height).await;
        visit.browser.can_be_read(&format!("the dashboard, {scheme}, {width} pixels")).await;
        match name {
            Some(name) => visit.browser.picture(name).await,
            None => drop(visit.browser.look_only("dashboard-phone-dark.png").await),
        }
    }
    // It moves while one looks.
    let moves = "/Bodies running\\s+[1-9]/.test(document.getElementById('tiles').innerText)";
    visit.bursts_until("cpu", moves).await;
    visit.end().await;
}

#[tokio::test]
async fn the_dashboard_is_sorted_and_filtered_from_the_keyboard() {
    let Some(visit) = Visit::start().await else { return };
    visit.sign_up("Anna").await;
    visit.upload(&["harbour.jpg"], 300, 200).await;
    visit.browser.go(&format!("{}/offload", visit.program.url)).await;
    let names = "[...document.querySelectorAll('#table tbody th')].map((one) => one.innerText)";
    visit.browser.until(&format!("{names}.length > 5")).await;
    let plot = visit.browser.see("#loops .plot[role=img]").await;
    let words = plot.attr("aria-label").await.unwrap().unwrap();
    assert!(words.contains("Lag of the loop") && words.contains("longest"), "{words}");

    let button = visit.browser.see("#table thead th:first-child button").await;
    for (order, compares) in [("ascending", "<= 0"), ("descending", ">= 0")] {
        button.send_keys(&Key::Enter).await.unwrap();
        visit.browser.see(&format!("#table th[aria-sort={order}]:first-child")).await;
        let in_order = format!("(name, n) => !n || all[n - 1].localeCompare(name) {compares}");
        visit.browser.until(&format!("((all) => all.every({in_order}))({names})")).await;
    }
    visit.browser.write("#filter", "PHOTOS::").await;
    visit.browser.until(&format!("/^[2-9] of /.test({})", text_of("shown"))).await;
    assert_eq!(
        visit.browser.get(&format!("{names}.every((one) => one.includes('photos::'))")).await,
        true
    );
    visit.browser.write("#filter", "no function has this name").await;
    visit.browser.until(&format!("{names}.length === 0")).await;
    visit.browser.write("#filter", "").await;
    visit.browser.see("#noted").await.send_keys(" ").await.unwrap();
    let noted = "document.querySelectorAll('#table tbody th:has(li)').length";
    visit.browser.until(&format!("{names}.length === {noted}")).await;
    visit.end().await;
}

#[tokio::test]
async fn the_dashboard_says_what_went_wrong_and_gives_a_report_of_it() {
    let Some(visit) = Visit::start().await else { return };
    visit.sign_up("Anna").await;
    visit.upload(&["harbour.jpg"], 300, 200).await;
    visit.browser.write("#script", "loop {}").await;
    let kept = format!("{}.includes('kept')", text_of("message"));
    visit.browser.click_until("#keep", &kept).await;
    visit.browser.click("#photos button").await;
    let killed = format!("{}.includes('longer than 2 seconds and was killed')", text_of("told"));
    visit.browser.click_until("#words .main", &killed).await;

    visit.browser.go(&format!("{}/offload", visit.program.url)).await;
    let incidents = "document.getElementById('incidents').innerText";
    visit.browser.until(&format!("{incidents}.includes('sandbox::')")).await;
    let incident = visit.text("#incidents").await;
    for words in ["sandbox::", "ran out of time", "for those who may see it"] {
        assert!(incident.contains(words), "{words}: {incident}");
    }
    let process = visit.text("#process").await;
    let pid = format!("pid {}", visit.program.child.id());
    for words in ["gallery on ", &pid, "up for ", "offload 0."] {
        assert!(process.contains(words), "{words}: {process}");
    }
    let oldest = "document.querySelector('#table td[data-label=Oldest]')";
    visit.browser.until(oldest).await;

    visit.browser.click("#copy").await;
    visit.browser.until(&format!("{}.length > 5", text_of("copied"))).await;
    let report = visit.browser.get("document.getElementById('report').value").await;
    let report = report.as_str().unwrap();
    for words in [
        &pid,
        "## What went wrong last",
        "ran out of time",
        "## Pools",
        "- scripts (process)",
        "## Functions",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    for odd in ["undefined", "NaN", "null", "[object"] {
        assert!(!report.contains(odd), "{odd}: {report}");
    }
    let mut console = visit.browser.console().await;
    console.retain(|line| !says_busy(line));
    assert_eq!(console, [] as [String; 0]);
    visit.end().await;
}

#[tokio::test]
async fn the_dashboard_says_that_its_server_has_gone_and_finds_it_again() {
    let Some(mut visit) = Visit::start().await else { return };
    visit.sign_up("Anna").await;
    visit.browser.go(&format!("{}/offload", visit.program.url)).await;
    visit.browser.see("#state.live").await;
    visit.program.child.kill().unwrap();
    visit.program.child.wait().unwrap();
    visit.browser.see("#state.lost").await;
    assert!(visit.text("#state").await.contains("does not answer"));
    let address = visit.program.address().to_owned();
    visit.program = Program::start_at(&address, &visit.file("data"));
    visit.browser.see("#state.live").await;
    // One that is told to stop says so before it goes.
    visit.program.ask_to_stop(Signal::TERM);
    visit.browser.see("#state.lost").await;
    let said = visit.text("#state").await;
    assert!(said.contains("is shutting down") || said.contains("has shut down"), "{said}");
    // The browser notes each request that failed meanwhile, and nothing else.
    let console = visit.browser.console().await;
    assert!(console.iter().all(|line| line.contains("net::ERR_")), "{console:?}");
    visit.end().await;
}

/// The text of the element with this id, in the page.
fn text_of(id: &str) -> String {
    format!("document.getElementById('{id}').textContent")
}

#[test]
fn the_pictures_in_the_readme_are_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(folder.join("../README.md")).unwrap();
    for picture in std::fs::read_dir(folder.join("screenshots")).unwrap() {
        let name = picture.unwrap().file_name().into_string().unwrap();
        assert!(readme.contains(&format!("examples/screenshots/{name}")), "{name}");
    }
}

#[tokio::test]
async fn where_workers_make_the_thumbnails_the_page_says_who_made_which_and_the_dashboard_who_is_there()
 {
    let store = tempfile::tempdir().unwrap();
    let Some(workers) = Workers::start(store.path()) else { return };
    let Some(visit) = Visit::to(|data| workers.gallery(data)).await else { return };
    visit.sign_up("Anna").await;
    visit.upload(&["one.jpg", "two.jpg", "three.jpg"], 600, 400).await;
    let pids = workers.pids().map(|pid| pid.to_string());
    let makers = visit.text("#makers tbody").await;
    assert!(pids.iter().any(|pid| makers.contains(pid)), "{makers} has none of {pids:?}");
    let said = visit.text("#photos .maker").await;
    assert!(pids.iter().any(|pid| said.starts_with(&format!("by process {pid} on "))), "{said}");

    visit.browser.go(&format!("{}/offload", visit.program.url)).await;
    let cell = "[...document.querySelectorAll('#pools tr')].find((row) => \
                row.textContent.includes('thumbnails'))?.querySelector('[data-label=Workers]')";
    let whole = r"/^2 alive; none in the stream; redelivered \d+, unawaited \d+$/";
    visit.browser.until(&format!("{whole}.test({cell}?.textContent)")).await;
    // What it says of a pool that is worse off, in a program that is a worker, too.
    let remote = "{ workers: 1, waiting: 1200, oldest_seconds: 75, redelivered: 3, unawaited: 4, serving: 1, slots: 2 }";
    let said = visit.browser.get(&format!("workers({{ remote: {remote} }})")).await;
    let said = said.as_str().unwrap();
    for words in [
        "1 alive; ",
        " in the stream, the first for ",
        "; redelivered 3, unawaited 4; this one has 1 of 2",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    visit.end().await;
}
