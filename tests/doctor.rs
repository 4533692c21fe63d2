//! `doctor`: each cause is made for real, and named before a CA is asked for anything.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::need;
use crate::support::agent::{Agent, Ran, within};
use crate::support::ca::Ca;
use crate::support::mount::Mount;
use crate::support::{Running, free_ports, script, tools, wait_for};

/// The lines of a run with this severity.
fn lines<'r>(ran: &'r Ran, severity: &str) -> Vec<&'r str> {
    ran.stdout.lines().filter(|line| line.starts_with(severity)).collect()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn issued() -> Agent {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    agent
}

#[test]
fn a_healthy_certificate() {
    let agent = issued();
    let ran = agent.run(&["doctor", "a.example"]);
    assert_eq!(lines(&ran, "CRITICAL"), Vec::<&str>::new(), "{ran:#?}");
    let ran = ran.shows(&[
        "OK host: embedded knows our account",
        "OK a.example: http-01 can be answered here",
        "OK a.example: the live files are those of the archive",
        "OK host: nobody else can change the store",
    ]);
    assert!(ran.code < 2, "{ran:#?}");
    let _ = agent.run(&["doctor", "b.example"]).exits(3).says(&["a.example"]);
    let ran = Agent::new().run(&["doctor"]);
    assert!(ran.code < 2, "a host without certificates is no patient: {ran:#?}");
}

#[test]
fn accounts_that_are_open_to_others() {
    let agent = issued();
    let file = agent.path("accounts/embedded/default.json");
    set_mode(&file, 0o644);
    let says = ["CRITICAL host:", "default.json is a secret open to others", "chmod 0600"];
    let _ = agent.run(&["doctor"]).exits(2).shows(&says);
    // What `renew` is about to meet is told before, and only where something is ordered.
    let _ = agent.run(&["renew", "--force"]).exits(11).says(&says);
    let idle = agent.run(&["renew", "--quiet"]);
    assert_eq!(idle.stderr, "", "{idle:?}");
    let ran = agent.run(&["doctor", "--fix"]).shows(&["is ours alone again", "rotate-key"]);
    assert_eq!(lines(&ran, "CRITICAL"), Vec::<&str>::new(), "{ran:#?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let ran = agent.run(&["renew", "--force"]).exits(0);
    assert!(!ran.stderr.contains("CRITICAL"), "{ran:?}");
    if !tools::is_root() {
        return tools::cannot_run("giving a file to somebody else needs root");
    }
    let nobody = Some(65534);
    std::os::unix::fs::chown(&file, nobody, nobody).unwrap();
    let _ = agent.run(&["doctor"]).exits(2).shows(&["default.json belongs to user 65534"]);
    let _ = agent.run(&["doctor", "--fix"]).shows(&["is ours alone again"]);
    let _ = agent.run(&["renew", "--force"]).exits(0);
}

#[test]
fn accounts_that_are_lost() {
    let agent = issued();
    let file = agent.path("accounts/embedded/default.json");
    let whole = fs::read(&file).unwrap();
    for (content, says) in [
        (None, "the account key for embedded is missing, though embedded issued what is held"),
        (Some(&whole[..whole.len() / 2]), "the stored account for the CA embedded is damaged"),
    ] {
        fs::remove_file(&file).unwrap();
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
            set_mode(&file, 0o600);
        }
        let before = agent.files();
        let shows = [says, "restore it from a backup", "acmeagent account register --ca embedded"];
        let _ = agent.run(&["doctor", "--fix"]).exits(2).shows(&shows);
        assert_eq!(agent.files(), before, "no account is made where one may be found again");
        fs::write(&file, &whole).unwrap();
    }
    // The CA itself has forgotten us.
    fs::remove_dir_all(agent.path("embedded-ca")).unwrap();
    let _ = agent.run(&["doctor"]).exits(2).shows(&["embedded does not know our account", "--fix"]);
    let ran = agent.run(&["doctor", "--fix"]);
    let ran = ran.shows(&["embedded did not know our account; there is a new one, the old is"]);
    assert_eq!(lines(&ran, "CRITICAL"), Vec::<&str>::new(), "{ran:#?}");
    let folder = fs::read_dir(agent.path("accounts/embedded")).unwrap();
    let mut kept = folder.map(|entry| entry.unwrap().path()).filter(|path| *path != file);
    assert_eq!(fs::read(kept.next().unwrap()).unwrap(), whole);
    let registered = agent.read("state/ledger").matches("registering").count();
    assert_eq!(registered, 2, "it counts as any other");
    let _ = agent.run(&["doctor"]).shows(&["OK host: embedded knows our account"]);
    let _ = agent.run(&["renew", "--force"]).exits(0);
}

