//! Who may write on the way to the store, and who may read its keys.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};

use super::StoreError;
use super::disk::{Act, DiskError, Facts};

/// More symbolic links than this on one way are a loop (as in the kernel).
const MOST_LINKS: usize = 40;

/// Walks from the root to `dir` by descriptor and refuses a step that others could bend.
///
/// Every directory must belong to root or to us and be writable for its owner alone; above `dir` a
/// sticky one such as `/tmp` will do. Symbolic links are followed when they belong to root or us.
pub(super) fn check_way(dir: &Path) -> Result<(), StoreError> {
    walk(dir, judge).map(drop)
}

/// Checks the way to a directory in which one of ours is yet to be made: it may be a sticky one.
pub(super) fn check_way_above(dir: &Path) -> Result<(), StoreError> {
    walk(dir, |facts, shown, _| judge(facts, shown, false)).map(drop)
}

/// Whose a directory is.
///
/// # Errors
/// [`StoreError::Refused`] where anybody but root and us could have put it there: nothing above it
/// may be sticky either.
pub(super) fn owner(dir: &Path) -> Result<Owner, StoreError> {
    let above = |facts: &Stat, shown: &Path, last| match last {
        true => Ok(()),
        false => judge(facts, shown, true),
    };
    let facts = walk(dir, above)?;
    Ok(Owner { user: facts.st_uid, group: facts.st_gid })
}

/// A user and a group, by their numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// How a directory on the way is judged; `last` where it is what the way leads to.
trait Judge: Fn(&Stat, &Path, bool) -> Result<(), StoreError> {}

impl<F: Fn(&Stat, &Path, bool) -> Result<(), StoreError>> Judge for F {}

/// What the way leads to, if all on it was judged good.
fn walk(dir: &Path, judge: impl Judge) -> Result<Stat, StoreError> {
    let whole = std::path::absolute(dir).map_err(|error| DiskError::new(Act::Look, dir, error))?;
    let mut way = Way::from_root(&judge)?;
    let mut steps = steps_of(&whole);
    let mut links = 0;
    while let Some(step) = steps.pop() {
        let Some(target) = way.go(&step, steps.is_empty(), &judge)? else { continue };
        links += 1;
        if links > MOST_LINKS {
            return Err(refuse(
                &whole,
                "goes through a loop of symbolic links".to_owned(),
                "ls -l",
            ));
        }
        if target.is_absolute() {
            way = Way::from_root(&judge)?;
        }
        steps.extend(steps_of(&target));
    }
    stat(&way.at, &way.shown)
}

/// The steps of a path, the first one last.
fn steps_of(path: &Path) -> Vec<OsString> {
    let step = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(step).collect()
}

struct Way {
    at: OwnedFd,
    shown: PathBuf,
}

impl Way {
    fn from_root(judge: &impl Judge) -> Result<Self, StoreError> {
        let shown = PathBuf::from("/");
        let at = open_step(CWD, &shown, &shown)?;
        judge(&stat(&at, &shown)?, &shown, false)?;
        Ok(Self { at, shown })
    }

    /// Goes one step, or says where a symbolic link leads.
    fn go(
        &mut self,
        step: &OsString,
        last: bool,
        judge: &impl Judge,
    ) -> Result<Option<PathBuf>, StoreError> {
        let shown = if step == ".." {
            self.shown.parent().unwrap_or(&self.shown).to_owned()
        } else {
            self.shown.join(step)
        };
        let next = open_step(&self.at, Path::new(step), &shown)?;
        let facts = stat(&next, &shown)?;
        match FileType::from_raw_mode(facts.st_mode) {
            FileType::Directory => judge(&facts, &shown, last)?,
            FileType::Symlink => {
                check_owner(facts.st_uid, &shown)?;
                let target = rustix::fs::readlinkat(&next, "", Vec::new())
                    .map_err(|errno| DiskError::new(Act::Look, &shown, errno))?;
                return Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes()))));
            }
            _ => return Err(refuse(&shown, "is not a directory".to_owned(), "ls -l")),
        }
        *self = Self { at: next, shown };
        Ok(None)
    }
}

fn open_step(at: impl std::os::fd::AsFd, step: &Path, shown: &Path) -> Result<OwnedFd, StoreError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(at, step, flags, Mode::empty());
    Ok(opened.map_err(|errno| DiskError::new(Act::Look, shown, errno))?)
}

