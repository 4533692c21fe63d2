//! The life of a listener: open while an answer is pending, shared by all that are.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::io::Errno;
use rustix::net::sockopt::set_ipv6_v6only;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};

use super::handed::Sockets;
use super::visitors::Visitors;
use super::{PortHolder, SolverError};
use crate::model::challenge::{Challenge, Token};
use crate::model::name::Identifier;

/// Which addresses of this host a solver listens on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Listen {
    /// Every address, IPv6 and IPv4, as far as the host has them.
    Everywhere,
    /// `127.0.0.1` and `::1`, as far as the host has them.
    Loopback,
    /// Exactly this address.
    At(IpAddr),
}

impl Listen {
    fn addresses(self) -> Vec<IpAddr> {
        match self {
            Self::Everywhere => vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()],
            Self::Loopback => vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
            Self::At(ip) => vec![ip],
        }
    }
}

/// The answers that may be asked for.
pub(super) struct Pending<A>(Mutex<Vec<Entry<A>>>);

impl<A> Default for Pending<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

struct Entry<A> {
    identifier: Identifier,
    token: Token,
    answer: A,
}

impl<A> Entry<A> {
    fn is_for(&self, challenge: &Challenge) -> bool {
        self.token == challenge.token && self.identifier == challenge.identifier
    }
}

impl<A: Clone> Pending<A> {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry<A>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, challenge: &Challenge, answer: A) {
        let Challenge { identifier, token, .. } = challenge.clone();
        let mut entries = self.entries();
        entries.retain(|entry| !entry.is_for(challenge));
        entries.push(Entry { identifier, token, answer });
    }

    /// Says whether nothing is left.
    pub(super) fn remove(&self, challenge: &Challenge) -> bool {
        let mut entries = self.entries();
        entries.retain(|entry| !entry.is_for(challenge));
        entries.is_empty()
    }

    /// The answer that was presented last among those that fit.
    pub(super) fn newest(&self, fits: impl Fn(&Identifier, &Token) -> bool) -> Option<A> {
        let entries = self.entries();
        let mut newest_first = entries.iter().rev();
        newest_first
            .find(|entry| fits(&entry.identifier, &entry.token))
            .map(|entry| entry.answer.clone())
    }
}

/// How long to wait for a port that another run of this program holds; and between two looks.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(50);

/// How one connection is answered. Deadlines and the number of connections are not its concern.
pub(super) type Converse<A> = fn(Arc<Pending<A>>, TcpStream) -> BoxFuture<'static, ()>;

/// Where a listener has its sockets from.
pub(super) enum Source {
    /// Its own, bound for as long as it listens.
    Bind(Listen, u16),
    /// Those that were handed to the process.
    Handed(Sockets),
}

impl Source {
    async fn open(&self, patience: Duration) -> Result<Vec<TcpListener>, SolverError> {
        match self {
            Self::Bind(listen, port) => bind_after(*listen, *port, patience).await,
            Self::Handed(sockets) => sockets.open().map_err(SolverError::Handed),
        }
    }
}

/// Listens while there are answers pending; one for all orders of the process.
pub(super) struct Listener<A> {
    source: Source,
    converse: Converse<A>,
    pending: Arc<Pending<A>>,
    /// Whoever changes this or `pending` holds the lock.
    door: tokio::sync::Mutex<Door>,
    bound: AtomicU16,
}

/// Whether somebody accepts.
#[derive(Default)]
struct Door {
    /// One task for each socket.
    open: Option<JoinSet<()>>,
    /// Whether it stays open when nothing is pending.
    stays: bool,
}

