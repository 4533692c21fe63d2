//! nginx: a good renewal, and everything that can go wrong with one.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{NAME, Site, tells_all, timed};
use crate::need;
use crate::support::nginx::TlsNginx;
use crate::support::{free_ports, script, tools};

/// An nginx that serves the certificate on IPv4, IPv6 and a second port.
pub(super) struct Trial {
    pub(super) site: Site,
    nginx: TlsNginx,
    pub(super) addresses: [String; 3],
}

impl Trial {
    /// Issued while nginx was down, which then started.
    pub(super) fn new() -> Self {
        let mut trial = Self::configured("");
        trial.nginx.start(None);
        trial.serves(1);
        trial
    }

    /// Issued, with these lines in the `[[target]]`; nginx is down.
    fn configured(target: &str) -> Self {
        let (site, [first, second]) = (Site::new(), free_ports());
        let nginx = TlsNginx::configured(&blocks(&site, [first, second]));
        site.targets(&nginx.target(target));
        let _ = site.issue(&["--target", "web"]).exits(0).says(&["nginx does not run"]);
        let addresses =
            [format!("127.0.0.1:{first}"), format!("[::1]:{first}"), format!("127.0.0.1:{second}")];
        Self { site, nginx, addresses }
    }

    #[track_caller]
    pub(super) fn serves(&self, generation: usize) {
        self.site.serves(generation, &self.addresses.each_ref().map(String::as_str));
    }

    fn ports(&self) -> [u16; 2] {
        [0, 2].map(|at| self.addresses[at].rsplit_once(':').unwrap().1.parse().unwrap())
    }

    /// Its sound configuration with more in it.
    pub(super) fn configure(&self, more: &str) {
        self.nginx.configure(&(blocks(&self.site, self.ports()) + more));
    }

    /// Asserts that what was kept is put to use at the next run by name, without another order.
    #[track_caller]
    pub(super) fn goes_on_once_mended(&self, generation: usize) {
        let issued = self.site.agent.issued();
        let _ = self.site.agent.run(&["renew", NAME]).exits(0);
        assert_eq!(self.site.agent.issued(), issued, "it was ordered already");
        self.serves(generation);
        assert_eq!(self.site.live(), generation as u64);
        assert_eq!(self.site.facts()["deploy_queue"], serde_json::json!([]));
    }
}

fn blocks(site: &Site, [first, second]: [u16; 2]) -> String {
    let certificate = site.certificate();
    format!(
        "    server {{ listen 127.0.0.1:{first} ssl; listen [::1]:{first} ssl; \
         listen 127.0.0.1:{second} ssl; server_name {NAME}; {certificate} }}\n"
    )
}

#[test]
fn nginx_serves_the_new_one_everywhere() {
    need!("nginx", "openssl");
    let trial = Trial::new();
    let master = trial.nginx.master();
    let (ran, _) = timed("a good renewal", || trial.site.agent.run(&["renew", "--force"]));
    let _ = ran.exits(0);
    trial.serves(2);
    assert_eq!((trial.nginx.master(), trial.nginx.reloads()), (master, 1));
    assert_eq!(trial.site.agent.issued(), 2);
}

#[test]
fn nginx_that_was_broken_before_keeps_what_it_serves() {
    need!("nginx", "openssl");
    let trial = Trial::new();
    let master = trial.nginx.master();
    trial.configure("    nonsense;\n");
    let ran = trial.site.agent.run(&["renew", "--force"]).exits(5);
    let _ = tells_all(ran, 1).says(&["your configuration was broken before this renewal"]);
    assert_eq!((trial.site.live(), trial.nginx.master(), trial.nginx.reloads()), (1, master, 0));
    trial.serves(1);
    trial.configure("");
    trial.goes_on_once_mended(2);
}

