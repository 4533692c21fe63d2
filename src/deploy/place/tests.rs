//! Files put where others were.

#![expect(clippy::disallowed_methods, reason = "sets the stage for tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use tempfile::TempDir;

use super::*;

const PRIVATE: Access = Access { owner: None, group: None, mode: 0o600 };

fn file<'a>(name: &'a str, bytes: &'a [u8]) -> NewFile<'a> {
    NewFile { name: OsStr::new(name), bytes, access: PRIVATE }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn place() -> (TempDir, Place) {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path(), None).unwrap();
    (dir, place)
}

/// What is refused, with its hint.
fn refused<T>(result: Result<T, PlaceError>) -> (String, String) {
    match result.err().expect("it is refused") {
        PlaceError::Refused { path, what, hint } => (format!("{} {what}", path.display()), hint),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_are_put_whole_with_their_mode() {
    let (dir, place) = place();
    let wide = Access { mode: 0o644, ..PRIVATE };
    let files = [file("key", b"k"), NewFile { access: wide, ..file("chain", b"c") }];
    place.check(&files).unwrap();
    assert!(names(dir.path()).is_empty());
    assert!(place.put(&files).unwrap());
    assert_eq!(names(dir.path()), ["chain", "key"]);
    for (name, bytes, mode) in [("key", "k", 0o600), ("chain", "c", 0o644)] {
        let path = dir.path().join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode, "{name}");
    }
}

#[test]
fn what_is_there_already_is_left_alone() {
    let (dir, place) = place();
    let inode = || fs::metadata(dir.path().join("key")).unwrap().ino();
    assert!(place.put(&[file("key", b"k")]).unwrap());
    let first = inode();
    assert!(!place.put(&[file("key", b"k")]).unwrap());
    assert_eq!(inode(), first);
    set_mode(&dir.path().join("key"), 0o640);
    assert!(place.put(&[file("key", b"k")]).unwrap());
    let second = inode();
    assert_ne!(second, first);
    assert!(place.put(&[file("key", b"other")]).unwrap());
    assert_ne!(inode(), second);
}

#[test]
fn what_a_killed_run_left_is_removed() {
    let (dir, place) = place();
    place.put(&[file("key", b"k")]).unwrap();
    let left = dir.path().join(".key.acmeagent");
    fs::write(&left, "half").unwrap();
    assert!(!place.put(&[file("key", b"k")]).unwrap());
    assert_eq!(names(dir.path()), ["key"]);
    // Somebody's link in its place is removed, not followed.
    let outside = tempfile::NamedTempFile::new().unwrap();
    symlink(outside.path(), &left).unwrap();
    place.put(&[file("key", b"new")]).unwrap();
    assert_eq!(names(dir.path()), ["key"]);
    assert_eq!(fs::read(outside.path()).unwrap(), b"");
}

#[test]
fn links_and_directories_are_not_replaced() {
    let (dir, place) = place();
    let outside = tempfile::NamedTempFile::new().unwrap();
    symlink(outside.path(), dir.path().join("link")).unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    for (name, what) in [("link", "symbolic link"), ("folder", "directory"), ("pipe", "not a file")]
    {
        // Nor is any of its neighbours written then.
        let files = [file("a", b"a"), file(name, b"b")];
        for result in [place.check(&files), place.put(&files).map(drop)] {
            let (text, hint) = refused(result);
            assert!(text.contains(what) && text.contains(name), "{text}");
            assert!(hint.contains(name), "{hint}");
        }
        assert_eq!(names(dir.path()), ["folder", "link", "pipe"]);
    }
    assert_eq!(fs::read(outside.path()).unwrap(), b"");
}

#[test]
fn directories_that_others_can_bend_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for (mode, good) in [(0o700, true), (0o755, true), (0o770, false), (0o1777, false)] {
        let dir = home.path().join(format!("{mode:o}"));
        fs::create_dir(&dir).unwrap();
        fs::create_dir(dir.join("below")).unwrap();
        set_mode(&dir, mode);
        let opened = Place::open(&dir, None);
        assert_eq!(opened.is_ok(), good, "{mode:o}");
        if !good {
            let (text, hint) = refused(opened);
            assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
            assert_eq!(hint, format!("chmod go-w {}", dir.display()));
        }
        let below = Place::open(&dir.join("below"), None);
        assert_eq!(below.is_ok(), good || mode == 0o1777, "below {mode:o}");
    }
    let (text, hint) = refused(Place::open(&home.path().join("a b"), None));
    assert!(text.ends_with("a b does not exist"), "{text}");
    assert!(hint.starts_with("install -d -m 0755 '/"), "{hint}");
    fs::write(home.path().join("file"), "").unwrap();
    let (text, _) = refused(Place::open(&home.path().join("file"), None));
    assert!(text.ends_with("file is not a directory"), "{text}");
}

#[test]
fn the_owner_of_the_files_may_own_the_directory() {
    if !rustix::process::geteuid().is_root() {
        return only_root();
    }
    let dir = tempfile::tempdir().unwrap();
    let nobody = 65_534;
    std::os::unix::fs::chown(dir.path(), Some(nobody), None).unwrap();
    let (text, hint) = refused(Place::open(dir.path(), None));
    assert!(text.contains("belongs to user 65534"), "{text}");
    assert_eq!(hint, format!("chown 0 {}", dir.path().display()));
    let place = Place::open(dir.path(), Some(nobody)).unwrap();
    let access = Access { owner: Some(nobody), group: Some(nobody), mode: 0o640 };
    let files = [NewFile { access, ..file("key", b"k") }];
    assert!(place.put(&files).unwrap());
    assert_eq!(place.access_of(OsStr::new("key")).unwrap(), Some(access));
    assert!(!place.put(&files).unwrap());
}

/// A full disk, before and while the files are written, leaves those that are there.
#[test]
fn a_full_disk_leaves_the_old_files() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mounted) = Small::at(dir.path()) else { return only_root() };
    let place = Place::open(dir.path(), None).unwrap();
    place.put(&[file("a", b"old"), file("b", b"old")]).unwrap();
    let much = vec![b'x'; 256 * 1024];
    let files = [file("a", b"new"), file("b", &much)];
    for result in [place.check(&files), place.put(&files).map(drop)] {
        let Err(PlaceError::Io { source, .. }) = result else { panic!("{result:?}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull, "{source}");
    }
    assert_eq!(names(dir.path()), ["a", "b"]);
    for name in ["a", "b"] {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"old");
    }
}

/// Sees to it that nothing passes by not being run.
fn only_root() {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("CI").is_none(), "{test} needs root");
}

/// A file system of 64 KiB, gone with the test.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` where this machine does not allow it.
    fn at(dir: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=700", "none"]).arg(dir);
        mount.status().is_ok_and(|status| status.success()).then_some(Self(dir))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
