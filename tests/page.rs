//! The status page, looked at by a real browser.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::need;
use crate::support::agent::Agent;
use crate::support::browser::{Browser, Scheme, address};

const WIDE: u32 = 1280;
const PHONE: u32 = 390;
/// What a page may have: it is sent by mail.
const LARGEST: usize = 2 << 20;
/// How long it may take to be written, where the program is not built for debugging.
const QUICK: Duration = Duration::from_secs(1);

/// A home with so many certificates, of which nothing can be read of the last where there are many.
fn home_with(count: usize) -> Agent {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "host-0.example"]).exits(0);
    for number in 1..count {
        let name = format!("host-{number}.example");
        for (folder, ending) in [("certificates", ".toml"), ("state", ".json")] {
            let [from, to] = ["host-0.example", &name]
                .map(|name| agent.path(&format!("{folder}/{name}{ending}")));
            fs::copy(from, to).unwrap();
        }
        for folder in ["archive", "live"] {
            let [from, to] =
                ["host-0.example", &name].map(|name| agent.path(&format!("{folder}/{name}")));
            link(&from, &to);
        }
    }
    if count > 1 {
        let settings = format!("certificates/host-{}.example.toml", count - 1);
        fs::write(agent.path(&settings), "<script>alert(1)</script> = 1").unwrap();
    }
    agent
}

fn link(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => link(&entry.path(), &to),
            false => fs::hard_link(entry.path(), to).unwrap(),
        }
    }
}

/// Writes the page of that home; tells how large it is and how long it took.
fn written(agent: &Agent, count: usize) -> PathBuf {
    let file = agent.path("page.html");
    let began = Instant::now();
    let _ =
        agent.run(&["status", "--html", file.to_str().unwrap()]).exits(0).shows(&["written to"]);
    let (took, size) = (began.elapsed(), fs::metadata(&file).unwrap().len());
    println!("{count} certificates: {size} bytes in {took:?}");
    assert!(size < LARGEST as u64);
    assert!(took < QUICK || cfg!(debug_assertions), "{took:?}");
    file
}

/// Where the pictures are kept, for people to look at.
fn shots() -> PathBuf {
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&shots).unwrap();
    shots
}

/// The texts that do not stand out from what is behind them by 4.5 to 1 (WCAG 2.2, 1.4.3).
const FAINT: &str = r#"
const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const numbers = text => text.match(/[\d.]+/g).map(Number);
const light = rgb => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const rgb = numbers(getComputedStyle(e).backgroundColor);
    if (rgb.length < 4 || rgb[3] > 0) return rgb;
  }
};
const faint = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
  const pair = [light(numbers(getComputedStyle(element).color)), light(behind(element))].sort();
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  if (ratio < 4.5) faint.add(`${ratio.toFixed(2)} ${texts.currentNode.data.trim()}`);
}
return [...faint].slice(0, 5)"#;

#[test]
fn a_browser_shows_it_at_every_size_and_in_both_schemes() {
    need!("chromium", "chromedriver", "curl");
    let browser = Browser::start();
    for count in [1, 30, 1000] {
        let agent = home_with(count);
        let file = written(&agent, count);
        let mut papers = Vec::new();
        for (scheme, word) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
            for width in [WIDE, PHONE] {
                browser.open(&file, width, scheme);
                let sizes =
                    browser.run("return [document.documentElement.scrollWidth, innerWidth]");
                assert_eq!(sizes[1], width, "{count} {word}");
                assert!(sizes[0].as_u64() <= sizes[1].as_u64(), "{count} {word}: {sizes}");
                let faint = browser.run(FAINT);
                assert_eq!(faint, serde_json::json!([]), "{count} {word} {width}");
                browser.shoot(&shots().join(format!("{count}-{word}-{width}.png")), 2400);
            }
            papers.push(browser.run("return getComputedStyle(document.body).backgroundColor"));
        }
        assert_ne!(papers[0], papers[1], "the schemes look alike");
        shows_all(&browser, count);
        assert!(browser.complaints().is_empty());
        let elsewhere = |url: &String| *url != address(&file);
        let requests = browser.requests().into_iter().filter(elsewhere);
        assert_eq!(requests.collect::<Vec<_>>(), Vec::<String>::new());
    }
}

fn shows_all(browser: &Browser, count: usize) {
    let text = browser.run("return document.body.textContent");
    let text = text.as_str().unwrap();
    let verdict = if count == 1 { "All well" } else { "1 needs you" };
    let views = ["Certificates", "Rotation", "Handshakes", "Errors by cause", "Budgets"];
    for shown in views.into_iter().chain([verdict, "host-0.example", "embedded", "now"]) {
        assert!(text.contains(shown), "{count}: no {shown:?}");
    }
    let rows = browser.run("return document.querySelectorAll('.certs th[scope=row]').length");
    assert_eq!(rows, count);
    let is_marked = "return document.querySelectorAll('header,nav,main,footer').length == 4 \
                     && document.querySelectorAll('script').length == 0 \
                     && [...document.querySelectorAll('section')].every(s => s.ariaLabelledByElements[0])";
    assert_eq!(browser.run(is_marked), true);
}

#[test]
fn it_is_written_as_told() {
    let agent = home_with(1);
    let file = written(&agent, 1);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let page = fs::read_to_string(&file).unwrap();
    let shown = agent.run(&["status", "--html", "-"]).exits(0).shows(&["<!doctype html>"]);
    assert!(shown.stdout.starts_with("<!doctype html>") && shown.stdout.ends_with("</html>\n"));
    let told = agent.run(&["status", "--quiet", "--html", file.to_str().unwrap()]).exits(0);
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("", ""));
    assert!(page.len() < LARGEST);
    let nowhere = agent.path("nowhere/page.html");
    let _ =
        agent.run(&["status", "--html", nowhere.to_str().unwrap()]).exits(10).says(&["nowhere"]);
    let _ = agent.run(&["status", "--html", "-", "--json"]).exits(2);
}
