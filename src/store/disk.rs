//! The disk as a few orthogonal acts: the only place that writes files.

mod error;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FallocateFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use super::layout;
use super::lock::Holder;
use crate::model::time::Timestamp;
pub(crate) use error::{Act, DiskError, DiskResult};

/// Who may read a finished file. Files are created for us alone and widened on the descriptor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Access {
    pub(crate) owner: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) mode: u32,
}

impl Default for Access {
    fn default() -> Self {
        Self { owner: None, group: None, mode: 0o400 }
    }
}

/// What there is at a path; a symbolic link is not followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    /// Device and inode: equal for two names of one file.
    pub(crate) inode: (u64, u64),
    /// Seconds and nanoseconds since the Unix epoch.
    pub(crate) modified: (i64, i64),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Directory,
    File,
    Symlink,
    Other,
}

/// The end of a file that grows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tail {
    pub(crate) inode: (u64, u64),
    pub(crate) bytes: Vec<u8>,
}

/// What is left on a file system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    /// `None` where the file system does not count them.
    pub(crate) inodes: Option<u64>,
}

/// A file to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewFile<'a> {
    pub(crate) path: PathBuf,
    pub(crate) bytes: &'a [u8],
    pub(crate) access: Access,
}

/// A held kernel lock; let go when dropped.
#[derive(Debug)]
pub(crate) struct LockFile(#[expect(dead_code, reason = "held, not read")] File);

/// The acts. Every change of the disk is one of these, so that a test can stop after any of them.
///
/// No act follows a symbolic link at the end of its path.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// What is there; `None` where nothing is.
    fn look(&self, path: &Path) -> DiskResult<Option<Facts>>;
    /// The names in a directory, sorted; none where there is no directory.
    fn list(&self, dir: &Path) -> DiskResult<Vec<OsString>>;
    /// The bytes of a regular file, at most `limit`; `None` where there is none.
    fn read(&self, path: &Path, limit: u64) -> DiskResult<Option<Vec<u8>>>;
    /// What a regular file holds from a byte on, at most `limit`; `None` where there is none.
    fn read_on(&self, path: &Path, from: u64, limit: u64) -> DiskResult<Option<Tail>>;
    fn room(&self, dir: &Path) -> DiskResult<Room>;
    /// Fails on a read-only file system and on a directory we may not write.
    fn check_writable(&self, dir: &Path) -> DiskResult<()>;

    /// Makes files that were not there, each synced; the directory is not.
    ///
    /// They are readable for us alone until they are complete; then [`Access`] is given to the
    /// descriptor. After a failure some of them may exist, in part.
    fn create(&self, files: &[NewFile<'_>]) -> DiskResult<()>;
    /// Writes a file in its place, unsynced: for what may be lost, or read while half written.
    fn jot(&self, path: &Path, bytes: &[u8]) -> DiskResult<()>;
    /// Cuts a file off at a byte and goes on with these; nothing is synced.
    fn append(&self, path: &Path, at: u64, bytes: &[u8]) -> DiskResult<()>;
    /// Makes what a file holds survive a power cut.
    fn sync(&self, path: &Path) -> DiskResult<()>;
    /// Makes a file of this size whose blocks are really there, for us alone.
    fn reserve(&self, path: &Path, bytes: u64) -> DiskResult<()>;
    fn make_dir(&self, path: &Path, mode: u32) -> DiskResult<()>;
    /// Gives a file a second name.
    fn link(&self, from: &Path, to: &Path) -> DiskResult<()>;
    /// Moves a file, in the place of another if there is one.
    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()>;
    /// Moves something to where nothing is.
    fn rename_new(&self, from: &Path, to: &Path) -> DiskResult<()>;
    /// Swaps two directories; there is no instant at which one is missing.
    fn exchange(&self, a: &Path, b: &Path) -> DiskResult<()>;
    /// Removes a name; fine where there is none.
    fn remove_file(&self, path: &Path) -> DiskResult<()>;
    /// Removes an empty directory; fine where there is none.
    fn remove_dir(&self, path: &Path) -> DiskResult<()>;
    /// Makes the names in a directory survive a power cut.
    fn sync_dir(&self, dir: &Path) -> DiskResult<()>;
    /// Takes a kernel lock without waiting, or says who holds it.
    fn lock(&self, path: &Path) -> DiskResult<Result<LockFile, Holder>>;
}

impl dyn Disk {
    /// Writes a file in the place of another: readers see the old or the new one, whole and synced.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> DiskResult<()> {
        self.replace_for(Access { mode: 0o600, ..Access::default() }, path, bytes)
    }

    /// [`Self::replace`] for those who have this access.
    pub(super) fn replace_for(&self, access: Access, path: &Path, bytes: &[u8]) -> DiskResult<()> {
        let temporary = layout::temporary(path);
        let file = [NewFile { path: temporary.clone(), bytes, access }];
        let written = match self.create(&file) {
            Err(error) if error.already_exists() => {
                self.remove_file(&temporary).and_then(|()| self.create(&file))
            }
            other => other,
        };
        let moved = written.and_then(|()| self.rename(&temporary, path));
        if moved.is_err() {
            // The first failure is the one to report; what remains here is swept by the next run.
            let _ = self.remove_file(&temporary);
        }
        moved.and_then(|()| self.sync_dir(parent(path)))
    }

    /// Gives a file a second name, or where that is impossible copies it. Says whether it copied.
    pub(super) fn link_or_copy(&self, from: &Path, to: &Path) -> DiskResult<bool> {
        match self.link(from, to) {
            Err(error) if error.is_impossible() => self.copy(from, to).map(|()| true),
            linked => linked.map(|()| false),
        }
    }

    fn copy(&self, from: &Path, to: &Path) -> DiskResult<()> {
        let gone = || DiskError::new(Act::Read, from, Errno::NOENT);
        let facts = self.look(from)?.ok_or_else(gone)?;
        let bytes = zeroize::Zeroizing::new(self.read(from, LARGEST)?.ok_or_else(gone)?);
        let access = Access { owner: Some(facts.owner), group: None, mode: facts.mode };
        self.create(&[NewFile { path: to.to_owned(), bytes: &bytes, access }])
    }

    /// Removes a directory with everything in it; fine where there is none. Says whether there was.
    pub(super) fn remove_tree(&self, path: &Path) -> DiskResult<bool> {
        match self.look(path)? {
            None => return Ok(false),
            Some(Facts { kind: Kind::Directory, .. }) => {
                for name in self.list(path)? {
                    self.remove_tree(&path.join(name))?;
                }
                self.remove_dir(path)?;
            }
            Some(_) => self.remove_file(path)?,
        }
        Ok(true)
    }
}

/// More than any file of ours has, and little enough to be read.
pub(super) const LARGEST: u64 = 1 << 20;

/// The directory of a path of ours.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().expect("every path of the layout lies in a directory")
}

