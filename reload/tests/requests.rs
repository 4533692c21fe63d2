//! What is said at the socket, sense and nonsense.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Agent, Site};

#[test]
fn a_server_introduces_itself() {
    let site = Site::new();
    let mut agent = site.agent();
    let hello = agent.get(json!({ "v": 1, "op": "hello", "later": "fields are ignored" }));
    assert_eq!((&hello["v"], &hello["server"]), (&json!(1), &json!("tests")));
    assert_eq!(hello["pid"], std::process::id());
    assert_eq!(hello["observed"], false);
    let not_after = hello["certificates"][0]["not_after"].as_i64().unwrap();
    let expected = json!([{
        "name": "site", "fingerprint": site.first.fingerprint(), "not_after": not_after,
        "names": ["site.example"], "default": true, "prepared": null, "previous": null,
    }]);
    assert_eq!(hello["certificates"], expected);
    assert_eq!(
        agent.get(json!({ "v": 1, "op": "hello", "name": "site" }))["certificates"],
        expected
    );
    let why = agent.refused(json!({ "v": 1, "op": "hello", "name": "other" }));
    assert_eq!(why, "no certificate is held under the name \"other\"");

    let next = site.ca.issue(&["site.example"]);
    site.prepare("next", &next);
    let hello = agent.get(json!({ "v": 1, "op": "hello" }));
    let prepared = &hello["certificates"][0]["prepared"];
    assert_eq!(prepared["fingerprint"], next.fingerprint());
    assert_eq!(prepared["percent"], 0);
    agent.get(json!({ "v": 1, "op": "commit", "name": "site" }));
    let hello = agent.get(json!({ "v": 1, "op": "hello" }));
    assert_eq!(hello["certificates"][0]["previous"]["fingerprint"], site.first.fingerprint());
}

#[test]
fn the_counters_are_told_as_written_down() {
    let site = Site::new();
    let handshake = site.live.begin(&site.config);
    let shaken = crate::support::shake(&site.ca.client(), &handshake.config(), "site.example");
    handshake.completed(&shaken.connection);
    let mut stats = site.agent().get(json!({ "v": 1, "op": "stats", "name": "site" }));
    let latency = stats["certificates"][0]["latency"].take();
    let expected = json!({
        "v": 1, "ok": true, "name": "site", "observed": true,
        "certificates": [{
            "fingerprint": site.first.fingerprint(), "role": "active",
            "chosen": 1, "completed": 1, "resumed": 0,
            "failed": { "alerts": {}, "tls": 0, "io": 0, "abandoned": 0 },
            "latency": null,
        }],
    });
    assert_eq!(stats, expected);
    assert_eq!(latency["count"], 1);
    assert_eq!(latency["buckets"][0]["count"], 1);
    assert!(latency["buckets"][0]["le_us"].as_u64() >= latency["sum_us"].as_u64());
}

#[test]
fn nonsense_is_answered_with_an_error_and_changes_nothing() {
    let site = Site::new();
    let mut agent = site.agent();
    let deep = "[".repeat(20_000);
    let lines: [&[u8]; 15] = [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe\x00",
        b"\x1b[2J",
        br#"{"v":1}"#,
        br#"{"op":"hello"}"#,
        br#"{"v":2,"op":"hello"}"#,
        br#"{"v":"1","op":"hello"}"#,
        br#"{"v":1,"op":"explode"}"#,
        br#"{"v":1,"op":"commit"}"#,
        br#"{"v":1,"op":"prepare","name":"site","cert":7,"key":[]}"#,
        br#"{"v":1,"op":"hello"} {"v":1}"#,
        deep.as_bytes(),
    ];
    for line in lines {
        agent.send(line);
        agent.send(b"\n");
        let answer = agent.answer().unwrap();
        assert_eq!((&answer["v"], &answer["ok"]), (&json!(1), &json!(false)), "{answer}");
        assert!(!answer["error"].as_str().unwrap().is_empty());
    }
    let op = "x".repeat(60_000);
    assert!(agent.refused(json!({ "v": 1, "op": op })).len() < 1000);
    for op in ["canary", "commit", "rollback", "stats", "prepare"] {
        let request =
            json!({ "v": 1, "op": op, "name": "\u{1b}", "percent": 1, "cert": "/", "key": "/" });
        assert!(agent.refused(request).contains("no certificate is held"), "{op}");
    }
    assert!(agent.get(json!({ "v": 1, "op": "hello" }))["certificates"][0]["prepared"].is_null());
}

#[test]
fn requests_may_come_in_any_pieces() {
    let site = Site::new();
    let mut agent = site.agent();
    let line = b"{\"v\":1,\"op\":\"hello\"}\r\n";
    for byte in line {
        agent.send(&[*byte]);
    }
    agent.send(&line.repeat(3));
    for _ in 0..4 {
        assert_eq!(agent.answer().unwrap()["ok"], true);
    }
}

#[test]
fn a_line_has_a_limit() {
    let site = Site::new();
    let padded = |length: usize| {
        let line = json!({ "v": 1, "op": "hello", "pad": "" }).to_string();
        let pad = "x".repeat(length - line.len());
        format!("{}\n", json!({ "v": 1, "op": "hello", "pad": pad }))
    };
    let mut agent = site.agent();
    agent.send(padded(64 * 1024 - 1).as_bytes());
    assert_eq!(agent.answer().unwrap()["ok"], true);
    for long in [padded(64 * 1024), "x".repeat(1024 * 1024)] {
        let mut agent = site.agent();
        agent.send(long.as_bytes());
        assert_eq!(agent.answer().unwrap()["error"], "the line is too long");
        assert!(agent.answer().is_none());
    }
}

#[test]
fn who_tarries_is_sent_away_and_keeps_nobody_waiting() {
    let site = Site::new();
    let began = Instant::now();
    let mut slow = site.agent();
    slow.send(b"{\"v\":1,");
    assert_eq!(site.agent().ask(json!({ "v": 1, "op": "hello" }))["ok"], true);
    assert!(began.elapsed() < Duration::from_secs(4));
    assert!(slow.answer().is_none());
    assert!(began.elapsed() >= Duration::from_secs(5));
}

#[test]
fn only_so_many_are_attended_to_at_once() {
    let site = Site::new();
    let hello = || json!({ "v": 1, "op": "hello" });
    let mut first = (0..8).map(|_| site.agent()).collect::<Vec<_>>();
    for agent in &mut first {
        agent.get(hello());
    }
    let refused = site.agent().answer().unwrap();
    assert_eq!(refused["error"], "too many clients at once");
    drop(first);
    crate::support::eventually("a seat becomes free", || {
        let mut agent: Agent = site.agent();
        agent.send(b"{\"v\":1,\"op\":\"hello\"}\n");
        agent.answer().is_some_and(|answer: Value| answer["ok"] == true)
    });
}
