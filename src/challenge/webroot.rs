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
use crate::model::name::Identifier;

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
            Errno::STALE => {
                SolverError::Unsafe { path, why: "somebody else put it there meanwhile" }
            }
            Errno::INVAL | Errno::NXIO => {
                SolverError::Unsafe { path, why: "it is no ordinary file" }
            }
            errno => SolverError::Webroot { path, source: errno.into() },
        }
    }

    /// Opens the folder of the tokens, making what is missing.
    ///
    /// # Errors
    /// How many of [`FOLDERS`] the failure is about, and what it is.
    fn enter(&self, made: &mut [bool; 2]) -> Result<OwnedFd, (usize, Errno)> {
        let outer = open_or_make(&self.root, FOLDERS[0], &mut made[0]).map_err(|e| (1, e))?;
        open_or_make(&outer, FOLDERS[1], &mut made[1]).map_err(|e| (2, e))
    }

    /// Places one answer; a leftover of the same name makes way, unless it is a trap.
    fn place(&self, token: &Token, answer: &KeyAuthorization) -> Result<(), SolverError> {
        /// Another run may make or remove an empty folder, or leave a file, between two steps.
        const ATTEMPTS: usize = 50;
        let steps = [FOLDERS[0], FOLDERS[1], token.as_str()];
        let mut state = self.state();
        let mut result = Ok(());
        for _ in 0..ATTEMPTS {
            let folder = self.enter(&mut state.made);
            result = folder.and_then(|folder| place_in(&folder, token, answer).map_err(|e| (3, e)));
            if !matches!(result, Err((_, Errno::EXIST | Errno::NOENT | Errno::STALE))) {
                break;
            }
        }
        result.map_err(|(depth, errno)| self.error(&steps[..depth], errno))?;
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
    let flags = flags | OFlags::CLOEXEC;
    match openat2(&folder, name, flags, mode, within) {
        // Kernels before 5.6 and some sandboxes: for a single name this flag says almost the same.
        Err(Errno::NOSYS) => openat(&folder, name, flags | OFlags::NOFOLLOW, mode),
        result => result,
    }
}

