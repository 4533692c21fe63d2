//! `serve`: in front of an application, challenges are answered and nothing else is touched.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::nginx::Nginx;
use crate::support::{DEADLINE, Running, free_ports, wait_for};

/// A `serve` that is ready.
struct Serve {
    process: Running,
    port: u16,
}

impl Serve {
    /// In front of what listens on `upstream`.
    fn start(agent: &Agent, port: u16, upstream: u16) -> Self {
        let (listen, upstream) =
            (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{upstream}"));
        Self::of(agent.command(&["--json", "serve", "--listen", &listen, "--upstream", &upstream]))
    }

    fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Running(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(process.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            panic!("not ready: {line:?} {:?}", process.ends());
        };
        assert_eq!(ready["pid"], process.0.id(), "{ready}");
        let address = ready["addresses"][0].as_str().unwrap();
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        Self { process, port }
    }

    /// The most memory it ever took, in MiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Sends bytes as they are and returns all that comes back.
    fn exchange(&self, request: &str) -> String {
        let mut stream = connect(self.port);
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = Vec::new();
        // A reset after a refusal is as good as an end.
        let _ = stream.read_to_end(&mut reply);
        String::from_utf8_lossy(&reply).into_owned()
    }

    /// The status code of a path at a host.
    fn status(&self, path: &str, host: &str) -> u16 {
        let reply = self.exchange(&get(path, host));
        reply
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("{reply:?}"))
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

/// An application: for each connection it is given the head of the first request, and the stream.
fn application(answer: impl Fn(String, BufReader<TcpStream>) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    // The thread ends with the test process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap_or(0) > 0 {}
                answer(head, stream);
            });
        }
    });
    port
}

fn say(stream: &mut BufReader<TcpStream>, text: &str) {
    // The other end may have gone.
    let _ = stream.get_mut().write_all(text.as_bytes());
}

/// An application that says it is there, and remembers what it was asked.
fn recorder() -> (u16, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&heads);
    let port = application(move |head, mut stream| {
        kept.lock().unwrap().push(head);
        say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes");
    });
    (port, heads)
}

/// The address of nobody.
fn nobody() -> u16 {
    free_ports::<1>()[0]
}

/// A conversation with the desk of a home.
struct Desk(BufReader<UnixStream>);

