//! Whether a server's user could read a file, judged before the server tries.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

use super::{Delivery, files};
use crate::model::file;

/// A process as the kernel asks about it when it opens a file.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Reader {
    user: u32,
    groups: BTreeSet<u32>,
    /// Whether permissions do not bind it (capabilities(7)).
    is_exempt: bool,
}

/// A directory on the way to a file, or the file itself.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Gate {
    path: PathBuf,
    user: u32,
    group: u32,
    mode: u32,
    is_dir: bool,
    /// Whether more than owner, group and mode decides.
    has_acl: bool,
}

/// What would keep a process from reading a delivery.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{pid} runs as user {user}, who may not read {path}")]
pub(super) struct Unreadable {
    pid: i32,
    user: u32,
    path: String,
    pub(super) hint: String,
}

/// Finds out whether a process could read chain and key of a delivery once they are live.
///
/// Where that cannot be told, as for a process in a container or with access control lists on the
/// way, nothing is refused.
pub(super) fn check(pid: i32, delivery: &Delivery) -> Result<(), Unreadable> {
    let Some(reader) = Reader::of_process(pid) else { return Ok(()) };
    let mut way = way_to(&delivery.live_dir);
    let files = [file::FULLCHAIN, file::PRIVKEY].map(|file| delivery.archive_dir.join(file));
    way.extend(files.iter().filter_map(|file| gate(file)));
    let Some(obstacle) = reader.obstacle(&way) else { return Ok(()) };
    let path = obstacle.path.display().to_string().escape_debug().to_string();
    let user = reader.user;
    let hint = match obstacle.path.starts_with(&delivery.archive_dir) {
        // A generation keeps the owner and mode it was issued with.
        true => format!(
            "under [permissions] of {0}.toml, give the key a group that user {user} is in, \
             then order another: acmeagent renew {0} --force",
            delivery.name
        ),
        false => format!("chmod o+x {path}"),
    };
    Err(Unreadable { pid, user, path, hint })
}

impl Reader {
    /// Reads who a process is; `None` where that cannot be told from here.
    fn of_process(pid: i32) -> Option<Self> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let users = |dir: &Path| dir.join("ns/user").read_link().ok();
        let ours = users(Path::new("/proc/self"))?;
        let is_here = users(&dir).is_none_or(|theirs| theirs == ours);
        Self::parse(&files::text(&dir.join("status"))?).filter(|_| is_here)
    }

    /// Reads what `/proc/PID/status` says; `None` where it does not say it.
    fn parse(status: &str) -> Option<Self> {
        let values = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.map(str::split_whitespace)
        };
        // The last of real, effective, saved and that of the file system.
        let id = |key| values(key)?.nth(3)?.parse::<u32>().ok();
        let groups = values("Groups")?.map(str::parse).collect::<Result<BTreeSet<_>, _>>().ok()?;
        let capabilities = u64::from_str_radix(values("CapEff")?.next()?, 16).ok()?;
        const DAC_OVERRIDE: u64 = 1 << 1;
        const DAC_READ_SEARCH: u64 = 1 << 2;
        Some(Self {
            user: id("Uid")?,
            groups: groups.into_iter().chain([id("Gid")?]).collect(),
            is_exempt: capabilities & (DAC_OVERRIDE | DAC_READ_SEARCH) != 0,
        })
    }

    /// The first of these that keeps it out; none where an access control list decides, which is
    /// not judged here.
    fn obstacle<'a>(&self, way: &'a [Gate]) -> Option<&'a Gate> {
        way.iter().find(|gate| !self.passes(gate))
    }

    /// The first class that fits decides, as in the kernel: an owner is not helped by what
    /// everybody may (path_resolution(7)).
    fn passes(&self, gate: &Gate) -> bool {
        let bits = match () {
            () if gate.user == self.user => gate.mode >> 6,
            () if self.groups.contains(&gate.group) => gate.mode >> 3,
            () => gate.mode,
        };
        let wanted = if gate.is_dir { 0o1 } else { 0o4 };
        self.is_exempt || gate.has_acl || bits & wanted != 0
    }
}

/// The directories on the way to a directory, as far as they are there, itself the last.
fn way_to(dir: &Path) -> Vec<Gate> {
    let dir = files::resolved(dir);
    let mut way: Vec<_> = dir.ancestors().filter_map(gate).collect();
    way.reverse();
    way
}

/// `None` where there is nothing, or nothing we may look at.
fn gate(path: &Path) -> Option<Gate> {
    let facts = path.metadata().ok()?;
    Some(Gate {
        path: path.to_owned(),
        user: facts.uid(),
        group: facts.gid(),
        mode: facts.mode() & 0o7777,
        is_dir: facts.is_dir(),
        has_acl: has_acl(path),
    })
}

