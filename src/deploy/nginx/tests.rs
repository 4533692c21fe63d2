//! The target with a real nginx on ports of its own.

#![expect(clippy::disallowed_methods, reason = "sets the stage for tests")]

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid};
use tokio::time::sleep;

use super::*;
use crate::certificate::Fingerprint;
use crate::deploy::conformance::{Bed, Rack, conforms, leaf_at};
use crate::ports::free_ports;

const NAMES: [&str; 2] = ["a.example", "b.example"];
/// Nobody in particular.
const STRANGER: u32 = 65534;

/// A real nginx that serves what is live on a rack.
struct Server {
    room: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    fn new(rack: &Rack) -> Self {
        let room = rack.room("nginx");
        fs::create_dir_all(room.join("extra")).unwrap();
        let [port] = free_ports();
        let (at, live) = (room.display(), rack.old.live_dir.display());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .collect();
        let text = format!(
            "daemon off;\nworker_processes 2;\npid nginx.pid;\nerror_log error.log;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}ssl_certificate_key {live}/privkey.pem;\n\
             server {{ listen 127.0.0.1:{port} ssl; server_name a.example b.example;\n\
             ssl_certificate {live}/fullchain.pem; }}\ninclude extra/*.conf;\n}}\n"
        );
        fs::write(room.join("nginx.conf"), text).unwrap();
        Self { room, port, child: None }
    }

    fn target(&self) -> Nginx {
        let (prefix, config) = (Some(self.room.clone()), Some(self.room.join("nginx.conf")));
        Nginx::new("nginx".to_owned(), Settings { prefix, config, ..Settings::default() })
    }

    /// What else its configuration says within `http`.
    fn configure(&self, text: &str) {
        fs::write(self.room.join("extra/more.conf"), text).unwrap();
    }

    async fn start(&mut self, user: Option<u32>) {
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(&self.room).arg("-c").arg(self.room.join("nginx.conf"));
        nginx.arg("-e").arg(self.room.join("start.log")).stdin(Stdio::null()).process_group(0);
        nginx.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(user) = user {
            nginx.uid(user).gid(user);
        }
        self.child = Some(nginx.spawn().expect("start nginx, which tests/setup.sh installs"));
        until("nginx to listen", || TcpStream::connect(self.at()).is_ok()).await;
        until("nginx to write its number", || self.master().is_some()).await;
    }

