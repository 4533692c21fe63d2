//! BIND and Knot with zones of the tests' own, on a port of loopback.

#![expect(clippy::disallowed_methods, reason = "sets the stage for tests")]

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use hickory_net::proto::op::{Message, Query, ResponseCode};
use hickory_net::proto::rr::{RData, RecordType};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::challenge::dns01::conformance::Bed;
use crate::dns;
use crate::ports::free_ports;

/// The secrets of the key `acme`, which each server knows, and of another.
pub(super) const SECRET: &str = "c2VjcmV0cyBhcmUgc2FmZSB3aXRoIHRlc3RzIG9mIG91cnM=";
pub(super) const OTHER_SECRET: &str = "YW5vdGhlciBzZWNyZXQgaXMgbm90IHRoZSBzYW1lIG9uZSE=";

/// A zone that the key may edit, one in which it may write a single name, one that takes updates
/// from nobody, and one that takes them from this host without a key.
pub(super) const WIDE: &str = "wide.example";
pub(super) const NARROW: &str = "narrow.example";
pub(super) const CLOSED: &str = "closed.example";
pub(super) const KEYLESS: &str = "keyless.example";
const ZONES: [&str; 4] = [WIDE, NARROW, CLOSED, KEYLESS];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Make {
    Bind,
    Knot,
}

pub(super) struct Server {
    pub(super) make: Make,
    pub(super) at: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Server {
    pub(super) async fn start(make: Make) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        for zone in ZONES {
            let text = "$TTL 300\n@ SOA ns admin 1 60 60 60 1\n@ NS ns\nns A 127.0.0.1\n";
            fs::write(folder.path().join(zone), text).unwrap();
        }
        let (program, config) = match make {
            Make::Bind => ("named", bind(folder.path(), port)),
            Make::Knot => ("knotd", knot(folder.path(), port)),
        };
        let path = folder.path().join("config");
        fs::write(&path, config).unwrap();
        let log = fs::File::create(folder.path().join("output")).unwrap();
        let mut command = Command::new(program);
        if make == Make::Bind {
            command.args(["-g", "-n", "1"]);
        }
        command.arg("-c").arg(&path).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("start {program}, which tests/setup.sh installs: {error}")
        });
        let at = (Ipv4Addr::LOCALHOST, port).into();
        let mut server = Self { make, at, child, folder };
        let began = Instant::now();
        while !server.is_ready().await {
            let log = || fs::read_to_string(server.folder.path().join("output")).unwrap();
            assert!(server.child.try_wait().unwrap().is_none(), "{program} ended: {}", log());
            assert!(began.elapsed() < Duration::from_secs(20), "{program} is silent: {}", log());
            sleep(Duration::from_millis(20)).await;
        }
        server
    }

    async fn is_ready(&self) -> bool {
        for zone in ZONES {
            let answer = ask(self.at, zone, RecordType::SOA).await;
            if answer.is_none_or(|answer| answer.metadata.response_code != ResponseCode::NoError) {
                return false;
            }
        }
        true
    }

    pub(super) async fn serial(&self, zone: &str) -> u32 {
        let answer = ask(self.at, zone, RecordType::SOA).await.unwrap();
        let RData::SOA(soa) = &answer.answers[0].data else { panic!("{answer}") };
        soa.serial
    }

    pub(super) async fn texts(&self, owner: &str) -> Vec<String> {
        let answer = ask(self.at, owner, RecordType::TXT).await.unwrap();
        let text = |data: &RData| match data {
            RData::TXT(text) => String::from_utf8(text.txt_data.concat()).unwrap(),
            other => panic!("{other}"),
        };
        answer.answers.iter().map(|record| text(&record.data)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[async_trait]
impl Bed for Server {
    fn apex(&self) -> String {
        WIDE.to_owned()
    }

    async fn served(&mut self, owner: &str) -> Vec<String> {
        self.texts(owner).await
    }

    /// By another program, and with another TTL than ours.
    async fn plant(&mut self, owner: &str, value: &str) {
        let mut update = Command::new("knsupdate")
            .args(["-y", &format!("hmac-sha256:acme:{SECRET}")])
            .stdin(Stdio::piped())
            .spawn()
            .expect("start knsupdate, which tests/setup.sh installs");
        let lines = format!(
            "server {} {}\nzone {WIDE}\nadd {owner}. 300 TXT \"{value}\"\nsend\n",
            self.at.ip(),
            self.at.port()
        );
        update.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(update.wait().unwrap().success());
    }
}

async fn ask(at: SocketAddr, name: &str, kind: RecordType) -> Option<Message> {
    let mut message = Message::query();
    message.add_query(Query::query(dns::name(name).unwrap(), kind));
    let bytes = message.to_vec().unwrap();
    let mut stream = TcpStream::connect(at).await.ok()?;
    let length = u16::try_from(bytes.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await.ok()?;
    let mut answer = vec![0; stream.read_u16().await.ok()?.into()];
    stream.read_exact(&mut answer).await.ok()?;
    Some(Message::from_vec(&answer).unwrap())
}

fn bind(home: &Path, port: u16) -> String {
    let home = home.display();
    let mut text = format!(
        "options {{ directory \"{home}\"; pid-file none; lock-file none;\n\
         session-keyfile \"{home}/session\"; listen-on port {port} {{ 127.0.0.1; }};\n\
         listen-on-v6 {{ none; }}; recursion no; }};\ncontrols {{ }};\n\
         key \"acme\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n"
    );
    for (zone, policy) in [
        (WIDE, "allow-update { key acme; };".to_owned()),
        (NARROW, format!("update-policy {{ grant acme name _acme-challenge.{NARROW}. TXT; }};")),
        (CLOSED, String::new()),
        (KEYLESS, "allow-update { 127.0.0.1; };".to_owned()),
    ] {
        text += &format!("zone \"{zone}\" {{ type primary; file \"{zone}\"; {policy} }};\n");
    }
    text
}

fn knot(home: &Path, port: u16) -> String {
    let home = home.display();
    format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: {home}\n\
         database:\n  storage: {home}\n\
         log:\n  - target: stderr\n    any: info\n\
         key:\n  - id: acme\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
         acl:\n  - id: wide\n    key: acme\n    action: update\n\
         \x20 - id: narrow\n    key: acme\n    action: update\n    update-type: [TXT]\n\
         \x20   update-owner: name\n    update-owner-match: equal\n\
         \x20   update-owner-name: [_acme-challenge.{NARROW}.]\n\
         \x20 - id: keyless\n    address: 127.0.0.1\n    action: update\n\
         template:\n  - id: default\n    storage: {home}\n    file: \"%s\"\n\
         zone:\n  - domain: {WIDE}\n    acl: wide\n  - domain: {NARROW}\n    acl: narrow\n\
         \x20 - domain: {CLOSED}\n  - domain: {KEYLESS}\n    acl: keyless\n"
    )
}
