//! A challenge type that does not work costs a renewal nothing but time: the next of the list does.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use serde_json::json;

use crate::json::Schema;
use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::clients::{Clients, Population, roots};
use crate::support::pebble::{Pebble, Settings};
use crate::support::reload::RustlsServer;
use crate::support::{free_ports, script, wait_for};

const NAME: &str = "a.example";
const BOTH: [&str; 4] = ["--challenge", "http-01", "--challenge", "tls-alpn-01"];

/// How many validations Pebble made in vain.
fn failed(pebble: &Pebble) -> usize {
    pebble.log().matches("set INVALID by completed challenge").count()
}

fn attempts(agent: &Agent) -> u64 {
    agent.facts(NAME)["failures"].as_u64().unwrap()
}

/// An agent that orders there, with these arguments beside.
fn agent(pebble: &Pebble, args: &[&str]) -> Agent {
    let root = pebble.tls_root.to_str().unwrap();
    let ca = ["--server", &pebble.directory, "--ca-root", root, "--agree-tos"];
    Agent::new().with_ca(ca).with_ca(args.iter().copied())
}

/// A deploy hook that keeps what it finds in its environment in the file `told`.
fn hook(agent: &Agent) -> String {
    let (hook, told) = (agent.path("hook"), agent.path("told"));
    let body = format!(
        "printf '%s\\n%s\\n' \"$ACMEAGENT_CHALLENGE\" \"$ACMEAGENT_FALLBACK\" >{told:?}\n\
         grep -o '\"proof\"' \"$ACMEAGENT_JSON\" >>{told:?}"
    );
    script(&hook, &body);
    hook.display().to_string()
}

/// Serves the folder by HTTP for the names it knows, and 404 for all others.
fn serve(port: u16, folder: PathBuf, name: &'static str) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            let mut chunk = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut chunk) {
                    Ok(length @ 1..) => request.extend_from_slice(&chunk[..length]),
                    _ => break,
                }
            }
            let request = String::from_utf8_lossy(&request);
            let knows = request.to_lowercase().contains(&format!("host: {name}"));
            let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
            let body = fs::read(folder.join(path)).ok().filter(|_| knows);
            let (status, body) =
                body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
}

#[test]
fn what_the_ca_does_not_believe_is_proven_by_the_next_type_in_the_same_run() {
    need!("pebble", "pebble-challtestsrv", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = agent(&pebble, &["--tls-alpn-01-port", &pebble.tls_port.to_string()]);
    // Whose web server is somewhere else.
    let root = agent.path("www");
    fs::create_dir(&root).unwrap();
    let hook = hook(&agent);
    let issue = ["issue", "-d", NAME, "--webroot", root.to_str().unwrap(), "--deploy-hook", &hook];
    let (ran, document) = agent.json(&[&issue[..], &BOTH].concat());
    let ran = ran.exits(0);
    Schema::new().holds(&document);
    let proved = &document["certificates"][0]["proved"];
    assert_eq!(proved["by"], json!({ NAME: "tls-alpn-01" }), "{ran:?}");
    let after = &proved["after"][0];
    assert_eq!(
        (after["identifier"].as_str(), after["challenge"].as_str()),
        (Some(NAME), Some("http-01"))
    );
    assert_eq!(after["spent"], true);
    let why = after["error"].as_str().unwrap();
    assert!(why.contains("connection"), "{why}");
    assert_eq!((failed(&pebble), pebble.orders(), attempts(&agent)), (1, 2, 0));
    let told = agent.read("told");
    let told: Vec<&str> = told.lines().collect();
    let reason = format!("http-01 failed: {why}");
    assert_eq!(told, ["tls-alpn-01", &reason, "\"proof\""]);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nothing is left in the web root");
    let challenges = agent.tally()["challenges"].take();
    let failed_of = |kind: &str| challenges[kind]["failed"].as_u64();
    assert_eq!((failed_of("http-01"), failed_of("tls-alpn-01")), (Some(1), Some(0)));

    // Told to reuse no authorization, Pebble does so once in a hundred all the same.
    let renewals = (0..5).map(|_| agent.run(&["renew", "--force"]).exits(0));
    let ran = renewals.into_iter().find(|_| failed(&pebble) > 1).expect("it was proven anew");
    let ran = ran.shows(&["renewed by tls-alpn-01 after http-01 failed: ", "connection"]);
    ran.says(&["ordering once more"]);
    assert_eq!(failed(&pebble), 2);
}

#[test]
fn when_no_type_is_left_the_reasons_of_all_are_told() {
    need!("pebble", "pebble-challtestsrv", "curl");
    let pebble = Pebble::start(&Settings::default());
    let [http, tls] = free_ports::<2>().map(|port| port.to_string());
    let agent = agent(&pebble, &["--http-01-port", &http, "--tls-alpn-01-port", &tls]);
    let ran = agent.run(&[&["issue", "-d", NAME][..], &BOTH].concat()).exits(3);
    ran.says(&["http-01 failed for a.example: ", "; then ", "a.example by tls-alpn-01"]);
    assert_eq!((failed(&pebble), pebble.orders()), (2, 2));
}

#[test]
fn what_does_not_work_here_is_not_tried_at_the_ca() {
    let ca = Ca::start();
    let agent = ca.agent();
    let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, ca.http_port)).unwrap();
    let ran = agent.run(&[&["issue", "-d", NAME][..], &BOTH].concat()).exits(0);
    let port = format!("renewed by tls-alpn-01 after http-01 failed: port {}", ca.http_port);
    ran.shows(&[&port]);
    assert_eq!((ca.orders(NAME), attempts(&agent)), (1, 0));
}