impl Desk {
    fn of(agent: &Agent) -> Self {
        let stream = UnixStream::connect(agent.path("state/serve.sock")).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, text: &str) -> Option<Value> {
        writeln!(self.0.get_mut(), "{text}").ok()?;
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    fn present(&mut self, identifier: &str, token: &str) -> Value {
        let wish = json!({"op": "present", "identifier": identifier, "token": token,
            "key_authorization": format!("{token}.thumbprint")});
        self.say(&wish.to_string()).unwrap()
    }
}

const FOLDER: &str = "/.well-known/acme-challenge/";

#[test]
fn an_application_answers_before_during_and_after() {
    need!("nginx", "curl");
    let ca = Ca::start();
    let agent = ca.agent();
    let [behind] = free_ports();
    let nginx = Nginx::serving_files(behind);
    fs::write(nginx.webroot.join("index.html"), "the application").unwrap();
    let serve = Arc::new(Serve::start(&agent, ca.http_port, behind));
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visitor = thread::spawn({
        let (serve, done, asked) = (Arc::clone(&serve), Arc::clone(&done), Arc::clone(&asked));
        move || {
            while !done.load(Ordering::Relaxed) {
                let reply = serve.exchange(&get("/", "a.example"));
                assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
                assert!(reply.ends_with("\r\n\r\nthe application"), "{reply}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let more = |count: usize| {
        let before = asked.load(Ordering::Relaxed);
        wait_for("visits", || asked.load(Ordering::Relaxed) >= before + count);
    };
    more(3);
    agent.run(&["issue", "-d", "127.0.0.1", "-d", "a.example"]).exits(0);
    agent.run(&["renew", "--force"]).exits(0);
    more(3);
    done.store(true, Ordering::Relaxed);
    visitor.join().unwrap();
    println!("{} visits beside two orders", asked.load(Ordering::Relaxed));
    assert_eq!(agent.generations("127.0.0.1"), 2);
    agent.run(&["doctor"]).shows(&["http-01 can be answered here"]);
}

#[test]
fn only_known_tokens_of_the_right_host_and_never_the_application() {
    let agent = Agent::new();
    let (behind, heads) = recorder();
    let serve = Serve::start(&agent, 0, behind);
    let mut desk = Desk::of(&agent);
    assert_eq!(desk.present("a.example", "token"), "done");
    assert_eq!(desk.present("2001:db8::1", "other"), "done");
    let reply = serve.exchange(&get(&format!("{FOLDER}token"), "a.example"));
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.ends_with("\r\n\r\ntoken.thumbprint"), "{reply}");
    assert_eq!(serve.status(&format!("{FOLDER}other"), "[2001:db8::1]"), 200);
    for host in ["b.example", "x.a.example", "127.0.0.1", "[2001:db8::1]"] {
        assert_eq!(serve.status(&format!("{FOLDER}token"), host), 404, "{host}");
    }
    let long = "a".repeat(513);
    for path in
        ["", "other", "token/", "../token", "x/../token", "%2e%2e/x", "tok%65n", "token%00", &long]
    {
        assert_eq!(serve.status(&format!("{FOLDER}{path}"), "a.example"), 404, "{path}");
    }
    let post = format!(
        "POST {FOLDER}token HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\
                        Connection: close\r\n\r\n"
    );
    assert!(serve.exchange(&post).starts_with("HTTP/1.1 404 "));
    assert_eq!(*heads.lock().unwrap(), Vec::<String>::new(), "nothing of it was passed on");
    for path in [
        "/",
        "/.well-known/other",
        "/.well-known/acme-challenge",
        "/x?.well-known/acme-challenge/token",
    ] {
        assert_eq!(serve.status(path, "a.example"), 200, "{path}");
    }
    assert_eq!(heads.lock().unwrap().len(), 4);
    // Taken back, or gone with whoever brought it.
    let back = json!({"op": "withdraw", "identifier": "a.example", "token": "token"});
    assert_eq!(desk.say(&back.to_string()).unwrap(), "done");
    assert_eq!(serve.status(&format!("{FOLDER}token"), "a.example"), 404);
    drop(desk);
    wait_for("the answer to be gone", || {
        serve.status(&format!("{FOLDER}other"), "[2001:db8::1]") == 404
    });
}

#[test]
fn the_desk_takes_nothing_strange() {
    let agent = Agent::new();
    let serve = Serve::start(&agent, 0, nobody());
    let socket = agent.path("state/serve.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o600);
    let present = |identifier: &str, token: &str, key: &str| {
        json!({"op": "present", "identifier": identifier, "token": token, "key_authorization": key})
            .to_string()
    };
    for bad in [
        present("*.a.example", "token", "token.x"),
        present("a b", "token", "token.x"),
        present("a.example", "../token", "../token.x"),
        present("a.example", "token", "other.x"),
        present("a.example", "token", "token.x\r\nSet-Cookie: y"),
    ] {
        let reply = Desk::of(&agent).say(&bad).unwrap();
        assert!(reply["refused"].is_string(), "{bad}: {reply}");
    }
    for bad in ["", "{}", "{\"op\":\"exec\"}", "\u{0}", &"x".repeat(100_000)] {
        assert_eq!(Desk::of(&agent).say(bad), None, "{bad:.20}");
    }
    let here = Desk::of(&agent).say("{\"op\":\"hello\"}").unwrap();
    assert_eq!(here["here"]["addresses"][0], format!("127.0.0.1:{}", serve.port));
    // One that lives is never replaced.
    let again =
        agent.run(&["serve", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1"]);
    again.exits(7).says(&[&format!("held by process {}", serve.process.0.id())]);
    assert!(Desk::of(&agent).say("{\"op\":\"hello\"}").is_some());
}

#[test]
fn without_the_application_challenges_are_still_answered() {
    need!("curl");
    let ca = Ca::start();
    let agent = ca.agent();
    let serve = Serve::start(&agent, ca.http_port, nobody());
    let reply = serve.exchange(&get("/", "a.example"));
    assert!(reply.starts_with("HTTP/1.1 502 "), "{reply}");
    assert!(reply.ends_with("cannot be reached\n"), "{reply}");
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    assert_eq!(serve.status("/", "a.example"), 502);
}

#[test]
fn what_is_passed_on_is_unchanged() {
    let agent = Agent::new();
    let (behind, heads) = recorder();
    let serve = Serve::start(&agent, 0, behind);
    let seen = |request: &str| {
        let reply = serve.exchange(request);
        assert!(reply.starts_with("HTTP/1.") && reply.contains(" 200 OK\r\n"), "{reply}");
        heads.lock().unwrap().pop().unwrap()
    };
    let head = seen(
        "GET /a%2Fb/../c?d=%20 HTTP/1.1\r\nHost: A.example:81\r\nX-CamelCase: 1\r\nCookie: a\r\n\
         Cookie: b\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nTE: trailers\r\n\
         Keep-Alive: 5\r\nX-Hop: 1\r\nConnection: close, x-hop, host\r\nUpgrade: h2c\r\n\r\n",
    );
    assert!(head.starts_with("GET /a%2Fb/../c?d=%20 HTTP/1.1\r\n"), "{head}");
    for line in [
        "Host: A.example:81",
        "X-CamelCase: 1",
        "Cookie: a",
        "Cookie: b",
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 192.0.2.1, 127.0.0.1",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    for gone in ["keep-alive", "x-hop", "upgrade", "te:", "via", "close"] {
        assert!(!head.to_lowercase().contains(gone), "{gone}: {head}");
    }
    let head =
        seen("GET http://me@b.example/x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("GET /x HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("host: b.example\r\n"), "{head}");
    let head = seen("GET / HTTP/1.0\r\n\r\n");
    assert!(head.to_lowercase().contains("\r\nx-forwarded-proto: http\r\n"), "{head}");
    assert!(head.to_lowercase().contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{head}");
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(1000));
    for (request, status) in [
        (large.as_str(), "431"),
        (&many, "431"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", "400"),
        ("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", "501"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let reply = serve.exchange(request);
        assert_eq!(reply.split(' ').nth(1), Some(status), "{request:.60}: {reply}");
    }
    assert_eq!(heads.lock().unwrap().len(), 0);
}

#[test]
fn one_connection_serves_several_requests_and_heads_have_no_body() {
    need!("nginx");
    let agent = Agent::new();
    let [behind] = free_ports();
    let nginx = Nginx::serving_files(behind);
    fs::write(nginx.webroot.join("a"), "content").unwrap();
    let serve = Serve::start(&agent, 0, behind);
    let mut stream = connect(serve.port);
    let head = "HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
    // Two at once, then one that ends it.
    stream.write_all(format!("{head}{}", head.replace("/a", "/none")).as_bytes()).unwrap();
    stream.write_all(get("/a", "a.example").as_bytes()).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let answers: Vec<&str> = all.split_inclusive("\r\n\r\n").collect();
    let [first, second, third, "content"] = answers[..] else { panic!("{all}") };
    assert!(
        first.starts_with("HTTP/1.1 200 OK\r\n") && first.contains("Content-Length: 7\r\n"),
        "{all}"
    );
    assert!(second.starts_with("HTTP/1.1 404 Not Found\r\n"), "{all}");
    assert!(third.starts_with("HTTP/1.1 200 OK\r\n") && third.contains("Server: nginx"), "{all}");
}

#[test]
fn an_application_that_hangs_up_unasked_is_called_again() {
    let agent = Agent::new();
    let (behind, heads) = {
        let heads = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&heads);
        let port = application(move |_, mut stream| {
            count.fetch_add(1, Ordering::Relaxed);
            say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nyes\n");
        });
        (port, heads)
    };
    let serve = Serve::start(&agent, 0, behind);
    let mut stream = BufReader::new(connect(serve.port));
    for number in 0..300 {
        stream.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        let mut line = String::new();
        while line != "yes\n" {
            line.clear();
            assert!(stream.read_line(&mut line).unwrap() > 0, "request {number}");
            assert!(!line.contains(" 502 "), "request {number}");
        }
    }
    assert_eq!(heads.load(Ordering::Relaxed), 300);
}

#[test]
fn an_upgrade_passes_and_carries_bytes_both_ways() {
    let agent = Agent::new();
    let behind = application(|head, mut stream| {
        let lower = head.to_lowercase();
        let asked = lower.contains("\r\nupgrade: websocket\r\n")
            && lower.contains("\r\nconnection: upgrade\r\n")
            && head.contains("\r\nSec-WebSocket-Key: x\r\n");
        if !asked {
            return say(&mut stream, "HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n");
        }
        say(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                          Upgrade: websocket\r\n\r\nhello",
        );
        let mut word = [0; 4];
        while stream.read_exact(&mut word).is_ok() {
            stream.get_mut().write_all(&word).unwrap();
        }
    });
    let serve = Serve::start(&agent, 0, behind);
    let mut stream = connect(serve.port);
    let request = "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\nhello") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(
        head.starts_with("http/1.1 101 ") && head.contains("\r\nupgrade: websocket\r\n"),
        "{head}"
    );
    for word in [b"ping", b"pong", b"\0\xff\r\n"] {
        stream.write_all(word).unwrap();
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, word);
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the end passes as well");

    // One that is open has no end of its own: it does not keep a `serve` that is told to stop.
    let mut stream = connect(serve.port);
    stream.write_all(request.as_bytes()).unwrap();
    assert!(stream.read(&mut [0]).unwrap() > 0);
    let began = Instant::now();
    serve.process.signal(Signal::SIGTERM);
    serve.process.ends().exits(0);
    // Less than what is under way is given to end.
    assert!(began.elapsed() < Duration::from_secs(9));
}

#[test]
fn an_announced_body_waits_for_the_word_of_the_application() {
    let agent = Agent::new();
    let behind = application(|head, mut stream| match head.split(' ').nth(1).unwrap() {
        "/refused" => say(&mut stream, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"),
        path => {
            if path == "/asked" {
                say(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n");
            }
            let mut body = [0; 4];
            stream.read_exact(&mut body).unwrap();
            assert_eq!(&body, b"body");
            say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let serve = Serve::start(&agent, 0, behind);
    let ask = |path: &str| {
        let mut stream = BufReader::new(connect(serve.port));
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\
                            Expect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        let mut first = String::new();
        stream.read_line(&mut first).unwrap();
        if !first.starts_with("HTTP/1.1 100 ") {
            return first;
        }
        stream.get_mut().write_all(b"body").unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        format!("{first}{rest}")
    };
    assert_eq!(ask("/refused"), "HTTP/1.1 401 No\r\n");
    // One that never says the word is given the body all the same.
    for path in ["/asked", "/silent"] {
        let replies = ask(path);
        assert!(replies.contains("\r\nHTTP/1.1 200 OK\r\n"), "{path}: {replies}");
    }
}

#[test]
fn large_bodies_stream_both_ways() {
    need!("nginx", "curl");
    const SIZE: u64 = 256 << 20;
    let agent = Agent::new();
    let [files] = free_ports();
    let nginx = Nginx::serving_files(files);
    fs::File::create(nginx.webroot.join("large")).unwrap().set_len(SIZE).unwrap();
    let curl = |port: u16, more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "--max-time", "60", "-o", "/dev/null", "-w", "%{size_download}"]);
        let output =
            curl.args(more).arg(format!("http://127.0.0.1:{port}/large")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let serve = Serve::start(&agent, 0, files);
    assert_eq!(curl(serve.port, &[]), SIZE.to_string());
    println!("a download of {} MiB took {} MiB of memory", SIZE >> 20, serve.memory());
    assert!(serve.memory() < 64, "{} MiB", serve.memory());

    let (sender, received) = mpsc::channel();
    let sender = Mutex::new(sender);
    let sink = application(move |_, mut stream| {
        let mut body = (&mut stream).take(SIZE);
        sender
            .lock()
            .unwrap()
            .send(std::io::copy(&mut body, &mut std::io::sink()).unwrap())
            .unwrap();
        say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let other = Agent::new();
    let serve = Serve::start(&other, 0, sink);
    curl(serve.port, &["-T", nginx.webroot.join("large").to_str().unwrap()]);
    assert_eq!(received.recv_timeout(DEADLINE).unwrap(), SIZE);
    println!("an upload of {} MiB took {} MiB of memory", SIZE >> 20, serve.memory());
    assert!(serve.memory() < 64, "{} MiB", serve.memory());
}

#[test]
fn a_flood_of_slow_visitors_hinders_nobody() {
    need!("curl");
    let ca = Ca::start();
    let agent = ca.agent();
    let (behind, _) = recorder();
    let serve = Serve::start(&agent, ca.http_port, behind);
    let mut slow = Vec::new();
    for number in 0..1500 {
        let mut stream = connect(serve.port);
        if number % 3 > 0 {
            // Those that had to make room cannot be written to.
            let _ = stream.write_all(b"GET /.well-known/acme-challenge/x HTTP/1.1\r\nHo");
        }
        // The test has descriptors of its own to mind.
        if slow.len() == 500 {
            slow.clear();
        }
        slow.push(stream);
    }
    let began = Instant::now();
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    assert_eq!(serve.status("/", "a.example"), 200);
    println!(
        "issued in {} ms beside {} slow visitors, with {} MiB of memory",
        began.elapsed().as_millis(),
        slow.len(),
        serve.memory()
    );
    assert!(began.elapsed() < DEADLINE);
}

/// A CA that looks elsewhere than at the `serve`, where its question is heard and not answered: an
/// `issue` under way for as long as one likes, and the path it was asked for.
fn an_issue_under_way(agent: &Agent, ca: &Ca) -> (Running, TcpStream, String) {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, ca.http_port)).unwrap();
    let issue = agent.spawn(&["issue", "-d", "127.0.0.1"]);
    let (stream, _) = silent.accept().unwrap();
    let mut question = String::new();
    BufReader::new(&stream).read_line(&mut question).unwrap();
    let path = question.split(' ').nth(1).unwrap().to_owned();
    assert!(path.starts_with(FOLDER), "{question}");
    (issue, stream, path)
}

#[test]
fn it_waits_for_a_run_that_has_the_port() {
    need!("curl");
    let ca = Ca::start();
    let [port] = free_ports();
    let agent = Agent::ordering_at(&ca.directory, &ca.tls_root, port, ca.tls_port);
    let (issue, question, path) = an_issue_under_way(&agent, &ca);
    let (ready, is_ready) = mpsc::channel();
    let serving = thread::spawn({
        let command = agent.command(&[
            "--json",
            "serve",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--upstream",
            &format!("http://127.0.0.1:{}", nobody()),
        ]);
        move || {
            let serve = Serve::of(command);
            ready.send(()).unwrap();
            serve
        }
    });
    assert!(is_ready.recv_timeout(Duration::from_millis(300)).is_err(), "the port is taken");
    drop(question);
    issue.ends().exits(3);
    is_ready.recv_timeout(DEADLINE).unwrap();
    assert_eq!(serving.join().unwrap().status(&path, "127.0.0.1"), 404);
}

#[test]
fn a_run_that_is_killed_leaves_no_answer() {
    need!("curl");
    let ca = Ca::start();
    let [port] = free_ports();
    let agent = Agent::ordering_at(&ca.directory, &ca.tls_root, port, ca.tls_port);
    let serve = Serve::start(&agent, port, nobody());
    let (mut issue, _question, path) = an_issue_under_way(&agent, &ca);
    assert_eq!(serve.status(&path, "127.0.0.1"), 200);
    issue.end();
    wait_for("the answer to be gone", || serve.status(&path, "127.0.0.1") == 404);
}

#[test]
fn when_it_is_killed_a_run_under_way_fails_and_the_next_does_without() {
    need!("curl");
    let ca = Ca::start();
    let [port] = free_ports();
    let agent = Agent::ordering_at(&ca.directory, &ca.tls_root, port, ca.tls_port);
    let mut serve = Serve::start(&agent, port, nobody());
    let (issue, question, path) = an_issue_under_way(&agent, &ca);
    assert_eq!(serve.status(&path, "127.0.0.1"), 200);
    serve.process.end();
    drop(question);
    issue.ends().exits(3).says(&["127.0.0.1"]);

    // What it left behind hinders neither a run of its own nor its successor.
    let agent = ca.agent();
    let mut serve = Serve::start(&agent, ca.http_port, nobody());
    serve.process.end();
    assert!(agent.path("state/serve.sock").exists());
    agent.run(&["issue", "-d", "127.0.0.1"]).exits(0);
    let serve = Serve::start(&agent, ca.http_port, nobody());
    agent.run(&["renew", "--force"]).exits(0);
    assert_eq!(serve.status("/", "127.0.0.1"), 502);
    assert_eq!(agent.generations("127.0.0.1"), 2);
}

#[test]
fn told_to_stop_it_finishes_what_is_under_way() {
    let agent = Agent::new();
    let (heard, hears) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (heard, released) = (Mutex::new(heard), Mutex::new(released));
    let behind = application(move |_, mut stream| {
        heard.lock().unwrap().send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
        say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    });
    let manager = agent.path("notify");
    let manager_socket = UnixDatagram::bind(&manager).unwrap();
    manager_socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let upstream = format!("http://127.0.0.1:{behind}");
    let mut command =
        agent.command(&["--json", "serve", "--listen", "127.0.0.1:0", "--upstream", &upstream]);
    command.env("NOTIFY_SOCKET", &manager);
    let serve = Serve::of(command);
    let told = || {
        let mut text = [0; 256];
        let length = manager_socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    assert_eq!(told().trim(), "READY=1");
    let (mut busy, mut idle) = (connect(serve.port), connect(serve.port));
    busy.write_all(get("/", "a.example").as_bytes()).unwrap();
    hears.recv_timeout(DEADLINE).unwrap();
    serve.process.signal(Signal::SIGTERM);
    assert_eq!(told().trim(), "STOPPING=1");
    wait_for("the port to be free", || {
        let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port));
        refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)), "who asks nothing is let go");
    release.send(()).unwrap();
    let mut reply = String::new();
    busy.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("done"), "{reply}");
    serve.process.ends().exits(0);
    assert!(!agent.path("state/serve.sock").exists());
}

#[test]
fn what_cannot_be_is_said() {
    let agent = Agent::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = taken.local_addr().unwrap();
    let serve = |listen: &str, upstream: &str| {
        agent.run(&["serve", "--listen", listen, "--upstream", upstream]).exits(2)
    };
    let us = format!("(process {})", std::process::id());
    let _ = serve(&taken.to_string(), "http://127.0.0.1:1").says(&[
        &format!("port {} is in use by", taken.port()),
        &us,
        "hint:",
        "--upstream",
    ]);
    let [own] = free_ports();
    let own = format!("127.0.0.1:{own}");
    let _ = serve(&own, &format!("http://{own}")).says(&["where this itself listens"]);
    let _ = serve("127.0.0.1:0", "https://127.0.0.1").says(&["plain HTTP"]);
    let _ = agent.run(&["serve"]).exits(2).says(&["--upstream"]);

    // The one of another home is no run that would soon be done with the port.
    need!("curl");
    let ca = Ca::start();
    let front = Serve::start(&agent, ca.http_port, nobody());
    let began = Instant::now();
    let ran = ca.agent().run(&["issue", "-d", "127.0.0.1"]).exits(3);
    ran.says(&[&format!("acmeagent-serve (process {})", front.process.0.id()), "--home of that"]);
    assert!(began.elapsed() < DEADLINE);
    assert!(Path::new("/proc").join(front.process.0.id().to_string()).exists());
}
