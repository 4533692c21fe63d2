//! A CA that means harm, or is merely broken: each time the exit code, the message, and that nothing
//! is lost. What is told apart in the answers themselves is tested with the client.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::clock::hurry;
use crate::support::free_ports;
use crate::support::hostile::{Act, Hostile, Tls, directory, edited, opened, order, problem, say};

const NAME: &str = "a.example";

/// An agent with a good certificate in service, that is to be renewed at this server.
fn customer(ca: &Hostile) -> Agent {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    at(&agent, &[ca]);
    agent
}

/// Lets the certificate come from these servers.
fn at(agent: &Agent, cas: &[&Hostile]) {
    let [port] = free_ports();
    let mut main = String::new();
    for (number, ca) in cas.iter().enumerate() {
        let (directory, root) = (ca.directory(), ca.root.display());
        main += &format!(
            "[[ca]]\nname = \"ca{number}\"\ndirectory = \"{directory}\"\nroot = \"{root}\"\n"
        );
    }
    let names: Vec<String> = (0..cas.len()).map(|number| format!("\"ca{number}\"")).collect();
    let settings = format!(
        "identifiers = [\"{NAME}\"]\nca = [{}]\n[challenge]\nhttp-01-port = {port}\n",
        names.join(", ")
    );
    for (path, text) in [("acmeagent.toml", main), ("certificates/a.example.toml", settings)] {
        fs::write(agent.path(path), text).unwrap();
        fs::set_permissions(agent.path(path), PermissionsExt::from_mode(0o600)).unwrap();
    }
}

/// What is served and what it came from.
fn belongings(agent: &Agent) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = agent.files();
    files.retain(|path, _| {
        ["live", "archive", "certificates", "snapshots"].iter().any(|kept| path.starts_with(kept))
    });
    assert!(files.len() > 4, "{:?}", files.keys());
    files
}

/// Renews at the server and asserts what it comes to: that nothing is lost, and that this is said.
#[track_caller]
fn renews(agent: &Agent, code: i32, says: &[&str]) -> Ran {
    let before = belongings(agent);
    let ran = agent.run(&["renew", "--force"]).exits(code).says(says);
    let ran = ran.says(&["live: generation 1, valid until", "next: `acmeagent renew` tries again"]);
    assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
    let wild = |c: char| c.is_control() && c != '\n';
    assert!(!ran.stderr.contains(wild), "raw control characters: {ran:#?}");
    assert!(ran.stderr.lines().all(|line| line.len() < 1000), "a wall of text: {ran:#?}");
    assert_eq!(belongings(agent), before, "something was touched: {ran:#?}");
    ran
}

/// What the server does at a path, the exit code, and what is said.
type Case<'a> = (&'a str, Act, i32, &'a [&'a str]);

/// Every case at a server of its own, as each may teach the agent to wait.
#[track_caller]
fn all(cases: Vec<Case<'_>>) {
    thread::scope(|scope| {
        for (path, act, code, says) in cases {
            scope.spawn(move || {
                let ca = Hostile::start();
                ca.plays(path, act);
                renews(&customer(&ca), code, says);
            });
        }
    });
}

/// F24, F25: on the way to the CA.
#[test]
fn connections_that_end_and_certificates_that_do_not_hold() {
    all(vec![
        ("/directory", Act::HangUp, 3, &["cannot reach https://127.0.0.1"]),
        ("/directory", Act::Cut, 3, &["cannot reach https://127.0.0.1"]),
        ("/new-order", Act::HangUp, 3, &["cannot reach", "/new-order"]),
        ("/new-order", Act::Cut, 3, &["cannot reach", "/new-order"]),
        ("/finalize", Act::HangUp, 3, &["cannot reach", "/finalize"]),
    ]);
    let table: [(Tls, &[&str]); 4] = [
        (Tls::WrongName, &["127.0.0.1", "elsewhere.example"]),
        (Tls::Expired, &["its certificate expired at 2020-01-01", "NTP"]),
        (Tls::UnknownRoot, &["UnknownIssuer", "--ca-root"]),
        (Tls::OtherKey, &["BadSignature", "--ca-root"]),
    ];
    for (tls, says) in table {
        let ca = Hostile::with_tls(tls);
        renews(&customer(&ca), 3, says);
        assert!(ca.requests("/directory").is_empty(), "{tls:?}: nothing is asked of a stranger");
    }
}