#[test]
fn a_ca_that_is_to_step_in_needs_an_account_too() {
    let (agent, ca) = (issued(), Ca::start());
    let path = agent.path("certificates/a.example.toml");
    let text = fs::read_to_string(&path).unwrap();
    let root = agent.path("root.pem");
    fs::copy(&ca.tls_root, &root).unwrap();
    let main = format!(
        "[[ca]]\nname = \"second\"\ndirectory = {:?}\nroot = {:?}\n",
        ca.directory,
        root.to_str().unwrap()
    );
    fs::write(agent.path("acmeagent.toml"), main).unwrap();
    let changed = text.replace("ca = [\"embedded\"]", "ca = [\"embedded\", \"second\"]");
    assert_ne!(changed, text);
    fs::write(&path, changed).unwrap();
    let ran = agent.run(&["doctor"]);
    let ran = ran.shows(&["WARNING host: there is no account at second, which is to step in"]);
    let _ = ran.shows(&["acmeagent account register --ca second", "embedded knows our account"]);
    drop(ca);
    let _ = agent.run(&["doctor"]).shows(&["WARNING host: second cannot be asked"]);
}

#[test]
fn ports_and_web_roots() {
    let agent = Agent::embedded();
    let [port] = free_ports();
    let webroot = agent.path("www");
    fs::create_dir(&webroot).unwrap();
    let issue = ["issue", "-d", "a.example", "--http-01-port", &port.to_string()];
    let _ = agent.run(&issue).exits(0);
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let own = format!("(process {})", std::process::id());
    let ran = agent.run(&["doctor"]).exits(2);
    let says = format!("CRITICAL a.example: port {port} is in use by ");
    let _ = ran.shows(&[&says, &own, "--webroot DIR"]);
    // Another type that works makes it less urgent.
    let path = agent.path("certificates/a.example.toml");
    let text = fs::read_to_string(&path).unwrap();
    let both = text.replace("\"http-01\"", "\"http-01\", \"tls-alpn-01\"");
    assert_ne!(both, text);
    fs::write(&path, both).unwrap();
    let ran = agent.run(&["doctor"]);
    let _ = ran.shows(&["WARNING a.example: port", "OK a.example: tls-alpn-01 can be answered"]);
    drop(taken);
    let line = format!("http-01-port = {port}");
    assert!(text.contains(&line), "{text}");
    fs::write(&path, text.replace(&line, &format!("webroot = {:?}", webroot.to_str().unwrap())))
        .unwrap();
    let _ = agent.run(&["doctor"]).shows(&["OK a.example: http-01 can be answered"]);
    fs::remove_dir(&webroot).unwrap();
    let says = "CRITICAL a.example: cannot use ";
    let _ = agent.run(&["doctor"]).exits(2).shows(&[says, "/www for challenge files"]);
}

#[test]
fn a_limit_that_is_near() {
    let ca = Ca::start();
    let agent = ca.limited_agent();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let near = "of 5 certificates for exactly these names are left";
    let _ = agent.run(&["doctor"]).shows(&[&format!("4 {near}")]);
    for _ in 0..3 {
        let _ = agent.run(&["renew", "--force"]).exits(0);
    }
    let ran = agent.run(&["doctor"]).shows(&["WARNING a.example", &format!("1 {near}, one more")]);
    assert_ne!(ran.code, 0, "{ran:?}");
    let held_back = "all used but the one kept for an emergency: the next at 20";
    let _ = agent.run(&["renew", "--force"]).exits(3).says(&[held_back]);
    assert_eq!(ca.issued(), 4);
}

