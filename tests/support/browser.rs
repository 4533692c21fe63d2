//! A real Chromium without a window, driven by its own driver.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Running, free_ports, tools, wait_for};

/// What people prefer to look at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    Light,
    Dark,
}

/// One browser with one page.
pub struct Browser {
    session: String,
    _driver: Running,
    _folder: TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let [port] = free_ports();
        let folder = tempfile::tempdir().unwrap();
        let mut driver = Command::new(tools::find("chromedriver").unwrap());
        driver.arg(format!("--port={port}")).env("HOME", folder.path());
        driver.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Running(driver.spawn().unwrap());
        wait_for("chromedriver to listen", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        // Nobody else's page is looked at, and root has no sandbox to look from.
        let args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let args: Vec<&str> = args.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": tools::find("chromium").unwrap(), "args": args},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let sessions = format!("http://127.0.0.1:{port}/session");
        let id = post(&sessions, &wanted)["sessionId"].as_str().unwrap().to_owned();
        let browser =
            Self { session: format!("{sessions}/{id}"), _driver: driver, _folder: folder };
        // It begins with a page of its own, which asks for much.
        browser.ask("url", &json!({"url": "about:blank"}));
        browser.requests();
        browser
    }

    /// Opens a file as somebody who prefers that scheme sees it in a window so wide.
    pub fn open(&self, file: &Path, width: u32, scheme: Scheme) {
        let size =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        self.tell("Emulation.setDeviceMetricsOverride", &size);
        let scheme = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.tell("Emulation.setEmulatedMedia", &json!({"features": features}));
        self.ask("url", &json!({"url": address(file)}));
    }

    /// What a script in the page returns.
    pub fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Takes a picture of the page as far down as that many pixels.
    pub fn shoot(&self, to: &Path, height: u32) {
        let width = self.run("return innerWidth");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let how = json!({"captureBeyondViewport": true, "clip": clip});
        let shot = self.tell("Page.captureScreenshot", &how);
        fs::write(to, BASE64.decode(shot["data"].as_str().unwrap().as_bytes()).unwrap()).unwrap();
    }

    /// What was complained of in the console since this was last asked.
    pub fn complaints(&self) -> Vec<Value> {
        self.ask("se/log", &json!({"type": "browser"})).as_array().unwrap().clone()
    }

    /// The addresses of what was requested since this was last asked.
    pub fn requests(&self) -> Vec<String> {
        let log = self.ask("se/log", &json!({"type": "performance"}));
        let requests = log.as_array().unwrap().iter().filter_map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let event = &event["message"];
            let is_request = event["method"] == "Network.requestWillBeSent";
            Some(event["params"]["request"]["url"].as_str().filter(|_| is_request)?.to_owned())
        });
        requests.collect()
    }

    fn tell(&self, command: &str, params: &Value) -> Value {
        self.ask("goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    fn ask(&self, what: &str, body: &Value) -> Value {
        post(&format!("{}/{what}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser only when asked to.
        let _ = Command::new("curl").args(["-s", "-X", "DELETE", &self.session]).output();
    }
}

/// The address of a file.
pub fn address(file: &Path) -> String {
    format!("file://{}", file.display())
}

#[track_caller]
fn post(address: &str, body: &Value) -> Value {
    let curl: PathBuf = tools::find("curl").unwrap();
    let mut curl = Command::new(curl);
    curl.args(["-s", "--max-time", "120", "-H", "Content-Type: application/json"]);
    curl.args(["--data-binary", "@-", address]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut curl = curl.spawn().unwrap();
    curl.stdin.take().unwrap().write_all(body.to_string().as_bytes()).unwrap();
    let answer = curl.wait_with_output().unwrap().stdout;
    let answer: Value = serde_json::from_slice(&answer)
        .unwrap_or_else(|e| panic!("{address}: {e}: {}", String::from_utf8_lossy(&answer)));
    assert_eq!(answer["value"]["error"], Value::Null, "{address}: {answer}");
    answer["value"].clone()
}
