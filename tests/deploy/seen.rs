//! Reloads that report success, and what clients see then.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::hooked::{Hooked, block};
use super::served::{Served, served};
use super::{tells_all, timed};
use crate::need;
use crate::support::agent::Agent;
use crate::support::wait_for;

const OTHER: &str = "b.example";

#[test]
fn a_reload_that_is_only_reported_is_asked_for_once_more() {
    need!("nginx", "openssl");
    let hooked = Hooked::new("5s");
    hooked.is("");
    let (ran, took) = timed("reported only", || hooked.renew());
    let _ = tells_all(ran.exits(6), 1).says(&["it still serves the previous certificate"]);
    assert!(took < Duration::from_secs(40), "{took:?}");
    assert_eq!(hooked.ran(), "221");
    hooked.serves(1);
    assert_eq!(hooked.site.live(), 1);
    hooked.goes_on_once_mended();
}

impl Hooked {
    /// Lets the hook put this in the place of nginx's configuration with the second generation.
    fn brings(&self, servers: &str) {
        let conf = self.nginx.path("nginx.conf");
        let [old, new] = ["old", "new"].map(|name| self.nginx.path(name));
        fs::copy(&conf, &old).unwrap();
        self.nginx.configure(servers);
        fs::rename(&conf, &new).unwrap();
        fs::copy(&old, &conf).unwrap();
        let master = self.nginx.master();
        self.is(&format!(
            "case $ACMEAGENT_GENERATION in 2) cp {new:?} {conf:?} ;; *) cp {old:?} {conf:?} ;; esac\n\
             kill -HUP {master}"
        ));
    }
}

#[test]
fn a_chain_that_becomes_short_is_taken_back() {
    need!("nginx", "openssl");
    let hooked = Hooked::new("5s");
    hooked.brings(&block(&hooked.site, &hooked.address).replace("fullchain.pem", "cert.pem"));
    let (ran, _) = timed("a short chain", || hooked.renew());
    let _ = tells_all(ran.exits(6), 1).says(&["no certificate of an issuer is sent along"]);
    hooked.serves(1);
    hooked.goes_on_once_mended();
}

#[test]
fn a_chain_that_was_short_before_is_told_of() {
    need!("nginx", "openssl");
    let hooked = Hooked::new("5s");
    let short = block(&hooked.site, &hooked.address).replace("fullchain.pem", "cert.pem");
    let alone = |generation| Some(Served { generation: Some(generation), certificates: 1 });
    hooked.reconfigured(&short);
    wait_for("the short chain", || hooked.site.served(&hooked.address) == alone(1));
    let ran = hooked.renew().exits(0);
    let _ = ran.says(&["as before: no certificate of an issuer is sent along"]);
    assert_eq!(hooked.site.served(&hooked.address), alone(2));
}

/// What somebody else's server shows for one of the names is told of, and is no reason to go back.
#[test]
fn another_server_for_one_of_the_names_is_told_of() {
    need!("nginx", "openssl");
    let hooked = Hooked::certifying(&["-d", OTHER], "5s");
    let (others, block_of_other) = stranger(&hooked.address);
    let theirs = || served(&others, OTHER, &hooked.address, OTHER).and_then(|one| one.generation);
    hooked.reconfigured(&(block(&hooked.site, &hooked.address) + &block_of_other));
    wait_for("the other server", || theirs() == Some(1));
    let ran = hooked.renew().exits(0);
    let _ = ran.says(&[&format!("{} {OTHER}: it serves ", hooked.address), ", as before"]);
    hooked.serves(2);
    assert_eq!(theirs(), Some(1));
}

#[test]
fn another_server_that_comes_with_the_new_one_is_taken_back() {
    need!("nginx", "openssl");
    let hooked = Hooked::certifying(&["-d", OTHER], "5s");
    let (others, block_of_other) = stranger(&hooked.address);
    hooked.brings(&(block(&hooked.site, &hooked.address) + &block_of_other));
    let (ran, _) = timed("somebody else's certificate", || hooked.renew());
    let told = format!("{} {OTHER}: it serves ", hooked.address);
    let _ = tells_all(ran.exits(6), 1).says(&[&told, "neither the new nor the previous one"]);
    hooked.serves(1);
    assert_eq!(served(&others, OTHER, &hooked.address, OTHER).unwrap().generation, None);
    hooked.goes_on_once_mended();
}

impl Hooked {
    /// Lets nginx go on with these servers.
    fn reconfigured(&self, servers: &str) {
        self.nginx.configure(servers);
        self.nginx.signal(Signal::SIGHUP);
    }
}

/// A server for one of the names that serves somebody else's certificate.
fn stranger(address: &str) -> (Agent, String) {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", OTHER]).exits(0);
    let live = agent.path("live").join(OTHER);
    let live = live.display();
    let block = format!(
        "    server {{ listen {address} ssl; server_name {OTHER}; ssl_certificate {live}/fullchain.pem; \
         ssl_certificate_key {live}/privkey.pem; }}\n"
    );
    (agent, block)
}
