//! What is stored, what is served and what the CA says, with a real nginx and a CA of our own.

use std::fs;
use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;

use nix::sys::signal::Signal;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::nginx::TlsNginx;
use crate::support::{free_ports, script, wait_for};

const NAME: &str = "a.example";

/// A certificate, and an nginx that serves it at one port and a copy of it at another.
struct Site {
    ca: Ca,
    agent: Agent,
    nginx: Option<TlsNginx>,
    ports: [u16; 2],
}

impl Site {
    /// With one generation, which no settings say where to look for.
    fn new() -> Self {
        let ca = Ca::start();
        let agent = ca.agent();
        let _ = agent.run(&["issue", "-d", NAME]).exits(0);
        let mut site = Self { ca, agent, nginx: None, ports: free_ports() };
        site.copies("copy");
        site.starts_nginx();
        site
    }

    /// Copies the files of `live` to a folder of the home.
    fn copies(&self, folder: &str) {
        let to = self.agent.path(folder);
        fs::create_dir_all(&to).unwrap();
        for file in ["fullchain.pem", "privkey.pem"] {
            let _ = fs::remove_file(to.join(file));
            fs::copy(self.agent.path(&format!("live/{NAME}/{file}")), to.join(file)).unwrap();
        }
    }

    fn starts_nginx(&mut self) {
        let server = |port: u16, folder: String| {
            let at = self.agent.path(&folder);
            let at = at.display();
            format!(
                "server {{ listen 127.0.0.1:{port} ssl; server_name {NAME}; ssl_protocols TLSv1.3; \
                 ssl_certificate {at}/fullchain.pem; ssl_certificate_key {at}/privkey.pem; }}\n"
            )
        };
        let [live, copy] = self.ports;
        let servers = server(live, format!("live/{NAME}")) + &server(copy, "copy".to_owned());
        let mut nginx = TlsNginx::configured(&servers);
        nginx.start(None);
        self.nginx = Some(nginx);
    }

    fn nginx(&self) -> &TlsNginx {
        self.nginx.as_ref().unwrap()
    }

    fn reloads(&self) {
        self.nginx().signal(Signal::SIGHUP);
    }

    fn at(&self, place: usize) -> String {
        format!("127.0.0.1:{}", self.ports[place])
    }

    /// `[[target]]`s: nginx at the first port, and a program that copies for the second.
    fn defines_targets(&self) {
        let (home, nginx) = (self.agent.home().display(), self.nginx());
        let (copies, pid) = (self.agent.path("copy.sh"), nginx.path("nginx.pid"));
        let body = format!("cp {home}/live/{NAME}/*.pem {home}/copy/\nkill -HUP $(cat {pid})");
        script(&copies, &body);
        let web = nginx.target(&format!("verify = [{:?}]", self.at(0)));
        let second = format!(
            "[[target]]\nname = \"second\"\nkind = \"hook\"\ncommand = [{:?}]\nverify = [{:?}]\n",
            copies.display().to_string(),
            self.at(1)
        );
        fs::write(self.agent.path("acmeagent.toml"), web + &second).unwrap();
    }

    /// The settings of the certificate, changed as an editor does it.
    fn edits(&self, change: impl Fn(&str) -> String) {
        let (path, aside) = (format!("certificates/{NAME}.toml"), self.agent.path("edited"));
        fs::write(&aside, change(&self.agent.read(&path))).unwrap();
        fs::rename(aside, self.agent.path(&path)).unwrap();
    }

    fn looks_at_both(&self) {
        let endpoints = format!("\n[verify]\nendpoints = [{:?}, {:?}]\n", self.at(0), self.at(1));
        self.edits(|text| format!("{text}{endpoints}"));
    }

    /// What the store remembers, as a file.
    fn state(&self) -> String {
        self.agent.read(&format!("state/{NAME}.json"))
    }

    /// Puts that back: what was learned since is not known.
    fn forgets(&self, state: &str) {
        fs::write(self.agent.path(&format!("state/{NAME}.json")), state).unwrap();
    }

    fn checks(&self, code: i32, says: &[&str]) -> Ran {
        self.agent.run(&["check", NAME]).exits(code).shows(says)
    }

    /// Each generation's fate, and why it is that.
    fn fates(&self) -> Vec<(String, String)> {
        let (ran, document) = self.agent.json(&["rollback", NAME, "--list"]);
        let _ = ran.exits(0);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let listed = document["generations"].as_array().unwrap().iter();
        listed.map(|one| (text(&one["fate"]), text(&one["why"]))).collect()
    }
}