fn stat(fd: &OwnedFd, shown: &Path) -> Result<Stat, StoreError> {
    Ok(rustix::fs::fstat(fd).map_err(|errno| DiskError::new(Act::Look, shown, errno))?)
}

fn judge(facts: &Stat, shown: &Path, last: bool) -> Result<(), StoreError> {
    check_owner(facts.st_uid, shown)?;
    let mode = facts.st_mode & 0o7777;
    let shared_but_sticky = !last && mode & 0o1000 != 0;
    if mode & 0o022 != 0 && !shared_but_sticky {
        let what = format!("can be changed by others than its owner (mode {mode:04o})");
        return Err(refuse(shown, what, "chmod go-w"));
    }
    Ok(())
}

fn check_owner(owner: u32, shown: &Path) -> Result<(), StoreError> {
    let ours = rustix::process::geteuid().as_raw();
    if owner == 0 || owner == ours {
        return Ok(());
    }
    let what = format!("belongs to user {owner}, who could exchange what is in it");
    Err(refuse(shown, what, &format!("chown {ours}")))
}

/// Refuses a private file that others than declared can read or write, or that is not ours.
pub(super) fn check_private(
    path: &Path,
    facts: &Facts,
    allowed: u32,
    owner: Option<u32>,
) -> Result<(), StoreError> {
    if owner != Some(facts.owner) {
        check_owner(facts.owner, path)?;
    }
    let excess = facts.mode & 0o077 & !allowed;
    if excess == 0 {
        return Ok(());
    }
    let what = format!("is a secret open to others (mode {:04o})", facts.mode);
    Err(refuse(path, what, &format!("chmod {allowed:04o}")))
}

fn refuse(path: &Path, what: String, command: &str) -> StoreError {
    let mend = format!("{command} {}", quoted(path));
    StoreError::Refused { path: path.to_owned(), what, mend }
}

/// A path as a word for the operator's shell.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn make(path: &Path, mode: u32) {
        std::fs::create_dir(path).unwrap();
        set_mode(path, mode);
    }

    #[test]
    fn the_way_is_judged_by_who_could_bend_it() {
        let home = tempfile::tempdir().unwrap();
        let table = [
            ("private", 0o700, true),
            ("readable", 0o755, true),
            ("by-group", 0o770, false),
            ("by-all", 0o707, false),
            ("sticky", 0o1777, false),
        ];
        for (name, mode, good) in table {
            let dir = home.path().join(name);
            make(&dir, mode);
            let way = check_way(&dir);
            assert_eq!(way.is_ok(), good, "{name}: {way:?}");
            let below = dir.join("below");
            make(&below, 0o700);
            assert_eq!(check_way(&below).is_ok(), good || name == "sticky", "below {name}");
        }
    }

    #[test]
    fn an_owner_is_who_nobody_else_could_have_named() {
        let ours = rustix::process::geteuid().as_raw();
        assert_eq!(owner(Path::new("/usr")).unwrap().user, 0);
        // Above a temporary directory there is a sticky one.
        let home = tempfile::tempdir().unwrap();
        let sticky = home.path().join("sticky");
        make(&sticky, 0o1777);
        make(&sticky.join("below"), 0o700);
        assert!(owner(&sticky.join("below")).is_err());
        // Here only what is above it counts.
        let target = Path::new(env!("CARGO_MANIFEST_DIR"));
        if let Ok(owner) = owner(target) {
            assert!([0, ours].contains(&owner.user));
        }
    }

    #[test]
    fn a_refusal_names_path_mode_and_command() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a b");
        make(&dir, 0o775);
        let Err(StoreError::Refused { path, what, mend }) = check_way(&dir) else { panic!() };
        assert_eq!(path, dir);
        assert!(what.contains("0775"), "{what}");
        assert_eq!(mend, format!("chmod go-w '{}'", dir.display()));
    }

    #[test]
    fn links_are_followed_to_what_they_hide() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        make(&at("good"), 0o700);
        make(&at("bad"), 0o777);
        symlink("good", at("to-good")).unwrap();
        symlink(at("bad"), at("to-bad")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        assert!(check_way(&at("to-good")).is_ok());
        for bad in ["to-bad", "loop", "dangling"] {
            assert!(check_way(&at(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_for_the_shell() {
        for (path, word) in [("/a/b.c", "/a/b.c"), ("/a b", "'/a b'"), ("/it's", r"'/it'\''s'")] {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