fn open_folder(parent: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    open(parent, name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
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
    let folder = open(parent, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    if !is_fresh(&folder)? {
        return Err(Errno::STALE);
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
    async fn precheck(&self, _: &[Identifier]) -> Result<(), SolverError> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::RenameFlags;
    use tempfile::TempDir;

    use super::super::sample::challenge;
    use super::*;

    const TOKEN: &str = "token";

    /// A web server's folder, and beside it things that are none of our business.
    struct Place {
        root: TempDir,
        outside: TempDir,
    }

    impl Place {
        fn new() -> Self {
            let outside = TempDir::new().unwrap();
            let place = Self { root: TempDir::new().unwrap(), outside };
            place.make_outside("folder/acme-challenge");
            place.write(&place.outside.path().join("file"), "untouched");
            place
        }

        fn path(&self, beneath: &str) -> PathBuf {
            self.root.path().join(beneath)
        }

        fn make_outside(&self, folder: &str) {
            make(&self.outside.path().join(folder));
        }

        fn write(&self, path: &Path, content: &str) {
            let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY;
            let file = openat(CWD, path, flags, FILE_MODE).unwrap();
            File::from(file).write_all(content.as_bytes()).unwrap();
        }

        fn solver(&self) -> Webroot {
            Webroot::new(self.root.path().to_owned()).unwrap()
        }

        fn token(&self) -> PathBuf {
            self.path(".well-known/acme-challenge/token")
        }
    }

    fn make(folder: &Path) {
        let made = Command::new("mkdir").arg("-p").arg(folder).status().unwrap();
        assert!(made.success());
    }

    /// Everything beneath a folder: mode and content of each.
    fn picture(folder: &Path) -> BTreeMap<PathBuf, (u32, String)> {
        let mut picture = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                picture.extend(self::picture(&path));
            }
            let content = fs::read_to_string(&path).unwrap_or_default();
            picture.insert(path, (metadata.permissions().mode(), content));
        }
        picture
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn it_comes_and_goes_without_trace() {
        let place = Place::new();
        let solver = place.solver();
        let challenge = challenge("http-01", "a.example", TOKEN);
        solver.clean_up(&challenge).await.unwrap();
        for _ in 0..2 {
            solver.precheck(&[]).await.unwrap();
            assert_eq!(picture(place.root.path()).len(), 0);
            solver.present(&challenge).await.unwrap();
            solver.present(&challenge).await.unwrap();
            let content = fs::read_to_string(place.token()).unwrap();
            assert_eq!(content, challenge.key_authorization.as_str());
            assert_eq!(mode(&place.token()), 0o644);
            assert_eq!(mode(&place.path(".well-known")), 0o755);
            assert_eq!(mode(&place.path(".well-known/acme-challenge")), 0o755);
            solver.clean_up(&challenge).await.unwrap();
            assert_eq!(picture(place.root.path()).len(), 0);
        }
        solver.present(&challenge).await.unwrap();
        drop(solver);
        assert_eq!(picture(place.root.path()).len(), 0);
    }

    #[test]
    fn modes_do_not_depend_on_the_umask() {
        let output = Command::new("sh")
            .args(["-c", "umask 077; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "challenge::webroot::tests::it_comes_and_goes_without_trace"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[tokio::test]
    async fn what_others_made_stays() {
        let place = Place::new();
        make(&place.path(".well-known"));
        let (one, two) =
            (challenge("http-01", "a.example", "one"), challenge("http-01", "a.example", "two"));
        let (first, second) = (place.solver(), place.solver());
        first.present(&one).await.unwrap();
        second.present(&two).await.unwrap();
        first.clean_up(&one).await.unwrap();
        assert!(place.path(".well-known/acme-challenge/two").exists());
        assert!(!place.path(".well-known/acme-challenge/one").exists());
        second.clean_up(&two).await.unwrap();
        first.clean_up(&one).await.unwrap();
        assert_eq!(picture(place.root.path()).len(), 1, "the folder that was there remains");
        place.write(&place.path(".well-known/security.txt"), "x");
        make(&place.path(".well-known/acme-challenge"));
        place.write(&place.path(".well-known/acme-challenge/one"), "of somebody else");
        let before = picture(place.root.path());
        first.clean_up(&one).await.unwrap();
        assert_eq!(picture(place.root.path()), before);
    }

    #[tokio::test]
    async fn a_leftover_of_a_crash_is_replaced_and_removed() {
        let challenge = challenge("http-01", "a.example", TOKEN);
        let answer = challenge.key_authorization.as_str();
        for leftover in ["", "half", answer, &format!("{answer}x")] {
            let place = Place::new();
            make(&place.path(".well-known/acme-challenge"));
            place.write(&place.token(), leftover);
            let private = fs::Permissions::from_mode(0o600);
            File::open(place.token()).unwrap().set_permissions(private).unwrap();
            // A hard link to something else must not be written through.
            let twin = place.path("twin");
            rustix::fs::link(place.token(), &twin).unwrap();
            let solver = place.solver();
            solver.present(&challenge).await.unwrap();
            assert_eq!(fs::read_to_string(place.token()).unwrap(), answer);
            assert_eq!(mode(&place.token()), 0o644, "{leftover}");
            assert_eq!(
                (fs::read_to_string(&twin).unwrap().as_str(), mode(&twin)),
                (leftover, 0o600)
            );
            place.solver().clean_up(&challenge).await.unwrap();
            assert!(!place.token().exists());
        }
    }

    #[tokio::test]
    async fn links_and_other_traps_are_refused() {
        let challenge = challenge("http-01", "a.example", TOKEN);
        type Trap = fn(&Place);
        let traps: [Trap; 8] = [
            |place| {
                make(&place.path("other/acme-challenge"));
                symlink("other", place.path(".well-known")).unwrap();
            },
            |place| {
                make(&place.path(".well-known/acme-challenge"));
                place.write(&place.path(".well-known/acme-challenge/other"), "x");
                symlink("other", place.token()).unwrap();
            },
            |place| {
                symlink(place.outside.path().join("folder"), place.path(".well-known")).unwrap()
            },
            |place| {
                symlink(place.outside.path().join("nowhere"), place.path(".well-known")).unwrap()
            },
            |place| {
                make(&place.path(".well-known"));
                let inner = place.path(".well-known/acme-challenge");
                symlink(place.outside.path().join("folder/acme-challenge"), inner).unwrap();
            },
            |place| {
                make(&place.path(".well-known/acme-challenge"));
                symlink(place.outside.path().join("file"), place.token()).unwrap();
            },
            |place| {
                make(&place.path(".well-known/acme-challenge"));
                symlink(place.outside.path().join("nowhere"), place.token()).unwrap();
            },
            |place| make(&place.token()),
        ];
        for (index, trap) in traps.into_iter().enumerate() {
            let place = Place::new();
            trap(&place);
            let (outside, inside) = (picture(place.outside.path()), picture(place.root.path()));
            let solver = place.solver();
            for result in [solver.present(&challenge).await, solver.clean_up(&challenge).await] {
                let Err(error) = result else { panic!("trap {index} was not noticed") };
                assert!(matches!(error, SolverError::Unsafe { .. }), "{index}: {error:?}");
                assert_eq!(error.fault(), crate::model::fault::Fault::Permanent);
            }
            drop(solver);
            assert_eq!(picture(place.outside.path()), outside, "{index}");
            assert_eq!(picture(place.root.path()), inside, "{index}");
        }
    }

    #[tokio::test]
    async fn a_named_pipe_does_not_block() {
        let place = Place::new();
        make(&place.path(".well-known/acme-challenge"));
        assert!(Command::new("mkfifo").arg(place.token()).status().unwrap().success());
        let error = place.solver().present(&challenge("http-01", "a.example", TOKEN)).await;
        assert!(matches!(error, Err(SolverError::Unsafe { .. })), "{error:?}");
    }

    #[test]
    fn swapping_folders_during_the_run_gains_nothing() {
        let place = Place::new();
        let outside = picture(place.outside.path());
        let (stop, target) = (AtomicBool::new(false), place.outside.path().join("folder"));
        let (well_known, link) = (place.path(".well-known"), place.path("link"));
        make(&well_known.join("acme-challenge"));
        symlink(&target, &link).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let swap = RenameFlags::EXCHANGE;
                    rustix::fs::renameat_with(CWD, &well_known, CWD, &link, swap).unwrap();
                }
            });
            let solver = place.solver();
            let (mut placed, mut refused) = (0, 0);
            for index in 0..20_000 {
                let challenge = challenge("http-01", "a.example", &format!("token-{index}"));
                match solver.place(&challenge.token, &challenge.key_authorization) {
                    Ok(()) => placed += 1,
                    Err(_) => refused += 1,
                }
                let _ = solver.take_back(&challenge.token, &challenge.key_authorization);
                if placed > 50 && refused > 50 {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert!(placed > 0 && refused > 0, "no race: {placed} placed, {refused} refused");
        });
        assert_eq!(picture(place.outside.path()), outside);
    }

    #[test]
    fn a_folder_with_content_is_not_the_one_just_made() {
        let place = Place::new();
        let folder = OwnedFd::from(File::open(place.root.path()).unwrap());
        assert!(is_fresh(&folder).unwrap());
        place.write(&place.path("secret"), "");
        assert!(!is_fresh(&folder).unwrap());
    }

    #[test]
    fn a_missing_root_is_named() {
        let place = Place::new();
        let error = Webroot::new(place.path("missing")).err().unwrap();
        assert!(error.to_string().ends_with("missing for challenge files"), "{error}");
        place.write(&place.path("file"), "");
        assert!(Webroot::new(place.path("file")).is_err());
    }
}
