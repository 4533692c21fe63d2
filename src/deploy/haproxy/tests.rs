//! Against the real HAProxy.

#![expect(clippy::disallowed_methods, reason = "sets the stage for tests")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::certificate::Fingerprint;
use crate::deploy::conformance::{Bed, Rack, conforms, leaf_at};
use crate::ports::free_ports;

/// A HAProxy in the foreground that serves bundles, ended with the test.
struct Server {
    room: PathBuf,
    at: SocketAddr,
    process: Child,
}

impl Server {
    /// Serves these files, the first one by default; `global` is added to its configuration.
    fn start(rack: &Rack, files: &[&Path], global: &str) -> Self {
        let room = rack.room("haproxy");
        // Somebody else may take a port before HAProxy does; then another one is tried.
        for _ in 0..5 {
            let [port] = free_ports();
            let port = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            fs::write(room.join("cfg"), configuration(&room, port, files, global)).unwrap();
            if let Some(process) = launch(&room) {
                return Self { room, at: port, process };
            }
        }
        panic!("HAProxy does not start: {}", said(&room));
    }

    /// Serves a bundle of the old certificate, `site.pem` in its own directory.
    fn with_old(rack: &Rack) -> (Self, PathBuf) {
        let file = rack.room("haproxy").join("site.pem");
        bundle(&rack.old, &file);
        (Self::start(rack, &[&file], ""), file)
    }

