//! An ACME server that says whatever a test wants it to say.
//!
//! It believes everybody and checks nothing. Left alone it opens orders that need no proof and stay
//! in `processing` for ever.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What comes instead of an ordinary answer. `BASE` in texts stands for the server's own address.
#[derive(Clone, Debug)]
pub enum Act {
    Say {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Half of what was promised, and the end of the connection.
    Cut,
    /// The end of the connection, without a word.
    HangUp,
    /// Nothing, for ever.
    Silence,
    /// A body of a byte at a time, for ever.
    Drip(Duration),
    /// A body without end, as fast as it is taken.
    Flood,
}

pub fn say(status: u16, body: impl ToString) -> Act {
    Act::Say { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

pub fn problem(status: u16, kind: &str, detail: &str) -> Act {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    say(status, json!({ "type": kind, "detail": detail, "status": status }))
}

impl Act {
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Say { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

pub fn directory() -> Value {
    json!({ "newNonce": "BASE/nonce", "newAccount": "BASE/account", "newOrder": "BASE/new-order",
        "renewalInfo": "BASE/ari" })
}

pub fn order(status: &str) -> Value {
    json!({ "status": status, "identifiers": [{ "type": "dns", "value": "a.example" }],
        "authorizations": ["BASE/authz"], "finalize": "BASE/finalize" })
}

/// A new order of which something is changed.
pub fn opened(order: &Value) -> Act {
    say(201, order).with("location", "BASE/order")
}

pub fn edited(mut value: Value, pointer: &str, to: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = to;
    value
}

/// What the server's certificate is like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    Good,
    WrongName,
    Expired,
    /// Signed by another root than the one that is given out.
    UnknownRoot,
    /// Signed by a root of the same name and another key.
    OtherKey,
}

pub struct Hostile {
    pub base: String,
    pub root: PathBuf,
    script: Arc<Script>,
    _folder: TempDir,
}

#[derive(Default)]
struct Script {
    acts: Mutex<BTreeMap<String, Act>>,
    requests: Mutex<Vec<(String, String)>>,
}

impl Hostile {
    pub fn start() -> Self {
        Self::with_tls(Tls::Good)
    }

    pub fn with_tls(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let (root_pem, config) = identity(tls);
        let root = folder.path().join("root.pem");
        std::fs::write(&root, root_pem).unwrap();
        let script = Arc::<Script>::default();
        let (shared, own) = (Arc::clone(&script), base.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, script, base) =
                    (Arc::clone(&config), Arc::clone(&shared), own.clone());
                // A client that goes away is no failure of the test.
                thread::spawn(move || drop(converse(stream, config, &script, &base)));
            }
        });
        let hostile = Self { base, root, script, _folder: folder };
        hostile.plays("/directory", say(200, directory()));
        hostile.plays("/nonce", say(204, ""));
        hostile.plays(
            "/account",
            say(201, json!({ "status": "valid" })).with("location", "BASE/account/1"),
        );
        hostile.plays("/new-order", opened(&order("ready")));
        for path in ["/finalize", "/order"] {
            hostile.plays(path, say(200, order("processing")));
        }
        hostile
    }

    pub fn directory(&self) -> String {
        format!("{}/directory", self.base)
    }

    /// Changes what is said at a path, from now on.
    pub fn plays(&self, path: &str, act: Act) {
        self.script.acts.lock().unwrap().insert(path.to_owned(), act);
    }

    /// The bodies of the requests for a path.
    pub fn requests(&self, path: &str) -> Vec<String> {
        let requests = self.script.requests.lock().unwrap();
        let of_path = requests.iter().filter(|(asked, _)| asked == path);
        of_path.map(|(_, body)| body.clone()).collect()
    }
}

/// The root to give out, and what the server shows.
fn identity(tls: Tls) -> (String, Arc<ServerConfig>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
    };
    let (root, issuer) = authority("root");
    let name = if tls == Tls::WrongName { "elsewhere.example" } else { "127.0.0.1" };
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if tls == Tls::Expired {
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let shown = match tls {
        Tls::UnknownRoot => authority("another root").0,
        Tls::OtherKey => authority("root").0,
        _ => root,
    };
    (shown, Arc::new(config.unwrap()))
}

type Stream = BufReader<StreamOwned<ServerConnection, TcpStream>>;

/// Answers the requests of one connection.
fn converse(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    script: &Script,
    base: &str,
) -> std::io::Result<()> {
    let tls = ServerConnection::new(config).expect("the configuration was good for others");
    let mut stream = BufReader::new(StreamOwned::new(tls, stream));
    while let Some((path, body)) = request(&mut stream)? {
        let number = {
            let mut requests = script.requests.lock().unwrap();
            requests.push((path.clone(), body));
            requests.len()
        };
        let act = script.acts.lock().unwrap().get(&path).cloned();
        let act = act.unwrap_or_else(|| problem(404, "malformed", "no such path"));
        let stream = stream.get_mut();
        if !perform(stream, act, number, base)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The path and the body of the next request; `None` at the end of the connection.
fn request(stream: &mut Stream) -> std::io::Result<Option<(String, String)>> {
    let mut first = String::new();
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap();
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((path, String::from_utf8_lossy(&body).into_owned())))
}

/// Does it; `false` when the connection is over.
fn perform(stream: &mut impl Write, act: Act, number: usize, base: &str) -> std::io::Result<bool> {
    let promised = "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
    match act {
        Act::Say { status, headers, body } => {
            let body = match String::from_utf8(body) {
                Ok(text) => text.replace("BASE", base).into_bytes(),
                Err(bytes) => bytes.into_bytes(),
            };
            let mut head = format!("HTTP/1.1 {status} X\r\nreplay-nonce: n-{number}\r\n");
            for (name, value) in headers {
                head += &format!("{name}: {}\r\n", value.replace("BASE", base));
            }
            if status != 204 {
                head += &format!("content-length: {}\r\n", body.len());
            }
            stream.write_all(&[head.as_bytes(), b"\r\n", &body].concat())?;
            stream.flush()?;
            return Ok(true);
        }
        Act::Cut => stream.write_all(format!("{promised}{{\"newNonce\":").as_bytes())?,
        Act::HangUp => {}
        Act::Silence => loop {
            thread::park();
        },
        Act::Drip(pause) => {
            stream.write_all(promised.as_bytes())?;
            loop {
                stream.write_all(b" ")?;
                stream.flush()?;
                thread::sleep(pause);
            }
        }
        Act::Flood => {
            stream.write_all(promised.as_bytes())?;
            loop {
                stream.write_all(&[b' '; 64 * 1024])?;
            }
        }
    }
    stream.flush()?;
    Ok(false)
}
