//! A day on which a CA wants all it issued to be replaced.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::pebble::Pebble;

/// Makes Pebble answer renewal information for all these with a window that is over.
pub fn let_windows_end(pebble: &Pebble, leaves: &[String]) {
    let window = json!({"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"});
    let answer = json!({"suggestedWindow": window}).to_string();
    let (url, root) = (format!("{}/set-renewal-info/", pebble.management), &pebble.tls_root);
    let request = |leaf| {
        let body = json!({"certificate": leaf, "ariResponse": answer}).to_string();
        format!("url = {url:?}\ndata = {}\ncacert = {root:?}\nfail\nsilent\n", json!(body))
    };
    let requests: Vec<String> = leaves.iter().map(request).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, requests.join("next\n")).unwrap();
    let status = Command::new("curl").arg("-K").arg(file.path()).status().unwrap();
    assert!(status.success(), "Pebble did not take the renewal information");
}

/// How much of the processors Pebble has had so far.
pub fn cpu_of(pebble: &Pebble) -> Duration {
    let process = &pebble.processes[0];
    let facts = fs::read_to_string(format!("/proc/{}/stat", process.0.id())).unwrap();
    let (_, facts) = facts.rsplit_once(") ").unwrap();
    // In user mode and in the kernel, in hundredths of a second: proc(5).
    let used = facts.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(used.sum::<u64>() * 10)
}