#[test]
fn served_is_compared_with_stored() {
    need!("nginx");
    let mut site = Site::new();
    site.checks(0, &["not looked at: neither a target nor [verify]", "not revoked, says"]);
    let plain = site.agent.read(&format!("certificates/{NAME}.toml"));
    site.looks_at_both();
    let watched = site.agent.read(&format!("certificates/{NAME}.toml"));
    site.checks(0, &["OK a.example: 2 places serve generation 1"]);

    // Switched behind the server's back.
    site.edits(|_| plain.clone());
    let _ = site.agent.run(&["renew", "--force"]).exits(0);
    site.edits(|_| watched.clone());
    let says =
        format!("generation 2 is not served as it should be at 2 of 2 places: {}", site.at(0));
    site.checks(2, &[&says, "serves generation 1; ", "rollback a.example --to 2"]);

    site.reloads();
    let says =
        format!("generation 2 is not served as it should be at 1 of 2 places: {}", site.at(1));
    wait_for("nginx to reload", || site.agent.run(&["check"]).stdout.contains(&says));
    site.checks(2, &[&says]);

    let _ = site.agent.run(&["issue", "-d", "b.example"]).exits(0);
    for file in ["fullchain.pem", "privkey.pem"] {
        let copy = site.agent.path(&format!("copy/{file}"));
        fs::remove_file(&copy).unwrap();
        fs::copy(site.agent.path(&format!("live/b.example/{file}")), copy).unwrap();
    }
    site.reloads();
    let foreign = "which is none of ours (a.example is not covered, only b.example)";
    wait_for("nginx to reload", || site.agent.run(&["check"]).stdout.contains(foreign));
    let _ = site.agent.run(&["check", "b.example"]).exits(0);

    site.nginx = None;
    site.checks(2, &["2 of 2 places", "shows no certificate: cannot connect"]);
    for format in ["json", "junit", "github", "prometheus"] {
        let ran = site.agent.run(&["check", NAME, "--format", format]).exits(2);
        let _ = ran.shows(&[if format == "github" { "::error" } else { "served" }]);
    }
}

#[test]
fn a_server_that_sends_its_leaf_alone() {
    need!("nginx");
    let mut site = Site::new();
    site.looks_at_both();
    let root = site.ca.issuing_root.display().to_string();
    let _ = site.agent.run(&["check", "--ca-root", &root]).exits(0);
    let leaf = site.agent.path(&format!("live/{NAME}/cert.pem"));
    fs::copy(leaf, site.agent.path("copy/fullchain.pem")).unwrap();
    site.nginx = None;
    site.starts_nginx();
    let ran = site.agent.run(&["check", "--ca-root", &root]).exits(2);
    let says = format!("{} {NAME} is no good: no certificate of an issuer is sent", site.at(1));
    let _ = ran.shows(&["1 of 2 places", &says]);
}

#[test]
fn a_server_that_missed_the_reload_is_told_once_more() {
    need!("nginx");
    let site = Site::new();
    let _ = site.agent.run(&["renew", "--force"]).exits(0);
    site.defines_targets();
    site.edits(|text| format!("targets = [\"web\"]\n{text}"));
    site.checks(2, &["serves generation 1 (`acmeagent rollback a.example --to 2`"]);
    let _ = site.agent.run(&["rollback", NAME, "--to", "2"]).exits(0);
    let ran = site.checks(0, &["1 place serves generation 2"]);
    assert!(!ran.stdout.contains("pinned"), "{ran:?}");
}

#[test]
fn a_rollout_that_waits() {
    need!("nginx");
    let site = Site::new();
    site.defines_targets();
    let _ =
        site.agent.run(&["issue", "-d", NAME, "--target", "web", "--target", "second"]).exits(0);
    site.checks(0, &["2 places serve generation 1"]);
    let waves = "\n[[rollout.wave]]\ntargets = [\"web\"]\nsoak = \"1h\"\napprove = true\n\
                 [[rollout.wave]]\ntargets = [\"second\"]\n";
    site.edits(|text| format!("{text}{waves}"));
    let _ = site.agent.run(&["renew", "--force"]).exits(0);
    let behind = format!("{} {NAME} serves generation 1 while the rollout lasts", site.at(1));
    let step = "generation 2: step 1 of 2 (web) is watched until";
    site.checks(1, &["WARNING a.example: generation 2 is not served", &behind, step]);
    let [(first, _), (second, why)] = site.fates().try_into().unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("held", "soaking"));
    assert!(why.starts_with("step 1 of 2 (web) is watched"), "{why}");

    let frozen = "\n[rollout]\nfreeze-until = 2099-01-01T00:00:00Z\n[[rollout.wave]]";
    site.edits(|text| text.replacen("\n[[rollout.wave]]", frozen, 1));
    site.checks(1, &["frozen until 2099-01-01T00:00:00Z, but from 20"]);
}