impl<A: Clone + Send + 'static> Listener<A> {
    pub(super) fn new(source: Source, converse: Converse<A>) -> Self {
        let (pending, door, bound) = Default::default();
        Self { source, converse, pending, door, bound }
    }

    pub(super) fn port(&self) -> Option<u16> {
        Some(self.bound.load(Ordering::Acquire)).filter(|port| *port != 0)
    }

    /// Whether its sockets were handed over for one that would listen there.
    pub(super) fn is_given(&self, listen: Listen, port: u16) -> bool {
        matches!(&self.source, Source::Handed(sockets) if sockets.fit(listen, port))
    }

    /// Its sockets once more, if they were handed over.
    pub(super) fn given(&self) -> io::Result<Vec<TcpListener>> {
        match &self.source {
            Source::Handed(sockets) => sockets.open(),
            Source::Bind(..) => Ok(Vec::new()),
        }
    }

    /// Where those are reached.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        match &self.source {
            Source::Handed(sockets) => sockets.addresses(),
            Source::Bind(..) => Vec::new(),
        }
    }

    /// The answers it gives while it is open.
    pub(super) fn pending(&self) -> &Arc<Pending<A>> {
        &self.pending
    }

    /// Tells whether it could open, and opens nothing for longer than that takes.
    ///
    /// A port that another run of this program holds counts as free: it will be.
    pub(super) async fn precheck(&self) -> Result<(), SolverError> {
        let door = self.door.lock().await;
        if door.open.is_some() {
            return Ok(());
        }
        match self.source.open(Duration::ZERO).await {
            Err(SolverError::PortInUse { holder, .. }) if holder.is_another_run() => Ok(()),
            bound => bound.map(drop),
        }
    }

    /// Adds an answer, opening the sockets for the first one, once another run of this program
    /// that holds the port is done with it.
    pub(super) async fn add(&self, challenge: &Challenge, answer: A) -> Result<(), SolverError> {
        let mut door = self.door.lock().await;
        self.ensure_open(&mut door).await?;
        self.pending.put(challenge, answer);
        Ok(())
    }

    /// Removes an answer; after the last one the port is free again when this returns.
    pub(super) async fn remove(&self, challenge: &Challenge) {
        let mut door = self.door.lock().await;
        if self.pending.remove(challenge)
            && !door.stays
            && let Some(mut accepting) = door.open.take()
        {
            self.bound.store(0, Ordering::Release);
            accepting.shutdown().await;
        }
    }

    /// Opens the sockets, and keeps them open when nothing is pending.
    pub(super) async fn stay(&self) -> Result<(), SolverError> {
        let mut door = self.door.lock().await;
        self.ensure_open(&mut door).await?;
        door.stays = true;
        Ok(())
    }

    async fn ensure_open(&self, door: &mut Door) -> Result<(), SolverError> {
        if door.open.is_none() {
            door.open = Some(self.start(self.source.open(PATIENCE).await?));
        }
        Ok(())
    }

    fn start(&self, sockets: Vec<TcpListener>) -> JoinSet<()> {
        let port = sockets.iter().find_map(|socket| socket.local_addr().ok());
        self.bound.store(port.map_or(0, |address| address.port()), Ordering::Release);
        let mut accepting = JoinSet::new();
        for socket in sockets {
            accepting.spawn(accept(socket, self.converse, Arc::clone(&self.pending)));
        }
        accepting
    }
}

/// Binds, waiting so long at most for another run of this program. Sleeping is counted, so no
/// clock is needed.
pub(super) async fn bind_after(
    listen: Listen,
    port: u16,
    patience: Duration,
) -> Result<Vec<TcpListener>, SolverError> {
    /// So often in a row the holder may have let go between our attempt and our look.
    const UNKNOWN: usize = 10;
    let (mut slept, mut unknown) = (Duration::ZERO, 0);
    loop {
        let bound = bind_or_explain(listen, port).await;
        let Err(SolverError::PortInUse { holder, .. }) = &bound else { return bound };
        unknown = if *holder == PortHolder::Unknown { unknown + 1 } else { 0 };
        let ours = holder.is_another_run() && slept < patience;
        if !ours && !(1..UNKNOWN).contains(&unknown) {
            return bound;
        }
        tokio::time::sleep(PAUSE).await;
        slept += PAUSE;
    }
}

async fn bind_or_explain(listen: Listen, port: u16) -> Result<Vec<TcpListener>, SolverError> {
    let (address, source) = match bind(listen, port) {
        Ok(sockets) => return Ok(sockets),
        Err(failure) => failure,
    };
    Err(match source.kind() {
        ErrorKind::AddrInUse => {
            let holder = spawn_blocking(move || PortHolder::of(address.port())).await;
            SolverError::PortInUse { address, holder: holder.unwrap_or(PortHolder::Unknown) }
        }
        ErrorKind::PermissionDenied => SolverError::PortForbidden { address, source },
        _ => SolverError::Listen { address, source },
    })
}

/// Accepts until it is aborted, which ends the conversations as well.
async fn accept<A: Send + 'static>(
    socket: TcpListener,
    converse: Converse<A>,
    pending: Arc<Pending<A>>,
) {
    let mut visitors = Visitors::new(Visitors::DEADLINE);
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                let pending = Arc::clone(&pending);
                visitors.admit(stream, move |stream| converse(pending, stream));
            }
            // Out of descriptors or memory: conversations end soon, and then there are some again.
            Err(_) => tokio::time::sleep(Visitors::PAUSE).await,
        }
    }
}

type Failure = (SocketAddr, io::Error);

/// Binds every address to one port; when the kernel chooses it, a taken twin means to ask again.
fn bind(listen: Listen, port: u16) -> Result<Vec<TcpListener>, Failure> {
    const ATTEMPTS: usize = 16;
    let mut result = bind_once(listen, port);
    for _ in 1..ATTEMPTS {
        match &result {
            Err((_, error)) if port == 0 && error.kind() == ErrorKind::AddrInUse => {
                result = bind_once(listen, port);
            }
            _ => break,
        }
    }
    result
}

fn bind_once(listen: Listen, mut port: u16) -> Result<Vec<TcpListener>, Failure> {
    let (mut sockets, mut absent) = (Vec::new(), None);
    for ip in listen.addresses() {
        let address = SocketAddr::new(ip, port);
        let socket = open(address).and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
        match socket {
            Ok((chosen, socket)) => {
                port = chosen;
                sockets.push(socket);
            }
            Err(error) if is_absent(&error) => absent = Some((address, error)),
            Err(error) => return Err((address, error)),
        }
    }
    match absent {
        Some(failure) if sockets.is_empty() => Err(failure),
        _ => Ok(sockets),
    }
}