/// The disk of this machine.
#[derive(Debug)]
pub(crate) struct Real;

impl Real {
    fn open(path: &Path, flags: OFlags) -> rustix::io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map(File::from)
    }

    /// Opens what must not have been there; nobody else can read it, whatever the umask.
    fn open_new(path: &Path) -> DiskResult<File> {
        Self::open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)
            .map_err(|errno| DiskError::new(Act::Write, path, errno))
    }

    fn create_one(file: &NewFile<'_>) -> DiskResult<()> {
        let NewFile { path, bytes, access } = file;
        let written = Self::open_new(path)?;
        let fail = |error| DiskError::new(Act::Write, path, error);
        (&written).write_all(bytes).map_err(fail)?;
        Self::give(&written, *access).map_err(|errno| fail(errno.into()))?;
        written.sync_all().map_err(|error| DiskError::new(Act::Sync, path, error))
    }

    fn give(file: &File, access: Access) -> rustix::io::Result<()> {
        if access.owner.is_some() || access.group.is_some() {
            let (owner, group) = (access.owner.map(Uid::from_raw), access.group.map(Gid::from_raw));
            rustix::fs::fchown(file, owner, group)?;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(access.mode))
    }

    fn read_tail(path: &Path, from: u64, limit: u64) -> io::Result<Tail> {
        // A pipe in the place of a file must not hang us, a device not fill the memory.
        let mut file = Self::open(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        file.seek(SeekFrom::Start(from))?;
        let too_large = || io::Error::other(format!("larger than {limit} bytes"));
        let size = facts.len().saturating_sub(from).min(limit);
        let size = usize::try_from(size).map_err(|_| too_large())?;
        // One byte more than expected, so that a private key is never moved by growing.
        let mut bytes = Vec::with_capacity(size + 1);
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(too_large());
        }
        Ok(Tail { inode: (facts.dev(), facts.ino()), bytes })
    }

    /// Opens what must be there and be a file, for writing.
    fn open_old(path: &Path) -> io::Result<File> {
        let file = Self::open(path, OFlags::WRONLY | OFlags::NONBLOCK)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("not a regular file")),
        }
    }

    fn append_to(path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let file = Self::open_old(path)?;
        file.set_len(at)?;
        let written = file.write_all_at(bytes, at);
        if written.is_err() {
            // Whole lines of a part would be believed.
            let _ = file.set_len(at);
        }
        written
    }

    fn holder(file: &File) -> Holder {
        // Who has just taken the lock signs it in a moment.
        const LOOKS: usize = 20;
        const PAUSE: Duration = Duration::from_millis(2);
        let mut pid = None;
        for _ in 0..LOOKS {
            let mut text = [0; 16];
            let length = file.read_at(&mut text, 0).unwrap_or(0);
            let line = std::str::from_utf8(&text[..length]).ok().and_then(|t| t.strip_suffix('\n'));
            pid = line.and_then(|line| line.trim_end().parse().ok());
            if pid.is_some() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let since = file.metadata().ok().map(|facts| Timestamp::from_unix(facts.mtime()));
        Holder { pid, since }
    }

    /// Leaves a note for the curious; failing to is no reason to stop.
    fn sign(file: &File) {
        // Always as wide: written over the note before, it costs no blocks taken and given back.
        let _ = file.write_all_at(format!("{:<10}\n", std::process::id()).as_bytes(), 0);
    }
}

