//! Metrics: a textfile, a page to scrape, OTLP, and rules and a dashboard that understand them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use chrono::TimeDelta;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use serde_json::Value;

use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::clock::Clock;
use crate::support::prometheus::{Prometheus, rules};
use crate::support::{DEADLINE, free_ports, wait_for};

/// An agent with a certificate and these settings below `[metrics]`.
fn told(settings: &str) -> Agent {
    let agent = Agent::embedded();
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    tell(&agent, settings);
    agent
}

fn tell(agent: &Agent, settings: &str) {
    fs::write(agent.path("acmeagent.toml"), format!("[metrics]\n{settings}\n")).unwrap();
}

/// What `promtool` has to say of a text.
#[track_caller]
fn promtool_likes(text: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let silent = output.stdout.is_empty() && output.stderr.is_empty();
    assert!(output.status.success() && silent, "{output:?}\n{text}");
}

/// The names of the metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_textfile_is_written_after_each_run() {
    need!("promtool");
    let agent = told("");
    let (folder, file) = (agent.path("node"), agent.path("node/acmeagent.prom"));
    tell(&agent, &format!("textfile = {file:?}"));
    // Nobody makes the folder of another program; and that is no failure of the run.
    agent.run(&["renew"]).exits(0).says(&["metrics are not told: ", "acmeagent.prom"]);
    fs::create_dir(&folder).unwrap();
    agent.run(&["renew"]).exits(0);
    let text = fs::read_to_string(&file).unwrap();
    promtool_likes(&text);
    for line in [
        "acmeagent_certificates 1",
        "acmeagent_certificate_failures{certificate=\"a.example\"} 0",
        "acmeagent_runs_total{outcome=\"renewed\"} 1",
        "acmeagent_phase_duration_seconds_count{phase=\"acquire\"} 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in:\n{text}");
    }
    assert!(text.contains("acmeagent_last_good_run_timestamp_seconds "), "{text}");
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644, "for node_exporter to read");
    let in_folder = fs::read_dir(&folder).unwrap().count();
    assert_eq!(in_folder, 1, "nothing is left beside it");
    // A command of a person changes how things stand as well.
    agent.run(&["issue", "-d", "b.example"]).exits(0);
    assert!(fs::read_to_string(&file).unwrap().contains("acmeagent_certificates 2\n"));
    let (quiet, loud) = (agent.run(&["-q", "renew"]), agent.run(&["renew"]));
    assert_eq!((quiet.exits(0).stderr, loud.exits(0).stderr), (String::new(), String::new()));
}

#[test]
fn check_tells_the_same_beside_what_it_found() {
    need!("promtool");
    let agent = told("");
    let text = agent.run(&["check", "--format", "prometheus"]).stdout;
    promtool_likes(&text);
    assert!(text.starts_with("# HELP acmeagent_check "), "{text}");
    assert!(text.contains("\nacmeagent_certificates 1\n"), "{text}");
    // Of an endpoint or a file that is not ours there is nothing else to tell.
    let file = agent.path("live/a.example/fullchain.pem");
    let args = ["check", "--format", "prometheus", "--file", file.to_str().unwrap()];
    assert_eq!(names(&agent.run(&args).stdout), ["acmeagent_check".to_owned()].into());
}

#[test]
fn the_loop_is_asked_at_a_port_of_its_own() {
    need!("curl", "promtool");
    let [port] = free_ports();
    let agent = told(&format!("listen = \"127.0.0.1:{port}\""));
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let says = [&*format!("127.0.0.1:{port}"), "hint: ", "`listen` below [metrics]"];
    agent.run(&["renew", "--loop"]).exits(2).says(&says);
    drop(taken);
    let _stays = agent.spawn(&["renew", "--loop"]);
    let get = |path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "5", "-w", "%{http_code}"]);
        let output = curl.arg(format!("http://127.0.0.1:{port}{path}")).output().unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        let code = text.split_off(text.len() - 3);
        (code, text)
    };
    wait_for("the port", || get("/healthz").0 != "000");
    wait_for("a good run", || get("/healthz").1.contains("the last good run was at"));
    assert_eq!(get("/healthz").0, "200");
    let (code, text) = get("/metrics");
    assert_eq!(code, "200");
    promtool_likes(&text);
    assert_eq!(get("/").0, "404");
    // What another process does is seen at the next look.
    agent.run(&["issue", "-d", "b.example"]).exits(0);
    wait_for("the other certificate", || get("/metrics").1.contains("acmeagent_certificates 2\n"));
    // What belongs to the loop is no affair of a run that ends.
    agent.run(&["renew"]).exits(0);
}