/// F27, F28.
#[test]
fn limits_and_outages() {
    let limited = || problem(429, "rateLimited", "too many certificates");
    let html = format!("<html>\u{1b}[31m{}</html>", "down ".repeat(1000));
    let paused = "Your account is temporarily prevented from requesting certificates for a.example \
        and possibly others. Please visit: https://ca.example/sfe/v1/unpause?jwt=secret";
    all(vec![
        ("/new-order", limited().with("retry-after", "7200"), 3, &["limits requests until"]),
        ("/new-order", limited(), 3, &["too many certificates"]),
        ("/new-order", limited().with("retry-after", "-7"), 3, &["too many certificates"]),
        ("/new-order", limited().with("retry-after", "315360000"), 3, &["limits requests until"]),
        ("/new-order", problem(429, "rateLimited", paused), 2, &["a person has visited a page"]),
        ("/new-order", say(503, &html), 3, &["the CA is unavailable: <html>"]),
        ("/directory", say(503, &html), 3, &["the CA is unavailable: <html>"]),
        ("/directory", say(429, "slow down"), 3, &["slow down"]),
    ]);
    let ca = Hostile::start();
    ca.plays("/directory", say(503, &html));
    let ran = renews(&customer(&ca), 3, &[]);
    let shown = ran.stderr.lines().find(|line| line.contains("<html>")).unwrap();
    let quoted = shown.split("unavailable: ").nth(1).unwrap();
    assert!(quoted.chars().count() <= 220, "{quoted}");
}

/// F29.
#[test]
fn bodies() {
    let twice =
        r#"{"newNonce":"BASE/a","newNonce":"BASE/b","newAccount":"BASE/c","newOrder":"BASE/d"}"#;
    let bytes = |body: &[u8]| Act::Say { status: 200, headers: Vec::new(), body: body.to_vec() };
    // What `printf '%01000000d' 0 | gzip` begins with.
    let bomb = bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xec\xc1\x01")
        .with("content-encoding", "gzip");
    let senseless: &[&str] = &["cannot make sense of", "this is no ACME directory"];
    all(vec![
        ("/directory", say(200, "{\"newNonce\":"), 3, senseless),
        ("/directory", say(200, "[".repeat(100_000)), 3, senseless),
        ("/directory", say(200, "{\"a\":".repeat(100_000)), 3, senseless),
        ("/directory", say(200, twice), 3, senseless),
        ("/directory", bytes(b"{\"newNonce\":\"\xff\xfe\"}"), 3, senseless),
        ("/directory", bomb, 3, senseless),
        ("/new-order", say(201, "<html>").with("location", "BASE/order"), 3, &["no order"]),
        (
            "/new-order",
            say(201, order("bewildered")).with("location", "BASE/order"),
            3,
            &["no order"],
        ),
        (
            "/account",
            say(201, "{}").with("location", "https://evil.example/1"),
            11,
            &["evil.example"],
        ),
    ]);
}

/// F32, F33, F34.
#[test]
fn what_leads_astray_is_refused() {
    let leads = |field: &str, url: &str| say(200, edited(directory(), field, json!(url)));
    let dns = |name: &str| json!([{ "type": "dns", "value": name }]);
    let renamed = |names: Value| opened(&edited(order("ready"), "/identifiers", names));
    all(vec![
        ("/directory", leads("/newOrder", "http://127.0.0.1/x"), 11, &["is not https"]),
        (
            "/directory",
            leads("/newNonce", "https://evil.example/"),
            11,
            &["evil.example", "another host"],
        ),
        ("/directory", leads("/newNonce", "https://169.254.169.254/"), 11, &["169.254.169.254"]),
        ("/directory", leads("/newNonce", "https://u:p@127.0.0.1/"), 11, &["credentials"]),
        ("/directory", leads("/newNonce", "file:///etc/passwd"), 11, &["is not https"]),
        ("/directory", say(302, "").with("location", "https://evil.example/"), 11, &["redirects"]),
        ("/new-order", renamed(dns("b.example")), 11, &["b.example"]),
        ("/new-order", renamed(dns("../../x")), 11, &["identifiers of the order"]),
    ]);
    for token in ["../../x", "$(touch x)", "a\nb", "a\0b", &"a".repeat(1_000_000)] {
        let ca = Hostile::start();
        ca.plays("/new-order", opened(&order("pending")));
        let challenge = json!({ "type": "http-01", "url": "BASE/challenge", "status": "pending", "token": token });
        let asked = json!({ "type": "dns", "value": NAME });
        let body = json!({ "status": "pending", "identifier": asked, "challenges": [challenge] });
        ca.plays("/authz", say(200, body));
        renews(&customer(&ca), 11, &["token"]);
        assert!(ca.requests("/challenge").is_empty(), "{token:?} was answered");
    }
}

