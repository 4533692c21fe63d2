//! A web server that writes down what it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

pub struct Receiver {
    pub url: String,
    told: Arc<Mutex<Vec<Told>>>,
    status: Arc<AtomicU16>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Told {
    /// As in `POST /hook`.
    pub line: String,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Told {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let status = Arc::new(AtomicU16::new(200));
        let (list, code) = (Arc::clone(&told), Arc::clone(&status));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if let Some(one) = read(&stream) {
                    // Before whoever told it knows that it arrived.
                    list.lock().unwrap().push(one);
                    answer(&mut stream, code.load(Ordering::SeqCst));
                }
            }
        });
        Self { url, told, status }
    }

    /// Answers with that status from now on.
    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// What it was told since this was last asked.
    pub fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

fn read(stream: &TcpStream) -> Option<Told> {
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    reader.read_line(&mut text).ok()?;
    let line = text.rsplit_once(" HTTP/")?.0.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        text.clear();
        reader.read_line(&mut text).ok()?;
        let Some((name, value)) = text.trim().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Told { line, headers, body: String::from_utf8(body).unwrap() })
}

fn answer(stream: &mut TcpStream, status: u16) {
    let text = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // Whoever told it may have gone.
    let _ = stream.write_all(text.as_bytes());
}
