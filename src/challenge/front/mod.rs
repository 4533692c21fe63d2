//! Standing in front of an application that has port 80.
//!
//! What a CA asks is answered here, for tokens that are known for the name asked; all else is passed
//! on to the application and back, so that nothing of the application touches a challenge. Nothing
//! below the folder of challenges is ever passed on: an application that can be brought to answer
//! there, by a file somebody uploads or a path it echoes, vouches for whoever brings it to.
//!
//! Runs of the same home hand their answers over at the [`desk`].

pub(super) mod desk;
mod passage;
mod upstream;
mod visits;
pub(super) mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Request;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::handed::addresses;
use super::http01::{FOLDER, respond};
use super::listener::{Pending, bind_after};
use super::visitors::Visitors;
use super::{Handed, Listen, PortHolder, SolverError};
use crate::model::challenge::KeyAuthorization;
use desk::Desk;
use passage::{Answer, Passage};
use visits::{Heard, Visits};

pub(crate) use upstream::Upstream;

/// Connections at a time.
const MOST_VISITS: usize = 1024;
/// For the head of a request, and between two requests of one connection.
const HEAD: Duration = Duration::from_secs(30);
/// For what is under way when it is time to end.
const GRACE: Duration = Duration::from_secs(10);
/// For a run of this program that has the port while a CA looks.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the head of a request may take; as much as nginx allows.
const LARGEST_HEAD: usize = 32 * 1024;

/// Why one cannot stand in front.
#[derive(Debug, Error)]
pub(crate) enum FrontError {
    #[error("port {} is in use by {holder}", address.port())]
    PortInUse { address: SocketAddr, holder: PortHolder },
    #[error("not allowed to listen on {address}")]
    PortForbidden { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Listen(SolverError),
    #[error("{upstream} is where this itself listens")]
    Itself { upstream: Upstream },
    #[error("cannot take answers at {}", path.display())]
    Desk { path: PathBuf, source: io::Error },
}

impl From<SolverError> for FrontError {
    fn from(error: SolverError) -> Self {
        match error {
            SolverError::PortInUse { address, holder } => Self::PortInUse { address, holder },
            SolverError::PortForbidden { address, source } => {
                Self::PortForbidden { address, source }
            }
            other => Self::Listen(other),
        }
    }
}

/// The ports in front of an application, and the desk where answers are handed over; all open.
pub(crate) struct Front {
    sockets: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    desk: Desk,
    upstream: Upstream,
}

/// What every visit is given.
#[derive(Clone)]
struct Shared {
    pending: Arc<Pending<KeyAuthorization>>,
    upstream: Upstream,
    stop: watch::Receiver<bool>,
}

impl Front {
    /// Opens the ports, then the desk at the path `desk`; what is there is replaced.
    ///
    /// The caller holds the lock that makes the desk its own. `[::]` is every address, IPv6 and
    /// IPv4. Where sockets for an address were handed over, nothing is bound; a run of this program
    /// that has a port is waited for.
    pub(crate) async fn open(
        listen: &[SocketAddr],
        upstream: Upstream,
        desk: &Path,
        handed: &Handed,
    ) -> Result<Self, FrontError> {
        let sockets = sockets(listen, handed).await?;
        let reached = |socket: &TcpListener| Some(addresses(socket.local_addr().ok()?, socket));
        let addresses: Vec<_> = sockets.iter().filter_map(reached).flatten().collect();
        // A name that cannot be looked up now may be known when it is needed.
        let targets = upstream.lookup().await.unwrap_or_default();
        if targets.iter().any(|target| addresses.iter().any(|own| is_at(*own, *target))) {
            return Err(FrontError::Itself { upstream });
        }
        let desk = Desk::open(desk)
            .map_err(|source| FrontError::Desk { path: desk.to_owned(), source })?;
        Ok(Self { sockets, addresses, desk, upstream })
    }