/// The security level of its ciphers demands more of a key than the new one has.
#[test]
fn nginx_that_refuses_only_the_new_one_gets_the_old_one_back() {
    need!("nginx", "openssl");
    let trial = Trial::new();
    let (master, ciphers) = (trial.nginx.master(), "    ssl_ciphers DEFAULT@SECLEVEL=3;\n");
    trial.configure(ciphers);
    trial.site.edit(|settings| settings.replace("p256", "rsa2048"));
    let (ran, took) = timed("refused and back", || trial.site.agent.run(&["renew"]));
    let ran = tells_all(ran.exits(6), 1);
    let _ = ran.says(&["it refuses its configuration with what is live now", "key too small"]);
    assert!(took < Duration::from_secs(20), "{took:?}");
    trial.serves(1);
    // Nothing but tests of the configuration: it is never told to read the new one.
    assert_eq!((trial.site.live(), trial.nginx.master()), (1, master));
    trial.configure("");
    trial.goes_on_once_mended(2);
}

#[test]
fn nginx_whose_master_is_stopped_is_not_switched() {
    need!("nginx", "openssl");
    let trial = Trial::new();
    trial.nginx.signal(Signal::SIGSTOP);
    let ran = trial.site.agent.run(&["renew", "--force"]).exits(5);
    let _ = tells_all(ran, 1).says(&["is stopped, and would not reload", "kill -CONT"]);
    assert_eq!((trial.site.live(), trial.nginx.reloads()), (1, 0));
    trial.serves(1);
    trial.nginx.signal(Signal::SIGCONT);
    trial.goes_on_once_mended(2);
}

/// Stopped when all was found well, and before it is told: a program in the place of nginx does it.
#[test]
fn nginx_whose_master_stops_half_way_serves_the_old_one() {
    need!("nginx", "openssl");
    let folder = tempfile::tempdir().unwrap();
    let [program, tests, pid] = ["nginx", "tests", "pid"].map(|name| folder.path().join(name));
    let real = tools::find("nginx").unwrap();
    // Its second test is when it is asked where it listens.
    script(
        &program,
        &format!(
            "case \" $* \" in *' -t '*|*' -T '*) ! [ -e {tests:?} ] || echo >>{tests:?} ;; esac\n\
             [ \"$(cat {tests:?} 2>/dev/null | wc -l)\" != 2 ] || kill -STOP \"$(cat {pid:?})\"\n\
             exec {real:?} \"$@\""
        ),
    );
    let mut trial = Trial::configured(&format!("program = {program:?}"));
    trial.nginx.start(None);
    trial.serves(1);
    std::fs::write(&pid, trial.nginx.master().to_string()).unwrap();
    std::fs::write(&tests, "").unwrap();
    let (ran, took) = timed("stopped half way", || trial.site.agent.run(&["renew", "--force"]));
    let ran = tells_all(ran.exits(6), 1).says(&["is stopped, and does not reload", "kill -CONT"]);
    let _ = ran.says(&["clients see generation 1 again"]);
    assert!(took < Duration::from_secs(30), "{took:?}");
    trial.serves(1);
    std::fs::remove_file(&tests).unwrap();
    trial.nginx.signal(Signal::SIGCONT);
    trial.goes_on_once_mended(2);
}

/// As nobody, of whose group the key was, until the settings named another one.
#[test]
fn nginx_that_could_not_read_the_new_key_is_not_switched() {
    need!("nginx", "openssl");
    if !tools::is_root() {
        return tools::cannot_run("a server of another user needs root");
    }
    const NOBODY: u32 = 65534;
    let mut trial = Trial::configured("");
    let home = trial.site.agent.home();
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o711)).unwrap();
    let table = |group: u32| format!("\n[permissions]\ngroup = \"{group}\"\n");
    trial.site.edit(|settings| settings + &table(NOBODY));
    let _ = trial.site.agent.run(&["renew", "--force"]).exits(0);
    trial.nginx.start(Some(NOBODY));
    trial.serves(2);
    trial.site.edit(|settings| settings.replace(&table(NOBODY), &table(NOBODY - 1)));
    let ran = trial.site.agent.run(&["renew", "--force"]).exits(5);
    let _ = tells_all(ran, 2).says(&["who may not read", "[permissions]", "--force"]);
    assert_eq!((trial.site.live(), trial.nginx.reloads()), (2, 0));
    trial.serves(2);
    // What is in the archive keeps its group: the hint is to order another one.
    trial.site.edit(|settings| settings.replace(&table(NOBODY - 1), &table(NOBODY)));
    let _ = trial.site.agent.run(&["renew", "--force"]).exits(0);
    trial.serves(4);
}
