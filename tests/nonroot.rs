//! Without root: root steps down to whom the store belongs, sockets that are handed over, a
//! capability for ports, keys for a group.

mod machine;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::need;
use crate::support::agent::{Agent, Ran, within};
use crate::support::ca::Ca;
use crate::support::{DEADLINE, Running, free_ports, script, tools, wait_for};

/// A user without any rights, and another one.
const NOBODY: u32 = 65534;
const SOMEBODY: u32 = 64_242;
/// The group `mail`, which every system has.
const MAIL: u32 = 8;

/// A directory that only root can change, nor anything above it: not so in `/tmp`.
fn of_root() -> Option<TempDir> {
    if !tools::is_root() {
        tools::cannot_run("only root can become another user");
        return None;
    }
    let dir = tempfile::tempdir_in("/var/lib").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    Some(dir)
}

/// The binary where everybody can reach it.
fn reachable(binary: &Path, folder: &Path) -> PathBuf {
    let open = |dir: &Path| fs::metadata(dir).unwrap().mode() & 0o1 != 0;
    if binary.ancestors().all(open) {
        return binary.to_owned();
    }
    let copy = folder.join("acmeagent");
    if !copy.exists() {
        fs::copy(binary, &copy).unwrap();
    }
    copy
}

/// The command as a user without any rights, with what else setpriv(1) is told.
fn as_user(user: u32, folder: &Path, command: &Command, more: &[&str]) -> Command {
    let mut outer = within("setpriv", command);
    outer.args([format!("--reuid={user}"), format!("--regid={user}")]);
    if !more.iter().any(|flag| flag.starts_with("--groups")) {
        outer.arg("--clear-groups");
    }
    outer.args(more).arg(reachable(Path::new(command.get_program()), folder));
    outer.args(command.get_args());
    outer
}

/// The command with a listening socket as systemd hands it over, under this name.
fn given(socket: &TcpListener, name: &str, command: &Command) -> Command {
    let mut outer = within("sh", command);
    let give = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\" 3<&0 </dev/null";
    outer.args(["-c", give, "sh"]).arg(command.get_program()).args(command.get_args());
    outer.env("LISTEN_FDNAMES", name);
    outer.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap())));
    outer
}

/// A socket on loopback at a port that only the privileged may bind; no port is given twice.
fn low_socket() -> TcpListener {
    let from = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    assert_eq!(from.trim(), "1024", "what is tried here needs no privilege on this machine");
    // Another test process begins elsewhere.
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(600 + u16::try_from(std::process::id() % 300).unwrap()));
    let ports = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed));
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
    ports.take_while(|port| *port < 1024).find_map(bind).expect("some port is free")
}

fn port_of(socket: &TcpListener) -> u16 {
    socket.local_addr().unwrap().port()
}

/// An agent of nobody's below `folder`, who orders from a CA that looks at these ports.
fn agent_of_nobody(folder: &Path, http_port: u16, tls_port: u16) -> (Ca, Agent) {
    let ca = Ca::looking_at(http_port, tls_port);
    let root = folder.join("root.pem");
    fs::copy(&ca.tls_root, &root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o644)).unwrap();
    let agent = Agent::ordering_at(&ca.directory, &root, http_port, tls_port);
    (ca, agent.living_below(folder, NOBODY))
}

fn ran(mut command: Command) -> Ran {
    Ran::of(command.output().unwrap())
}

/// Every file and folder below, itself included.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut index = 0;
    while let Some(path) = found.get(index).cloned() {
        if path.is_dir() && !path.is_symlink() {
            found.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        index += 1;
    }
    found
}

#[track_caller]
fn assert_all_of(user: u32, folder: &Path) {
    for path in all_below(folder) {
        let owner = fs::symlink_metadata(&path).unwrap().uid();
        assert_eq!(owner, user, "{}", path.display());
    }
}

/// A hook that says who it is, what it inherited and what it may.
fn witness(folder: &Path) -> (PathBuf, PathBuf) {
    let (hook, seen) = (folder.join("witness"), folder.join("seen"));
    let body = format!(
        "{{ env; ls -l /proc/self/fd; grep -E '^(Uid|Groups|Cap(Prm|Eff|Inh|Amb))' /proc/self/status; }} >{}",
        seen.display()
    );
    script(&hook, &body);
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&seen, "").unwrap();
    chown(&seen, Some(NOBODY), None).unwrap();
    (hook, seen)
}