    /// Where it listens, with the ports the kernel chose.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers and passes on until `stop` turns true; requests under way are then finished, within
    /// a bound.
    pub(crate) async fn serve(self, stop: watch::Receiver<bool>) {
        let pending = Arc::<Pending<_>>::default();
        let visits = Arc::new(Mutex::new(Visits::new(MOST_VISITS)));
        let shared = Shared { pending: Arc::clone(&pending), upstream: self.upstream, stop };
        let mut accepting = JoinSet::new();
        for socket in self.sockets {
            accepting.spawn(accept(socket, Arc::clone(&visits), shared.clone()));
        }
        let at_the_door = async { while accepting.join_next().await.is_some() {} };
        tokio::select! {
            () = at_the_door => {}
            never = self.desk.attend(&self.addresses, &pending) => match never {},
        }
        drop(self.desk);
        let visits = Arc::into_inner(visits).expect("whoever accepted has ended");
        let mut visits = visits.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Whoever is not done by then would keep us for ever.
        let _ = timeout(GRACE, visits.ended()).await;
    }
}

/// What listens at these addresses.
async fn sockets(listen: &[SocketAddr], handed: &Handed) -> Result<Vec<TcpListener>, SolverError> {
    let (mut sockets, mut given) = (Vec::new(), None);
    for address in listen {
        let everywhere = address.is_ipv6() && address.ip().is_unspecified();
        let place = if everywhere { Listen::Everywhere } else { Listen::At(address.ip()) };
        match handed.http(place, address.port()) {
            Some(listener) => given = Some(listener),
            None => sockets.extend(bind_after(place, address.port(), PATIENCE).await?),
        }
    }
    if let Some(listener) = given {
        sockets.extend(listener.given().map_err(SolverError::Handed)?);
    }
    Ok(sockets)
}

/// Whether what listens at `own` is reached at `target`.
fn is_at(own: SocketAddr, target: SocketAddr) -> bool {
    let any = own.ip().is_unspecified() && own.is_ipv6() == target.is_ipv6();
    let is_local = || UdpSocket::bind((target.ip(), 0)).is_ok();
    own.port() == target.port() && (own.ip() == target.ip() || any && is_local())
}

fn lock(visits: &Mutex<Visits>) -> MutexGuard<'_, Visits> {
    visits.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until it is time to end.
async fn told(stop: &mut watch::Receiver<bool>) {
    // Whoever could tell is gone: then it is time as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Accepts until told to stop.
async fn accept(socket: TcpListener, visits: Arc<Mutex<Visits>>, shared: Shared) {
    let mut stop = shared.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = told(&mut stop) => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, visitor)) => {
                let shared = shared.clone();
                let converse = move |stream| converse(stream, visitor.ip(), shared);
                lock(&visits).admit(stream, converse);
            }
            Err(error) => {
                // Out of descriptors or memory: room is made as for one too many.
                if visits::is_exhausted(&error) {
                    lock(&visits).turn_one_away();
                }
                tokio::time::sleep(Visitors::PAUSE).await;
            }
        }
    }
}

/// One connection: its requests one after the other, and the tunnel it may turn into.
async fn converse(stream: Heard, visitor: IpAddr, shared: Shared) {
    let Shared { pending, upstream, mut stop } = shared;
    let passage = tokio::sync::Mutex::new(Passage::new(upstream, visitor));
    let service = service_fn(async |request| {
        // Requests of one connection come one at a time: nobody waits here.
        answer(&pending, &mut *passage.lock().await, request).await
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LARGEST_HEAD);
    server.preserve_header_case(true).auto_date_header(false);
    {
        let connection = server.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = pin!(connection);
        // A visitor that breaks off or talks nonsense is no concern of ours.
        let _ = tokio::select! {
            ended = connection.as_mut() => ended,
            () = told(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
    }
    // A tunnel has no end of its own that could be waited for.
    tokio::select! {
        () = passage.into_inner().tunnel() => {}
        () = told(&mut stop) => {}
    }
}

async fn answer(
    pending: &Pending<KeyAuthorization>,
    passage: &mut Passage,
    request: Request<Incoming>,
) -> Result<Answer, hyper::Error> {
    if request.uri().path().starts_with(FOLDER) {
        return Ok(respond(pending, &request).map(Either::Right));
    }
    passage.pass(request).await
}
