//! Who is told that something is wrong: once, and once that it is over.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{SecondsFormat, TimeDelta};
use serde_json::Value;
use tempfile::TempDir;

use crate::json::Schema;
use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::clock::Clock;
use crate::support::receiver::{Receiver, Told};
use crate::support::tools::{is_root, openssl};
use crate::support::{Running, free_ports, script, wait_for};

const NAME: &str = "a.example";
const SECRET: &str = "correct-horse-battery-staple";

/// Adds to the settings of the machine.
fn set(agent: &Agent, text: &str) {
    let path = agent.path("acmeagent.toml");
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A file nobody else may read.
fn secret(agent: &Agent, name: &str, text: &str) -> String {
    let path = agent.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn webhook(agent: &Agent, receiver: &Receiver) {
    let key = secret(agent, "key", SECRET);
    set(
        agent,
        &format!(
            "[[alert]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}/tls\"\n\
             secret-file = {key:?}\n",
            receiver.url
        ),
    );
}

/// A CA that takes no orders for some hours, and a certificate that is due when it begins.
fn in_an_outage(clock: &Clock, hours: i64) -> (Ca, Agent) {
    let time =
        |hours| (clock.now() + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let outage = format!("[[outage]]\nfrom = \"{}\"\nto = \"{}\"\n", time(70), time(82 + hours));
    let ca = Ca::by(clock, &outage);
    let agent = ca.limited_agent().by(clock);
    agent.run(&["issue", "-d", NAME, "--profile", "shortlived"]).exits(0);
    clock.advance(TimeDelta::hours(82));
    (ca, agent)
}

fn states(told: &[Told]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let alerts = told.iter().flat_map(|one| one.json()["alerts"].as_array().unwrap().clone());
    alerts.map(|alert| (text(&alert["state"]), text(&alert["rule"]))).collect()
}

/// Mails a server was handed.
struct Mails {
    folder: TempDir,
    port: u16,
    _server: Running,
}

impl Mails {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let dump = folder.path().join("mail.");
        let mut command = Command::new("smtp-sink");
        if is_root() {
            command.args(["-u", "root"]);
        }
        command.arg("-d").arg(dump).arg(format!("127.0.0.1:{port}")).arg("16");
        let server = Running(command.stdin(Stdio::null()).spawn().unwrap());
        wait_for("the mail server", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { folder, port, _server: server }
    }

    /// Those it holds, in the order in which they came.
    fn read(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(|file| file.metadata().unwrap().modified().unwrap());
        let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
        texts.filter(|text| text.contains("Subject:")).collect()
    }
}

/// Adds a program that writes down its message, and says where.
fn paging(agent: &Agent) -> PathBuf {
    let log = agent.path("log");
    let program = agent.path("page");
    script(
        &program,
        &format!(
            "echo \"$ACMEAGENT_ALERT_STATUS\" >>{0}; cat \"$ACMEAGENT_JSON\" >>{0}; echo >>{0}",
            log.display()
        ),
    );
    set(
        agent,
        &format!("[[alert]]\nname = \"page\"\nkind = \"command\"\ncommand = [{program:?}]\n"),
    );
    log
}

#[track_caller]
fn tells_both(mails: &[String]) {
    assert!(mails[0].contains("Subject: [warning] a.example is not renewed ("), "{}", mails[0]);
    assert!(mails[0].contains("ops@b.example") && mails[0].contains("auto-generated"));
    assert!(mails[0].contains("acmeagent doctor a.example"), "{}", mails[0]);
    assert!(mails[1].contains("Subject: [resolved] a.example is not renewed ("), "{}", mails[1]);
}

#[track_caller]
fn paged(agent: &Agent, log: &Path) {
    let log = fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[2]), (4, "firing", "resolved"), "{log}");
    let message: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(message["alerts"][0]["rule"], "failing");
    assert!(!agent.path("state/.alert-page").exists());
}

#[track_caller]
fn is_signed(agent: &Agent, told: &Told) {
    let body = agent.path("body");
    fs::write(&body, &told.body).unwrap();
    let said = openssl(&["dgst", "-sha256", "-hmac", SECRET, "-hex"], &body);
    let sum = said.trim().rsplit(' ').next().unwrap();
    assert_eq!(told.headers["x-acmeagent-signature"], format!("sha256={sum}"));
}

#[test]
fn a_ca_that_is_away_is_one_message_and_one_resolution_over_twenty_runs() {
    need!("faketime", "curl", "openssl", "smtp-sink");
    let (clock, receiver, mails) = (Clock::right(), Receiver::start(), Mails::start());
    let (_ca, agent) = in_an_outage(&clock, 4);
    webhook(&agent, &receiver);
    set(
        &agent,
        &format!(
            "[[alert]]\nname = \"mail\"\nkind = \"email\"\nfrom = \"acme@b.example\"\n\
             to = [\"ops@b.example\"]\nsmtp = \"127.0.0.1:{}\"\n",
            mails.port
        ),
    );
    let log = paging(&agent);
    agent.run(&["renew"]).exits(3);
    assert!(receiver.told().is_empty(), "one failure is a hiccup");
    for _ in 0..20 {
        clock.advance(TimeDelta::minutes(10));
        agent.run(&["renew"]).exits(3);
    }
    let told = receiver.told();
    assert_eq!(states(&told), [("begun".to_owned(), "failing".to_owned())], "{told:#?}");
    is_signed(&agent, &told[0]);
    let message = told[0].json();
    assert_eq!((&message["status"], &message["severity"]), (&"firing".into(), &"warning".into()));
    assert_eq!(message["alerts"][0]["certificate"], NAME);
    assert!(message["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(mails.read().len(), 1);

    clock.advance(TimeDelta::minutes(50));
    agent.run(&["renew", NAME]).exits(0);
    for _ in 0..3 {
        clock.advance(TimeDelta::minutes(30));
        agent.run(&["renew"]).exits(0);
    }
    let told = receiver.told();
    assert_eq!(states(&told), [("resolved".to_owned(), "failing".to_owned())], "{told:#?}");
    assert_eq!(told[0].json()["status"], "resolved");
    wait_for("the second mail", || mails.read().len() == 2);
    tells_both(&mails.read());
    paged(&agent, &log);
}

#[test]
fn who_could_not_be_told_is_told_by_the_next_run() {
    need!("faketime", "curl");
    let (clock, receiver, broken) = (Clock::right(), Receiver::start(), Receiver::start());
    let (_ca, agent) = in_an_outage(&clock, 4);
    webhook(&agent, &receiver);
    set(
        &agent,
        &format!(
            "[[alert]]\nname = \"chat\"\nkind = \"slack\"\nurl-file = {:?}\n",
            secret(&agent, "slack", &broken.url)
        ),
    );
    agent.run(&["renew"]).exits(3);
    broken.answers(503);
    clock.advance(TimeDelta::minutes(10));
    let ran = agent.run(&["renew"]).exits(3);
    ran.says(&["chat was not told what is wrong: 127.0.0.1 answered 503"]);
    clock.advance(TimeDelta::minutes(10));
    agent.run(&["renew"]).exits(3).says(&["chat was not told"]);
    assert_eq!(broken.told().len(), 2);
    broken.answers(200);
    clock.advance(TimeDelta::minutes(10));
    let ran = agent.run(&["renew"]).exits(3);
    assert!(!ran.stderr.contains("was not told"), "{ran:?}");
    clock.advance(TimeDelta::minutes(10));
    agent.run(&["renew"]).exits(3);
    assert_eq!((broken.told().len(), receiver.told().len()), (1, 1));
}

#[test]
fn a_run_with_nothing_wrong_tells_nobody_and_keeps_nothing() {
    let receiver = Receiver::start();
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", NAME]).exits(0);
    webhook(&agent, &receiver);
    for _ in 0..3 {
        agent.run(&["renew"]).exits(0);
    }
    assert!(receiver.told().is_empty());
    assert!(!agent.path("state/alerts").exists());
}

fn alertmanager(folder: &Path) -> (Running, String) {
    let [port] = free_ports();
    let config = folder.join("alertmanager.yml");
    fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
    let mut command = Command::new("prometheus-alertmanager");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.path={}", folder.join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg("--cluster.listen-address=").stdin(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().unwrap());
    let url = format!("http://127.0.0.1:{port}");
    let ready = || {
        let curl = Command::new("curl").args(["-sf", &format!("{url}/-/ready")]).output().unwrap();
        curl.status.success()
    };
    wait_for("the Alertmanager", ready);
    (running, url)
}

/// The alerts it holds to be firing, as name and certificate.
fn firing(url: &str) -> Vec<(String, String)> {
    let curl =
        Command::new("curl").args(["-sf", &format!("{url}/api/v2/alerts")]).output().unwrap();
    let alerts: Value = serde_json::from_slice(&curl.stdout).unwrap();
    let label = |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap_or("").to_owned();
    let alerts = alerts.as_array().unwrap().iter();
    alerts.map(|alert| (label(alert, "alertname"), label(alert, "certificate"))).collect()
}

#[test]
fn an_alertmanager_hears_of_it_until_it_is_over() {
    need!("prometheus-alertmanager", "curl");
    let (folder, ca) = (tempfile::tempdir().unwrap(), Ca::start());
    let (_running, url) = alertmanager(folder.path());
    let agent = ca.agent();
    agent.run(&["issue", "-d", NAME]).exits(0);
    set(&agent, &format!("[[alert]]\nname = \"am\"\nkind = \"alertmanager\"\nurl = {url:?}\n"));
    let settings = agent.path(&format!("certificates/{NAME}.toml"));
    let right = fs::read_to_string(&settings).unwrap();
    let [elsewhere] = free_ports();
    fs::write(&settings, right.replace(&ca.http_port.to_string(), &elsewhere.to_string())).unwrap();
    for _ in 0..3 {
        agent.run(&["renew", "--force", NAME]).exits(3);
    }
    wait_for("the alert", || firing(&url) == [("AcmeagentFailing".to_owned(), NAME.to_owned())]);
    fs::write(&settings, right).unwrap();
    agent.run(&["renew", "--force", NAME]).exits(0);
    wait_for("its end", || firing(&url).is_empty());
}

#[test]
fn a_test_says_who_was_told() {
    let (receiver, schema) = (Receiver::start(), Schema::new());
    let agent = Agent::new();
    agent.run(&["alert", "test"]).exits(2).says(&["the settings name nobody", "hint:"]);
    webhook(&agent, &receiver);
    let (url, token) = (&receiver.url, secret(&agent, "token", "hunter22"));
    set(
        &agent,
        &format!(
            "[[alert]]\nname = \"phone\"\nkind = \"ntfy\"\nurl = {url:?}\ntopic = \"tls\"\n\
             [[alert]]\nname = \"room\"\nkind = \"matrix\"\nurl = {url:?}\nroom = \"!r:m.example\"\n\
             token-file = {token:?}\n"
        ),
    );
    let ran = agent.run(&["alert", "test"]).exits(0);
    ran.shows(&["hook (webhook): told", "phone (ntfy): told", "room (matrix): told"]);
    let told = receiver.told();
    assert_eq!(told.len(), 6);
    let of =
        |begins: &str| told.iter().filter(|one| one.line.starts_with(begins)).collect::<Vec<_>>();
    let hook = of("POST /tls");
    assert_eq!(
        (hook[0].json()["test"].clone(), hook[0].json()["status"].clone()),
        (true.into(), "firing".into())
    );
    assert_eq!(hook[1].json()["status"], "resolved");
    is_signed(&agent, hook[1]);
    let room = of("PUT /_matrix/client/v3/rooms/!r:m.example/send/m.room.message/");
    assert_eq!((room.len(), room[0].headers["authorization"].as_str()), (2, "Bearer hunter22"));
    assert_ne!(room[0].line, room[1].line, "each has its own transaction");
    assert!(room[0].json()["body"].as_str().unwrap().contains("TEST: nothing is wrong"));
    assert!(!agent.path("state/alerts").exists(), "nothing is wrong");

    set(&agent, "[[alert]]\nname = \"gone\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1\"\n");
    let (ran, document) = agent.json(&["alert", "test", "gone", "hook"]);
    ran.exits(3);
    schema.holds(&document);
    assert!(document["alerts"][0]["error"].as_str().unwrap().contains("could not be reached"));
    assert_eq!(
        (&document["alerts"][1]["name"], &document["alerts"][1]["error"]),
        (&"hook".into(), &Value::Null)
    );
    agent.run(&["alert", "test", "hok"]).exits(2).says(&["did you mean hook?"]);
}

#[test]
fn a_template_of_the_operator_makes_the_body() {
    let receiver = Receiver::start();
    let agent = Agent::new();
    let template = agent.path("card.json");
    fs::write(&template, "{\"card\": {{ message.title }}, \"n\": {{ message.alerts|length }}}")
        .unwrap();
    let table = format!(
        "[[alert]]\nname = \"card\"\nkind = \"webhook\"\nurl = {:?}\ntemplate = {template:?}\n",
        receiver.url
    );
    set(&agent, &table);
    agent.run(&["alert", "test"]).exits(0);
    let told = receiver.told();
    assert!(told[0].json()["card"].as_str().unwrap().starts_with("[warning] TEST"));
    assert_eq!(told[0].json()["n"], 1);
    fs::write(&template, "{\"card\": \"{{ message.title }}\"}").unwrap();
    agent.run(&["alert", "test"]).exits(3).shows(&["NOT told", "no JSON", "acmeagent.toml(5)"]);
}
