//! Against a stand-in that keeps to the protocol, and one that does not.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

use super::*;
use crate::certificate::{Chain, Fingerprint};
use crate::deploy::conformance::{Bed, Rack, conforms};

/// What a server holds under one name.
#[derive(Default)]
struct State {
    active: Option<Fingerprint>,
    prepared: Option<(Fingerprint, u8)>,
    previous: Option<Fingerprint>,
    /// Says the same to everything.
    stuck: Option<String>,
    silent: bool,
    asked: Vec<String>,
    stats: Value,
}

impl State {
    fn answer(&mut self, request: &Value) -> Value {
        assert_eq!(request["v"], 1, "{request}");
        let op = request["op"].as_str().unwrap();
        self.asked.push(op.to_owned());
        if op == "hello" && request["name"] != "a.example" {
            return json!({"v": 1, "ok": true, "certificates": []});
        }
        assert_eq!(request["name"], "a.example", "{request}");
        let mut answer = match op {
            "hello" => {
                let beside = |one: Option<Fingerprint>| one.map(|it| json!({"fingerprint": it}));
                json!({"certificates": [{
                    "name": "a.example", "fingerprint": self.active, "unknown": [1],
                    "prepared": beside(self.prepared.map(|(it, _)| it)),
                    "previous": beside(self.previous),
                }]})
            }
            "prepare" => {
                let pem = std::fs::read(request["cert"].as_str().unwrap()).unwrap();
                let given = Chain::parse(&pem).unwrap().fingerprint();
                let state = match self.active == Some(given) {
                    true => "active",
                    false => {
                        let percent = self.prepared.filter(|it| it.0 == given).map_or(0, |it| it.1);
                        self.prepared = Some((given, percent));
                        self.previous = None;
                        "prepared"
                    }
                };
                json!({"fingerprint": given, "state": state})
            }
            "canary" => {
                let (prepared, percent) = self.prepared.as_mut().unwrap();
                *percent = u8::try_from(request["percent"].as_u64().unwrap()).unwrap();
                json!({"fingerprint": prepared, "percent": percent})
            }
            "commit" => {
                let (prepared, _) = self.prepared.take().unwrap();
                assert_eq!(request["fingerprint"], json!(prepared));
                self.previous = self.active.replace(prepared);
                json!({"fingerprint": self.active})
            }
            "rollback" => {
                if self.prepared.take().is_none() {
                    self.active = self.previous.take().or(self.active);
                }
                json!({"fingerprint": self.active})
            }
            "stats" => self.stats.clone(),
            other => panic!("{other}"),
        };
        answer["v"] = json!(1);
        answer["ok"] = json!(true);
        answer
    }
}

struct Server {
    state: Arc<Mutex<State>>,
    folder: TempDir,
}

impl Server {
    /// Serves the old certificate.
    fn start(rack: &Rack) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let state = State { active: Some(rack.old.fingerprint), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap() == 0 {
                    continue;
                }
                let answer = {
                    let mut state = shared.lock().unwrap();
                    match &state.stuck {
                        _ if state.silent => None,
                        Some(same) => Some(same.clone()),
                        None => {
                            let request = serde_json::from_str(&line).unwrap();
                            Some(format!("{}\n", state.answer(&request)))
                        }
                    }
                };
                match answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => std::mem::forget(stream),
                }
            }
        });
        Self { state, folder }
    }

    fn target(&self) -> Rustls {
        let socket = self.folder.path().join("socket");
        let mut target =
            Rustls::new("rustls:test".to_owned(), Settings { socket, certificate: None });
        target.socket.deadline = Duration::from_secs(2);
        target
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The active, the prepared with its share, and the previous one.
    fn holds(&self) -> (Option<Fingerprint>, Option<(Fingerprint, u8)>, Option<Fingerprint>) {
        let state = self.state();
        (state.active, state.prepared, state.previous)
    }

    fn sticks_to(&self, answer: &str) {
        self.state().stuck = Some(answer.to_owned());
    }
}

#[async_trait]
impl Bed for Server {
    async fn served(&mut self) -> Option<Fingerprint> {
        self.state().active
    }