#[test]
fn a_clock_that_is_off() {
    need!("faketime");
    let ca = Ca::start();
    let agent = ca.agent();
    let issue = ["issue", "-d", "127.0.0.1", "--http-01-address", "127.0.0.1"];
    let _ = agent.run(&issue).exits(0);
    let ran = agent.run_at("+2 hours", &["doctor"]).exits(2);
    let ran = ran.shows(&["CRITICAL host: the clock is 2 h", "ahead of that of", "timedatectl"]);
    assert!(!ran.stdout.contains("the clock is behind"), "{ran:#?}");
    let ran = agent.run_at("-3 hours", &["doctor"]).exits(2);
    let _ = ran.shows(&["CRITICAL 127.0.0.1: the clock is behind: what is held begins"]);
    let _ = agent.run_at("+1 minute", &["doctor"]).shows(&["OK host: the clock agrees"]);
}

#[test]
fn live_files_that_somebody_moved_about() {
    let agent = issued();
    let live = |file: &str| agent.path(&format!("live/a.example/{file}"));
    let copy = agent.path("copy");
    fs::copy(live("fullchain.pem"), &copy).unwrap();
    set_mode(&copy, 0o400);
    fs::rename(&copy, live("fullchain.pem")).unwrap();
    let says = "WARNING a.example: fullchain.pem in live was copied there by hand";
    let _ = agent.run(&["doctor"]).shows(&[says]);
    for (from, to) in
        [("fullchain.pem", "x"), ("privkey.pem", "fullchain.pem"), ("x", "privkey.pem")]
    {
        fs::rename(live(from), live(to)).unwrap();
    }
    let says = "fullchain.pem holds the key and privkey.pem the certificate";
    let _ = agent.run(&["doctor"]).exits(2).shows(&[says, "`acmeagent renew a.example`"]);
    let _ = agent.run(&["renew", "a.example"]).exits(0);
    let ran = agent.run(&["doctor"]).shows(&["OK a.example: the live files are those"]);
    assert_eq!(lines(&ran, "CRITICAL"), Vec::<&str>::new(), "{ran:#?}");
}

/// nginx as the agent finds it: in `PATH`, with a configuration of the test's own.
struct FakeHost {
    folder: tempfile::TempDir,
}

impl FakeHost {
    fn with_nginx() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let real = tools::find("nginx").unwrap();
        let wrapper =
            format!("exec {} -p {at} -e {at}/error.log -c {at}/nginx.conf \"$@\"", real.display());
        script(&folder.path().join("nginx"), &wrapper);
        Self { folder }
    }

    /// A server with these two lines; they stand in line 6 of `sites/a.conf`.
    fn configure(&self, chain: &Path, key: &Path) {
        let at = self.folder.path().display();
        let main = format!(
            "pid {at}/nginx.pid;\nevents {{}}\nhttp {{\n  access_log off;\n  include sites/*.conf;\n}}\n"
        );
        let site = format!(
            "# \"ssl_certificate\" {{\nserver {{\n  listen 127.0.0.1:1 ssl;\n  server_name a.example;\n\n  \
             ssl_certificate '{}'; ssl_certificate_key {};\n}}\n",
            chain.display(),
            key.display()
        );
        fs::create_dir_all(self.folder.path().join("sites")).unwrap();
        fs::write(self.folder.path().join("nginx.conf"), main).unwrap();
        fs::write(self.folder.path().join("sites/a.conf"), site).unwrap();
    }

    fn doctor(&self, agent: &Agent) -> Ran {
        let mut command = agent.command(&["doctor"]);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.folder.path().display()));
        Ran::of(command.output().unwrap())
    }
}

