//! What only a booted system shows: sockets of systemd, polkit, sudo.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::agent::Ran;
use crate::support::machine::Machine;
use crate::support::network::Network;
use crate::support::wait_for;

/// A machine as the packages set it up, with a certificate that nginx serves.
struct Site {
    machine: Machine,
    _network: Network,
}

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging");

/// Another server, which nobody let the agent reload.
const OTHER: &str = "[Service]\nExecStart=/usr/bin/sleep infinity\nExecReload=/bin/true\n";

const NGINX: &str = "server {\n    listen 8443 ssl;\n    \
    ssl_certificate /var/lib/acmeagent/live/a.example/fullchain.pem;\n    \
    ssl_certificate_key /var/lib/acmeagent/live/a.example/privkey.pem;\n}\n";

/// What the package does when it is installed.
const SET_UP: &str = "systemd-sysusers; systemd-tmpfiles --create
    install -d -m 750 -o root -g acmeagent /etc/acmeagent /etc/acmeagent/hooks
    install -d -m 750 -o acmeagent -g acmeagent /etc/acmeagent/certificates
    install -d -m 711 -o acmeagent -g acmeagent /var/lib/acmeagent
    rm -f /etc/nginx/sites-enabled/default
    systemctl daemon-reload; systemctl start other";

impl Site {
    fn new() -> Option<Self> {
        let network = Network::with(&[], "127.0.0.1")?;
        let machine = Machine::boot(&network)?;
        let site = Self { machine, _network: network };
        site.put(Path::new(env!("CARGO_BIN_EXE_acmeagent")), "/usr/bin/acmeagent", 0o755);
        for unit in ["acmeagent.service", "acmeagent-loop.service"] {
            site.ship(&format!("systemd/{unit}"), &format!("/usr/lib/systemd/system/{unit}"));
            site.ship(
                "examples/sockets.conf",
                &format!("/etc/systemd/system/{unit}.d/sockets.conf"),
            );
        }
        for unit in ["acmeagent-http.socket", "acmeagent-tls.socket", "acmeagent-failure@.service"]
        {
            site.ship(&format!("systemd/{unit}"), &format!("/usr/lib/systemd/system/{unit}"));
        }
        site.ship("systemd/acmeagent.sysusers", "/usr/lib/sysusers.d/acmeagent.conf");
        site.ship("systemd/acmeagent.tmpfiles", "/usr/lib/tmpfiles.d/acmeagent.conf");
        site.write("/etc/systemd/system/other.service", OTHER);
        site.write("/etc/nginx/conf.d/a.conf", NGINX);
        // Nothing is due: what the timer runs is to renew all the same.
        let force = "[Service]\nExecStart=\nExecStart=/usr/bin/acmeagent renew --force\n";
        site.write("/etc/systemd/system/acmeagent.service.d/force.conf", force);
        let _ = site.machine.sh(SET_UP);
        Some(site)
    }

    fn write(&self, to: &str, text: &str) {
        let to = self.machine.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    }