#[test]
fn root_works_as_whom_the_store_belongs_to() {
    let Some(dir) = of_root() else { return };
    let port = port_of(&low_socket());
    let (_ca, agent) = agent_of_nobody(dir.path(), port, free_ports::<1>()[0]);
    let (hook, seen) = witness(dir.path());
    let issue = ["-v", "issue", "-d", "a.example", "--deploy-hook", hook.to_str().unwrap()];
    // The port is below 1024: so much of root is left.
    let says = format!("working as user nobody, to whom {} belongs", agent.home().display());
    agent.run(&issue).exits(0).says(&[&says]);
    let quiet = agent.run(&["renew", "--force"]).exits(0);
    assert!(!quiet.stderr.contains("working as"), "{quiet:?}");
    assert_all_of(NOBODY, agent.home());
    assert_eq!(agent.generations("a.example"), 2);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains(&format!("Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}\n")), "{seen}");
    for set in ["Prm", "Eff", "Inh", "Amb"] {
        assert!(seen.contains(&format!("Cap{set}:\t0000000000000000\n")), "{seen}");
    }
    // Whoever it belongs to takes it up from there.
    let renew = agent.command(&["renew"]);
    ran(as_user(NOBODY, dir.path(), &renew, &[])).exits(0).shows(&["nothing is due"]);
    agent.run(&["status"]).exits(0).shows(&["a.example"]);
    agent.run(&["check"]).exits(0);
    assert_all_of(NOBODY, agent.home());
}

#[test]
fn a_file_only_root_may_read_is_named() {
    let Some(dir) = of_root() else { return };
    let agent = Agent::embedded().living_below(dir.path(), NOBODY);
    let secret = dir.path().join("secret");
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let file = secret.to_str().unwrap();
    let says = format!("user nobody, to whom the store belongs, cannot read {file}");
    for flags in [
        &["issue", "-d", "a.example", "--dns", "exec:true", "--dns-credentials", file][..],
        &["issue", "-d", "a.example", "--eab-kid", "x", "--eab-hmac-key-file", file],
        &["check", "--ca-root", file],
        &["account", "show", "--ca-root", file],
    ] {
        let ran = agent.run(flags);
        assert!([2, 3].contains(&ran.code), "{ran:?}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(&says), "{ran:?}");
    }
    // What is no concern of the store reads what root may read.
    let ran = agent.run(&["check", "--file", file]);
    assert!(!ran.stdout.contains("cannot read"), "{ran:?}");
    assert_eq!(fs::read_dir(agent.home()).unwrap().count(), 0);
}

#[test]
fn whoever_could_have_put_the_store_there_is_not_become() {
    let Some(dir) = of_root() else { return };
    let issue = ["-v", "issue", "-d", "a.example"];
    // Anybody can make a directory in a sticky one, and the owner of one exchange what is in it.
    let sticky = dir.path().join("sticky");
    let of_another = dir.path().join("of-another");
    for (folder, mode) in [(&sticky, 0o1777), (&of_another, 0o755)] {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    }
    chown(&of_another, Some(NOBODY), None).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&sticky, &link).unwrap();
    for folder in [&sticky, &of_another, &link] {
        let agent = Agent::embedded().living_below(folder, NOBODY);
        let ran = agent.run(&issue).exits(11).says(&["could exchange what is in it"]);
        assert!(!ran.stderr.contains("working as"), "{ran:?}");
        assert_eq!(fs::read_dir(agent.home()).unwrap().count(), 0);
    }
    // A link of root's to a place of root's is fine.
    let good = dir.path().join("good");
    fs::create_dir(&good).unwrap();
    let link = dir.path().join("to-good");
    std::os::unix::fs::symlink(&good, &link).unwrap();
    let agent = Agent::embedded().living_below(&link, NOBODY);
    agent.run(&issue).exits(0).says(&["working as user nobody"]);
    assert_all_of(NOBODY, agent.home());
}

