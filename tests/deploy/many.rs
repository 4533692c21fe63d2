//! Many certificates in one nginx.

use std::fmt::Write;

use super::served::{Served, served};
use super::timed;
use crate::need;
use crate::support::agent::Agent;
use crate::support::free_ports;
use crate::support::nginx::TlsNginx;

#[test]
fn twenty_certificates_in_one_nginx_are_renewed_at_once() {
    need!("nginx", "openssl");
    let (agent, [port]) = (Agent::embedded(), free_ports());
    let names: Vec<String> = (1..=20).map(|number| format!("n{number}.example")).collect();
    let mut blocks = String::new();
    for name in &names {
        let _ = agent.run(&["issue", "-d", name]).exits(0);
        let live = agent.path("live").join(name);
        let live = live.display();
        writeln!(
            blocks,
            "    server {{ listen 127.0.0.1:{port} ssl; server_name {name}; \
             ssl_certificate {live}/fullchain.pem; ssl_certificate_key {live}/privkey.pem; }}"
        )
        .unwrap();
    }
    let mut nginx = TlsNginx::configured(&blocks);
    nginx.start(None);
    std::fs::write(agent.path("acmeagent.toml"), nginx.target("")).unwrap();
    for name in &names {
        let _ = agent.run(&["issue", "-d", name, "--target", "web"]).exits(0);
    }
    let before = nginx.reloads();
    let (ran, _) = timed("twenty at once", || agent.run(&["renew", "--force", "--jobs", "16"]));
    let _ = ran.exits(0);
    let address = format!("127.0.0.1:{port}");
    for name in &names {
        let expected = Some(Served { generation: Some(2), certificates: 2 });
        assert_eq!(served(&agent, name, &address, name), expected, "{name}");
        assert!(agent.facts(name)["rollbacks"].as_array().is_none_or(Vec::is_empty), "{name}");
    }
    assert_eq!(agent.issued(), names.len() * 2);
    println!("reloads for {} certificates: {}", names.len(), nginx.reloads() - before);
}
