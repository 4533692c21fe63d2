//! Connections: one port for HTTPS and for plain HTTP, told apart by their first byte.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// For the first byte, the TLS handshake and the head of each request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before accepting again when the process is out of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How every TLS connection begins (RFC 8446 §5.1: a handshake record).
const TLS_HANDSHAKE: u8 = 22;

/// What to do with a connection.
#[derive(Clone)]
pub(super) struct Doors {
    pub(super) tls: TlsAcceptor,
    pub(super) secure: Router,
    pub(super) plain: Router,
}

/// Who is at the other end of a connection; every request has it as an extension.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    hung_up: Arc<Notify>,
}

impl Peer {
    /// Ends the connection with whatever is under way on it.
    pub(super) fn hang_up(&self) {
        self.hung_up.notify_one();
    }
}

/// Accepts until it is dropped, which also ends the connections.
pub(super) async fn serve(listener: TcpListener, doors: Doors) {
    let doors = Arc::new(doors);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    connections.spawn(attend(stream, from.ip(), Arc::clone(&doors)));
                }
                Err(_) => sleep(PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. What goes wrong on it concerns its client only, who sees it end.
async fn attend(stream: TcpStream, from: IpAddr, doors: Arc<Doors>) {
    // Without it small answers wait for acknowledgements; the connection works all the same.
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    match timeout(PATIENCE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == TLS_HANDSHAKE => {
            if let Ok(Ok(stream)) = timeout(PATIENCE, doors.tls.accept(stream)).await {
                answer(stream, from, doors.secure.clone()).await;
            }
        }
        Ok(Ok(1)) => answer(stream, from, doors.plain.clone()).await,
        _ => {}
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: IpAddr,
    router: Router,
) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let peer = Peer { address: from, hung_up: Arc::default() };
    let router = TowerToHyperService::new(router);
    let introduced = peer.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(introduced.clone());
        router.call(request)
    });
    tokio::select! {
        // An error here is the client's going away or not speaking HTTP.
        _ = server.serve_connection(TokioIo::new(stream), service) => {}
        () = peer.hung_up.notified() => {}
    }
}