#[test]
fn nginx_reads_the_right_files() {
    need!("nginx");
    let (agent, host) = (issued(), FakeHost::with_nginx());
    let _ = agent.run(&["renew", "--force"]).exits(0);
    let live = |file: &str| agent.path(&format!("live/a.example/{file}"));
    let archived = |file: &str| agent.path(&format!("archive/a.example/0001/{file}"));
    let copy = |file: &str| {
        let to = host.folder.path().join(file);
        fs::copy(live(file), &to).unwrap();
        to
    };
    let copied = (copy("fullchain.pem"), copy("privkey.pem"));
    let stale = host.folder.path().join("stale.pem");
    fs::copy(archived("fullchain.pem"), &stale).unwrap();
    let link = host.folder.path().join("link.pem");
    std::os::unix::fs::symlink(live("fullchain.pem"), &link).unwrap();
    let (chain, key) = (live("fullchain.pem"), live("privkey.pem"));
    let right = format!("name {} there", chain.display());
    let table: [(PathBuf, PathBuf, &str, &str); 9] = [
        (chain.clone(), key.clone(), "OK a.example", "is what is live"),
        (link, key.clone(), "OK a.example", "is what is live"),
        (live("cert.pem"), key.clone(), "CRITICAL a.example", "lacks the issuers"),
        (
            archived("fullchain.pem"),
            archived("privkey.pem"),
            "CRITICAL a.example",
            "generation 1 in the archive",
        ),
        (copied.0, copied.1, "WARNING a.example", "a copy of what is live"),
        (stale, archived("privkey.pem"), "CRITICAL a.example", "a stale copy: generation 1"),
        (live("gone.pem"), key.clone(), "CRITICAL a.example", "does not exist"),
        (agent.path("gone.pem"), key.clone(), "CRITICAL a.example", "does not exist"),
        (key, chain, "CRITICAL a.example", "is the key where the certificate belongs"),
    ];
    for (chain, key, severity, says) in table {
        host.configure(&chain, &key);
        let ran = host.doctor(&agent);
        let place = format!("{}/sites/a.conf:6: ssl_certificate ", host.folder.path().display());
        let found = ran.stdout.lines().find(|line| line.contains(&place) && line.contains(says));
        let found = found.unwrap_or_else(|| panic!("{says:?} is not in {ran:#?}"));
        assert!(found.starts_with(severity), "{found}");
        let good = severity.starts_with("OK");
        assert_eq!(found.contains(&right), !good, "{found}");
        assert!(good || ran.code > 0, "{ran:#?}");
        // nginx itself takes all of it that is there and belongs together.
        let refused = ran.stdout.contains("CRITICAL host: nginx refuses its configuration");
        assert_eq!(
            refused,
            says.contains("does not exist") || says.contains("is the key"),
            "{ran:#?}"
        );
    }
}

