//! Listening sockets that the service manager opened for this process (sd_listen_fds(3)).
//!
//! With them nothing is bound, so no privilege is needed for ports 80 and 443. They stay open for as
//! long as the process lives, whoever answers there.

use std::convert::Infallible;
use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use listenfd::ListenFd;
use rustix::net::sockopt::{ipv6_v6only, socket_acceptconn};
use rustls::server::ServerConfig;
use tokio::net::TcpListener;

use super::deputy::covers;
use super::front::desk::Desk;
use super::listener::{Listener, Source};
use super::{Listen, SolverError, http01, tls_alpn01};
use crate::model::challenge::KeyAuthorization;

/// What is asked at a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Http,
    Tls,
}

impl Protocol {
    /// By the name the socket was given (`FileDescriptorName=`), else by its port.
    fn of(name: &str, port: u16) -> Option<Self> {
        match (name, port) {
            ("http", _) => Some(Self::Http),
            ("tls", _) => Some(Self::Tls),
            (_, 80) => Some(Self::Http),
            (_, 443) => Some(Self::Tls),
            _ => None,
        }
    }
}

/// A socket, and whether its name says that it is for whichever port is wanted.
struct Given {
    socket: StdListener,
    is_named: bool,
}

/// The sockets of one protocol.
#[derive(Default)]
pub(super) struct Sockets(Vec<Given>);

impl Sockets {
    /// Whether what is asked of one that would listen there is asked here.
    pub(super) fn fit(&self, listen: Listen, port: u16) -> bool {
        // Whoever lets the kernel choose wants a port of its own.
        let any = self.0.iter().any(|given| given.is_named);
        port != 0 && (any || covers(&self.addresses(), listen, port))
    }