#[test]
fn who_may_not_become_another_says_so() {
    let Some(dir) = of_root() else { return };
    let agent = Agent::embedded().living_below(dir.path(), NOBODY);
    let status = agent.command(&["status"]);
    let mut confined = within("setpriv", &status);
    confined.args(["--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid"]);
    confined.arg(status.get_program()).args(status.get_args());
    ran(confined).exits(11).says(&["cannot become user nobody", "hint: run this as user nobody"]);
}

#[test]
fn sockets_that_are_handed_over_need_no_privilege() {
    let Some(dir) = of_root() else { return };
    let socket = low_socket();
    let port = port_of(&socket);
    drop(socket);
    let (_ca, agent) = agent_of_nobody(dir.path(), port, free_ports::<1>()[0]);
    let (hook, seen) = witness(dir.path());
    let issue =
        agent.command(&["issue", "-d", "a.example", "--deploy-hook", hook.to_str().unwrap()]);
    let alone = as_user(NOBODY, dir.path(), &issue, &[]);
    ran(alone).exits(2).says(&["not allowed to listen on", "CAP_NET_BIND_SERVICE"]);
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    // By its port alone no socket is known but those of 80 and 443.
    let unnamed = given(&socket, "unknown", &as_user(NOBODY, dir.path(), &issue, &[]));
    ran(unnamed).exits(2).says(&["not allowed to listen on"]);
    // Given to another process.
    let mut stray = given(&socket, "http", &as_user(NOBODY, dir.path(), &issue, &[]));
    let args: Vec<_> = stray.get_args().map(|arg| arg.to_owned()).collect();
    let mut of_another = within("sh", &stray);
    let elsewhere = args[1].to_str().unwrap().replace("$$", "1");
    of_another.arg("-c").arg(elsewhere).args(&args[2..]);
    of_another.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap())));
    ran(of_another).exits(2).says(&["not allowed to listen on"]);
    Ran::of(stray.output().unwrap()).exits(0).shows(&["issued generation 1"]);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(!seen.contains("LISTEN") && !seen.contains("socket:"), "{seen}");
    assert!(seen.contains("ACMEAGENT_NAME=a.example"), "{seen}");
    assert_all_of(NOBODY, agent.home());
}

