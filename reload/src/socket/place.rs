//! The path of a socket: taken from the dead, never from the living.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::SocketError;

/// How long another server may hold the folder while it opens a socket there.
const PATIENCE: Duration = Duration::from_secs(5);
const MODE: u32 = 0o660;

/// The file of an open socket; removed when dropped.
pub(super) struct Place {
    path: PathBuf,
    identity: (u64, u64),
}

impl Place {
    /// Opens a socket at `path`.
    ///
    /// The file appears whole, with its mode, by one rename. Who would replace a dead socket holds a
    /// lock on the folder, so that of two servers which find it dead the second finds the first.
    pub(super) fn open(path: &Path) -> Result<(UnixListener, Self), SocketError> {
        let failed = |source| SocketError::Open { path: path.into(), source };
        let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let _lock = lock(folder).map_err(failed)?;
        if is_alive(path).map_err(failed)? {
            return Err(SocketError::InUse { path: path.into() });
        }
        let mut draft = OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}", std::process::id()));
        let draft = folder.join(draft);
        let opened = bind(&draft, path);
        if opened.is_err() {
            let _ = fs::remove_file(&draft);
        }
        opened.map_err(failed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whatever has come into its place since is somebody else's.
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn bind(draft: &Path, path: &Path) -> io::Result<(UnixListener, Place)> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(draft)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(draft, Permissions::from_mode(MODE))?;
    let metadata = fs::symlink_metadata(draft)?;
    fs::rename(draft, path)?;
    let identity = (metadata.dev(), metadata.ino());
    Ok((listener, Place { path: path.into(), identity }))
}

/// Waits for the folder with a deadline: anybody who may read it could hold it for ever.
fn lock(folder: &Path) -> io::Result<Flock<File>> {
    let began = Instant::now();
    let mut file = File::open(folder)?;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) if began.elapsed() < PATIENCE => file,
            Err((_, error)) => return Err(error.into()),
        };
        thread::sleep(Duration::from_millis(10));
    }
}

/// Claims that somebody listens at `path`. What is there and no socket is an error.
fn is_alive(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    // A server that stands still has a full queue; to wait for it would be to stand still, too.
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) | Err(Errno::EAGAIN) => Ok(true),
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