    /// The same sockets once more, to accept at within this runtime.
    pub(super) fn open(&self) -> io::Result<Vec<TcpListener>> {
        let again = |given: &Given| given.socket.try_clone().and_then(TcpListener::from_std);
        self.0.iter().map(again).collect()
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let of = |given: &Given| Some(addresses(given.socket.local_addr().ok()?, &given.socket));
        self.0.iter().filter_map(of).flatten().collect()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a socket is reached; one of IPv6 may hear IPv4 as well.
pub(super) fn addresses(own: SocketAddr, socket: impl AsFd) -> Vec<SocketAddr> {
    let any = own.is_ipv6() && own.ip().is_unspecified();
    let hears_both = any && ipv6_v6only(socket) == Ok(false);
    let other = hears_both.then(|| (Ipv4Addr::UNSPECIFIED, own.port()).into());
    [own].into_iter().chain(other).collect()
}

/// What was handed over, and who answers there: one for each protocol, whoever wants it.
#[derive(Default)]
pub(crate) struct Handed {
    http: Option<Arc<Listener<KeyAuthorization>>>,
    tls: Option<Arc<Listener<Arc<ServerConfig>>>>,
}

impl Handed {
    /// More than any service is given.
    const MOST: usize = 64;

    /// Takes what the environment says was handed to this very process, and so once only; programs
    /// it runs inherit none of it.
    ///
    /// For the beginning of the process, while it has one thread.
    pub(crate) fn of_process() -> Self {
        let said = |name| env::var(name).unwrap_or_default();
        let is_ours = said("LISTEN_PID").parse() == Ok(std::process::id());
        let count = said("LISTEN_FDS").parse().unwrap_or(0);
        if !is_ours || !(1..=Self::MOST).contains(&count) {
            return Self::default();
        }
        let names = said("LISTEN_FDNAMES");
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..given.len() {
            let name = names.next().unwrap_or_default().to_owned();
            // What is no such socket was meant for somebody else.
            if let Ok(Some(socket)) = given.take_tcp_listener(index) {
                sockets.push((name, socket));
            }
        }
        Self::of(sockets)
    }

    fn of(sockets: Vec<(String, StdListener)>) -> Self {
        let (mut http, mut tls) = (Sockets::default(), Sockets::default());
        for (name, socket) in sockets {
            let Ok(port) = socket.local_addr().map(|own| own.port()) else { continue };
            let listens = socket_acceptconn(&socket) == Ok(true);
            let Some(protocol) = Protocol::of(&name, port).filter(|_| listens) else { continue };
            // One that would hold up everybody is not taken.
            if socket.set_nonblocking(true).is_err() {
                continue;
            }
            let is_named = matches!(name.as_str(), "http" | "tls");
            match protocol {
                Protocol::Http => http.0.push(Given { socket, is_named }),
                Protocol::Tls => tls.0.push(Given { socket, is_named }),
            }
        }
        let http = (!http.is_empty()).then_some(Source::Handed(http));
        let tls = (!tls.is_empty()).then_some(Source::Handed(tls));
        Self {
            http: http.map(|source| Arc::new(Listener::new(source, http01::converse))),
            tls: tls.map(|source| Arc::new(Listener::new(source, tls_alpn01::converse))),
        }
    }

    /// Who answers http-01 for one that would listen there, if sockets for that were handed over.
    pub(super) fn http(
        &self,
        listen: Listen,
        port: u16,
    ) -> Option<Arc<Listener<KeyAuthorization>>> {
        self.http.clone().filter(|listener| listener.is_given(listen, port))
    }

    /// The same for tls-alpn-01.
    pub(super) fn tls(
        &self,
        listen: Listen,
        port: u16,
    ) -> Option<Arc<Listener<Arc<ServerConfig>>>> {
        self.tls.clone().filter(|listener| listener.is_given(listen, port))
    }

    /// Turns visitors away while no answer is pending, from now on, for a process that stays: its
    /// sockets are never closed, and nobody is to wait there in vain.
    pub(crate) async fn attend(&self) -> Result<(), SolverError> {
        if let Some(http) = &self.http {
            http.stay().await?;
        }
        if let Some(tls) = &self.tls {
            tls.stay().await?;
        }
        Ok(())
    }

    /// Whether there is anything to answer http-01 at.
    pub(crate) fn answers_http(&self) -> bool {
        self.http.is_some()
    }

    /// Has the http-01 of other runs of the same home answered here, for as long as it is polled:
    /// nobody else can have the port. `desk` is where they come; the caller holds its lock.
    ///
    /// Returns where nothing was handed over for that, or the desk cannot be opened.
    pub(crate) async fn stand_in(&self, desk: &Path) -> Option<Infallible> {
        let listener = self.http.as_ref()?;
        let desk = Desk::open(desk).ok()?;
        Some(desk.attend(&listener.addresses(), listener.pending()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(address: &str) -> StdListener {
        StdListener::bind(address).unwrap()
    }

    #[test]
    fn a_name_counts_more_than_a_port() {
        let table = [
            ("http", 8080, Some(Protocol::Http)),
            ("http", 443, Some(Protocol::Http)),
            ("tls", 80, Some(Protocol::Tls)),
            ("acmeagent-http.socket", 80, Some(Protocol::Http)),
            ("", 443, Some(Protocol::Tls)),
            ("unknown", 8080, None),
            ("https", 8443, None),
        ];
        for (name, port, protocol) in table {
            assert_eq!(Protocol::of(name, port), protocol, "{name} {port}");
        }
    }

    #[test]
    fn they_stand_in_where_somebody_would_listen() {
        let named = Sockets(vec![Given { socket: socket("127.0.0.1:0"), is_named: true }]);
        let one = socket("127.0.0.1:0");
        let own = one.local_addr().unwrap();
        let plain = Sockets(vec![Given { socket: one, is_named: false }]);
        let elsewhere = Listen::At("192.0.2.1".parse().unwrap());
        let table = [
            (&named, Listen::Everywhere, 80, true),
            (&named, elsewhere, 8080, true),
            (&named, Listen::Everywhere, 0, false),
            (&plain, Listen::Everywhere, own.port(), true),
            (&plain, Listen::At(own.ip()), own.port(), true),
            (&plain, elsewhere, own.port(), false),
            (&plain, Listen::Everywhere, own.port() ^ 1, false),
            (&plain, Listen::Loopback, 0, false),
        ];
        for (sockets, listen, port, fits) in table {
            assert_eq!(sockets.fit(listen, port), fits, "{listen:?} {port}");
        }
    }

    #[test]
    fn a_socket_of_ipv6_may_hear_ipv4() {
        let both = socket("[::]:0");
        let own = both.local_addr().unwrap();
        assert_eq!(addresses(own, &both), [own, (Ipv4Addr::UNSPECIFIED, own.port()).into()]);
        let one = socket("[::1]:0");
        let own = one.local_addr().unwrap();
        assert_eq!(addresses(own, &one), [own]);
    }

    #[test]
    fn only_what_listens_is_taken() {
        let connected = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        drop(connected);
        let handed = Handed::of(vec![("strange".to_owned(), socket("127.0.0.1:0"))]);
        assert!(handed.http.is_none() && handed.tls.is_none());
        let named = |name: &str| (name.to_owned(), socket("127.0.0.1:0"));
        let handed = Handed::of(vec![named("http"), named("tls"), named("http")]);
        assert!(handed.http.is_some() && handed.tls.is_some());
        assert!(handed.http(Listen::Everywhere, 80).is_some());
        assert!(handed.http(Listen::Everywhere, 0).is_none());
    }
}
