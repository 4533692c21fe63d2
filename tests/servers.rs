//! The shipped deploy hooks, each with the server it is for.
//!
//! Every server runs as the test's own child, with its files in a folder and on a port of the
//! test's; what the distribution would start stays as it is.

mod kinds;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kinds::Kind;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User};
use tempfile::TempDir;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::{Running, free_ports, tools, wait_for};

const NAME: &str = "a.example";
const HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/hooks/deploy");

/// Where a server has its files, and what it is to serve.
struct Place {
    folder: TempDir,
    /// The folder of the live certificate.
    live: PathBuf,
    /// Where it serves, and where it is managed if it is.
    ports: [u16; 2],
}

impl Place {
    fn new(agent: &Agent) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The server's own user must be let in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, live: agent.path("live").join(NAME), ports: free_ports() }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file of the configuration, in which `@DIR`, `@LIVE`, `@PORT` and `@ADMIN` stand
    /// for the folder, the live certificate, and the ports.
    fn write(&self, file: &str, text: &str) {
        let text = text
            .replace("@DIR", self.folder.path().to_str().unwrap())
            .replace("@LIVE", self.live.to_str().unwrap())
            .replace("@PORT", &self.ports[0].to_string())
            .replace("@ADMIN", &self.ports[1].to_string());
        fs::write(self.path(file), text).unwrap();
    }

    /// Makes a folder that belongs to this user.
    fn make(&self, folder: &str, user: &str) -> PathBuf {
        let path = self.path(folder);
        fs::create_dir_all(&path).unwrap();
        let user = user_named(user);
        std::os::unix::fs::chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        path
    }
}

fn user_named(name: &str) -> User {
    User::from_name(name).unwrap().unwrap_or_else(|| panic!("there is no user {name}"))
}

/// The command as that user would run it.
fn as_user(user: &str, mut command: Command) -> Command {
    let user = user_named(user);
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    command
}

/// A server and all its processes, ended with the test.
struct Server(Running);

