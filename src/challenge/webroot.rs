//! http-01 through the files of a running web server (RFC 8555 §8.3).
//!
//! The folder may belong to somebody we trust less than ourselves. So every step goes from one
//! descriptor to the next, by a single name, and a symbolic link on the way is refused: whatever is
//! swapped meanwhile, nothing outside the folder is created, changed or removed.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fchmod, fstat, mkdirat, openat,
    openat2, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{Solver, SolverError, ensure_provable};
use crate::model::challenge::{Challenge, ChallengeKind, KeyAuthorization, Token};

/// The folders between the web server's root and the tokens.
const FOLDERS: [&str; 2] = [".well-known", "acme-challenge"];

/// Readable for whichever user the web server runs as, whatever the process's umask.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// Puts key authorizations beneath the root of a web server, and nothing outside it.
pub(crate) struct Webroot {
    path: PathBuf,
    root: OwnedFd,
    state: Mutex<State>,
}

/// What there is to take back.
#[derive(Default)]
struct State {
    placed: Vec<(Token, KeyAuthorization)>,
    /// Which of [`FOLDERS`] were made here.
    made: [bool; 2],
}

impl Webroot {
    /// Takes hold of the directory; it must exist.
    pub(crate) fn new(root: PathBuf) -> Result<Self, SolverError> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        match openat(CWD, &root, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Self { path: root, root: descriptor, state: Mutex::default() }),
            Err(errno) => Err(SolverError::Webroot { path: root, source: errno.into() }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error for something at this place beneath the root.
    fn error(&self, steps: &[&str], errno: Errno) -> SolverError {
        let path = steps.iter().fold(self.path.clone(), |path, step| path.join(step));
        match errno {
            Errno::LOOP => SolverError::Unsafe { path, why: "it is a symbolic link" },
            Errno::XDEV => SolverError::Unsafe { path, why: "it leads elsewhere" },
            Errno::INVAL => SolverError::Unsafe { path, why: "it is no ordinary file or folder" },
            errno => SolverError::Webroot { path, source: errno.into() },
        }
    }

    /// Opens the folder of the tokens, making what is missing.
    fn enter(&self, made: &mut [bool; 2]) -> Result<OwnedFd, SolverError> {
        let outer = open_or_make(&self.root, FOLDERS[0], &mut made[0]);
        let outer = outer.map_err(|errno| self.error(&FOLDERS[..1], errno))?;
        let inner = open_or_make(&outer, FOLDERS[1], &mut made[1]);
        inner.map_err(|errno| self.error(&FOLDERS, errno))
    }

    /// Places one answer; a leftover of the same name makes way, unless it is a trap.
    fn place(&self, token: &Token, answer: &KeyAuthorization) -> Result<(), SolverError> {
        /// Somebody else may remove an empty folder, or leave a file, between two steps.
        const ATTEMPTS: usize = 5;
        let mut state = self.state();
        let mut result = Ok(());
        for _ in 0..ATTEMPTS {
            let folder = self.enter(&mut state.made)?;
            result = place_in(&folder, token, answer);
            if !matches!(result, Err(Errno::EXIST | Errno::NOENT)) {
                break;
            }
        }
        result.map_err(|errno| self.error(&[FOLDERS[0], FOLDERS[1], token.as_str()], errno))?;
        state.placed.push((token.clone(), answer.clone()));
        Ok(())
    }

    /// Removes the answer if it is exactly that, and the folders that were made for it.
    fn take_back(&self, token: &Token, answer: &KeyAuthorization) -> Result<(), SolverError> {
        let mut state = self.state();
        state.placed.retain(|placed| placed != &(token.clone(), answer.clone()));
        let removed = self.remove(token, answer);
        self.remove_folders(&mut state.made);
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error(&[FOLDERS[0], FOLDERS[1], token.as_str()], errno)),
        }
    }

    fn remove(&self, token: &Token, answer: &KeyAuthorization) -> rustix::io::Result<()> {
        let outer = open_folder(&self.root, FOLDERS[0])?;
        let folder = open_folder(&outer, FOLDERS[1])?;
        if holds(&folder, token, answer)?.is_some() {
            unlinkat(&folder, token.as_str(), AtFlags::empty())?;
        }
        Ok(())
    }

    /// What still holds files of others stays.
    fn remove_folders(&self, made: &mut [bool; 2]) {
        let outer = open_folder(&self.root, FOLDERS[0]);
        if let (true, Ok(outer)) = (made[1], outer) {
            made[1] = unlinkat(outer, FOLDERS[1], AtFlags::REMOVEDIR).is_err();
        }
        if made[0] {
            made[0] = unlinkat(&self.root, FOLDERS[0], AtFlags::REMOVEDIR).is_err();
        }
    }
}