/// A run whose clock goes ten times as fast, and how long it took by that clock.
fn hurried(agent: &Agent) -> (Ran, Duration) {
    let mut command = agent.command(&["renew", "--force"]);
    hurry(&mut command, 10);
    let began = Instant::now();
    let ran = Ran::of(command.output().unwrap());
    (ran, began.elapsed() * 10)
}

/// F26: one request takes half a minute at most, however the server spends it.
#[test]
fn silence() {
    need!("faketime");
    for act in [Act::Silence, Act::Drip(Duration::from_secs(1))] {
        let ca = Hostile::start();
        ca.plays("/new-order", act.clone());
        let agent = customer(&ca);
        let before = belongings(&agent);
        let (ran, took) = hurried(&agent);
        let _ = ran.exits(3).says(&["/new-order did not answer in time", "live: generation 1"]);
        // What the machine itself needs counts tenfold.
        assert!((30..120).contains(&took.as_secs()), "{act:?} took {took:?}");
        assert_eq!(belongings(&agent), before);
    }
}

/// F31: what is stuck is left in time, and taken up again instead of ordered anew.
#[test]
fn stuck_orders_are_taken_up_again() {
    need!("faketime");
    let ca = Hostile::start();
    let agent = customer(&ca);
    let before = belongings(&agent);
    let (ran, took) = hurried(&agent);
    let _ = ran.exits(3).says(&["/order is not issued after 90 s", "live: generation 1", "next: "]);
    assert!((90..250).contains(&took.as_secs()), "{took:?}");
    assert_eq!(agent.facts(NAME)["order"]["url"], format!("{}/order", ca.base));
    ca.plays("/order", say(502, "<html>bad gateway</html>"));
    let _ = renews(&agent, 3, &["bad gateway"]);
    assert_eq!((ca.requests("/new-order").len(), ca.requests("/finalize").len()), (1, 1));
    ca.plays("/order", problem(404, "malformed", "no such order"));
    ca.plays("/new-order", say(503, "later"));
    let _ = renews(&agent, 3, &["later"]);
    assert_eq!(ca.requests("/new-order").len(), 2, "what is gone is ordered anew");
    assert_eq!(belongings(&agent), before);
}

/// The most memory a run ever had, in KiB.
fn peak(agent: &Agent) -> u64 {
    let mut run = agent.spawn(&["renew", "--force"]);
    let status = format!("/proc/{}/status", run.0.id());
    let mut peak = 0;
    while !run.has_ended() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(seen.unwrap_or(0));
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(run.ends().code, 3);
    peak
}

/// F29: however much is sent, little of it is kept.
#[test]
fn floods_do_not_fill_the_memory() {
    let with = |path: &str, act: Act| {
        let ca = Hostile::start();
        ca.plays(path, act);
        peak(&customer(&ca))
    };
    let ordinary = with("/new-order", say(503, "later"));
    let zeros = Act::Say { status: 200, headers: Vec::new(), body: vec![0; 64 << 20] };
    for (path, act) in [
        ("/directory", Act::Flood),
        ("/new-order", Act::Flood),
        ("/directory", say(200, "[".repeat(1 << 20))),
        ("/directory", zeros.with("content-encoding", "gzip")),
    ] {
        let most = with(path, act);
        println!("{path}: {most} KiB, {ordinary} KiB in an ordinary run");
        assert!(most < ordinary + 8 * 1024, "{path}: {most} KiB, ordinary are {ordinary} KiB");
    }
}

