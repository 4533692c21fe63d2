//! The packages: what is in them, how tight the units are, and an installation's whole life.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::need;
use crate::support::Running;
use crate::support::agent::Ran;
use crate::support::machine::Machine;
use crate::support::network::Network;
use crate::support::package::Package;
use crate::support::pebble::{Pebble, Settings, dns_in};

const NAME: &str = "www.example.org";

/// What `systemd-analyze security` may count at most, in tenths: certbot's unit has 94, Caddy's 90.
const EXPOSURE: [(&str, &[&str], u32); 12] = [
    ("acmeagent.service", &[], 15),
    ("acmeagent.service", &["examples/sockets.conf"], 15),
    ("acmeagent.service", &["examples/no-port.conf"], 15),
    ("acmeagent.service", &["examples/credentials.conf"], 15),
    ("acmeagent.service", &["examples/textfile.conf"], 15),
    ("acmeagent.service", &["examples/run-as-root.conf"], 30),
    ("acmeagent-loop.service", &[], 15),
    ("acmeagent-failure@.service", &[], 15),
    ("acmeagent-deploy@.service", &[], 30),
    ("acmeagent-deploy@haproxy.service", &["systemd/acmeagent-deploy@haproxy.service.d"], 30),
    ("acmeagent-deploy@nginx.service", &["systemd/acmeagent-deploy@nginx.service.d"], 30),
    ("acmeagent-deploy@postfix.service", &["systemd/acmeagent-deploy@postfix.service.d"], 30),
];

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

/// A folder laid out like a root, with our units and these drop-ins for one of them.
fn root_with(unit: &str, dropins: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("usr/lib/systemd/system");
    let own = units.join(format!("{unit}.d"));
    fs::create_dir_all(&own).unwrap();
    for entry in fs::read_dir(packaging().join("systemd")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, units.join(path.file_name().unwrap())).unwrap();
        }
    }
    for dropin in dropins {
        let path = packaging().join(dropin);
        let files: Vec<PathBuf> = match path.is_dir() {
            true => fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect(),
            false => vec![path],
        };
        for file in files {
            fs::copy(&file, own.join(file.file_name().unwrap())).unwrap();
        }
    }
    root
}

#[test]
fn the_units_are_closed() {
    need!("systemd-analyze");
    for (unit, dropins, limit) in EXPOSURE {
        let root = root_with(unit, dropins);
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--offline=true", "--no-pager"]);
        analyze.arg(format!("--threshold={limit}"));
        analyze.arg(format!("--root={}", root.path().display())).arg(unit);
        let ran = Ran::of(analyze.output().unwrap());
        let verdict = ran.stdout.lines().last().unwrap_or_default().to_owned();
        println!("{dropins:?} {verdict}");
        assert_eq!(
            ran.code, 0,
            "{unit} with {dropins:?} is above {limit}: {verdict}{}",
            ran.stderr
        );
        assert!(verdict.contains("exposure level"), "{unit}: {ran:?}");
    }
}

#[test]
fn the_deb_is_well_made() {
    need!("cargo-deb", "lintian", "dpkg-deb");
    let deb = Package::deb();
    let mut lintian = Command::new("lintian");
    lintian.args(["--fail-on", "error", "--allow-root"]).arg(&deb.file);
    let _ = Ran::of(lintian.output().unwrap()).exits(0);
    let contents = Command::new("dpkg-deb").arg("--contents").arg(&deb.file).output().unwrap();
    for file in FILES {
        let _ = Ran::of(contents.clone()).exits(0).shows(&[&format!(" .{file}")]);
    }
}

#[test]
fn the_rpm_is_well_made() {
    need!("cargo-generate-rpm", "rpm");
    let rpm = Package::rpm();
    let listed = Command::new("rpm").args(["-qpl"]).arg(&rpm.file).output().unwrap();
    for file in FILES {
        let file = file.replace("vendor-completions", "site-functions");
        let _ = Ran::of(listed.clone()).exits(0).shows(&[&file]);
    }
    let root = tempfile::tempdir().unwrap();
    let mut install = Command::new("rpm");
    install.arg("--root").arg(root.path()).args(["-i", "--nodeps", "--noscripts"]).arg(&rpm.file);
    let _ = Ran::of(install.output().unwrap()).exits(0);
    let program = root.path().join("usr/bin/acmeagent");
    let said = Command::new(program).arg("--version").output().unwrap();
    let _ = Ran::of(said).exits(0).shows(&["acmeagent 0."]);
}