impl Server {
    fn start(mut command: Command, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        command.current_dir("/").process_group(0).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(Running(command.spawn().unwrap()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let began = Instant::now();
        if !self.0.has_ended() {
            self.0.signal(Signal::SIGTERM);
        }
        while !self.0.has_ended() && began.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Whoever stayed behind its master is still of its group.
        let _ = killpg(Pid::from_raw(self.0.0.id().cast_signed()), Signal::SIGKILL);
    }
}

/// A certificate, the server that serves it, and the hook between them.
struct Trial {
    kind: Kind,
    agent: Agent,
    place: Place,
}

impl Trial {
    fn new(kind: Kind) -> Self {
        let agent = Agent::embedded();
        let place = Place::new(&agent);
        (kind.configure)(&place);
        Self { kind, agent, place }
    }

    fn hook(&self) -> [String; 3] {
        let (option, file) = self.kind.told;
        let configuration = self.place.path(file).to_str().unwrap().to_owned();
        [format!("{HOOKS}/{}", self.kind.hook), option.to_owned(), configuration]
    }

    fn live_leaf(&self) -> String {
        fs::read_to_string(self.place.live.join("cert.pem")).unwrap().trim().to_owned()
    }

    /// What a client is told, the leaf in it.
    fn served(&self) -> String {
        let mut client = Command::new("timeout");
        let address = format!("127.0.0.1:{}", self.place.ports[0]);
        client.args(["10", "openssl", "s_client", "-servername", NAME, "-connect", &address]);
        client.args(self.kind.starttls.iter().flat_map(|protocol| ["-starttls", *protocol]));
        let answer = client.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    #[track_caller]
    fn waits_for(&self, leaf: &str, server: &mut Server) {
        wait_for(&format!("{} to serve the certificate", self.kind.hook), || {
            let log = || fs::read_to_string(self.place.path("out")).unwrap();
            assert!(!server.0.has_ended(), "{} ended: {}", self.kind.hook, log());
            self.served().contains(leaf)
        });
        if let Some(pid_file) = self.kind.pid_file {
            let pid = fs::read_to_string(self.place.path(pid_file)).unwrap();
            let pid = pid.lines().next().unwrap_or_default().trim();
            assert_eq!(pid, server.0.0.id().to_string(), "not the process that was started");
        }
    }

    /// The hook of a server that takes a copy leaves everything alone for another certificate.
    fn refuses_another_certificate(&self) {
        let Some(copy) = self.kind.copy else { return };
        let [program, option, configuration] = self.hook();
        let mut hook = Command::new(program);
        hook.args([option, configuration]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        hook.env("RENEWED_LINEAGE", "/var/lib/acmeagent/live/other.example").current_dir("/");
        let ran = Ran::of(hook.output().unwrap()).exits(1);
        let _ = ran.says(&["nothing was changed", "other.example.pem"]);
        assert!(!self.place.path(copy.file).exists());
    }

    fn assert_copy_is_private(&self) {
        let Some(copy) = self.kind.copy else { return };
        let found = fs::metadata(self.place.path(copy.file)).unwrap();
        let owner = user_named(copy.owner).uid.as_raw();
        assert_eq!((found.mode() & 0o7777, found.uid()), (0o600, owner));
        let folder = self.place.path(copy.file);
        let left = fs::read_dir(folder.parent().unwrap()).unwrap();
        let mut left = left.map(|entry| entry.unwrap().path());
        assert!(left.all(|path| path.extension().is_none_or(|one| one != "new")));
    }

    fn breaks(&self) -> String {
        let (file, line) = self.kind.broken;
        let file = self.place.path(file);
        let sound = fs::read_to_string(&file).unwrap();
        let line = line.replace("@DIR", self.place.folder.path().to_str().unwrap());
        fs::write(file, format!("{sound}\n{line}\n")).unwrap();
        sound
    }
}

/// Issues while the server is down, renews while it is up, renews while its configuration is
/// broken and once it is mended; the server is one process all the while.
fn tried(kind: Kind) {
    if !tools::is_root() {
        return tools::cannot_run("a server that changes its user needs root");
    }
    let trial = Trial::new(kind);
    trial.refuses_another_certificate();
    let hook = trial.hook().join(" ");
    let ran = trial.agent.run(&["issue", "-d", NAME, "--deploy-hook", &hook]).exits(0);
    let _ = ran.says(&["not running"]);
    trial.assert_copy_is_private();
    let mut server = Server::start((trial.kind.serve)(&trial.place), &trial.place.path("out"));
    let first = trial.live_leaf();
    trial.waits_for(&first, &mut server);

    let ran = trial.agent.run(&["renew", "--force"]).exits(0);
    assert!(!ran.stderr.contains("not running"), "{ran:?}");
    let second = trial.live_leaf();
    assert_ne!(first, second);
    trial.waits_for(&second, &mut server);
    trial.assert_copy_is_private();

    let sound = trial.breaks();
    let ran = trial.agent.run(&["renew", "--force"]).exits(9);
    let _ = ran.says(&[trial.kind.says, "is broken", "nothing was"]);
    assert_eq!(trial.live_leaf(), second);
    trial.waits_for(&second, &mut server);

    fs::write(trial.place.path(trial.kind.broken.0), sound).unwrap();
    let _ = trial.agent.run(&["renew", "--force", NAME]).exits(0);
    let third = trial.live_leaf();
    assert!(third != first && third != second);
    trial.waits_for(&third, &mut server);
}

#[test]
fn apache_takes_the_certificate_while_it_runs() {
    need!("openssl", "apache2");
    tried(kinds::apache());
}

#[test]
fn postfix_takes_the_certificate_while_it_runs() {
    need!("openssl", "postfix");
    tried(kinds::postfix());
}

#[test]
fn dovecot_takes_the_certificate_while_it_runs() {
    need!("openssl", "dovecot");
    tried(kinds::dovecot());
}

#[test]
fn postgresql_takes_the_certificate_while_it_runs() {
    need!("openssl");
    match kinds::postgresql() {
        Some(kind) => tried(kind),
        None => tools::cannot_run("postgres is not installed"),
    }
}

#[test]
fn mosquitto_takes_the_certificate_while_it_runs() {
    need!("openssl", "mosquitto");
    tried(kinds::mosquitto());
}

#[test]
fn caddy_takes_the_certificate_while_it_runs() {
    need!("openssl", "caddy");
    tried(kinds::caddy());
}

/// Every shipped program, by its path.
fn shipped() -> Vec<PathBuf> {
    let programs = fs::read_dir(HOOKS).unwrap().map(|entry| entry.unwrap().path());
    let programs: Vec<PathBuf> = programs.collect();
    assert_eq!(programs.len(), 6);
    programs
}

#[test]
fn shipped_hooks_say_what_they_need() {
    for program in shipped() {
        let name = program.file_name().unwrap().to_str().unwrap();
        let usage = format!("usage: {name} [--");
        let header = format!("{name}: a deploy hook that ");
        let run = |argument: &str| Command::new(&program).arg(argument).env_clear().output();
        let _ = Ran::of(run("--help").unwrap()).exits(0).shows(&[&usage, &header, "Needs "]);
        let _ = Ran::of(run("--nonsense").unwrap()).exits(1).says(&[name, "see --help"]);
    }
}

#[test]
fn shipped_hooks_are_sound_shell() {
    need!("shellcheck");
    let checked = Command::new("shellcheck").arg("--shell=sh").args(shipped()).output().unwrap();
    let _ = Ran::of(checked).exits(0);
}