/// What a server was told in the payload of a signed request.
fn payload(request: &str) -> Value {
    let request: Value = serde_json::from_str(request).unwrap();
    let payload = request["payload"].as_str().unwrap().as_bytes();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn a_binding_is_got_by_email() {
    let ca = Hostile::start();
    let mut wanting = directory();
    wanting["meta"] = json!({ "externalAccountRequired": true });
    ca.plays("/directory", say(200, &wanting));
    ca.plays("/new-order", say(503, "later"));
    let agent = customer(&ca);
    let main = agent.read("acmeagent.toml");
    let _ = renews(&agent, 2, &["requires an external account binding", "--eab-kid"]);
    let main = main + &format!("eab-by-email = \"{}/eab\"\n", ca.base);
    fs::write(agent.path("acmeagent.toml"), main).unwrap();
    let _ = renews(&agent, 2, &["requires an external account binding", "--email"]);
    let settings = agent.read("certificates/a.example.toml");
    let settings = format!("email = \"ops+x@example.com\"\n{settings}");
    fs::write(agent.path("certificates/a.example.toml"), settings).unwrap();
    let refused = json!({ "success": false, "error": { "code": 2900, "type": "no \u{1b}[2J" } });
    ca.plays("/eab", say(200, refused));
    let _ = renews(&agent, 2, &["gave no external account binding", "2900", "--eab-kid"]);
    let given = json!({ "success": true, "eab_kid": "kid-7", "eab_hmac_key": "c2VjcmV0" });
    ca.plays("/eab", say(200, given));
    ca.plays("/account", problem(403, "unauthorized", "this binding was used before"));
    let _ = renews(&agent, 2, &["does not accept", "was used before", "get a new one"]);
    ca.plays("/account", say(201, "{}").with("location", "BASE/account/1"));
    let _ = renews(&agent, 3, &["later"]);
    let _ = renews(&agent, 3, &["later"]);
    assert_eq!(ca.requests("/eab"), ["email=ops%2Bx%40example.com"; 3]);
    let told = payload(ca.requests("/account").last().unwrap());
    let protected = told["externalAccountBinding"]["protected"].as_str().unwrap();
    let protected = BASE64URL_NOPAD.decode(protected.as_bytes()).unwrap();
    let protected: Value = serde_json::from_slice(&protected).unwrap();
    assert_eq!((&protected["kid"], &protected["alg"]), (&json!("kid-7"), &json!("HS256")));
}

/// F37: whatever a CA advises, nothing is renewed later than without its advice.
#[test]
fn advice() {
    need!("faketime");
    let ca = Ca::start();
    let agent = Agent::new();
    let main = |directory: &str, root: &Path| {
        let root = root.display();
        let text =
            format!("[[ca]]\nname = \"corp\"\ndirectory = \"{directory}\"\nroot = \"{root}\"\n");
        fs::write(agent.path("acmeagent.toml"), text).unwrap();
        fs::set_permissions(agent.path("acmeagent.toml"), PermissionsExt::from_mode(0o600))
            .unwrap();
    };
    main(&ca.directory, &ca.tls_root);
    let port = ca.http_port.to_string();
    let issue = ["issue", "-d", NAME, "--ca", "corp", "--agree-tos", "--http-01-port", &port];
    let _ = agent.run(&issue).exits(0);
    let before = belongings(&agent);
    let path = format!("/ari/{}", agent.facts(NAME)["ari"]["cert_id"].as_str().unwrap());
    let hostile = Hostile::start();
    main(&hostile.directory(), &hostile.root);
    let now = Utc::now();
    let window = |start: TimeDelta, end: TimeDelta| {
        let [start, end] = [start, end].map(|after| (now + after).to_rfc3339());
        json!({ "suggestedWindow": { "start": start, "end": end } })
    };
    let days = TimeDelta::days;
    let mut shouting = window(days(37), days(38));
    shouting["explanationURL"] = json!("https://ca.example/\u{1b}[2Jwhy");
    let table = [
        (say(404, "no"), "lifetime"),
        (say(200, "<html>"), "lifetime"),
        (say(200, "x".repeat(2 << 20)), "lifetime"),
        (Act::HangUp, "lifetime"),
        (say(200, window(days(9), days(8))), "lifetime"),
        (say(200, window(days(2_900_000), days(2_900_300))), "lifetime"),
        (say(200, window(days(1200), days(1201))), "lifetime"),
        (say(200, window(days(37), days(37) + TimeDelta::seconds(1))), "ari"),
        (say(200, &shouting).with("retry-after", "0"), "ari"),
        (say(200, &shouting).with("retry-after", "315360000"), "ari"),
        (say(503, "busy"), "ari"),
    ];
    for (number, (act, source)) in table.into_iter().enumerate() {
        hostile.plays(&path, act.clone());
        let asked = hostile.requests(&path).len();
        let (ran, document) = agent.json_at(&format!("+{}h", 30 * (number + 1)), &["renew"]);
        let ran = ran.exits(0);
        assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
        assert_eq!(hostile.requests(&path).len(), asked + 1, "{act:?}: {ran:?}");
        let certificate = &document["certificates"][0];
        let next = &certificate["next_renewal"];
        let time = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        let (from, until) = (time(&certificate["not_before"]), time(&certificate["not_after"]));
        let unadvised = from + (until - from) * 2 / 3;
        assert!(time(&next["at"]) <= unadvised, "{act:?}: {next}");
        // Without a usable answer the good one of before may still come first.
        assert!(source == "lifetime" || next["source"] == source, "{act:?}: {next}");
    }
    assert_eq!(belongings(&agent), before);
}