fn has_acl(path: &Path) -> bool {
    let asked = rustix::fs::getxattr_query(path, "system.posix_acl_access");
    !matches!(asked, Err(Errno::NODATA | Errno::NOTSUP))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;
    use crate::deploy::conformance::Rack;

    const STATUS: &str = "Name:\tnginx\nUid:\t1\t2\t3\t33\nGid:\t5\t6\t7\t8\nGroups:\t100 101 \n\
                          CapPrm:\tffff\nCapEff:\t0000000000000400\n";

    #[test]
    fn a_process_is_read() {
        let reader = Reader::parse(STATUS).unwrap();
        assert_eq!((reader.user, reader.is_exempt), (33, false));
        assert_eq!(reader.groups, BTreeSet::from([8, 100, 101]));
        for capability in ["2", "4", "000001ffffffffff"] {
            let status = STATUS.replace("0000000000000400", capability);
            assert!(Reader::parse(&status).unwrap().is_exempt, "{capability}");
        }
        let lone = Reader::parse(&STATUS.replace("100 101 ", "")).unwrap();
        assert_eq!(lone.groups, BTreeSet::from([8]));
        for broken in [("Uid", "X"), ("33", ""), ("8", "x"), ("Groups", "G"), ("400", "g")] {
            assert_eq!(Reader::parse(&STATUS.replace(broken.0, broken.1)), None, "{broken:?}");
        }
        assert_eq!(Reader::parse(""), None);
    }

    #[test]
    fn the_bits_decide_as_in_the_kernel() {
        let reader = Reader { user: 33, groups: BTreeSet::from([33, 104]), is_exempt: false };
        let exempt = Reader { is_exempt: true, ..reader.clone() };
        // user, group, mode, whether a file, whether a directory is passed
        let table = [
            (0, 0, 0o600, false, false),
            (0, 0, 0o755, true, true),
            (0, 0, 0o711, false, true),
            (0, 0, 0o744, true, false),
            (0, 104, 0o640, true, false),
            (0, 104, 0o750, true, true),
            (0, 104, 0o604, false, false),
            (0, 105, 0o640, false, false),
            (33, 0, 0o400, true, false),
            (33, 0, 0o077, false, false),
            (33, 104, 0o700, true, true),
        ];
        for (user, group, mode, file, dir) in table {
            for (is_dir, expected) in [(false, file), (true, dir)] {
                let gate = Gate { path: "/x".into(), user, group, mode, is_dir, has_acl: false };
                let way = [gate.clone()];
                assert_eq!(reader.obstacle(&way).is_none(), expected, "{gate:?}");
                assert_eq!(exempt.obstacle(&way), None);
                assert_eq!(reader.obstacle(&[Gate { has_acl: true, ..gate }]), None);
            }
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn the_way_is_judged_from_the_root_on() {
        use std::fs::{self, Permissions};
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let live = root.join("closed/live");
        fs::create_dir_all(&live).unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(root.join("closed"), Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(root.join("closed"), root.join("link")).unwrap();
        let way = way_to(&root.join("link/live/not-yet"));
        assert_eq!(way.first().map(|gate| gate.path.as_path()), Some(Path::new("/")));
        assert_eq!(way.last().map(|gate| gate.path.as_path()), Some(live.as_path()));
        let stranger = Reader { user: 4_000_000, groups: BTreeSet::new(), is_exempt: false };
        let obstacle = stranger.obstacle(&way).map(|gate| gate.path.clone());
        assert_eq!(obstacle, Some(root.join("closed")));
        assert_eq!(gate(&root.join("gone")), None);
    }

    #[test]
    fn a_process_of_somebody_else_is_kept_out() {
        let rack = Rack::new(&["a.example"]);
        let ours = i32::try_from(std::process::id()).unwrap();
        assert_eq!(check(ours, &rack.new), Ok(()));
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "only root can be somebody else");
            return;
        }
        let mut other = std::process::Command::new("sleep");
        let mut other = other.arg("60").uid(65_534).gid(65_534).spawn().unwrap();
        let unreadable = check(other.id().cast_signed(), &rack.new).unwrap_err();
        other.kill().unwrap();
        other.wait().unwrap();
        let text = unreadable.to_string();
        assert!(text.contains("runs as user 65534") && text.ends_with("privkey.pem"), "{text}");
        assert!(unreadable.hint.starts_with("under [permissions] of a.example.toml"));
    }
}
