//! The word by which certificates change: a Unix socket for the agent that renews them.
#![doc = include_str!("../SOCKET.md")]

mod place;
mod request;

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use thiserror::Error;

use self::place::Place;
use crate::live::{LiveCert, Master};

/// What a request may have at most, in bytes.
const LINE_LIMIT: usize = 64 * 1024;
/// What a request, and the writing of its answer, may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many are attended to at once.
const CLIENTS: usize = 8;

/// Where a socket is, and for whom.
#[derive(Clone, Debug)]
#[must_use]
pub struct SocketSettings {
    path: PathBuf,
    server: String,
    uids: Vec<u32>,
}

impl SocketSettings {
    /// A socket at `path`, for root and the server's own user.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), server: env!("CARGO_PKG_NAME").to_owned(), uids: Vec::new() }
    }

    /// Names the server to the agent; without it the name of this crate.
    pub fn server(self, name: impl Into<String>) -> Self {
        Self { server: name.into(), ..self }
    }

    /// Admits one more user. The file has mode 0660: give it the user's group, too.
    pub fn admit(mut self, uid: u32) -> Self {
        self.uids.push(uid);
        self
    }

    /// A user may exchange the certificates of a server it could anyway replace, or is trusted to.
    fn admits(&self, uid: u32, own: u32) -> bool {
        uid == 0 || uid == own || self.uids.contains(&uid)
    }
}

/// Why there is no socket.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The certificates follow their folders, or another socket.
    #[error("the certificates follow a watcher or a socket already")]
    HasMaster,
    /// A living server has it.
    #[error("{path:?} is in use by another server")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// It cannot be opened; what is there may be no socket.
    #[error("cannot open the socket {path:?}")]
    Open {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// An open socket; closed and its file removed when dropped.
#[must_use = "open until it is dropped"]
pub struct Socket {
    place: Option<Place>,
    /// Written to by nobody; its end is the sign to stop.
    stop: Option<UnixStream>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl LiveCert {
    /// Has the certificates follow the word of an agent, on a thread of its own.
    ///
    /// A server follows a socket or its folders, not both; see [`LiveCert::watch`].
    pub fn listen(self: &Arc<Self>, settings: SocketSettings) -> Result<Socket, SocketError> {
        let master = self.master().ok_or(SocketError::HasMaster)?;
        let failed = |source| SocketError::Open { path: settings.path.clone(), source };
        let (stop, stopped) = UnixStream::pair().map_err(failed)?;
        let (listener, place) = Place::open(&settings.path)?;
        let shared = Arc::new(Shared {
            live: self.clone(),
            settings: settings.clone(),
            is_closed: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        let thread = thread::Builder::new()
            .name("certificate-socket".into())
            .spawn(move || accept(&listener, &stopped, &accepting, master))
            .map_err(failed)?;
        Ok(Socket { place: Some(place), stop: Some(stop), shared, thread: Some(thread) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // As long as somebody listens nobody takes the path, so what is removed is ours.
        self.place.take();
        self.shared.is_closed.store(true, Ordering::Release);
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

struct Shared {
    live: Arc<LiveCert>,
    settings: SocketSettings,
    is_closed: AtomicBool,
}

/// Gives each client a thread until `stopped` ends. Holds the mastership as long as it accepts.
fn accept(listener: &UnixListener, stopped: &UnixStream, shared: &Arc<Shared>, _master: Master) {
    let seats = Arc::new(());
    loop {
        let mut awaited = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        let _ = poll(&mut awaited, PollTimeout::NONE);
        if shared.is_closed.load(Ordering::Acquire) {
            return;
        }
        match listener.accept() {
            Ok((client, _)) => seat(client, shared, &seats),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Out of file descriptors: the next one would fail at once, too.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Attends to a client on a thread of its own, or sends it away.
fn seat(client: UnixStream, shared: &Arc<Shared>, seats: &Arc<()>) {
    let taken = Arc::strong_count(seats) - 1;
    let shared = shared.clone();
    if taken >= CLIENTS {
        let _ = client.set_write_timeout(Some(Duration::from_millis(1)));
        let _ = (&client).write_all(&request::refused("too many clients at once"));
        return;
    }
    let seat = seats.clone();
    let thread = thread::Builder::new().name("certificate-client".into());
    // Without a thread the client is dropped, and will come again.
    let _ = thread.spawn(move || {
        let _ = attend(&client, &shared);
        drop(seat);
    });
}

/// Answers requests until the client goes, tarries or says something nobody would.
fn attend(client: &UnixStream, shared: &Shared) -> io::Result<()> {
    client.set_write_timeout(Some(DEADLINE))?;
    let uid = getsockopt(client, PeerCredentials)?.uid();
    if !shared.settings.admits(uid, geteuid().as_raw()) {
        return (&*client).write_all(&request::refused(&format!("uid {uid} is not admitted")));
    }
    let mut lines = Lines { client, buffer: Vec::new() };
    while let Some(line) = lines.next(Instant::now() + DEADLINE)? {
        if shared.is_closed.load(Ordering::Acquire) {
            break;
        }
        let answer = match &line {
            Line::Whole(line) => request::answer(&shared.live, &shared.settings.server, line),
            Line::TooLong => request::refused("the line is too long"),
        };
        (&*client).write_all(&answer)?;
        if matches!(line, Line::TooLong) {
            break;
        }
    }
    Ok(())
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

struct Lines<'a> {
    client: &'a UnixStream,
    buffer: Vec<u8>,
}

impl Lines<'_> {
    /// The next line, none at the end; an error if it is not whole at the deadline.
    fn next(&mut self, deadline: Instant) -> io::Result<Option<Line>> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[searched..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.drain(..=searched + end).collect::<Vec<_>>();
                let is_too_long = line.len() > LINE_LIMIT;
                return Ok(Some(if is_too_long { Line::TooLong } else { Line::Whole(line) }));
            }
            if self.buffer.len() >= LINE_LIMIT {
                return Ok(Some(Line::TooLong));
            }
            searched = self.buffer.len();
            let left = deadline.saturating_duration_since(Instant::now());
            // A timeout of nothing would mean to wait for ever.
            self.client.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let mut chunk = [0; 8 * 1024];
            match self.client.read(&mut chunk)? {
                0 => return Ok(None),
                read => self.buffer.extend_from_slice(&chunk[..read]),
            }
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}