/// Receives OTLP at a port of its own, and hands over the headers and what was sent.
fn receiver() -> (u16, Receiver<(HeaderMap, ExportMetricsServiceRequest)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = mpsc::channel();
    let take = async move |headers: HeaderMap, body: Bytes| {
        let _ = sender.send((headers, ExportMetricsServiceRequest::decode(body).unwrap()));
    };
    let router = Router::new().route("/v1/metrics", axum::routing::post(take));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        })
    });
    (port, received)
}

#[test]
fn a_receiver_of_otlp_is_sent_the_same_metrics() {
    let (port, received) = receiver();
    let agent = told("");
    let header = agent.path("header");
    fs::write(&header, "Bearer of-tidings\n").unwrap();
    fs::set_permissions(&header, fs::Permissions::from_mode(0o600)).unwrap();
    let file = agent.path("acmeagent.prom");
    tell(
        &agent,
        &format!(
            "otlp = \"http://127.0.0.1:{port}\"\notlp-authorization-file = {header:?}\ntextfile = {file:?}"
        ),
    );
    let ran = agent.run(&["renew"]).exits(0);
    assert_eq!(ran.stderr, "");
    let (headers, request) = received.recv_timeout(DEADLINE).unwrap();
    assert_eq!(headers["authorization"], "Bearer of-tidings");
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let sent: BTreeSet<String> =
        scopes.flat_map(|scope| &scope.metrics).map(|metric| metric.name.clone()).collect();
    assert_eq!(sent, names(&fs::read_to_string(file).unwrap()));
    // Where nobody takes it, that is said, and the run was as good.
    tell(&agent, &format!("otlp = \"http://127.0.0.1:{port}/elsewhere\""));
    agent.run(&["renew"]).exits(0).says(&["metrics are not told to 127.0.0.1: it answered 404"]);
}

#[test]
fn each_rule_fires_and_is_silent_when_it_should_be() {
    need!("promtool");
    let folder = rules().parent().unwrap().to_owned();
    for args in [["check", "rules"], ["test", "rules"]] {
        let file =
            if args[0] == "test" { "acmeagent.rules.test.yml" } else { "acmeagent.rules.yml" };
        let output = Command::new("promtool").args(args).arg(folder.join(file)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // None is left out there.
    let (rules, tests) =
        (fs::read_to_string(rules()).unwrap(), folder.join("acmeagent.rules.test.yml"));
    let tests = fs::read_to_string(tests).unwrap();
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(name), "{name} has no test");
    }
}

/// The expressions of the panels, with every host and certificate chosen.
fn panels() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/grafana/acmeagent.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let exprs = panels.filter_map(|panel| Some(panel["targets"][0]["expr"].as_str()?.to_owned()));
    exprs.map(|expr| expr.replace("$instance", ".*").replace("$certificate", ".*")).collect()
}

/// A certificate of 160 hours was issued a hundred hours ago, and the CA is away when it is time.
#[test]
fn prometheus_sees_a_certificate_come_near_its_end_and_be_renewed() {
    need!("prometheus", "promtool", "curl", "faketime");
    let clock = Clock::off_by(TimeDelta::hours(-100));
    let mut ca = Ca::by(&clock, "");
    let agent = ca.agent().by(&clock);
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    ca.stop();
    clock.set(TimeDelta::zero());
    let [port] = free_ports();
    tell(&agent, &format!("listen = \"127.0.0.1:{port}\""));
    let _stays = agent.spawn(&["renew", "--loop"]);
    let prometheus = Prometheus::scraping(port);
    wait_for("a scrape", || !prometheus.query("acmeagent_build_info").is_empty());
    let expires = "AcmeagentCertificateExpires warning";
    wait_for("the alert", || prometheus.firing().contains(expires));
    let firing = prometheus.firing();
    assert!(!firing.contains("AcmeagentCertificateExpires critical"), "{firing:?}");
    assert!(!firing.contains("AcmeagentSilent critical"), "{firing:?}");
    wait_for("the failure to be told", || {
        !prometheus
            .query("acmeagent_certificate_failures{certificate=\"127.0.0.1\"} > 0")
            .is_empty()
    });
    for expr in panels() {
        // What cannot be parsed is no answer.
        let _ = prometheus.query(&expr);
    }
    ca.start_at("+0");
    agent.run(&["renew", "--force", "127.0.0.1"]).exits(0);
    wait_for("the alert to be resolved", || prometheus.firing().is_empty());
    // Something else breaks, and is mended.
    let settings = agent.path("certificates/127.0.0.1.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, "identifiers = [").unwrap();
    let unreadable = ["AcmeagentCertificateUnreadable critical".to_owned()];
    wait_for("the other alert", || prometheus.firing() == unreadable.clone().into());
    fs::write(&settings, text).unwrap();
    wait_for("that to be resolved", || prometheus.firing().is_empty());
}