#[test]
fn dns_01_comes_after_http_01() {
    need!("pebble", "pebble-challtestsrv", "curl");
    let pebble = Pebble::start(&Settings::default());
    let [nobody] = free_ports();
    let agent = agent(&pebble, &["--http-01-port", &nobody.to_string()]);
    let dns = agent.path("dns");
    let post = format!("curl -sSf http://127.0.0.1:{}", pebble.dns_control);
    let body = format!(
        "case $1 in\n\
         add) {post}/set-txt -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" ;;\n\
         remove) {post}/clear-txt -d \"{{\\\"host\\\":\\\"$2.\\\"}}\" ;;\nesac"
    );
    script(&dns, &body);
    let provider = format!("exec:{}", dns.display());
    let types = ["--challenge", "http-01", "--challenge", "dns-01"];
    let dns = ["--dns", &provider, "--dns-propagation-timeout", "0s"];
    let ran = agent.run(&[&["issue", "-d", NAME][..], &types, &dns].concat()).exits(0);
    ran.shows(&["renewed by dns-01 after http-01 failed: "]);
    assert_eq!((failed(&pebble), pebble.orders()), (1, 2));
}

/// By itself, and after another type, whatever is told on the way.
#[test]
fn what_ended_a_run_is_told_once() {
    need!("pebble", "pebble-challtestsrv", "curl");
    let pebble = Pebble::start(&Settings::default());
    let [nobody] = free_ports();
    let agent = agent(&pebble, &["--http-01-port", &nobody.to_string()]);
    let (dns, tried) = (agent.path("dns"), agent.path("tried"));
    // What is tried out before the order works.
    let body = format!(
        "case $1 in add) if [ -e {tried:?} ]; then echo 'the API is down' >&2; exit 1; fi; \
         touch {tried:?} ;; esac"
    );
    script(&dns, &body);
    let provider = format!("exec:{}", dns.display());
    let dns = ["--challenge", "dns-01", "--dns", &provider, "--dns-propagation-timeout", "0s"];
    for (earlier, separators) in [(&[][..], 0), (&["--challenge", "http-01"], 1)] {
        let _ = fs::remove_file(&tried);
        let args = [&["issue", "-d", NAME][..], earlier, &dns].concat();
        let (ran, document) = agent.json(&args);
        let ran = ran.exits(3);
        let error = document["certificates"][0]["error"]["message"].as_str().unwrap();
        println!("{error}");
        assert_eq!(error.matches("; then ").count(), separators, "{ran:?}");
    }
}