/// Not a machine of that kind, but one that runs the same scripts.
#[test]
fn the_rpm_starts_renewals_and_leaves_its_store() {
    need!("cargo-generate-rpm", "ip", "unshare", "nsenter");
    let Some(network) = Network::with(&[], "127.0.0.1") else { return };
    let Some(machine) = Machine::boot(&network) else { return };
    for package in [Package::rpm(), Package::newer_rpm()] {
        package.copy_to(&machine.path("/root"));
    }
    let rpm = |words: &[&str]| machine.run(&[&["rpm", "--nodeps"], words].concat()).exits(0);
    let states = || {
        let asked = machine.run(&["systemctl", "is-active", "acmeagent.timer", "acmeagent-loop"]);
        asked.stdout.replace('\n', " ")
    };
    let _ = rpm(&["-i", "/root/acmeagent.rpm"]);
    assert_eq!(states(), "active inactive ");
    let _ = machine.run(&["systemctl", "is-enabled", "acmeagent.timer"]).exits(0);
    let owners = machine.sh("stat -c '%n %U:%G %a' /etc/acmeagent /var/lib/acmeagent");
    assert_eq!(
        owners,
        "/etc/acmeagent root:acmeagent 750\n/var/lib/acmeagent acmeagent:acmeagent 711\n"
    );
    machine.sh("systemctl start acmeagent-loop");
    let _ = rpm(&["-U", "/root/newer.rpm"]);
    assert_eq!(states(), "inactive active ");
    assert_eq!(machine.sh("rpm -q acmeagent").trim(), "acmeagent-99.0.0-1.x86_64");
    machine.sh("acmeagent --home /var/lib/acmeagent issue -d a.example --ca embedded");
    let erased = rpm(&["-e", "acmeagent"]);
    let _ = erased.shows(&["/var/lib/acmeagent is kept", "rm -r /var/lib/acmeagent"]);
    assert_eq!(states(), "inactive inactive ");
    machine.sh("test -s /var/lib/acmeagent/live/a.example/privkey.pem");
    assert!(!machine.path("/usr/bin/acmeagent").exists());
}

/// Some of each kind of what a package brings.
const FILES: [&str; 19] = [
    "/usr/bin/acmeagent",
    "/usr/lib/systemd/system/acmeagent.service",
    "/usr/lib/systemd/system/acmeagent.timer",
    "/usr/lib/systemd/system/acmeagent-http.socket",
    "/usr/lib/systemd/system/acmeagent-deploy@nginx.service.d/nginx.conf",
    "/usr/lib/sysusers.d/acmeagent.conf",
    "/usr/lib/tmpfiles.d/acmeagent.conf",
    "/usr/share/polkit-1/rules.d/acmeagent.rules",
    "/usr/share/acmeagent/hooks/deploy/postfix",
    "/usr/share/acmeagent/hooks/dns/nsupdate",
    "/usr/share/acmeagent/prometheus/acmeagent.rules.yml",
    "/usr/share/acmeagent/grafana/acmeagent.json",
    "/usr/share/bash-completion/completions/acmeagent",
    "/usr/share/zsh/vendor-completions/_acmeagent",
    "/usr/share/fish/vendor_completions.d/acmeagent.fish",
    "/usr/share/man/man1/acmeagent.1",
    "/usr/share/man/man5/acmeagent.toml.5",
    "/usr/share/doc/acmeagent/README.md",
    "/usr/share/doc/acmeagent/examples/sockets.conf",
];

/// A machine with the package installed, and a CA that issues certificates of a minute.
struct Site {
    machine: Machine,
    pebble: Pebble,
    _dns: Running,
    _network: Network,
}

impl Site {
    fn new() -> Option<Self> {
        let network = Network::with(&[], "127.0.0.1")?;
        let machine = Machine::boot(&network)?;
        let dns = dns_in(&network);
        let settings = Settings { ports: Some([80, 443]), minute: true, ..Settings::default() };
        let pebble = Pebble::start_in(&network, "127.0.0.1", &settings);
        Package::deb().copy_to(&machine.path("/root"));
        fs::copy(&pebble.tls_root, machine.path("/etc/ca.pem")).unwrap();
        let _ = machine.run(&["dpkg", "-i", "/root/acmeagent.deb"]).exits(0);
        Some(Self { machine, pebble, _dns: dns, _network: network })
    }