    /// Ends it, and starts it again with what lies on the disk now.
    fn restart(&mut self) {
        self.end();
        self.process = launch(&self.room).unwrap_or_else(|| panic!("{}", said(&self.room)));
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    fn socket(&self, name: &str) -> SocketAddress {
        SocketAddress::Unix(self.room.join(name))
    }

    fn runtime(&self) -> Runtime {
        Runtime { socket: self.socket("admin"), deadline: Runtime::DEADLINE }
    }

    /// The target, asked over the socket where everything is allowed.
    fn target(&self, file: Option<&Path>, reload: Option<&[&str]>) -> Haproxy {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let settings = Settings {
            socket: self.socket("admin"),
            file: file.map(Path::to_owned),
            reload: reload.map(|argv| Command::new(words(argv)).unwrap()),
        };
        Haproxy::new("haproxy:test".to_owned(), settings)
    }

    async fn served(&self) -> Option<Fingerprint> {
        leaf_at(self.at, "a.example").await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn configuration(room: &Path, at: SocketAddr, files: &[&Path], global: &str) -> String {
    let crt: String = files.iter().map(|file| format!(" crt \"{}\"", file.display())).collect();
    let room = room.display();
    format!(
        "global\n  stats socket {room}/admin mode 600 level admin\n  \
         stats socket {room}/operator mode 600 level operator\n  {global}\n\
         defaults\n  mode http\n  timeout client 30s\n  timeout server 5s\n  timeout connect 5s\n\
         frontend web\n  bind {at} ssl{crt}\n  http-request return status 200\n"
    )
}

/// `None` where it ends at once.
fn launch(room: &Path) -> Option<Child> {
    let log = fs::File::create(room.join("log")).unwrap();
    let _ = fs::remove_file(room.join("admin"));
    let mut haproxy = std::process::Command::new("haproxy");
    haproxy.args(["-db", "-f"]).arg(room.join("cfg")).stdin(Stdio::null()).stdout(Stdio::null());
    let mut process = haproxy.stderr(log).spawn().expect("haproxy is installed");
    for _ in 0..3000 {
        if UnixStream::connect(room.join("admin")).is_ok() {
            return Some(process);
        }
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    panic!("HAProxy does not listen: {}", said(room));
}

fn said(room: &Path) -> String {
    fs::read_to_string(room.join("log")).unwrap()
}

fn bundle(delivery: &Delivery, path: &Path) {
    let pair = Pair::archived(delivery, "test").unwrap();
    fs::write(path, pair.combined().as_bytes()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[track_caller]
fn refused<T>(result: Result<T, TargetError>) -> (String, String, Option<String>) {
    match result.err().expect("it is refused") {
        TargetError::Refused { what, output, hint, .. } => (what, output, hint),
        other => panic!("{other:?}"),
    }
}

#[async_trait]
impl Bed for Server {
    async fn served(&mut self) -> Option<Fingerprint> {
        Self::served(self).await
    }

    fn watched(&self) -> Vec<PathBuf> {
        vec![self.room.clone()]
    }

    async fn damage(&mut self) {
        let open = fs::Permissions::from_mode(0o666);
        fs::set_permissions(self.room.join("site.pem"), open).unwrap();
    }

    async fn mend(&mut self) {
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.room.join("site.pem"), private).unwrap();
    }

    async fn hang(&mut self) -> bool {
        self.signal(Signal::SIGSTOP);
        true
    }

    async fn resume(&mut self) {
        self.signal(Signal::SIGCONT);
    }
}

#[tokio::test]
async fn it_conforms() {
    let rack = Rack::new(&["a.example"]);
    let (mut server, _) = Server::with_old(&rack);
    let target = server.target(None, None);
    conforms(&target, &mut server, &rack).await;
}

/// A connection of a client that stays.
struct Client(Child);

impl Client {
    fn connected(at: SocketAddr) -> Self {
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["s_client", "-quiet", "-connect", &at.to_string()]);
        openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(openssl.spawn().expect("openssl is installed"))
    }

    fn is_answered(&mut self) -> bool {
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        self.0.stdin.as_mut().unwrap().write_all(request).unwrap();
        let mut lines = BufReader::with_capacity(1, self.0.stdout.as_mut().unwrap()).lines();
        let first = lines.next().is_some_and(|line| line.unwrap().starts_with("HTTP/1.1 200"));
        first && lines.any(|line| line.unwrap().is_empty())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_running_process_serves_the_new_one_and_so_does_the_next() {
    let rack = Rack::new(&["a.example", "*.a.example", "192.0.2.1"]);
    let (mut server, file) = Server::with_old(&rack);
    let target = server.target(None, None);
    let met = target.endpoints(&rack.new).await;
    assert!(met.iter().any(|it| it.at.to_string() == server.at.to_string()), "{met:?}");
    let mut client = Client::connected(server.at);
    assert!(client.is_answered());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();

    rack.switch(&rack.new);
    target.activate(&rack.new, Share::ALL).await.unwrap();
    assert_eq!(server.served().await, Some(rack.new.fingerprint));
    assert!(server.process.try_wait().unwrap().is_none(), "it is the same process");
    assert!(client.is_answered(), "a connection that is open stays open");
    let written = Pair::live(&rack.new, "test").unwrap().combined();
    assert_eq!(fs::read_to_string(&file).unwrap(), *written);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);

    server.restart();
    assert_eq!(server.served().await, Some(rack.new.fingerprint));
}

#[tokio::test]
async fn what_haproxy_refuses_changes_nothing() {
    let rack = Rack::new(&["a.example"]);
    let (server, file) = Server::with_old(&rack);
    let [old, new] = [&rack.old, &rack.new].map(|it| Pair::archived(it, "test").unwrap());
    let mixed = old.chain.pem() + &new.key.pem();
    let name = file.to_str().unwrap();
    for pem in [mixed.as_str(), "no certificate\n"] {
        let error = server.runtime().replace(name, pem).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Refused { .. }), "{error:?}");
        assert_eq!(server.runtime().loaded().await.unwrap().changing, None, "it is given up");
        assert_eq!(server.served().await, Some(rack.old.fingerprint));
    }
}

/// HAProxy would put ours into the change of the other.
#[tokio::test]
async fn a_change_that_somebody_else_began_is_left_alone() {
    let rack = Rack::new(&["a.example"]);
    let room = rack.room("haproxy");
    let [site, other] = ["site.pem", "other.pem"].map(|name| room.join(name));
    bundle(&rack.old, &site);
    bundle(&Rack::new(&["b.example"]).old, &other);
    let server = Server::start(&rack, &[&site, &other], "");
    let pem = Pair::archived(&rack.new, "test").unwrap().combined();
    server.runtime().set(other.to_str().unwrap(), &pem).await.unwrap();

    rack.switch(&rack.new);
    let target = server.target(Some(&site), None);
    let (what, _, hint) = refused(target.activate(&rack.new, Share::ALL).await);
    assert!(what.contains("other.pem") && hint.unwrap().contains("abort ssl cert"), "{what}");
    let changing = server.runtime().loaded().await.unwrap().changing;
    assert_eq!(changing.as_deref(), other.to_str());
    assert_eq!(server.served().await, Some(rack.old.fingerprint));
    // One that we began ourselves, and were cut off in, is taken up.
    server.runtime().ask("abort ssl cert", other.to_str().unwrap()).await.unwrap();
    server.runtime().set(site.to_str().unwrap(), &pem).await.unwrap();
    target.activate(&rack.new, Share::ALL).await.unwrap();
    assert_eq!(server.served().await, Some(rack.new.fingerprint));
}

#[tokio::test]
async fn the_file_is_found_by_its_names_or_has_to_be_named() {
    let rack = Rack::new(&["a.example", "192.0.2.1"]);
    let strangers = Rack::new(&["b.example"]);
    let room = rack.room("haproxy");
    let [site, spaced, other] = ["site.pem", "s p;ace.pem", "b.pem"].map(|name| room.join(name));
    bundle(&rack.old, &spaced);
    bundle(&strangers.old, &other);
    {
        let server = Server::start(&rack, &[&other, &spaced], "");
        server.target(None, None).stage(&rack.new).await.unwrap();
        // By its names alone, as none is of the generation that is to be restored.
        rack.switch(&rack.new);
        server.target(None, None).activate(&rack.new, Share::ALL).await.unwrap();
        assert_eq!(server.served().await, Some(rack.new.fingerprint));
        let unknown = server.target(Some(&site), None).stage(&rack.new).await;
        let (what, output, hint) = refused(unknown);
        assert!(what.ends_with("site.pem is not a file that HAProxy has loaded"), "{what}");
        assert!(output.contains("b.pem") && hint.unwrap().contains("crt"), "{output}");
    }
    bundle(&rack.old, &site);
    let server = Server::start(&rack, &[&site, &other, &spaced], "");
    let (what, output, hint) = refused(server.target(None, None).stage(&rack.new).await);
    assert!(what.contains("several"), "{what}");
    assert!(output.contains("site.pem") && !output.contains("b.pem"), "{output}");
    assert!(hint.unwrap().contains("`file`"));
    server.target(Some(&site), None).stage(&rack.new).await.unwrap();
    let none = server.target(None, None).stage(&Rack::new(&["c.example"]).new).await;
    assert!(refused(none).0.contains("no certificate"));
}

#[tokio::test]
async fn stage_tells_what_is_missing() {
    let rack = Rack::new(&["a.example"]);
    let (mut server, file) = Server::with_old(&rack);
    let over = |socket| Haproxy::new("h".to_owned(), Settings { socket, file: None, reload: None });
    let (_, _, hint) = refused(over(server.socket("operator")).stage(&rack.new).await);
    assert!(hint.unwrap().starts_with("add `level admin` to the line `stats socket /"));

    let target = server.target(None, None);
    fs::rename(&file, file.with_extension("gone")).unwrap();
    std::os::unix::fs::symlink(file.with_extension("gone"), &file).unwrap();
    assert!(refused(target.stage(&rack.new).await).0.contains("symbolic link"));

    server.end();
    let error = target.stage(&rack.new).await.unwrap_err();
    assert!(matches!(error, TargetError::Io { .. }), "{error:?}");
}

/// It cannot start without the file, and the file cannot come from anywhere else.
#[tokio::test]
async fn one_that_never_ran_gets_its_first_file() {
    let rack = Rack::new(&["a.example"]);
    let socket = SocketAddress::Unix(rack.room("haproxy").join("nobody"));
    let file = rack.room("haproxy").join("site.pem");
    let settings = |file| Settings { socket: socket.clone(), file, reload: None };
    rack.switch(&rack.new);
    let unnamed = Haproxy::new("h".to_owned(), settings(None));
    assert!(unnamed.activate(&rack.new, Share::ALL).await.is_err());
    let target = Haproxy::new("h".to_owned(), settings(Some(file.clone())));
    let told = target.activate(&rack.new, Share::ALL).await.unwrap();
    assert!(told.output.starts_with("h does not run; it reads /"), "{}", told.output);
    let written = fs::read_to_string(&file).unwrap();
    let chain = fs::read_to_string(rack.new.fullchain()).unwrap();
    let key = fs::read_to_string(rack.new.privkey()).unwrap();
    assert_eq!(written, chain + &key);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// HAProxy hangs up on what is longer than its buffer, and a reload does not care.
#[tokio::test]
async fn what_the_socket_cannot_do_is_left_to_a_reload() {
    let names = (0..16).map(|number| format!("{number}.{}.example", "long".repeat(15)));
    let names: Vec<String> = ["a.example".to_owned()].into_iter().chain(names).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rack = Rack::new(&names);
    let file = rack.room("haproxy").join("site.pem");
    bundle(&rack.old, &file);
    let server = Server::start(&rack, &[&file], "tune.bufsize 1024");
    rack.switch(&rack.new);
    let by_socket = server.target(Some(&file), None).activate(&rack.new, Share::ALL).await;
    let (what, output, hint) = refused(by_socket);
    assert!(hint.is_some_and(|hint| hint.contains("tune.bufsize")), "{what}: {output}");
    let before = fs::read(&file).unwrap();
    assert_eq!(before, Pair::archived(&rack.old, "test").unwrap().combined().as_bytes());

    let reloaded = server.room.join("reloaded");
    let target = server.target(Some(&file), Some(&["touch", reloaded.to_str().unwrap()]));
    target.stage(&rack.new).await.unwrap();
    target.activate(&rack.new, Share::ALL).await.unwrap();
    assert!(reloaded.exists());
    let written = Pair::live(&rack.new, "test").unwrap().combined();
    assert_eq!(fs::read_to_string(&file).unwrap(), *written);
}

#[tokio::test]
async fn a_file_among_the_live_ones_is_left_to_the_switch() {
    let rack = Rack::new(&["a.example"]);
    let file = rack.old.live_dir.join("site.pem");
    bundle(&rack.old, &file);
    let server = Server::start(&rack, &[&file], "");
    rack.switch(&rack.new);
    server.target(None, None).activate(&rack.new, Share::ALL).await.unwrap();
    assert_eq!(server.served().await, Some(rack.new.fingerprint));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_socket_on_loopback_will_do() {
    let rack = Rack::new(&["a.example"]);
    let file = rack.room("haproxy").join("site.pem");
    bundle(&rack.old, &file);
    let [port] = free_ports();
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let server = Server::start(&rack, &[&file], &format!("stats socket {at} level admin"));
    rack.switch(&rack.new);
    let socket = SocketAddress::Loopback(at);
    let target = Haproxy::new("h".to_owned(), Settings { socket, file: None, reload: None });
    target.stage(&rack.new).await.unwrap();
    target.activate(&rack.new, Share::ALL).await.unwrap();
    assert_eq!(server.served().await, Some(rack.new.fingerprint));
}