/// Opens what has this name in the folder, and nothing a link would lead to.
fn open(folder: impl AsFd, name: &str, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(&folder, name, flags, mode, within) {
        // Kernels before 5.6 and some sandboxes: for a single name the flags say almost the same.
        Err(Errno::NOSYS) => openat(&folder, name, flags, mode),
        result => result,
    }
}

fn open_folder(parent: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    open(parent, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

fn open_or_make(parent: &OwnedFd, name: &str, made: &mut bool) -> rustix::io::Result<OwnedFd> {
    match open_folder(parent, name) {
        Err(Errno::NOENT) => {}
        result => return result,
    }
    match mkdirat(parent, name, FOLDER_MODE) {
        Ok(()) => *made = true,
        Err(Errno::EXIST) => return open_folder(parent, name),
        Err(errno) => return Err(errno),
    }
    let folder = open_folder(parent, name)?;
    if !is_fresh(&folder)? {
        return Err(Errno::XDEV);
    }
    fchmod(&folder, FOLDER_MODE)?;
    Ok(folder)
}

/// Whether it can be the folder just made, not some private one moved into its place.
fn is_fresh(folder: &OwnedFd) -> rustix::io::Result<bool> {
    if fstat(folder)?.st_uid != geteuid().as_raw() {
        return Ok(false);
    }
    for entry in Dir::read_from(folder)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn place_in(folder: &OwnedFd, token: &Token, answer: &KeyAuthorization) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    match open(folder, token.as_str(), flags, FILE_MODE) {
        Ok(file) => write(file.into(), answer).inspect_err(|_| {
            // The error that led here is the one to tell.
            let _ = unlinkat(folder, token.as_str(), AtFlags::empty());
        }),
        Err(Errno::EXIST) => match holds(folder, token, answer)? {
            Some(mode) if mode.contains(FILE_MODE) => Ok(()),
            _ => unlinkat(folder, token.as_str(), AtFlags::empty()).and(Err(Errno::EXIST)),
        },
        Err(errno) => Err(errno),
    }
}

fn write(mut file: File, answer: &KeyAuthorization) -> rustix::io::Result<()> {
    let written = file.write_all(answer.as_str().as_bytes());
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    fchmod(&file, FILE_MODE)
}

/// The mode of the token's file if its content is this answer.
///
/// Anything but an ordinary file is an error: nobody should have put it there.
fn holds(
    folder: &OwnedFd,
    token: &Token,
    answer: &KeyAuthorization,
) -> rustix::io::Result<Option<Mode>> {
    // Without NONBLOCK, opening a named pipe would wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = match open(folder, token.as_str(), flags, Mode::empty()) {
        Err(Errno::ACCESS) => return Ok(None),
        result => File::from(result?),
    };
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let answer = answer.as_str().as_bytes();
    let mut content = Vec::with_capacity(answer.len() + 1);
    let read = file.take(answer.len() as u64 + 1).read_to_end(&mut content);
    let is_it = read.is_ok() && content == answer;
    Ok(is_it.then(|| Mode::from_raw_mode(stat.st_mode)))
}

impl Drop for Webroot {
    fn drop(&mut self) {
        let placed = std::mem::take(&mut self.state().placed);
        for (token, answer) in placed {
            // Nobody is left to hear of a failure.
            let _ = self.take_back(&token, &answer);
        }
    }
}

#[async_trait]
impl Solver for Webroot {
    fn kind(&self) -> ChallengeKind {
        ChallengeKind::Http01
    }

    /// Places a file like any other, and takes it back.
    async fn precheck(&self) -> Result<(), SolverError> {
        let token = Token::parse("precheck").expect("letters only");
        let answer = KeyAuthorization::new(&token, "precheck");
        let placed = self.place(&token, &answer);
        let taken_back = self.take_back(&token, &answer);
        placed.and(taken_back)
    }

    async fn present(&self, challenge: &Challenge) -> Result<(), SolverError> {
        ensure_provable(self.kind(), challenge)?;
        let placed = self.place(&challenge.token, &challenge.key_authorization);
        if placed.is_err() {
            self.remove_folders(&mut self.state().made);
        }
        placed
    }

    async fn clean_up(&self, challenge: &Challenge) -> Result<(), SolverError> {
        self.take_back(&challenge.token, &challenge.key_authorization)
    }
}
