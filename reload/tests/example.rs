//! The example, as the program a user would begin with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};

use crate::support::{Agent, Ca, Home, eventually, prepare_of};

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(args: &[(&str, PathBuf)]) -> Self {
        let tests = std::env::current_exe().unwrap();
        let program = tests.ancestors().nth(2).unwrap().join("examples/axum");
        let mut command = Command::new(&program);
        for (flag, value) in args {
            command.arg(flag).arg(value);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str::<Value>(&line).unwrap();
        let address = ready["address"].as_str().unwrap().to_owned();
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

fn connect(server: &Server, ca: &Ca) -> Connection {
    let name = ServerName::try_from("site.example").unwrap();
    let client = ClientConnection::new(Arc::new(ca.client()), name).unwrap();
    StreamOwned::new(client, TcpStream::connect(&server.address).unwrap())
}

/// One request on a connection that stays open.
fn get(connection: &mut Connection) {
    connection.write_all(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
}

#[test]
fn a_connection_outlives_the_certificate_it_began_with() {
    let (home, ca) = (Home::new(), Ca::new());
    let (first, next) = (ca.issue(&["site.example"]), ca.issue(&["site.example"]));
    let live = home.put("site", &first);
    let socket = home.path("socket");
    let server = Server::start(&[("--live", live), ("--socket", socket.clone())]);
    let mut old = connect(&server, &ca);
    get(&mut old);

    let mut agent = Agent::at(&socket);
    agent.get(prepare_of("site", &home.put("next", &next)));
    agent.get(json!({ "v": 1, "op": "commit", "name": "site" }));
    let mut new = connect(&server, &ca);
    get(&mut new);
    get(&mut old);
    assert_eq!(new.conn.peer_certificates().unwrap()[0], next.der());

    // One that does not trust says so, and one that goes away without a word is noticed, too.
    assert!(connect(&server, &Ca::new()).write_all(b"GET").is_err());
    let stats = || Agent::at(&socket).get(json!({ "v": 1, "op": "stats", "name": "site" }));
    eventually("all are counted", || {
        let active = &stats()["certificates"][0];
        active["completed"] == 1 && active["failed"]["alerts"] == json!({ "unknown_ca": 1 })
    });
    let stats = stats();
    assert_eq!(stats["observed"], true);
    assert_eq!(stats["certificates"][1]["role"], "previous");
    assert_eq!(stats["certificates"][1]["completed"], 1);
}

#[test]
fn without_a_socket_the_folder_is_followed() {
    let (home, ca) = (Home::new(), Ca::new());
    let live = home.put("site", &ca.issue(&["site.example"]));
    let server = Server::start(&[("--live", live)]);
    get(&mut connect(&server, &ca));
    let next = ca.issue(&["site.example"]);
    home.put("site", &next);
    eventually("the new certificate is served", || {
        let mut connection = connect(&server, &ca);
        get(&mut connection);
        connection.conn.peer_certificates().unwrap()[0] == next.der()
    });
}