    fn at(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn master(&self) -> Option<Master> {
        Master::find(&self.room.join("nginx.pid"))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.master().unwrap().pid()), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
            let _ = killpg(group, Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

#[async_trait]
impl Bed for Server {
    async fn served(&mut self) -> Option<Fingerprint> {
        leaf_at(self.at(), NAMES[0]).await
    }

    fn watched(&self) -> Vec<PathBuf> {
        ["nginx.conf", "extra", "nginx.pid"].map(|name| self.room.join(name)).into()
    }

    async fn damage(&mut self) {
        self.configure("nonsense;");
    }

    async fn mend(&mut self) {
        self.configure("");
    }

    async fn hang(&mut self) -> bool {
        self.signal(Signal::SIGSTOP);
        until("the master to stop", || self.master().unwrap().look().unwrap().is_stopped()).await;
        true
    }

    async fn resume(&mut self) {
        self.signal(Signal::SIGCONT);
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[track_caller]
fn refusal(result: Result<impl std::fmt::Debug, TargetError>) -> (String, String) {
    match result.unwrap_err() {
        error @ TargetError::Refused { .. } => {
            (error.to_string(), error.hint().unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let rack = Rack::new(&NAMES);
    let mut server = Server::new(&rack);
    server.start(None).await;
    let target = server.target();
    conforms(&target, &mut server, &rack).await;

    let asked = asked(&target, &rack.new).await;
    assert_eq!(asked, NAMES.map(|name| (server.at(), name.to_owned())));
}

/// Every handshake the target's endpoints ask for.
async fn asked(target: &Nginx, delivery: &Delivery) -> Vec<(SocketAddr, String)> {
    let endpoints = target.endpoints(delivery).await;
    let at = |endpoint: &Endpoint| endpoint.at.to_string().parse::<SocketAddr>().unwrap();
    let pairs = |endpoint: &Endpoint| {
        let names = endpoint.names.iter().map(ToString::to_string);
        names.map(|name| (at(endpoint), name)).collect::<Vec<_>>()
    };
    endpoints.iter().flat_map(pairs).collect()
}

#[tokio::test]
async fn endpoints_show_what_nginx_really_serves() {
    let (rack, others) = (Rack::new(&NAMES), Rack::new(&["b.example"]));
    let mut server = Server::new(&rack);
    let [port] = free_ports();
    let certificate = |rack: &Rack| {
        let live = rack.old.live_dir.display();
        format!("ssl_certificate {live}/fullchain.pem; ssl_certificate_key {live}/privkey.pem;")
    };
    server.configure(&format!(
        "server {{ listen {port} ssl; listen [::]:{port} ssl; server_name a.example; {} }}\n\
         server {{ listen {port} ssl; listen 127.0.0.1:{port} ssl; server_name b.example; {} }}\n",
        certificate(&rack),
        certificate(&others)
    ));
    server.start(None).await;
    let mut seen = Vec::new();
    for (at, name) in asked(&server.target(), &rack.old).await {
        if at.port() == port {
            let is_ours = leaf_at(at, &name).await == Some(rack.old.fingerprint);
            seen.push((at.ip().to_string(), name, is_ours));
        }
    }
    let expected = [
        // 127.0.0.1 is the other server's.
        ("127.0.0.2", "a.example", true),
        ("127.0.0.2", "b.example", false),
        ("::1", "a.example", true),
        ("::1", "b.example", true),
    ];
    let expected = expected.map(|(ip, name, is_ours)| (ip.to_owned(), name.to_owned(), is_ours));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_configuration_that_was_broken_is_named() {
    let rack = Rack::new(&NAMES);
    let server = Server::new(&rack);
    server.configure("nonsense on;");
    let (what, hint) = refusal(server.target().stage(&rack.new).await);
    let complaint = "unknown directive \"nonsense\"";
    assert!(what.contains(": your configuration was broken before this renewal: "), "{what}");
    let at = server.room.display();
    assert!(what.contains(complaint), "{what}");
    assert_eq!(hint, format!("`nginx -p {at} -c {at}/nginx.conf -t` shows it"));

    // A pair that does not match is found at the latest when it is live.
    server.configure("");
    fs::copy(rack.old.archive_dir.join("privkey.pem"), rack.room("x").join("k")).unwrap();
    fs::remove_file(rack.new.archive_dir.join("privkey.pem")).unwrap();
    fs::rename(rack.room("x").join("k"), rack.new.archive_dir.join("privkey.pem")).unwrap();
    rack.switch(&rack.new);
    let (what, _) = refusal(server.target().activate(&rack.new, Share::ALL).await);
    assert!(what.contains("it refuses its configuration with what is live now: "), "{what}");

    let missing = Settings { program: Some("/no/such/nginx".into()), ..Settings::default() };
    let error = Nginx::new("nginx".to_owned(), missing).stage(&rack.new).await.unwrap_err();
    assert_eq!(error.to_string(), "/no/such/nginx does not exist");
}

#[tokio::test]
async fn what_the_switch_mends_is_no_reason_against_it() {
    let rack = Rack::new(&NAMES);
    let server = Server::new(&rack);
    let (live, target) = (&rack.new.live_dir, server.target());
    // A pair that does not match.
    fs::remove_file(live.join("privkey.pem")).unwrap();
    fs::copy(rack.new.archive_dir.join("privkey.pem"), live.join("privkey.pem")).unwrap();
    target.stage(&rack.new).await.unwrap();
    // The first certificate: nothing is live yet.
    fs::remove_dir_all(live).unwrap();
    target.stage(&rack.new).await.unwrap();
    rack.switch(&rack.new);
    target.activate(&rack.new, Share::ALL).await.unwrap();
    // Others' files are not mended.
    server.configure(
        "server { ssl_certificate /gone; ssl_certificate_key /gone; listen 127.0.0.1:1 ssl; }",
    );
    let (what, _) = refusal(target.stage(&rack.new).await);
    assert!(what.contains("\"/gone\""), "{what}");
}

#[tokio::test]
async fn nginx_that_does_not_run_is_only_tested() {
    let rack = Rack::new(&NAMES);
    let mut server = Server::new(&rack);
    let target = server.target();
    target.stage(&rack.new).await.unwrap();
    rack.switch(&rack.new);
    let told = target.activate(&rack.new, Share::ALL).await.unwrap();
    assert_eq!(told.output, "nginx does not run; it reads what is live when it starts");
    server.start(None).await;
    assert_eq!(server.served().await, Some(rack.new.fingerprint));

    // A number that is somebody else's by now.
    let pid = server.room.join("nginx.pid");
    fs::write(pid, std::process::id().to_string()).unwrap();
    assert!(target.activate(&rack.new, Share::ALL).await.unwrap().output.contains("does not run"));
}

#[tokio::test]
async fn what_only_the_master_refuses_is_found_with_its_reason() {
    let rack = Rack::new(&NAMES);
    let mut server = Server::new(&rack);
    server.start(None).await;
    // `nginx -t` takes an address that is in use for its own.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    server.configure(&format!("server {{ listen 127.0.0.1:{port}; }}"));
    server.target().stage(&rack.new).await.unwrap();
    rack.switch(&rack.new);
    let begun = Instant::now();
    let (what, _) = refusal(server.target().activate(&rack.new, Share::ALL).await);
    assert!(what.contains(": it stays with its old configuration: "), "{what}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(server.served().await, Some(rack.old.fingerprint));
}

#[tokio::test]
async fn a_stopped_master_refuses_at_stage_and_soon_after_the_switch() {
    let rack = Rack::new(&NAMES);
    let mut server = Server::new(&rack);
    server.start(None).await;
    server.hang().await;
    let (what, hint) = refusal(server.target().stage(&rack.new).await);
    assert!(what.contains("is stopped") && hint.starts_with("kill -CONT "), "{what} {hint}");
    let begun = Instant::now();
    let (what, hint) = refusal(server.target().activate(&rack.new, Share::ALL).await);
    assert!(what.contains("does not reload") && hint.starts_with("kill -CONT "), "{what} {hint}");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    server.resume().await;
}

#[tokio::test]
async fn a_key_the_master_may_not_read_is_found_before_the_switch() {
    let rack = Rack::new(&NAMES);
    let mut server = Server::new(&rack);
    let key = rack.new.archive_dir.join("privkey.pem");
    if geteuid().is_root() {
        let readable = rack.old.archive_dir.join("privkey.pem");
        fs::set_permissions(readable, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&server.room, Some(STRANGER), Some(STRANGER)).unwrap();
        server.start(Some(STRANGER)).await;
    } else {
        fs::set_permissions(&key, Permissions::from_mode(0o000)).unwrap();
        server.start(None).await;
    }
    let (what, hint) = refusal(server.target().stage(&rack.new).await);
    assert!(what.ends_with(&format!("who may not read {}", key.display())), "{what}");
    assert!(hint.contains("[permissions] of a.example.toml"), "{hint}");

    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    server.target().stage(&rack.new).await.unwrap();
    let closed = rack.new.live_dir.parent().unwrap();
    let mode = if geteuid().is_root() { 0o700 } else { 0o600 };
    fs::set_permissions(closed, Permissions::from_mode(mode)).unwrap();
    let staged = server.target().stage(&rack.new).await;
    fs::set_permissions(closed, Permissions::from_mode(0o755)).unwrap();
    if geteuid().is_root() {
        let (what, hint) = refusal(staged);
        assert!(what.ends_with(&closed.display().to_string()), "{what}");
        assert_eq!(hint, format!("chmod o+x {}", closed.display()));
    }
}

#[tokio::test]
async fn a_server_that_names_nothing_of_ours_is_mentioned() {
    let rack = Rack::new(&NAMES);
    let mut server = Server::new(&rack);
    server.start(None).await;
    let elsewhere = Rack::new(&["c.example"]);
    let told = server.target().activate(&elsewhere.old, Share::ALL).await.unwrap();
    assert!(told.output.contains("no server of nginx names a certificate in "), "{told:?}");
    assert!(server.target().endpoints(&elsewhere.old).await.is_empty());
}
