//! A Chromium that a test drives, through Debian's `chromium` and `chromium-driver` or their like.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, key::Key};
use hyper_util::client::legacy::connect::HttpConnector;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{program::PATIENCE, skipped::skipped};

/// What makes it start as root, in a container, and talk to nobody by itself.
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--lang=en",
];

pub(crate) struct Chromium {
    client: Client,
    /// Where the driver listens for this session.
    session: String,
    driver: Driver,
    _profile: TempDir,
}

/// The driver's process, and the browser's, which is its child.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // The browser has gone, unless the test has failed.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

impl Chromium {
    /// Opens an address. Without a browser at hand there is nothing to test, and a line says so; in
    /// CI that is a failure.
    pub(crate) async fn open(url: &str) -> Option<Chromium> {
        let at_hand = ["chromium", "google-chrome", "chromium-browser"].into_iter().find_map(find);
        let (Some(browser), Some(driver)) = (at_hand, find("chromedriver")) else {
            return skip();
        };
        let (driver, port) = start(&driver);
        let profile = tempfile::tempdir().unwrap();
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({
            "goog:chromeOptions": {"binary": browser, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            // Half a minute for a script, unless set: a busy machine takes as long to begin with it.
            "timeouts": {"script": PATIENCE.as_millis(), "pageLoad": PATIENCE.as_millis()},
        });
        let server = format!("http://127.0.0.1:{port}");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&server)
            .await
            .unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        let session = format!("{server}/session/{session}");
        let chromium = Chromium { client, session, driver, _profile: profile };
        chromium.client.goto(url).await.unwrap();
        Some(chromium)
    }

    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
        drop(self.driver);
    }

    pub(crate) async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits for an element that can be seen.
    pub(crate) async fn see(&self, selector: &str) -> Element {
        let visible = format!("document.querySelector({})?.checkVisibility()", json!(selector));
        self.until(&visible).await;
        self.client.find(Locator::Css(selector)).await.unwrap()
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.see(selector).await.click().await.unwrap();
    }

    /// Presses Enter on an element that has the focus then, as a keyboard's user does.
    pub(crate) async fn press(&self, selector: &str) {
        self.see(selector).await.send_keys(&Key::Enter).await.unwrap();
    }

    /// Waits until an element has the focus.
    pub(crate) async fn is_focused(&self, selector: &str) {
        self.until(&format!("document.activeElement.matches({})", json!(selector))).await;
    }

    pub(crate) async fn write(&self, selector: &str, text: &str) {
        let field = self.see(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses files in an `<input>`, which need not be seen.
    pub(crate) async fn choose(&self, selector: &str, files: &[PathBuf]) {
        let input = self.client.find(Locator::Css(selector)).await.unwrap();
        let names: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
        input.send_keys(&names.join("\n")).await.unwrap();
    }

    /// What an expression is in the page.
    pub(crate) async fn get(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&self, expression: &str) {
        let start = Instant::now();
        while self.get(&format!("Boolean({expression})")).await != true {
            if start.elapsed() > PATIENCE {
                let page = self.get("document.body.innerText").await;
                panic!("it never came to this: {expression}\n{}", page.as_str().unwrap());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The same of what takes long, for as long as what `progress` gives becomes something else now and then.
    pub(crate) async fn until_at_last(&self, expression: &str, progress: &str) {
        while self.get(&format!("Boolean({expression})")).await != true {
            let before = self.get(progress).await;
            self.until(&format!("{expression} || {progress} !== {before}")).await;
        }
    }

    /// Clicks a button until an expression is true when it can be clicked again. A busy server may
    /// refuse what was asked, and a busy machine be late.
    pub(crate) async fn click_until(&self, button: &str, expression: &str) {
        let start = Instant::now();
        loop {
            self.click(button).await;
            self.see(&format!("{button}:not([aria-disabled])")).await;
            if self.get(&format!("Boolean({expression})")).await == true {
                return;
            }
            if start.elapsed() > PATIENCE {
                let page = self.get("document.body.innerText").await;
                panic!("{button} does not bring this: {expression}\n{}", page.as_str().unwrap());
            }
        }
    }

    /// What the console has said since it was asked last.
    pub(crate) async fn console(&self) -> Vec<String> {
        let entries = self.driver_command("se/log", json!({"type": "browser"})).await;
        let entries = entries.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The addresses that pages of ours have requested since it was asked last.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let entries = self.driver_command("se/log", json!({"type": "performance"})).await;
        let events = entries.as_array().unwrap().iter().map(|entry| {
            let text = entry["message"].as_str().unwrap();
            serde_json::from_str::<Value>(text).unwrap()["message"].take()
        });
        let sent = events.filter(|event| event["method"] == "Network.requestWillBeSent");
        // The browser begins with a page of its own.
        let sent = sent.filter(|event| {
            !event["params"]["documentURL"].as_str().unwrap().starts_with("chrome:")
        });
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// Gives it another screen.
    pub(crate) async fn look(&self, scheme: &str, width: u32, height: u32) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
        let mobile = width < 600;
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Lets no more than so many bytes a second leave the browser.
    pub(crate) async fn upload_at(&self, rate: u32) {
        let conditions = json!({
            "offline": false, "latency": 0, "upload_throughput": rate, "download_throughput": -1,
        });
        let body = json!({"network_conditions": conditions});
        self.driver_command("chromium/network_conditions", body).await;
    }

    /// Saves a screenshot of the top of the page to Cargo's folder for tests; with the variable
    /// `SCREENSHOTS` set, also to `examples/screenshots`, where the README shows it.
    pub(crate) async fn picture(&self, name: &str) {
        let png = self.look_only(name).await;
        let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots").join(name);
        if pictures_are_kept() {
            fs::write(&shown, &png).unwrap();
        }
        assert!(shown.exists(), "there is no {name}: run the tests once with SCREENSHOTS=1");
    }

    /// Saves a screenshot of the top of the page to Cargo's folder for tests only, and returns it as PNG.
    pub(crate) async fn look_only(&self, name: &str) -> Vec<u8> {
        self.client.execute("document.activeElement.blur(); scrollTo(0, 0)", vec![]).await.unwrap();
        let png = small(&self.client.screenshot().await.unwrap());
        fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), &png).unwrap();
        png
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.driver_command("goog/cdp/execute", body).await;
    }

    /// What WebDriver itself does not have.
    async fn driver_command(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/{path}", self.session);
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        let mut answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
        answer["value"].take()
    }
}

/// Whether the run makes the pictures that are shown.
pub(crate) fn pictures_are_kept() -> bool {
    env::var_os("SCREENSHOTS").is_some()
}

/// The same picture, better compressed.
fn small(png: &[u8]) -> Vec<u8> {
    let picture = image::load_from_memory(png).unwrap().into_rgb8();
    let mut small = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut small, CompressionType::Best, FilterType::Adaptive);
    picture.write_with_encoder(encoder).unwrap();
    small
}

/// A program of this name, if it is installed.
fn find(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// On a port of its own choice, which it says. It ends at once if another program has that port of IPv6, such as the driver
/// of a test beside this one: then it chooses again.
fn start(driver: &Path) -> (Driver, u16) {
    let mut starts = (0..10).filter_map(|_| try_start(driver));
    starts.next().expect("chromedriver starts, one time out of ten")
}

fn try_start(driver: &Path) -> Option<(Driver, u16)> {
    let mut driver = Command::new(driver)
        .arg("--port=0")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let driver = Driver(driver);
    for line in lines {
        if let Some((_, port)) = line.unwrap().rsplit_once("successfully on port ") {
            return Some((driver, port.trim_end_matches('.').parse().unwrap()));
        }
    }
    None
}

fn skip<T>() -> Option<T> {
    let what = "no chromium and chromedriver are installed \
                (on Debian: apt install chromium chromium-driver fonts-inter)";
    let ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(!ci, "CI tests the page in a browser, and {what}");
    skipped(what);
    None
}