    fn watched(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    async fn damage(&mut self) {
        self.sticks_to("{\"v\":1,\"ok\":false,\"error\":\"not \\u001b[31mtoday\"}\n");
    }

    async fn mend(&mut self) {
        self.state().stuck = None;
    }

    async fn hang(&mut self) -> bool {
        self.state().silent = true;
        true
    }

    async fn resume(&mut self) {
        self.state().silent = false;
    }
}

#[track_caller]
fn refused<T>(result: Result<T, TargetError>) -> String {
    match result.err().expect("it is refused") {
        TargetError::Refused { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

fn percent(share: u8) -> Share {
    Share::new(share).unwrap()
}

#[tokio::test]
async fn it_conforms() {
    let rack = Rack::new(&["a.example"]);
    let mut server = Server::start(&rack);
    let target = server.target();
    conforms(&target, &mut server, &rack).await;
}

#[tokio::test]
async fn a_part_first_then_all_and_back() {
    let rack = Rack::new(&["a.example"]);
    let server = Server::start(&rack);
    let target = server.target();
    let (old, new) = (rack.old.fingerprint, rack.new.fingerprint);
    assert!(target.splits());
    rack.switch(&rack.new);
    for share in [5, 5, 50] {
        target.activate(&rack.new, percent(share)).await.unwrap();
        assert_eq!(server.holds(), (Some(old), Some((new, share)), None));
    }
    // The split alone is undone.
    rack.switch(&rack.old);
    target.restore(&rack.old).await.unwrap();
    assert_eq!(server.holds(), (Some(old), None, None));

    rack.switch(&rack.new);
    target.activate(&rack.new, percent(5)).await.unwrap();
    target.activate(&rack.new, Share::ALL).await.unwrap();
    assert_eq!(server.holds(), (Some(new), None, Some(old)));
    // A share of what everybody gets already is no step back.
    target.activate(&rack.new, percent(5)).await.unwrap();
    assert_eq!(server.state().active, Some(new));
    server.state().asked.clear();
    rack.switch(&rack.old);
    target.restore(&rack.old).await.unwrap();
    assert_eq!(server.state().active, Some(old));
    assert_eq!(server.state().asked, ["hello", "rollback"]);
}

#[tokio::test]
async fn what_it_remembers_is_there_before_the_files_are() {
    let rack = Rack::new(&["a.example"]);
    let server = Server::start(&rack);
    let target = server.target();
    let (old, new) = (rack.old.fingerprint, rack.new.fingerprint);
    rack.switch(&rack.new);
    target.activate(&rack.new, Share::ALL).await.unwrap();
    server.state().asked.clear();
    target.recall(&rack.old).await;
    assert_eq!(server.state().active, Some(old));
    rack.switch(&rack.old);
    target.restore(&rack.old).await.unwrap();
    assert_eq!(server.state().asked, ["hello", "rollback", "hello"]);

    // What it does not remember it is not asked for.
    *server.state() = State { active: Some(new), ..State::default() };
    target.recall(&rack.old).await;
    assert_eq!(server.state().active, Some(new));
    assert_eq!(server.state().asked, ["hello"]);
}

#[tokio::test]
async fn a_server_that_forgot_is_given_what_is_live() {
    let rack = Rack::new(&["a.example"]);
    let server = Server::start(&rack);
    let target = server.target();
    let (old, new) = (rack.old.fingerprint, rack.new.fingerprint);
    // It was started anew with the new one, or remembers another than the old one.
    for previous in [None, Some(Fingerprint::of(b"older"))] {
        *server.state() = State { active: Some(new), previous, ..State::default() };
        target.restore(&rack.old).await.unwrap();
        assert_eq!(server.state().active, Some(old), "{previous:?}");
        assert_eq!(server.state().asked, ["hello", "prepare", "commit"]);
    }
    // Nothing was ever begun: what it remembers from before is not stirred up.
    *server.state() = State { active: Some(old), previous: Some(new), ..State::default() };
    target.restore(&rack.old).await.unwrap();
    assert_eq!(server.state().asked, ["hello"]);
}

#[tokio::test]
async fn the_server_must_hold_the_certificate_and_serve_what_we_say() {
    let rack = Rack::new(&["a.example"]);
    let server = Server::start(&rack);
    let socket = server.folder.path().join("socket");
    let settings = Settings { socket, certificate: Some("other".to_owned()) };
    let other = Rustls::new("r".to_owned(), settings);
    assert_eq!(refused(other.stage(&rack.new).await), "it holds no certificate \"other\"");
    // Live is the old one still.
    let what = refused(server.target().activate(&rack.new, Share::ALL).await);
    assert!(what.starts_with("it prepared certificate "), "{what}");
    assert_eq!(server.state().active, Some(rack.old.fingerprint));
}

#[tokio::test]
async fn hostile_answers() {
    let rack = Rack::new(&["a.example"]);
    let server = Server::start(&rack);
    let target = server.target();
    let endless = "x".repeat(70_000);
    let good = format!(
        "{{\"v\":1,\"ok\":true,\"fingerprint\":\"{}\",\"state\":\"prepared\"}}",
        rack.new.fingerprint
    );
    let table = [
        ("", "it hung up on prepare"),
        (good.as_str(), "breaks off"),
        (endless.as_str(), "has no end"),
        ("\n", "not understood"),
        ("[]\n", "not understood"),
        ("{\"v\":1}\n", "not understood"),
        ("{\"v\":1,\"ok\":true}\n", "not understood: missing field"),
        (
            "{\"v\":1,\"ok\":true,\"fingerprint\":\"\\u001b\",\"state\":\"active\"}\n",
            "not understood",
        ),
        ("{\"v\":2,\"ok\":true}\n", "version 2"),
        ("{\"v\":1,\"ok\":false}\n", "it refused prepare: no reason given"),
        ("{\"v\":1,\"ok\":false,\"error\":\"a\\u001b[2J\\nb\"}\n", "prepare: a\\u{1b}[2J b"),
        ("{\"v\":1,\"ok\":true,\"fingerprint\":\"00\",\"state\":\"x\"}\n", "not understood"),
    ];
    for (answer, part) in table {
        server.sticks_to(answer);
        let what = refused(target.activate(&rack.new, Share::ALL).await);
        assert!(what.contains(part) && !what.contains(char::is_control), "{answer:?}: {what:?}");
    }
    server.state().silent = true;
    let error = target.stage(&rack.new).await.unwrap_err();
    assert!(matches!(error, TargetError::TimedOut { .. }), "{error:?}");
    let nobody = Settings { socket: "/no/such/socket".into(), certificate: None };
    let error = Rustls::new("r".to_owned(), nobody).stage(&rack.new).await.unwrap_err();
    assert!(matches!(error, TargetError::Io { .. }), "{error:?}");
}

fn counted(fingerprint: Fingerprint, role: &str, completed: u64, alerts: &Value) -> Value {
    json!({
        "fingerprint": fingerprint, "role": role, "chosen": 9, "completed": completed, "resumed": 2,
        "failed": {"alerts": alerts, "tls": 1, "io": 2, "abandoned": 4},
        "latency": {"count": completed, "sum_us": 1500, "buckets": []},
    })
}

#[tokio::test]
async fn clients_are_counted_by_certificate() {
    let rack = Rack::new(&["a.example"]);
    let server = Server::start(&rack);
    let target = server.target();
    let (old, new) = (rack.old.fingerprint, rack.new.fingerprint);
    let mut alerts = json!({"unknown_ca": 3, "certificate_expired": 5, "protocol_version": 8});
    alerts["bad_certificate_status_response"] = json!(6);
    let expected = |completed, refused, ocsp_refused, failed| Counters {
        completed,
        refused,
        ocsp_refused,
        failed,
        timed: completed,
        took: Duration::from_micros(1500),
    };
    for roles in [["active", "prepared"], ["previous", "active"]] {
        let certificates =
            [counted(old, roles[0], 10, &json!({})), counted(new, roles[1], 20, &alerts)];
        server.state().stats = json!({"observed": true, "certificates": certificates});
        let traffic = target.traffic(&rack.new).await.unwrap().unwrap();
        assert_eq!(traffic, Traffic { old: expected(10, 0, 0, 7), new: expected(20, 8, 6, 15) });
    }
    let stats = json!({"observed": true, "certificates": [counted(new, "active", 1, &json!({}))]});
    server.state().stats = stats;
    let alone = target.traffic(&rack.new).await.unwrap().unwrap();
    assert_eq!(alone, Traffic { old: Counters::default(), new: expected(1, 0, 0, 7) });
    assert!(refused(target.traffic(&rack.old).await).contains("does not hold"));
    server.state().stats = json!({"observed": false, "certificates": []});
    assert_eq!(target.traffic(&rack.new).await.unwrap(), None);
}