#[test]
fn only_the_names_that_lost_a_type_take_another() {
    need!("pebble", "pebble-challtestsrv", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = agent(&pebble, &["--tls-alpn-01-port", &pebble.tls_port.to_string()]);
    let root = agent.path("www");
    fs::create_dir(&root).unwrap();
    serve(pebble.http_port, root.clone(), NAME);
    let names = ["-d", NAME, "-d", "b.example", "--webroot", root.to_str().unwrap()];
    let (ran, document) = agent.json(&[&["issue"][..], &names, &BOTH].concat());
    ran.exits(0).says(&["http-01 failed for b.example: "]);
    let proved = &document["certificates"][0]["proved"];
    assert_eq!(proved["by"], json!({ NAME: "http-01", "b.example": "tls-alpn-01" }));
    let after = proved["after"].as_array().unwrap();
    assert_eq!((after.len(), after[0]["identifier"].as_str()), (1, Some("b.example")));
    assert_eq!(failed(&pebble), 1);
}

#[test]
fn a_running_rustls_server_answers_at_its_own_port_and_goes_on_serving() {
    need!("curl");
    let ca = Ca::start();
    let agent = ca.agent();
    let socket = agent.path("server.sock");
    let target = format!("rustls:{}", socket.display());
    let issue = ["issue", "-d", NAME, "--challenge", "tls-alpn-01", "--target", &target];
    // Before its first certificate the server cannot run: the agent listens itself.
    agent.run(&issue).exits(0);
    let live = agent.path(&format!("live/{NAME}"));
    let server = RustlsServer::start_at(ca.tls_port, socket, vec![live.clone()]);
    let clients = Clients::come(Population {
        server: server.address,
        name: NAME.try_into().unwrap(),
        first: roots(&ca.issuing_root),
        second: Vec::new(),
        of_hundred: 100,
    });
    wait_for("the first clients", || clients.seen().completed > 20);
    let before = server.holds(NAME)["fingerprint"].clone();
    agent.run(&["renew", "--force"]).exits(0).shows(&["issued generation 2"]);
    let seen = clients.seen().completed;
    wait_for("clients of the new certificate", || clients.seen().completed > seen + 20);
    assert_ne!(server.holds(NAME)["fingerprint"], before);
    let seen = clients.leave();
    println!("{seen:?} while a challenge was answered and the certificate exchanged");
    assert_eq!((seen.refused, seen.failed), (0, 0), "{seen:?}");
    assert_eq!(server.ask(&json!({"v": 1, "op": "clear"}))["cleared"], 0, "nothing is left there");
    let lent = fs::read_dir(live.parent().unwrap()).unwrap().flatten();
    let lent: Vec<_> = lent.map(|entry| entry.file_name()).filter(|name| *name != NAME).collect();
    assert!(lent.is_empty(), "{lent:?}");
}

#[test]
fn what_a_crash_left_in_a_server_is_cleared_by_the_next_run() {
    let mut ca = Ca::start();
    let agent = ca.agent();
    let socket = agent.path("server.sock");
    let target = format!("rustls:{}", socket.display());
    let issue = ["issue", "-d", NAME, "--challenge", "tls-alpn-01", "--target", &target];
    agent.run(&issue).exits(0);
    let live = agent.path(&format!("live/{NAME}"));
    let server = RustlsServer::start_at(ca.tls_port, socket, vec![live.clone()]);
    let (cert, key) = (live.join("fullchain.pem"), live.join("privkey.pem"));
    let left = json!({"v": 1, "op": "challenge", "name": NAME, "cert": cert, "key": key});
    server.ask(&left);
    // Nothing is presented where there is no CA to ask for it.
    ca.stop();
    let ran = agent.run(&["renew", "--force"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!(server.ask(&json!({"v": 1, "op": "clear"}))["cleared"], 0, "nothing is left there");
}