#[test]
fn what_the_ca_revoked() {
    need!("nginx", "curl");
    let mut site = Site::new();
    let _ = site.agent.run(&["renew", "--force"]).exits(0);
    let before = site.state();
    let _ =
        site.agent.run(&["revoke", NAME, "--generation", "1", "--reason", "superseded"]).exits(0);
    assert_eq!(site.fates()[0], ("revoked".to_owned(), site.fates()[0].1.clone()));
    assert!(site.fates()[0].1.ends_with(": superseded"), "{:?}", site.fates());
    // The CA's list alone tells.
    site.forgets(&before);
    assert_eq!(site.fates()[0].0, "held");
    let ran = site.agent.run(&["rollback", NAME]).exits(11);
    let _ = ran.says(&["generation 1 was revoked at 20", "--force", "live: generation 2"]);
    let _ = site.agent.run(&["rollback", NAME, "--force"]).exits(0);
    let ran =
        site.checks(2, &["CRITICAL a.example: revoked at 20", "(superseded), says its CA's list"]);
    assert!(!ran.stdout.contains("marked bad"), "{ran:?}");
    site.ca.stop();
    site.checks(0, &["OK a.example: not known whether it is revoked: cannot fetch"]);
}

#[test]
fn a_new_certificate_that_is_revoked_goes_back() {
    need!("nginx");
    let site = Site::new();
    let _ = site.agent.run(&["renew", "--force"]).exits(0);
    let _ = site.agent.run(&["rollback", NAME]).exits(0);
    site.defines_targets();
    let _ = site.agent.run(&["issue", "-d", NAME, "--target", "web"]).exits(0);
    let before = site.state();
    let _ =
        site.agent.run(&["revoke", NAME, "--generation", "2", "--reason", "superseded"]).exits(0);
    site.forgets(&before);
    let ran = site.agent.run(&["rollback", NAME, "--unpin"]);
    assert!(ran.stderr.contains("the CA revoked generation 2 at 20"), "{ran:?}");
    assert_eq!(site.agent.facts(NAME)["bad"], serde_json::json!([2]));
    site.checks(1, &["1 place serves generation 1", "not revoked, says"]);
    let [(first, _), (second, why)] = site.fates().try_into().unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("live", "revoked"), "{why}");
}

/// A mail server that begins TLS when asked to; the rest is the server at that port.
fn begins_tls_by_smtp(to: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut lines = BufReader::new(client.try_clone().unwrap());
            client.write_all(b"220 mx.example ESMTP\r\n").unwrap();
            for answer in ["250-mx.example\r\n250 STARTTLS\r\n", "220 go ahead\r\n"] {
                lines.read_line(&mut String::new()).unwrap();
                client.write_all(answer.as_bytes()).unwrap();
            }
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).unwrap();
            let (mut back, mut client_too) = (server.try_clone().unwrap(), client);
            thread::spawn(move || {
                let _ = copy(&mut back, &mut client_too);
                let _ = client_too.shutdown(Shutdown::Both);
            });
            thread::spawn(move || copy(&mut lines, &mut server));
        }
    });
    port
}

#[test]
fn an_endpoint_by_the_way_it_begins() {
    need!("nginx");
    let site = Site::new();
    let root = site.ca.issuing_root.display().to_string();
    let mail = format!("smtp://127.0.0.1:{}", begins_tls_by_smtp(site.ports[0]));
    for (at, alpn) in [(site.at(0), ", http/1.1)"), (mail.clone(), ") in")] {
        let args = ["check", "--connect", &at, "--servername", NAME, "--ca-root", &root];
        let ran = site.agent.run(&args).exits(0);
        let _ = ran.shows(&["serves ", " over TLSv1.3 (X25519", alpn, "not revoked, says"]);
    }
    let _ = site.agent.run(&["revoke", NAME, "--reason", "superseded"]).exits(0);
    let args = ["check", "--connect", &mail, "--servername", NAME, "--ca-root", &root];
    let _ = site.agent.run(&args).exits(2).shows(&["CRITICAL smtp://", "(superseded), says"]);
    let _ = site.agent.run(&["check", "--connect", "ftp://127.0.0.1:21"]).exits(3);
}