#[test]
fn the_service_manager_itself_hands_both_over() {
    need!("systemd-socket-activate");
    let Some(dir) = of_root() else { return };
    let ports = [low_socket(), low_socket()].map(|socket| port_of(&socket));
    let (_ca, agent) = agent_of_nobody(dir.path(), ports[0], ports[1]);
    for (name, kind) in [("a.example", "http-01"), ("b.example", "tls-alpn-01")] {
        let issue = agent.command(&["issue", "-d", name, "--challenge", kind]);
        let inner = as_user(NOBODY, dir.path(), &issue, &[]);
        let mut outer = within("systemd-socket-activate", &inner);
        let [http, tls] = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        outer.args(["-l", &http.to_string(), "-l", &tls.to_string(), "--fdname=http:tls"]);
        outer.arg(inner.get_program()).args(inner.get_args());
        let started = Running(outer.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        // It starts what it is told with the first visitor.
        let mut visitor = None;
        wait_for("somebody at the port", || {
            visitor = TcpStream::connect(http).ok();
            visitor.is_some()
        });
        started.ends().exits(0).shows(&["issued generation 1"]);
    }
    assert_all_of(NOBODY, agent.home());
}

/// What a plain request gets.
fn status_line(port: u16) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn one_that_stays_turns_visitors_away_and_answers_for_the_others() {
    need!("curl");
    let Some(dir) = of_root() else { return };
    let socket = low_socket();
    let port = port_of(&socket);
    let (_ca, agent) = agent_of_nobody(dir.path(), port, free_ports::<1>()[0]);
    let stay = as_user(NOBODY, dir.path(), &agent.command(&["renew", "--loop"]), &[]);
    let mut stay = given(&socket, "http", &stay);
    let mut stays = Running(stay.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    drop(socket);
    assert_eq!(status_line(port), "HTTP/1.1 404 Not Found\r\n");
    wait_for("the desk", || agent.path("state/serve.sock").exists());
    // As root, who steps down, and as the user.
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    let renew = agent.command(&["renew", "--force", "a.example"]);
    ran(as_user(NOBODY, dir.path(), &renew, &[])).exits(0);
    let doctor = agent.run(&["doctor"]).shows(&["http-01 can be answered here"]);
    assert!(!doctor.stdout.contains("is in use"), "{doctor:?}");
    for _ in 0..300 {
        assert_eq!(status_line(port), "HTTP/1.1 404 Not Found\r\n");
    }
    assert!(!stays.has_ended());
    stays.signal(Signal::SIGTERM);
    stays.ends().exits(0);
    assert_eq!(agent.generations("a.example"), 2);
    assert_all_of(NOBODY, agent.home());
}

#[test]
fn one_that_stays_refuses_handshakes_nobody_asked_for() {
    let Some(dir) = of_root() else { return };
    let socket = low_socket();
    let port = port_of(&socket);
    let (_ca, agent) = agent_of_nobody(dir.path(), free_ports::<1>()[0], port);
    let issue = ["issue", "-d", "a.example", "--challenge", "tls-alpn-01"];
    let issue = as_user(NOBODY, dir.path(), &agent.command(&issue), &[]);
    ran(given(&socket, "tls", &issue)).exits(0);
    let stay = as_user(NOBODY, dir.path(), &agent.command(&["renew", "--loop"]), &[]);
    let mut stay = given(&socket, "tls", &stay);
    let stays = Running(stay.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let shake = || {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-alpn", "acme-tls/1"]);
        client.args(["-servername", "a.example"]).stdin(Stdio::null()).output().unwrap()
    };
    let output = shake();
    assert!(!output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("no peer certificate"), "{output:?}");
    stays.signal(Signal::SIGTERM);
    stays.ends().exits(0);
}

#[test]
fn one_that_stands_in_front_takes_what_is_handed_over() {
    let Some(dir) = of_root() else { return };
    let socket = low_socket();
    let port = port_of(&socket);
    let (_ca, agent) = agent_of_nobody(dir.path(), port, free_ports::<1>()[0]);
    let serve = agent.command(&["serve", "--upstream", "http://127.0.0.1:1"]);
    let mut serve = given(&socket, "http", &as_user(NOBODY, dir.path(), &serve, &[]));
    let mut serve = Running(serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(serve.0.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    let at = format!("challenges are answered at 127.0.0.1:{port};");
    assert!(ready.starts_with(&at), "{ready:?} {:?}", serve.ends());
    assert_eq!(status_line(port), "HTTP/1.1 502 Bad Gateway\r\n");
    agent.run(&["issue", "-d", "a.example"]).exits(0);
    serve.signal(Signal::SIGTERM);
    serve.ends().exits(0);
}

#[test]
fn a_capability_is_enough_for_ports() {
    let Some(dir) = of_root() else { return };
    let port = port_of(&low_socket());
    let (_ca, agent) = agent_of_nobody(dir.path(), port, free_ports::<1>()[0]);
    let issue = agent.command(&["issue", "-d", "a.example"]);
    ran(as_user(NOBODY, dir.path(), &issue, &[])).exits(2).says(&["CAP_NET_BIND_SERVICE"]);
    let capable = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"];
    ran(as_user(NOBODY, dir.path(), &issue, &capable)).exits(0);
    assert_all_of(NOBODY, agent.home());
}

#[test]
fn two_runs_of_one_user_share_a_port() {
    let Some(dir) = of_root() else { return };
    let [port, tls_port] = free_ports();
    let (_ca, agent) = agent_of_nobody(dir.path(), port, tls_port);
    // One that has the port while its CA looks, whatever the other one may see of it.
    let runs: Vec<_> = ["a.example", "b.example", "c.example", "d.example"]
        .map(|name| {
            let issue = agent.command(&["issue", "-d", name]);
            let mut issue = as_user(NOBODY, dir.path(), &issue, &[]);
            Running(issue.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        })
        .into();
    for run in runs {
        run.ends().exits(0);
    }
}

#[test]
fn a_server_of_the_group_reads_the_key_and_nobody_else() {
    let Some(dir) = of_root() else { return };
    let agent = Agent::embedded().living_below(dir.path(), NOBODY);
    let groups = format!("--groups={MAIL}");
    let run =
        |args: &[&str]| ran(as_user(NOBODY, dir.path(), &agent.command(args), &[&groups])).exits(0);
    let _ = run(&["issue", "-d", "a.example"]);
    let path = agent.path("certificates/a.example.toml");
    let settings = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{settings}\n[permissions]\ngroup = \"mail\"\n")).unwrap();
    let _ = run(&["renew", "--force"]);
    assert_all_of(NOBODY, agent.home());
    let key = agent.path("live/a.example/privkey.pem");
    let facts = fs::metadata(&key).unwrap();
    assert_eq!((facts.mode() & 0o7777, facts.gid()), (0o640, MAIL));
    let reads = |user: u32, flags: &[&str]| {
        let mut cat = Command::new("cat");
        cat.arg(&key);
        let mut cat = within("setpriv", &cat);
        cat.args([format!("--reuid={user}"), format!("--regid={user}")]).args(flags);
        cat.arg("cat").arg(&key).output().unwrap().status.success()
    };
    assert!(reads(SOMEBODY, &[&groups]));
    assert!(!reads(SOMEBODY, &["--clear-groups"]));
    // A real server: it serves with what its group may read.
    let [port] = free_ports();
    let mut server = Command::new("setpriv");
    server.args([format!("--reuid={SOMEBODY}"), format!("--regid={SOMEBODY}"), groups.clone()]);
    server.args(["openssl", "s_server", "-www", "-accept", &format!("127.0.0.1:{port}"), "-key"]);
    server.arg(&key).arg("-cert").arg(agent.path("live/a.example/fullchain.pem"));
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Running(server.spawn().unwrap());
    let endpoint = format!("127.0.0.1:{port}");
    wait_for("the server", || {
        assert!(!server.has_ended(), "it could not read the key");
        TcpStream::connect(&endpoint).is_ok()
    });
    let check = ["check", "--connect", &endpoint, "--servername", "a.example"];
    let _ = agent.run(&check).shows(&[&format!("OK {endpoint}: {endpoint} serves")]);
}

/// A folder with the binary, what it is linked to, and an empty home of that user: no more than a
/// container made from nothing holds.
fn container(folder: &Path, user: u32) -> PathBuf {
    let root = folder.join("container");
    let put = |from: &Path, to: &Path| {
        let to = root.join(to.strip_prefix("/").unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    };
    let binary = Path::new(env!("CARGO_BIN_EXE_acmeagent"));
    put(binary, Path::new("/acmeagent"));
    let linked = Command::new("ldd").arg(binary).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        put(Path::new(library), Path::new(library));
    }
    let home = root.join("data");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(user), Some(user)).unwrap();
    root
}

#[test]
fn as_the_only_process_of_a_container_it_stays_and_ends_when_told() {
    need!("ldd", "unshare", "chroot");
    let Some(dir) = of_root() else { return };
    let user = 65532;
    let root = container(dir.path(), user);
    let mut start = Command::new("unshare");
    start.args(["--pid", "--net", "--fork", "--kill-child", "chroot"]);
    start.arg(format!("--userspec={user}:{user}")).arg(&root);
    start.args(["/acmeagent", "--home", "/data", "renew", "--loop"]).env_clear();
    start.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let mut outer = Running(start.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut said = String::new();
    let mut stderr = BufReader::new(outer.0.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    assert_eq!(said, "waiting: nothing is planned\n");
    let pid = outer.0.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let inner = Pid::from_raw(children.trim().parse().unwrap());
    let status = fs::read_to_string(format!("/proc/{inner}/status")).unwrap();
    for line in [format!("NSpid:\t{inner}\t1\n"), "CapEff:\t0000000000000000\n".to_owned()] {
        assert!(status.contains(&line), "{line:?}: {status}");
    }
    kill(inner, Signal::SIGTERM).unwrap();
    outer.ends().exits(0);
    assert_all_of(user, &root.join("data"));
}