impl Disk for Real {
    fn look(&self, path: &Path) -> DiskResult<Option<Facts>> {
        let found = match std::fs::symlink_metadata(path) {
            Err(error) if is_missing(&error) => return Ok(None),
            other => other.map_err(|error| DiskError::new(Act::Look, path, error))?,
        };
        let kind = match found.file_type() {
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_file() => Kind::File,
            kind if kind.is_symlink() => Kind::Symlink,
            _ => Kind::Other,
        };
        Ok(Some(Facts {
            kind,
            mode: found.mode() & 0o7777,
            owner: found.uid(),
            inode: (found.dev(), found.ino()),
            modified: (found.mtime(), found.mtime_nsec()),
        }))
    }

    fn list(&self, dir: &Path) -> DiskResult<Vec<OsString>> {
        let fail = |error| DiskError::new(Act::List, dir, error);
        let entries = match std::fs::read_dir(dir) {
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            other => other.map_err(fail)?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>().map_err(fail)?;
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> DiskResult<Option<Vec<u8>>> {
        Ok(self.read_on(path, 0, limit)?.map(|whole| whole.bytes))
    }

    fn read_on(&self, path: &Path, from: u64, limit: u64) -> DiskResult<Option<Tail>> {
        match Self::read_tail(path, from, limit) {
            Ok(tail) => Ok(Some(tail)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(DiskError::new(Act::Read, path, error)),
        }
    }

    fn room(&self, dir: &Path) -> DiskResult<Room> {
        let facts =
            rustix::fs::statvfs(dir).map_err(|errno| DiskError::new(Act::Look, dir, errno))?;
        Ok(Room {
            bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
            inodes: (facts.f_files > 0).then_some(facts.f_favail),
        })
    }

    fn check_writable(&self, dir: &Path) -> DiskResult<()> {
        rustix::fs::access(dir, rustix::fs::Access::WRITE_OK)
            .map_err(|errno| DiskError::new(Act::Write, dir, errno))
    }

    fn create(&self, files: &[NewFile<'_>]) -> DiskResult<()> {
        files.iter().try_for_each(Self::create_one)
    }

    fn jot(&self, path: &Path, bytes: &[u8]) -> DiskResult<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK;
        let jotted = Self::open(path, flags).map_err(io::Error::from).and_then(|file| {
            file.write_all_at(bytes, 0)?;
            file.set_len(bytes.len() as u64)
        });
        jotted.map_err(|error| DiskError::new(Act::Write, path, error))
    }

    fn append(&self, path: &Path, at: u64, bytes: &[u8]) -> DiskResult<()> {
        Self::append_to(path, at, bytes).map_err(|error| DiskError::new(Act::Write, path, error))
    }

    fn sync(&self, path: &Path) -> DiskResult<()> {
        let synced = Self::open_old(path).and_then(|file| file.sync_data());
        synced.map_err(|error| DiskError::new(Act::Sync, path, error))
    }

    fn reserve(&self, path: &Path, bytes: u64) -> DiskResult<()> {
        let file = Self::open_new(path)?;
        let taken = match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                io::copy(&mut io::repeat(0).take(bytes), &mut &file).map(|_| ())
            }
            other => other.map_err(Into::into),
        };
        taken.map_err(|error| DiskError::new(Act::Reserve, path, error))
    }

    fn make_dir(&self, path: &Path, mode: u32) -> DiskResult<()> {
        let make = || {
            rustix::fs::mkdir(path, Mode::RWXU)?;
            // The umask may have taken bits away that this directory is meant to have.
            let dir = Self::open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            rustix::fs::fchmod(dir, Mode::from_raw_mode(mode))
        };
        make().map_err(|errno| DiskError::new(Act::MakeDirectory, path, errno))
    }

    fn link(&self, from: &Path, to: &Path) -> DiskResult<()> {
        rustix::fs::link(from, to).map_err(|errno| DiskError::new(Act::Link, to, errno))
    }

    fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        rustix::fs::rename(from, to).map_err(|errno| DiskError::new(Act::Rename, to, errno))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> DiskResult<()> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Where the file system lacks the flag, our lock on the certificate has to do.
            Err(Errno::INVAL | Errno::NOSYS) => match self.look(to)? {
                None => self.rename(from, to),
                Some(_) => Err(DiskError::new(Act::Rename, to, Errno::EXIST)),
            },
            other => other.map_err(|errno| DiskError::new(Act::Rename, to, errno)),
        }
    }

    fn exchange(&self, a: &Path, b: &Path) -> DiskResult<()> {
        rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)
            .map_err(|errno| DiskError::new(Act::Exchange, b, errno))
    }

    fn remove_file(&self, path: &Path) -> DiskResult<()> {
        removed(rustix::fs::unlink(path), path)
    }

    fn remove_dir(&self, path: &Path) -> DiskResult<()> {
        removed(rustix::fs::rmdir(path), path)
    }

    fn sync_dir(&self, dir: &Path) -> DiskResult<()> {
        let sync = || Self::open(dir, OFlags::RDONLY | OFlags::DIRECTORY)?.sync_all();
        match sync() {
            // Some network file systems have no sync for directories; they write names at once.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other.map_err(|error| DiskError::new(Act::Sync, dir, error)),
        }
    }

    fn lock(&self, path: &Path) -> DiskResult<Result<LockFile, Holder>> {
        let fail = |error| DiskError::new(Act::Lock, path, error);
        loop {
            let file =
                Self::open(path, OFlags::RDWR | OFlags::CREATE).map_err(|e| fail(e.into()))?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Ok(Err(Self::holder(&file))),
                other => other.map_err(|errno| fail(errno.into()))?,
            }
            // Its last holder may have removed it between our opening and our locking it.
            let locked = file.metadata().map_err(fail)?;
            let named = self.look(path)?.map(|facts| facts.inode);
            if named == Some((locked.dev(), locked.ino())) {
                Self::sign(&file);
                return Ok(Ok(LockFile(file)));
            }
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn removed(result: rustix::io::Result<()>, path: &Path) -> DiskResult<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(DiskError::new(Act::Remove, path, errno)),
    }
}