    fn put(&self, from: &Path, to: &str, mode: u32) {
        let to = self.machine.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn ship(&self, from: &str, to: &str) {
        self.put(&Path::new(SHIPPED).join(from), to, 0o644);
    }

    /// Lets the agent reload nginx, the way polkit is told.
    fn allow_by_polkit(&self) {
        self.ship("polkit/acmeagent.rules", "/usr/share/polkit-1/rules.d/acmeagent.rules");
    }

    /// Orders as root, who steps down; the port is the one of http-01.
    fn issue(&self, name: &str, target: &str) -> Ran {
        let flags = ["--ca", "embedded", "--agree-tos", "--http-01-port", "80", "--target", target];
        self.machine.run(&[&["acmeagent", "issue", "-d", name], &flags[..]].concat())
    }

    /// SHA-256 of the certificate that nginx serves.
    fn served(&self) -> String {
        self.machine.sh("openssl s_client -connect 127.0.0.1:8443 </dev/null 2>/dev/null |
            openssl x509 -noout -fingerprint -sha256")
    }

    /// Whether the agent's user may do this.
    fn may(&self, words: &str) -> bool {
        let argv = ["runuser", "-u", "acmeagent", "--"].into_iter();
        self.machine.run(&argv.chain(words.split(' ')).collect::<Vec<_>>()).code == 0
    }
}

#[test]
fn systemd_gives_the_ports_and_polkit_the_reload() {
    let Some(site) = Site::new() else { return };
    site.allow_by_polkit();
    let _ = site.issue("a.example", "systemd:nginx.service").exits(0);
    let _ = site.machine.sh("systemctl start nginx");
    let before = site.served();
    // In the sandbox, without a capability: the port can only be the one that was handed over.
    let _ = site.machine.sh("systemctl start acmeagent.service");
    // A reload of nginx returns before its new workers are there.
    wait_for("nginx to serve another", || site.served() != before);
    let sockets = site.machine.run(&["systemctl", "is-active", "acmeagent-http.socket"]);
    assert_eq!(sockets.stdout.trim(), "inactive", "the port is open only while a run lasts");
    assert_eq!(site.machine.sh("find /var/lib/acmeagent ! -user acmeagent"), "");

    let systemctl = "systemctl --no-ask-password";
    assert!(site.may(&format!("{systemctl} reload nginx.service")));
    for forbidden in [
        "reload other.service",
        "reload-or-restart other.service",
        "start other.service",
        "stop nginx.service",
        "restart nginx.service",
        "enable nginx.service",
        "daemon-reload",
    ] {
        assert!(!site.may(&format!("{systemctl} {forbidden}")), "{forbidden}");
    }
    let other = site.issue("b.example", "systemd:other.service").exits(5);
    let hint = "hint: let this user reload other.service, by a rule in /etc/polkit-1/rules.d";
    let _ = other.says(&["authentication required", hint]);
}

#[test]
fn a_narrow_rule_of_sudo_reloads_one_server() {
    let Some(site) = Site::new() else { return };
    site.put(&Path::new(SHIPPED).join("examples/sudoers"), "/etc/sudoers.d/acmeagent", 0o440);
    let _ = site.machine.sh("visudo -cf /etc/sudoers.d/acmeagent");
    let target = "hook:sudo -n /usr/bin/systemctl reload nginx.service";
    // The server is started with the first certificate; the hook then has somebody to tell.
    let _ = site.issue("a.example", "systemd:nginx.service").exits(0);
    let _ = site.machine.sh("systemctl start nginx");
    let before = site.served();
    let _ = site.issue("a.example", target).exits(0);
    // As cron of root runs it: it steps down, and sudo is what lets it reload.
    let _ = site.machine.run(&["acmeagent", "renew", "--force"]).exits(0);
    // A reload of nginx returns before its new workers are there.
    wait_for("nginx to serve another", || site.served() != before);
    assert!(!site.may("systemctl --no-ask-password reload nginx.service"), "without polkit's rule");
    let systemctl = "sudo -n /usr/bin/systemctl";
    assert!(site.may(&format!("{systemctl} reload nginx.service")));
    for forbidden in [
        "reload other.service",
        "restart nginx.service",
        "reload nginx.service other.service",
        "--host=x reload nginx.service",
    ] {
        assert!(!site.may(&format!("{systemctl} {forbidden}")), "{forbidden}");
    }
    assert!(!site.may("sudo -n /bin/sh"));
}

#[test]
fn one_that_stays_has_the_port_of_systemd_and_answers_for_the_others() {
    let Some(site) = Site::new() else { return };
    // Ready is when it has looked at everything once; the socket is there before.
    let _ = site.machine.sh("systemctl start acmeagent-loop.service acmeagent-http.socket");
    let ready = "until [ -S /var/lib/acmeagent/state/serve.sock ]; do sleep 0.1; done";
    let _ = site.machine.sh(&format!("timeout 20 sh -c '{ready}'"));
    let _ = site.issue("a.example", "systemd:nginx.service").exits(0);
    let doctor = site.machine.run(&["acmeagent", "doctor"]);
    let _ = doctor.shows(&["http-01 can be answered here"]);
    let _ = site.machine.sh("systemctl stop acmeagent-loop.service");
    let result = site.machine.sh("systemctl show -P Result acmeagent-loop.service");
    assert_eq!(result.trim(), "success");
}
