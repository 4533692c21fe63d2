//! Every challenge on the host, and what ends an issue before or during its order.

use std::fs;
use std::net::{Ipv6Addr, TcpListener};
use std::path::Path;

use crate::need;
use crate::support::agent::Agent;
use crate::support::free_ports;
use crate::support::nginx::Nginx;
use crate::support::pebble::{Pebble, Settings};
use crate::support::tools::openssl;

#[test]
fn two_names_by_http_01_standalone() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let (ran, document) = agent.json(&["issue", "-d", "a.example,b.example"]);
    let ran = ran.exits(0);
    let certificate = &document["certificates"][0];
    assert_eq!(certificate["generation"], 1, "{ran:?}");
    assert_eq!(certificate["identifiers"].as_array().unwrap().len(), 2);
    assert_eq!(certificate["next_renewal"]["source"], "ari");
    agent.assert_live_pair("a.example");
}

#[test]
fn two_names_by_a_webroot_that_nginx_serves() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl", "nginx");
    let pebble = Pebble::start(&Settings::default());
    let nginx = Nginx::serving_files(pebble.http_port);
    fs::write(nginx.webroot.join("index.html"), "the operator's own").unwrap();
    let agent = pebble.agent();
    let webroot = nginx.webroot.to_str().unwrap();
    agent.run(&["issue", "-d", "a.example,b.example", "-w", webroot]).exits(0);
    agent.assert_live_pair("a.example");
    assert_eq!(names_in(&nginx.webroot), ["index.html"], "the webroot is left as it was found");
    let again = agent.json(&["renew", "--force"]);
    assert_eq!(again.1["certificates"][0]["generation"], 2, "{:?}", again.0);
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    entries.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn two_names_by_tls_alpn_01() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    agent.run(&["issue", "-d", "a.example,b.example", "--challenge", "tls-alpn-01"]).exits(0);
    agent.assert_live_pair("a.example");
    let log = pebble.log();
    assert!(!log.contains("Attempting to validate w/ HTTP"), "http-01 was not asked for");
}

#[test]
fn addresses_imply_the_short_lived_profile() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    assert!(TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok(), "this machine has no ::1");
    for challenge in ["http-01", "tls-alpn-01"] {
        let pebble = Pebble::start(&Settings::default());
        let agent = pebble.agent();
        let args = ["issue", "-d", "127.0.0.1,::1", "--challenge", challenge];
        let (ran, document) = agent.json(&args);
        ran.exits(0);
        let certificate = &document["certificates"][0];
        assert_eq!(certificate["profile"], "shortlived");
        agent.assert_live_pair("127.0.0.1");
        let leaf = agent.path("live/127.0.0.1/cert.pem");
        let names = openssl(&["x509", "-noout", "-ext", "subjectAltName", "-in"], &leaf);
        for name in ["IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"] {
            assert!(names.contains(name), "{names}");
        }
        let hours = |key: &str| {
            let at = certificate[key].as_str().unwrap();
            chrono::DateTime::parse_from_rfc3339(at).unwrap().timestamp() / 3600
        };
        assert!((159..=160).contains(&(hours("not_after") - hours("not_before"))));
    }
}

#[test]
fn a_wildcard_is_refused_before_any_order() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    for challenge in ["http-01", "tls-alpn-01"] {
        let agent = pebble.agent();
        let ran = agent.run(&["issue", "-d", "*.a.example", "--challenge", challenge]);
        ran.exits(2).says(&["*.a.example", challenge]);
        assert_eq!(names_in(agent.home()), [""; 0], "something was left behind");
    }
    assert_eq!((pebble.accounts(), pebble.orders()), (0, 0), "{}", pebble.log());
}

#[test]
fn refused_nonces_are_no_obstacle() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    for (per_cent, issues) in [(5, 4), (50, 4)] {
        let pebble = Pebble::start(&Settings { nonce_reject: per_cent, ..Settings::default() });
        let agent = pebble.agent();
        for number in 1..=issues {
            agent.run(&["issue", "-d", &format!("n{number}.example")]).exits(0);
        }
        agent.run(&["renew", "--force"]).exits(0);
        assert_eq!(pebble.orders(), 2 * issues, "each order was opened once");
        assert_eq!(pebble.accounts(), 1);
    }
}

#[test]
fn an_unreachable_ca_is_asked_again_later_and_live_stays() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let mut pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    let before = agent.read("live/a.example/fullchain.pem");
    pebble.stop();
    let (ran, document) = agent.json(&["renew", "--force"]);
    let ran = ran.exits(3);
    let error = &document["certificates"][0]["error"];
    assert_eq!(error["kind"], "RETRY", "{ran:?}");
    assert!(error["message"].as_str().unwrap().contains(&pebble.directory), "{ran:?}");
    assert!(error["retry_at"].is_string(), "{ran:?}");
    let told = agent.run(&["renew", "--force"]).exits(3);
    told.says(&[&pebble.directory, "live: generation 1", "next: `acmeagent renew` tries again"]);
    assert_eq!(agent.read("live/a.example/fullchain.pem"), before);
    agent.assert_live_pair("a.example");
    agent.run(&["renew"]).exits(0);
    assert_eq!(agent.read("live/a.example/fullchain.pem"), before);
}

#[test]
fn a_ca_with_an_unknown_root_is_named_as_that() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let [port] = free_ports();
    let port = port.to_string();
    let args = ["issue", "-d", "a.example", "--agree-tos", "--http-01-port", &port];
    let ran = Agent::new().run(&[&args[..], &["--server", &pebble.directory]].concat());
    let ran = ran.exits(3).says(&[&pebble.directory, "UnknownIssuer", "--ca-root"]);
    assert!(!ran.stderr.contains("panic"), "{ran:?}");
    assert_eq!((pebble.accounts(), pebble.orders()), (0, 0));
}

#[test]
fn a_rehearsal_keeps_nothing() {
    need!("pebble", "pebble-challtestsrv", "openssl", "curl");
    let pebble = Pebble::start(&Settings::default());
    let agent = pebble.agent();
    let told = agent.path("told");
    let hook = format!("touch {}", told.display());
    agent.run(&["issue", "-d", "a.example", "--dry-run", "--deploy-hook", &hook]).exits(0);
    assert_eq!(pebble.orders(), 1, "the rehearsal is a real order");
    assert_eq!(names_in(agent.home()), [""; 0], "something was kept");
}