#[test]
fn haproxy_reads_the_right_files() {
    need!("haproxy");
    let (agent, folder) = (issued(), tempfile::tempdir().unwrap());
    let bundle = folder.path().join("a.pem");
    let live = |file: &str| fs::read(agent.path(&format!("live/a.example/{file}"))).unwrap();
    fs::write(&bundle, [live("fullchain.pem"), live("privkey.pem")].concat()).unwrap();
    let [port] = free_ports();
    let config = folder.path().join("haproxy.cfg");
    let text = format!(
        "defaults\n  mode http\n  timeout client 1s\n  timeout connect 1s\n  timeout server 1s\n\
         frontend a\n  bind 127.0.0.1:{port} ssl crt {}\n",
        bundle.display()
    );
    fs::write(&config, text).unwrap();
    let mut haproxy = Command::new(tools::find("haproxy").unwrap());
    haproxy.arg("-db").arg("-f").arg(&config).stdin(Stdio::null()).stderr(Stdio::null());
    let mut haproxy = Running(haproxy.stdout(Stdio::null()).spawn().unwrap());
    wait_for("haproxy to listen", || {
        assert!(!haproxy.has_ended(), "haproxy did not start");
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let place = format!("{}:7: crt {} is a ", config.display(), bundle.display());
    let copy = format!("WARNING a.example: {place}copy of what is live");
    let _ = agent.run(&["doctor"]).shows(&[&copy, "let a deploy hook join"]);
    let _ = agent.run(&["renew", "--force"]).exits(0);
    let stale = format!("CRITICAL a.example: {place}stale copy: generation 1");
    let _ = agent.run(&["doctor"]).exits(2).shows(&[&stale]);
}

#[test]
fn too_few_descriptors() {
    need!("prlimit");
    let agent = issued();
    let limited = |limit: &str, args: &[&str]| {
        let plain = agent.command(args);
        let mut command = within("prlimit", &plain);
        command.arg(format!("--nofile={limit}")).arg(plain.get_program()).args(plain.get_args());
        Ran::of(command.output().unwrap())
    };
    let says = "CRITICAL host: 40 files and sockets may be open at once";
    let _ = limited("40:40", &["doctor"]).exits(2).shows(&[says, "LimitNOFILE"]);
    let _ = limited("40:4096", &["doctor"]).exits(2).shows(&[says, "ulimit -n"]);
    // Told before an order, and no more than that.
    let says = "WARNING host: 100 files and sockets may be open at once";
    let _ = limited("100", &["renew", "--force"]).exits(0).says(&[says]);
    let _ = limited("100", &["issue", "-d", "b.example"]).exits(0).says(&[says]);
    let again = limited("100", &["issue", "-d", "b.example"]).exits(0);
    assert_eq!(again.stderr, "", "nothing was ordered");
}

#[test]
fn a_store_others_can_change() {
    let agent = issued();
    let state = agent.path("state");
    set_mode(&state, 0o777);
    let says = ["state can be changed by others than its owner (mode 0777)", "chmod go-w"];
    let _ = agent.run(&["doctor"]).exits(2).shows(&says);
    set_mode(&state, 0o700);
    let _ = agent.run(&["doctor"]).shows(&["OK host: nobody else can change the store"]);
}

#[test]
fn a_disk_that_is_nearly_full() {
    let agent = Agent::embedded();
    let options = ["-t", "tmpfs", "-o", "size=4m,nr_inodes=200,mode=700", "tmpfs"];
    let Some(_mount) = Mount::new(&options, agent.home()) else { return };
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let says = ["inodes are left on the disk of the store", "WARNING host:"];
    let _ = agent.run(&["doctor"]).shows(&says);
    let mut names = 0;
    while fs::write(agent.path(&format!("filler-{names}")), "").is_ok() {
        names += 1;
    }
    fs::remove_file(agent.path("filler-0")).unwrap();
    let ran = agent.run(&["doctor"]).exits(2);
    let critical = lines(&ran, "CRITICAL");
    assert!(critical.iter().any(|line| line.contains("1 inodes are left")), "{ran:#?}");
}

/// Runs in namespaces of its own, with `/etc` covered by a folder of the test.
fn elsewhere(agent: &Agent, etc: &Path, before: &str, args: &[&str]) -> Option<Ran> {
    let overlay = format!("mount -t overlay overlay -o lowerdir={}:/etc /etc", etc.display());
    let mut tried = Command::new("unshare");
    tried.args(["--mount", "--net", "sh", "-c", &overlay]).stderr(Stdio::null());
    if !tools::is_root() || !tried.status().is_ok_and(|status| status.success()) {
        tools::cannot_run("covering /etc needs root, and a kernel with namespaces and overlays");
        return None;
    }
    let plain = agent.command(args);
    let mut command = within("unshare", &plain);
    let script = format!("set -e; {overlay}; {before}; exec \"$@\"");
    command.args(["--mount", "--net", "sh", "-c", &script, "sh"]);
    command.arg(plain.get_program()).args(plain.get_args());
    command.env("HOME", etc.join("home"));
    Some(Ran::of(command.output().unwrap()))
}

#[test]
fn what_else_runs_on_this_host() {
    need!("unshare");
    let (agent, etc) = (issued(), tempfile::tempdir().unwrap());
    let write = |path: &str, text: &str| {
        let path = etc.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let ours = agent.path("live/a.example/cert.pem");
    write("letsencrypt/renewal/site.conf", &format!("version = 5.0\ncert = {}\n", ours.display()));
    write("home/.acme.sh/a.example_ecc/a.example.conf", "Le_Domain='a.example'\nLe_Alt='no'\n");
    let Some(ran) = elsewhere(&agent, etc.path(), "true", &["doctor"]) else { return };
    let _ = ran.shows(&[
        "OK a.example: certbot has a.example as well, but nothing was seen to run it",
        "OK a.example: acme.sh has a.example as well",
        "WARNING host: neither a systemd timer nor cron was seen to run `acmeagent renew`",
        "17,47 * * * * root acmeagent renew -q",
    ]);
    write("systemd/system/timers.target.wants/certbot.timer", "");
    write("systemd/system/timers.target.wants/acmeagent.timer", "");
    write("cron.d/acme", "7 0 * * * root /root/.acme.sh/acme.sh --cron >/dev/null\n");
    let ran = elsewhere(&agent, etc.path(), "true", &["doctor"]).unwrap();
    let _ = ran.shows(&[
        "WARNING a.example: certbot renews a.example as well, run by certbot.timer",
        "`autorenew = False` below [renewalparams] in /etc/letsencrypt/renewal/site.conf",
        "WARNING a.example: acme.sh renews a.example as well, run by cron",
        "acme.sh --remove -d a.example --ecc",
        "OK host: acmeagent.timer runs acmeagent",
    ]);
}

#[test]
fn a_short_backlog() {
    need!("unshare");
    let (agent, etc) = (issued(), tempfile::tempdir().unwrap());
    let shorter = "echo 128 >/proc/sys/net/core/somaxconn";
    let Some(ran) = elsewhere(&agent, etc.path(), shorter, &["doctor"]) else { return };
    let says = "WARNING host: only 128 connections may wait to be accepted (net.core.somaxconn)";
    let _ = ran.shows(&[says, "net.core.somaxconn = 4096", "/etc/sysctl.d/60-acmeagent.conf"]);
}

#[test]
fn a_root_this_host_does_not_trust() {
    let ca = Ca::start();
    let agent = Agent::new();
    let main = format!(
        "[[ca]]\nname = \"letsencrypt\"\ndirectory = {:?}\nroot = {:?}\n",
        ca.directory,
        ca.tls_root.to_str().unwrap()
    );
    fs::write(agent.path("acmeagent.toml"), main).unwrap();
    let port = ca.http_port.to_string();
    let issue = ["issue", "-d", "127.0.0.1", "--agree-tos", "--http-01-port", &port];
    let _ = agent.run(&issue).exits(0);
    let says = "WARNING 127.0.0.1: this machine does not trust what letsencrypt issued";
    let _ = agent.run(&["doctor"]).shows(&[says, "ca-certificates"]);
    let mut command = agent.command(&["doctor"]);
    command.env("SSL_CERT_FILE", &ca.issuing_root);
    let ran = Ran::of(command.output().unwrap());
    let _ = ran.shows(&["OK 127.0.0.1: this machine trusts letsencrypt"]);
}

#[test]
fn a_port_one_may_not_have() {
    need!("unshare", "setpriv");
    let agent = Agent::embedded();
    let [port] = free_ports();
    let issue = ["issue", "-d", "a.example", "--http-01-port", &port.to_string()];
    let _ = agent.run(&issue).exits(0);
    let path = agent.path("certificates/a.example.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&format!("port = {port}"), "port = 80")).unwrap();
    let etc = tempfile::tempdir().unwrap();
    let without = "set -- setpriv --bounding-set=-net_bind_service \"$@\"";
    let Some(ran) = elsewhere(&agent, etc.path(), without, &["doctor"]) else { return };
    let says = "CRITICAL a.example: not allowed to listen on ";
    let _ = ran.exits(2).shows(&[says, ":80", "CAP_NET_BIND_SERVICE"]);
}
