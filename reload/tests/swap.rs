//! Certificates that change while clients come.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use serde_json::json;

use crate::support::{Site, prepare_of, shake};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn no_handshake_fails_while_certificates_change() {
    let site = Site::new();
    let next = site.ca.issue(&["site.example"]);
    let folders = [site.home.put("next", &next), site.home.put("first", &site.first)];
    let known = [next.der(), site.first.der()];
    let mut client = site.ca.client();
    // A resumed session shows the certificate it began with.
    client.resumption = Resumption::disabled();
    let (is_over, shaken) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let (mut swaps, began) = (0, Instant::now());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // What fails elsewhere must not be waited for for ever.
                while !is_over.load(Ordering::Relaxed) && began.elapsed() < LIMIT {
                    let handshake = site.live.begin(&site.config);
                    let ended = shake(&client, &handshake.config(), "site.example");
                    ended.client.unwrap();
                    ended.server.unwrap();
                    handshake.completed(&ended.connection);
                    let shown = ended.shown.unwrap();
                    let which = known.iter().position(|known| *known == shown).unwrap();
                    shaken[which].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut agent = site.agent();
        let counts = || shaken.iter().map(|count| count.load(Ordering::Relaxed));
        while swaps < 200 || counts().any(|count| count < 100) {
            assert!(began.elapsed() < LIMIT, "too slow: {:?}", counts().collect::<Vec<_>>());
            agent.get(prepare_of("site", &folders[swaps % 2]));
            agent.get(json!({ "v": 1, "op": "canary", "name": "site", "percent": 50 }));
            agent.get(json!({ "v": 1, "op": "commit", "name": "site" }));
            swaps += 1;
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn two_agents_at_once_leave_one_of_their_certificates() {
    let site = Site::new();
    let issued = [site.ca.issue(&["site.example"]), site.ca.issue(&["site.example"])];
    let committed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for (at, issued) in issued.iter().enumerate() {
            let folder = site.home.put(&format!("agent-{at}"), issued);
            let (site, committed) = (&site, &committed);
            scope.spawn(move || {
                let mut agent = site.agent();
                let print = issued.fingerprint();
                let commit =
                    json!({ "v": 1, "op": "commit", "name": "site", "fingerprint": print });
                for _ in 0..100 {
                    assert_eq!(agent.get(prepare_of("site", &folder))["fingerprint"], *print);
                    // The other one may have come in between; then it is not ours that is committed.
                    let answer = agent.ask(commit.clone());
                    if answer["ok"] == true {
                        assert_eq!(answer["fingerprint"], *print);
                        committed.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let error = answer["error"].as_str().unwrap();
                        assert!(error.contains("prepared"), "{error}");
                    }
                }
            });
        }
    });
    assert!(committed.into_inner() > 0);
    let shown = site.shown("site.example");
    assert!(issued.iter().any(|issued| issued.der() == shown));
}