/// Whether the host has no such address, or no such family at all.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 1024;
    let socket = if address.is_ipv6() {
        let socket = TcpSocket::new_v6()?;
        set_ipv6_v6only(&socket, true)?;
        socket
    } else {
        TcpSocket::new_v4()?
    };
    // Connections of an earlier challenge that still linger must not block the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::sample::challenge;
    use super::*;

    /// Hears a question, answers it, and hangs up first, as a web server does.
    fn echo(pending: Arc<Pending<u8>>, mut stream: TcpStream) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let answer = pending.newest(|_, _| true).unwrap_or(0);
            if stream.read_u8().await.is_ok() {
                let _ = stream.write_all(&[answer]).await;
            }
        })
    }

    async fn ask(ip: IpAddr, port: u16) -> io::Result<u8> {
        let mut stream = TcpStream::connect((ip, port)).await?;
        stream.write_all(b"?").await?;
        stream.read_u8().await
    }

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    #[tokio::test]
    async fn it_listens_exactly_where_told() {
        let one = challenge("http-01", "a.example", "one");
        let table = [
            (Listen::Everywhere, true, true),
            (Listen::Loopback, true, true),
            (Listen::At(V4), true, false),
            (Listen::At(V6), false, true),
        ];
        for (listen, v4, v6) in table {
            let listener = Listener::new(Source::Bind(listen, 0), echo);
            listener.add(&one, 7).await.unwrap();
            let port = listener.port().unwrap();
            assert_eq!(ask(V4, port).await.is_ok(), v4, "{listen:?}");
            assert_eq!(ask(V6, port).await.is_ok(), v6, "{listen:?}");
        }
    }

    #[tokio::test]
    async fn it_lives_while_an_answer_is_pending() {
        let (one, two) =
            (challenge("http-01", "a.example", "one"), challenge("http-01", "a.example", "two"));
        let listener = Listener::new(Source::Bind(Listen::At(V4), 0), echo);
        listener.precheck().await.unwrap();
        assert_eq!(listener.port(), None);
        listener.remove(&one).await;
        listener.add(&one, 1).await.unwrap();
        listener.add(&two, 2).await.unwrap();
        listener.add(&one, 3).await.unwrap();
        let port = listener.port().unwrap();
        assert_eq!(ask(V4, port).await.unwrap(), 3);
        listener.remove(&one).await;
        assert_eq!(ask(V4, port).await.unwrap(), 2);
        listener.remove(&two).await;
        assert_eq!(listener.port(), None);
        std::net::TcpListener::bind((V4, port)).expect("the port is free again");
    }

    #[tokio::test]
    async fn one_port_serves_a_second_time() {
        let one = challenge("http-01", "a.example", "one");
        let [port] = crate::ports::free_ports();
        let listener = Listener::new(Source::Bind(Listen::At(V4), port), echo);
        for answer in 1..4 {
            listener.add(&one, answer).await.unwrap();
            assert_eq!(ask(V4, port).await.unwrap(), answer);
            listener.remove(&one).await;
        }
    }

    #[tokio::test]
    async fn dropping_it_frees_the_port() {
        let listener = Listener::new(Source::Bind(Listen::At(V4), 0), echo);
        listener.add(&challenge("http-01", "a.example", "one"), 1).await.unwrap();
        let port = listener.port().unwrap();
        let mut open = TcpStream::connect((V4, port)).await.unwrap();
        drop(listener);
        let freed = async {
            while std::net::TcpListener::bind((V4, port)).is_err() {
                tokio::task::yield_now().await;
            }
            // The conversation is over as well.
            assert!(matches!(open.read(&mut [0]).await, Ok(0) | Err(_)));
        };
        tokio::time::timeout(Duration::from_secs(5), freed).await.expect("freed in time");
    }

    #[tokio::test]
    async fn a_taken_port_names_its_holder() {
        let one = challenge("http-01", "a.example", "one");
        let holder = std::net::TcpListener::bind((V4, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        for listen in [Listen::Everywhere, Listen::Loopback, Listen::At(V4)] {
            let listener = Listener::new(Source::Bind(listen, port), echo);
            for result in [listener.precheck().await, listener.add(&one, 1).await] {
                let error = result.unwrap_err();
                let text = error.to_string();
                let process = format!("(process {})", std::process::id());
                assert!(text.starts_with(&format!("port {port} is in use by ")), "{text}");
                assert!(text.contains(&process) && text.contains("--webroot"), "{text}");
            }
            assert_eq!(listener.port(), None);
            assert!(listener.pending.newest(|_, _| true).is_none());
        }
    }

    #[tokio::test]
    async fn an_address_of_others_is_an_error() {
        let elsewhere = Listen::At("192.0.2.1".parse().unwrap());
        let error = Listener::new(Source::Bind(elsewhere, 0), echo).precheck().await.unwrap_err();
        assert!(matches!(error, SolverError::Listen { .. }), "{error:?}");
    }
}
