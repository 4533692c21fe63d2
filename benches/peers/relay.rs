//! A door in front of a CA that counts who comes in.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub struct Relay {
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    /// Passes connections on to a port of this host, as long as this program runs.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
                let client = client.unwrap();
                let ca = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
                pass(client.try_clone().unwrap(), ca.try_clone().unwrap());
                pass(ca, client);
            }
        });
        Self { port: own, connections }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // However it ends, the other side is to hear of it.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
