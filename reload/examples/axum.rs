//! An axum server whose certificate is exchanged while it serves.
//!
//! `cargo run --example axum -- --live DIR [--live DIR]… [--socket PATH] [--listen ADDR]`
//!
//! Each certificate has the name of its folder, as it has it with the agent. With `--socket` the certificate changes by the agent's word, without it when the folder does.
//! Prints one JSON line with its address when it is ready, and what changes on standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use acmeagent_reload::socket::SocketSettings;
use acmeagent_reload::{ACME_TLS_ALPN, LiveCert};
use axum::routing::get;
use axum::serve::Listener;
use axum::{Router, serve};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse()?;
    // The one choice of cryptography is the program's.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let mut live = LiveCert::builder().on_change(|change| eprintln!("{change:?}"));
    for folder in &args.live {
        let name = folder.file_name().ok_or("a live folder has a name")?;
        live = live.folder(name.to_string_lossy(), folder);
    }
    let live = live.build()?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(live.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_TLS_ALPN.to_vec()];

    // Either the agent's word or the folder itself; held until the server ends.
    let (_socket, _watch) = match args.socket {
        Some(path) => (Some(live.listen(SocketSettings::at(path).server("axum example"))?), None),
        None => (None, Some(live.watch()?)),
    };

    let tcp = TcpListener::bind(args.listen).await?;
    println!("{{\"address\":\"{}\"}}", tcp.local_addr()?);
    let listener = TlsListener::new(tcp, live, Arc::new(config))?;
    let site = Router::new().route("/", get(|| async { "hello\n" }));
    serve(listener, site).with_graceful_shutdown(interrupted()).await?;
    Ok(())
}

async fn interrupted() {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .expect("a signal can be listened to");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

struct Args {
    live: Vec<PathBuf>,
    socket: Option<PathBuf>,
    listen: SocketAddr,
}

impl Args {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let (mut live, mut socket, mut listen) = (Vec::new(), None, "127.0.0.1:0".parse()?);
        let mut args = std::env::args().skip(1);
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("{flag} wants a value"))?;
            match flag.as_str() {
                "--live" => live.push(value.into()),
                "--socket" => socket = Some(value.into()),
                "--listen" => listen = value.parse()?,
                _ => return Err(format!("{flag} is unknown").into()),
            }
        }
        Ok(Self { live, socket, listen })
    }
}

/// Accepts TLS connections. Handshakes go on beside each other, so that a slow client keeps nobody
/// waiting; each has a deadline, and their number a bound.
struct TlsListener {
    local: SocketAddr,
    accepted: Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    const AT_ONCE: usize = 1024;
    const DEADLINE: Duration = Duration::from_secs(10);

    fn new(tcp: TcpListener, live: Arc<LiveCert>, config: Arc<ServerConfig>) -> io::Result<Self> {
        let local = tcp.local_addr()?;
        let (ready, accepted) = channel(16);
        tokio::spawn(Self::run(tcp, live, config, ready));
        Ok(Self { local, accepted })
    }

    async fn run(
        tcp: TcpListener,
        live: Arc<LiveCert>,
        config: Arc<ServerConfig>,
        ready: Sender<(TlsStream<TcpStream>, SocketAddr)>,
    ) {
        let seats = Arc::new(Semaphore::new(Self::AT_ONCE));
        loop {
            let seat = seats.clone().acquire_owned().await.expect("never closed");
            let (stream, peer) = tokio::select! {
                () = ready.closed() => return,
                accepted = tcp.accept() => match accepted {
                    Ok(accepted) => accepted,
                    // Out of file descriptors, mostly.
                    Err(_) => {
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (live, config, ready) = (live.clone(), config.clone(), ready.clone());
            tokio::spawn(async move {
                if let Some(stream) = Self::shake(stream, &live, &config, seat).await {
                    let _ = ready.send((stream, peer)).await;
                }
            });
        }
    }

    async fn shake(
        stream: TcpStream,
        live: &Arc<LiveCert>,
        config: &ServerConfig,
        _seat: OwnedSemaphorePermit,
    ) -> Option<TlsStream<TcpStream>> {
        // From here on it is counted; dropped at the deadline it counts as abandoned.
        let handshake = live.begin(config);
        let acceptor = TlsAcceptor::from(handshake.config());
        match timeout(Self::DEADLINE, acceptor.accept(stream)).await.ok()? {
            Ok(_) if handshake.is_challenge() => None,
            Ok(stream) => {
                handshake.completed(stream.get_ref().1);
                Some(stream)
            }
            Err(error) => {
                handshake.failed(&error);
                None
            }
        }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}