    fn issue(&self, more: &[&str]) {
        let mut argv = vec!["acmeagent", "issue", "-d", NAME, "--server", &self.pebble.directory];
        argv.extend(["--ca-root", "/etc/ca.pem", "--agree-tos", "--required-profile", "minute"]);
        let _ = self.machine.run(&[&argv, more].concat()).exits(0);
    }

    /// Adds a drop-in of the operator's to a unit.
    fn drop_in(&self, unit: &str, name: &str, text: &str) {
        let folder = self.machine.path(&format!("/etc/systemd/system/{unit}.d"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), text).unwrap();
        let _ = self.machine.run(&["systemctl", "daemon-reload"]).exits(0);
    }

    /// Lets the timer tick every three seconds.
    fn tick(&self) {
        let often = "[Timer]\nOnCalendar=\nOnCalendar=*:*:00/3\nRandomizedDelaySec=0\n";
        self.drop_in("acmeagent.timer", "often.conf", often);
        let _ = self.machine.run(&["systemctl", "restart", "acmeagent.timer"]).exits(0);
    }

    /// The certificate that clients see, if they see any.
    fn served(&self) -> Option<String> {
        let words = "openssl s_client -connect 127.0.0.1:443 -servername www.example.org \
                     </dev/null 2>/dev/null | openssl x509 -noout -serial";
        let ran = self.machine.run(&["sh", "-c", words]);
        (ran.code == 0).then_some(ran.stdout)
    }

    /// Waits until clients see another certificate than that one.
    #[track_caller]
    fn wait_for_another(&self, what: &str, than: &Option<String>) {
        assert!(than.is_some());
        self.wait_long(what, || self.served().is_some_and(|now| than.as_ref() != Some(&now)));
    }

    /// Waits as long as a certificate of a minute may take to be renewed.
    #[track_caller]
    fn wait_long(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            let journal = || self.machine.sh("journalctl --no-pager -n 60");
            let limit = Duration::from_secs(120);
            assert!(began.elapsed() < limit, "waited in vain for {what}: {}", journal());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn an_installation_renews_itself_and_leaves_its_store() {
    need!("pebble", "pebble-challtestsrv", "cargo-deb", "ip", "unshare", "nsenter", "curl");
    let Some(site) = Site::new() else { return };
    what_is_installed(&site.machine);
    it_is_served_by_nginx(&site);
    let first = site.served();
    site.tick();
    site.wait_for_another("the timer to renew", &first);
    it_told_the_journal(&site);
    it_renews_without_capabilities(&site);
    root_deploys_for_it(&site.machine);
    it_stays_resident(&site.machine);
    it_is_upgraded(&site.machine);
    a_failure_is_reported(&site);
    it_leaves_its_store(&site);
}

fn what_is_installed(machine: &Machine) {
    let timers = machine.run(&["systemctl", "list-timers", "acmeagent.timer", "--no-pager"]);
    let _ = timers.exits(0).shows(&["acmeagent.timer", "acmeagent.service", "1 timers listed"]);
    let _ = machine.run(&["systemctl", "is-enabled", "acmeagent.timer"]).exits(0);
    let _ = machine.run(&["getent", "passwd", "acmeagent"]).exits(0).shows(&["nologin"]);
    let modes = machine.sh(
        "stat -c '%n %U:%G %a' /etc/acmeagent /etc/acmeagent/certificates /etc/acmeagent/hooks \
         /var/lib/acmeagent /run/acmeagent /run/acmeagent/webroot",
    );
    assert_eq!(
        modes,
        "/etc/acmeagent root:acmeagent 750\n\
         /etc/acmeagent/certificates acmeagent:acmeagent 750\n\
         /etc/acmeagent/hooks root:acmeagent 750\n\
         /var/lib/acmeagent acmeagent:acmeagent 711\n\
         /run/acmeagent acmeagent:acmeagent 755\n\
         /run/acmeagent/webroot acmeagent:acmeagent 755\n"
    );
    let said = machine.sh(
        "cd /usr/lib/systemd/system; systemd-analyze verify --man=no acmeagent.service \
         acmeagent.timer acmeagent-loop.service acmeagent-failure@x.service acmeagent-http.socket \
         acmeagent-tls.socket acmeagent-deploy@nginx.service acmeagent-deploy@haproxy.service \
         acmeagent-deploy@postfix.service 2>&1",
    );
    assert_eq!(said, "", "systemd-analyze verify");
}

/// Answers http-01 by nginx, as the example has it, and lets nginx serve what is issued.
fn it_is_served_by_nginx(site: &Site) {
    let machine = &site.machine;
    let port_80 = "server { listen 80; include /usr/share/doc/acmeagent/examples/nginx.conf; }\n";
    let port_443 = format!(
        "server {{ listen 443 ssl;\n ssl_certificate /var/lib/acmeagent/live/{NAME}/fullchain.pem;\n \
         ssl_certificate_key /var/lib/acmeagent/live/{NAME}/privkey.pem; }}\n"
    );
    machine.sh("rm /etc/nginx/sites-enabled/default");
    fs::write(machine.path("/etc/nginx/conf.d/80.conf"), port_80).unwrap();
    machine.sh("systemctl start nginx.service");
    let how = ["--webroot", "/run/acmeagent/webroot", "--target", "systemd:nginx.service"];
    site.issue(&how);
    let owners =
        machine.sh("find /var/lib/acmeagent /etc/acmeagent/certificates ! -user acmeagent");
    assert_eq!(owners, "", "what root issued is the agent's");
    fs::write(machine.path("/etc/nginx/conf.d/443.conf"), port_443).unwrap();
    machine.sh("systemctl reload nginx.service");
    site.wait_long("nginx to serve", || site.served().is_some());
    site.issue(&[&how[..], &["--verify", "127.0.0.1:443"]].concat());
}

fn it_told_the_journal(site: &Site) {
    let told = || {
        let journal = site.machine.journal("acmeagent.service");
        let lines = journal.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &Value| line["ACMEAGENT_CERTIFICATE"] == NAME).collect::<Vec<_>>()
    };
    let is = |line: &Value, event: &str| line["ACMEAGENT_EVENT"] == event;
    site.wait_long("the end of the run in the journal", || {
        told().iter().any(|line| is(line, "phase_ended") && line["ACMEAGENT_PHASE"] == "verify")
    });
    let told = told();
    let switched = told.iter().find(|line| is(line, "switched")).unwrap();
    let generation: u32 = switched["ACMEAGENT_GENERATION"].as_str().unwrap().parse().unwrap();
    assert!(generation > 1, "{switched}");
    assert_eq!(switched["SYSLOG_IDENTIFIER"], "acmeagent");
    assert!(
        told.iter().filter(|l| is(l, "phase_ended")).all(|l| l["ACMEAGENT_ELAPSED_MS"].is_string())
    );
    let failed = site.machine.sh("systemctl list-units --failed --no-legend --plain");
    assert_eq!(failed, "");
}

/// The sockets are opened by systemd for the run, and closed after it.
fn it_renews_without_capabilities(site: &Site) {
    let machine = &site.machine;
    machine
        .sh("systemctl stop acmeagent.timer; rm /etc/nginx/conf.d/80.conf; systemctl reload nginx");
    let sockets = fs::read_to_string(packaging().join("examples/sockets.conf")).unwrap();
    let sockets = sockets.replace(" acmeagent-tls.socket", "");
    site.drop_in("acmeagent.service", "sockets.conf", &sockets);
    site.issue(&["--standalone", "--target", "systemd:nginx.service", "--verify", "127.0.0.1:443"]);
    let before = site.served();
    machine.sh("systemctl start acmeagent.timer");
    site.wait_for_another("a renewal by the handed-over socket", &before);
    machine.sh("systemctl stop acmeagent.timer acmeagent.service");
    site.wait_long("the socket to be closed", || {
        !machine
            .run(&["systemctl", "is-active", "acmeagent-http.socket"])
            .stdout
            .starts_with("active")
    });
    let held = machine.run(&["systemctl", "show", "-P", "CapabilityBoundingSet", "acmeagent"]);
    assert_eq!(held.stdout.trim(), "");
}

/// Hooks run as root, each with no more than it needs; the agent may start these units and no other.
fn root_deploys_for_it(machine: &Machine) {
    machine.sh("systemctl start haproxy.service postfix.service");
    let as_agent = ["setpriv", "--reuid=acmeagent", "--regid=acmeagent", "--clear-groups"];
    let systemctl = |words: &[&str]| {
        machine.run(&[&as_agent[..], &["systemctl", "--no-ask-password"], words].concat())
    };
    for server in ["haproxy", "nginx", "postfix"] {
        let unit = format!("acmeagent-deploy@{server}.service");
        let ran = systemctl(&["start", &unit]);
        assert_eq!(ran.code, 0, "{ran:?} {}", machine.sh("journalctl --no-pager -n 30"));
    }
    // Its short-lived programs are not always known to the journal as this unit's.
    machine.sh("journalctl --no-pager | grep -q 'refreshing the Postfix mail system'");
    let _ = systemctl(&["reload-or-restart", "nginx.service"]).exits(0);
    let refused = [
        ["restart", "nginx.service"],
        ["stop", "nginx.service"],
        ["reload", "systemd-journald.service"],
        ["stop", "acmeagent-deploy@nginx.service"],
        ["start", "postfix.service"],
    ];
    for words in refused {
        let ran = systemctl(&words);
        assert!(ran.code != 0 && ran.stderr.contains("authentication required"), "{ran:?}");
    }
}

/// The service that stays says when it is ready, takes a reload, and never runs beside the timer.
fn it_stays_resident(machine: &Machine) {
    machine.sh("systemctl start acmeagent.timer; systemctl start acmeagent-loop.service");
    machine.sh("systemctl reload acmeagent-loop.service");
    let states = machine.run(&["systemctl", "is-active", "acmeagent-loop", "acmeagent.timer"]);
    assert_eq!(states.stdout, "active\ninactive\n");
    machine.sh("systemctl stop acmeagent-loop.service");
    let result = machine.run(&["systemctl", "show", "-P", "Result", "acmeagent-loop"]);
    assert_eq!(result.stdout, "success\n");
}

/// Which of the two ways it runs is the operator's choice, and no upgrade's.
fn it_is_upgraded(machine: &Machine) {
    Package::newer_deb().copy_to(&machine.path("/root"));
    let states = || {
        let asked = machine.run(&["systemctl", "is-active", "acmeagent.timer", "acmeagent-loop"]);
        asked.stdout.replace('\n', " ")
    };
    let upgrade = || {
        let _ = machine.run(&["dpkg", "-i", "/root/newer.deb"]).exits(0);
        states()
    };
    let resident = || machine.sh("systemctl show -P MainPID acmeagent-loop");
    machine.sh("systemctl start acmeagent.timer");
    assert_eq!(upgrade(), "active inactive ");
    machine.sh("systemctl stop acmeagent.timer; systemctl start acmeagent-loop");
    let before = resident();
    assert_eq!(upgrade(), "inactive active ", "resident for now");
    assert_ne!(resident(), before, "it is the new program that stays");
    machine.sh("systemctl disable --now acmeagent.timer; systemctl enable acmeagent-loop");
    assert_eq!(upgrade(), "inactive active ", "resident for good");
    machine.sh("systemctl disable --now acmeagent-loop");
    assert_eq!(upgrade(), "inactive inactive ", "switched off");
    let version = machine.sh("dpkg-query --show acmeagent");
    assert_eq!(version, "acmeagent\t99.0.0-1\n");
    machine.sh("systemctl enable --now acmeagent.timer");
}

fn a_failure_is_reported(site: &Site) {
    let machine = &site.machine;
    fs::write(machine.path("/etc/acmeagent/acmeagent.toml"), "nonsense = 1\n").unwrap();
    let failed = machine.run(&["systemctl", "start", "acmeagent.service"]);
    assert_ne!(failed.code, 0);
    let reporter = "acmeagent-failure@acmeagent.service.service";
    site.wait_long("the failure to be reported", || machine.journal(reporter).contains("nonsense"));
    machine.sh("rm /etc/acmeagent/acmeagent.toml; systemctl reset-failed");
}

fn it_leaves_its_store(site: &Site) {
    let machine = &site.machine;
    let _ = machine.run(&["dpkg", "--remove", "acmeagent"]).exits(0);
    let timer = machine.run(&["systemctl", "is-active", "acmeagent.timer"]);
    assert_ne!(timer.stdout.trim(), "active");
    let purged = machine.run(&["dpkg", "--purge", "acmeagent"]).exits(0);
    let _ = purged.shows(&["/var/lib/acmeagent is kept", "rm -r /var/lib/acmeagent"]);
    machine.sh("test -s /var/lib/acmeagent/live/www.example.org/privkey.pem");
    machine.sh("test -s /etc/acmeagent/certificates/www.example.org.toml; nginx -t");
    assert!(!machine.path("/usr/bin/acmeagent").exists());
}
